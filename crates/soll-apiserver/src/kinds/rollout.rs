//! How deployments, daemon sets and stateful sets go from one template to the next.

use soll_yaml::{Map, Value};

use super::checks::{amount_or_share, at_least_zero, one_of, quoted, text};
use crate::refusal::{Cause, shown};

/// A strategy as Kubernetes quotes it: by the names of Go's fields.
fn internal(strategy: &Value) -> String {
    let rolling = strategy.get("rollingUpdate").map_or_else(Value::null, |rolling| {
        let field = |name: &str| rolling.get(name).cloned().unwrap_or_default();
        let fields = [("MaxUnavailable", field("maxUnavailable")), ("MaxSurge", field("maxSurge"))];
        Map::from_iter(fields).into()
    });
    let kind = strategy.get("type").cloned().unwrap_or_default();
    soll_yaml::to_json(&Map::from_iter([("Type", kind), ("RollingUpdate", rolling)]).into())
}

/// How many an amount or a share is, of a hundred.
fn much(rolling: &Value, field: &str) -> i64 {
    let amount = rolling.get(field);
    let share = amount.and_then(Value::as_str).and_then(|share| share.strip_suffix('%')?.parse().ok());
    share.or_else(|| amount.and_then(Value::as_i64)).unwrap_or(0)
}

pub(super) fn of_deployment(spec: &Value) -> Vec<Cause> {
    let strategy = spec.get("strategy").cloned().unwrap_or_default();
    let at = "spec.strategy.rollingUpdate";
    match (text(&strategy, &["type"]), strategy.get("rollingUpdate")) {
        ("Recreate", Some(_)) => {
            vec![Cause::forbidden(at, "may not be specified when strategy `type` is 'Recreate'")]
        }
        ("Recreate", None) => Vec::new(),
        ("RollingUpdate", rolling) => {
            let rolling = rolling.cloned().unwrap_or_default();
            let mut causes = amounts(at, &rolling);
            if much(&rolling, "maxUnavailable") == 0 && much(&rolling, "maxSurge") == 0 {
                let given = rolling.get("maxUnavailable").map(shown).unwrap_or_default();
                let why = "may not be 0 when `maxSurge` is 0";
                causes.push(Cause::invalid(format!("{at}.maxUnavailable"), &given, why));
            }
            causes
        }
        _ => vec![Cause::unsupported("spec.strategy", &internal(&strategy), &["Recreate", "RollingUpdate"])],
    }
}

/// What is wrong with how many may be away or too many.
fn amounts(at: &str, rolling: &Value) -> Vec<Cause> {
    let away =
        rolling.get("maxUnavailable").and_then(|away| amount_or_share(&format!("{at}.maxUnavailable"), away, 100));
    let more = rolling.get("maxSurge").and_then(|more| amount_or_share(&format!("{at}.maxSurge"), more, u32::MAX));
    away.into_iter().chain(more).collect()
}

pub(super) fn of_daemon_set(spec: &Value) -> Vec<Cause> {
    let strategy = spec.get("updateStrategy").cloned().unwrap_or_default();
    let at = "spec.updateStrategy.rollingUpdate";
    match text(&strategy, &["type"]) {
        "OnDelete" => Vec::new(),
        "RollingUpdate" => {
            let rolling = strategy.get("rollingUpdate").cloned().unwrap_or_default();
            let mut causes = amounts(at, &rolling);
            match (much(&rolling, "maxUnavailable"), much(&rolling, "maxSurge")) {
                (0, 0) => {
                    let why = "cannot be 0 when maxSurge is 0";
                    causes.push(Cause::required(format!("{at}.maxUnavailable"), why));
                }
                (0, _) | (_, 0) => {}
                _ => {
                    let given = rolling.get("maxSurge").map(shown).unwrap_or_default();
                    let why = "may not be set when maxUnavailable is non-zero";
                    causes.push(Cause::invalid(format!("{at}.maxSurge"), &given, why));
                }
            }
            causes
        }
        _ => vec![Cause::unsupported("spec.updateStrategy", &internal(&strategy), &["RollingUpdate", "OnDelete"])],
    }
}

/// What is wrong with how a stateful set makes, changes and forgets its pods.
pub(super) fn of_stateful_set(spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let order = text(spec, &["podManagementPolicy"]);
    if !["OrderedReady", "Parallel"].contains(&order) {
        let why = "must be 'OrderedReady' or 'Parallel'";
        causes.push(Cause::invalid("spec.podManagementPolicy", &quoted(order), why));
    }
    let at = "spec.updateStrategy";
    let strategy = spec.get("updateStrategy").cloned().unwrap_or_default();
    match (text(&strategy, &["type"]), strategy.get("rollingUpdate")) {
        ("RollingUpdate", rolling) => {
            let partition = rolling.and_then(|rolling| rolling.get("partition"));
            causes.extend(at_least_zero(format!("{at}.rollingUpdate.partition"), partition));
        }
        ("OnDelete", None) => {}
        ("OnDelete", Some(rolling)) => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            causes.push(Cause::invalid(format!("{at}.rollingUpdate"), &shown(rolling), why));
        }
        _ => causes.push(Cause::invalid(at, &shown(&strategy), "must be 'RollingUpdate' or 'OnDelete'")),
    }
    for when in ["whenDeleted", "whenScaled"] {
        let field = format!("spec.persistentVolumeClaimRetentionPolicy.{when}");
        let kept = text(spec, &["persistentVolumeClaimRetentionPolicy", when]);
        causes.extend(one_of(field, kept, &["Retain", "Delete"]));
    }
    causes.extend(at_least_zero("spec.ordinals.start", spec.lookup(&["ordinals", "start"])));
    causes
}
