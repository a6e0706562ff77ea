//! Classes of pods by how much they matter.

use soll_yaml::Value;

use super::checks::{number, one_of, text};
use super::{default, immutable};
use crate::meta;
use crate::refusal::Cause;

/// The highest value that users may give.
const HIGHEST: i64 = 1_000_000_000;
/// What the system has for itself.
const OF_SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2 * HIGHEST + 1_000), ("system-cluster-critical", 2 * HIGHEST)];

/// A class takes the place of lower ones.
pub(super) fn settle(object: &mut Value) {
    default(object.make_map(), "preemptionPolicy", "PreemptLowerPriority");
}

/// What is wrong with a new class.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (name, value) = (meta::text(object, "name"), number(object, &["value"]));
    if name.starts_with("system-") {
        causes.extend(foreign_to_system(name, value, object).map(|why| {
            let reserved = "priority class names with 'system-' prefix are reserved for system use only";
            Cause::forbidden("metadata.name", format!("{reserved}. error: {why}"))
        }));
    } else if value > HIGHEST {
        let why = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        causes.push(Cause::forbidden("value", why));
    }
    match text(object, &["preemptionPolicy"]) {
        "" => causes.push(Cause::required("preemptionPolicy", "")),
        policy => causes.extend(one_of("preemptionPolicy", policy, &["PreemptLowerPriority", "Never"])),
    }
    causes
}

fn foreign_to_system(name: &str, value: i64, object: &Value) -> Option<String> {
    let Some((_, known)) = OF_SYSTEM.iter().find(|(known, _)| *known == name) else {
        return Some(format!("{name} is not a known system priority class"));
    };
    if *known != value {
        return Some(format!("value of {name} PriorityClass must be {known}"));
    }
    let is_default = object.get("globalDefault").and_then(Value::as_bool).unwrap_or(false);
    is_default.then(|| format!("globalDefault of {name} PriorityClass must be false"))
}

/// What of a class may not change.
pub(super) fn validate_update(old: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if number(old, &["value"]) != number(object, &["value"]) {
        causes.push(Cause::forbidden("value", "may not be changed in an update."));
    }
    if text(old, &["preemptionPolicy"]) != text(object, &["preemptionPolicy"]) {
        causes.extend(immutable(old, object, &["preemptionPolicy"]));
    }
    causes
}
