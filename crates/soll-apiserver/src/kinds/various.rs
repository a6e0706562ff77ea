//! The defaults of kinds that need a line or two.

use soll_yaml::Value;

use super::{child, default, items, spec_of};

const RBAC: &str = "rbac.authorization.k8s.io";

/// Secrets of service accounts are in their namespace, so only their names are kept.
pub(crate) fn name_secrets_only(object: &mut Value) {
    for secret in items(object.make_map(), "secrets") {
        secret.retain(|entry| entry.key == "name");
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

/// API services: their servers listen where servers of HTTPS do.
pub(crate) fn api_service(object: &mut Value) {
    if let Some(service) = child(spec_of(object), "service") {
        default(service, "port", 443);
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

/// Admission policies and their bindings: what they are about, and that they fail.
pub(crate) fn admission_policy(plural: &str, object: &mut Value) {
    let spec = spec_of(object);
    let matched = if plural == "validatingadmissionpolicies" {
        default(spec, "failurePolicy", "Fail");
        "matchConstraints"
    } else {
        "matchResources"
    };
    if let Some(matched) = child(spec, matched) {
        default(matched, "matchPolicy", "Equivalent");
        default(matched, "namespaceSelector", Value::map());
        default(matched, "objectSelector", Value::map());
        for rules in ["resourceRules", "excludeResourceRules"] {
            items(matched, rules).for_each(|rule| default(rule, "scope", "*"));
        }
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
