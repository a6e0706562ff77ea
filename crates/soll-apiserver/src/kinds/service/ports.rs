//! The ports of services on nodes.

use std::collections::{HashMap, HashSet};

use soll_yaml::Value;

use super::{flag, has_node_ports, is_load_balancer, number, ports, spec_of, tells_health};
use crate::refusal::Cause;
use crate::rest::{Api, Context};

const FIRST: i64 = 30_000;
const COUNT: u32 = 2_768;
/// As many at the beginning are left to those who ask for them, while there are others.
const ASKED_FOR: u32 = 86;

/// Why a service does not get its ports.
pub(super) enum Setback {
    /// It asks for one that cannot be had.
    Taken(Cause),
    /// Two of its ports are one.
    Twice(String),
    /// There is none for the health check.
    HealthCheck(String),
}

/// The ports that are free, while one request takes some of them.
struct Pool<'a> {
    api: &'a Api,
    used: HashSet<i64>,
    /// A dry run reserves nothing: what it gives follows on what it was asked for, or on this.
    guess: Option<i64>,
}

/// Beyond all ports on nodes.
const FIRST_GUESS: i64 = 32_768;

impl<'a> Pool<'a> {
    fn new(api: &'a Api, dry_run: bool) -> Self {
        let (services, _) = api.store.snapshot("/services");
        let mut used: HashSet<i64> = services.iter().flat_map(|entry| held_by(&entry.value)).collect();
        used.extend(services.iter().map(|entry| number(&entry.value, "healthCheckNodePort")));
        Self { api, used, guess: dry_run.then_some(FIRST_GUESS) }
    }

    /// Takes a port that is asked for, or says why not.
    fn take(&mut self, port: i64) -> Result<i64, String> {
        let last = FIRST + i64::from(COUNT) - 1;
        if self.guess.is_some() {
            self.guess = Some(port);
        } else if !(FIRST..=last).contains(&port) {
            return Err(format!("provided port is not in the valid range. The range of valid ports is {FIRST}-{last}"));
        }
        if self.used.insert(port) { Ok(port) } else { Err("provided port is already allocated".to_owned()) }
    }

    /// Takes any port; with all of them taken there is none.
    fn take_any(&mut self) -> Option<i64> {
        if let Some(guess) = &mut self.guess {
            *guess += 1;
            return Some(*guess);
        }
        let next = || ASKED_FOR + self.api.addresses.next_port(COUNT - ASKED_FOR);
        let mut candidates =
            (ASKED_FOR..COUNT).map(|_| next()).chain(0..ASKED_FOR).map(|index| FIRST + i64::from(index));
        candidates.find(|port| self.used.insert(*port))
    }
}

fn node_port(port: &Value) -> i64 {
    port.get("nodePort").and_then(Value::as_i64).unwrap_or(0)
}

fn held_by(service: &Value) -> Vec<i64> {
    ports(service).iter().map(node_port).filter(|port| *port != 0).collect()
}

/// Whether ports that are not asked for are given.
fn wants_any(service: &Value) -> bool {
    has_node_ports(service)
        && (!is_load_balancer(service) || flag(service, "allocateLoadBalancerNodePorts") != Some(false))
}

fn set(object: &mut Value, index: usize, port: i64) {
    let list = spec_of(object).get_mut("ports").and_then(Value::as_list_mut).expect("it has ports");
    list[index].make_map().insert("nodePort", Value::from(port));
}

/// Fills in the ports that the service has, by their names, where the client says nothing of them.
pub(super) fn keep(old: &Value, object: &mut Value) {
    if wants_any(old) && wants_any(object) {
        let (before, after) = (held_by(old), held_by(object));
        let name = |port: &Value| port.lookup_str(&["name"]).unwrap_or_default().to_owned();
        let by_name: HashMap<String, i64> = ports(old).iter().map(|port| (name(port), node_port(port))).collect();
        let lacking: Vec<(usize, String)> = ports(object)
            .iter()
            .enumerate()
            .filter(|(_, port)| node_port(port) == 0)
            .map(|(i, p)| (i, name(p)))
            .collect();
        for (index, name) in lacking {
            let held = by_name.get(&name).copied().unwrap_or(0);
            if held != 0 && !(before.contains(&held) && after.contains(&held)) {
                set(object, index, held);
            }
        }
    }
    if tells_health(old) && tells_health(object) && number(object, "healthCheckNodePort") == 0 {
        let held = number(old, "healthCheckNodePort");
        spec_of(object).insert("healthCheckNodePort", Value::from(held));
    }
}

