//! Where a service is reached: `Endpoints` and slices of them.

use std::collections::HashSet;
use std::net::Ipv6Addr;

use soll_yaml::Value;

use super::checks::{
    self, PROTOCOLS, invalid, list, number, one_of, optional, port_number, quoted, text, texts, too_many,
};
use super::service::{is_v6, no_endpoint, odd_ip, parse_ip};
use super::{default, items};
use crate::names;
use crate::refusal::Cause;

/// The ports of `Endpoints`.
pub(super) fn settle(object: &mut Value) {
    for subset in items(object.make_map(), "subsets") {
        items(subset, "ports").for_each(|port| default(port, "protocol", "TCP"));
    }
}

/// The ports of slices.
pub(super) fn settle_slice(object: &mut Value) {
    for port in items(object.make_map(), "ports") {
        default(port, "name", "");
        default(port, "protocol", "TCP");
    }
}

/// What is wrong with `Endpoints`. What was stored before may stay as it is.
pub(super) fn validate(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    if old.is_some_and(|old| old.get("subsets") == object.get("subsets")) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    for (at, subset) in checks::items(object, "subsets", "") {
        if list(subset, &["addresses"]).is_empty() && list(subset, &["notReadyAddresses"]).is_empty() {
            causes.push(Cause::required(&at, "must specify `addresses` or `notReadyAddresses`"));
        }
        for field in ["addresses", "notReadyAddresses"] {
            let addresses = checks::items(subset, field, &at);
            causes.extend(addresses.flat_map(|(at, address)| check_address(address, &at)));
        }
        let several = list(subset, &["ports"]).len() > 1;
        causes.extend(checks::items(subset, "ports", &at).flat_map(|(at, port)| check_port(port, several, &at)));
    }
    causes
}

fn check_address(address: &Value, at: &str) -> Vec<Cause> {
    let ip = text(address, &["ip"]);
    let field = format!("{at}.ip");
    let mut causes = Vec::new();
    causes.extend(invalid(&field, ip, names::ip(ip)));
    causes.extend(optional(format!("{at}.hostname"), text(address, &["hostname"]), names::label));
    if let Some(node) = address.lookup_str(&["nodeName"]) {
        causes.extend(invalid(format!("{at}.nodeName"), node, names::subdomain(node)));
    }
    causes.extend(invalid(field, ip, reachable(ip)));
    causes
}

/// An address of the newer family in the one way in which it should be written.
fn canonical_ip(ip: &str) -> Result<(), String> {
    match ip.parse::<Ipv6Addr>() {
        Ok(parsed) if parsed.to_ipv4_mapped().is_some() => Err("must not be an IPv4-mapped IPv6 address".to_owned()),
        Ok(parsed) if parsed.to_string() != ip => Err(format!("must be in canonical form (\"{parsed}\")")),
        _ => Ok(()),
    }
}

/// Why nothing can be sent to an address.
fn reachable(ip: &str) -> Result<(), String> {
    match parse_ip(ip) {
        None => Err("must be a valid IP address".to_owned()),
        Some(parsed) => no_endpoint(parsed.to_canonical(), ip).map_or(Ok(()), Err),
    }
}

fn check_port(one: &Value, needs_name: bool, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let field = |field: &str| format!("{at}.{field}");
    match text(one, &["name"]) {
        "" if needs_name => causes.push(Cause::required(field("name"), "")),
        "" => {}
        called => causes.extend(invalid(field("name"), called, names::label(called))),
    }
    causes.extend(port_number(field("port"), number(one, &["port"])));
    match text(one, &["protocol"]) {
        "" => causes.push(Cause::required(field("protocol"), "")),
        protocol => causes.extend(one_of(field("protocol"), protocol, &PROTOCOLS)),
    }
    if let Some(protocol) = one.lookup_str(&["appProtocol"]) {
        causes.extend(names::label_key_causes(&field("appProtocol"), protocol));
    }
    causes
}

/// What is wrong with a slice.
pub(super) fn validate_slice(object: &Value) -> Vec<Cause> {
    const MOST_ENDPOINTS: usize = 1_000;
    const MOST_PORTS: usize = 20_000;
    let mut causes = Vec::new();
    let kind = text(object, &["addressType"]);
    match kind {
        "" => causes.push(Cause::required("addressType", "")),
        kind => causes.extend(one_of("addressType", kind, &["FQDN", "IPv4", "IPv6"])),
    }
    let (endpoints, ports) = (list(object, &["endpoints"]), list(object, &["ports"]));
    match too_many("endpoints", endpoints.len(), MOST_ENDPOINTS) {
        Some(cause) => causes.push(cause),
        None => {
            let each = checks::items(object, "endpoints", "");
            causes.extend(each.flat_map(|(at, one)| check_endpoint(kind, one, &at)));
        }
    }
    match too_many("ports", ports.len(), MOST_PORTS) {
        Some(cause) => causes.push(cause),
        None => causes.extend(check_slice_ports(ports)),
    }
    causes
}

