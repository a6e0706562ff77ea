//! Priority and fairness: which requests belong together, and how many of them are served at once.

use soll_yaml::{Map, Value};

use super::checks::{self, invalid, list, number, one_of, quoted, text, texts};
use super::{child, default, spec_of};
use crate::meta;
use crate::names;
use crate::refusal::{Cause, shown};

const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// What schemas and levels are that say nothing else.
pub(super) fn settle(plural: &str, object: &mut Value) {
    let spec = spec_of(object);
    if plural == "flowschemas" {
        default_for_zero(spec, "matchingPrecedence", 1_000);
        return;
    }
    if let Some(exempt) = child(spec, "exempt") {
        default(exempt, "nominalConcurrencyShares", 0);
        default(exempt, "lendablePercent", 0);
    }
    if let Some(limited) = child(spec, "limited") {
        default(limited, "nominalConcurrencyShares", 30);
        default(limited, "lendablePercent", 0);
        if let Some(queuing) = child(limited, "limitResponse").and_then(|response| child(response, "queuing")) {
            for (field, value) in [("queues", 64), ("handSize", 8), ("queueLengthLimit", 50)] {
                default_for_zero(queuing, field, value);
            }
        }
    }
}

/// Sets a number that is no pointer in Go, where nothing is the same as zero.
fn default_for_zero(map: &mut Map, field: &str, value: i64) {
    if map.get(field).and_then(Value::as_i64).unwrap_or(0) == 0 {
        map.insert(field, Value::from(value));
    }
}

/// What is wrong with a schema.
pub(super) fn validate_schema(object: &Value) -> Vec<Cause> {
    const LAST: i64 = 10_000;
    let spec = object.get("spec").cloned().unwrap_or_default();
    let mut causes = Vec::new();
    let precedence = number(&spec, &["matchingPrecedence"]);
    let wrong = |why: &str| Cause::invalid("spec.matchingPrecedence", &precedence.to_string(), why);
    if precedence <= 0 {
        causes.push(wrong("must be a positive value"));
    } else if precedence > LAST {
        causes.push(wrong("must not be greater than 10000"));
    } else if precedence == 1 && meta::text(object, "name") != "exempt" {
        causes.push(wrong("only the schema named 'exempt' may have matchingPrecedence 1"));
    }
    if let Some(method) = spec.get("distinguisherMethod")
        && !["ByNamespace", "ByUser"].contains(&text(method, &["type"]))
    {
        let field = "spec.distinguisherMethod.type";
        causes.push(Cause::unsupported(
            field,
            &format!("{{\"Type\":{}}}", quoted(text(method, &["type"]))),
            &["ByNamespace", "ByUser"],
        ));
    }
    let field = "spec.priorityLevelConfiguration.name";
    match spec.lookup_str(&["priorityLevelConfiguration", "name"]).unwrap_or_default() {
        "" => causes.push(Cause::required(field, "must reference a priority level")),
        level => causes.extend(invalid(field, level, names::subdomain(level))),
    }
    causes.extend(checks::items(&spec, "rules", "spec").flat_map(|(at, rule)| check_rule(rule, &at)));
    causes
}

fn check_rule(rule: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if list(rule, &["subjects"]).is_empty() {
        causes.push(Cause::required(format!("{at}.subjects"), "subjects must contain at least one value"));
    }
    causes.extend(checks::items(rule, "subjects", at).flat_map(|(at, subject)| check_subject(subject, &at)));
    if list(rule, &["resourceRules"]).is_empty() && list(rule, &["nonResourceRules"]).is_empty() {
        let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
        causes.push(Cause::required(at, why));
    }
    causes.extend(checks::items(rule, "resourceRules", at).flat_map(|(at, rule)| check_resources(rule, &at)));
    causes.extend(checks::items(rule, "nonResourceRules", at).flat_map(|(at, rule)| check_urls(rule, &at)));
    causes
}

fn check_subject(subject: &Value, at: &str) -> Vec<Cause> {
    const KINDS: [(&str, &str); 3] = [("Group", "group"), ("ServiceAccount", "serviceAccount"), ("User", "user")];
    let kind = text(subject, &["kind"]);
    if !KINDS.iter().any(|(known, _)| *known == kind) {
        return one_of(format!("{at}.kind"), kind, &KINDS.map(|(known, _)| known)).into_iter().collect();
    }
    let mut causes = Vec::new();
    for (known, field) in KINDS {
        let (given, at) = (subject.get(field), format!("{at}.{field}"));
        match given {
            None if known == kind => {
                causes.push(Cause::required(at, &format!("{field} is required when subject kind is '{known}'")));
            }
            Some(_) if known != kind => {
                causes.push(Cause::forbidden(at, format!("{field} is forbidden when subject kind is not '{known}'")));
            }
            Some(given) => causes.extend(check_who(known, given, &at)),
            None => {}
        }
    }
    causes
}

