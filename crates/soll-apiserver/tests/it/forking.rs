//! Copies of a server's state, to try things on.

use serde_json::{Value as Json, json};
use soll_apiserver::{Server, ServerOptions};

use crate::support::Client;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const FORKS: &str = "/sim/v1/forks";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

fn map(name: &str) -> Json {
    json!({"metadata": {"name": name}})
}

/// Makes a fork over HTTP and says its path.
async fn fork(client: &Client) -> String {
    let made = client.post(FORKS, &json!({})).await.ok();
    let path = made["path"].as_str().expect("a path").to_owned();
    assert!(path.starts_with(FORKS), "{path}");
    path
}

#[tokio::test]
async fn a_fork_over_http_is_a_server_below_a_path() {
    let client = Client::new();
    client.post(MAPS, &map("before")).await.ok();
    let fork = fork(&client).await;
    client.post(MAPS, &map("after")).await.ok();
    client.post(&format!("{fork}{MAPS}"), &map("there")).await.ok();

    let list = client.get(&format!("{fork}{MAPS}?fieldSelector=metadata.name!%3Dkube-root-ca.crt")).await.ok();
    let names: Vec<_> = list["items"].as_array().expect("a list").iter().map(|map| &map["metadata"]["name"]).collect();
    assert_eq!(names, ["before", "there"]);
    assert_eq!(client.get(&format!("{MAPS}/there")).await.refused().0, 404);
    assert_eq!(client.get(&format!("{fork}/version")).await.ok(), client.get("/version").await.ok());
    // There is one level of them.
    assert_eq!(client.post(&format!("{fork}{FORKS}"), &json!({})).await.code, 404);

    let mut watch = client.watch(&format!("{fork}{MAPS}?watch=1&resourceVersion=0")).await;
    assert_eq!(watch.names(2).await.len(), 2);
    client.delete(&fork).await.ok();
    while watch.next().await.is_some() {}
    let (code, reason, message) = client.get(&format!("{fork}{MAPS}")).await.refused();
    assert_eq!((code, reason.as_str()), (404, "NotFound"));
    assert!(message.contains("without a request"), "{message}");
    assert_eq!(client.delete(&fork).await.refused().0, 404);
    assert_eq!(client.get(FORKS).await.refused().0, 405);
}

#[tokio::test]
async fn who_may_fork_and_how_often_is_limited() {
    let client = Client::new();
    let jane = client.acting_as("jane");
    let (code, _, message) = jane.post(FORKS, &json!({})).await.refused();
    assert_eq!(code, 403);
    assert!(message.contains("cannot post path"), "{message}");
    let theirs = fork(&client).await;
    assert_eq!(jane.get(&format!("{theirs}{MAPS}")).await.refused().0, 403);

    let rule = json!({"nonResourceURLs": [FORKS, format!("{FORKS}/*")], "verbs": ["*"]});
    client.post(ROLES, &json!({"metadata": {"name": "forks"}, "rules": [rule]})).await.ok();
    let subject = json!({"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"});
    let role = json!({"kind": "ClusterRole", "name": "forks", "apiGroup": "rbac.authorization.k8s.io"});
    client.post(BINDINGS, &json!({"metadata": {"name": "forks"}, "subjects": [subject], "roleRef": role})).await.ok();
    let hers = fork(&jane).await;
    // In a fork she may do what she may do in the original.
    let (code, _, message) = jane.get(&format!("{hers}{MAPS}")).await.refused();
    assert_eq!(code, 403);
    assert!(message.contains(r#"cannot list resource "configmaps""#), "{message}");
    // Who is not allowed any more has no use of old forks.
    client.delete(&format!("{BINDINGS}/forks")).await.ok();
    assert!(jane.get(&format!("{hers}{MAPS}")).await.refused().2.contains("cannot get path"));

    for _ in 2..4 {
        fork(&client).await;
    }
    let (code, reason, message) = client.post(FORKS, &json!({})).await.refused();
    assert_eq!((code, reason.as_str()), (429, "TooManyRequests"));
    assert!(message.contains("4 forks are the most"), "{message}");
    client.delete(&hers).await.ok();
    fork(&client).await;
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_is_not_used_ends() {
    let client = Client::new();
    let (used, left) = (fork(&client).await, fork(&client).await);
    for _ in 0..3 {
        tokio::time::advance(std::time::Duration::from_secs(40)).await;
        tokio::task::yield_now().await;
        client.get(&format!("{used}{MAPS}")).await.ok();
    }
    assert_eq!(client.get(&format!("{left}{MAPS}")).await.refused().0, 404);
}

#[tokio::test]
async fn a_fork_goes_its_own_way() {
    let server = Server::new(&ServerOptions::default()).expect("a server");
    let widgets = "/apis/example.com/v1/namespaces/default/widgets";
    let definition = json!({"metadata": {"name": "widgets.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}});
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let fork = server.fork();
    let (original, fork) = (Client::of(server), Client::at(fork.service(), fork));
    original.post(MAPS, &json!({"metadata": {"name": "a"}})).await.ok();
    assert_eq!(fork.get(&format!("{MAPS}/a")).await.refused().0, 404);

    fork.post(definitions, &definition).await.ok();
    fork.post(widgets, &json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}))
        .await
        .ok();
    assert_eq!(original.get(widgets).await.refused().0, 404, "the fork alone knows the kind");
    fork.delete("/api/v1/namespaces/kube-node-lease").await.ok();
    assert!(original.get("/api/v1/namespaces/kube-node-lease").await.ok()["metadata"]["deletionTimestamp"].is_null());
}
