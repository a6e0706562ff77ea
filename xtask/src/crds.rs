//! The custom resource definitions as files, for people who install by hand.

use anyhow::{Context, Result, ensure};
use soll_yaml::emit_yaml;
use std::fs;
use std::path::Path;

/// Where they stand.
const DIRECTORY: &str = "config/crd";

/// Writes them.
pub(crate) fn write(root: &Path) -> Result<()> {
    let directory = root.join(DIRECTORY);
    fs::create_dir_all(&directory)?;
    for (name, text) in files() {
        fs::write(directory.join(name), text)?;
    }
    Ok(())
}

/// Fails if a file differs from what would be written.
pub(crate) fn check(root: &Path) -> Result<()> {
    for (name, text) in files() {
        let path = root.join(DIRECTORY).join(&name);
        let found = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(found == text, "{DIRECTORY}/{name} is not what the tables say: run `cargo xtask crds`");
    }
    Ok(())
}

/// Name and text of each file.
fn files() -> Vec<(String, String)> {
    let file = |crd: &soll_yaml::Value| {
        let name = crd.lookup_str(&["metadata", "name"]).unwrap_or_default();
        let (plural, group) = name.split_once('.').unwrap_or((name, ""));
        (format!("{group}_{plural}.yaml"), emit_yaml(crd))
    };
    soll_api::crds().iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_files_in_the_tree_are_those_of_the_tables() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask stands in the repository");
        super::check(root).expect("up to date");
    }
}
