//! What makes invalid where a pod wants to run: nodes, other pods, taints.

use soll_yaml::Value;

use super::super::checks::{self, items, list, one_of, optional, quoted, text};
use super::super::toleration;
use crate::names;
use crate::refusal::Cause;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// What is wrong with the affinities, tolerations and spreads of the pod spec at `at`.
pub(super) fn check(spec: &Value, at: &str) -> Vec<Cause> {
    let labels = spec.get("nodeSelector");
    let mut causes =
        labels.map_or_else(Vec::new, |labels| names::check_label_map(&format!("{at}.nodeSelector"), labels));
    let node = text(spec, &["nodeName"]);
    causes.extend(optional(format!("{at}.nodeName"), node, names::subdomain));
    causes.extend(toleration::check(list(spec, &["tolerations"]), &format!("{at}.tolerations")));
    causes.extend(check_spreads(spec, at));
    let affinity = spec.get("affinity").cloned().unwrap_or_default();
    let at = format!("{at}.affinity");
    if let Some(nodes) = affinity.get("nodeAffinity") {
        causes.extend(check_nodes(&format!("{at}.nodeAffinity"), nodes));
    }
    for side in ["podAffinity", "podAntiAffinity"] {
        let at = format!("{at}.{side}");
        for (at, term) in items(affinity.get(side).unwrap_or(&Value::null()), REQUIRED, &at) {
            causes.extend(check_term(&at, term));
        }
        for (at, preferred) in items(affinity.get(side).unwrap_or(&Value::null()), PREFERRED, &at) {
            causes.extend(check_weight(&at, preferred));
            let term = preferred.get("podAffinityTerm").cloned().unwrap_or_default();
            causes.extend(check_term(&format!("{at}.podAffinityTerm"), &term));
        }
    }
    causes
}

fn check_nodes(at: &str, nodes: &Value) -> Vec<Cause> {
    let required = nodes.get(REQUIRED);
    let mut causes =
        required.map_or_else(Vec::new, |selector| checks::node_selector(&format!("{at}.{REQUIRED}"), selector));
    for (at, preferred) in items(nodes, PREFERRED, at) {
        causes.extend(check_weight(&at, preferred));
        let term = preferred.get("preference").cloned().unwrap_or_default();
        causes.extend(checks::node_selector_term(&format!("{at}.preference"), &term));
    }
    causes
}

fn check_weight(at: &str, preferred: &Value) -> Option<Cause> {
    let weight = preferred.get("weight").and_then(Value::as_i64).unwrap_or(0);
    let why = "must be in the range 1-100";
    (!(1..=100).contains(&weight)).then(|| Cause::invalid(format!("{at}.weight"), &weight.to_string(), why))
}

/// What is wrong with a term about other pods.
fn check_term(at: &str, term: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for field in ["labelSelector", "namespaceSelector"] {
        let selector = term.get(field);
        causes.extend(
            selector.into_iter().flat_map(|selector| checks::label_selector(&format!("{at}.{field}"), selector)),
        );
    }
    // A key that is not there is also told to be none.
    let (field, key) = (format!("{at}.topologyKey"), text(term, &["topologyKey"]));
    causes.extend(names::label_key_causes(&field, key));
    if key.is_empty() {
        causes.push(Cause::required(field, "can not be empty"));
    }
    causes
}

fn topology(field: &str, key: &str) -> Vec<Cause> {
    if key.is_empty() {
        return vec![Cause::required(field, "can not be empty")];
    }
    names::label_key_causes(field, key).collect()
}

fn check_spreads(spec: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spreads = list(spec, &["topologySpreadConstraints"]);
    let pair =
        |spread: &Value| (text(spread, &["topologyKey"]).to_owned(), text(spread, &["whenUnsatisfiable"]).to_owned());
    for (index, (at, spread)) in items(spec, "topologySpreadConstraints", at).enumerate() {
        let number = |field: &str| spread.get(field).and_then(Value::as_i64);
        for (field, amount) in [("maxSkew", Some(number("maxSkew").unwrap_or(0))), ("minDomains", number("minDomains"))]
        {
            if let Some(amount) = amount.filter(|amount| *amount <= 0) {
                causes.push(Cause::invalid(format!("{at}.{field}"), &amount.to_string(), "must be greater than zero"));
            }
        }
        let (key, when) = pair(spread);
        causes.extend(topology(&format!("{at}.topologyKey"), &key));
        causes.extend(one_of(format!("{at}.whenUnsatisfiable"), &when, &["DoNotSchedule", "ScheduleAnyway"]));
        if spreads[index + 1..].iter().any(|later| pair(later) == (key.clone(), when.clone())) {
            let field = format!("{at}.{{topologyKey, whenUnsatisfiable}}");
            causes.push(Cause::duplicate(field, &quoted(&format!("{{{key}, {when}}}"))));
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            let chosen = spread.get(policy).and_then(Value::as_str);
            causes.extend(chosen.and_then(|chosen| one_of(format!("{at}.{policy}"), chosen, &["Honor", "Ignore"])));
        }
        let selector = spread.get("labelSelector");
        let field = format!("{at}.labelSelector");
        causes.extend(selector.into_iter().flat_map(|selector| checks::label_selector(&field, selector)));
    }
    causes
}
