//! Helm as a pure engine: charts, values, manifests and hooks, and the records that releases are kept in.
//!
//! Start with [`load_directory`], then [`coalesce`] and [`resolve_dependencies`]. Nothing here opens a
//! file, a socket or a clock; a chart comes through a [`soll_tree::FileTree`] or as bytes, and what it may cost comes
//! as [`ChartLimits`]. Where Helm 3 and 4 differ, 4 is followed.

mod capabilities;
mod chart;
mod dependencies;
mod flags;
mod glob;
mod ignore;
mod load;
mod manifest;
mod metadata;
pub mod release;
pub mod render;
mod schema;
mod set;
mod values;

pub use capabilities::{Capabilities, HELM_VERSION, KUBE_CLIENT_VERSION, KubeVersion, KubeVersionError};
pub use chart::{Chart, ChartFile};
pub use dependencies::resolve_dependencies;
pub use flags::ValueFlags;
pub use glob::{PathPattern, PatternError};
pub use ignore::IgnoreError;
pub use load::{ChartError, ChartLimits, load_archive, load_directory, load_local_dependencies};
pub use manifest::{Hook, HookEvent, KindOrder, Manifest, ManifestError, sort_manifests, split_manifests};
pub use metadata::{Dependency, Maintainer, Metadata, is_compatible};
pub use release::is_release_name;
pub use schema::{SchemaError, SchemaFault, check_values};
pub use set::{Assignment, set, set_json};
pub use values::{Coalesced, GLOBAL, Nulls, coalesce, merge, parse_values};
