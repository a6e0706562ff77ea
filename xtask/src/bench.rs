//! Measurements: of ourselves, and as ratios against the reference in the same run.

pub(crate) mod apiserver;
pub(crate) mod fleet;
pub(crate) mod helm;
pub(crate) mod kustomize;
pub(crate) mod up;

use crate::repository::{Repository, run};
use anyhow::Result;
use std::path::PathBuf;

/// The `soll` to measure: the given one, or a release build of this tree.
pub(crate) fn released(repository: &Repository, given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(binary) = given {
        return Ok(binary);
    }
    run(repository.cargo().args(["build", "--quiet", "--release", "--package", "soll"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.root().join("target"), PathBuf::from);
    Ok(target.join("release/soll"))
}
