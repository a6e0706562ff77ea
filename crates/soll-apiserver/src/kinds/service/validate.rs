//! What is wrong with services, and what is odd.

use std::collections::HashSet;
use std::net::IpAddr;

use soll_yaml::Value;

use super::{
    flag, has_node_ports, is_external_name, is_headless, is_load_balancer, is_reached_from_outside, number, ports,
    shown, tells_health, text, texts,
};
use crate::kinds::checks::PROTOCOLS;
use crate::kinds::range::{NO_RANGE, Range};
use crate::names::{self, NO_IP};
use crate::refusal::Cause;
use crate::rest::Context;

const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const MODE: &str = "service.kubernetes.io/topology-mode";
const PORT: &str = "must be between 1 and 65535, inclusive";
const FOR_BALANCERS: &str = "may only be used when `type` is 'LoadBalancer'";

/// What is wrong with a service. What it had before may stay.
pub(crate) fn validate(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_type(&mut causes, object);
    check_ports(&mut causes, object);
    if let Some(selector) = object.lookup(&["spec", "selector"]) {
        causes.extend(names::check_label_map("spec.selector", selector));
    }
    check_affinity(&mut causes, object);
    causes.extend(validate_addresses(old, object));
    let before = old.map(|old| texts(old, "externalIPs")).unwrap_or_default();
    for (index, ip) in texts(object, "externalIPs").into_iter().enumerate() {
        let field = format!("spec.externalIPs[{index}]");
        match parse_ip(ip) {
            None if before.contains(&ip) => {
                causes.push(Cause::invalid(field, &format!("{ip:?}"), "must be a valid IP address"))
            }
            None => causes.push(Cause::invalid(field, &format!("{ip:?}"), NO_IP)),
            Some(parsed) => {
                causes.extend(no_endpoint(parsed, ip).map(|why| Cause::invalid(field, &format!("{ip:?}"), why)))
            }
        }
    }
    check_balancer(&mut causes, old, object);
    check_traffic(&mut causes, object);
    causes
}

fn one_of(causes: &mut Vec<Cause>, object: &Value, field: &str, allowed: &[&str]) {
    let value = text(object, field);
    if !value.is_empty() && !allowed.contains(&value) {
        causes.push(Cause::unsupported(format!("spec.{field}"), &format!("{value:?}"), allowed));
    }
}

fn check_type(causes: &mut Vec<Cause>, object: &Value) {
    one_of(causes, object, "type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    let kind = text(object, "type");
    if has_node_ports(object) && is_headless(object) {
        let why = format!("may not be set to 'None' for {kind} services");
        causes.push(Cause::invalid("spec.clusterIPs[0]", "\"None\"", why));
    }
    if !is_external_name(object) {
        return;
    }
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if object.lookup(&["spec", field]).is_some() {
            causes.push(Cause::forbidden(format!("spec.{field}"), "may not be set for ExternalName services"));
        }
    }
    let name = text(object, "externalName");
    match name.strip_suffix('.').unwrap_or(name) {
        "" => causes.push(Cause::required("spec.externalName", "")),
        name => {
            let wrong = names::subdomain(name).err();
            causes.extend(wrong.map(|why| Cause::invalid("spec.externalName", &format!("{name:?}"), why)));
        }
    }
}

