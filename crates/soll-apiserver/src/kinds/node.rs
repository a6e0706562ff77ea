//! Nodes: what of them is no node, and what stays.

use soll_yaml::Value;

use super::amount;
use super::checks::{invalid, list, text, texts};
use super::range::{NO_RANGE, Range};
use super::service::is_v6;
use super::toleration;
use crate::refusal::{Cause, shown};

/// The ranges of a node are one list, whose first is also told alone.
pub(super) fn settle(object: &mut Value) {
    let Some(spec) = object.make_map().get_mut("spec").and_then(Value::as_map_mut) else { return };
    let one = spec.get("podCIDR").and_then(Value::as_str).unwrap_or_default().to_owned();
    let first = spec.get("podCIDRs").and_then(|ranges| ranges.as_list()?.first()?.as_str()).map(str::to_owned);
    match first {
        _ if one.is_empty() => {
            spec.remove("podCIDR");
            if let Some(first) = first {
                spec.insert("podCIDR", Value::from(first));
            }
        }
        Some(first) if first == one => {}
        _ => {
            spec.insert("podCIDRs", Value::list(vec![Value::from(one)]));
        }
    }
}

/// What is wrong with a node.
pub(super) fn validate(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let mut causes = toleration::check_taints(list(&spec, &["taints"]), "metadata.taints");
    for field in ["capacity", "allocatable"] {
        let amounts = object.lookup(&["status", field]).and_then(Value::as_map);
        for entry in amounts.into_iter().flatten() {
            let at = format!("status.{field}.{}", entry.key.as_str());
            causes.extend(amount::check(&entry.key, &entry.value, &at));
        }
    }
    if old.is_some() {
        return causes;
    }
    let ranges = texts(&spec, &["podCIDRs"]);
    for (index, range) in ranges.iter().enumerate() {
        causes.extend(invalid(format!("spec.podCIDRs[{index}]"), range, known_range(range)));
    }
    let six = ranges.iter().filter(|range| is_v6(range.split('/').next().unwrap_or_default())).count();
    if ranges.len() > 2 || ranges.len() == 2 && six != 1 {
        let shown = spec.get("podCIDRs").map(shown).unwrap_or_default();
        causes.push(Cause::invalid("spec.podCIDRs", &shown, "may specify no more than one CIDR for each IP family"));
    }
    causes
}

fn known_range(range: &str) -> Result<(), String> {
    Range::parse(range).map(|_| ()).ok_or_else(|| NO_RANGE.to_owned())
}

/// Where the pods of a node are, and who provides it, is said once.
pub(super) fn validate_update(old: &Value, object: &Value) -> Vec<Cause> {
    let [old, new] = [old, object].map(|node| node.get("spec").cloned().unwrap_or_default());
    let mut causes = Vec::new();
    let (before, after) = (texts(&old, &["podCIDRs"]), texts(&new, &["podCIDRs"]));
    let moved = match before.len() == after.len() {
        true => before.iter().zip(&after).filter(|(before, after)| before != after).count(),
        false => usize::from(!before.is_empty()),
    };
    let forbidden = |field: &str, what: &str| {
        let why = format!("node updates may not change {what} except from \"\" to valid");
        Cause::forbidden(format!("spec.{field}"), why)
    };
    causes.extend((0..moved).map(|_| forbidden("podCIDRs", "podCIDR")));
    let provider = text(&old, &["providerID"]);
    if !provider.is_empty() && provider != text(&new, &["providerID"]) {
        causes.push(forbidden("providerID", "providerID"));
    }
    causes
}
