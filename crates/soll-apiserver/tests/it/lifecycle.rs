//! Create, update, delete: what the server adds, keeps and refuses.

use serde_json::{Value as Json, json};

use crate::support::Client;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(name: &str) -> Json {
    json!({
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
        },
    })
}

#[tokio::test]
async fn names_are_generated_and_collisions_refused() {
    let client = Client::new();
    let made = client.post(MAPS, &json!({"metadata": {"generateName": "x-"}})).await.ok();
    let name = made["metadata"]["name"].as_str().expect("a name");
    assert!(name.starts_with("x-") && name.len() == 7);
    let (code, reason, message) = client.post(MAPS, &json!({"metadata": {"name": name}})).await.refused();
    assert_eq!((code, reason), (409, "AlreadyExists".to_owned()));
    assert_eq!(message, format!("configmaps \"{name}\" already exists"));
    let elsewhere = json!({"metadata": {"name": "a", "namespace": "other"}});
    assert_eq!(client.post(MAPS, &elsewhere).await.refused().0, 400);
    let nowhere = client.post("/api/v1/namespaces/none/configmaps", &json!({"metadata": {"name": "a"}})).await;
    assert_eq!(nowhere.refused(), (404, "NotFound".to_owned(), "namespaces \"none\" not found".to_owned()));
}

#[tokio::test]
async fn stale_writes_are_refused_and_empty_ones_not_written() {
    let client = Client::new();
    let mut map = client.post(MAPS, &json!({"metadata": {"name": "a"}, "data": {"k": "1"}})).await.ok();
    let same = client.put(&format!("{MAPS}/a"), &map).await.ok();
    assert_eq!(same["metadata"]["resourceVersion"], map["metadata"]["resourceVersion"]);
    let mut newer = map.clone();
    newer["data"]["k"] = "2".into();
    client.put(&format!("{MAPS}/a"), &newer).await.ok();
    map["data"]["k"] = "3".into();
    let (code, reason, _) = client.put(&format!("{MAPS}/a"), &map).await.refused();
    assert_eq!((code, reason.as_str()), (409, "Conflict"));
}

#[tokio::test]
async fn generation_counts_changes_of_the_spec() {
    let client = Client::new();
    let made = client.post(DEPLOYMENTS, &deployment("web")).await.ok();
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(made["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    let path = format!("{DEPLOYMENTS}/web");
    let labelled = client.merge(&path, &json!({"metadata": {"labels": {"a": "b"}}})).await.ok();
    assert_eq!(labelled["metadata"]["generation"], 1);
    let scaled = client.merge(&format!("{path}/scale"), &json!({"spec": {"replicas": 3}})).await.ok();
    assert_eq!((scaled["kind"].as_str(), scaled["spec"]["replicas"].as_i64()), (Some("Scale"), Some(3)));
    let reported = client
        .merge(&format!("{path}/status"), &json!({"status": {"replicas": 3}, "spec": {"replicas": 9}}))
        .await
        .ok();
    assert_eq!((reported["status"]["replicas"].as_i64(), reported["spec"]["replicas"].as_i64()), (Some(3), Some(3)));
    assert_eq!(reported["metadata"]["generation"], 2);
}

#[tokio::test]
async fn what_may_not_change_is_refused_with_its_field() {
    let client = Client::new();
    client.post(DEPLOYMENTS, &deployment("web")).await.ok();
    let change = json!({"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": {"app": "x"}}}}});
    let answer = client.merge(&format!("{DEPLOYMENTS}/web"), &change).await;
    assert_eq!(answer.body["details"]["causes"][0]["field"], "spec.selector");
    let (code, reason, message) = answer.refused();
    assert_eq!((code, reason.as_str()), (422, "Invalid"));
    assert!(message.ends_with("field is immutable"), "{message}");
}

#[tokio::test]
async fn unknown_fields_are_told_or_refused() {
    let client = Client::new();
    let mut wrong = deployment("web");
    wrong["spec"]["replica"] = 1.into();
    let warned = client.post(&format!("{DEPLOYMENTS}?dryRun=All"), &wrong).await;
    assert_eq!(warned.warnings, [r#"299 - "unknown field \"spec.replica\"""#]);
    let (code, _, message) = client.post(&format!("{DEPLOYMENTS}?fieldValidation=Strict"), &wrong).await.refused();
    assert_eq!(
        (code, message.as_str()),
        (
            400,
            "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replica\""
        )
    );
    assert_eq!(client.get(&format!("{DEPLOYMENTS}/web")).await.code, 404, "a dry run stores nothing");
}

#[tokio::test]
async fn finalizers_hold_a_deletion() {
    let client = Client::new();
    client.post(MAPS, &json!({"metadata": {"name": "a", "finalizers": ["x.example/y"]}})).await.ok();
    let marked = client.delete(&format!("{MAPS}/a")).await.ok();
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let added = json!({"metadata": {"finalizers": ["x.example/y", "x.example/z"]}});
    assert_eq!(client.merge(&format!("{MAPS}/a"), &added).await.refused().0, 422);
    let again = client.post(MAPS, &json!({"metadata": {"name": "a"}})).await.refused();
    assert!(again.2.starts_with("object is being deleted: "), "{}", again.2);
    client.merge(&format!("{MAPS}/a"), &json!({"metadata": {"finalizers": null}})).await.ok();
    assert_eq!(client.get(&format!("{MAPS}/a")).await.code, 404);
}

#[tokio::test]
async fn dependents_go_with_their_owner() {
    let client = Client::new();
    let owner = client.post(MAPS, &json!({"metadata": {"name": "owner"}})).await.ok();
    let reference = |uid: &Json| json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]);
    let uid = &owner["metadata"]["uid"];
    for name in ["one", "two"] {
        client.post(MAPS, &json!({"metadata": {"name": name, "ownerReferences": reference(uid)}})).await.ok();
    }
    client.delete(&format!("{MAPS}/owner")).await.ok();
    client.gone(MAPS, &format!("{MAPS}/one")).await;
    client.gone(MAPS, &format!("{MAPS}/two")).await;
    // One whose owner never was goes too.
    client
        .post(MAPS, &json!({"metadata": {"name": "lost", "ownerReferences": reference(&"nobody".into())}}))
        .await
        .ok();
    client.gone(MAPS, &format!("{MAPS}/lost")).await;
}

