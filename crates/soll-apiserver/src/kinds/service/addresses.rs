//! The cluster IPs of services.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, PoisonError};

use serde_json::json;
use soll_yaml::{Value, to_value};

use super::{is_external_name, is_headless, set_texts, shown, spec_of, text, texts};
use crate::refusal::Cause;
use crate::rest::{Api, Context};
use crate::{bootstrap, meta, names};

/// Cluster IPs come from 10.96.0.0/16; the first is the API server's own.
const FIRST_IP: u32 = u32::from_be_bytes([10, 96, 0, 1]);
const IPS: u32 = 65_534;
/// As many at the beginning are left to those who ask for them, while there are others.
const ASKED_FOR: u32 = 256;
pub(crate) const RANGE: &str = "10.96.0.0/16";
/// Where the `IPAddress` objects are kept.
const BOOKED: &str = "networking.k8s.io/ipaddresses";
/// The label that says who made them, and what we are called there.
const MANAGED_BY: &str = "ipaddress.kubernetes.io/managed-by";
const ALLOCATOR: &str = "ipallocator.k8s.io";

/// Where the search for a free address or port starts: never where another request just did.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// Guards two counters for a few synchronous lines.
    next: std::sync::Mutex<(u32, u32)>,
}

impl Addresses {
    fn next_ip(&self) -> u32 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.0 = (next.0 + 1) % (IPS - ASKED_FOR);
        FIRST_IP + ASKED_FOR + next.0
    }

    /// A number below `count`, another one each time.
    pub(super) fn next_port(&self, count: u32) -> u32 {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.1 = (next.1 + 1) % count;
        next.1
    }
}

/// Brings the one address and the list of addresses together, where the client changed one of them only.
pub(super) fn agree(old: Option<&Value>, object: &mut Value) {
    let (one, list) = (text(object, "clusterIP").to_owned(), texts(object, "clusterIPs"));
    let Some(old) = old else {
        if !one.is_empty() && list.is_empty() {
            set_texts(object, "clusterIPs", [one.as_str()]);
        }
        return;
    };
    let before = texts(old, "clusterIPs");
    if text(old, "clusterIP") == one && list.is_empty() {
        set_texts(object, "clusterIPs", before);
    } else if text(old, "clusterIP") != one && before == list {
        set_texts(object, "clusterIPs", Some(one.as_str()).filter(|one| !one.is_empty()));
    }
}

/// Gives a service the address that it lacks.
pub(super) fn allocate(ctx: &Context<'_>, old: Option<&Value>, object: &mut Value) -> Result<(), Cause> {
    let is_new = old.is_none_or(is_external_name);
    if !is_new || is_external_name(object) || is_headless(object) {
        return Ok(());
    }
    let asked = texts(object, "clusterIPs").first().copied().unwrap_or_default();
    let ip = match asked {
        // A dry run reserves nothing, so any will do.
        "" if ctx.options.dry_run => Ipv4Addr::from(FIRST_IP + IPS - 1).to_string(),
        "" => free(ctx.api),
        asked => {
            check(ctx, asked).map_err(|why| {
                let why = format!("failed to allocate IP {asked}: {why}");
                Cause::invalid("spec.clusterIPs", &shown(&texts(object, "clusterIPs")), why)
            })?;
            asked.to_owned()
        }
    };
    set_texts(object, "clusterIPs", [ip.as_str()]);
    spec_of(object).insert("clusterIP", Value::from(ip));
    Ok(())
}

/// Notes in `IPAddress` objects that the addresses of a service are taken. Answers those of which it was not known.
pub(crate) fn book(api: &Arc<Api>, service: &Value) -> Vec<String> {
    let mut booked = addresses(service);
    booked.retain(|ip| !is_booked(api, ip));
    for ip in &booked {
        let object = json!({
            "metadata": {"name": ip, "labels": {
                "ipaddress.kubernetes.io/ip-family": if ip.contains(':') { "IPv6" } else { "IPv4" },
                MANAGED_BY: ALLOCATOR,
            }},
            "spec": {"parentRef": {
                "resource": "services",
                "namespace": meta::text(service, "namespace"),
                "name": meta::text(service, "name"),
            }},
        });
        let object = to_value(&object).expect("JSON is a value");
        bootstrap::put(api, bootstrap::SELF, ("networking.k8s.io", "v1", "ipaddresses"), object);
    }
    booked
}

