//! Namespaces: what may be created in them, and which cannot be deleted.

use soll_yaml::Value;

use super::checks::{list, quoted};
use super::spec_of;
use crate::refusal::{Cause, Refusal};
use crate::resources::Resource;
use crate::rest::Api;
use crate::{meta, names};

/// The namespaces that are always there.
pub(crate) const BOOTSTRAP: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Refuses to create objects where there is no namespace, or one on its way out.
pub(crate) fn admit(api: &Api, resource: &Resource, namespace: &str, name: &str) -> Result<(), Refusal> {
    if !resource.namespaced || resource.is_review() {
        return Ok(());
    }
    let Some(entry) = api.store.get("/namespaces", "", namespace) else {
        return Err(Refusal::no_namespace(namespace));
    };
    if meta::is_terminating(&entry.value) {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = Cause {
            kind: "NamespaceTerminating",
            field: "metadata.namespace".to_owned(),
            message: format!("namespace {namespace} is being terminated"),
        };
        return Err(Refusal::forbidden(resource, name, why).with_cause(cause));
    }
    Ok(())
}

/// Refuses to delete what a cluster cannot be without.
pub(crate) fn admit_delete(resource: &Resource, name: &str) -> Result<(), Refusal> {
    if resource.is("", "namespaces") && matches!(name, "default" | "kube-system" | "kube-public") {
        return Err(Refusal::forbidden(resource, name, "this namespace may not be deleted"));
    }
    Ok(())
}

/// Puts the label with the name on it.
pub(crate) fn settle(object: &mut Value) {
    let name = meta::text(object, "name").to_owned();
    let labels = meta::metadata_mut(object).get_or_insert_with("labels", Value::map).make_map();
    labels.insert(NAME_LABEL, Value::from(name));
}

/// Makes it active, and holds its deletion until it is empty.
pub(crate) fn prepare_create(object: &mut Value) {
    let spec = spec_of(object);
    let held = spec.get_or_insert_with("finalizers", || Value::list(Vec::new()));
    if let Some(held) = held.as_list_mut().filter(|held| held.iter().all(|name| name.as_str() != Some("kubernetes"))) {
        held.push(Value::str("kubernetes"));
    }
    super::set_phase(object, "Active");
}

/// What is wrong with what holds a namespace.
pub(super) fn validate(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for name in list(object, &["spec", "finalizers"]).iter().filter_map(Value::as_str) {
        causes.extend(names::label_key_causes("spec.finalizers", name));
        if !name.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&name) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid("spec.finalizers", &quoted(name), why));
        }
    }
    causes
}

/// Keeps the finalizers: only `finalize` changes them.
pub(crate) fn prepare_update(old: &Value, object: &mut Value) {
    if let Some(finalizers) = old.lookup(&["spec", "finalizers"]).cloned() {
        let spec = spec_of(object);
        spec.insert("finalizers", finalizers);
    }
}
