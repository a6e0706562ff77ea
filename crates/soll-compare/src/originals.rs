//! The binaries that `cargo xtask servers` builds.

use std::path::{Path, PathBuf};

/// The path of one of them: in `SOLL_CACHE`, or in `.cache` of the repository.
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
