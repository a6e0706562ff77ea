//! The CEL rules of custom resources (`x-kubernetes-validations`) when they are defined: whether they can be rules.

use soll_yaml::Value;

use super::typing::{self, Type};
use crate::refusal::{Cause, shown};

/// Why a rule may be broken, by the names that clients know.
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// What is wrong with the rules of a schema itself. `uncorrelated` is the place above of which the items are not known again in
/// an older object.
pub(super) fn check_rules(schema: &Value, at: &str, uncorrelated: Option<&str>) -> Vec<Cause> {
    let rules = schema.get("x-kubernetes-validations").and_then(Value::as_list).unwrap_or_default();
    let mut causes = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("{at}.x-kubernetes-validations[{index}]");
        let wrong = check_texts(schema, rule, &at);
        if wrong.is_empty() {
            causes.extend(check_expressions(schema, rule, &at, uncorrelated));
        }
        causes.extend(wrong);
    }
    causes
}

/// The texts of a rule: what must be said, and how.
fn check_texts(schema: &Value, rule: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |field: &str| rule.lookup_str(&[field]).unwrap_or_default();
    let has_lines = |text: &str| text.contains(['\n', '\r']);
    let quoted = |field: &str| format!("{:?}", text(field));
    let place = |field: &str| format!("{at}.{field}");
    let (source, message) = (text("rule").trim(), text("message").trim());
    if source.is_empty() {
        causes.push(Cause::required(place("rule"), "rule is not specified"));
    } else if message.is_empty() && !text("message").is_empty() {
        causes.push(Cause::invalid(place("message"), &quoted("message"), "must be non-empty if specified"));
    } else if has_lines(message) {
        causes.push(Cause::invalid(place("message"), &quoted("message"), "must not contain line breaks"));
    } else if has_lines(source) && message.is_empty() {
        causes.push(Cause::required(place("message"), "message must be specified if rule contains line breaks"));
    }
    if !text("messageExpression").is_empty() && text("messageExpression").trim().is_empty() {
        let why = "messageExpression must be non-empty if specified";
        causes.push(Cause::required(place("messageExpression"), why));
    }
    if let Some(reason) = rule.lookup_str(&["reason"]).filter(|reason| !REASONS.contains(reason)) {
        causes.push(Cause::unsupported(place("reason"), &format!("{reason:?}"), &REASONS));
    }
    let path = text("fieldPath");
    if !path.is_empty() {
        let mut wrong = |why: &str| causes.push(Cause::invalid(place("fieldPath"), &quoted("fieldPath"), why));
        if path.trim().is_empty() {
            wrong("must be non-empty if specified");
        }
        if has_lines(path) {
            wrong("must not contain line breaks");
        }
        if !names_field(schema, path) {
            wrong("must be a valid path");
        }
    }
    causes
}

/// Says whether a path such as `.spec.a` or `.labels['x']` leads to a field of the schema.
fn names_field(schema: &Value, path: &str) -> bool {
    let mut rest = path;
    let mut place = schema;
    while !rest.is_empty() {
        let name;
        (name, rest) = if let Some(quoted) = rest.strip_prefix("['") {
            let Some((name, rest)) = quoted.split_once("']") else { return false };
            (name, rest)
        } else if let Some(named) = rest.strip_prefix('.') {
            named.split_at(named.find(['.', '[']).unwrap_or(named.len()))
        } else {
            return false;
        };
        let below = place.lookup(&["properties", name]);
        let Some(below) = below.or_else(|| place.get("additionalProperties").filter(|extra| extra.as_map().is_some()))
        else {
            return false;
        };
        place = below;
    }
    !path.is_empty()
}

/// The expressions of a rule: whether they fit what the schema describes.
fn check_expressions(schema: &Value, rule: &Value, at: &str, uncorrelated: Option<&str>) -> Vec<Cause> {
    let text = |field: &str| rule.lookup_str(&[field]).unwrap_or_default();
    let mut causes = Vec::new();
    let mut wrong = |field: &str, value: &str, why: String| {
        causes.push(Cause::invalid(format!("{at}.{field}"), value, why));
    };
    // A schema that describes nothing that rules can see has none that could be checked.
    let Some(own) = Type::of(schema, !at.contains(".properties[") && !at.contains(".items")) else { return causes };
    let optional = rule.get("optionalOldSelf").and_then(Value::as_bool);
    let old = if optional == Some(true) { Type::Optional(Box::new(own.clone())) } else { own.clone() };
    let scope = || vec![("self".to_owned(), own.clone()), ("oldSelf".to_owned(), old.clone())];
    let uses_old = match typing::check(text("rule"), scope()) {
        Err(why) => {
            wrong("rule", &shown(rule), format!("compilation failed: {why}"));
            return causes;
        }
        Ok((Type::Bool | Type::Dynamic, uses_old)) => uses_old,
        Ok(_) => {
            wrong("rule", &shown(rule), "cel expression must evaluate to a bool".to_owned());
            return causes;
        }
    };
    if !text("messageExpression").is_empty() {
        match typing::check(text("messageExpression"), scope()) {
            Err(why) => {
                wrong("messageExpression", &shown(rule), format!("messageExpression compilation failed: {why}"));
            }
            Ok((Type::String | Type::Dynamic, _)) => {}
            Ok(_) => wrong("messageExpression", &shown(rule), "messageExpression must evaluate to a string".to_owned()),
        }
    }
    match (uses_old, uncorrelated, optional) {
        (true, Some(place), _) => {
            let why = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {place}");
            wrong("rule", &format!("{:?}", text("rule")), why);
        }
        (false, _, Some(set)) => {
            wrong("optionalOldSelf", &set.to_string(), "may not be set if oldSelf is not used in rule".to_owned());
        }
        _ => {}
    }
    causes
}
