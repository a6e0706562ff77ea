//! What every cluster has from its first moment.

use std::sync::Arc;

use jiff::Timestamp;
use soll_yaml::{Value, parse_json};

use crate::kinds::namespace::BOOTSTRAP;
use crate::rest::Api;
use crate::store::{Expected, Key};
use crate::{auth, fields, kinds, meta};

/// The cluster roles that people and controllers count on, and who has them, as kube-apiserver 1.35 makes them.
const RBAC: &str = include_str!("bootstrap/rbac.json");

/// Group, version, plural and body of each other object but the namespaces, as JSON.
const OBJECTS: &[(&str, &str, &str, &str)] = &[
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

/// The manager of what the server makes by itself.
pub(crate) const SELF: &str = "kube-apiserver";

/// Puts it all into a store, as far as it is not there. What a cluster can do without is not put back once it was taken away.
pub(crate) fn fill(api: &Arc<Api>, is_new: bool) {
    for name in BOOTSTRAP {
        let mut namespace = Value::map();
        meta::set_text(&mut namespace, "name", name);
        kinds::namespace::prepare_create(&mut namespace);
        put(api, SELF, ("", "v1", "namespaces"), namespace);
    }
    let roles = parse_json(RBAC.as_bytes()).expect("the bootstrap objects are JSON");
    for object in roles.as_list().into_iter().flatten() {
        let plural = match object.lookup_str(&["kind"]) {
            Some("ClusterRole") => "clusterroles",
            _ => "clusterrolebindings",
        };
        put(api, SELF, ("rbac.authorization.k8s.io", "v1", plural), object.clone());
    }
    auth::aggregation::refresh(api);
    put_service_range(api);
    for (group, version, plural, body) in OBJECTS {
        if *group == "storage.k8s.io" && !is_new {
            continue;
        }
        let object = parse_json(body.as_bytes()).expect("the bootstrap objects are JSON");
        put(api, SELF, (group, version, plural), object);
    }
    // Those that a former version kept have no objects for their addresses.
    for service in api.store.snapshot("/services").0.iter() {
        kinds::service::book(api, &service.value);
    }
    kinds::service::release_left_behind(api);
}

/// The range of the addresses of services, as the controller in kube-apiserver makes it and finds it ready.
fn put_service_range(api: &Arc<Api>) {
    const KIND: (&str, &str) = ("networking.k8s.io/v1", "ServiceCIDR");
    let made = format!(
        r#"{{"apiVersion":"{}","kind":"{}","metadata":{{"name":"kubernetes"}},"spec":{{"cidrs":["{}"]}}}}"#,
        KIND.0,
        KIND.1,
        kinds::service::RANGE
    );
    let now = meta::time(Timestamp::now());
    let found = format!(
        r#"{{"apiVersion":"{}","kind":"{}","metadata":{{"name":"kubernetes"}},"status":{{"conditions":[{{"type":"Ready",
        "status":"True","lastTransitionTime":"{now}","message":"Kubernetes default Service CIDR is ready"}}]}}}}"#,
        KIND.0, KIND.1
    );
    let [made, found] = [made, found].map(|text| parse_json(text.as_bytes()).expect("the bootstrap objects are JSON"));
    let made = fields::by_server(SELF, "", None, &made);
    let mut found = fields::applied_by_server("kubernetes-service-cidr-controller", "status", &made, &found);
    // Nobody gave a reason, and Go writes it.
    let conditions = found.get_mut("status").and_then(|status| status.get_mut("conditions")?.as_list_mut());
    for condition in conditions.into_iter().flatten() {
        condition.make_map().insert("reason", Value::str(""));
    }
    put_as_it_is(api, ("networking.k8s.io", "v1", "servicecidrs"), found);
}

/// Stores an object that the server makes itself, unless there is one of that name.
pub(crate) fn put(api: &Arc<Api>, manager: &str, (group, version, plural): (&str, &str, &str), mut object: Value) {
    let table = api.registry.table();
    let resource = table.find(group, version, plural).expect("the server makes builtin kinds only");
    let top = object.make_map();
    top.insert("apiVersion", Value::from(resource.api_version()));
    top.insert("kind", Value::str(&resource.kind));
    kinds::settle(resource, &mut object);
    object = fields::by_server(manager, "", None, &object);
    put_as_it_is(api, (group, version, plural), object);
}

fn put_as_it_is(api: &Arc<Api>, (group, version, plural): (&str, &str, &str), mut object: Value) {
    let table = api.registry.table();
    let resource = table.find(group, version, plural).expect("the server makes builtin kinds only");
    meta::set_text(&mut object, "uid", &uuid::Uuid::new_v4().to_string());
    meta::set_text(&mut object, "creationTimestamp", &meta::time(Timestamp::now()));
    let key = Key::new(meta::text(&object, "namespace"), meta::text(&object, "name"));
    // Somebody who was faster made what is wanted.
    let _ = api.store.put(&resource.drawer, &key, Expected::Absent, object);
}
