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

/// Claims on volumes.
pub(crate) fn volume_claim(object: &mut Value) {
    default(spec_of(object), "volumeMode", "Filesystem");
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
