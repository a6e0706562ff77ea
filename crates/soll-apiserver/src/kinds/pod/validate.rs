//! What makes a pod spec invalid: the rules that people run into.

use std::collections::{HashMap, HashSet};

use soll_yaml::Value;

use super::super::checks::{invalid, items, list, named, one_of, optional, quoted, text};
use super::container::{self, LAST_ID, Pod};
use super::placement;
use crate::names;
use crate::refusal::Cause;

/// Where the content of a volume may come from, in the order in which it is looked for.
const SOURCES: [&str; 11] = [
    "emptyDir",
    "hostPath",
    "secret",
    "nfs",
    "iscsi",
    "persistentVolumeClaim",
    "downwardAPI",
    "configMap",
    "projected",
    "csi",
    "ephemeral",
];

/// What is wrong with the pod spec at `at`.
pub(crate) fn check(spec: &Value, at: &str) -> Vec<Cause> {
    let mut causes = check_containers(spec, at);
    causes.extend(check_volumes(spec, at));
    let field = |name: &str| format!("{at}.{name}");
    causes.extend(one_of(field("restartPolicy"), text(spec, &["restartPolicy"]), &["Always", "OnFailure", "Never"]));
    causes.extend(check_names(spec, at));
    causes.extend(placement::check(spec, at));
    let deadline = spec.get("activeDeadlineSeconds").and_then(Value::as_i64);
    if let Some(deadline) = deadline.filter(|deadline| !(1..=i64::from(i32::MAX)).contains(deadline)) {
        let why = "must be between 1 and 2147483647, inclusive";
        causes.push(Cause::invalid(field("activeDeadlineSeconds"), &deadline.to_string(), why));
    }
    let mut gates = HashSet::new();
    for (at, gate) in items(spec, "schedulingGates", at) {
        let name = text(gate, &["name"]);
        causes.extend(names::label_key_causes(&at, name));
        if !gates.insert(name) {
            causes.push(Cause::duplicate(at, &quoted(name)));
        }
    }
    for (at, gate) in items(spec, "readinessGates", at) {
        causes.extend(names::label_key_causes(&format!("{at}.conditionType"), text(gate, &["conditionType"])));
    }
    if let Some(context) = spec.get("securityContext") {
        causes.extend(check_security(&field("securityContext"), context));
    }
    if let Some(system) = spec.lookup_str(&["os", "name"]) {
        causes.extend(one_of(field("os"), system, &["linux", "windows"]));
    }
    causes
}

fn check_containers(spec: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let volumes = list(spec, &["volumes"]).iter().filter(|volume| second_source(volume).is_none());
    let is_claim =
        |volume: &Value| ["persistentVolumeClaim", "ephemeral"].iter().any(|source| volume.get(source).is_some());
    let pod =
        Pod { volumes: volumes.map(|volume| (text(volume, &["name"]), is_claim(volume))).collect::<HashMap<_, _>>() };
    if list(spec, &["containers"]).is_empty() {
        causes.push(Cause::required(format!("{at}.containers"), ""));
    }
    let mut names = HashSet::new();
    for part in ["containers", "initContainers"] {
        for (at, one) in items(spec, part, at) {
            let name = text(one, &["name"]);
            causes.extend(named(format!("{at}.name"), name, label));
            if !name.is_empty() && !names.insert(name) {
                causes.push(Cause::duplicate(format!("{at}.name"), &quoted(name)));
            }
            causes.extend(container::check(&at, one, &pod, part == "initContainers"));
        }
    }
    causes
}

/// A label, in which a dot is as wrong as anything else.
fn label(name: &str) -> Result<(), String> {
    if name.len() > 63 { Err("must be no more than 63 characters".to_owned()) } else { names::plain_label(name) }
}

/// The second of the sources of a volume, of which one may be there.
fn second_source(volume: &Value) -> Option<&'static str> {
    SOURCES.into_iter().filter(|source| volume.get(source).is_some()).nth(1)
}

