//! Ranges of limits: what single containers, pods and claims may ask for.

use std::collections::{BTreeSet, HashSet};

use soll_yaml::{Map, Value};

use super::amount::{self, nanos};
use super::checks::{quoted, text};
use super::{checks, default, items, spec_of};
use crate::names;
use crate::refusal::{Cause, shown};

/// What containers get by default they also request by default.
pub(super) fn settle(object: &mut Value) {
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

/// What is wrong with a range.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let (mut causes, mut seen) = (Vec::new(), HashSet::new());
    for (at, limit) in checks::items(&spec, "limits", "spec") {
        let (kind, field) = (text(limit, &["type"]), format!("{at}.type"));
        causes.extend(check_kind(kind, &field));
        if !seen.insert(kind) {
            causes.push(Cause::duplicate(field, &quoted(kind)));
        }
        causes.extend(check_limit(&Limit { limit, kind, at }));
    }
    causes
}

fn check_kind(kind: &str, field: &str) -> Vec<Cause> {
    let causes: Vec<Cause> = names::label_key_causes(field, kind).collect();
    if causes.is_empty() && !kind.contains('/') && !matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim") {
        return vec![Cause::invalid(field, &quoted(kind), "must be a standard limit type or fully qualified")];
    }
    causes
}

/// One item of a range.
struct Limit<'o> {
    limit: &'o Value,
    kind: &'o str,
    at: String,
}

impl<'o> Limit<'o> {
    fn amounts(&self, field: &str) -> Option<&'o Map> {
        self.limit.get(field).and_then(Value::as_map)
    }

    fn amount(&self, field: &str, name: &str) -> Option<&'o Value> {
        self.amounts(field)?.get(name)
    }

    /// What is wrong with an amount, which may be another one than the field holds.
    fn wrong(&self, field: &str, name: &str, amount: &Value, why: String) -> Cause {
        Cause::invalid(format!("{}.{field}[{name}]", self.at), &shown(amount), why)
    }
}

fn check_limit(limit: &Limit<'_>) -> Vec<Cause> {
    let (mut causes, mut names) = (Vec::new(), BTreeSet::new());
    for field in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        let Some(amounts) = limit.amounts(field).filter(|amounts| !amounts.is_empty()) else { continue };
        let at = format!("{}.{field}", limit.at);
        if limit.kind == "Pod" && field.starts_with("default") {
            causes.push(Cause::forbidden(at, "may not be specified when `type` is 'Pod'"));
            continue;
        }
        let check = match limit.kind {
            "Pod" | "Container" => amount::check_name_for_containers,
            _ => amount::check_name,
        };
        for entry in amounts {
            causes.extend(check(&entry.key, &format!("{at}[{}]", entry.key.as_str())));
            names.insert(entry.key.as_str());
        }
    }
    let has_size = |field: &str| limit.amount(field, "storage").is_some();
    if limit.kind == "PersistentVolumeClaim" && !has_size("min") && !has_size("max") {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        causes.push(Cause::required(format!("{}.limits", limit.at), why));
    }
    names.into_iter().for_each(|name| causes.extend(check_order(limit, name)));
    causes
}

/// The amounts of one thing that should not be above one another.
fn check_order(limit: &Limit<'_>, name: &str) -> Vec<Cause> {
    /// Lower, higher, where it is told, whether the higher one is shown, and what they are.
    type Pair = (&'static str, &'static str, &'static str, bool, [&'static str; 2]);
    const PAIRS: [Pair; 6] = [
        ("min", "max", "min", false, ["min value", "max value"]),
        ("min", "defaultRequest", "defaultRequest", true, ["min value", "default request value"]),
        ("defaultRequest", "max", "defaultRequest", false, ["default request value", "max value"]),
        ("defaultRequest", "default", "defaultRequest", false, ["default request value", "default limit value"]),
        ("min", "default", "default", false, ["min value", "default value"]),
        ("default", "max", "default", true, ["default value", "max value"]),
    ];
    let mut causes = Vec::new();
    let of = |field: &str| {
        let is_read = limit.kind != "Pod" || !field.starts_with("default");
        limit.amount(field, name).filter(|_| is_read)
    };
    let said = |amount: &Value| amount.as_str().unwrap_or_default().to_owned();
    for (lower, higher, field, shows_higher, [low, high]) in PAIRS {
        let (Some(least), Some(most)) = (of(lower), of(higher)) else { continue };
        if nanos(least) > nanos(most) {
            let why = format!("{low} {} is greater than {high} {}", said(least), said(most));
            causes.push(limit.wrong(field, name, if shows_higher { most } else { least }, why));
        }
    }
    causes.extend(check_ratio(limit, name));
    if let (Some(given), Some(requested)) = (of("default"), of("defaultRequest"))
        && !amount::may_be_overcommitted(name)
        && nanos(given) != nanos(requested)
    {
        let why =
            format!("default value {} must equal to defaultRequest value {} in {name}", said(given), said(requested));
        causes.push(limit.wrong("defaultRequest", name, requested, why));
    }
    causes
}

fn check_ratio(limit: &Limit<'_>, name: &str) -> Vec<Cause> {
    const ONE: i128 = 1_000_000_000;
    const FIELD: &str = "maxLimitRequestRatio";
    let Some(ratio) = limit.amount(FIELD, name) else { return Vec::new() };
    let said = ratio.as_str().unwrap_or_default();
    let mut causes = Vec::new();
    if nanos(ratio) < ONE {
        causes.push(limit.wrong(FIELD, name, ratio, format!("ratio {said} is less than 1")));
    }
    if let (Some(least), Some(most)) = (limit.amount("min", name), limit.amount("max", name)) {
        let [ratio_nanos, most, least] = [ratio, most, least].map(nanos);
        // Nothing may be as many times more than nothing as anybody wants.
        if least > 0 && ratio_nanos * least > most * ONE {
            #[expect(clippy::cast_precision_loss, reason = "it is shown with six digits after the point")]
            let highest = most as f64 / least as f64;
            let why = format!("ratio {said} is greater than max/min = {highest:.6}");
            causes.push(limit.wrong(FIELD, name, ratio, why));
        }
    }
    causes
}
