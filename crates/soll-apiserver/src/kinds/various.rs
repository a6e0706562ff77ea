//! The defaults of kinds that need a line or two.

use soll_yaml::{Map, Value};

use super::{child, default, items};
use crate::refusal::Cause;

const RBAC: &str = "rbac.authorization.k8s.io";

fn spec_of(object: &mut Value) -> &mut Map {
    object.make_map().get_or_insert_with("spec", Value::map).make_map()
}

/// Secrets of service accounts are in their namespace, so only their names are kept.
pub(crate) fn name_secrets_only(object: &mut Value) {
    for secret in items(object.make_map(), "secrets") {
        secret.retain(|entry| entry.key == "name");
    }
}

/// What is wrong with an ingress.
pub(crate) fn validate_ingress(object: &Value) -> Vec<Cause> {
    let rules = object.lookup(&["spec", "rules"]).and_then(Value::as_list).unwrap_or_default();
    if rules.is_empty() && object.lookup(&["spec", "defaultBackend"]).is_none() {
        return vec![Cause::invalid("spec", "null", "either `defaultBackend` or `rules` must be specified")];
    }
    let mut causes = Vec::new();
    if let Some(backend) = object.lookup(&["spec", "defaultBackend"]) {
        causes.extend(validate_backend(backend, "spec.defaultBackend"));
    }
    for (index, rule) in rules.iter().enumerate() {
        let paths = rule.lookup(&["http", "paths"]).and_then(Value::as_list);
        let at = format!("spec.rules[{index}].http.paths");
        if rule.get("http").is_some() && paths.is_none_or(<[Value]>::is_empty) {
            causes.push(Cause::required(&at, ""));
        }
        for (index, path) in paths.unwrap_or_default().iter().enumerate() {
            causes.extend(validate_path(path, &format!("{at}[{index}]")));
        }
    }
    causes
}

fn validate_path(path: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = path.lookup_str(&["path"]).unwrap_or_default();
    match path.lookup_str(&["pathType"]) {
        None => causes.push(Cause::required(format!("{at}.pathType"), "pathType must be specified")),
        Some("Exact" | "Prefix") if !text.starts_with('/') => {
            causes.push(Cause::invalid(format!("{at}.path"), &format!("{text:?}"), "must be an absolute path"));
        }
        Some("Exact" | "Prefix" | "ImplementationSpecific") => {}
        Some(other) => {
            let known = ["Exact", "ImplementationSpecific", "Prefix"];
            causes.push(Cause::unsupported(format!("{at}.pathType"), &format!("{other:?}"), &known));
        }
    }
    causes.extend(
        path.get("backend").into_iter().flat_map(|backend| validate_backend(backend, &format!("{at}.backend"))),
    );
    causes
}

fn validate_backend(backend: &Value, at: &str) -> Vec<Cause> {
    let Some(service) = backend.get("service") else {
        let nobody = backend.get("resource").is_none();
        return nobody
            .then(|| Cause::invalid(at, "\"\"", "resource or service backend is required"))
            .into_iter()
            .collect();
    };
    let mut causes = Vec::new();
    if service.lookup_str(&["name"]).is_none_or(str::is_empty) {
        causes.push(Cause::required(format!("{at}.service.name"), ""));
    }
    let name = service.lookup_str(&["port", "name"]).is_some_and(|name| !name.is_empty());
    let number = service.lookup(&["port", "number"]).and_then(Value::as_i64).unwrap_or(0) != 0;
    match (name, number) {
        (false, false) => causes.push(Cause::required(at, "port name or number is required")),
        (true, true) => {
            causes.push(Cause::invalid(at, &crate::refusal::shown(backend), "cannot set both port name & port number"));
        }
        _ => {}
    }
    causes
}

/// What is wrong with a network policy: peers that are nobody, or two things at once.
pub(crate) fn validate_network_policy(object: &Value) -> Vec<Cause> {
    let list = |value: &Value, field: &str| value.get(field).and_then(Value::as_list).unwrap_or_default().to_vec();
    let spec = object.get("spec").cloned().unwrap_or_default();
    let mut causes = Vec::new();
    for (direction, side) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in list(&spec, direction).iter().enumerate() {
            for (place, peer) in list(rule, side).iter().enumerate() {
                let at = format!("spec.{direction}[{index}].{side}[{place}]");
                let selects = peer.get("podSelector").is_some() || peer.get("namespaceSelector").is_some();
                match (selects, peer.get("ipBlock").is_some()) {
                    (false, false) => causes.push(Cause::required(at, "must specify a peer")),
                    (true, true) => {
                        causes.push(Cause::forbidden(at, "may not specify both ipBlock and another peer"));
                    }
                    _ => {}
                }
            }
        }
    }
    causes
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

/// Drivers of volumes: they attach, and do nothing else unless they say so.
pub(crate) fn driver(object: &mut Value) {
    let spec = spec_of(object);
    for (field, value) in [
        ("attachRequired", true),
        ("podInfoOnMount", false),
        ("storageCapacity", false),
        ("requiresRepublish", false),
        ("seLinuxMount", false),
    ] {
        default(spec, field, value);
    }
    default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    default(spec, "volumeLifecycleModes", Value::list(vec![Value::str("Persistent")]));
}

/// What users of a volume are told of its policy.
pub(crate) fn warn_of_volume(volume: &Value) -> Option<String> {
    let recycles = volume.lookup_str(&["spec", "persistentVolumeReclaimPolicy"]) == Some("Recycle");
    recycles.then(|| {
        "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use \
         dynamic provisioning."
            .to_owned()
    })
}

/// API services: their servers listen where servers of HTTPS do.
pub(crate) fn api_service(object: &mut Value) {
    if let Some(service) = child(spec_of(object), "service") {
        default(service, "port", 443);
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

/// What is wrong with the change of a volume: it stays what it is made of.
pub(crate) fn validate_volume_update(old: &Value, object: &Value) -> Vec<Cause> {
    const NOT_THE_SOURCE: [&str; 9] = [
        "capacity",
        "accessModes",
        "claimRef",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "mountOptions",
        "volumeMode",
        "nodeAffinity",
        "volumeAttributesClassName",
    ];
    let source = |object: &Value| {
        let mut source = object.get("spec").cloned().unwrap_or_default();
        source.make_map().retain(|entry| !NOT_THE_SOURCE.contains(&entry.key.as_str()));
        if let Some(driver) = child(source.make_map(), "csi") {
            // This may still be named later.
            driver.remove("controllerExpandSecretRef");
        }
        source
    };
    let mut causes = Vec::new();
    if source(old) != source(object) {
        let why = "spec.persistentvolumesource is immutable after creation";
        causes.push(Cause::forbidden("spec.persistentvolumesource", why));
    }
    let mode = |object: &Value| object.lookup(&["spec", "volumeMode"]).cloned();
    if mode(old) != mode(object) {
        let shown = mode(object).as_ref().map_or("null".into(), crate::refusal::shown);
        causes.push(Cause::invalid("volumeMode", &shown, "field is immutable"));
    }
    causes
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