fn check_who(kind: &str, given: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let is_account = kind == "ServiceAccount";
    match text(given, &["name"]) {
        "" => causes.push(Cause::required(format!("{at}.name"), "")),
        called if is_account && called != "*" => {
            causes.extend(invalid(format!("{at}.name"), called, names::subdomain(called)));
        }
        _ => {}
    }
    match text(given, &["namespace"]) {
        _ if !is_account => {}
        "" => {
            causes.push(Cause::required(format!("{at}.namespace"), "must specify namespace for service account"));
        }
        namespace => causes.extend(invalid(format!("{at}.namespace"), namespace, names::label(namespace))),
    }
    causes
}

/// What is wrong with a list that says something, or all with a star alone.
fn check_any(rule: &Value, at: &str, field: &str, required: &str, others: &str) -> Vec<Cause> {
    let given = texts(rule, &[field]);
    if given.is_empty() {
        return vec![Cause::required(format!("{at}.{field}"), required)];
    }
    let is_mixed = given.len() > 1 && given.contains(&"*");
    let all = rule.get(field).map(shown).unwrap_or_default();
    let why = format!("if '*' is present, must not specify other {others}");
    is_mixed.then(|| Cause::invalid(format!("{at}.{field}"), &all, why)).into_iter().collect()
}

fn check_verbs(rule: &Value, at: &str) -> Vec<Cause> {
    let mut causes = check_any(rule, at, "verbs", "verbs must contain at least one value", "verbs");
    let verbs = texts(rule, &["verbs"]);
    if !verbs.contains(&"*") && verbs.iter().any(|verb| !VERBS.contains(verb)) {
        let all = rule.get("verbs").map(shown).unwrap_or_default();
        causes.push(Cause::unsupported(format!("{at}.verbs"), &all, &VERBS));
    }
    causes
}

fn check_resources(rule: &Value, at: &str) -> Vec<Cause> {
    let mut causes = check_verbs(rule, at);
    let why = "resource rules must supply at least one api group";
    causes.extend(check_any(rule, at, "apiGroups", why, "api groups"));
    causes.extend(check_any(rule, at, "resources", "resource rules must supply at least one resource", "resources"));
    let namespaces = texts(rule, &["namespaces"]);
    let reaches_all = rule.get("clusterScope").and_then(Value::as_bool).unwrap_or(false);
    if !namespaces.is_empty() || !reaches_all {
        let why = "resource rules that are not cluster scoped must supply at least one namespace";
        causes.extend(check_any(rule, at, "namespaces", why, "namespaces"));
    }
    if !namespaces.contains(&"*") {
        for (index, namespace) in namespaces.into_iter().enumerate() {
            let why = |why| format!("each member of this list must be '*' or a DNS-1123 label; {why}");
            let rule = names::label(namespace).map_err(why);
            causes.extend(invalid(format!("{at}.namespaces[{index}]"), namespace, rule));
        }
    }
    causes
}

fn check_urls(rule: &Value, at: &str) -> Vec<Cause> {
    let mut causes = check_verbs(rule, at);
    let why = "nonResourceURLs must contain at least one value";
    causes.extend(check_any(rule, at, "nonResourceURLs", why, "non-resource URLs"));
    let urls = texts(rule, &["nonResourceURLs"]);
    if !urls.contains(&"*") {
        for (index, url) in urls.into_iter().enumerate() {
            causes.extend(check_path(url, &format!("{at}.nonResourceURLs[{index}]")));
        }
    }
    causes
}

fn check_path(path: &str, at: &str) -> Option<Cause> {
    let why = if path.is_empty() {
        "must not be empty"
    } else if path == "/" {
        return None;
    } else if !path.starts_with('/') {
        "must start with slash"
    } else if path.contains(' ') {
        "must not contain white-space"
    } else if path.contains("//") {
        "must not contain double slash"
    } else if path.trim_end_matches('*').contains('*') || path.ends_with('*') && !path.ends_with("/*") {
        "wildcard can only do suffix matching"
    } else {
        return None;
    };
    Some(Cause::invalid(at, &quoted(path), why))
}

