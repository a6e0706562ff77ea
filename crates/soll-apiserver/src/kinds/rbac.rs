//! What is wrong with roles and bindings.

use soll_yaml::Value;

use super::checks::invalid;
use crate::names;
use crate::refusal::{Cause, shown};

const GROUP: &str = "rbac.authorization.k8s.io";

fn strings<'v>(value: &'v Value, field: &str) -> Vec<&'v str> {
    let list = value.get(field).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

/// What is wrong with the rules of a role.
pub(crate) fn validate_role(namespaced: bool, role: &Value) -> Vec<Cause> {
    let rules = role.get("rules").and_then(Value::as_list).unwrap_or_default();
    rules
        .iter()
        .enumerate()
        .flat_map(|(index, rule)| validate_rule(namespaced, rule, &format!("rules[{index}]")))
        .collect()
}

fn validate_rule(namespaced: bool, rule: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let has = |field: &str| !strings(rule, field).is_empty();
    if !has("verbs") {
        causes.push(Cause::required(format!("{at}.verbs"), "verbs must contain at least one value"));
    }
    if has("nonResourceURLs") {
        let field = format!("{at}.nonResourceURLs");
        let urls = rule.get("nonResourceURLs").map(shown).unwrap_or_default();
        if namespaced {
            causes.push(Cause::invalid(&field, &urls, "namespaced rules cannot apply to non-resource URLs"));
        }
        if has("apiGroups") || has("resources") || has("resourceNames") {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            causes.push(Cause::invalid(&field, &urls, why));
        }
        return causes;
    }
    if !has("apiGroups") {
        causes.push(Cause::required(format!("{at}.apiGroups"), "resource rules must supply at least one api group"));
    }
    if !has("resources") {
        causes.push(Cause::required(format!("{at}.resources"), "resource rules must supply at least one resource"));
    }
    causes
}

/// What is wrong with a binding.
pub(crate) fn validate_binding(namespaced: bool, binding: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let of_role = |field: &str| binding.lookup_str(&["roleRef", field]).unwrap_or_default();
    if of_role("apiGroup") != GROUP {
        causes.push(Cause::unsupported("roleRef.apiGroup", &format!("{:?}", of_role("apiGroup")), &[GROUP]));
    }
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&of_role("kind")) {
        causes.push(Cause::unsupported("roleRef.kind", &format!("{:?}", of_role("kind")), kinds));
    }
    if of_role("name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
    for (index, subject) in binding.get("subjects").and_then(Value::as_list).unwrap_or_default().iter().enumerate() {
        let of = |field: &str| subject.lookup_str(&[field]).unwrap_or_default();
        let at = |field: &str| format!("subjects[{index}].{field}");
        if of("name").is_empty() {
            causes.push(Cause::required(at("name"), ""));
        } else if of("kind") == "ServiceAccount" {
            causes.extend(invalid(at("name"), of("name"), names::subdomain(of("name"))));
        }
        let group = |allowed: &str| {
            (of("apiGroup") != allowed)
                .then(|| Cause::unsupported(at("apiGroup"), &format!("{:?}", of("apiGroup")), &[allowed]))
        };
        match of("kind") {
            "ServiceAccount" => {
                causes.extend(group(""));
                // Those of a namespace are its own if nothing else is said.
                if of("namespace").is_empty() && !namespaced {
                    causes.push(Cause::required(at("namespace"), ""));
                }
            }
            "User" | "Group" => causes.extend(group(GROUP)),
            other => {
                let known = ["ServiceAccount", "User", "Group"];
                causes.push(Cause::unsupported(at("kind"), &format!("{other:?}"), &known));
            }
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(causes: &[Cause]) -> Vec<&str> {
        causes.iter().map(|cause| cause.field.as_str()).collect()
    }

    #[test]
    fn rules_are_about_resources_or_urls() {
        let role = br#"{"rules":[{"verbs":["get"],"nonResourceURLs":["/x"]},{"apiGroups":[""],"resources":["pods"]}]}"#;
        let role = soll_yaml::parse_json(role).expect("JSON");
        assert_eq!(fields(&validate_role(false, &role)), ["rules[1].verbs"]);
        assert_eq!(fields(&validate_role(true, &role)), ["rules[0].nonResourceURLs", "rules[1].verbs"]);
    }

    #[test]
    fn subjects_are_of_three_kinds() {
        let binding = br#"{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"},
            "subjects":[{"kind":"ServiceAccount","name":"s"},{"kind":"Robot","name":"r"},{"kind":"User","name":"u"}]}"#;
        let binding = soll_yaml::parse_json(binding).expect("JSON");
        assert_eq!(fields(&validate_binding(true, &binding)), ["subjects[1].kind", "subjects[2].apiGroup"]);
        let wrong = ["roleRef.kind", "subjects[0].namespace", "subjects[1].kind", "subjects[2].apiGroup"];
        assert_eq!(fields(&validate_binding(false, &binding)), wrong);
    }
}