fn check_volumes(spec: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut seen = HashSet::new();
    for (at, volume) in items(spec, "volumes", at) {
        let name = text(volume, &["name"]);
        causes.extend(named(format!("{at}.name"), name, label));
        if !name.is_empty() && !seen.insert(name) {
            causes.push(Cause::duplicate(format!("{at}.name"), &quoted(name)));
        }
        if let Some(second) = second_source(volume) {
            causes.push(Cause::forbidden(format!("{at}.{second}"), "may not specify more than 1 volume type"));
        }
        for (source, name) in [("secret", "secretName"), ("configMap", "name"), ("persistentVolumeClaim", "claimName")]
        {
            let Some(of) = volume.get(source) else { continue };
            if text(of, &[name]).is_empty() {
                causes.push(Cause::required(format!("{at}.{source}.{name}"), ""));
            }
        }
        for source in ["secret", "configMap", "downwardAPI", "projected"] {
            let Some(of) = volume.get(source) else { continue };
            causes.extend(mode(format!("{at}.{source}.defaultMode"), of.get("defaultMode")));
            for (at, item) in items(of, "items", &format!("{at}.{source}")) {
                causes.extend(mode(format!("{at}.mode"), item.get("mode")));
            }
        }
    }
    causes
}

/// The mode of a file.
fn mode(field: String, mode: Option<&Value>) -> Option<Cause> {
    let mode = mode.and_then(Value::as_i64).filter(|mode| !(0..=0o777).contains(mode))?;
    Some(Cause::invalid(field, &mode.to_string(), "must be a number between 0 and 0777 (octal), both inclusive"))
}

/// What is wrong with how a pod is called, and how it finds others.
fn check_names(spec: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    for part in ["hostname", "subdomain"] {
        let name = text(spec, &[part]);
        causes.extend(optional(format!("{at}.{part}"), name, label));
    }
    let account = text(spec, &["serviceAccountName"]);
    causes.extend(optional(format!("{at}.serviceAccountName"), account, names::subdomain));
    for (at, alias) in items(spec, "hostAliases", at) {
        let ip = text(alias, &["ip"]);
        causes.extend(invalid(format!("{at}.ip"), ip, names::ip(ip)));
        for (at, name) in items(alias, "hostnames", &at) {
            let name = name.as_str().unwrap_or_default();
            causes.extend(invalid(at, name, names::subdomain(name)));
        }
    }
    let policy = text(spec, &["dnsPolicy"]);
    let known = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
    causes.extend(one_of(format!("{at}.dnsPolicy"), policy, &known));
    if policy == "None" {
        if spec.get("dnsConfig").is_none() {
            let why = "must provide `dnsConfig` when `dnsPolicy` is None";
            causes.push(Cause::required(format!("{at}.dnsConfig"), why));
        } else if list(spec, &["dnsConfig", "nameservers"]).is_empty() {
            let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            causes.push(Cause::required(format!("{at}.dnsConfig.nameservers"), why));
        }
    }
    causes
}

fn check_security(at: &str, context: &Value) -> Vec<Cause> {
    let mut causes = container::check_identities(at, context, &["fsGroup", "runAsUser", "runAsGroup"]);
    for (at, group) in items(context, "supplementalGroups", at) {
        if let Some(group) = group.as_i64().filter(|group| !(0..=LAST_ID).contains(group)) {
            let why = "must be between 0 and 2147483647, inclusive";
            causes.push(Cause::invalid(at, &group.to_string(), why));
        }
    }
    let mut seen = HashSet::new();
    for (at, setting) in items(context, "sysctls", at) {
        let name = text(setting, &["name"]);
        if name.is_empty() {
            causes.push(Cause::required(format!("{at}.name"), ""));
        } else if !names::is_sysctl(name) {
            let why = "must have at most 253 characters and match regex \
                       ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            causes.push(Cause::invalid(format!("{at}.name"), &quoted(name), why));
        } else if !seen.insert(name) {
            causes.push(Cause::duplicate(format!("{at}.name"), &quoted(name)));
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    #[test]
    fn mistakes_are_named_by_field() {
        let spec = br#"{"restartPolicy":"Always","dnsPolicy":"ClusterFirst","containers":[{"name":"A","imagePullPolicy":"Always",
            "terminationMessagePolicy":"File","ports":[{"containerPort":70000,"protocol":"TCP"}],
            "volumeMounts":[{"name":"v","mountPath":"/v"}]}]}"#;
        let causes = check(&parse_json(spec).expect("JSON"), "spec");
        let fields: Vec<_> = causes.iter().map(|cause| (cause.kind, cause.field.as_str())).collect();
        assert_eq!(
            fields,
            [
                ("FieldValueInvalid", "spec.containers[0].name"),
                ("FieldValueRequired", "spec.containers[0].image"),
                ("FieldValueInvalid", "spec.containers[0].ports[0].containerPort"),
                ("FieldValueNotFound", "spec.containers[0].volumeMounts[0].name"),
            ]
        );
    }
}