fn check_ports(causes: &mut Vec<Cause>, object: &Value) {
    let ports = ports(object);
    if ports.is_empty() && !is_headless(object) && !is_external_name(object) {
        causes.push(Cause::required("spec.ports", ""));
    }
    let (mut names, mut numbers, mut node_ports) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        let name = port.lookup_str(&["name"]).unwrap_or_default();
        if name.is_empty() && ports.len() > 1 {
            causes.push(Cause::required(format!("{at}.name"), ""));
        } else if !name.is_empty() {
            let wrong = names::label(name).err();
            causes.extend(wrong.map(|why| Cause::invalid(format!("{at}.name"), &format!("{name:?}"), why)));
            if !names.insert(name) {
                causes.push(Cause::duplicate(format!("{at}.name"), &format!("{name:?}")));
            }
        }
        let number = |field: &str| port.get(field).and_then(Value::as_i64).unwrap_or(0);
        if !(1..=65_535).contains(&number("port")) {
            causes.push(Cause::invalid(format!("{at}.port"), &number("port").to_string(), PORT));
        }
        let protocol = port.lookup_str(&["protocol"]).unwrap_or_default();
        if !PROTOCOLS.contains(&protocol) {
            let field = format!("{at}.protocol");
            causes.push(Cause::unsupported(field, &format!("{protocol:?}"), &PROTOCOLS));
        }
        let target = format!("{at}.targetPort");
        match port.get("targetPort").map(|port| (port.as_i64(), port.as_str())) {
            Some((Some(number), _)) if !(1..=65_535).contains(&number) => {
                causes.push(Cause::invalid(target, &number.to_string(), PORT));
            }
            Some((_, Some(name))) => {
                let wrong = names::port_name_mistakes(name).into_iter();
                causes.extend(wrong.map(|why| Cause::invalid(target.clone(), &format!("{name:?}"), why)));
            }
            _ => {}
        }
        if let Some(protocol) = port.lookup_str(&["appProtocol"]) {
            let wrong = names::label_key_mistakes(protocol).into_iter();
            causes.extend(wrong.map(|why| Cause::invalid(format!("{at}.appProtocol"), &format!("{protocol:?}"), why)));
        }
        let node_port = number("nodePort");
        if node_port != 0 && text(object, "type") == "ClusterIP" {
            let why = "may not be used when `type` is 'ClusterIP'";
            causes.push(Cause::forbidden(format!("{at}.nodePort"), why));
        }
        if node_port != 0 && !node_ports.insert((protocol, node_port)) {
            causes.push(Cause::duplicate(format!("{at}.nodePort"), &node_port.to_string()));
        }
        if !numbers.insert((protocol, number("port"))) {
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{protocol:?},\"AppProtocol\":null,\"Port\":{},\"TargetPort\":0,\"NodePort\":0}}",
                number("port")
            );
            causes.push(Cause::duplicate(at, &shown));
        }
    }
}

fn check_affinity(causes: &mut Vec<Cause>, object: &Value) {
    const LONGEST: i64 = 86_400;
    one_of(causes, object, "sessionAffinity", &["ClientIP", "None"]);
    let seconds =
        object.lookup(&["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"]).and_then(Value::as_i64);
    if text(object, "sessionAffinity") == "ClientIP"
        && let Some(seconds) = seconds.filter(|seconds| !(1..=LONGEST).contains(seconds))
    {
        let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        let why = format!("must be greater than 0 and less than {LONGEST}");
        causes.push(Cause::invalid(field, &seconds.to_string(), why));
    }
}

