//! Kubernetes objects, desired or live, and references to them.

use std::fmt;

use soll_yaml::{At, Value};

/// Group, version and kind. The core group is the empty text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Gvk {
    /// API group: `apps`, or empty for the core group.
    pub group: String,
    /// API version without the group: `v1`.
    pub version: String,
    /// Kind: `Deployment`.
    pub kind: String,
}

impl Gvk {
    /// From `apiVersion` and `kind` as objects carry them.
    #[must_use]
    pub fn new(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// `apps/v1`, or `v1` for the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.api_version(), self.kind)
    }
}

/// Which object: group, kind, namespace and name. The version does not matter for identity.
///
/// Displays as Flux names objects: `Deployment/apps/podinfo`, `Namespace/apps`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.kind, self.name)
        } else {
            write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// A value that has `apiVersion`, `kind` and `metadata.name` (or `generateName`): checked once, here.
#[derive(Clone, PartialEq)]
pub struct Object {
    value: Value,
}

/// A value that is no Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ObjectError {
    /// What is missing or wrong, and what would be right.
    pub message: String,
    /// Where.
    pub at: At,
}

impl Object {
    /// Checks that the value is an object.
    ///
    /// # Errors
    /// Names the first of `kind`, `apiVersion`, `metadata.name` that is missing or no text.
    pub fn new(value: Value) -> Result<Self, ObjectError> {
        if value.as_map().is_none() {
            let message = format!("expected a Kubernetes object, found {}", value.type_in_words());
            return Err(ObjectError { message, at: value.at });
        }
        for field in ["kind", "apiVersion"] {
            if value.lookup_str(&[field]).is_none_or(str::is_empty) {
                return Err(ObjectError { message: format!("the object has no `{field}`"), at: value.at });
            }
        }
        let named = ["name", "generateName"]
            .iter()
            .any(|field| value.lookup_str(&["metadata", field]).is_some_and(|name| !name.is_empty()));
        if !named {
            let kind = value.lookup_str(&["kind"]).unwrap_or_default();
            return Err(ObjectError { message: format!("the {kind} has no `metadata.name`"), at: value.at });
        }
        Ok(Self { value })
    }

    /// The whole object.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The whole object, for changing. Identity fields must stay texts.
    pub fn value_mut(&mut self) -> &mut Value {
        &mut self.value
    }

    /// The whole object.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.value
    }

    /// `apiVersion`.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.value.lookup_str(&["apiVersion"]).unwrap_or_default()
    }

    /// API group; empty for the core group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version().rsplit_once('/').map_or("", |(group, _)| group)
    }

    /// API version without the group.
    #[must_use]
    pub fn version(&self) -> &str {
        self.api_version().rsplit_once('/').map_or(self.api_version(), |(_, version)| version)
    }

    /// `kind`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.value.lookup_str(&["kind"]).unwrap_or_default()
    }

    /// `metadata.name`; empty if only `generateName` is set.
    #[must_use]
    pub fn name(&self) -> &str {
        self.value.lookup_str(&["metadata", "name"]).unwrap_or_default()
    }

    /// `metadata.namespace`, or empty.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.value.lookup_str(&["metadata", "namespace"]).unwrap_or_default()
    }

    /// `metadata.uid` of a live object, or empty.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.value.lookup_str(&["metadata", "uid"]).unwrap_or_default()
    }

    /// `metadata.resourceVersion` of a live object, or empty.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        self.value.lookup_str(&["metadata", "resourceVersion"]).unwrap_or_default()
    }

    /// `metadata.generation` of a live object.
    #[must_use]
    pub fn generation(&self) -> Option<i64> {
        self.value.lookup(&["metadata", "generation"])?.as_i64()
    }

    /// Says whether the object is being deleted.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.value.lookup(&["metadata", "deletionTimestamp"]).is_some_and(|stamp| !stamp.is_null())
    }

    /// One annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.value.lookup_str(&["metadata", "annotations", key])
    }

    /// One label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.value.lookup_str(&["metadata", "labels", key])
    }

    /// Group, version and kind.
    #[must_use]
    pub fn gvk(&self) -> Gvk {
        Gvk::new(self.api_version(), self.kind())
    }

    /// The reference that identifies this object.
    #[must_use]
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef {
            group: self.group().to_owned(),
            kind: self.kind().to_owned(),
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    #[test]
    fn names_what_an_object_lacks() {
        let lacks =
            |text: &str| Object::new(parse_json(text.as_bytes()).expect("JSON")).expect_err("no object").message;
        assert_eq!(lacks("[]"), "expected a Kubernetes object, found a list");
        assert_eq!(lacks(r#"{"kind":"A"}"#), "the object has no `apiVersion`");
        assert_eq!(lacks(r#"{"kind":"A","apiVersion":"v1"}"#), "the A has no `metadata.name`");
    }

    #[test]
    fn refers_to_objects_as_flux_does() {
        let text = br#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"b"}}"#;
        let object = Object::new(parse_json(text).expect("JSON")).expect("object");
        assert_eq!(object.object_ref().to_string(), "Deployment/b/a");
        assert_eq!((object.group(), object.version()), ("apps", "v1"));
    }
}
