//! Namespaces: what each has, and how one ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use soll_yaml::{Map, Value};

use crate::rest::{Api, Deletion, Propagation, delete_object, finalize};
use crate::store::{Change, Key};
use crate::{bootstrap, fields, meta};

const NAMESPACES: &str = "/namespaces";
/// Who does this in Kubernetes.
const MANAGER: &str = "kube-controller-manager";

/// Gives a namespace its default service account and the certificate of this server, now and if they vanish.
pub(super) fn note(api: &Arc<Api>, drawer: &str, change: &Change) {
    let namespace = match drawer {
        NAMESPACES if !change.removed => change.entry.key.name.clone(),
        "/serviceaccounts" | "/configmaps" if change.removed => change.entry.key.namespace.clone(),
        _ => return,
    };
    let Some(live) = api.store.get(NAMESPACES, "", &namespace) else { return };
    if meta::is_terminating(&live.value) {
        return;
    }
    let named = |name: &str| {
        let metadata = Map::from_iter([("name", Value::str(name)), ("namespace", Value::from(namespace.clone()))]);
        Map::from_iter([("metadata", Value::from(metadata))])
    };
    if api.store.get("/serviceaccounts", &namespace, "default").is_none() {
        bootstrap::put(api, MANAGER, ("", "v1", "serviceaccounts"), named("default").into());
    }
    if api.store.get("/configmaps", &namespace, "kube-root-ca.crt").is_none() {
        let mut certificate = named("kube-root-ca.crt");
        certificate.insert("data", Map::from_iter([("ca.crt", Value::str(api.authority.certificate()))]).into());
        bootstrap::put(api, MANAGER, ("", "v1", "configmaps"), certificate.into());
    }
}

/// Empties the namespaces that are to go, and lets those go that are empty.
pub(super) fn finish(api: &Arc<Api>) {
    let (namespaces, _) = api.store.snapshot(NAMESPACES);
    for namespace in namespaces.iter().filter(|entry| meta::is_terminating(&entry.value)) {
        let left = empty(api, &namespace.key.name);
        if left.resources.is_empty() {
            finalize(api, NAMESPACES, &namespace.key, |object| {
                let spec = object.make_map().get_or_insert_with("spec", Value::map).make_map();
                spec.insert("finalizers", Value::list(Vec::new()));
            });
        } else {
            report(api, &namespace.key, &left);
        }
    }
}

/// What is still in a namespace, counted.
#[derive(Default)]
struct Left {
    /// By resource: `configmaps.`, `deployments.apps`.
    resources: BTreeMap<String, usize>,
    /// By finalizer.
    finalizers: BTreeMap<String, usize>,
}

/// Deletes what is in a namespace; says what is left.
fn empty(api: &Arc<Api>, namespace: &str) -> Left {
    let table = api.registry.table();
    let how = Deletion { propagation: Some(Propagation::Background), ..Deletion::default() };
    let mut left = Left::default();
    for drawer in api.store.drawers() {
        let Some(resource) = table.of_drawer(&drawer).filter(|resource| resource.namespaced) else { continue };
        let (shelf, _) = api.store.snapshot(&drawer);
        for entry in shelf.iter_from(namespace, "").take_while(|entry| entry.key.namespace == namespace) {
            if !meta::is_terminating(&entry.value)
                && let Err(refusal) = delete_object(api, &resource, entry, &how, false, Timestamp::now())
            {
                tracing::debug!(object = %entry.key.name, refusal = refusal.message, "not deleted with its namespace");
            }
            let Some(now) = api.store.get(&drawer, namespace, &entry.key.name) else { continue };
            *left.resources.entry(format!("{}.{}", resource.plural, resource.group)).or_default() += 1;
            for finalizer in meta::finalizers(&now.value) {
                *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
    }
    left
}

/// Writes into the status what the namespace waits for.
fn report(api: &Arc<Api>, key: &Key, left: &Left) {
    let list = |counts: &BTreeMap<String, usize>, link: &str| {
        let shown = counts.iter().map(|(name, count)| format!("{name} {link} {count} resource instances"));
        shown.collect::<Vec<_>>().join(", ")
    };
    let finalizers = match list(&left.finalizers, "in") {
        none if none.is_empty() => {
            ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned())
        }
        some => {
            let message = format!("Some content in the namespace has finalizers remaining: {some}");
            ("True", "SomeFinalizersRemain", message)
        }
    };
    let conditions = [
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered".to_owned(),
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed".to_owned(),
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        ),
        (
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            format!("Some resources are remaining: {}", list(&left.resources, "has")),
        ),
        ("NamespaceFinalizersRemaining", finalizers.0, finalizers.1, finalizers.2),
    ];
    finalize(api, NAMESPACES, key, |object| {
        let (before, at) = (object.clone(), meta::text(object, "deletionTimestamp").to_owned());
        let list = conditions.iter().map(|(kind, status, reason, message)| {
            Value::from(Map::from_iter([
                ("type", Value::str(kind)),
                ("status", Value::str(status)),
                ("lastTransitionTime", Value::str(&at)),
                ("reason", Value::str(reason)),
                ("message", Value::str(message)),
            ]))
        });
        let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
        status.insert("conditions", Value::list(list.collect()));
        if *object != before {
            *object = fields::by_server(MANAGER, "status", Some(&before), object);
        }
    });
}
