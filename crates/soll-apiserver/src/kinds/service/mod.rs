//! Services: defaults, and what goes when the type changes; [`allocate`] gives them addresses and ports, [`validate`] looks
//! at what came of it.

mod addresses;
mod families;
mod ports;
mod validate;

use soll_yaml::{Map, Value};

use super::spec_of;
use crate::refusal::{Cause, Refusal};
use crate::rest::Context;

pub(crate) use addresses::{Addresses, RANGE, book, give_back, release, release_left_behind, validate_address};
pub(crate) use validate::{is_v6, no_endpoint, odd_ip, parse_ip, validate, validate_update, warn};

fn text<'o>(service: &'o Value, field: &str) -> &'o str {
    service.lookup_str(&["spec", field]).unwrap_or_default()
}

fn texts<'o>(service: &'o Value, field: &str) -> Vec<&'o str> {
    service.lookup(&["spec", field]).and_then(Value::as_list).into_iter().flatten().filter_map(Value::as_str).collect()
}

fn number(service: &Value, field: &str) -> i64 {
    service.lookup(&["spec", field]).and_then(Value::as_i64).unwrap_or(0)
}

fn flag(service: &Value, field: &str) -> Option<bool> {
    service.lookup(&["spec", field]).and_then(Value::as_bool)
}

fn set_texts<'t>(service: &mut Value, field: &str, texts: impl IntoIterator<Item = &'t str>) {
    let list: Vec<Value> = texts.into_iter().map(Value::str).collect();
    let spec = spec_of(service);
    if list.is_empty() {
        spec.remove(field);
    } else {
        spec.insert(field, Value::list(list));
    }
}

/// Texts as they are shown in a refusal.
fn shown(texts: &[&str]) -> String {
    serde_json::Value::from(texts).to_string()
}

fn ports(service: &Value) -> &[Value] {
    service.lookup(&["spec", "ports"]).and_then(Value::as_list).unwrap_or_default()
}

fn has_node_ports(service: &Value) -> bool {
    matches!(text(service, "type"), "NodePort" | "LoadBalancer")
}

fn is_external_name(service: &Value) -> bool {
    text(service, "type") == "ExternalName"
}

fn is_load_balancer(service: &Value) -> bool {
    text(service, "type") == "LoadBalancer"
}

fn is_headless(service: &Value) -> bool {
    texts(service, "clusterIPs") == ["None"]
}

/// Whether traffic reaches it from beyond the cluster.
fn is_reached_from_outside(service: &Value) -> bool {
    has_node_ports(service) || text(service, "type") == "ClusterIP" && !texts(service, "externalIPs").is_empty()
}

/// Whether its nodes tell a load balancer if they have pods of it.
fn tells_health(service: &Value) -> bool {
    is_load_balancer(service) && text(service, "externalTrafficPolicy") == "Local"
}

