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

/// What is wrong with an autoscaler.
pub(crate) fn validate_autoscaler(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let number = |field: &str| object.lookup(&["spec", field]).and_then(Value::as_i64).unwrap_or(0);
    let (least, most) = (number("minReplicas"), number("maxReplicas"));
    if least < 1 {
        let why = "must be greater than or equal to 1";
        causes.push(Cause::invalid("spec.minReplicas", &least.to_string(), why));
    }
    if most < 1 {
        causes.push(Cause::invalid("spec.maxReplicas", &most.to_string(), "must be greater than 0"));
    }
    if most < least {
        let why = "must be greater than or equal to `minReplicas`";
        causes.push(Cause::invalid("spec.maxReplicas", &most.to_string(), why));
    }
    let of_target = |field: &str| object.lookup_str(&["spec", "scaleTargetRef", field]).unwrap_or_default();
    for field in ["kind", "name"] {
        if of_target(field).is_empty() {
            causes.push(Cause::required(format!("spec.scaleTargetRef.{field}"), ""));
        }
    }
    if !of_target("apiVersion").contains('/') && of_target("kind") != "ReplicationController" {
        let shown = format!("{:?}", of_target("apiVersion"));
        causes.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &shown, "apiVersion must specify API group"));
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
    // Who says anything of the behaviour gets the rest of it.
    if let Some(behavior) = child(spec, "behavior") {
        let pods = scaling_policy("Pods", 4);
        let all = scaling_policy("Percent", 100);
        let up = behavior.get_or_insert_with("scaleUp", Value::map).make_map();
        default(up, "stabilizationWindowSeconds", 0);
        default(up, "selectPolicy", "Max");
        default(up, "policies", Value::list(vec![pods, all.clone()]));
        let down = behavior.get_or_insert_with("scaleDown", Value::map).make_map();
        default(down, "selectPolicy", "Max");
        default(down, "policies", Value::list(vec![all]));
    }
}

fn scaling_policy(kind: &str, value: i64) -> Value {
    let entries = [("type", Value::str(kind)), ("value", Value::from(value)), ("periodSeconds", Value::from(15))];
    Map::from_iter(entries).into()
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
