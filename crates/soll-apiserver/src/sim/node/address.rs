//! Addresses that somebody outside would give: of load balancers, to Services and Ingresses.

use std::time::Duration;

use serde_json::json;
use soll_api::Object;

use super::super::action::{CONTROLLER_MANAGER, Step};
use super::super::failure::Mode;
use super::super::fields::{self, fingerprint, list, text, value};
use super::super::kind::Kind;
use super::super::world::World;

/// How long a load balancer takes, in simulated time.
const DELAY: Duration = Duration::from_secs(2);
const DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";

/// Gives a Service of type `LoadBalancer` its address.
pub(super) fn of_service(world: &World, service: &Object) -> Step {
    if text(service.value(), &["spec", "type"]) != "LoadBalancer" {
        return Step::nothing();
    }
    grant(world, Kind::Service, service, json!({ "ip": ip(service), "ipMode": "VIP" }))
}

/// Gives an Ingress of a known class its address.
pub(super) fn of_ingress(world: &World, ingress: &Object) -> Step {
    let named = ingress.value().lookup_str(&["spec", "ingressClassName"]);
    let named = named.or_else(|| ingress.annotation("kubernetes.io/ingress.class"));
    let known = match named {
        Some(class) => world.find(Kind::IngressClass, "", class).is_some(),
        None => world.all(Kind::IngressClass).any(|class| class.annotation(DEFAULT_CLASS) == Some("true")),
    };
    if !known {
        return Step::nothing();
    }
    grant(world, Kind::Ingress, ingress, json!({ "ip": ip(ingress) }))
}

fn grant(world: &World, kind: Kind, object: &Object, ingress: serde_json::Value) -> Step {
    let mut step = Step::nothing();
    if world.is_leaving(object) || !list(object.value(), &["status", "loadBalancer", "ingress"]).is_empty() {
        return step;
    }
    let age = world.clock.lasted(object.uid(), "address", 0);
    let failure = world.failure(object).filter(|failure| failure.mode == Mode::LoadBalancerPending);
    if let Some(pause) = failure.as_ref().and_then(|failure| failure.next_change(age)) {
        step.again(world.clock.really(pause));
    }
    if failure.is_some_and(|failure| failure.is_on(age)) {
        return step;
    }
    if age < DELAY {
        step.again(world.clock.really(DELAY - age));
        return step;
    }
    let mut status = object.value().get("status").cloned().unwrap_or_default();
    let addresses = value(&serde_json::Value::Array(vec![ingress]));
    fields::map_mut(&mut status, &["loadBalancer"]).insert("ingress", addresses);
    step.set_status(kind, object, status, CONTROLLER_MANAGER);
    step
}

/// An address from a range that leads nowhere.
fn ip(object: &Object) -> String {
    format!("198.51.100.{}", 1 + fingerprint(object.uid()) % 254)
}
