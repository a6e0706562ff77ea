//! What is wrong with an autoscaler.

use soll_yaml::Value;

use super::super::checks::{items, list, more_than_nothing, named, one_of, quoted, text};
use super::{KINDS, TARGET, with_metrics};
use crate::names;
use crate::refusal::Cause;

pub(crate) fn validate(object: &Value) -> Vec<Cause> {
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
    let target = object.lookup(&["spec", "scaleTargetRef"]).cloned().unwrap_or_default();
    causes.extend(object_reference("spec.scaleTargetRef", &target));
    let version = text(&target, &["apiVersion"]);
    if !version.contains('/') && text(&target, &["kind"]) != "ReplicationController" {
        let why = "apiVersion must specify API group";
        causes.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &quoted(version), why));
    }
    let object = &with_metrics(object);
    let spec = object.get("spec").cloned().unwrap_or_default();
    causes.extend(items(&spec, "metrics", "spec").flat_map(|(at, metric)| validate_metric(&at, metric)));
    let of_others = |metric: &Value| ["Object", "External"].contains(&text(metric, &["type"]));
    if least == 0 && !list(&spec, &["metrics"]).iter().any(of_others) {
        let why = "must specify at least one Object or External metric to support scaling to zero replicas";
        causes.push(Cause::forbidden("spec.metrics", why));
    }
    for way in ["scaleUp", "scaleDown"] {
        let rules = spec.lookup(&["behavior", way]).filter(|rules| !rules.is_null());
        let at = format!("spec.behavior.{way}");
        causes.extend(rules.into_iter().flat_map(|rules| validate_rules(&at, rules)));
    }
    causes
}

fn object_reference(at: &str, object: &Value) -> impl Iterator<Item = Cause> {
    let fields = ["kind", "name"].into_iter();
    fields.filter_map(move |field| named(format!("{at}.{field}"), text(object, &[field]), names::path_segment))
}

fn validate_metric(at: &str, metric: &Value) -> Vec<Cause> {
    // The first of those that stand there is looked at.
    const IN_ORDER: [&str; 5] = ["object", "external", "pods", "resource", "containerResource"];
    let mut known: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    known.sort_unstable();
    let kind = text(metric, &["type"]);
    let mut causes = Vec::new();
    if kind.is_empty() {
        causes.push(Cause::required(format!("{at}.type"), "must specify a metric source type"));
    }
    causes.extend(one_of(format!("{at}.type"), kind, &known));
    let present: Vec<_> =
        IN_ORDER.into_iter().filter(|part| metric.get(part).is_some_and(|one| !one.is_null())).collect();
    if let Some((part, source)) = present.first().and_then(|part| Some((*part, metric.get(part)?))) {
        causes.extend(validate_source(&format!("{at}.{part}"), part, source));
    }
    let wanted = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, part)| *part);
    if let Some(part) = wanted.filter(|part| !present.contains(part)) {
        let why = "must populate information for the given metric source";
        causes.push(Cause::required(format!("{at}.{part}"), why));
    }
    if present.len() > 1 {
        let others = present.into_iter().filter(|part| Some(*part) != wanted);
        let why = "must populate the given metric source only";
        causes.extend(others.map(|part| Cause::forbidden(format!("{at}.{part}"), why)));
    }
    causes
}

