//! The engine against what kustomize itself printed for the same inputs.
#![allow(clippy::unwrap_used)]
// The corpus is read from disk.
#![allow(clippy::disallowed_methods)]

mod charts;
mod corpus;
mod differential;
mod errors;
mod features;
mod flux;
mod found;
mod origins;
mod scale;

use std::collections::BTreeMap;
use std::sync::Arc;

use soll_kustomize::{BuildErrors, Manifests, Options, build};
use soll_tree::{EntryKind, FileTree, ReadError, TreePath};
use soll_yaml::emit_yaml;

/// Files in memory.
#[derive(Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// From a text of sections, each headed by `# path`.
    fn of(sections: &str) -> Self {
        let mut files = Self::default();
        for section in sections.trim_start().split("# file: ").filter(|section| !section.is_empty()) {
            let (path, content) = section.split_once('\n').unwrap();
            files.0.insert(path.to_owned(), content.as_bytes().to_owned());
        }
        files
    }

    fn build(&self, root: &str) -> Result<Manifests, BuildErrors> {
        build(self, &root.parse().unwrap(), &Options::default())
    }
}

impl FileTree for Files {
    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ReadError> {
        match (self.0.get(path.as_str()), self.kind(path)?) {
            (Some(content), _) => Ok(content.as_slice().into()),
            (None, Some(_)) => Err(ReadError::IsDirectory(path.clone())),
            (None, None) => Err(ReadError::NotFound(path.clone())),
        }
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, ReadError> {
        if self.0.contains_key(path.as_str()) {
            return Ok(Some(EntryKind::File));
        }
        let below = |file: &String| path.is_root() || file.starts_with(&format!("{path}/"));
        Ok(self.0.keys().any(below).then_some(EntryKind::Directory))
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(TreePath, EntryKind)>, ReadError> {
        let prefix = if path.is_root() { String::new() } else { format!("{path}/") };
        let mut found = BTreeMap::new();
        for file in self.0.keys().filter_map(|file| file.strip_prefix(&prefix)) {
            let (name, kind) = match file.split_once('/') {
                Some((name, _)) => (name, EntryKind::Directory),
                None => (file, EntryKind::File),
            };
            found.insert(path.join(name).unwrap(), kind);
        }
        Ok(found.into_iter().collect())
    }
}

fn printed(build: &Manifests) -> String {
    let texts: Vec<_> = build.values.iter().map(emit_yaml).collect();
    texts.join("---\n")
}

/// Names the first line that differs.
fn difference(expected: &str, found: &str) -> String {
    let lines = expected.lines().zip(found.lines()).enumerate();
    match lines.into_iter().find(|(_, (expected, found))| expected != found) {
        Some((number, (expected, found))) => {
            format!("line {}:\n    expected: {expected}\n    found:    {found}", number + 1)
        }
        None => format!("{} lines expected, {} found", expected.lines().count(), found.lines().count()),
    }
}
