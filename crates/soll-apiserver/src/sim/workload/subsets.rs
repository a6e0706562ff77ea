//! Endpoints: where the pods of a Service are, as those clients read it that are older than EndpointSlices.

use std::collections::BTreeMap;

use serde_json::json;
use soll_api::Object;
use soll_yaml::{Map, Value};

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::fields::{flag, list, map_mut, text, value};
use super::super::kind::Kind;
use super::super::world::World;
use super::endpoints::{HEADLESS, is_headless, port_number, selected, selector};
use super::pods::is_ready;

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
/// The annotation of Endpoints that do not name all.
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
/// The most addresses of an object.
const MOST: usize = 1000;

/// An address, or a port.
type Part = Map;
/// Addresses by what they are known by, and whether each is ready.
type Listeners = BTreeMap<(String, String), (Part, bool)>;

/// Addresses that listen on the same ports.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Subset {
    pub(super) ready: Vec<Part>,
    pub(super) not_ready: Vec<Part>,
    pub(super) ports: Vec<Part>,
}

/// Keeps the Endpoints of a Service that selects pods.
pub(super) fn step(world: &World, service: &Object) -> Step {
    let Some(selector) = selector(service).filter(|_| world.knows(Kind::Endpoints)) else { return Step::nothing() };
    let shows_all = flag(service.value(), &["spec", "publishNotReadyAddresses"]);
    let pods = selected(world, service, selector);
    let pods = pods.into_iter().filter(|pod| shows_all || !world.is_leaving(pod));
    let mut subsets = packed(pods.flat_map(|pod| subsets_of(service, pod, shows_all)));
    let live = world.find(Kind::Endpoints, service.namespace(), service.name());
    let wanted = |subsets: &[Subset]| Value::list(subsets.iter().map(Subset::value).collect());
    if let Some(live) = live
        && list(live.value(), &["subsets"]) == wanted(&subsets).as_list().unwrap_or_default()
        && has_labels_of(live, service)
        && live.annotation(OVER_CAPACITY).is_none()
        && subsets.iter().map(Subset::len).sum::<usize>() <= MOST
    {
        return Step::nothing();
    }
    let is_cut = cut(&mut subsets);
    let mut object = live.cloned().unwrap_or_else(|| {
        let new = json!({"apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": service.name(), "namespace": service.namespace()}});
        Object::new(value(&new)).expect("it has a kind and a name")
    });
    let metadata = map_mut(object.value_mut(), &["metadata"]);
    metadata.insert("labels", labels(service));
    let annotations = metadata.get_or_insert_with("annotations", Value::map).make_map();
    match is_cut {
        true => annotations.insert(OVER_CAPACITY, Value::str("truncated")),
        false => annotations.remove(OVER_CAPACITY),
    };
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    object.value_mut().make_map().insert("subsets", wanted(&subsets));
    if live.is_some_and(|live| *live == object) {
        return Step::nothing();
    }
    let (kind, manager) = (Kind::Endpoints, CONTROLLER_MANAGER);
    Step::act(match live {
        None => Action::Create { kind, object, manager },
        Some(_) => Action::Update { kind, object, manager },
    })
}

/// Endpoints go with their Service, whoever wrote them.
pub(super) fn without_service(world: &World, endpoints: &Object) -> Step {
    let is_ours = endpoints.label(MANAGED_BY) == Some(MANAGER);
    let is_left = world.has_lost_service(endpoints) || is_ours && world.knows(Kind::Service);
    let service = world.find(Kind::Service, endpoints.namespace(), endpoints.name());
    if service.is_some() || !is_left {
        return Step::nothing();
    }
    Step::act(Action::Delete { kind: Kind::Endpoints, object: endpoints.clone(), grace: None })
}

/// The labels of the Service, and those that tell what the object is.
fn labels(service: &Object) -> Value {
    let mut labels = service.value().lookup(&["metadata", "labels"]).cloned().unwrap_or_else(Value::map);
    let map = labels.make_map();
    match is_headless(service) {
        true => map.insert(HEADLESS, Value::str("")),
        false => map.remove(HEADLESS),
    };
    map.insert(MANAGED_BY, Value::str(MANAGER));
    labels
}