/// Fills in the defaults.
pub(crate) fn settle(object: &mut Value) {
    let spec = spec_of(object);
    spec.get_or_insert_with("type", || Value::str("ClusterIP"));
    match spec.get_or_insert_with("sessionAffinity", || Value::str("None")).as_str() {
        Some("None") => drop(spec.remove("sessionAffinityConfig")),
        Some("ClientIP") => {
            let config = spec.get_or_insert_with("sessionAffinityConfig", Value::map);
            if config.lookup(&["clientIP", "timeoutSeconds"]).is_none() {
                let client = Map::from_iter([("timeoutSeconds", Value::from(10_800))]);
                *config = Map::from_iter([("clientIP", Value::from(client))]).into();
            }
        }
        _ => {}
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
    let defaults = [
        ("internalTrafficPolicy", Value::str("Cluster"), !is_external_name(object)),
        ("externalTrafficPolicy", Value::str("Cluster"), is_reached_from_outside(object)),
        ("allocateLoadBalancerNodePorts", Value::from(true), is_load_balancer(object)),
    ];
    for (field, value, applies) in defaults {
        if applies {
            spec_of(object).get_or_insert_with(field, || value);
        }
    }
    let balancer = if is_load_balancer(object) { object.get_mut("status") } else { None };
    let ingress = balancer.and_then(|status| status.get_mut("loadBalancer")?.get_mut("ingress")?.as_list_mut());
    for address in ingress.into_iter().flatten().filter(|address| address.get("ip").is_some()) {
        address.make_map().get_or_insert_with("ipMode", || Value::str("VIP"));
    }
    if object.get("status").is_none() {
        let status = Map::from_iter([("loadBalancer", Value::map())]);
        object.make_map().insert("status", status.into());
    }
}

/// Gives the service its addresses and ports: those it asks for, those it had, or free ones. A dry run reserves nothing.
pub(crate) fn allocate(ctx: &Context<'_>, old: Option<&Value>, object: &mut Value) -> Result<(), Refusal> {
    let resource = &ctx.target.resource;
    let name = crate::meta::text(object, "name").to_owned();
    let invalid = |causes: Vec<Cause>| Refusal::invalid(&resource.group, &resource.kind, &name, causes);
    // What counts as given before is what readers saw.
    let old = old.map(|old| {
        let mut old = old.clone();
        present(&mut old);
        old
    });
    let old = old.as_ref();
    if let Some(old) = old {
        keep_what_it_has(old, object);
    }
    addresses::agree(old, object);
    if !families::stay(old, object) {
        families::settle(old, object).map_err(invalid)?;
        addresses::allocate(ctx, old, object).map_err(|cause| invalid(vec![cause]))?;
    }
    ports::allocate(ctx, old, object).map_err(|setback| match setback {
        ports::Setback::Taken(cause) => invalid(vec![cause]),
        ports::Setback::Twice(port) => Refusal::untyped(format!("duplicate nodePort: {port}")),
        ports::Setback::HealthCheck(why) => Refusal::internal(why),
    })?;
    if let Some(old) = old {
        drop_what_the_type_has_no_use_for(old, object);
    }
    Ok(())
}

/// Shows a stored service to readers: what a name elsewhere has no use for counts again when the type changes.
pub(crate) fn present(object: &mut Value) {
    if is_external_name(object) {
        spec_of(object).remove("internalTrafficPolicy");
        if texts(object, "clusterIPs").is_empty() && !text(object, "clusterIP").is_empty() {
            let ip = text(object, "clusterIP").to_owned();
            set_texts(object, "clusterIPs", [ip.as_str()]);
        }
    }
}

/// Fills in what was given to the service before, where the client says nothing of it.
fn keep_what_it_has(old: &Value, object: &mut Value) {
    if !is_external_name(old) && !is_external_name(object) {
        if text(object, "clusterIP").is_empty() && !text(old, "clusterIP").is_empty() {
            spec_of(object).insert("clusterIP", Value::str(text(old, "clusterIP")));
        }
        if texts(object, "clusterIPs").is_empty() {
            set_texts(object, "clusterIPs", texts(old, "clusterIPs"));
        }
    }
    ports::keep(old, object);
}

/// A service that changes its type loses what only the old type needs, unless the client says something else of it.
fn drop_what_the_type_has_no_use_for(old: &Value, object: &mut Value) {
    let same = |object: &Value, fields: &[&str]| {
        fields.iter().all(|field| old.lookup(&["spec", field]) == object.lookup(&["spec", field]))
    };
    let forget = |object: &mut Value, fields: &[&str]| {
        if same(object, fields) {
            fields.iter().for_each(|field| drop(spec_of(object).remove(field)));
        }
    };
    if !is_external_name(old) && is_external_name(object) {
        forget(object, &["clusterIP", "clusterIPs"]);
        forget(object, &["ipFamilies"]);
        forget(object, &["ipFamilyPolicy"]);
    }
    if tells_health(old) && !tells_health(object) {
        forget(object, &["healthCheckNodePort"]);
    }
    if is_load_balancer(old) && !is_load_balancer(object) {
        forget(object, &["allocateLoadBalancerNodePorts"]);
        forget(object, &["loadBalancerClass"]);
    }
    if is_reached_from_outside(old) && !is_reached_from_outside(object) {
        forget(object, &["externalTrafficPolicy"]);
    }
    ports::release(old, object);
    if !is_load_balancer(object) {
        let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
        status.insert("loadBalancer", Value::map());
    }
}
