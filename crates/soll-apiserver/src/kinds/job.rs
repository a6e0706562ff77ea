//! What is wrong with a job.

use soll_yaml::{Map, Value};

use super::checks::{at_least_zero, invalid, items, list, one_of, quoted, text};
use crate::names;
use crate::refusal::{Cause, shown};
use crate::selector::LabelSelector;

/// The label by which a job knows its pods.
pub(super) const UID: &str = "batch.kubernetes.io/controller-uid";
/// How many pods with numbers may run at once.
const MOST_AT_ONCE: i64 = 100_000;

pub(super) fn validate(old: Option<&Value>, job: &Value) -> Vec<Cause> {
    let spec = job.get("spec").cloned().unwrap_or_default();
    let mut causes = validate_selector(old, job);
    causes.extend(validate_spec(&spec, "spec"));
    causes
}

/// A job has a selector, and its pods match it.
fn validate_selector(old: Option<&Value>, job: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let labels = job.lookup(&["spec", "template", "metadata", "labels"]);
    let selector = job.lookup(&["spec", "selector"]);
    if selector.is_none() {
        causes.push(Cause::required("spec.selector", ""));
    }
    let is_by_hand = job.lookup(&["spec", "manualSelector"]).and_then(Value::as_bool) == Some(true);
    if let Some(selector) = selector.filter(|_| old.is_none() && !is_by_hand) {
        let uid = Map::from_iter([(UID, Value::str(crate::meta::text(job, "uid")))]);
        let own: Value = Map::from_iter([("matchLabels", Value::from(uid))]).into();
        if *selector != own {
            causes.push(Cause::invalid("spec.selector", &shown(selector), "`selector` not auto-generated"));
        }
    }
    let matches = selector.is_some_and(|selector| {
        LabelSelector::from_value(selector).is_ok_and(|selector| selector.matches_labels(labels))
    });
    if !matches {
        let given = labels.map_or_else(|| "null".into(), shown);
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", &given, why));
    }
    causes
}

/// What is wrong with the spec of a job at `at`, its template aside.
pub(super) fn validate_spec(spec: &Value, at: &str) -> Vec<Cause> {
    const NUMBERS: [&str; 7] = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    let field = |name: &str| format!("{at}.{name}");
    let number = |name: &str| spec.get(name).and_then(Value::as_i64);
    let mut causes: Vec<_> = NUMBERS.iter().filter_map(|name| at_least_zero(field(name), spec.get(name))).collect();
    let mode = text(spec, &["completionMode"]);
    if !mode.is_empty() {
        causes.extend(one_of(field("completionMode"), mode, &["NonIndexed", "Indexed"]));
    }
    if mode == "Indexed" {
        if number("completions").is_none() {
            causes.push(Cause::required(field("completions"), "when completion mode is Indexed"));
        }
        if let Some(many) = number("parallelism").filter(|many| *many > MOST_AT_ONCE) {
            let why = "must be less than or equal to 100000 when completion mode is Indexed";
            causes.push(Cause::invalid(field("parallelism"), &many.to_string(), why));
        }
    } else {
        for name in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(given) = number(name) {
                let why = "requires indexed completion mode";
                causes.push(Cause::invalid(field(name), &given.to_string(), why));
            }
        }
        if let Some(policy) = spec.get("successPolicy") {
            causes.push(Cause::invalid(field("successPolicy"), &shown(policy), "requires indexed completion mode"));
        }
    }
    if let Some(replacement) = spec.get("podReplacementPolicy").and_then(Value::as_str) {
        let known: &[&str] =
            if spec.get("podFailurePolicy").is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
        causes.extend(one_of(field("podReplacementPolicy"), replacement, known));
    }
    if let Some(manager) = spec.get("managedBy").and_then(Value::as_str) {
        causes.extend(invalid(field("managedBy"), manager, names::domain_prefixed_path(manager)));
    }
    let Some(policy) = spec.get("podFailurePolicy") else { return causes };
    let restart = text(spec, &["template", "spec", "restartPolicy"]);
    if restart != "Never" {
        let why = "only \"Never\" is supported when podFailurePolicy is specified";
        causes.push(Cause::invalid(field("template.spec.restartPolicy"), &quoted(restart), why));
    }
    for (at, rule) in items(policy, "rules", &field("podFailurePolicy")) {
        let known = ["Count", "FailIndex", "FailJob", "Ignore"];
        causes.extend(one_of(format!("{at}.action"), text(rule, &["action"]), &known));
        let Some(codes) = rule.get("onExitCodes") else { continue };
        let at = format!("{at}.onExitCodes");
        causes.extend(one_of(format!("{at}.operator"), text(codes, &["operator"]), &["In", "NotIn"]));
        if list(codes, &["values"]).is_empty() {
            causes.push(Cause::invalid(format!("{at}.values"), "[]", "at least one value is required"));
        }
    }
    causes
}
