//! The cluster IPs of services.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::PoisonError;

use soll_yaml::Value;

use super::{is_external_name, is_headless, set_texts, shown, spec_mut, text, texts};
use crate::refusal::Cause;
use crate::rest::{Api, Context};

/// Cluster IPs come from 10.96.0.0/16; the first is the API server's own.
const FIRST_IP: u32 = u32::from_be_bytes([10, 96, 0, 1]);
const IPS: u32 = 65_534;
/// As many at the beginning are left to those who ask for them, while there are others.
const ASKED_FOR: u32 = 256;
const RANGE: &str = "10.96.0.0/16";

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
    spec_mut(object).insert("clusterIP", Value::from(ip));
    Ok(())
}

fn used(api: &Api) -> HashSet<String> {
    let (services, _) = api.store.snapshot("/services");
    services.iter().map(|entry| text(&entry.value, "clusterIP").to_owned()).collect()
}

fn free(api: &Api) -> String {
    let used = used(api);
    let first = (0..ASKED_FOR).map(|index| FIRST_IP + index);
    let mut candidates =
        (0..IPS - ASKED_FOR).map(|_| api.addresses.next_ip()).chain(first).map(|ip| Ipv4Addr::from(ip).to_string());
    // With all 65,534 taken the next one is shared, which no simulated service notices.
    candidates.find(|ip| !used.contains(ip)).unwrap_or_else(|| Ipv4Addr::from(api.addresses.next_ip()).to_string())
}

/// Why an address cannot be had; a dry run does not ask whether it is free.
fn check(ctx: &Context<'_>, ip: &str) -> Result<(), String> {
    let parsed = super::validate::parse_ip(ip);
    let in_range = |ip: &Ipv4Addr| (FIRST_IP..FIRST_IP + IPS).contains(&u32::from(*ip));
    match parsed {
        Some(IpAddr::V4(ip)) if in_range(&ip) => {
            let taken = !ctx.options.dry_run && used(ctx.api).contains(&ip.to_string());
            if taken { Err("provided IP is already allocated".to_owned()) } else { Ok(()) }
        }
        Some(ip) if ctx.options.dry_run => {
            Err(format!("the provided IP ({ip}) is not in the valid range. The range of valid IPs is {RANGE}"))
        }
        _ => Err("the provided network does not match the current range".to_owned()),
    }
}
