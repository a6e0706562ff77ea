//! YAML and JSON values with source positions: the one value type of Soll.
//!
//! Kustomize, templates, Helm, planning and the embedded API server all work on [`Value`]: 24 bytes a
//! node, shared by reference counting, each node knowing where it was written ([`At`]). Start with
//! [`Value`], then [`parse_yaml`] and [`emit_yaml`], which read and write as Go's `sigs.k8s.io/yaml` and
//! kyaml do. This crate never opens a file.

mod at;
mod de;
mod interner;
mod json;
mod map;
mod path;
mod ser;
mod sources;
mod value;
mod yaml;

pub use at::{At, SourceId};
pub use de::{DecodeError, from_value};
pub use interner::Interner;
pub use json::{parse_json, shortest_float, to_json, to_json_sorted};
pub use map::{Entry, Map};
pub use path::{FieldPath, Step};
pub use ser::{EncodeError, to_value};
pub use sources::{Source, Sources, Via};
pub use value::{Data, Str, Value};
pub use yaml::{
    DuplicateKeys, Flavor, ParseLimits, ParseOptions, YamlError, YamlNode, YamlShape, emit_documents, emit_yaml,
    emit_yaml_v3, parse_first_yaml, parse_yaml,
};
