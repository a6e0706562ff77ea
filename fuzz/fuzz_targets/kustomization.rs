//! Any kustomization is built or refused: the text is a kustomization, then an object, then another file that both
//! may name, one document each.
#![no_main]

mod panics;

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use soll_kustomize::{Limits, Options, build};
use soll_tree::{EntryKind, FileTree, ReadError, TreePath};
use soll_yaml::ParseLimits;

struct Files<'t>([(&'static str, &'t str); 3]);

impl FileTree for Files<'_> {
    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ReadError> {
        let found = self.0.iter().find(|(name, _)| *name == path.as_str());
        found.map(|(_, text)| Arc::from(text.as_bytes())).ok_or_else(|| ReadError::NotFound(path.clone()))
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, ReadError> {
        if path.is_root() {
            return Ok(Some(EntryKind::Directory));
        }
        Ok(self.0.iter().any(|(name, _)| *name == path.as_str()).then_some(EntryKind::File))
    }

    fn list(&self, _: &TreePath) -> Result<Vec<(TreePath, EntryKind)>, ReadError> {
        Ok(Vec::new())
    }
}

fuzz_target!(init: panics::forgive_the_scanner(), |text: &str| {
    let mut parts = text.splitn(3, "\n---\n");
    let mut part = || parts.next().unwrap_or_default();
    let files = Files([("kustomization.yaml", part()), ("a.yaml", part()), ("b.yaml", part())]);
    let parse = ParseLimits { bytes: 1 << 14, depth: 32, nodes: 10_000, documents: 20 };
    let options = Options { limits: Limits { parse, depth: 4, loads: 50, objects: 100 }, ..Options::default() };
    if let Ok(built) = build(&files, &TreePath::root(), &options) {
        for value in &built.values {
            soll_yaml::emit_yaml(value);
        }
    }
});
