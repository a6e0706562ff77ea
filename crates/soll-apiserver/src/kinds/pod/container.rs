//! What makes a container invalid.

use std::collections::{HashMap, HashSet};

use soll_yaml::Value;

use super::super::amount;
use super::super::checks::{
    PROTOCOLS, at_least_zero, invalid, items, list, named, number, one_of, port_name, port_number, quoted, text,
};
use crate::names;
use crate::refusal::{Cause, shown};

/// The largest number of a user or a group.
pub(super) const LAST_ID: i64 = i32::MAX as i64;
const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
const HOOKS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "sleep"];
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
/// What a variable may come from.
const ORIGINS: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
/// The fields of a pod that a variable may show.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Others that are known, and not for variables.
const OTHER_FIELDS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase"];

/// What is known of the pod around a container.
pub(super) struct Pod<'p> {
    /// The volumes, and which of them are claims.
    pub(super) volumes: HashMap<&'p str, bool>,
}

/// What is wrong with a container; `is_first` says whether it ends before the others start.
pub(super) fn check(at: &str, container: &Value, pod: &Pod<'_>, is_first: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    let field = |name: &str| format!("{at}.{name}");
    let image = text(container, &["image"]);
    if image.is_empty() {
        causes.push(Cause::required(field("image"), ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        causes.push(Cause::invalid(field("image"), &quoted(image), why));
    }
    let policies = ["Always", "IfNotPresent", "Never"];
    causes.extend(one_of(field("imagePullPolicy"), text(container, &["imagePullPolicy"]), &policies));
    let policies = ["File", "FallbackToLogsOnError"];
    let policy = text(container, &["terminationMessagePolicy"]);
    causes.extend(one_of(field("terminationMessagePolicy"), policy, &policies));
    if let Some(policy) = container.get("restartPolicy").and_then(Value::as_str) {
        causes.extend(one_of(field("restartPolicy"), policy, &["Always", "Never", "OnFailure"]));
    }
    let ends = is_first && text(container, &["restartPolicy"]) != "Always";
    for name in PROBES {
        let Some(probe) = container.get(name) else { continue };
        if ends {
            let why = "may not be set for init containers without restartPolicy=Always";
            causes.push(Cause::forbidden(field(name), why));
        } else {
            causes.extend(check_probe(&field(name), probe, name != "readinessProbe"));
        }
    }
    causes.extend(check_ports(container, at));
    causes.extend(items(container, "env", at).flat_map(|(at, variable)| check_variable(&at, variable)));
    for from in list(container, &["envFrom"]) {
        let count = ["configMapRef", "secretRef"].iter().filter(|origin| from.get(origin).is_some()).count();
        let why = match count {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        causes.push(Cause::invalid(field("envFrom"), "\"\"", why));
    }
    causes.extend(check_mounts(container, at, pod));
    for hook in ["postStart", "preStop"] {
        let Some(handler) = container.lookup(&["lifecycle", hook]) else { continue };
        if ends {
            continue;
        }
        causes.extend(check_handler(&format!("{at}.lifecycle.{hook}"), handler, &HOOKS));
    }
    if ends && container.get("lifecycle").is_some() {
        let why = "may not be set for init containers without restartPolicy=Always";
        causes.push(Cause::forbidden(field("lifecycle"), why));
    }
    causes.extend(container.get("resources").into_iter().flat_map(|all| check_resources(&field("resources"), all)));
    let context = container.get("securityContext");
    causes.extend(context.into_iter().flat_map(|context| check_security(&field("securityContext"), context)));
    causes
}

fn check_ports(container: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut names = HashSet::new();
    for (at, port) in items(container, "ports", at) {
        let name = text(port, &["name"]);
        if !name.is_empty() {
            let before = causes.len();
            causes.extend(port_name(&format!("{at}.name"), name));
            if causes.len() == before && !names.insert(name) {
                causes.push(Cause::duplicate(format!("{at}.name"), &quoted(name)));
            }
        }
        match port.get("containerPort").and_then(Value::as_i64) {
            None | Some(0) => causes.push(Cause::required(format!("{at}.containerPort"), "")),
            Some(number) => causes.extend(port_number(format!("{at}.containerPort"), number)),
        }
        let host = port.get("hostPort").and_then(Value::as_i64).filter(|number| *number != 0);
        causes.extend(host.and_then(|number| port_number(format!("{at}.hostPort"), number)));
        causes.extend(one_of(format!("{at}.protocol"), text(port, &["protocol"]), &PROTOCOLS));
    }
    causes
}

fn check_variable(at: &str, variable: &Value) -> Vec<Cause> {
    let mut causes: Vec<_> =
        named(format!("{at}.name"), text(variable, &["name"]), names::variable).into_iter().collect();
    let Some(from) = variable.get("valueFrom") else { return causes };
    let origins: Vec<_> = ORIGINS.iter().filter(|origin| from.get(origin).is_some()).collect();
    let why = match origins.len() {
        0 => "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        _ if !text(variable, &["value"]).is_empty() => "may not be specified when `value` is not empty",
        1 => "",
        _ => "may not have more than one field specified at a time",
    };
    if !why.is_empty() {
        causes.push(Cause::invalid(format!("{at}.valueFrom"), "\"\"", why));
    }
    if let Some(field) = from.get("fieldRef") {
        let at = format!("{at}.valueFrom.fieldRef.fieldPath");
        let path = text(field, &["fieldPath"]);
        let is_part = path.ends_with("']")
            && (path.starts_with("metadata.labels['") || path.starts_with("metadata.annotations['"));
        if path.is_empty() {
            causes.push(Cause::required(at, ""));
        } else if !is_part && !FIELDS.contains(&path) {
            if OTHER_FIELDS.contains(&path) {
                causes.push(Cause::unsupported(at, &quoted(path), &FIELDS));
            } else {
                let why = format!("error converting fieldPath: field label not supported: {path}");
                causes.push(Cause::invalid(at, &quoted(path), why));
            }
        }
    }
    for origin in ["configMapKeyRef", "secretKeyRef"] {
        let Some(from) = from.get(origin) else { continue };
        if text(from, &["key"]).is_empty() {
            causes.push(Cause::required(format!("{at}.valueFrom.{origin}.key"), ""));
        }
    }
    causes
}

fn check_mounts(container: &Value, at: &str, pod: &Pod<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let unknown = |at: &str, name: &str| Cause {
        kind: "FieldValueNotFound",
        field: format!("{at}.name"),
        message: format!("Not found: {}", quoted(name)),
    };
    let mut paths = HashSet::new();
    for (place, mount) in items(container, "volumeMounts", at) {
        let (name, path) = (text(mount, &["name"]), text(mount, &["mountPath"]));
        if name.is_empty() {
            causes.push(Cause::required(format!("{place}.name"), ""));
        } else if !pod.volumes.contains_key(name) {
            causes.push(unknown(&place, name));
        }
        if path.is_empty() {
            causes.push(Cause::required(format!("{place}.mountPath"), ""));
        } else if !paths.insert(path) {
            causes.push(Cause::invalid(format!("{place}.mountPath"), &quoted(path), "must be unique"));
        }
        // Kubernetes does not say of which mount.
        for below in ["subPath", "subPathExpr"] {
            let path = text(mount, &[below]);
            let why = if path.starts_with('/') {
                "must be a relative path"
            } else if path.split('/').any(|part| part == "..") {
                "must not contain '..'"
            } else {
                continue;
            };
            causes.push(Cause::invalid(format!("{at}.volumeMounts.{below}"), &quoted(path), why));
        }
    }
    for (place, device) in items(container, "volumeDevices", at) {
        let (name, path) = (text(device, &["name"]), text(device, &["devicePath"]));
        match pod.volumes.get(name) {
            _ if name.is_empty() => causes.push(Cause::required(format!("{place}.name"), "")),
            None => causes.push(unknown(&place, name)),
            Some(true) => {}
            Some(false) => {
                let why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                causes.push(Cause::invalid(format!("{place}.name"), &quoted(name), why));
            }
        }
        if path.is_empty() {
            causes.push(Cause::required(format!("{place}.devicePath"), ""));
        }
    }
    causes
}

fn check_probe(at: &str, probe: &Value, is_of_life: bool) -> Vec<Cause> {
    let mut causes = check_handler(at, probe, &HANDLERS);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        causes.extend(at_least_zero(format!("{at}.{field}"), probe.get(field)));
    }
    let successes = probe.get("successThreshold").and_then(Value::as_i64).unwrap_or(1);
    if is_of_life && successes != 1 {
        causes.push(Cause::invalid(format!("{at}.successThreshold"), &successes.to_string(), "must be 1"));
    }
    causes
}

fn check_handler(at: &str, handler: &Value, known: &[&str]) -> Vec<Cause> {
    let mut present = known.iter().filter_map(|kind| Some((*kind, handler.get(kind)?)));
    let Some((kind, what)) = present.next() else {
        return vec![Cause::required(at, "must specify a handler type")];
    };
    let field = |name: &str| format!("{at}.{kind}.{name}");
    let mut causes = Vec::new();
    match kind {
        "exec" if list(what, &["command"]).is_empty() => causes.push(Cause::required(field("command"), "")),
        "httpGet" | "tcpSocket" => {
            if kind == "httpGet" && text(what, &["path"]).is_empty() {
                causes.push(Cause::required(field("path"), ""));
            }
            match what.lookup_str(&["port"]) {
                Some(name) => causes.extend(port_name(&field("port"), name)),
                None => causes.extend(port_number(field("port"), number(what, &["port"]))),
            }
            if kind == "httpGet" {
                causes.extend(one_of(field("scheme"), text(what, &["scheme"]), &["HTTP", "HTTPS"]));
            }
        }
        "grpc" => {
            causes.extend(port_number(field("port"), number(what, &["port"])));
        }
        _ => {}
    }
    causes.extend(
        present.map(|(kind, _)| Cause::forbidden(format!("{at}.{kind}"), "may not specify more than 1 handler type")),
    );
    causes
}

/// What is wrong with what is asked for, and how much of it.
fn check_resources(at: &str, resources: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let of = |part: &str| resources.get(part).and_then(Value::as_map);
    for part in ["limits", "requests"] {
        for entry in of(part).into_iter().flatten() {
            let at = format!("{at}.{part}[{}]", entry.key.as_str());
            causes.extend(amount::check_name_for_containers(&entry.key, &at));
            causes.extend(amount::check(&entry.key, &entry.value, &at));
        }
    }
    for entry in of("requests").into_iter().flatten() {
        let (name, much) = (entry.key.as_str(), amount::nanos(&entry.value));
        let is_exact = !amount::may_be_overcommitted(name);
        let limit = of("limits").and_then(|limits| limits.get(name));
        let Some(limit) = limit else {
            if is_exact {
                let why = "Limit must be set for non overcommitable resources";
                causes.push(Cause::required(format!("{at}.limits"), why));
            }
            continue;
        };
        let most = amount::nanos(limit);
        let limit = limit.as_str().unwrap_or_default();
        let why = match is_exact {
            true if much != most => format!("must be equal to {name} limit of {limit}"),
            false if much > most => format!("must be less than or equal to {name} limit of {limit}"),
            _ => continue,
        };
        causes.push(Cause::invalid(format!("{at}.requests"), &shown(&entry.value), why));
    }
    causes
}

fn check_security(at: &str, context: &Value) -> Vec<Cause> {
    let mut causes = check_identities(at, context, &["runAsUser", "runAsGroup"]);
    let flag = |name: &str| context.get(name).and_then(Value::as_bool);
    let wrong = |why: &str| Cause::invalid(at, &shown(context), why);
    if flag("allowPrivilegeEscalation") == Some(false) {
        if flag("privileged") == Some(true) {
            causes.push(wrong("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
        }
        let added = list(context, &["capabilities", "add"]);
        if added.iter().any(|name| name.as_str() == Some("CAP_SYS_ADMIN")) {
            causes.push(wrong("cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"));
        }
    }
    if let Some(mount) = context.get("procMount").and_then(Value::as_str) {
        causes.extend(one_of(format!("{at}.procMount"), mount, &["Default", "Unmasked"]));
    }
    causes
}

/// What is wrong with users, groups and the profile of a security context.
pub(super) fn check_identities(at: &str, context: &Value, fields: &[&str]) -> Vec<Cause> {
    let numbers = fields.iter().filter_map(|field| Some((*field, context.get(field)?.as_i64()?)));
    let outside = numbers.filter(|(_, number)| !(0..=LAST_ID).contains(number));
    let why = "must be between 0 and 2147483647, inclusive";
    let mut causes: Vec<_> =
        outside.map(|(field, number)| Cause::invalid(format!("{at}.{field}"), &number.to_string(), why)).collect();
    if let Some(profile) = context.get("seccompProfile") {
        let at = format!("{at}.seccompProfile");
        let file = text(profile, &["localhostProfile"]);
        let kind = text(profile, &["type"]);
        match (kind, file.is_empty()) {
            ("Localhost", true) => {
                let why = "must be set when seccomp type is Localhost";
                causes.push(Cause::required(format!("{at}.localhostProfile"), why));
            }
            ("Localhost", false) => {}
            (_, false) => {
                let why = "can only be set when seccomp type is Localhost";
                causes.extend(invalid(format!("{at}.localhostProfile"), file, Err(why.to_owned())));
            }
            ("", true) => {
                causes.push(Cause::required(format!("{at}.type"), "type is required when seccompProfile is set"))
            }
            _ => {}
        }
        if !kind.is_empty() {
            causes.extend(one_of(format!("{at}.type"), kind, &["Localhost", "RuntimeDefault", "Unconfined"]));
        }
    }
    causes
}