/// What is wrong with addresses, families and the policy of families.
pub(super) fn validate_addresses(old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if is_external_name(object) {
        return causes;
    }
    let (one, list) = (text(object, "clusterIP"), texts(object, "clusterIPs"));
    let wrong_list = |why: &str| Cause::invalid("spec.clusterIPs", &shown(&list), why);
    match (one, list.first()) {
        ("", None) => {}
        ("", Some(_)) => causes.push(wrong_list("must be empty when `clusterIP` is not specified")),
        (_, None) => causes.push(Cause::required("spec.clusterIPs", "")),
        (one, Some(first)) if *first != one => causes.push(wrong_list("first value must match `clusterIP`")),
        _ => {}
    }
    let families = texts(object, "ipFamilies");
    for (index, family) in families.iter().enumerate() {
        let field = format!("spec.ipFamilies[{index}]");
        if !["IPv4", "IPv6"].contains(family) {
            causes.push(Cause::unsupported(&field, &format!("{family:?}"), &["IPv4", "IPv6"]));
        }
        if families[..index].contains(family) {
            causes.push(Cause::duplicate(field, &format!("{family:?}")));
        }
    }
    one_of(&mut causes, object, "ipFamilyPolicy", &["PreferDualStack", "RequireDualStack", "SingleStack"]);
    let before = old.map(|old| texts(old, "clusterIPs")).unwrap_or_default();
    let mut are_valid = true;
    for (index, ip) in list.iter().enumerate() {
        if index == 0 && *ip == "None" {
            if list.len() > 1 {
                are_valid = false;
                causes.push(wrong_list("'None' must be the first and only value"));
            }
        } else if !before.contains(ip) && parse_ip(ip).is_none() {
            are_valid = false;
            causes.push(Cause::invalid(format!("spec.clusterIPs[{index}]"), &format!("{ip:?}"), NO_IP));
        }
    }
    if list.len() > 2 {
        causes.push(wrong_list("may only hold up to 2 values"));
    }
    if !are_valid {
        return causes;
    }
    let sixes = list.iter().filter(|ip| is_v6(ip)).count();
    if list.len() > 1 && (sixes > 1 || list.len() - sixes > 1) {
        causes.push(wrong_list("may specify no more than one IP for each IP family"));
    }
    if !is_headless(object) {
        for (index, (ip, family)) in list.iter().zip(&families).enumerate() {
            if (*family == "IPv4") == is_v6(ip) && ["IPv4", "IPv6"].contains(family) {
                let why = format!("expected an {family} value as indicated by `ipFamilies[{index}]`");
                causes.push(Cause::invalid(format!("spec.clusterIPs[{index}]"), &format!("{ip:?}"), why));
            }
        }
    }
    causes
}

fn check_balancer(causes: &mut Vec<Cause>, old: Option<&Value>, object: &Value) {
    let balances = is_load_balancer(object);
    let ranges = texts(object, "loadBalancerSourceRanges");
    let annotation =
        |service: &Value| service.lookup_str(&["metadata", "annotations", SOURCE_RANGES]).map(str::to_owned);
    let (field, ranges, before) = if ranges.is_empty() {
        let given = annotation(object);
        let is_old = old.is_some_and(|old| annotation(old) == given);
        let some: Vec<String> = given
            .iter()
            .filter(|_| !is_old)
            .flat_map(|text| text.split(','))
            .map(|one| one.trim().to_owned())
            .collect();
        if given.is_some() && !balances {
            causes.push(Cause::forbidden(format!("metadata.annotations[{SOURCE_RANGES}]"), FOR_BALANCERS));
        }
        let some = if some == [""] { Vec::new() } else { some };
        (None, some, Vec::new())
    } else {
        if !balances {
            causes.push(Cause::forbidden("spec.LoadBalancerSourceRanges", FOR_BALANCERS));
        }
        let trimmed = |ranges: Vec<&str>| -> Vec<String> { ranges.iter().map(|one| one.trim().to_owned()).collect() };
        let before = old.map(|old| trimmed(texts(old, "loadBalancerSourceRanges"))).unwrap_or_default();
        (Some("spec.LoadBalancerSourceRanges"), trimmed(ranges), before)
    };
    for (index, range) in
        ranges.iter().enumerate().filter(|(_, range)| !before.contains(range) && Range::parse(range).is_none())
    {
        let at = match field {
            Some(field) => format!("{field}[{index}]"),
            None => format!("metadata.annotations[{SOURCE_RANGES}]"),
        };
        causes.push(Cause::invalid(at, &format!("{range:?}"), NO_RANGE));
    }
    if flag(object, "allocateLoadBalancerNodePorts").is_some() && !balances {
        causes.push(Cause::forbidden("spec.allocateLoadBalancerNodePorts", FOR_BALANCERS));
    }
    if let Some(class) = object.lookup_str(&["spec", "loadBalancerClass"]) {
        if balances {
            let wrong = names::label_key_mistakes(class).into_iter();
            causes.extend(wrong.map(|why| Cause::invalid("spec.loadBalancerClass", &format!("{class:?}"), why)));
        } else {
            causes.push(Cause::forbidden("spec.loadBalancerClass", FOR_BALANCERS));
        }
    }
}

