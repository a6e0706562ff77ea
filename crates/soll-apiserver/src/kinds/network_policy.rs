//! Network policies: who may talk to whom.

use soll_yaml::Value;

use super::checks::{self, invalid, items, list, one_of, text};
use super::range::{NO_RANGE, Range};
use super::{default, items as items_mut, spec_of};
use crate::refusal::{Cause, shown};

/// Which directions they are about, and TCP.
pub(super) fn settle(object: &mut Value) {
    let spec = spec_of(object);
    let mut types = vec![Value::str("Ingress")];
    if spec.get("egress").and_then(Value::as_list).is_some_and(|rules| !rules.is_empty()) {
        types.push(Value::str("Egress"));
    }
    default(spec, "policyTypes", Value::list(types));
    for direction in ["ingress", "egress"] {
        for rule in items_mut(spec, direction) {
            items_mut(rule, "ports").for_each(|port| default(port, "protocol", "TCP"));
        }
    }
}

pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let spec = object.get("spec").cloned().unwrap_or_default();
    let mut causes = selector("spec.podSelector", spec.get("podSelector"));
    for (direction, side) in [("ingress", "from"), ("egress", "to")] {
        for (at, rule) in items(&spec, direction, "spec") {
            causes.extend(items(rule, "ports", &at).flat_map(|(at, port)| validate_port(&at, port)));
            causes.extend(items(rule, side, &at).flat_map(|(at, peer)| validate_peer(&at, peer)));
        }
    }
    let types = list(&spec, &["policyTypes"]);
    if types.len() > 2 {
        let all = spec.get("policyTypes").map(shown).unwrap_or_default();
        causes.push(Cause::invalid("spec.policyTypes", &all, "may not specify more than two policyTypes"));
        return causes;
    }
    let known = ["Ingress", "Egress"];
    let types = items(&spec, "policyTypes", "spec");
    causes.extend(types.filter_map(|(at, kind)| one_of(at, kind.as_str().unwrap_or_default(), &known)));
    causes
}

fn selector(at: &str, selector: Option<&Value>) -> Vec<Cause> {
    selector.map_or_else(Vec::new, |selector| checks::label_selector(at, selector))
}

fn validate_port(at: &str, rule: &Value) -> Vec<Cause> {
    let protocol = one_of(format!("{at}.protocol"), text(rule, &["protocol"]), &["TCP", "UDP", "SCTP"]);
    let mut causes: Vec<_> = protocol.into_iter().collect();
    let end = rule.get("endPort").and_then(Value::as_i64);
    let no_end = |why: &str| end.map(|end| Cause::invalid(format!("{at}.endPort"), &end.to_string(), why));
    match rule.get("port") {
        None => causes.extend(no_end("may not be specified when `port` is not specified")),
        Some(port) => match port.as_str() {
            Some(name) => {
                causes.extend(no_end("may not be specified when `port` is non-numeric"));
                causes.extend(checks::port_name(&format!("{at}.port"), name));
            }
            None => {
                let first = port.as_i64().unwrap_or_default();
                causes.extend(checks::port_number(format!("{at}.port"), first));
                if end.is_some_and(|end| end < first) {
                    // Kubernetes shows the other number, too.
                    let why = "must be greater than or equal to `port`";
                    causes.push(Cause::invalid(format!("{at}.endPort"), &first.to_string(), why));
                }
                causes.extend(end.and_then(|end| checks::port_number(format!("{at}.endPort"), end)));
            }
        },
    }
    causes
}

/// What is wrong with a peer: one that is nobody, or two things at once.
fn validate_peer(at: &str, peer: &Value) -> Vec<Cause> {
    let mut causes = selector(&format!("{at}.podSelector"), peer.get("podSelector"));
    causes.extend(selector(&format!("{at}.namespaceSelector"), peer.get("namespaceSelector")));
    let block = peer.get("ipBlock");
    causes.extend(block.into_iter().flat_map(|block| validate_block(&format!("{at}.ipBlock"), block)));
    let selects = peer.get("podSelector").is_some() || peer.get("namespaceSelector").is_some();
    match (selects, block.is_some()) {
        (false, false) => causes.push(Cause::required(at, "must specify a peer")),
        (true, true) => causes.push(Cause::forbidden(at, "may not specify both ipBlock and another peer")),
        _ => {}
    }
    causes
}

fn validate_block(at: &str, block: &Value) -> Vec<Cause> {
    let (field, whole) = (format!("{at}.cidr"), text(block, &["cidr"]));
    if whole.is_empty() {
        return vec![Cause::required(field, "")];
    }
    let Some(range) = Range::parse(whole) else {
        return invalid(field, whole, Err(NO_RANGE.to_owned())).into_iter().collect();
    };
    let parts = items(block, "except", at).filter_map(|(at, part)| {
        let part = part.as_str().unwrap_or_default();
        let rule = match Range::parse(part) {
            None => Err(NO_RANGE.to_owned()),
            Some(inner) if range.has_part(inner) => Ok(()),
            Some(_) => Err("must be a strict subset of `cidr`".to_owned()),
        };
        invalid(at, part, rule)
    });
    parts.collect()
}
