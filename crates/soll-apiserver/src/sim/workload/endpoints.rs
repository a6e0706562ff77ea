//! EndpointSlices: where the ready pods of a Service are.

use serde_json::json;
use soll_api::Object;
use soll_yaml::Value;

use super::super::action::{Action, CONTROLLER_MANAGER, Step};
use super::super::fields::{controller_reference, list, map_mut, text, value};
use super::super::kind::Kind;
use super::super::selector::contains;
use super::super::world::World;
use super::pods::{is_finished, is_ready};

const SERVICE: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// Keeps the one slice of a Service that selects pods.
pub(super) fn step(world: &World, service: &Object) -> Step {
    let Some(selector) = service.value().lookup(&["spec", "selector"]).filter(|selector| is_some_map(selector)) else {
        return Step::nothing();
    };
    if text(service.value(), &["spec", "type"]) == "ExternalName" {
        return Step::nothing();
    }
    let mut pods: Vec<_> = world
        .within(Kind::Pod, service.namespace())
        .filter(|pod| contains(selector, pod.value().lookup(&["metadata", "labels"])))
        .filter(|pod| !is_finished(pod) && !text(pod.value(), &["status", "podIP"]).is_empty())
        .collect();
    pods.sort_by_key(|pod| pod.name());
    let endpoints = Value::list(pods.iter().map(|pod| endpoint(world, pod)).collect());
    let ports =
        Value::list(list(service.value(), &["spec", "ports"]).iter().map(|port| self::port(port, &pods)).collect());

    let name = format!("{}-sim", service.name());
    match world.find(Kind::EndpointSlice, service.namespace(), &name) {
        None if world.knows(Kind::EndpointSlice) => Step::act(Action::Create {
            kind: Kind::EndpointSlice,
            object: slice(service, &name, endpoints, ports),
            manager: CONTROLLER_MANAGER,
        }),
        Some(slice)
            if slice.value().get("endpoints") != Some(&endpoints) || slice.value().get("ports") != Some(&ports) =>
        {
            let mut object = slice.clone();
            let fields = map_mut(object.value_mut(), &[]);
            fields.insert("endpoints", endpoints);
            fields.insert("ports", ports);
            Step::act(Action::Update { kind: Kind::EndpointSlice, object, manager: CONTROLLER_MANAGER })
        }
        None | Some(_) => Step::nothing(),
    }
}

fn is_some_map(selector: &Value) -> bool {
    selector.as_map().is_some_and(|map| !map.is_empty())
}

fn slice(service: &Object, name: &str, endpoints: Value, ports: Value) -> Object {
    let mut slice = value(&json!({
        "apiVersion": Kind::EndpointSlice.api_version(),
        "kind": Kind::EndpointSlice.name(),
        "metadata": {
            "name": name,
            "namespace": service.namespace(),
            "labels": {SERVICE: service.name(), MANAGED_BY: MANAGER},
        },
        "addressType": "IPv4",
    }));
    map_mut(&mut slice, &["metadata"]).insert("ownerReferences", Value::list(vec![controller_reference(service)]));
    let fields = map_mut(&mut slice, &[]);
    fields.insert("endpoints", endpoints);
    fields.insert("ports", ports);
    Object::new(slice).expect("it has a kind and a name")
}

fn endpoint(world: &World, pod: &Object) -> Value {
    let leaving = world.is_leaving(pod);
    let ready = is_ready(pod);
    value(&json!({
        "addresses": [text(pod.value(), &["status", "podIP"])],
        "conditions": {"ready": ready && !leaving, "serving": ready, "terminating": leaving},
        "nodeName": text(pod.value(), &["spec", "nodeName"]),
        "targetRef": {"kind": "Pod", "namespace": pod.namespace(), "name": pod.name(), "uid": pod.uid()},
    }))
}

/// A port of the slice: the number that the pods listen on, which the Service may name.
fn port(port: &Value, pods: &[&Object]) -> Value {
    let target = port.get("targetPort").or_else(|| port.get("port"));
    let named = |name: &str| {
        let containers = pods.iter().flat_map(|pod| list(pod.value(), &["spec", "containers"]));
        let mut ports = containers.flat_map(|container| list(container, &["ports"]));
        ports.find(|port| text(port, &["name"]) == name).and_then(|port| port.get("containerPort")?.as_i64())
    };
    let number = target.and_then(|target| target.as_i64().or_else(|| named(target.as_str()?)));
    let protocol = text(port, &["protocol"]);
    let mut made = value(&json!({
        "name": text(port, &["name"]),
        "protocol": if protocol.is_empty() { "TCP" } else { protocol },
    }));
    if let Some(number) = number {
        made.make_map().insert("port", Value::from(number));
    }
    made
}