/// What is wrong with a level.
pub(super) fn validate_level(object: &Value) -> Vec<Cause> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let kind = text(&spec, &["type"]);
    let mut causes = Vec::new();
    if (meta::text(object, "name") == "exempt") != (kind == "Exempt") {
        let why = "must be 'Exempt' if and only if `name` is 'exempt'";
        causes.push(Cause::invalid("spec.type", &quoted(kind), why));
    }
    let (exempt, limited) = (spec.get("exempt"), spec.get("limited"));
    match kind {
        "Exempt" => {
            if limited.is_some() {
                causes.push(Cause::forbidden("spec.limited", "must be nil if the type is not Limited"));
            }
            causes.extend(exempt.into_iter().flat_map(|exempt| check_shares(exempt, "spec.exempt")));
        }
        "Limited" => {
            if exempt.is_some() {
                causes.push(Cause::forbidden("spec.exempt", "must be nil if the type is Limited"));
            }
            match limited {
                None => causes.push(Cause::required("spec.limited", "must not be empty when type is Limited")),
                Some(limited) => causes.extend(check_limited(limited)),
            }
        }
        other => causes.extend(one_of("spec.type", other, &["Exempt", "Limited"])),
    }
    causes
}

fn check_shares(part: &Value, at: &str) -> Vec<Cause> {
    let wrong =
        |field: &str, why: &str| Cause::invalid(format!("{at}.{field}"), &number(part, &[field]).to_string(), why);
    let mut causes = Vec::new();
    if number(part, &["nominalConcurrencyShares"]) < 0 {
        causes.push(wrong("nominalConcurrencyShares", "must be a non-negative integer"));
    }
    if !(0..=100).contains(&number(part, &["lendablePercent"])) {
        causes.push(wrong("lendablePercent", "must be between 0 and 100, inclusive"));
    }
    if number(part, &["borrowingLimitPercent"]) < 0 {
        causes.push(wrong("borrowingLimitPercent", "if specified, must be a non-negative integer"));
    }
    causes
}

fn check_limited(limited: &Value) -> Vec<Cause> {
    let mut causes = check_shares(limited, "spec.limited");
    let response = limited.get("limitResponse").cloned().unwrap_or_default();
    let at = "spec.limited.limitResponse";
    match (text(&response, &["type"]), response.get("queuing")) {
        ("Reject", Some(_)) => {
            let why = "must be nil if limited.limitResponse.type is not Limited";
            causes.push(Cause::forbidden(format!("{at}.queuing"), why));
        }
        ("Reject", None) => {}
        ("Queue", None) => {
            let why = "must not be empty if limited.limitResponse.type is Limited";
            causes.push(Cause::required(format!("{at}.queuing"), why));
        }
        ("Queue", Some(queuing)) => causes.extend(check_queues(queuing, &format!("{at}.queuing"))),
        (other, _) => causes.extend(one_of(format!("{at}.type"), other, &["Queue", "Reject"])),
    }
    causes
}

fn check_queues(queuing: &Value, at: &str) -> Vec<Cause> {
    const MOST: i64 = 10_000_000;
    let mut causes = Vec::new();
    let mut wrong = |field: &str, why: String| {
        causes.push(Cause::invalid(format!("{at}.{field}"), &number(queuing, &[field]).to_string(), why));
    };
    let [length, queues, hand] = ["queueLengthLimit", "queues", "handSize"].map(|field| number(queuing, &[field]));
    if length <= 0 {
        wrong("queueLengthLimit", "must be positive".to_owned());
    }
    if queues <= 0 {
        wrong("queues", "must be positive".to_owned());
    } else if queues > MOST {
        wrong("queues", format!("must not be greater than {MOST}"));
    }
    if hand <= 0 {
        wrong("handSize", "must be positive".to_owned());
    } else if hand > queues {
        wrong("handSize", format!("should not be greater than queues ({queues})"));
    } else if bits_to_deal(queues, hand) > 60 {
        let why =
            format!("required entropy bits of deckSize {queues} and handSize {hand} should not be greater than 60");
        wrong("handSize", why);
    }
    causes
}

/// The bits of chance that dealing a hand from a deck takes.
fn bits_to_deal(deck: i64, hand: i64) -> u32 {
    // Where there is more to say than fits, it is too much anyway.
    let hands = (0..hand).try_fold(1_u128, |hands, dealt| hands.checked_mul(u128::try_from(deck - dealt).ok()?));
    hands.map_or(u32::MAX, |hands| hands.next_power_of_two().trailing_zeros())
}
