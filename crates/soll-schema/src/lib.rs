//! What Kubernetes types are: scope, fields, list types, merge keys.
//!
//! [`Schemas::builtin`] is the table of the kinds that Kubernetes 1.35 serves; [`CrdSchema`] is the same
//! for the schema of a CustomResourceDefinition. Both are walked by [`TypeRef`]. Patches, drift and the
//! embedded API server ask here; nothing here changes a value. The table is read in place from the
//! program's memory: looking up a kind costs nothing before and little then.

pub mod layout;

mod crd;
mod definitions;
mod kinds;
mod table;
mod types;

pub use crd::{CrdSchema, SchemaError};
pub use definitions::Definitions;
pub use kinds::{GroupVersion, KindInfo, Names, Resource, Schemas, Scope, Subresource, Verb, Verbs};
pub use types::{Field, ListType, PatchStrategy, Scalar, Shape, TypeRef};
