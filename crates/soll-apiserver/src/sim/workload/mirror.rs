//! EndpointSlices of Endpoints that somebody else wrote, for a Service that selects no pods.

use std::net::IpAddr;

use serde_json::json;
use soll_api::Object;
use soll_yaml::{Map, Value};

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::fields::{controller_reference, list, map_mut, text, value};
use super::super::kind::Kind;
use super::super::world::World;
use super::endpoints::{MANAGED_BY, SERVICE, selector};
use super::subsets::{Subset, packed};

const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// The label of Endpoints that are not mirrored, because they have slices already or lead to nothing.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";
/// The annotation of Endpoints that were a lock.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// Annotations that are no business of the slices.
const NOT_MIRRORED: [&str; 2] =
    ["endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration"];
/// The most endpoints of a slice; there is one for each subset.
const MOST: usize = 1000;

/// What a slice is to say.
struct Wanted {
    family: &'static str,
    ports: Vec<Value>,
    endpoints: Vec<Value>,
}

/// Keeps the slices of Endpoints.
pub(super) fn step(world: &World, endpoints: &Object) -> Step {
    let mut step = Step::nothing();
    if !world.knows(Kind::EndpointSlice) || !world.knows(Kind::Service) {
        return step;
    }
    let slices = world.within(Kind::EndpointSlice, endpoints.namespace());
    let is_mirror =
        |slice: &&Object| slice.label(SERVICE) == Some(endpoints.name()) && slice.label(MANAGED_BY) == Some(MANAGER);
    let mut held: Vec<&Object> = slices.filter(is_mirror).filter(|slice| !world.is_leaving(slice)).collect();
    let wanted = if is_mirrored(world, endpoints) { wanted(endpoints) } else { Vec::new() };
    let (kept, new): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .map(|wanted| {
            let same = |slice: &&Object| {
                text(slice.value(), &["addressType"]) == wanted.family
                    && same_items(list(slice.value(), &["ports"]), &wanted.ports)
            };
            let place = held.iter().position(same);
            (wanted, place.map(|place| held.remove(place)))
        })
        .partition(|(_, slice)| slice.is_some());
    for (wanted, slice) in kept.into_iter().chain(new) {
        let of_family = |slice: &&Object| text(slice.value(), &["addressType"]) == wanted.family;
        // A slice that nobody needs any more becomes one that is missing.
        let free = || held.iter().position(of_family);
        let (kind, manager) = (Kind::EndpointSlice, CONTROLLER_MANAGER);
        let (object, is_new) = match slice {
            Some(slice) if says(slice, endpoints, &wanted) => continue,
            Some(slice) => (mirrored(endpoints, wanted, &[("name", slice.name())]), false),
            None => {
                let taken = free().map(|place| held.remove(place));
                let prefix = format!("{}-", endpoints.name());
                let named = taken.map(|slice| ("name", slice.name()));
                let names: Vec<_> = named.into_iter().chain([("generateName", prefix.as_str())]).collect();
                (mirrored(endpoints, wanted, &names), taken.is_none())
            }
        };
        step.push(match is_new {
            true => Action::Create { kind, object, manager },
            false => Action::Update { kind, object, manager },
        });
    }
    for slice in held {
        step.push(Action::Delete { kind: Kind::EndpointSlice, object: slice.clone(), grace: None });
    }
    step
}

fn is_mirrored(world: &World, endpoints: &Object) -> bool {
    let service = world.find(Kind::Service, endpoints.namespace(), endpoints.name());
    let selects_none = |service: &Object| service.value().lookup(&["spec", "selector"]).is_none_or(Value::is_null);
    endpoints.label(SKIP) != Some("true")
        && endpoints.annotation(LEADER).is_none()
        && service.is_some_and(|service| selects_none(service) && selector(service).is_none())
}

