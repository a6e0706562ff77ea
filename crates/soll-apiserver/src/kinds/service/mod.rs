//! Services: defaults, cluster IPs and node ports.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::PoisonError;

use soll_yaml::{Map, Value};

use crate::refusal::{Cause, Refusal};
use crate::resources::Resource;
use crate::rest::{Api, Context};

/// Cluster IPs come from 10.96.0.0/16; the first is the API server's own.
const FIRST_IP: u32 = u32::from_be_bytes([10, 96, 0, 1]);
const IPS: u32 = 65_534;
const FIRST_NODE_PORT: u32 = 30_000;
const NODE_PORTS: u32 = 2_768;

/// Where the search for a free address or port starts: never where another request just did.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// Guards two counters for a few synchronous lines.
    next: std::sync::Mutex<(u32, u32)>,
}

impl Addresses {
    fn next_ip(&self) -> u32 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.0 = (next.0 + 1) % IPS;
        FIRST_IP + next.0
    }

    fn next_port(&self) -> u32 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.1 = (next.1 + 1) % NODE_PORTS;
        FIRST_NODE_PORT + next.1
    }
}

fn text<'o>(service: &'o Value, field: &str) -> &'o str {
    service.lookup_str(&["spec", field]).unwrap_or_default()
}

fn has_node_ports(kind: &str) -> bool {
    matches!(kind, "NodePort" | "LoadBalancer")
}

/// Fills in the defaults.
pub(crate) fn settle(object: &mut Value) {
    let spec = object.make_map().get_or_insert_with("spec", Value::map).make_map();
    let default = |spec: &mut Map, field: &str, value: Value| {
        spec.get_or_insert_with(field, || value);
    };
    default(spec, "type", Value::str("ClusterIP"));
    default(spec, "sessionAffinity", Value::str("None"));
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if spec.get("sessionAffinity").and_then(Value::as_str) == Some("None") {
        spec.remove("sessionAffinityConfig");
    }
    if spec.get("sessionAffinity").and_then(Value::as_str) == Some("ClientIP")
        && spec.get("sessionAffinityConfig").is_none()
    {
        let client = Map::from_iter([("timeoutSeconds", Value::from(10_800))]);
        spec.insert("sessionAffinityConfig", Map::from_iter([("clientIP", Value::from(client))]).into());
    }
    if kind != "ExternalName" {
        default(spec, "internalTrafficPolicy", Value::str("Cluster"));
    }
    let external_ips = spec.get("externalIPs").and_then(Value::as_list).is_some_and(|ips| !ips.is_empty());
    if has_node_ports(&kind) || external_ips {
        default(spec, "externalTrafficPolicy", Value::str("Cluster"));
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", Value::from(true));
    }
    for port in spec.get_mut("ports").and_then(Value::as_list_mut).into_iter().flatten() {
        let port = port.make_map();
        port.get_or_insert_with("protocol", || Value::str("TCP"));
        let own = port.get("port").cloned().unwrap_or_default();
        let target = port.get_or_insert_with("targetPort", || own.clone());
        if target.as_i64() == Some(0) || target.as_str() == Some("") {
            *target = own;
        }
    }
    if object.get("status").is_none() {
        let status = Map::from_iter([("loadBalancer", Value::map())]);
        object.make_map().insert("status", status.into());
    }
}

/// Gives the service its addresses: those it asks for, those it had, or free ones. A dry run reserves nothing.
pub(crate) fn allocate(ctx: &Context<'_>, old: Option<&Value>, object: &mut Value) -> Result<(), Refusal> {
    let (api, resource) = (ctx.api, &ctx.target.resource);
    let kind = text(object, "type").to_owned();
    let name = crate::meta::text(object, "name").to_owned();
    let spec = object.make_map().get_or_insert_with("spec", Value::map).make_map();
    if kind == "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            spec.remove(field);
        }
        return Ok(());
    }
    let had = |field: &str| old.and_then(|old| old.lookup(&["spec", field])).cloned();
    let asked = spec.get("clusterIP").and_then(Value::as_str).unwrap_or_default().to_owned();
    let before = had("clusterIP").and_then(|ip| ip.as_str().map(str::to_owned)).unwrap_or_default();
    let was_external = old.is_some_and(|old| text(old, "type") == "ExternalName");
    let ip = match (asked.as_str(), before.as_str()) {
        // A dry run reserves nothing, so any will do.
        ("", "") if ctx.options.dry_run => Ipv4Addr::from(FIRST_IP + IPS - 1).to_string(),
        ("", "") => free_ip(api),
        ("", _) => before.clone(),
        (same, before) if same == before => asked.clone(),
        (_, before) if !before.is_empty() && !was_external => {
            let cause = Cause::invalid("spec.clusterIPs[0]", &format!("[{asked:?}]"), "may not change once set");
            return Err(Refusal::invalid(&resource.group, &resource.kind, &name, vec![cause]));
        }
        ("None", _) => asked.clone(),
        _ => {
            check_ip(api, resource, &name, &asked)?;
            asked.clone()
        }
    };
    spec.insert("clusterIP", Value::str(&ip));
    spec.insert("clusterIPs", Value::list(vec![Value::str(&ip)]));
    // Whoever fills in the endpoints of a service without addresses and selector knows what families they are of.
    let selects = spec.get("selector").and_then(Value::as_map).is_some_and(|selector| !selector.is_empty());
    let (families, policy) = if ip == "None" && !selects {
        (vec![Value::str("IPv4"), Value::str("IPv6")], "RequireDualStack")
    } else {
        (vec![Value::str("IPv4")], "SingleStack")
    };
    for (field, value) in [("ipFamilies", Value::list(families)), ("ipFamilyPolicy", Value::str(policy))] {
        let kept = had(field).unwrap_or(value);
        spec.get_or_insert_with(field, || kept);
    }
    if has_node_ports(&kind) && spec.get("allocateLoadBalancerNodePorts").and_then(Value::as_bool) != Some(false) {
        allocate_node_ports(api, old, spec);
    }
    Ok(())
}

