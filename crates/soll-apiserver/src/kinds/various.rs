//! The defaults of kinds that need a line or two.

use soll_yaml::{Map, Value};

use super::{child, default, items};

const RBAC: &str = "rbac.authorization.k8s.io";

fn spec_of(object: &mut Value) -> &mut Map {
    object.make_map().get_or_insert_with("spec", Value::map).make_map()
}

/// A list that Go writes as null where there is none.
pub(crate) fn list_or_null(object: &mut Value, within: &[&str], field: &str) {
    let mut place = object.make_map();
    for key in within {
        place = place.get_or_insert_with(key, Value::map).make_map();
    }
    default(place, field, Value::null());
}

/// Network policies: which directions they are about, and TCP.
pub(crate) fn network_policy(object: &mut Value) {
    let spec = spec_of(object);
    let mut types = vec![Value::str("Ingress")];
    if spec.get("egress").and_then(Value::as_list).is_some_and(|rules| !rules.is_empty()) {
        types.push(Value::str("Egress"));
    }
    default(spec, "policyTypes", Value::list(types));
    for direction in ["ingress", "egress"] {
        for rule in items(spec, direction) {
            items(rule, "ports").for_each(|port| default(port, "protocol", "TCP"));
        }
    }
}

/// Autoscalers: one replica at least, and 80 % of the processor if no metric is named.
pub(crate) fn autoscaler(object: &mut Value) {
    let spec = spec_of(object);
    default(spec, "minReplicas", 1);
    if spec.get("metrics").is_none() {
        let target = Map::from_iter([("type", Value::str("Utilization")), ("averageUtilization", Value::from(80))]);
        let resource = Map::from_iter([("name", Value::str("cpu")), ("target", target.into())]);
        let metric = Map::from_iter([("type", Value::str("Resource")), ("resource", resource.into())]);
        spec.insert("metrics", Value::list(vec![metric.into()]));
    }
}

/// Bindings: the API group of the role and of the subjects.
pub(crate) fn role_binding(object: &mut Value) {
    let binding = object.make_map();
    if let Some(role) = child(binding, "roleRef") {
        default(role, "apiGroup", RBAC);
    }
    for subject in items(binding, "subjects") {
        if matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group")) {
            default(subject, "apiGroup", RBAC);
        }
    }
}

/// Storage classes.
pub(crate) fn storage_class(object: &mut Value) {
    let class = object.make_map();
    default(class, "reclaimPolicy", "Delete");
    default(class, "volumeBindingMode", "Immediate");
}

/// Ingress classes: their parameters are the cluster's.
pub(crate) fn ingress_class(object: &mut Value) {
    if let Some(parameters) = child(spec_of(object), "parameters") {
        default(parameters, "scope", "Cluster");
    }
}

/// Volumes.
pub(crate) fn volume(object: &mut Value) {
    let spec = spec_of(object);
    default(spec, "volumeMode", "Filesystem");
    default(spec, "persistentVolumeReclaimPolicy", "Retain");
    if let Some(path) = child(spec, "hostPath") {
        default(path, "type", "");
    }
}

/// The ports of endpoint slices.
pub(crate) fn endpoint_slice(object: &mut Value) {
    for port in items(object.make_map(), "ports") {
        default(port, "name", "");
        default(port, "protocol", "TCP");
    }
}

/// Limit ranges: what containers get by default they also request by default.
pub(crate) fn limit_range(object: &mut Value) {
    for limit in items(spec_of(object), "limits") {
        if limit.get("type").and_then(Value::as_str) != Some("Container") {
            continue;
        }
        let most = limit.get("max").cloned();
        for (field, from) in [("default", most), ("defaultRequest", limit.get("default").cloned())] {
            let Some(from) = from.as_ref().and_then(Value::as_map).filter(|from| !from.is_empty()) else { continue };
            let held = limit.get_or_insert_with(field, Value::map).make_map();
            for entry in from {
                default(held, &entry.key, entry.value.clone());
            }
        }
    }
}

/// Claims on volumes.
pub(crate) fn volume_claim(object: &mut Value) {
    default(spec_of(object), "volumeMode", "Filesystem");
}

/// Priority classes.
pub(crate) fn priority_class(object: &mut Value) {
    default(object.make_map(), "preemptionPolicy", "PreemptLowerPriority");
}

/// The ports of `Endpoints`.
pub(crate) fn endpoints(object: &mut Value) {
    for subset in items(object.make_map(), "subsets") {
        items(subset, "ports").for_each(|port| default(port, "protocol", "TCP"));
    }
}

/// Admission webhooks.
pub(crate) fn webhooks(plural: &str, object: &mut Value) {
    for webhook in items(object.make_map(), "webhooks") {
        default(webhook, "failurePolicy", "Fail");
        default(webhook, "matchPolicy", "Equivalent");
        default(webhook, "timeoutSeconds", 10);
        default(webhook, "namespaceSelector", Value::map());
        default(webhook, "objectSelector", Value::map());
        if plural == "mutatingwebhookconfigurations" {
            default(webhook, "reinvocationPolicy", "Never");
        }
        items(webhook, "rules").for_each(|rule| default(rule, "scope", "*"));
        if let Some(service) = child(webhook, "clientConfig").and_then(|client| child(client, "service")) {
            default(service, "port", 443);
        }
    }
}
