//! ComponentStatuses: what the server is made of, and whether it is well. Nothing is stored of them.

use soll_yaml::{Map, Value};

use crate::refusal::Refusal;
use crate::resources::Resource;
use crate::rest::Api;
use crate::store::{Entry, Key};

/// What everybody who asks for them is told.
pub(crate) const DEPRECATED: &str = "v1 ComponentStatus is deprecated in v1.19+";

/// The parts under the names that they have in other clusters, in order: who watches over objects, and where they are kept.
/// There is no scheduler.
pub(crate) fn all(api: &Api, resource: &Resource) -> Vec<Entry> {
    let controllers = if api.controllers { Ok(()) } else { Err("no controllers run here".to_owned()) };
    let store = api.store.failure().map_or(Ok(()), |failure| Err(failure.to_string()));
    [("controller-manager", controllers), ("etcd-0", store)].map(|(name, health)| part(resource, name, health)).into()
}

/// There is no such part; Kubernetes names the kind in the singular here.
pub(crate) fn not_found(resource: &Resource, name: &str) -> Refusal {
    Refusal::missing(&resource.group, &resource.singular, name)
}

fn part(resource: &Resource, name: &str, health: Result<(), String>) -> Entry {
    let (status, said) = match health {
        Ok(()) => ("True", ("message", Value::str("ok"))),
        Err(why) => ("False", ("error", Value::from(why))),
    };
    let condition = Map::from_iter([("type", Value::str("Healthy")), ("status", Value::str(status)), said]);
    let object = Map::from_iter([
        ("kind", Value::str(&resource.kind)),
        ("apiVersion", Value::from(resource.api_version())),
        ("metadata", Map::from_iter([("name", Value::str(name))]).into()),
        ("conditions", Value::list(vec![condition.into()])),
    ]);
    Entry::new(Key::new("", name), object.into(), 0)
}
