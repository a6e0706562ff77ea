//! Custom resources: from definition to deletion.

use serde_json::{Value as Json, json};

use crate::support::Client;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const FOOS: &str = "/apis/example.com/v1/namespaces/default/foos";

fn definition() -> Json {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "foos.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "foos", "kind": "Foo", "shortNames": ["fo"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["size"], "properties": {
                        "size": {"type": "integer", "minimum": 1},
                        "mode": {"type": "string", "default": "fast", "enum": ["fast", "slow"]},
                        "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "v": {"type": "string"}}}},
                    }, "x-kubernetes-validations": [{"rule": "self.size < 10", "message": "too big"}]},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    })
}

async fn with_foos() -> Client {
    let client = Client::new();
    client.post(DEFINITIONS, &definition()).await.ok();
    client
}

fn foo(spec: &Json) -> Json {
    json!({"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": spec})
}

#[tokio::test]
async fn a_definition_is_served_when_its_create_is_answered() {
    let client = Client::new();
    let made = client.post(DEFINITIONS, &definition()).await.ok();
    let conditions = made["status"]["conditions"].as_array().expect("conditions");
    assert!(conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True"));
    assert_eq!(client.get(FOOS).await.ok()["kind"], "FooList");
    let resources = client.get("/apis/example.com/v1").await.ok();
    assert_eq!(resources["resources"][0]["shortNames"], json!(["fo"]));
    let document = client.get("/openapi/v3/apis/example.com/v1").await.ok();
    assert!(document["components"]["schemas"]["com.example.v1.Foo"].is_object());
}

#[tokio::test]
async fn objects_are_pruned_defaulted_and_validated() {
    let client = with_foos().await;
    let made = client.post(FOOS, &foo(&json!({"size": 3, "unknown": true}))).await;
    assert_eq!(made.warnings, [r#"299 - "unknown field \"spec.unknown\"""#]);
    assert_eq!(made.ok()["spec"], json!({"size": 3, "mode": "fast"}));
    let unversioned = client.put(&format!("{FOOS}/a"), &foo(&json!({"size": 2}))).await.refused();
    assert!(unversioned.2.contains("must be specified for an update"), "{}", unversioned.2);
}

#[tokio::test]
async fn each_rule_names_its_field() {
    let client = with_foos().await;
    for (spec, field, kind) in [
        (json!({}), "spec.size", "FieldValueRequired"),
        (json!({"size": 0}), "spec.size", "FieldValueInvalid"),
        (json!({"size": "x"}), "spec.size", "FieldValueTypeInvalid"),
        (json!({"size": 1, "mode": "x"}), "spec.mode", "FieldValueNotSupported"),
        (json!({"size": 11}), "spec", "FieldValueInvalid"),
    ] {
        let answer = client.post(FOOS, &foo(&spec)).await;
        let cause = &answer.body["details"]["causes"][0];
        assert_eq!((cause["field"].as_str(), cause["reason"].as_str()), (Some(field), Some(kind)), "{}", answer.body);
        assert_eq!(answer.refused().0, 422);
    }
}

#[tokio::test]
async fn the_status_has_its_own_door_and_no_generation() {
    let client = with_foos().await;
    let mut with_status = foo(&json!({"size": 3}));
    with_status["status"] = json!({"ready": true});
    assert!(client.post(FOOS, &with_status).await.ok()["status"].is_null());
    let change = json!({"status": {"ready": true}, "spec": {"size": 5}});
    let reported = client.merge(&format!("{FOOS}/a/status"), &change).await.ok();
    assert_eq!((reported["spec"]["size"].as_i64(), reported["status"]["ready"].as_bool()), (Some(3), Some(true)));
    assert_eq!(reported["metadata"]["generation"], 1);
    let changed = client.merge(&format!("{FOOS}/a"), &json!({"spec": {"size": 4}})).await.ok();
    assert_eq!(changed["metadata"]["generation"], 2);
}

#[tokio::test]
async fn lists_by_key_merge_when_applied() {
    let client = with_foos().await;
    let item = |name: &str| foo(&json!({"size": 1, "items": [{"name": name, "v": "x"}]}));
    client.apply(&format!("{FOOS}/a?fieldManager=one"), &item("p")).await.ok();
    let both = client.apply(&format!("{FOOS}/a?fieldManager=two"), &item("q")).await.ok();
    assert_eq!(both["spec"]["items"], json!([{"name": "p", "v": "x"}, {"name": "q", "v": "x"}]));
    let (code, _, _) = client
        .call("PATCH", &format!("{FOOS}/a"), "application/strategic-merge-patch+json", "{}".to_owned())
        .await
        .refused();
    assert_eq!(code, 415);
}

#[tokio::test]
async fn a_definition_takes_its_objects_along() {
    let client = with_foos().await;
    client.post(FOOS, &foo(&json!({"size": 1}))).await.ok();
    client.delete(&format!("{DEFINITIONS}/foos.example.com")).await.ok();
    client.gone(DEFINITIONS, &format!("{DEFINITIONS}/foos.example.com")).await;
    assert_eq!(client.get(FOOS).await.code, 404);
    client.post(DEFINITIONS, &definition()).await.ok();
    assert_eq!(client.get(FOOS).await.ok()["items"], json!([]), "nothing comes back");
}

#[tokio::test]
async fn tables_have_the_columns_of_the_definition() {
    let client = with_foos().await;
    client.post(FOOS, &foo(&json!({"size": 7}))).await.ok();
    let table = client.table(FOOS).await;
    assert_eq!(table["columnDefinitions"][1]["name"], "Size");
    assert_eq!(table["rows"][0]["cells"], json!(["a", 7]));
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}