/// Whether the labels are those of the Service. That of headless ones does not count, as with the original.
fn has_labels_of(live: &Object, service: &Object) -> bool {
    let counted = |object: &Object| -> Vec<(String, Value)> {
        let labels = object.value().lookup(&["metadata", "labels"]).and_then(Value::as_map);
        let counted = labels.into_iter().flatten().filter(|label| label.key != HEADLESS && label.key != MANAGED_BY);
        let mut labels: Vec<_> = counted.map(|label| (label.key.to_string(), label.value.clone())).collect();
        labels.sort_by(|one, other| one.0.cmp(&other.0));
        labels
    };
    live.label(MANAGED_BY) == Some(MANAGER) && counted(live) == counted(service)
}

/// A subset for each port of the Service that a pod listens on.
fn subsets_of(service: &Object, pod: &Object, shows_all: bool) -> Vec<Subset> {
    let mut address = value(&json!({
        "ip": text(pod.value(), &["status", "podIP"]),
        "nodeName": text(pod.value(), &["spec", "nodeName"]),
        "targetRef": {"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()},
    }));
    let hostname = text(pod.value(), &["spec", "hostname"]);
    if !hostname.is_empty() && text(pod.value(), &["spec", "subdomain"]) == service.name() {
        address.make_map().insert("hostname", Value::str(hostname));
    }
    let address = vec![address.make_map().clone()];
    let subset = |ports: Vec<Part>| match shows_all || is_ready(pod) {
        true => Subset { ready: address.clone(), ports, ..Subset::default() },
        false => Subset { not_ready: address.clone(), ports, ..Subset::default() },
    };
    let ports = list(service.value(), &["spec", "ports"]);
    if ports.is_empty() {
        return if is_headless(service) { vec![subset(Vec::new())] } else { Vec::new() };
    }
    let made = ports.iter().filter_map(|port| {
        let mut made = Map::new();
        for field in ["name", "appProtocol", "protocol"] {
            if let Some(text) = port.get(field).filter(|text| text.as_str() != Some("")) {
                made.insert(field, text.clone());
            }
        }
        made.insert("port", Value::from(port_number(port, pod)?));
        Some(subset(vec![made]))
    });
    made.collect()
}

/// As few subsets as can be: each address is with the ports that it has, and addresses with the same ports are together.
///
/// An address that is ready for one and not for another is not ready.
pub(super) fn packed(subsets: impl IntoIterator<Item = Subset>) -> Vec<Subset> {
    // By port, those that listen on it; no port is one, too.
    let mut by_port: Vec<(Option<Part>, Listeners)> = Vec::new();
    for subset in subsets {
        let Subset { ready, not_ready, ports } = subset;
        let ports = if ports.is_empty() { vec![None] } else { ports.into_iter().map(Some).collect() };
        for port in ports {
            let place = by_port.iter().position(|(known, _)| *known == port).unwrap_or_else(|| {
                by_port.push((port, Listeners::new()));
                by_port.len() - 1
            });
            let addresses = ready.iter().map(|one| (one, true)).chain(not_ready.iter().map(|one| (one, false)));
            for (address, is_ready) in addresses {
                let held = by_port[place].1.entry(key(address)).or_insert_with(|| (address.clone(), is_ready));
                held.1 &= is_ready;
            }
        }
    }
    let mut packed: Vec<Subset> = Vec::new();
    for (port, addresses) in by_port {
        let (mut ready, mut not_ready) = (Vec::new(), Vec::new());
        for (address, is_ready) in addresses.into_values() {
            if is_ready { ready.push(address) } else { not_ready.push(address) }
        }
        match packed.iter_mut().find(|subset| subset.ready == ready && subset.not_ready == not_ready) {
            Some(subset) => subset.ports.extend(port),
            None => packed.push(Subset { ready, not_ready, ports: port.into_iter().collect() }),
        }
    }
    packed.retain(|subset| subset.len() > 0);
    packed
}

/// What an address is known by: itself, and what it belongs to.
fn key(address: &Part) -> (String, String) {
    let target = address.get("targetRef").map(|target| text(target, &["uid"])).unwrap_or_default();
    (address.get("ip").and_then(Value::as_str).unwrap_or_default().to_owned(), target.to_owned())
}

/// Leaves out what is too much, from each subset its share, those that are not ready first. Says whether anything was left out.
fn cut(subsets: &mut [Subset]) -> bool {
    let ready: usize = subsets.iter().map(|subset| subset.ready.len()).sum();
    let all: usize = subsets.iter().map(Subset::len).sum();
    if all <= MOST {
        return false;
    }
    let cuts_ready = ready > MOST;
    let (most, total) = if cuts_ready { (MOST, ready) } else { (MOST - ready, all - ready) };
    let mut left = most;
    for subset in subsets {
        if cuts_ready {
            subset.not_ready.clear();
        }
        let cut = if cuts_ready { &mut subset.ready } else { &mut subset.not_ready };
        let share = (cut.len() * most).div_ceil(total).min(left);
        cut.truncate(share);
        left -= cut.len();
    }
    true
}

impl Subset {
    /// What `Endpoints` have as a subset.
    pub(super) fn of(subset: &Value) -> Self {
        let parts = |field: &str| list(subset, &[field]).iter().filter_map(Value::as_map).cloned().collect();
        Self { ready: parts("addresses"), not_ready: parts("notReadyAddresses"), ports: parts("ports") }
    }

    fn len(&self) -> usize {
        self.ready.len() + self.not_ready.len()
    }

    fn value(&self) -> Value {
        let mut map = Map::new();
        for (field, parts) in
            [("addresses", &self.ready), ("notReadyAddresses", &self.not_ready), ("ports", &self.ports)]
        {
            if !parts.is_empty() {
                map.insert(field, Value::list(parts.iter().cloned().map(Value::from).collect()));
            }
        }
        map.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subsets(list: &serde_json::Value) -> Vec<Subset> {
        list.as_array().expect("a list").iter().map(|subset| Subset::of(&value(subset))).collect()
    }

    fn shown(subsets: &[Subset]) -> String {
        soll_yaml::to_json(&Value::list(subsets.iter().map(Subset::value).collect()))
    }

    #[test]
    fn addresses_with_the_same_ports_are_together() {
        let (a, b) = (json!({"ip": "10.0.0.1"}), json!({"ip": "10.0.0.2"}));
        let (one, two) = (json!({"name": "one", "port": 1}), json!({"name": "two", "port": 2}));
        let parts = json!([
            {"addresses": [b], "ports": [one]},
            {"addresses": [a], "ports": [one, two]},
            {"addresses": [b], "ports": [two]},
            {"notReadyAddresses": [a], "ports": [two]},
            {"addresses": [a]},
            {"ports": [one]},
        ]);
        let packed = shown(&packed(subsets(&parts)));
        assert_eq!(
            packed,
            r#"[{"addresses":[{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}],"ports":[{"name":"one","port":1}]},{"addresses":[{"ip":"10.0.0.2"}],"notReadyAddresses":[{"ip":"10.0.0.1"}],"ports":[{"name":"two","port":2}]},{"addresses":[{"ip":"10.0.0.1"}]}]"#
        );
    }

    #[test]
    fn of_too_many_addresses_those_that_are_not_ready_go_first() {
        let many = |count: usize| -> Vec<Part> {
            (0..count).map(|index| Map::from_iter([("ip", Value::from(format!("a{index}")))])).collect()
        };
        let subset = |ready: usize, not_ready: usize| Subset {
            ready: many(ready),
            not_ready: many(not_ready),
            ports: Vec::new(),
        };
        let left = |subsets: &[Subset]| -> Vec<(usize, usize)> {
            subsets.iter().map(|subset| (subset.ready.len(), subset.not_ready.len())).collect()
        };
        let mut few = [subset(500, 500)];
        assert!(!cut(&mut few));
        let mut some = [subset(600, 300), subset(300, 100)];
        assert!(cut(&mut some));
        assert_eq!(left(&some), [(600, 75), (300, 25)]);
        let mut too_many = [subset(900, 5), subset(600, 5)];
        assert!(cut(&mut too_many));
        assert_eq!(left(&too_many), [(600, 0), (400, 0)]);
    }
}
