//! Admission webhooks: who is asked, and about what.

use std::collections::HashSet;

use soll_yaml::Value;

use super::checks::{
    self, invalid, label_selector, list, named, number, one_of, port_number, quoted, required, text, texts, too_many,
};
use super::{child, default, items};
use crate::names;
use crate::refusal::{Cause, shown};

/// Versions of the question that kube-apiserver can ask.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// What is said of a webhook that says nothing else.
pub(super) fn settle(plural: &str, object: &mut Value) {
    for webhook in items(object.make_map(), "webhooks") {
        default(webhook, "failurePolicy", "Fail");
        default(webhook, "matchPolicy", "Equivalent");
        default(webhook, "timeoutSeconds", 10);
        default(webhook, "namespaceSelector", Value::map());
        default(webhook, "objectSelector", Value::map());
        if plural == "mutatingwebhookconfigurations" {
            default(webhook, "reinvocationPolicy", "Never");
        }
        items(webhook, "rules").for_each(|rule| default(rule, "scope", "*"));
        if let Some(service) = child(webhook, "clientConfig").and_then(|client| child(client, "service")) {
            default(service, "port", 443);
        }
    }
}

/// What is wrong with the webhooks of a configuration.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let (mut causes, mut seen) = (Vec::new(), HashSet::new());
    for (at, webhook) in checks::items(object, "webhooks", "") {
        causes.extend(check_webhook(webhook, &at));
        let called = text(webhook, &["name"]);
        if !called.is_empty() && !seen.insert(called) {
            causes.push(Cause::duplicate(format!("{at}.name"), &quoted(called)));
        }
    }
    causes
}

fn check_webhook(webhook: &Value, at: &str) -> Vec<Cause> {
    let field = |field: &str| format!("{at}.{field}");
    let mut causes = Vec::new();
    causes.extend(named(field("name"), text(webhook, &["name"]), names::domain_of_three));
    causes.extend(checks::items(webhook, "rules", at).flat_map(|(at, rule)| check_rule(rule, &at)));
    let choices: [(&str, &[&str]); 3] = [
        ("failurePolicy", &["Fail", "Ignore"]),
        ("matchPolicy", &["Equivalent", "Exact"]),
        ("reinvocationPolicy", &["IfNeeded", "Never"]),
    ];
    for (one, allowed) in choices {
        let given = webhook.lookup_str(&[one]);
        causes.extend(given.and_then(|given| one_of(field(one), given, allowed)));
    }
    match webhook.lookup_str(&["sideEffects"]) {
        None => causes.push(Cause::required(field("sideEffects"), "must specify one of None, NoneOnDryRun")),
        Some(given) => causes.extend(one_of(field("sideEffects"), given, &["None", "NoneOnDryRun"])),
    }
    let seconds = number(webhook, &["timeoutSeconds"]);
    if !(1..=30).contains(&seconds) {
        let why = "the timeout value must be between 1 and 30 seconds";
        causes.push(Cause::invalid(field("timeoutSeconds"), &seconds.to_string(), why));
    }
    for selector in ["namespaceSelector", "objectSelector"] {
        let given = webhook.get(selector).map(|given| label_selector(&field(selector), given));
        causes.extend(given.unwrap_or_default());
    }
    let client = webhook.get("clientConfig").cloned().unwrap_or_default();
    causes.extend(check_client(&client, &field("clientConfig")));
    causes.extend(check_versions(&texts(webhook, &["admissionReviewVersions"]), &field("admissionReviewVersions")));
    causes.extend(check_conditions(list(webhook, &["matchConditions"]), &field("matchConditions")));
    causes
}

fn check_versions(versions: &[&str], at: &str) -> Vec<Cause> {
    if versions.is_empty() {
        return vec![Cause::required(at, "must specify one of v1, v1beta1")];
    }
    let mut causes = Vec::new();
    for (index, version) in versions.iter().enumerate() {
        let field = format!("{at}[{index}]");
        if versions[..index].contains(version) {
            causes.push(Cause::invalid(field, &quoted(version), "duplicate version"));
        } else {
            causes.extend(invalid(field, version, names::old_label(version)));
        }
    }
    if !versions.iter().any(|version| VERSIONS.contains(version)) {
        causes.push(Cause::invalid(at, &shown_list(versions), "must include at least one of v1, v1beta1"));
    }
    causes
}

