//! Taints of nodes, and what tolerates them.

use std::collections::HashSet;

use soll_yaml::Value;

use super::checks::{invalid, one_of, quoted, text};
use crate::names;
use crate::refusal::Cause;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// What is wrong with tolerations.
pub(super) fn check(tolerations: &[Value], at: &str) -> Vec<Cause> {
    let each = tolerations.iter().enumerate();
    each.flat_map(|(index, toleration)| check_toleration(toleration, &format!("{at}[{index}]"))).collect()
}

fn check_toleration(toleration: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let of = |field: &str| text(toleration, &[field]);
    if !of("key").is_empty() {
        causes.extend(names::label_key_causes(&format!("{at}.key"), of("key")));
    } else if of("operator") != "Exists" {
        let why = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        causes.push(Cause::invalid(format!("{at}.operator"), &quoted(of("operator")), why));
    }
    if toleration.get("tolerationSeconds").is_some() && of("effect") != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        causes.push(Cause::invalid(format!("{at}.effect"), &quoted(of("effect")), why));
    }
    let field = format!("{at}.operator");
    match of("operator") {
        "" | "Equal" => causes.extend(invalid(field, of("value"), names::check_label_value(of("value")))),
        "Exists" if !of("value").is_empty() => {
            let why = "value must be empty when `operator` is 'Exists'";
            causes.push(Cause::invalid(field, &quoted(of("value")), why));
        }
        operator => causes.extend(one_of(field, operator, &["Equal", "Exists"])),
    }
    if !of("effect").is_empty() {
        causes.extend(one_of(format!("{at}.effect"), of("effect"), &EFFECTS));
    }
    causes
}

/// What is wrong with taints.
pub(super) fn check_taints(taints: &[Value], at: &str) -> Vec<Cause> {
    let (mut causes, mut seen) = (Vec::new(), HashSet::new());
    for (index, taint) in taints.iter().enumerate() {
        let at = format!("{at}[{index}]");
        let of = |field: &str| text(taint, &[field]);
        causes.extend(names::label_key_causes(&format!("{at}.key"), of("key")));
        causes.extend(invalid(format!("{at}.value"), of("value"), names::check_label_value(of("value"))));
        match of("effect") {
            "" => causes.push(Cause::required(format!("{at}.effect"), "")),
            effect => causes.extend(one_of(format!("{at}.effect"), effect, &EFFECTS)),
        }
        if !seen.insert((of("key"), of("effect"))) {
            let mut cause = Cause::duplicate(at, &as_go_has_it(taint, &["key", "value", "effect"], "timeAdded"));
            cause.message.push_str(": taints must be unique by key and effect pair");
            causes.push(cause);
        }
    }
    causes
}

/// What is wrong with tolerations that stand more than once.
pub(super) fn check_unique(tolerations: &[Value], at: &str) -> Vec<Cause> {
    let repeated = tolerations.iter().enumerate().filter(|(index, one)| tolerations[..*index].contains(one));
    let shown = |one: &Value| as_go_has_it(one, &["key", "operator", "value", "effect"], "tolerationSeconds");
    repeated.map(|(index, one)| Cause::duplicate(format!("{at}[{index}]"), &shown(one))).collect()
}

/// The struct in Go, which has no names for JSON: texts, and something that may be there.
fn as_go_has_it(value: &Value, texts: &[&str], pointer: &str) -> String {
    let named = |field: &str| format!("{}{}", field[..1].to_uppercase(), &field[1..]);
    let pointed = value.get(pointer).map_or_else(|| "null".into(), crate::refusal::shown);
    let mut shown: Vec<String> =
        texts.iter().map(|field| format!("{:?}:{}", named(field), quoted(text(value, &[field])))).collect();
    shown.push(format!("{:?}:{pointed}", named(pointer)));
    format!("{{{}}}", shown.join(","))
}
