//! EndpointSlices: where the ready pods of a Service are.

use serde_json::json;
use soll_api::Object;
use soll_yaml::Value;

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::fields::{controller_reference, flag, list, map_mut, text, value};
use super::super::kind::Kind;
use super::super::selector::contains;
use super::super::world::World;
use super::pods::{is_finished, is_ready};

/// The labels of a slice that say of which Service it tells, and who keeps it.
pub(super) const SERVICE: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
pub(super) const HEADLESS: &str = "service.kubernetes.io/headless";
const ZONE: &str = "topology.kubernetes.io/zone";

/// The most endpoints of a slice.
const MOST: usize = 100;

/// Keeps the slices of a Service that selects pods: one for the pods that listen on the same ports, more if they are many.
pub(super) fn step(world: &World, service: &Object) -> Step {
    let mut step = Step::nothing();
    let Some(selector) = selector(service).filter(|_| world.knows(Kind::EndpointSlice)) else { return step };
    let pods = selected(world, service, selector);
    let labels = labels(service);
    let mut held: Vec<&Object> = world.controlled_by(service, Kind::EndpointSlice);
    held.retain(|slice| slice.label(MANAGED_BY) == Some(MANAGER) && !world.is_leaving(slice));
    let (kept, changed): (Vec<_>, Vec<_>) = wanted(world, service, &pods)
        .into_iter()
        .map(|wanted| {
            let place = held.iter().position(|slice| list(slice.value(), &["ports"]) == wanted.ports);
            (wanted, place.map(|place| held.remove(place)))
        })
        .partition(|(_, slice)| slice.is_some());
    for (wanted, slice) in kept.into_iter().chain(changed) {
        // A slice that nobody needs any more becomes one that is missing.
        match slice.or_else(|| held.pop()) {
            None => {
                let object = self::slice(service, &labels, wanted);
                step.push(Action::Create { kind: Kind::EndpointSlice, object, manager: CONTROLLER_MANAGER });
            }
            Some(slice) => step.actions.extend(update(slice, &labels, wanted)),
        }
    }
    for slice in held {
        step.push(Action::Delete { kind: Kind::EndpointSlice, object: slice.clone(), grace: None });
    }
    step
}

/// What a Service selects pods by, if somebody is to look where they are.
pub(super) fn selector(service: &Object) -> Option<&Value> {
    let is_elsewhere = text(service.value(), &["spec", "type"]) == "ExternalName";
    service.value().lookup(&["spec", "selector"]).filter(|selector| is_some_map(selector) && !is_elsewhere)
}

/// The pods of a Service that have an address, by name.
pub(super) fn selected<'w>(world: &'w World, service: &'w Object, selector: &Value) -> Vec<&'w Object> {
    let mut pods: Vec<_> = world
        .within(Kind::Pod, service.namespace())
        .filter(|pod| contains(selector, pod.value().lookup(&["metadata", "labels"])))
        .filter(|pod| !is_finished(pod) && !text(pod.value(), &["status", "podIP"]).is_empty())
        .collect();
    pods.sort_by_key(|pod| pod.name());
    pods
}

/// Makes a slice say what is wanted, unless it does.
fn update(slice: &Object, labels: &Value, wanted: Wanted) -> Option<Action> {
    let is_same =
        list(slice.value(), &["endpoints"]) == wanted.endpoints && list(slice.value(), &["ports"]) == wanted.ports;
    if is_same && slice.value().lookup(&["metadata", "labels"]) == Some(labels) {
        return None;
    }
    let mut object = slice.clone();
    map_mut(object.value_mut(), &["metadata"]).insert("labels", labels.clone());
    wanted.write(object.value_mut());
    Some(Action::Update { kind: Kind::EndpointSlice, object, manager: CONTROLLER_MANAGER })
}

fn is_some_map(selector: &Value) -> bool {
    selector.as_map().is_some_and(|map| !map.is_empty())
}

/// What a slice is to say.
struct Wanted {
    ports: Vec<Value>,
    endpoints: Vec<Value>,
}

impl Wanted {
    /// Lists without items are left out, as Go's clients leave them out.
    fn write(self, slice: &mut Value) {
        let fields = slice.make_map();
        for (field, list) in [("endpoints", self.endpoints), ("ports", self.ports)] {
            if list.is_empty() {
                fields.remove(field);
            } else {
                fields.insert(field, Value::list(list));
            }
        }
    }
}