fn shown_list(texts: &[&str]) -> String {
    shown(&Value::list(texts.iter().copied().map(Value::str).collect::<Vec<_>>())).into_owned()
}

/// What is wrong with the way to a webhook.
fn check_client(client: &Value, at: &str) -> Vec<Cause> {
    let (url, service) = (client.lookup_str(&["url"]), client.get("service"));
    match (url, service) {
        (Some(url), None) => check_url(url, &format!("{at}.url")),
        (None, Some(service)) => check_service(service, &format!("{at}.service")),
        _ => vec![Cause::required(at, "exactly one of url or service is required")],
    }
}

fn check_url(url: &str, at: &str) -> Vec<Cause> {
    const FORM: &str = "; desired format: https://host[/path]";
    let (url, fragment) = url.split_once('#').unwrap_or((url, ""));
    let is_scheme = |scheme: &&str| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let scheme = url.split_once(':').map(|(scheme, _)| scheme).filter(is_scheme);
    let rest = scheme.map_or(url, |scheme| &url[scheme.len() + 1..]);
    let scheme = scheme.unwrap_or_default().to_lowercase();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest.strip_prefix("//").map_or("", |rest| rest.split('/').next().unwrap_or_default());
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let mut causes = Vec::new();
    let mut wrong = |shown: &str, why: String| causes.push(Cause::invalid(at, &quoted(shown), why));
    if scheme != "https" {
        wrong(&scheme, format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        wrong(host, format!("host must be specified{FORM}"));
    }
    if let Some(user) = user {
        wrong(user, "user information is not permitted in the URL".to_owned());
    }
    if !fragment.is_empty() {
        wrong(fragment, "fragments are not permitted in the URL".to_owned());
    }
    if !query.is_empty() {
        wrong(query, "query parameters are not permitted in the URL".to_owned());
    }
    causes
}

fn check_service(service: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    causes.extend(
        ["name", "namespace"].iter().filter_map(|field| required(format!("{at}.{field}"), text(service, &[field]))),
    );
    causes.extend(not_a_port(service, at));
    causes.extend(check_path(text(service, &["path"]), &format!("{at}.path")));
    causes
}

/// What is wrong with the port of a service that the server itself would ask.
pub(super) fn not_a_port(service: &Value, at: &str) -> Option<Cause> {
    let mut cause = port_number(format!("{at}.port"), number(service, &["port"]))?;
    cause.message = cause.message.replace(": must", ": port is not valid: must");
    Some(cause)
}

fn check_path(path: &str, at: &str) -> Vec<Cause> {
    let wrong = |why: String| Cause::invalid(at, &quoted(path), why);
    let mut causes = Vec::new();
    match path {
        "" | "/" => return causes,
        "//" => return vec![wrong("segment[0] may not be empty".to_owned())],
        _ => {}
    }
    if !path.starts_with('/') {
        causes.push(wrong("must start with a '/'".to_owned()));
    }
    // The first character counts as the slash that it should be.
    let segments: String = path.chars().skip(1).collect();
    for (index, segment) in segments.strip_suffix('/').unwrap_or(&segments).split('/').enumerate() {
        if segment.is_empty() {
            causes.push(wrong(format!("segment[{index}] may not be empty")));
        } else if let Err(why) = names::subdomain(segment) {
            causes.push(wrong(format!("segment[{index}]: {why}")));
        }
    }
    causes
}

fn check_rule(rule: &Value, at: &str) -> Vec<Cause> {
    const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
    let mut causes = Vec::new();
    let parts = [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")];
    for (part, called) in parts {
        let (given, field) = (texts(rule, &[part]), format!("{at}.{part}"));
        if given.is_empty() {
            causes.push(Cause::required(&field, ""));
        }
        if given.len() > 1 && given.contains(&"*") {
            let why = format!("if '*' is present, must not specify other {called}");
            causes.push(Cause::invalid(&field, &shown_list(&given), why));
        }
        for (index, one) in given.into_iter().enumerate() {
            let field = format!("{field}[{index}]");
            match part {
                "operations" => causes.extend(one_of(field, one, &OPERATIONS)),
                "apiVersions" if one.is_empty() => causes.push(Cause::required(field, "")),
                _ => {}
            }
        }
    }
    causes.extend(check_resources(&texts(rule, &["resources"]), &format!("{at}.resources")));
    let scope = rule.lookup_str(&["scope"]);
    let known = ["*", "Cluster", "Namespaced"];
    causes.extend(scope.and_then(|scope| one_of(format!("{at}.scope"), scope, &known)));
    causes
}

/// What is wrong with resources, and what is below them, each by its name or all.
fn check_resources(resources: &[&str], at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if resources.is_empty() {
        causes.push(Cause::required(at, ""));
    }
    let (mut with_all_below, mut below_all) = (HashSet::new(), HashSet::new());
    // As in kube-apiserver, the last one that has nothing below decides.
    let mut ends_with_a_name = false;
    for (index, one) in resources.iter().enumerate() {
        let field = format!("{at}[{index}]");
        let wrong = |pattern: String| {
            let why = format!("if '{pattern}' is present, must not specify {one}");
            Cause::invalid(&field, &quoted(one), why)
        };
        if one.is_empty() {
            causes.push(Cause::required(&field, ""));
            continue;
        }
        let Some((resource, below)) = one.split_once('/') else {
            ends_with_a_name = *one != "*";
            continue;
        };
        if with_all_below.contains(resource) {
            causes.push(wrong(format!("{resource}/*")));
        }
        if below_all.contains(below) {
            causes.push(wrong(format!("*/{below}")));
        }
        if below == "*" {
            with_all_below.insert(resource);
        }
        if resource == "*" {
            below_all.insert(below);
        }
    }
    let all = shown_list(resources);
    if resources.len() > 1 && resources.contains(&"*/*") {
        causes.push(Cause::invalid(at, &all, "if '*/*' is present, must not specify other resources"));
    }
    if resources.contains(&"*") && ends_with_a_name {
        let why = "if '*' is present, must not specify other resources without subresources";
        causes.push(Cause::invalid(at, &all, why));
    }
    causes
}

fn check_conditions(conditions: &[Value], at: &str) -> Vec<Cause> {
    const MOST: usize = 64;
    let (mut causes, mut seen) = (Vec::new(), HashSet::new());
    causes.extend(too_many(at, conditions.len(), MOST));
    for (index, condition) in conditions.iter().enumerate() {
        let field = |field: &str| format!("{at}[{index}].{field}");
        if text(condition, &["expression"]).trim().is_empty() {
            causes.push(Cause::required(field("expression"), ""));
        }
        match text(condition, &["name"]) {
            "" => causes.push(Cause::required(field("name"), "")),
            called => {
                causes.extend(names::label_key_causes(&field("name"), called));
                if !seen.insert(called) {
                    causes.push(Cause::duplicate(field("name"), &quoted(called)));
                }
            }
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(causes: &[Cause]) -> Vec<&str> {
        causes.iter().map(|cause| cause.message.split(';').next().unwrap_or_default()).collect()
    }

    #[test]
    fn addresses_are_hosts_and_paths() {
        for right in ["https://a.b", "https://a.b:8443/c/d", "HTTPS://[::1]/", "https://a/b:c"] {
            assert!(check_url(right, "url").is_empty(), "{right}");
        }
        let wrong = check_url("https://me:secret@a/b?c#d", "url");
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        let no_host = "Invalid value: \"\": host must be specified";
        assert_eq!(
            said(&check_url("a.b/c", "url")),
            ["Invalid value: \"\": 'https' is the only allowed URL scheme", no_host]
        );
        assert_eq!(said(&check_url("https:a", "url")), [no_host]);
    }

    #[test]
    fn what_is_below_all_is_not_told_twice() {
        let mistakes = |resources: &[&str]| check_resources(resources, "r").len();
        assert_eq!(mistakes(&["pods", "pods/status", "*/scale"]), 0);
        assert_eq!(mistakes(&["pods/*", "pods/status"]), 1);
        assert_eq!(mistakes(&["*/scale", "pods/scale"]), 1);
        assert_eq!(mistakes(&["*", "pods/scale"]), 0);
        assert_eq!(mistakes(&["pods", "*"]), 0, "kube-apiserver looks at the last");
        assert_eq!(mistakes(&["*", "pods"]), 1);
    }
}