fn used_ips(api: &Api) -> HashSet<String> {
    let (services, _) = api.store.snapshot("/services");
    services.iter().map(|entry| text(&entry.value, "clusterIP").to_owned()).collect()
}

fn free_ip(api: &Api) -> String {
    let used = used_ips(api);
    let mut candidates = (0..IPS).map(|_| Ipv4Addr::from(api.addresses.next_ip()).to_string());
    // With all 65,534 taken the next one is shared, which no simulated service notices.
    candidates.find(|ip| !used.contains(ip)).unwrap_or_else(|| Ipv4Addr::from(api.addresses.next_ip()).to_string())
}

fn check_ip(api: &Api, resource: &Resource, name: &str, ip: &str) -> Result<(), Refusal> {
    let range = FIRST_IP..FIRST_IP + IPS;
    let valid = ip.parse::<Ipv4Addr>().is_ok_and(|ip| range.contains(&u32::from(ip)));
    let why = if !valid {
        format!("failed to allocate IP {ip}: the provided network does not match the current range")
    } else if used_ips(api).contains(ip) {
        format!("failed to allocate IP {ip}: provided IP is already allocated")
    } else {
        return Ok(());
    };
    let shown = format!("[{ip:?}]");
    Err(Refusal::invalid(&resource.group, &resource.kind, name, vec![Cause::invalid("spec.clusterIPs", &shown, why)]))
}

fn allocate_node_ports(api: &Api, old: Option<&Value>, spec: &mut Map) {
    let ports_of = |service: &Value| -> Vec<Value> {
        service.lookup(&["spec", "ports"]).and_then(Value::as_list).unwrap_or_default().to_vec()
    };
    let number = |port: &Value, field: &str| port.get(field).and_then(Value::as_i64).unwrap_or(0);
    let (services, _) = api.store.snapshot("/services");
    let mut used: HashSet<i64> =
        services.iter().flat_map(|entry| ports_of(&entry.value)).map(|port| number(&port, "nodePort")).collect();
    let before = old.map(ports_of).unwrap_or_default();
    for port in spec.get_mut("ports").and_then(Value::as_list_mut).into_iter().flatten() {
        if number(port, "nodePort") > 0 {
            continue;
        }
        let same = before
            .iter()
            .find(|held| number(held, "port") == number(port, "port") && held.get("protocol") == port.get("protocol"));
        let kept = same.map_or(0, |held| number(held, "nodePort"));
        let free = || {
            let mut candidates = (0..NODE_PORTS).map(|_| i64::from(api.addresses.next_port()));
            candidates.find(|candidate| !used.contains(candidate))
        };
        if let Some(chosen) = if kept > 0 { Some(kept) } else { free() } {
            used.insert(chosen);
            port.make_map().insert("nodePort", Value::from(chosen));
        }
    }
}

/// What is allowed and of no use.
pub(crate) fn warn(ctx: &Context<'_>, service: &Value) {
    if text(service, "clusterIP") == "None" && text(service, "sessionAffinity") == "ClientIP" {
        ctx.warn("spec.SessionAffinity is ignored for headless services".to_owned());
    }
}

/// What is wrong with a service.
pub(crate) fn validate(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let kind = text(object, "type");
    if !matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        let allowed = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
        causes.push(Cause::unsupported("spec.type", &format!("{kind:?}"), &allowed));
    }
    if kind == "ExternalName" && text(object, "externalName").is_empty() {
        causes.push(Cause::required("spec.externalName", ""));
    }
    let ports = object.lookup(&["spec", "ports"]).and_then(Value::as_list).unwrap_or_default();
    if ports.is_empty() && kind != "ExternalName" && text(object, "clusterIP") != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    let (mut names, mut numbers) = (HashSet::new(), HashSet::new());
    for (index, port) in ports.iter().enumerate() {
        let name = port.lookup_str(&["name"]).unwrap_or_default();
        if name.is_empty() && ports.len() > 1 {
            causes.push(Cause::required(format!("spec.ports[{index}].name"), ""));
        } else if !name.is_empty() && !names.insert(name) {
            causes.push(Cause::duplicate(format!("spec.ports[{index}].name"), &format!("{name:?}")));
        }
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            let why = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("spec.ports[{index}].port"), &number.to_string(), why));
        }
        if !numbers.insert((number, port.lookup_str(&["protocol"]).unwrap_or("TCP"))) {
            causes.push(Cause::duplicate(format!("spec.ports[{index}]"), &crate::refusal::shown(port)));
        }
    }
    causes
}
