//! Who names whom: the Kustomizations by what their specs refer to, so that a change wakes those whom it concerns and
//! looks at no others.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use soll_api::Object;
use soll_yaml::Value;

use crate::{Key, Kind};

/// What a Kustomization refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reference {
    /// The source that it is built from.
    Source(Key),
    /// One that it waits for.
    Dependency(Key),
    /// A ConfigMap or Secret of its namespace that gives it variables.
    Variables {
        /// `ConfigMap` or `Secret`.
        kind: Arc<str>,
        /// Namespace.
        namespace: Arc<str>,
        /// Name.
        name: Arc<str>,
    },
}

/// The Kustomizations by what they refer to.
#[derive(Default)]
pub(crate) struct References {
    by_target: HashMap<Reference, BTreeSet<Key>>,
}

impl References {
    /// Notes that an object is another one than before; nothing where it was not, or is not any more, there.
    pub(crate) fn change(&mut self, key: &Key, before: Option<&Object>, now: Option<&Object>) {
        let of = |object: Option<&Object>| object.map_or_else(BTreeSet::new, |object| references(key, object));
        let (before, now) = (of(before), of(now));
        for target in before.difference(&now) {
            if let Some(users) = self.by_target.get_mut(target) {
                users.remove(key);
                if users.is_empty() {
                    self.by_target.remove(target);
                }
            }
        }
        for target in now.difference(&before) {
            self.by_target.entry(target.clone()).or_default().insert(key.clone());
        }
    }

    /// Who refers to this, by namespace and name.
    pub(crate) fn to(&self, target: &Reference) -> Vec<Key> {
        self.by_target.get(target).into_iter().flatten().cloned().collect()
    }
}

/// What an object refers to.
fn references(key: &Key, object: &Object) -> BTreeSet<Reference> {
    match key.kind {
        Kind::GitRepository => return BTreeSet::new(),
        Kind::Kustomization => {}
    }
    let spec = |path: &[&str]| object.value().get("spec").and_then(|spec| spec.lookup(path));
    let listed = |path: &[&str]| spec(path).and_then(Value::as_list).unwrap_or_default();
    let source = spec(&["sourceRef"]).filter(|source| source.lookup_str(&["kind"]) == Some(Kind::GitRepository.name()));
    let source = source.and_then(|source| named(Kind::GitRepository, source, key)).map(Reference::Source);
    let dependencies =
        listed(&["dependsOn"]).iter().filter_map(|dependency| named(Kind::Kustomization, dependency, key));
    let variables = listed(&["postBuild", "substituteFrom"]).iter().filter_map(|from| {
        let (kind, name) = (from.lookup_str(&["kind"])?, from.lookup_str(&["name"])?);
        Some(Reference::Variables { kind: kind.into(), namespace: Arc::clone(&key.namespace), name: name.into() })
    });
    source.into_iter().chain(dependencies.map(Reference::Dependency)).chain(variables).collect()
}

/// The object that a reference with a name and, if it is another one, a namespace means.
fn named(kind: Kind, reference: &Value, from: &Key) -> Option<Key> {
    let namespace = reference.lookup_str(&["namespace"]).filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or(&from.namespace);
    Some(Key::new(kind, namespace, reference.lookup_str(&["name"])?))
}
