//! Quotas: how much of what there may be in a namespace, and of which pods.

use std::collections::BTreeSet;

use soll_yaml::Value;

use super::amount;
use super::checks::{list, quoted, text, texts};
use crate::refusal::{Cause, shown};

const OF_PODS: [&str; 4] = ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating"];
const MORE_SCOPES: [&str; 3] = ["PriorityClass", "CrossNamespacePodAffinity", "VolumeAttributesClass"];
const CONTRADICTIONS: [[&str; 2]; 2] = [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

/// What is wrong with a quota.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let mut causes = check_amounts(&spec, "hard", "spec");
    let hard: Vec<&str> = spec.get("hard").and_then(Value::as_map).into_iter().flatten().map(|e| &*e.key).collect();
    causes.extend(check_scopes(&spec, &hard));
    causes.extend(check_selector(&spec, &hard));
    if let Some(status) = object.get("status") {
        causes.extend(check_amounts(status, "hard", "status"));
        causes.extend(check_amounts(status, "used", "status"));
    }
    causes
}

/// A quota stays about the pods that it is about.
pub(super) fn validate_update(old: &Value, object: &Value) -> Vec<Cause> {
    let scopes = |quota: &Value| -> BTreeSet<String> {
        let spec = quota.get("spec").cloned().unwrap_or_default();
        texts(&spec, &["scopes"]).into_iter().map(str::to_owned).collect()
    };
    if scopes(old) == scopes(object) {
        return Vec::new();
    }
    let shown = object.lookup(&["spec", "scopes"]).map_or_else(|| "null".into(), shown);
    vec![Cause::invalid("spec.scopes", &shown, "field is immutable")]
}

fn check_amounts(part: &Value, field: &str, at: &str) -> Vec<Cause> {
    let amounts = part.get(field).and_then(Value::as_map).into_iter().flatten();
    let check = |name: &str, value: &Value| {
        let at = format!("{at}.{field}[{name}]");
        let mut causes = amount::check_name_for_quotas(name, &at);
        causes.extend(amount::check(name, value, &at));
        causes
    };
    amounts.flat_map(|entry| check(&entry.key, &entry.value)).collect()
}

fn is_scope(scope: &str) -> bool {
    OF_PODS.contains(&scope) || MORE_SCOPES.contains(&scope)
}

/// Says whether a scope tells anything of a resource.
fn fits(scope: &str, resource: &str) -> bool {
    let counts_pods = resource == "pods";
    let measures_pods =
        matches!(resource, "cpu" | "memory" | "limits.cpu" | "limits.memory" | "requests.cpu" | "requests.memory");
    match scope {
        "BestEffort" => counts_pods,
        "VolumeAttributesClass" => matches!(resource, "persistentvolumeclaims" | "requests.storage"),
        scope if is_scope(scope) => counts_pods || measures_pods,
        _ => true,
    }
}

/// How many of the resources a scope tells nothing of.
fn misfits(scope: &str, hard: &[&str]) -> usize {
    hard.iter().filter(|name| amount::is_in_quotas(name) && !fits(scope, name)).count()
}

fn contradict(scopes: &[&str]) -> usize {
    CONTRADICTIONS.iter().filter(|pair| pair.iter().all(|scope| scopes.contains(scope))).count()
}

fn check_scopes(spec: &Value, hard: &[&str]) -> Vec<Cause> {
    let scopes = texts(spec, &["scopes"]);
    let all = spec.get("scopes").map(shown).unwrap_or_default();
    let wrong = |why: &str| Cause::invalid("spec.scopes", &all, why);
    let mut causes = Vec::new();
    for scope in &scopes {
        if !is_scope(scope) {
            causes.push(wrong("unsupported scope"));
        }
        causes.extend((0..misfits(scope, hard)).map(|_| wrong("unsupported scope applied to resource")));
    }
    causes.extend((0..contradict(&scopes)).map(|_| wrong("conflicting scopes")));
    causes
}

fn check_selector(spec: &Value, hard: &[&str]) -> Vec<Cause> {
    let Some(selector) = spec.get("scopeSelector") else { return Vec::new() };
    let at = "spec.scopeSelector.matchExpressions";
    let of = |field: &str| format!("{at}.{field}");
    let (mut causes, mut scopes) = (Vec::new(), Vec::new());
    for requirement in list(selector, &["matchExpressions"]) {
        let (scope, operator) = (text(requirement, &["scopeName"]), text(requirement, &["operator"]));
        if !is_scope(scope) {
            causes.push(Cause::invalid(of("scopeName"), &quoted(scope), "unsupported scope"));
        }
        let misfit = || Cause::invalid(at, &shown(selector), "unsupported scope applied to resource");
        causes.extend((0..misfits(scope, hard)).map(|_| misfit()));
        if (OF_PODS.contains(&scope) || scope == "CrossNamespacePodAffinity") && operator != "Exists" {
            let why = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, \
                       ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
            causes.push(Cause::invalid(of("operator"), &quoted(operator), why));
        }
        causes.extend(check_values(requirement, operator, at));
        scopes.push(scope);
    }
    let conflict = || {
        let scopes = spec.get("scopes").map_or_else(|| "null".into(), shown);
        Cause::invalid(at, &scopes, "conflicting scopes")
    };
    causes.extend((0..contradict(&scopes)).map(|_| conflict()));
    causes
}

fn check_values(requirement: &Value, operator: &str, at: &str) -> Option<Cause> {
    let values = texts(requirement, &["values"]);
    let field = format!("{at}.values");
    match operator {
        "In" | "NotIn" => values.is_empty().then(|| {
            let why = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            Cause::required(field, why)
        }),
        "Exists" | "DoesNotExist" => (!values.is_empty()).then(|| {
            let shown = requirement.get("values").map(shown).unwrap_or_default();
            let why = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            Cause::invalid(field, &shown, why)
        }),
        other => Some(Cause::invalid(format!("{at}.operator"), &quoted(other), "not a valid selector operator")),
    }
}
