//! Lists, pages, watches, tables.

use serde_json::{Value as Json, json};

use crate::support::Client;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config_map(name: &str, label: &str) -> Json {
    json!({"metadata": {"name": name, "labels": {"app": label}}, "data": {"k": "v"}})
}

async fn with_maps(count: usize) -> Client {
    let client = Client::new();
    for index in 0..count {
        let label = if index % 2 == 0 { "even" } else { "odd" };
        client.post(MAPS, &config_map(&format!("m{index}"), label)).await.ok();
    }
    client
}

fn names(list: &Json) -> Vec<&str> {
    let items = list["items"].as_array().expect("a list");
    items.iter().map(|item| item["metadata"]["name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn pages_show_one_moment() {
    let client = with_maps(5).await;
    let selector = "labelSelector=app&limit=2";
    let first = client.get(&format!("{MAPS}?{selector}")).await.ok();
    assert_eq!(names(&first), ["m0", "m1"]);
    client.delete(&format!("{MAPS}/m3")).await.ok();
    let token = first["metadata"]["continue"].as_str().expect("there is more");
    let second = client.get(&format!("{MAPS}?{selector}&continue={token}")).await.ok();
    assert_eq!(names(&second), ["m2", "m3"], "the deleted one was there when the list began");
    assert_eq!(first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().expect("there is more");
    let third = client.get(&format!("{MAPS}?{selector}&continue={token}")).await.ok();
    assert_eq!(names(&third), ["m4"]);
    assert!(third["metadata"]["continue"].is_null());
}

#[tokio::test]
async fn selectors_choose() {
    let client = with_maps(4).await;
    let list = client.get(&format!("{MAPS}?labelSelector=app%3Dodd")).await.ok();
    assert_eq!(names(&list), ["m1", "m3"]);
    let list = client.get(&format!("{MAPS}?fieldSelector=metadata.name%3Dm2")).await.ok();
    assert_eq!(names(&list), ["m2"]);
    let (code, reason, message) = client.get(&format!("{MAPS}?fieldSelector=data.k%3Dv")).await.refused();
    assert_eq!((code, reason.as_str()), (400, "BadRequest"));
    assert!(message.starts_with(r#""data.k" is not a known field selector"#), "{message}");
}

#[tokio::test]
async fn a_watch_tells_what_matches_now_and_from_then_on() {
    let client = with_maps(2).await;
    let mut watch = client.watch(&format!("{MAPS}?watch=true&labelSelector=app%3Deven")).await;
    assert_eq!(watch.names(1).await, ["ADDED m0"]);
    client.merge(&format!("{MAPS}/m0"), &json!({"data": {"k": "w"}})).await.ok();
    client.merge(&format!("{MAPS}/m1"), &json!({"metadata": {"labels": {"app": "even"}}})).await.ok();
    client.merge(&format!("{MAPS}/m0"), &json!({"metadata": {"labels": {"app": "odd"}}})).await.ok();
    client.delete(&format!("{MAPS}/m1")).await.ok();
    assert_eq!(watch.names(4).await, ["MODIFIED m0", "ADDED m1", "DELETED m0", "DELETED m1"]);
}

#[tokio::test]
async fn a_watch_resumes_and_streams_lists() {
    let client = with_maps(1).await;
    let list = client.get(MAPS).await.ok();
    let version = list["metadata"]["resourceVersion"].as_str().expect("a version");
    client.post(MAPS, &config_map("late", "x")).await.ok();
    let mut watch = client.watch(&format!("{MAPS}?watch=true&resourceVersion={version}")).await;
    assert_eq!(watch.names(1).await, ["ADDED late"]);

    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=app";
    let mut watch = client.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!(watch.names(2).await, ["ADDED late", "ADDED m0"]);
    let mark = watch.next().await.expect("the watch goes on");
    assert_eq!(mark["type"], "BOOKMARK");
    assert_eq!(mark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_watch_from_a_forgotten_revision_ends_with_410() {
    use soll_apiserver::store::Limits;
    use soll_apiserver::{Server, ServerOptions};
    let server =
        Server::new(&ServerOptions { limits: Limits { changes: 2, ..Limits::default() }, ..ServerOptions::default() })
            .expect("certificates can be made");
    let client = Client::of(server);
    for index in 0..4 {
        client.post(MAPS, &config_map(&format!("m{index}"), "x")).await.ok();
    }
    let mut watch = client.watch(&format!("{MAPS}?watch=true&resourceVersion=2")).await;
    let event = watch.next().await.expect("an event");
    assert_eq!((event["type"].as_str(), event["object"]["code"].as_u64()), (Some("ERROR"), Some(410)));
    assert_eq!(event["object"]["reason"], "Expired");
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_revision_that_has_not_come_is_waited_for() {
    let client = with_maps(1).await;
    let version: u64 = client.get(MAPS).await.ok()["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|text| text.parse().ok())
        .expect("a number");
    let path = format!("{MAPS}?resourceVersion={}", version + 1);
    let (later, ()) = tokio::join!(client.get(&path), async {
        client.post(MAPS, &config_map("next", "x")).await.ok();
    });
    assert!(names(&later.ok()).contains(&"next"));
}

#[tokio::test]
async fn discovery_tells_custom_resources_too() {
    let client = Client::new();
    let version = client.get("/version").await.ok();
    assert_eq!(version["gitVersion"], "v1.35.4+embedded");
    let list = client.get("/apis/apps/v1").await.ok();
    let resources = list["resources"].as_array().expect("a list");
    assert!(resources.iter().any(|resource| resource["name"] == "deployments/scale" && resource["kind"] == "Scale"));
    assert_eq!(client.get("/apis/nothing.example").await.code, 404);
    assert_eq!(client.get("/apis/nothing.example/v1/things").await.body, "404 page not found\n");
    let (_, reason, message) = client.get("/apis/apps/v1/nothing").await.refused();
    assert_eq!((reason.as_str(), message.as_str()), ("NotFound", "the server could not find the requested resource"));
}
