//! What single kinds need beyond the rules for all: one module per noun, chosen here by resource.

pub(crate) mod definition;
pub(crate) mod event;
pub(crate) mod namespace;
pub(crate) mod pod;
pub(crate) mod secret;
pub(crate) mod service;

use std::sync::Arc;

use soll_yaml::Value;

use crate::refusal::{Cause, Refusal};
use crate::resources::Resource;
use crate::rest::{Api, Context};
use crate::store::Entry;

/// Fills in defaults and brings values into their normal form. Runs for every write, so it must not
/// change what it has settled before.
pub(crate) fn settle(resource: &Resource, object: &mut Value) {
    if let Some(custom) = &resource.custom {
        return custom.fill_defaults(object);
    }
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => namespace::settle(object),
        ("", "secrets") => secret::settle(object),
        ("", "services") => service::settle(object),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::settle(object),
        _ => {}
    }
}

/// What happens once, before an object is stored for the first time.
pub(crate) fn prepare_create(ctx: &Context<'_>, object: &mut Value) -> Result<(), Refusal> {
    let resource = &ctx.target.resource;
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "namespaces") => namespace::prepare_create(object),
        ("", "pods") => pod::prepare_create(object),
        ("", "services") => return service::allocate(ctx, None, object),
        ("", "persistentvolumes" | "persistentvolumeclaims") => set_phase(object, "Pending"),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::prepare(None, object, ctx.now),
        _ => {}
    }
    Ok(())
}

/// What happens before a change is stored.
pub(crate) fn prepare_update(ctx: &Context<'_>, old: &Value, object: &mut Value) -> Result<(), Refusal> {
    let resource = &ctx.target.resource;
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "services") => return service::allocate(ctx, Some(old), object),
        ("", "namespaces") => namespace::prepare_update(old, object),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::prepare(Some(old), object, ctx.now),
        _ => {}
    }
    Ok(())
}

/// What is wrong with an object, whatever it was before.
pub(crate) fn validate(resource: &Resource, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    if let Some(custom) = &resource.custom {
        return custom.validate(old, object);
    }
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::validate(object),
        _ => Vec::new(),
    }
}

/// What is wrong with a change.
pub(crate) fn validate_update(resource: &Resource, old: &Value, object: &Value) -> Vec<Cause> {
    match (resource.group.as_str(), resource.plural.as_str()) {
        ("", "configmaps") => secret::validate_immutable(old, object),
        ("", "secrets") => {
            let mut causes = secret::validate_immutable(old, object);
            causes.extend(immutable(old, object, &["type"]));
            causes
        }
        ("", "services") => service::validate_update(old, object),
        ("apps", "deployments" | "daemonsets" | "replicasets") => immutable(old, object, &["spec", "selector"]),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            if old.get("roleRef") == object.get("roleRef") {
                return Vec::new();
            }
            let shown = object.get("roleRef").map(crate::refusal::shown).unwrap_or_default();
            vec![Cause::invalid("roleRef", &shown, "cannot change roleRef")]
        }
        _ => Vec::new(),
    }
}

/// What follows from a write that is done.
pub(crate) fn after_write(api: &Arc<Api>, resource: &Resource, entry: &Arc<Entry>) {
    if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
        crate::crd::serve(&api.registry, &entry.value);
    }
}

/// What follows from a removal that is done.
pub(crate) fn after_removal(api: &Arc<Api>, resource: &Resource, entry: &Arc<Entry>) {
    if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
        crate::crd::withdraw(&api.registry, &entry.value);
    }
}

fn set_phase(object: &mut Value, phase: &str) {
    let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
    status.insert("phase", Value::str(phase));
}

/// The cause if a field that may not change has.
pub(crate) fn immutable(old: &Value, object: &Value, keys: &[&str]) -> Vec<Cause> {
    let (before, after) = (old.lookup(keys), object.lookup(keys));
    if before == after {
        return Vec::new();
    }
    let shown = after.map_or_else(|| "null".into(), crate::refusal::shown);
    vec![Cause::invalid(keys.join("."), &shown, "field is immutable")]
}
