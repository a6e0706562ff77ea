//! Who applied an object: the labels that say so.

use soll_api::{Object, Resource, names};
use soll_yaml::Value;

/// The Kustomization that owns objects, by the two labels that it leaves on them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
}

impl Owner {
    /// The owner that a Kustomization is.
    #[must_use]
    pub fn of(ks: &soll_api::Kustomization) -> Self {
        Self { name: ks.metadata().name.clone(), namespace: ks.metadata().namespace.clone() }
    }

    /// The owner that an object's labels name.
    #[must_use]
    pub fn from_labels(object: &Object) -> Option<Self> {
        let name = object.label(names::kustomize::OWNER_NAME)?.to_owned();
        Some(Self { name, namespace: object.label(names::kustomize::OWNER_NAMESPACE)?.to_owned() })
    }

    /// The two labels.
    #[must_use]
    pub fn labels(&self) -> [(&'static str, &str); 2] {
        [(names::kustomize::OWNER_NAME, &self.name), (names::kustomize::OWNER_NAMESPACE, &self.namespace)]
    }

    /// Says whether an object carries both labels.
    #[must_use]
    pub fn owns(&self, object: &Object) -> bool {
        self.labels().iter().all(|(key, value)| object.label(key) == Some(value))
    }

    /// Puts both labels on an object.
    pub fn mark(&self, object: &mut Object) {
        let metadata = object.value_mut().make_map().get_or_insert_with("metadata", Value::map).make_map();
        let labels = metadata.get_or_insert_with("labels", Value::map).make_map();
        for (key, value) in self.labels() {
            // A label that is written in Git keeps its place and loses its value.
            labels.insert(key, Value::str(value));
        }
    }

    /// The selector for watches and lists: `key=value,key=value`.
    #[must_use]
    pub fn selector(&self) -> String {
        self.labels().map(|(key, value)| format!("{key}={value}")).join(",")
    }
}
