//! The original command lines that `cargo xtask servers` builds.

use std::path::PathBuf;

use soll_compare::binary;

/// The original command lines.
pub struct Tools {
    /// `kubectl` of the same release as the API server.
    pub kubectl: PathBuf,
    /// The `flux` command line.
    pub flux: PathBuf,
    /// The `kustomize` command line.
    pub kustomize: PathBuf,
    /// The `helm` command line.
    pub helm: PathBuf,
}

/// All of the original command lines.
pub fn tools() -> Tools {
    Tools { kubectl: binary("kubectl"), flux: binary("flux"), kustomize: binary("kustomize"), helm: binary("helm") }
}