fn check_traffic(causes: &mut Vec<Cause>, object: &Value) {
    let policy = text(object, "externalTrafficPolicy");
    if is_reached_from_outside(object) {
        one_of(causes, object, "externalTrafficPolicy", &["Cluster", "Local"]);
    } else if !policy.is_empty() {
        let why = "may only be set for externally-accessible services";
        causes.push(Cause::invalid("spec.externalTrafficPolicy", &format!("{policy:?}"), why));
    }
    let port = number(object, "healthCheckNodePort");
    if port != 0 && !tells_health(object) {
        let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        causes.push(Cause::invalid("spec.healthCheckNodePort", &port.to_string(), why));
    }
    one_of(causes, object, "internalTrafficPolicy", &["Cluster", "Local"]);
    one_of(causes, object, "trafficDistribution", &["PreferClose", "PreferSameZone", "PreferSameNode"]);
    let annotation = |key: &str| object.lookup_str(&["metadata", "annotations", key]);
    if let (Some(hints), Some(mode)) = (annotation(HINTS), annotation(MODE))
        && hints != mode
    {
        let why = format!("must match annotations[{HINTS}] when both are specified");
        causes.push(Cause::invalid(format!("metadata.annotations[{MODE}]"), &format!("{mode:?}"), why));
    }
}

/// What is wrong with a change: addresses and families stay, but for a second one that comes or goes.
pub(crate) fn validate_update(old: &Value, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if is_load_balancer(old) && is_load_balancer(object) {
        let class = ["spec", "loadBalancerClass"];
        if old.lookup(&class) != object.lookup(&class) {
            let shown = object.lookup(&class).map_or_else(|| "null".into(), crate::refusal::shown);
            causes.push(Cause::invalid("spec.loadBalancerClass", &shown, "may not change once set"));
        }
    }
    if tells_health(old)
        && tells_health(object)
        && number(old, "healthCheckNodePort") != number(object, "healthCheckNodePort")
    {
        causes.push(Cause::forbidden("spec.healthCheckNodePort", "field is immutable"));
    }
    if is_external_name(old) || is_external_name(object) {
        return causes;
    }
    let headless = (is_headless(old), is_headless(object));
    if headless != (true, true) {
        causes.extend(moved(old, object, "clusterIPs", "clusterIP"));
    }
    if headless == (false, false) {
        causes.extend(moved(old, object, "ipFamilies", "ipFamily"));
    }
    causes
}

/// How a list of addresses or families is no longer what it was.
fn moved(old: &Value, object: &Value, field: &str, one: &str) -> Vec<Cause> {
    let (before, after) = (texts(old, field), texts(object, field));
    let at = |index: usize| format!("spec.{field}[{index}]");
    let changed = |index: usize| Cause::invalid(at(index), &shown(&after), "may not change once set");
    if before.len() == after.len() {
        let pairs = before.iter().zip(&after).enumerate();
        let differ = pairs.filter(|(_, (before, after))| before != after);
        return differ.map(|(index, _)| changed(if field == "ipFamilies" { 0 } else { index })).collect();
    }
    let mut causes = Vec::new();
    if after.is_empty() {
        causes.push(Cause::invalid(at(0), "null", format!("primary {one} can not be unset")));
    } else if before.first().is_some_and(|first| *first != after[0]) {
        causes.push(changed(0));
    }
    let policy = text(object, "ipFamilyPolicy");
    if before.len() > after.len() && after.len() == 1 && policy != "SingleStack" {
        let why = format!("must be set to 'SingleStack' when releasing the secondary {one}");
        causes.push(Cause::invalid("spec.ipFamilyPolicy", &format!("{policy:?}"), why));
    }
    causes
}

