//! One object under construction, and what it was called before.

use std::fmt;

use soll_yaml::{At, Data, Str, Value, to_json};

use crate::scope;

/// What a resource is called: group, version, kind, name, and its namespace if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) gvk: Gvk,
    pub(crate) name: Str,
    /// As written; see [`Id::effective_namespace`].
    pub(crate) namespace: Str,
}

/// Group, version and kind. In a selector, an empty part matches anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Gvk {
    pub(crate) group: Str,
    pub(crate) version: Str,
    pub(crate) kind: Str,
}

/// What a generated object does to one of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Behavior {
    #[default]
    Create,
    Replace,
    Merge,
}

/// An object on its way through the transformers.
#[derive(Clone)]
pub(crate) struct Resource {
    pub(crate) value: Value,
    /// What it was called before each change of name, the first name first.
    pub(crate) previous: Vec<Id>,
    pub(crate) prefixes: Vec<Str>,
    pub(crate) suffixes: Vec<Str>,
    /// Whether the name gets a hash of the content.
    pub(crate) needs_hash: bool,
    pub(crate) behavior: Behavior,
    /// Where `buildMetadata` says it came from: a path, or a generator in a file.
    pub(crate) origin: Option<Provenance>,
}

/// Where an object came from, for `buildMetadata: [originAnnotations]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Provenance {
    File(String),
    Generated { configured_in: String, api_version: String, kind: String },
}

/// The effective namespace of what has none.
pub(crate) const CLUSTER: &str = "_non_namespaceable_";

impl Gvk {
    pub(crate) fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.into(), version: version.into(), kind: kind.into() }
    }

    pub(crate) fn of(value: &Value) -> Self {
        Self::new(
            value.lookup_str(&["apiVersion"]).unwrap_or_default(),
            value.lookup_str(&["kind"]).unwrap_or_default(),
        )
    }

    /// Says whether this is one of what the selector describes.
    pub(crate) fn is_selected(&self, selector: &Self) -> bool {
        let fits = |wanted: &Str, found: &Str| wanted.is_empty() || wanted == found;
        fits(&selector.kind, &self.kind) && fits(&selector.group, &self.group) && fits(&selector.version, &self.version)
    }

    pub(crate) fn is_cluster_scoped(&self) -> bool {
        scope::is_cluster_scoped(self)
    }
}

impl Id {
    /// The namespace that tells objects apart: none and `default` are the same.
    pub(crate) fn effective_namespace(&self) -> Str {
        if self.gvk.is_cluster_scoped() {
            CLUSTER.into()
        } else if self.namespace.is_empty() {
            "default".into()
        } else {
            self.namespace.clone()
        }
    }

    /// With the effective namespace: equal keys name the same object.
    pub(crate) fn key(&self) -> Self {
        Self { namespace: self.effective_namespace(), ..self.clone() }
    }
}

impl fmt::Display for Id {
    /// `Deployment/apps/podinfo`, as failures name objects.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() || self.namespace == CLUSTER {
            write!(f, "{}/{}", self.gvk.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.gvk.kind, self.namespace, self.name)
        }
    }
}

impl Resource {
    pub(crate) fn new(value: Value) -> Self {
        Self {
            value,
            previous: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            needs_hash: false,
            behavior: Behavior::default(),
            origin: None,
        }
    }

    /// What it is called now.
    pub(crate) fn id(&self) -> Id {
        Id { gvk: self.gvk(), name: self.text(&["metadata", "name"]), namespace: self.text(&["metadata", "namespace"]) }
    }

    /// What it was called when it was read.
    pub(crate) fn first_id(&self) -> Id {
        self.previous.first().cloned().unwrap_or_else(|| self.id())
    }