fn check_endpoint(kind: &str, endpoint: &Value, at: &str) -> Vec<Cause> {
    const MOST_ADDRESSES: usize = 100;
    const MOST_LABELS: usize = 16;
    let field = |field: &str| format!("{at}.{field}");
    let mut causes = Vec::new();
    let addresses = texts(endpoint, &["addresses"]);
    if addresses.is_empty() {
        causes.push(Cause::required(field("addresses"), "must contain at least 1 address"));
    }
    causes.extend(too_many(field("addresses"), addresses.len(), MOST_ADDRESSES));
    for (index, address) in addresses.into_iter().enumerate() {
        causes.extend(check_slice_address(kind, address, &field("addresses"), index));
    }
    if let Some(node) = endpoint.lookup_str(&["nodeName"]) {
        causes.extend(invalid(field("nodeName"), node, names::subdomain(node)));
    }
    if let Some(labels) = endpoint.get("deprecatedTopology") {
        let count = labels.as_map().map_or(0, |labels| labels.len());
        causes.extend(too_many(field("deprecatedTopology"), count, MOST_LABELS));
        causes.extend(names::check_label_map(&field("deprecatedTopology"), labels));
    }
    if let Some(host) = endpoint.lookup_str(&["hostname"]) {
        causes.extend(invalid(field("hostname"), host, names::label(host)));
    }
    if let Some(hints) = endpoint.get("hints") {
        causes.extend(check_hints(hints, "forZones", names::check_label_value, at));
        causes.extend(check_hints(hints, "forNodes", names::subdomain, at));
    }
    causes
}

fn check_slice_address(kind: &str, address: &str, at: &str, index: usize) -> Vec<Cause> {
    let field = format!("{at}[{index}]");
    if kind == "FQDN" {
        let cause = match address.strip_suffix('.').unwrap_or(address) {
            "" => Some(Cause::required(field, "")),
            address => invalid(field, address, names::domain_of_two(address)),
        };
        return cause.into_iter().collect();
    }
    if !matches!(kind, "IPv4" | "IPv6") {
        return Vec::new();
    }
    // What there was before there were rules for writing addresses is taken with a warning.
    let is_strict = kind == "IPv6";
    let rule = names::ip(address).and_then(|()| if is_strict { canonical_ip(address) } else { Ok(()) });
    if let Some(cause) = invalid(&field, address, rule) {
        return vec![cause];
    }
    let mut causes = Vec::new();
    if is_v6(address) != (kind == "IPv6") {
        causes.push(Cause::invalid(at, &quoted(address), format!("must be an {kind} address")));
    }
    causes.extend(invalid(field, address, reachable(address)));
    causes
}

/// What is odd about how addresses of `Endpoints` are written.
pub(super) fn warn(object: &Value) -> Vec<String> {
    let mut sentences = Vec::new();
    for (at, subset) in checks::items(object, "subsets", "") {
        for field in ["addresses", "notReadyAddresses"] {
            let addresses = checks::items(subset, field, &at);
            sentences.extend(addresses.filter_map(|(at, one)| odd_ip(&format!("{at}.ip"), text(one, &["ip"]))));
        }
    }
    sentences
}

/// What is odd about how addresses of a slice are written.
pub(super) fn warn_of_slice(object: &Value) -> Vec<String> {
    if text(object, &["addressType"]) != "IPv4" {
        return Vec::new();
    }
    let endpoints = checks::items(object, "endpoints", "");
    let addresses = endpoints.flat_map(|(at, endpoint)| checks::items(endpoint, "addresses", &at));
    addresses.filter_map(|(at, one)| odd_ip(&at, one.as_str()?)).collect()
}

fn check_hints(hints: &Value, side: &str, rule: fn(&str) -> Result<(), String>, at: &str) -> Vec<Cause> {
    const MOST_HINTS: usize = 8;
    let at = format!("{at}.hints.{side}");
    let hints = list(hints, &[side]);
    if let Some(cause) = too_many(&at, hints.len(), MOST_HINTS) {
        return vec![cause];
    }
    let (mut causes, mut seen) = (Vec::new(), HashSet::new());
    for (index, hint) in hints.iter().enumerate() {
        let (field, hint) = (format!("{at}[{index}].name"), text(hint, &["name"]));
        if !seen.insert(hint) {
            causes.push(Cause::duplicate(&field, &quoted(hint)));
        }
        causes.extend(invalid(field, hint, rule(hint)));
    }
    causes
}

fn check_slice_ports(ports: &[Value]) -> Vec<Cause> {
    let (mut causes, mut seen) = (Vec::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let field = |field: &str| format!("ports[{index}].{field}");
        let called = text(port, &["name"]);
        causes.extend(optional(field("name"), called, names::label));
        if !seen.insert(called) {
            causes.push(Cause::duplicate(field("name"), &quoted(called)));
        }
        causes.extend(one_of(field("protocol"), text(port, &["protocol"]), &PROTOCOLS));
        if let Some(protocol) = port.lookup_str(&["appProtocol"]) {
            causes.extend(names::label_key_causes(&field("appProtocol"), protocol));
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Value {
        soll_yaml::parse_json(text.as_bytes()).expect("JSON")
    }

    fn fields(causes: &[Cause]) -> Vec<&str> {
        causes.iter().map(|cause| cause.field.as_str()).collect()
    }

    #[test]
    fn what_was_stored_may_stay() {
        let odd = parsed(r#"{"subsets":[{"ports":[{"port":1,"protocol":"TCP"}]}]}"#);
        let odder = parsed(r#"{"subsets":[{"ports":[{"port":0,"protocol":"TCP"}]}]}"#);
        assert!(validate(Some(&odd), &odd).is_empty());
        assert_eq!(fields(&validate(Some(&odd), &odder)), ["subsets[0]", "subsets[0].ports[0].port"]);
    }

    #[test]
    fn slices_hold_a_limited_number() {
        let endpoints = vec![parsed(r#"{"addresses":["10.0.0.1"]}"#); 1_001];
        let mut slice = parsed(r#"{"addressType":"IPv4"}"#);
        slice.make_map().insert("endpoints", Value::list(endpoints));
        let causes = validate_slice(&slice);
        assert_eq!(causes.len(), 1);
        assert_eq!(causes[0].message, "Too many: 1001: must have at most 1000 items");
    }
}