/// Gives the addresses back that a service had and has no more.
pub(crate) fn give_back(api: &Arc<Api>, before: &Value, now: Option<&Value>) {
    let has = now.map(addresses).unwrap_or_default();
    release(api, &addresses(before).into_iter().filter(|ip| !has.contains(ip)).collect::<Vec<_>>());
}

/// Makes addresses free again.
pub(crate) fn release(api: &Arc<Api>, addresses: &[String]) {
    for entry in addresses.iter().filter_map(|ip| api.store.get(BOOKED, "", ip)) {
        // Whoever is faster takes it away as well.
        let _ = api.store.remove(BOOKED, &entry.key, entry.revision);
    }
}

/// Makes addresses free that were taken for services which are not there: a server ended between one write and the other.
pub(crate) fn release_left_behind(api: &Arc<Api>) {
    let (booked, _) = api.store.snapshot(BOOKED);
    let left = booked.iter().filter(|entry| is_left_behind(api, &entry.value));
    release(api, &left.map(|entry| entry.key.name.to_string()).collect::<Vec<_>>());
}

fn is_left_behind(api: &Api, booked: &Value) -> bool {
    let parent = |field: &str| booked.lookup_str(&["spec", "parentRef", field]).unwrap_or_default();
    let is_ours = booked.lookup_str(&["metadata", "labels", MANAGED_BY]) == Some(ALLOCATOR);
    let has_it = || {
        let service = api.store.get("/services", parent("namespace"), parent("name"));
        service.is_some_and(|service| addresses(&service.value).iter().any(|ip| ip == meta::text(booked, "name")))
    };
    is_ours && parent("resource") == "services" && !has_it()
}

/// The addresses of a service, without zeros at the beginning of numbers.
fn addresses(service: &Value) -> Vec<String> {
    let all = texts(service, "clusterIPs").into_iter();
    all.filter_map(|ip| Some(super::validate::parse_ip(ip)?.to_string())).collect()
}

/// What is wrong with an `IPAddress`: it belongs to something.
pub(crate) fn validate_address(object: &Value) -> Vec<Cause> {
    let Some(parent) = object.lookup(&["spec", "parentRef"]) else {
        return vec![Cause::required("spec.parentRef", "")];
    };
    let mut causes = Vec::new();
    for field in ["group", "resource", "name", "namespace"] {
        let (text, path) = (parent.lookup_str(&[field]).unwrap_or_default(), format!("spec.parentRef.{field}"));
        let rule = if field == "group" { names::subdomain } else { names::path_segment };
        match rule(text) {
            _ if text.is_empty() && matches!(field, "group" | "namespace") => {}
            _ if text.is_empty() => causes.push(Cause::required(path, "")),
            Err(why) => causes.push(Cause::invalid(path, &format!("{text:?}"), why)),
            Ok(()) => {}
        }
    }
    causes
}

fn is_booked(api: &Api, ip: &str) -> bool {
    api.store.get(BOOKED, "", ip).is_some()
}

fn free(api: &Api) -> String {
    let first = (0..ASKED_FOR).map(|index| FIRST_IP + index);
    let mut candidates =
        (0..IPS - ASKED_FOR).map(|_| api.addresses.next_ip()).chain(first).map(|ip| Ipv4Addr::from(ip).to_string());
    // With all 65,534 taken the next one is shared, which no simulated service notices.
    candidates.find(|ip| !is_booked(api, ip)).unwrap_or_else(|| Ipv4Addr::from(api.addresses.next_ip()).to_string())
}

/// Why an address cannot be had; a dry run does not ask whether it is free.
fn check(ctx: &Context<'_>, ip: &str) -> Result<(), String> {
    let parsed = super::validate::parse_ip(ip);
    let in_range = |ip: &Ipv4Addr| (FIRST_IP..FIRST_IP + IPS).contains(&u32::from(*ip));
    match parsed {
        Some(IpAddr::V4(ip)) if in_range(&ip) => {
            let taken = !ctx.options.dry_run && is_booked(ctx.api, &ip.to_string());
            if taken { Err("provided IP is already allocated".to_owned()) } else { Ok(()) }
        }
        Some(ip) if ctx.options.dry_run => {
            Err(format!("the provided IP ({ip}) is not in the valid range. The range of valid IPs is {RANGE}"))
        }
        _ => Err("the provided network does not match the current range".to_owned()),
    }
}
