//! API services: who serves a version of a group.

use soll_yaml::Value;

use super::checks::{invalid, number, quoted, required, text};
use super::webhook::not_a_port;
use super::{child, default, spec_of};
use crate::meta;
use crate::names;
use crate::refusal::Cause;

/// Their servers listen where servers of HTTPS do.
pub(super) fn settle(object: &mut Value) {
    if let Some(service) = child(spec_of(object), "service") {
        default(service, "port", 443);
    }
}

/// What is wrong with an API service.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let (group, version) = (text(&spec, &["group"]), text(&spec, &["version"]));
    let mut causes = Vec::new();
    let (called, expected) = (meta::text(object, "name"), format!("{version}.{group}"));
    if called != expected {
        let why = format!("must be `spec.version+\".\"+spec.group`: {expected:?}");
        causes.push(Cause::invalid("metadata.name", &quoted(called), why));
    }
    if !group.is_empty() {
        causes.extend(invalid("spec.group", group, names::subdomain(group)));
    } else if version != "v1" {
        let why = "only v1 may have an empty group and it better be legacy kube";
        causes.push(Cause::required("spec.group", why));
    }
    causes.extend(invalid("spec.version", version, names::old_label(version)));
    for (field, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
        let priority = number(&spec, &[field]);
        if !(1..=most).contains(&priority) {
            let why = format!("must be positive and less than {most}");
            causes.push(Cause::invalid(format!("spec.{field}"), &priority.to_string(), why));
        }
    }
    let trusts_anybody = spec.get("insecureSkipTLSVerify").and_then(Value::as_bool).unwrap_or(false);
    let bundle = text(&spec, &["caBundle"]);
    let Some(service) = spec.get("service") else {
        if !bundle.is_empty() {
            let bytes = bundle.len() / 4 * 3 - bundle.bytes().rev().take_while(|byte| *byte == b'=').count();
            let shown = format!("\"{bytes} bytes\"");
            causes.push(Cause::invalid("spec.caBundle", &shown, "local APIServices may not have a caBundle"));
        }
        if trusts_anybody {
            let why = "local APIServices may not have insecureSkipTLSVerify";
            causes.push(Cause::invalid("spec.insecureSkipTLSVerify", "true", why));
        }
        return causes;
    };
    causes.extend(
        ["namespace", "name"]
            .iter()
            .filter_map(|field| required(format!("spec.service.{field}"), text(service, &[field]))),
    );
    causes.extend(not_a_port(service, "spec.service"));
    if trusts_anybody && !bundle.is_empty() {
        let why = "may not be true if caBundle is present";
        causes.push(Cause::invalid("spec.insecureSkipTLSVerify", "true", why));
    }
    causes
}