/// Gives the service the ports that it asks for, and those that it lacks.
pub(super) fn allocate(ctx: &Context<'_>, old: Option<&Value>, object: &mut Value) -> Result<(), Setback> {
    let mut pool = Pool::new(ctx.api, ctx.options.dry_run);
    if has_node_ports(object) {
        match old {
            None => allocate_new(&mut pool, object)?,
            Some(old) => allocate_changed(&mut pool, old, object)?,
        }
    }
    if tells_health(object) && !old.is_some_and(tells_health) {
        let asked = number(object, "healthCheckNodePort");
        let taken = match asked {
            0 => pool.take_any().ok_or_else(|| "failed to allocate a HealthCheck NodePort 0: range is full".to_owned()),
            asked => pool
                .take(asked)
                .map_err(|why| format!("failed to allocate requested HealthCheck NodePort {asked}: {why}")),
        };
        let port = taken.map_err(Setback::HealthCheck)?;
        spec_of(object).insert("healthCheckNodePort", Value::from(port));
    }
    Ok(())
}

fn refused(index: usize, port: i64, why: impl std::fmt::Display) -> Setback {
    Setback::Taken(Cause::invalid(format!("spec.ports[{index}].nodePort"), &port.to_string(), why))
}

fn any(pool: &mut Pool<'_>) -> Result<i64, Setback> {
    pool.take_any().ok_or_else(|| Setback::HealthCheck("failed to allocate a nodePort: range is full".to_owned()))
}

/// One number for TCP and UDP: ports with the same number share their port on nodes, if they may.
fn allocate_new(pool: &mut Pool<'_>, object: &mut Value) -> Result<(), Setback> {
    let asked: Vec<(i64, i64)> = ports(object)
        .iter()
        .map(|port| (port.get("port").and_then(Value::as_i64).unwrap_or(0), node_port(port)))
        .collect();
    let mut given: HashMap<i64, i64> = HashMap::new();
    for (index, (number, wanted)) in asked.iter().copied().enumerate() {
        if wanted == 0 && !wants_any(object) {
            continue;
        }
        let chosen = match given.get(&number).copied() {
            None => {
                let requested =
                    asked.iter().find(|(other, port)| *other == number && *port != 0).map(|(_, port)| *port);
                let chosen = match requested {
                    Some(port) => pool.take(port).map_err(|why| refused(index, port, why))?,
                    None => any(pool)?,
                };
                given.insert(number, chosen);
                chosen
            }
            Some(shared) if wanted == 0 || wanted == shared => shared,
            Some(_) => pool.take(wanted).map_err(|why| refused(index, wanted, why))?,
        };
        set(object, index, chosen);
    }
    Ok(())
}

fn allocate_changed(pool: &mut Pool<'_>, old: &Value, object: &mut Value) -> Result<(), Setback> {
    let before = held_by(old);
    let mut taken: HashSet<i64> = HashSet::new();
    let mut seen: HashSet<(String, i64)> = HashSet::new();
    for index in 0..ports(object).len() {
        let asked = node_port(&ports(object)[index]);
        if asked == 0 && !wants_any(object) {
            continue;
        }
        let port = match asked {
            0 => any(pool)?,
            asked => {
                if !before.contains(&asked) && !taken.contains(&asked) {
                    pool.take(asked).map_err(|why| refused(index, asked, why))?;
                    taken.insert(asked);
                }
                asked
            }
        };
        set(object, index, port);
        let protocol = ports(object)[index].lookup_str(&["protocol"]).unwrap_or_default().to_owned();
        if !seen.insert((protocol.clone(), port)) {
            return Err(Setback::Twice(format!("{{{protocol} {port}}}")));
        }
    }
    Ok(())
}

/// Takes the ports away that the new type has no use for, unless the client asks for others.
pub(super) fn release(old: &Value, object: &mut Value) {
    let before = held_by(old);
    if has_node_ports(old) && !has_node_ports(object) && held_by(object).iter().all(|port| before.contains(port)) {
        for port in spec_of(object).get_mut("ports").and_then(Value::as_list_mut).into_iter().flatten() {
            port.make_map().remove("nodePort");
        }
    }
}
