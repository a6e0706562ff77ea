//! The binaries that `cargo xtask servers` builds.

use std::path::{Path, PathBuf};

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

/// The path of one binary: in `SOLL_CACHE`, or in `.cache` of the repository.
pub fn binary(name: &str) -> PathBuf {
    let cache = std::env::var_os("SOLL_CACHE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache"), PathBuf::from);
    let path = cache.join("bin").join(name);
    assert!(
        path.exists(),
        "this test needs the real `{name}`, and {} does not exist: build it with `cargo xtask servers`",
        path.display()
    );
    path.canonicalize().expect("the path exists")
}
