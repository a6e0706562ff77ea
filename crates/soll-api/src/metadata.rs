//! What every object carries, for the kinds that have typed structures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use soll_yaml::{DecodeError, Value};

use crate::{Gvk, Object, ObjectRef, Time, names};

/// `metadata`, as far as controllers read it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Name.
    pub name: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// What tells an object from its namesake that was deleted.
    pub uid: String,
    /// Moves with each change.
    pub resource_version: String,
    /// Moves with each change of the spec.
    pub generation: i64,
    /// When it was created.
    pub creation_timestamp: Option<Time>,
    /// Set once it is being deleted.
    pub deletion_timestamp: Option<Time>,
    /// Who must let go before it vanishes.
    pub finalizers: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// Says whether the object is being deleted.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.deletion_timestamp.is_some()
    }

    /// Says whether our finalizer is there.
    #[must_use]
    pub fn has_finalizer(&self) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == names::FINALIZER)
    }

    /// The value of the annotation that asks for a reconcile now.
    #[must_use]
    pub fn requested_at(&self) -> Option<&str> {
        self.annotations.get(names::REQUESTED_AT).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A custom resource with a typed structure.
pub trait Resource: Sized {
    /// API group.
    const GROUP: &'static str;
    /// API version within the group.
    const VERSION: &'static str;
    /// Kind.
    const KIND: &'static str;
    /// Plural, as in URLs.
    const PLURAL: &'static str;

    /// Reads the typed structure of an object of this kind. Missing fields take the CRD's defaults.
    ///
    /// # Errors
    /// The first field that does not fit, with its place.
    fn decode(value: &Value) -> Result<Self, DecodeError>;

    /// The object's metadata.
    fn metadata(&self) -> &Metadata;

    /// Reads the typed structure of an object.
    ///
    /// # Errors
    /// The first field that does not fit, with its place.
    fn from_object(object: &Object) -> Result<Self, DecodeError> {
        Self::decode(object.value())
    }

    /// Group, version and kind.
    #[must_use]
    fn gvk() -> Gvk {
        Gvk { group: Self::GROUP.to_owned(), version: Self::VERSION.to_owned(), kind: Self::KIND.to_owned() }
    }

    /// The reference that identifies this object.
    #[must_use]
    fn object_ref(&self) -> ObjectRef {
        ObjectRef {
            group: Self::GROUP.to_owned(),
            kind: Self::KIND.to_owned(),
            namespace: self.metadata().namespace.clone(),
            name: self.metadata().name.clone(),
        }
    }
}

/// A name of an object in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalRef {
    /// Name.
    pub name: String,
}