/// A slice for each subset and family of addresses.
fn wanted(endpoints: &Object) -> Vec<Wanted> {
    let subsets = list(endpoints.value(), &["subsets"]).iter().map(Subset::of);
    let mut wanted: Vec<Wanted> = Vec::new();
    for Subset { ready, not_ready, ports } in packed(subsets) {
        let ports: Vec<Value> = ports.iter().map(slice_port).collect();
        let of_state = |addresses: Vec<Map>, ready: bool| addresses.into_iter().map(move |one| (one, ready));
        let addresses = of_state(ready, true).chain(of_state(not_ready, false));
        let parsed = addresses.filter_map(|(address, ready)| {
            let ip: IpAddr = address.get("ip").and_then(Value::as_str)?.parse().ok()?;
            Some((ip, endpoint(&address, ip, ready)))
        });
        for (ip, endpoint) in parsed.take(MOST) {
            let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
            let same = |one: &&mut Wanted| one.family == family && one.ports == ports;
            match wanted.iter_mut().find(same) {
                Some(wanted) => wanted.endpoints.push(endpoint),
                None => wanted.push(Wanted { family, ports: ports.clone(), endpoints: vec![endpoint] }),
            }
        }
    }
    wanted
}

/// A slice names its ports, if with nothing.
fn slice_port(port: &Map) -> Value {
    let mut named = Map::from_iter([("name", Value::str(""))]);
    port.iter().for_each(|field| drop(named.insert(field.key.clone(), field.value.clone())));
    named.into()
}

fn endpoint(address: &Map, ip: IpAddr, ready: bool) -> Value {
    let mut endpoint = value(&json!({"addresses": [ip.to_string()], "conditions": {"ready": ready}}));
    for field in ["hostname", "nodeName", "targetRef"] {
        if let Some(said) = address.get(field).filter(|said| said.as_str() != Some("")) {
            endpoint.make_map().insert(field, said.clone());
        }
    }
    endpoint
}

fn labels(endpoints: &Object) -> Value {
    let mut labels = endpoints.value().lookup(&["metadata", "labels"]).cloned().unwrap_or_else(Value::map);
    let map = labels.make_map();
    map.insert(SERVICE, Value::str(endpoints.name()));
    map.insert(MANAGED_BY, Value::str(MANAGER));
    labels
}

fn annotations(endpoints: &Object) -> Value {
    let mut annotations = endpoints.value().lookup(&["metadata", "annotations"]).cloned().unwrap_or_else(Value::map);
    NOT_MIRRORED.iter().for_each(|key| drop(annotations.make_map().remove(key)));
    annotations
}

/// Whether a slice says what is wanted, of these Endpoints and no former ones.
fn says(slice: &Object, endpoints: &Object, wanted: &Wanted) -> bool {
    let metadata = |field: &str| slice.value().lookup(&["metadata", field]).cloned().unwrap_or_else(Value::map);
    let owners = list(slice.value(), &["metadata", "ownerReferences"]);
    metadata("labels") == labels(endpoints)
        && metadata("annotations") == annotations(endpoints)
        && owners.iter().all(|owner| text(owner, &["uid"]) == endpoints.uid())
        && same_items(list(slice.value(), &["endpoints"]), &wanted.endpoints)
}

fn same_items(one: &[Value], other: &[Value]) -> bool {
    // In the same order, mostly.
    one == other || (one.len() == other.len() && one.iter().all(|item| other.contains(item)))
}

/// A slice that says what is wanted, and how it is called.
fn mirrored(endpoints: &Object, wanted: Wanted, names: &[(&str, &str)]) -> Object {
    let mut slice = value(&json!({
        "apiVersion": Kind::EndpointSlice.api_version(),
        "kind": Kind::EndpointSlice.name(),
        "metadata": {"namespace": endpoints.namespace()},
        "addressType": wanted.family,
    }));
    let metadata = map_mut(&mut slice, &["metadata"]);
    names.iter().for_each(|(field, name)| drop(metadata.insert(*field, Value::str(name))));
    metadata.insert("labels", labels(endpoints));
    let annotations = annotations(endpoints);
    if annotations.as_map().is_some_and(|map| !map.is_empty()) {
        metadata.insert("annotations", annotations);
    }
    metadata.insert("ownerReferences", Value::list(vec![controller_reference(endpoints)]));
    let fields = slice.make_map();
    fields.insert("endpoints", Value::list(wanted.endpoints));
    if !wanted.ports.is_empty() {
        fields.insert("ports", Value::list(wanted.ports));
    }
    Object::new(slice).expect("it has a kind and a name")
}