#[tokio::test]
async fn foreground_waits_and_orphan_spares() {
    let client = Client::new();
    for (policy, spared) in [("Foreground", false), ("Orphan", true)] {
        let owner = client.post(MAPS, &json!({"metadata": {"name": "owner"}})).await.ok();
        let reference = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true}]);
        client.post(MAPS, &json!({"metadata": {"name": "dependent", "ownerReferences": reference}})).await.ok();
        client.delete(&format!("{MAPS}/owner?propagationPolicy={policy}")).await.ok();
        client.gone(MAPS, &format!("{MAPS}/owner")).await;
        let dependent = client.get(&format!("{MAPS}/dependent")).await;
        assert_eq!(dependent.code.is_success(), spared, "{policy}");
        assert!(dependent.body["metadata"]["ownerReferences"].is_null());
    }
}

#[tokio::test]
async fn a_namespace_takes_its_contents_along() {
    let client = Client::new();
    client.post("/api/v1/namespaces", &json!({"metadata": {"name": "a"}})).await.ok();
    let maps = "/api/v1/namespaces/a/configmaps";
    client.post(maps, &json!({"metadata": {"name": "m", "finalizers": ["x.example/y"]}})).await.ok();
    let marked = client.delete("/api/v1/namespaces/a").await.ok();
    assert_eq!(marked["status"]["phase"], "Terminating");
    let (code, reason, message) = client.post(maps, &json!({"metadata": {"name": "n"}})).await.refused();
    assert_eq!((code, reason.as_str()), (403, "Forbidden"));
    assert!(message.ends_with("because it is being terminated"), "{message}");
    client.merge(&format!("{maps}/m"), &json!({"metadata": {"finalizers": null}})).await;
    client.gone("/api/v1/namespaces", "/api/v1/namespaces/a").await;
    assert_eq!(client.get(&format!("{maps}/m")).await.code, 404);
    assert_eq!(client.delete("/api/v1/namespaces/default").await.refused().0, 403);
}

#[tokio::test]
async fn services_get_addresses_of_their_own() {
    let client = Client::new();
    let services = "/api/v1/namespaces/default/services";
    let service =
        |name: &str| json!({"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let a = client.post(services, &service("a")).await.ok();
    let b = client.post(services, &service("b")).await.ok();
    assert_ne!(a["spec"]["clusterIP"], b["spec"]["clusterIP"]);
    assert_ne!(a["spec"]["ports"][0]["nodePort"], b["spec"]["ports"][0]["nodePort"]);
    let kept = client.put(&format!("{services}/a"), &service("a")).await.ok();
    assert_eq!(kept["spec"], a["spec"]);
    let moved =
        client.merge(&format!("{services}/a"), &json!({"spec": {"clusterIP": "10.96.200.200"}})).await.refused();
    assert!(moved.2.contains("may not change once set"), "{}", moved.2);
}

#[tokio::test]
async fn roles_decide_for_those_who_are_not_the_administrator() {
    let client = Client::new();
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let rules = json!([{"verbs": ["get", "patch"], "apiGroups": [""], "resources": ["configmaps"]}]);
    client.post(&format!("{rbac}/roles"), &json!({"metadata": {"name": "r"}, "rules": rules})).await.ok();
    let binding = json!({
        "metadata": {"name": "b"}, "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "sa", "namespace": "default"}],
    });
    client.post(&format!("{rbac}/rolebindings"), &binding).await.ok();
    client.post(MAPS, &json!({"metadata": {"name": "a"}})).await.ok();
    let tenant = client.acting_as("system:serviceaccount:default:sa");
    tenant.get(&format!("{MAPS}/a")).await.ok();
    let (code, _, message) = tenant.get(&format!("{MAPS}?limit=1")).await.refused();
    assert_eq!(code, 403);
    assert!(message.contains(r#"User "system:serviceaccount:default:sa" cannot list resource "configmaps" in API group "" in the namespace "default""#), "{message}");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}});
    let denied = tenant.apply(&format!("{MAPS}/new?fieldManager=m"), &config).await.refused();
    assert!(denied.2.contains("cannot create resource"), "{}", denied.2);
}