fn validate_source(at: &str, part: &str, source: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let missing = |field: &str, why: &str| Cause::required(format!("{at}.{field}"), why);
    match part {
        "resource" | "containerResource" => {
            if text(source, &["name"]).is_empty() {
                causes.push(missing("name", "must specify a resource name"));
            }
            if part == "containerResource" && text(source, &["container"]).is_empty() {
                causes.push(missing("container", "must specify a container"));
            }
        }
        _ => match text(source, &["metric", "name"]) {
            "" => causes.push(missing("metric.name", "must specify a metric name")),
            name => causes.extend(named(format!("{at}.metric.name"), name, names::path_segment)),
        },
    }
    if part == "object" {
        let described = source.get("describedObject").cloned().unwrap_or_default();
        causes.extend(object_reference(&format!("{at}.describedObject"), &described));
    }
    let target = source.get(TARGET).cloned().unwrap_or_default();
    let has = |field: &str| target.get(field).is_some_and(|amount| !amount.is_null());
    causes.extend(validate_target(&format!("{at}.target"), &target));
    let both = |field: &str, why: &str| Cause::forbidden(format!("{at}.target.{field}"), why);
    match part {
        "object" if !has("value") && !has("averageValue") => {
            causes.push(missing("target.averageValue", "must set either a target value or averageValue"));
        }
        "object" => {}
        "pods" if !has("averageValue") => {
            causes.push(missing("target.averageValue", "must specify a positive target averageValue"));
        }
        "pods" => {}
        "external" => match (has("value"), has("averageValue")) {
            (false, false) => {
                let why = "must set either a target value for metric or a per-pod target";
                causes.push(missing("target.averageValue", why));
            }
            (true, true) => {
                causes.push(both("value", "may not set both a target value for metric and a per-pod target"));
            }
            _ => {}
        },
        _ => match (has("averageUtilization"), has("averageValue")) {
            (false, false) => {
                let why = "must set either a target raw value or a target utilization";
                causes.push(missing("target.averageUtilization", why));
            }
            (true, true) => {
                causes.push(both("averageValue", "may not set both a target raw value and a target utilization"));
            }
            _ => {}
        },
    }
    causes
}

fn validate_target(at: &str, target: &Value) -> Vec<Cause> {
    let kind = text(target, &["type"]);
    let mut causes = Vec::new();
    if kind.is_empty() {
        causes.push(Cause::required(format!("{at}.type"), "must specify a metric target type"));
    }
    if !["Utilization", "Value", "AverageValue"].contains(&kind) {
        let why = "must be either Utilization, Value, or AverageValue";
        causes.push(Cause::invalid(format!("{at}.type"), &quoted(kind), why));
    }
    for field in ["value", "averageValue"] {
        let amount = target.get(field);
        let field = format!("{at}.{field}");
        causes.extend(amount.and_then(|amount| more_than_nothing(field, amount, "must be positive")));
    }
    let used = target.get("averageUtilization").and_then(Value::as_i64).filter(|used| *used < 1);
    causes.extend(
        used.map(|used| {
            Cause::invalid(format!("{at}.averageUtilization"), &used.to_string(), "must be greater than 0")
        }),
    );
    causes
}

/// The rules for one direction.
fn validate_rules(at: &str, rules: &Value) -> Vec<Cause> {
    let wrong = |field: String, number: i64, why: &str| Cause::invalid(field, &number.to_string(), why);
    let mut causes = Vec::new();
    let window = format!("{at}.stabilizationWindowSeconds");
    match rules.get("stabilizationWindowSeconds").and_then(Value::as_i64) {
        Some(seconds) if seconds < 0 => causes.push(wrong(window, seconds, "must be greater than or equal to zero")),
        Some(seconds) if seconds > 3600 => causes.push(wrong(window, seconds, "must be less than or equal to 3600")),
        _ => {}
    }
    let choice = rules.get("selectPolicy").and_then(Value::as_str);
    let known = ["Disabled", "Max", "Min"];
    causes.extend(choice.and_then(|choice| one_of(format!("{at}.selectPolicy"), choice, &known)));
    // Through the first version nothing of it is filled in.
    if list(rules, &["policies"]).is_empty() {
        causes.push(Cause::required(format!("{at}.policies"), "must specify at least one Policy"));
    }
    for (at, policy) in items(rules, "policies", at) {
        let number = |field: &str| policy.get(field).and_then(Value::as_i64).unwrap_or(0);
        causes.extend(one_of(format!("{at}.type"), text(policy, &["type"]), &["Percent", "Pods"]));
        for field in ["value", "periodSeconds"] {
            if number(field) <= 0 {
                causes.push(wrong(format!("{at}.{field}"), number(field), "must be greater than zero"));
            }
        }
        if number("periodSeconds") > 1800 {
            let field = format!("{at}.periodSeconds");
            causes.push(wrong(field, number("periodSeconds"), "must be less than or equal to 1800"));
        }
    }
    causes
}
