//! What is asked of fields of many kinds. Each check gives what is wrong, in the words of Kubernetes.

use soll_yaml::Value;

use crate::names;
use crate::refusal::{Cause, shown};
use crate::shape::quantity;

/// The text at a path; empty if there is none.
pub(super) fn text<'v>(value: &'v Value, path: &[&str]) -> &'v str {
    value.lookup_str(path).unwrap_or_default()
}

/// The list at a path; empty if there is none.
pub(super) fn list<'v>(value: &'v Value, path: &[&str]) -> &'v [Value] {
    value.lookup(path).and_then(Value::as_list).unwrap_or_default()
}

/// The texts in the list at a path.
pub(super) fn texts<'v>(value: &'v Value, path: &[&str]) -> Vec<&'v str> {
    list(value, path).iter().filter_map(Value::as_str).collect()
}

/// The number at a path; 0 if there is none.
pub(super) fn number(value: &Value, path: &[&str]) -> i64 {
    value.lookup(path).and_then(Value::as_i64).unwrap_or(0)
}

/// The items of a list with the path of each.
pub(super) fn items<'v>(
    value: &'v Value,
    field: &'static str,
    at: &str,
) -> impl Iterator<Item = (String, &'v Value)> + use<'v> {
    let at = if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") };
    list(value, &[field]).iter().enumerate().map(move |(index, item)| (format!("{at}[{index}]"), item))
}

/// A text as messages quote it.
pub(super) fn quoted(text: &str) -> String {
    shown(&Value::str(text)).into_owned()
}

/// A text that keeps none of some rules.
pub(super) fn invalid(field: impl Into<String>, text: &str, rule: Result<(), String>) -> Option<Cause> {
    rule.err().map(|why| Cause::invalid(field, &quoted(text), why))
}

/// A text that must be there.
pub(super) fn required(field: impl Into<String>, text: &str) -> Option<Cause> {
    text.is_empty().then(|| Cause::required(field, ""))
}

/// A name that must be there and keep a rule.
pub(super) fn named(field: String, text: &str, rule: fn(&str) -> Result<(), String>) -> Option<Cause> {
    if text.is_empty() { Some(Cause::required(field, "")) } else { invalid(field, text, rule(text)) }
}

/// A name that need not be there, and keeps a rule if it is.
pub(super) fn optional(field: impl Into<String>, text: &str, rule: fn(&str) -> Result<(), String>) -> Option<Cause> {
    if text.is_empty() { None } else { invalid(field, text, rule(text)) }
}

/// A text that must be one of these.
pub(super) fn one_of(field: impl Into<String>, text: &str, known: &[&str]) -> Option<Cause> {
    (!known.contains(&text)).then(|| Cause::unsupported(field, &quoted(text), known))
}

/// A number that must not be below nothing.
pub(super) fn at_least_zero(field: impl Into<String>, number: Option<&Value>) -> Option<Cause> {
    let number = number.and_then(Value::as_i64).filter(|number| *number < 0)?;
    Some(Cause::invalid(field, &number.to_string(), "must be greater than or equal to 0"))
}

/// What ports are for.
pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// The number of a port.
pub(super) fn port_number(field: impl Into<String>, number: i64) -> Option<Cause> {
    let why = "must be between 1 and 65535, inclusive";
    (!(1..=65535).contains(&number)).then(|| Cause::invalid(field, &number.to_string(), why))
}

/// More of something than there may be.
pub(super) fn too_many(field: impl Into<String>, count: usize, most: usize) -> Option<Cause> {
    let message = format!("Too many: {count}: must have at most {most} items");
    (count > most).then(|| Cause { kind: "FieldValueTooMany", field: field.into(), message })
}

/// The name of a port.
pub(super) fn port_name(field: &str, name: &str) -> impl Iterator<Item = Cause> + use<> {
    let (field, shown) = (field.to_owned(), quoted(name));
    names::port_name_mistakes(name).into_iter().map(move |why| Cause::invalid(field.as_str(), &shown, why))
}

/// How many there are, or a share of all in percent, which is `most` at most.
pub(super) fn amount_or_share(field: &str, amount: &Value, most: u32) -> Option<Cause> {
    let Some(share) = amount.as_str() else { return at_least_zero(field, Some(amount)) };
    let digits = share.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let why = match digits.filter(|digits| !digits.is_empty()) {
        None => {
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for \
             validation is '[0-9]+%')"
        }
        Some(digits) if digits.parse::<u32>().is_ok_and(|share| share <= most) => return None,
        Some(_) => "must not be greater than 100%",
    };
    Some(Cause::invalid(field, &quoted(share), why))
}

