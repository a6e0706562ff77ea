//! What makes a pod spec invalid: the subset that people run into.

use std::collections::HashSet;

use soll_yaml::Value;

use crate::names::is_label;
use crate::refusal::Cause;

const NAME_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

fn list<'o>(value: &'o Value, field: &str) -> &'o [Value] {
    value.get(field).and_then(Value::as_list).unwrap_or_default()
}

/// What is wrong with the pod spec at `at`.
pub(crate) fn check(spec: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let volumes = list(spec, "volumes").iter().filter(|volume| second_of(volume, &SOURCES).is_none());
    let volumes: HashSet<&str> = volumes.filter_map(|volume| volume.lookup_str(&["name"])).collect();
    if list(spec, "containers").is_empty() {
        causes.push(Cause::required(format!("{at}.containers"), ""));
    }
    let mut names = HashSet::new();
    for field in ["initContainers", "containers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            let at = format!("{at}.{field}[{index}]");
            let name = container.lookup_str(&["name"]).unwrap_or_default();
            check_name(&mut causes, &format!("{at}.name"), name);
            if !name.is_empty() && !names.insert(name) {
                causes.push(Cause::duplicate(format!("{at}.name"), &format!("{name:?}")));
            }
            check_container(&mut causes, &at, container, &volumes);
        }
    }
    let mut seen = HashSet::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let name = volume.lookup_str(&["name"]).unwrap_or_default();
        check_name(&mut causes, &format!("{at}.volumes[{index}].name"), name);
        if !name.is_empty() && !seen.insert(name) {
            causes.push(Cause::duplicate(format!("{at}.volumes[{index}].name"), &format!("{name:?}")));
        }
        if let Some(second) = second_of(volume, &SOURCES) {
            let field = format!("{at}.volumes[{index}].{second}");
            causes.push(Cause::forbidden(field, "may not specify more than 1 volume type"));
        }
    }
    let policy = spec.lookup_str(&["restartPolicy"]).unwrap_or_default();
    if !matches!(policy, "Always" | "OnFailure" | "Never") {
        let allowed = ["Always", "OnFailure", "Never"];
        causes.push(Cause::unsupported(format!("{at}.restartPolicy"), &format!("{policy:?}"), &allowed));
    }
    causes
}

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
const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];

/// The second of some fields of which one may be there.
fn second_of(value: &Value, fields: &[&'static str]) -> Option<&'static str> {
    fields.iter().copied().filter(|field| value.get(field).is_some()).nth(1)
}

fn check_name(causes: &mut Vec<Cause>, field: &str, name: &str) {
    if name.is_empty() {
        causes.push(Cause::required(field, ""));
    } else if name.len() > 63 {
        causes.push(Cause::invalid(field, &format!("{name:?}"), "must be no more than 63 characters"));
    } else if !is_label(name) {
        causes.push(Cause::invalid(field, &format!("{name:?}"), NAME_RULE));
    }
}

fn check_container(causes: &mut Vec<Cause>, at: &str, container: &Value, volumes: &HashSet<&str>) {
    if container.lookup_str(&["image"]).is_none_or(str::is_empty) {
        causes.push(Cause::required(format!("{at}.image"), ""));
    }
    let policy = container.lookup_str(&["imagePullPolicy"]).unwrap_or_default();
    if !matches!(policy, "Always" | "IfNotPresent" | "Never") {
        let allowed = ["Always", "IfNotPresent", "Never"];
        causes.push(Cause::unsupported(format!("{at}.imagePullPolicy"), &format!("{policy:?}"), &allowed));
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(name) else { continue };
        if let Some(second) = second_of(probe, &HANDLERS) {
            causes.push(Cause::forbidden(format!("{at}.{name}.{second}"), "may not specify more than 1 handler type"));
        } else if HANDLERS.iter().all(|handler| probe.get(handler).is_none()) {
            causes.push(Cause::required(format!("{at}.{name}"), "must specify a handler type"));
        }
    }
    for (index, port) in list(container, "ports").iter().enumerate() {
        let field = format!("{at}.ports[{index}].containerPort");
        match port.get("containerPort").and_then(Value::as_i64) {
            None | Some(0) => causes.push(Cause::required(field, "")),
            Some(1..=65_535) => {}
            Some(port) => {
                causes.push(Cause::invalid(field, &port.to_string(), "must be between 1 and 65535, inclusive"))
            }
        }
    }
    for (index, env) in list(container, "env").iter().enumerate() {
        if env.lookup_str(&["name"]).is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{at}.env[{index}].name"), ""));
        }
        let has_value = env.lookup_str(&["value"]).is_some_and(|value| !value.is_empty());
        if has_value && env.get("valueFrom").is_some() {
            let why = "may not be specified when `value` is not empty";
            causes.push(Cause::invalid(format!("{at}.env[{index}].valueFrom"), "\"\"", why));
        }
    }
    for (index, mount) in list(container, "volumeMounts").iter().enumerate() {
        let name = mount.lookup_str(&["name"]).unwrap_or_default();
        if name.is_empty() {
            causes.push(Cause::required(format!("{at}.volumeMounts[{index}].name"), ""));
        } else if !volumes.contains(name) {
            causes.push(Cause {
                kind: "FieldValueNotFound",
                field: format!("{at}.volumeMounts[{index}].name"),
                message: format!("Not found: {name:?}"),
            });
        }
        if mount.lookup_str(&["mountPath"]).is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{at}.volumeMounts[{index}].mountPath"), ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    #[test]
    fn mistakes_are_named_by_field() {
        let spec = br#"{"restartPolicy":"Always","containers":[{"name":"A","imagePullPolicy":"Always","ports":[{"containerPort":70000}],
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