    /// Everything it was ever called, now last.
    pub(crate) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.previous.iter().cloned().chain(std::iter::once_with(|| self.id()))
    }

    /// Notes what it is called before that changes.
    pub(crate) fn remember_id(&mut self) {
        let id = self.id();
        // The same name twice in a row tells nothing new.
        let namespace = id.effective_namespace();
        let id = Id { namespace, ..id };
        if self.previous.last() != Some(&id) {
            self.previous.push(id);
        }
    }

    pub(crate) fn gvk(&self) -> Gvk {
        Gvk::of(&self.value)
    }

    pub(crate) fn kind(&self) -> &str {
        self.value.lookup_str(&["kind"]).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> Str {
        self.text(&["metadata", "name"])
    }

    /// Where the object was written.
    pub(crate) fn at(&self) -> At {
        self.value.at
    }

    /// Sets a field of the metadata; an empty text removes it.
    pub(crate) fn set_metadata(&mut self, field: &str, text: Value) {
        let metadata = self.value.make_map().get_or_insert_with("metadata", Value::map).make_map();
        if text.as_str().is_some_and(str::is_empty) {
            metadata.remove(field);
        } else {
            metadata.insert(field, text);
        }
    }

    /// Removes annotations that hold nothing. Kustomize keeps its notes about renamed objects there, and
    /// nothing is left of the field when it takes them out.
    pub(crate) fn drop_empty_annotations(&mut self) {
        let annotations = self.value.lookup(&["metadata", "annotations"]);
        if annotations.is_some_and(|value| value.is_null() || value.as_map().is_some_and(|map| map.is_empty())) {
            self.set_metadata("annotations", "".into());
        }
    }

    /// Annotations are texts: kustomize writes them so, whatever they were.
    pub(crate) fn write_annotations_as_text(&mut self) {
        let is_other = |value: &Value| matches!(value.data, Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_));
        let annotations = self.value.lookup(&["metadata", "annotations"]).and_then(Value::as_map);
        if !annotations.is_some_and(|map| map.iter().any(|entry| is_other(&entry.value))) {
            return;
        }
        let Some(metadata) = self.value.get_mut("metadata") else { return };
        for (_, value) in
            metadata.get_mut("annotations").and_then(Value::as_map_mut).expect("looked at above").iter_mut()
        {
            if is_other(value) {
                let text = if value.is_null() { String::new() } else { to_json(value) };
                *value = Value::from(text).at(value.at);
            }
        }
    }

    /// Writes where the object came from into an annotation.
    pub(crate) fn write_origin(&mut self) {
        let text = match &self.origin {
            None => return,
            Some(Provenance::File(path)) => format!("path: {path}\n"),
            Some(Provenance::Generated { configured_in, api_version, kind }) => {
                let by = format!("configuredBy:\n  apiVersion: {api_version}\n  kind: {kind}\n");
                format!("configuredIn: {configured_in}\n{by}")
            }
        };
        let metadata = self.value.make_map().get_or_insert_with("metadata", Value::map).make_map();
        let annotations = metadata.get_or_insert_with("annotations", Value::map).make_map();
        annotations.insert("config.kubernetes.io/origin", Value::from(text));
    }

    /// Labels or annotations as pairs of text.
    pub(crate) fn pairs(&self, field: &str) -> impl Iterator<Item = (&Str, &str)> {
        let pairs = self.value.lookup(&["metadata", field]).and_then(Value::as_map);
        pairs.into_iter().flatten().filter_map(|entry| Some((&entry.key, entry.value.as_str()?)))
    }

    fn text(&self, path: &[&str]) -> Str {
        match self.value.lookup(path).map(|value| &value.data) {
            Some(soll_yaml::Data::Str(text)) => text.clone(),
            _ => Str::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(api_version: &str, kind: &str, namespace: &str) -> Id {
        Id { gvk: Gvk::new(api_version, kind), name: "a".into(), namespace: namespace.into() }
    }

    #[test]
    fn no_namespace_means_default_but_not_for_the_cluster() {
        assert_eq!(id("v1", "Service", "").key(), id("v1", "Service", "default").key());
        assert_eq!(id("v1", "Namespace", "x").key(), id("v1", "Namespace", "").key());
        assert_ne!(id("v1", "Service", "x").key(), id("v1", "Service", "").key());
    }

    #[test]
    fn empty_parts_of_a_selector_match_anything() {
        let deployment = Gvk::new("apps/v1", "Deployment");
        assert!(deployment.is_selected(&Gvk { kind: "Deployment".into(), ..Gvk::default() }));
        assert!(!deployment.is_selected(&Gvk { group: "batch".into(), ..Gvk::default() }));
    }
}