/// An address; numbers of IPv4 may begin with zeros, which mean nothing.
pub(crate) fn parse_ip(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse().ok();
    }
    let numbers: Vec<&str> = text.split('.').collect();
    let fits = |number: &&str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let plain: Vec<String> = numbers
        .iter()
        .filter(|number| fits(number))
        .map(|number| {
            let rest = number.trim_start_matches('0');
            if rest.is_empty() { "0".to_owned() } else { rest.to_owned() }
        })
        .collect();
    (plain.len() == numbers.len()).then(|| plain.join(".").parse().ok())?
}

pub(crate) fn is_v6(text: &str) -> bool {
    parse_ip(text).is_some_and(|ip| matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none()))
}

/// Why nothing can be sent to an address.
pub(crate) fn no_endpoint(ip: IpAddr, text: &str) -> Option<String> {
    let local_multicast = match ip {
        IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
        IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
    };
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if ip.is_unspecified() {
        Some(format!("may not be unspecified ({text})"))
    } else if ip.is_loopback() {
        Some("may not be in the loopback range (127.0.0.0/8, ::1/128)".to_owned())
    } else if link_local {
        Some("may not be in the link-local range (169.254.0.0/16, fe80::/10)".to_owned())
    } else if local_multicast {
        Some("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)".to_owned())
    } else {
        None
    }
}

/// What is allowed and of no use.
pub(crate) fn warn(ctx: &Context<'_>, service: &Value) {
    let say = |sentence: &str| ctx.warn(sentence.to_owned());
    let has = |field: &str| !text(service, field).is_empty();
    if service.lookup_str(&["metadata", "annotations", HINTS]).is_some() {
        ctx.warn(format!("annotation {HINTS} is deprecated, please use {MODE} instead"));
    }
    if text(service, "type") == "ClusterIP" && text(service, "clusterIP") == "None" {
        if has("loadBalancerIP") {
            say("spec.loadBalancerIP is ignored for headless services");
        }
        if !texts(service, "externalIPs").is_empty() {
            say("spec.externalIPs is ignored for headless services");
        }
        if text(service, "sessionAffinity") != "None" {
            say("spec.SessionAffinity is ignored for headless services");
        }
    }
    let clusters =
        texts(service, "clusterIPs").into_iter().enumerate().map(|(i, ip)| (format!("spec.clusterIPs[{i}]"), ip));
    let external =
        texts(service, "externalIPs").into_iter().enumerate().map(|(i, ip)| (format!("spec.externalIPs[{i}]"), ip));
    let balancer = has("loadBalancerIP").then(|| ("spec.loadBalancerIP".to_owned(), text(service, "loadBalancerIP")));
    clusters
        .chain(external)
        .chain(balancer)
        .filter_map(|(field, ip)| odd_ip(&field, ip))
        .for_each(|text| ctx.warn(text));
    if is_external_name(service) && !texts(service, "externalIPs").is_empty() {
        say("spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    }
    if !is_external_name(service) && has("externalName") {
        say("spec.externalName is ignored when spec.type is not \"ExternalName\"");
    }
    if text(service, "trafficDistribution") == "PreferClose" {
        say("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
    }
}

/// What is odd about how an address is written.
pub(crate) fn odd_ip(field: &str, text: &str) -> Option<String> {
    let ip = parse_ip(text)?.to_canonical();
    let is_plain_v4 = ip.is_ipv4() && ip.to_string() == text;
    if ip.is_ipv4() {
        let sentence = "will be considered invalid in a future Kubernetes release";
        return (!is_plain_v4)
            .then(|| format!("{field}: non-standard IP address {text:?} {sentence}: use {:?}", ip.to_string()));
    }
    (ip.to_string() != text).then(|| {
        format!("{field}: IPv6 address {text:?} should be in RFC 5952 canonical format ({:?})", ip.to_string())
    })
}
