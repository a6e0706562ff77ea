//! What every cluster has from its first moment.

use std::sync::Arc;

use jiff::Timestamp;
use soll_yaml::{Value, parse_json};

use crate::kinds::namespace::BOOTSTRAP;
use crate::rest::Api;
use crate::store::{Expected, Key};
use crate::{kinds, meta};

/// Group, version, plural and body of each object but the namespaces, as JSON.
const OBJECTS: &[(&str, &str, &str, &str)] = &[
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterroles",
        r#"{"metadata":{"name":"cluster-admin"},"rules":[
        {"verbs":["*"],"apiGroups":["*"],"resources":["*"]},{"verbs":["*"],"nonResourceURLs":["*"]}]}"#,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterroles",
        r#"{"metadata":{"name":"admin"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-admin":"true"}},{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-edit":"true"}},{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}}]},"rules":[
        {"verbs":["*"],"apiGroups":["","apps","batch","autoscaling","networking.k8s.io","policy","discovery.k8s.io","rbac.authorization.k8s.io","coordination.k8s.io","events.k8s.io"],
         "resources":["*"]}]}"#,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterroles",
        r#"{"metadata":{"name":"edit"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-edit":"true"}},{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}}]},"rules":[
        {"verbs":["*"],"apiGroups":["","apps","batch","autoscaling","networking.k8s.io","policy","discovery.k8s.io","coordination.k8s.io","events.k8s.io"],
         "resources":["*"]}]}"#,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterroles",
        r#"{"metadata":{"name":"view"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}}]},"rules":[
        {"verbs":["get","list","watch"],"apiGroups":[""],"resources":["configmaps","endpoints","events","limitranges","namespaces","persistentvolumeclaims","pods","pods/log","pods/status","replicationcontrollers","resourcequotas","serviceaccounts","services"]},
        {"verbs":["get","list","watch"],"apiGroups":["apps","batch","autoscaling","networking.k8s.io","policy","discovery.k8s.io","events.k8s.io"],"resources":["*"]}]}"#,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterroles",
        r#"{"metadata":{"name":"system:basic-user"},"rules":[
        {"verbs":["create"],"apiGroups":["authorization.k8s.io"],"resources":["selfsubjectaccessreviews","selfsubjectrulesreviews"]},
        {"verbs":["create"],"apiGroups":["authentication.k8s.io"],"resources":["selfsubjectreviews"]}]}"#,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterrolebindings",
        r#"{"metadata":{"name":"cluster-admin"},
        "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},
        "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:masters"}]}"#,
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "clusterrolebindings",
        r#"{"metadata":{"name":"system:basic-user"},
        "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"system:basic-user"},
        "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:authenticated"}]}"#,
    ),
    (
        "storage.k8s.io",
        "v1",
        "storageclasses",
        r#"{"metadata":{"name":"standard","annotations":
        {"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"sim.soll.dev/volume",
        "reclaimPolicy":"Delete","volumeBindingMode":"WaitForFirstConsumer"}"#,
    ),
    (
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        r#"{"metadata":{"name":"system-cluster-critical"},"value":2000000000,"preemptionPolicy":"PreemptLowerPriority"}"#,
    ),
    (
        "scheduling.k8s.io",
        "v1",
        "priorityclasses",
        r#"{"metadata":{"name":"system-node-critical"},"value":2000001000,"preemptionPolicy":"PreemptLowerPriority"}"#,
    ),
    (
        "",
        "v1",
        "services",
        r#"{"metadata":{"name":"kubernetes","namespace":"default","labels":{"component":"apiserver","provider":"kubernetes"}},
        "spec":{"type":"ClusterIP","clusterIP":"10.96.0.1","clusterIPs":["10.96.0.1"],"ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack",
        "ports":[{"name":"https","port":443,"targetPort":6443}]}}"#,
    ),
];

/// Puts it all into an empty store.
pub(crate) fn fill(api: &Arc<Api>) {
    for name in BOOTSTRAP {
        let mut namespace = Value::map();
        meta::set_text(&mut namespace, "name", name);
        kinds::namespace::prepare_create(&mut namespace);
        put(api, "", "v1", "namespaces", namespace);
    }
    for (group, version, plural, body) in OBJECTS {
        let object = parse_json(body.as_bytes()).expect("the bootstrap objects are JSON");
        put(api, group, version, plural, object);
    }
}

/// Stores an object that the server makes itself, unless there is one of that name.
pub(crate) fn put(api: &Arc<Api>, group: &str, version: &str, plural: &str, mut object: Value) {
    let table = api.registry.table();
    let resource = table.find(group, version, plural).expect("the server makes builtin kinds only");
    let top = object.make_map();
    top.insert("apiVersion", Value::from(resource.api_version()));
    top.insert("kind", Value::str(&resource.kind));
    kinds::settle(resource, &mut object);
    meta::set_text(&mut object, "uid", &uuid::Uuid::new_v4().to_string());
    meta::set_text(&mut object, "creationTimestamp", &meta::time(Timestamp::now()));
    let key = Key::new(meta::text(&object, "namespace"), meta::text(&object, "name"));
    // Somebody who was faster made what is wanted.
    let _ = api.store.put(&resource.drawer, &key, Expected::Absent, object);
}