/// What the slices are to say. Without pods there is an empty one.
fn wanted(world: &World, service: &Object, pods: &[&Object]) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = Vec::new();
    for pod in pods {
        let ports = ports(service, pod);
        let endpoint = endpoint(world, service, pod);
        match wanted.iter_mut().find(|wanted| wanted.ports == ports && wanted.endpoints.len() < MOST) {
            Some(wanted) => wanted.endpoints.push(endpoint),
            None => wanted.push(Wanted { ports, endpoints: vec![endpoint] }),
        }
    }
    if wanted.is_empty() {
        wanted.push(Wanted { ports: Vec::new(), endpoints: Vec::new() });
    }
    wanted
}

pub(super) fn is_headless(service: &Object) -> bool {
    matches!(text(service.value(), &["spec", "clusterIP"]), "None" | "")
}

/// The labels of the Service, and those that tell what the slice is.
fn labels(service: &Object) -> Value {
    let mut labels = service.value().lookup(&["metadata", "labels"]).cloned().unwrap_or_else(Value::map);
    let map = labels.make_map();
    map.remove(HEADLESS);
    if is_headless(service) {
        map.insert(HEADLESS, Value::str(""));
    }
    map.insert(SERVICE, Value::str(service.name()));
    map.insert(MANAGED_BY, Value::str(MANAGER));
    labels
}

fn slice(service: &Object, labels: &Value, wanted: Wanted) -> Object {
    let mut slice = value(&json!({
        "apiVersion": Kind::EndpointSlice.api_version(),
        "kind": Kind::EndpointSlice.name(),
        "metadata": {
            "generateName": format!("{}-", service.name()),
            "namespace": service.namespace(),
        },
        "addressType": "IPv4",
    }));
    let metadata = map_mut(&mut slice, &["metadata"]);
    metadata.insert("labels", labels.clone());
    metadata.insert("ownerReferences", Value::list(vec![controller_reference(service)]));
    wanted.write(&mut slice);
    Object::new(slice).expect("it has a kind and a name")
}

fn endpoint(world: &World, service: &Object, pod: &Object) -> Value {
    let leaving = world.is_leaving(pod);
    let serving = is_ready(pod);
    let ready = flag(service.value(), &["spec", "publishNotReadyAddresses"]) || serving && !leaving;
    let node = text(pod.value(), &["spec", "nodeName"]);
    let mut endpoint = value(&json!({
        "addresses": [text(pod.value(), &["status", "podIP"])],
        "conditions": {"ready": ready, "serving": serving, "terminating": leaving},
        "nodeName": node,
        "targetRef": {"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()},
    }));
    let mut set = |field: &str, text: &str| {
        if !text.is_empty() {
            endpoint.make_map().insert(field, Value::str(text));
        }
    };
    if text(pod.value(), &["spec", "subdomain"]) == service.name() {
        set("hostname", text(pod.value(), &["spec", "hostname"]));
    }
    set("zone", world.find(Kind::Node, "", node).and_then(|node| node.label(ZONE)).unwrap_or_default());
    endpoint
}

/// The ports that a pod listens on for the Service, which may go by their names.
fn ports(service: &Object, pod: &Object) -> Vec<Value> {
    let ports = list(service.value(), &["spec", "ports"]).iter();
    let made = ports.filter_map(|port| {
        let mut made = value(
            &json!({"name": text(port, &["name"]), "protocol": text(port, &["protocol"]), "port": port_number(port, pod)?}),
        );
        if let Some(protocol) = port.get("appProtocol") {
            made.make_map().insert("appProtocol", protocol.clone());
        }
        Some(made)
    });
    made.collect()
}

/// The number of a Service's port on a pod, if the pod has such a port.
pub(super) fn port_number(port: &Value, pod: &Object) -> Option<i64> {
    let target = port.get("targetPort").or_else(|| port.get("port"))?;
    target.as_i64().or_else(|| named(pod, target.as_str()?, text(port, &["protocol"])))
}

fn named(pod: &Object, name: &str, protocol: &str) -> Option<i64> {
    let containers = list(pod.value(), &["spec", "containers"]).iter();
    let mut ports = containers.flat_map(|container| list(container, &["ports"]));
    let same = |port: &&Value| text(port, &["name"]) == name && text(port, &["protocol"]) == protocol;
    ports.find(same).and_then(|port| port.get("containerPort")?.as_i64())
}