/// A quantity that must be more than nothing.
pub(super) fn more_than_nothing(field: impl Into<String>, amount: &Value, why: &str) -> Option<Cause> {
    let is_nothing = amount.as_str().and_then(quantity::nanos).is_some_and(|amount| amount <= 0);
    is_nothing.then(|| Cause::invalid(field, &shown(amount), why))
}

/// A reference to an object of any kind in the same place: its group, kind and name.
pub(super) fn reference(at: &str, object: &Value) -> Vec<Cause> {
    let group = object.get("apiGroup").and_then(Value::as_str);
    let group = group.and_then(|group| invalid(format!("{at}.apiGroup"), group, names::subdomain(group)));
    let rest = ["kind", "name"]
        .into_iter()
        .filter_map(|field| named(format!("{at}.{field}"), text(object, &[field]), names::path_segment));
    group.into_iter().chain(rest).collect()
}

/// A selector of labels.
pub(super) fn label_selector(at: &str, selector: &Value) -> Vec<Cause> {
    let labels = selector.get("matchLabels");
    let mut causes = labels.map_or_else(Vec::new, |map| names::check_label_map(&format!("{at}.matchLabels"), map));
    for (at, expression) in items(selector, "matchExpressions", at) {
        causes.extend(operator(&at, expression, false));
        causes.extend(names::label_key_causes(&format!("{at}.key"), text(expression, &["key"])));
        for (field, value) in items(expression, "values", &at) {
            let value = value.as_str().unwrap_or_default();
            causes.extend(invalid(field, value, names::check_label_value(value)));
        }
    }
    causes
}

/// A selector of nodes.
pub(super) fn node_selector(at: &str, selector: &Value) -> Vec<Cause> {
    if list(selector, &["nodeSelectorTerms"]).is_empty() {
        let why = "must have at least one node selector term";
        return vec![Cause::required(format!("{at}.nodeSelectorTerms"), why)];
    }
    items(selector, "nodeSelectorTerms", at).flat_map(|(at, term)| node_selector_term(&at, term)).collect()
}

pub(super) fn node_selector_term(at: &str, term: &Value) -> Vec<Cause> {
    items(term, "matchExpressions", at).flat_map(|(at, one)| node_expression(&at, one)).collect()
}

fn node_expression(at: &str, expression: &Value) -> Vec<Cause> {
    let mut causes: Vec<_> = names::label_key_causes(&format!("{at}.key"), text(expression, &["key"])).collect();
    causes.extend(operator(at, expression, true));
    causes
}

/// The operator of an expression, and how many values it takes; some compare numbers.
fn operator(at: &str, expression: &Value, compares: bool) -> Option<Cause> {
    let count = list(expression, &["values"]).len();
    let field = format!("{at}.values");
    match text(expression, &["operator"]) {
        "In" | "NotIn" => {
            (count == 0).then(|| Cause::required(field, "must be specified when `operator` is 'In' or 'NotIn'"))
        }
        "Exists" | "DoesNotExist" => (count > 0)
            .then(|| Cause::forbidden(field, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")),
        "Gt" | "Lt" if compares => (count != 1)
            .then(|| Cause::required(field, "must be specified single value when `operator` is 'Lt' or 'Gt'")),
        other => Some(Cause::invalid(format!("{at}.operator"), &quoted(other), "not a valid selector operator")),
    }
}
