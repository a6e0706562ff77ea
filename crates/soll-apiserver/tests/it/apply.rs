//! Server-side apply through the whole path.

use serde_json::{Value as Json, json};

use crate::support::Client;

const PATH: &str = "/apis/apps/v1/namespaces/default/deployments/web";

fn config(replicas: Option<i64>, image: &str) -> Json {
    let mut config = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                {"name": "c", "image": image, "resources": {"limits": {"cpu": "1"}}}]}},
        },
    });
    if let Some(replicas) = replicas {
        config["spec"]["replicas"] = replicas.into();
    }
    config
}

#[tokio::test]
async fn applying_again_writes_nothing() {
    let client = Client::new();
    let path = format!("{PATH}?fieldManager=m");
    let mut config = config(Some(1), "i:1");
    // Stored as `1`: another way to write it is no change.
    config["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "1000m".into();
    let first = client.apply(&path, &config).await;
    assert_eq!(first.code, 201);
    let again = client.apply(&path, &config).await;
    assert_eq!(again.code, 200);
    assert_eq!(first.body, again.body);
    assert_eq!(first.body["metadata"]["managedFields"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn yaml_is_read_and_written() {
    let client = Client::new();
    let maps = "/api/v1/namespaces/default/configmaps";
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: |\n    two\n    lines\n";
    let applied = client
        .call("PATCH", &format!("{maps}/a?fieldManager=m"), "application/apply-patch+yaml", config.to_owned())
        .await;
    assert_eq!(applied.ok()["data"]["k"], "two\nlines\n");
    let shown = client.accepting("application/yaml").get(&format!("{maps}/a")).await.ok();
    assert!(shown.as_str().is_some_and(|text| text.contains("data:\n  k: |\n    two\n    lines\n")), "{shown}");
    let broken = client.call("POST", maps, "application/yaml", "a: [".to_owned()).await.refused();
    assert_eq!(broken.0, 400);
}

#[tokio::test]
async fn what_is_no_longer_applied_goes() {
    let client = Client::new();
    let path = format!("{PATH}?fieldManager=m");
    let mut labelled = config(Some(2), "i:1");
    labelled["metadata"]["labels"] = json!({"a": "b"});
    client.apply(&path, &labelled).await.ok();
    let less = client.apply(&path, &config(None, "i:1")).await.ok();
    assert!(less["metadata"]["labels"].is_null());
    assert_eq!(less["spec"]["replicas"], 1, "the default comes back");
    assert_eq!(less["metadata"]["generation"], 2);
}

#[tokio::test]
async fn conflicts_name_the_other_manager() {
    let client = Client::new();
    client.apply(&format!("{PATH}?fieldManager=one"), &config(Some(1), "i:1")).await.ok();
    let answer = client.apply(&format!("{PATH}?fieldManager=two"), &config(Some(2), "i:1")).await;
    assert_eq!(answer.body["details"]["causes"][0]["field"], ".spec.replicas");
    assert_eq!(answer.body["details"]["causes"][0]["reason"], "FieldManagerConflict");
    let (code, reason, message) = answer.refused();
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
    assert!(message.contains(r#"conflict with "one""#), "{message}");
    let forced = client.apply(&format!("{PATH}?fieldManager=two&force=true"), &config(Some(2), "i:1")).await.ok();
    assert_eq!(forced["spec"]["replicas"], 2);
}

#[tokio::test]
async fn mistakes_have_the_class_of_kubernetes() {
    let client = Client::new();
    let mut unknown = config(None, "i:1");
    unknown["spec"]["replica"] = 1.into();
    let (code, reason, message) = client.apply(&format!("{PATH}?fieldManager=m"), &unknown).await.refused();
    assert_eq!((code, reason.as_str()), (500, ""));
    assert!(message.ends_with(".spec.replica: field not declared in schema"), "{message}");
    let (code, _, message) = client.apply(PATH, &config(None, "i:1")).await.refused();
    assert_eq!(code, 422);
    assert!(message.contains("fieldManager: Required value: is required for apply patch"), "{message}");
    let dry = client.apply(&format!("{PATH}?fieldManager=m&dryRun=All"), &config(None, "i:1")).await;
    assert_eq!(dry.code, 201);
    assert!(dry.body["metadata"]["resourceVersion"].is_null());
}

#[tokio::test]
async fn updates_are_tracked_beside_applies() {
    let client = Client::new();
    client.apply(&format!("{PATH}?fieldManager=m"), &config(None, "i:1")).await.ok();
    let patched = client.merge(&format!("{PATH}?fieldManager=hand"), &json!({"spec": {"replicas": 4}})).await.ok();
    let managers = patched["metadata"]["managedFields"].as_array().expect("managers");
    let shown: Vec<_> = managers.iter().map(|entry| (entry["manager"].as_str(), entry["operation"].as_str())).collect();
    assert_eq!(shown, [(Some("m"), Some("Apply")), (Some("hand"), Some("Update"))]);
    assert_eq!(managers[1]["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
}
