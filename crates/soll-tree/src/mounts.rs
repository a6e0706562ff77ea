//! Trees within a tree.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::{ContentId, EntryKind, FileTree, ReadError, TreePath};

/// A tree that can be read by several threads.
pub type SharedTree = Arc<dyn FileTree + Send + Sync>;

/// A tree at whose root others appear while it is read. Listing the root does not show them.
pub struct MountedTree {
    base: SharedTree,
    /// By the name of the directory. Held only to look up or add one.
    mounts: RwLock<BTreeMap<String, SharedTree>>,
}

impl MountedTree {
    /// A tree without mounts.
    #[must_use]
    pub fn new(base: SharedTree) -> Self {
        Self { base, mounts: RwLock::default() }
    }

    /// Lets a tree appear in a directory of the root, in place of what is there.
    pub fn mount(&self, directory: &str, tree: SharedTree) {
        self.mounts.write().unwrap_or_else(PoisonError::into_inner).insert(directory.to_owned(), tree);
    }

    /// Says whether a tree was mounted there.
    #[must_use]
    pub fn has_mount(&self, directory: &str) -> bool {
        self.mounts.read().unwrap_or_else(PoisonError::into_inner).contains_key(directory)
    }

    /// The tree that a path is in, the path there, and the mount it is in.
    fn find(&self, path: &TreePath) -> (SharedTree, TreePath, Option<String>) {
        let (first, rest) = path.as_str().split_once('/').unwrap_or((path.as_str(), ""));
        match self.mounts.read().unwrap_or_else(PoisonError::into_inner).get(first) {
            Some(tree) => {
                let inner = TreePath::root().join(rest).expect("a part of a path is a path");
                (Arc::clone(tree), inner, Some(first.to_owned()))
            }
            None => (Arc::clone(&self.base), path.clone(), None),
        }
    }
}

impl fmt::Debug for MountedTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mounts = self.mounts.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("MountedTree").field("mounts", &mounts.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

/// The error with the path that was asked for.
fn outside(error: ReadError, path: &TreePath) -> ReadError {
    let path = path.clone();
    match error {
        ReadError::NotFound(_) => ReadError::NotFound(path),
        ReadError::IsDirectory(_) => ReadError::IsDirectory(path),
        ReadError::Io { message, .. } => ReadError::Io { path, message },
    }
}

impl FileTree for MountedTree {
    fn prefix(&self) -> &str {
        self.base.prefix()
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ReadError> {
        let (tree, inner, _) = self.find(path);
        tree.read(&inner).map_err(|error| outside(error, path))
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, ReadError> {
        let (tree, inner, _) = self.find(path);
        tree.kind(&inner).map_err(|error| outside(error, path))
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(TreePath, EntryKind)>, ReadError> {
        let (tree, inner, mount) = self.find(path);
        let entries = tree.list(&inner).map_err(|error| outside(error, path))?;
        let Some(mount) = mount else { return Ok(entries) };
        let place = |entry: &TreePath| TreePath::root().join(&format!("{mount}/{entry}")).expect("both are paths");
        Ok(entries.into_iter().map(|(entry, kind)| (place(&entry), kind)).collect())
    }

    fn known_id(&self, path: &TreePath) -> Option<ContentId> {
        let (tree, inner, _) = self.find(path);
        tree.known_id(&inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::Tree;

    #[test]
    fn a_mount_is_read_where_it_was_put() {
        let tree = |path: &str, text: &str| -> SharedTree { Arc::new(Tree::in_memory([(path, text)]).unwrap()) };
        let mounted = MountedTree::new(tree("a/x", "base"));
        let path: TreePath = "m/b/x".parse().unwrap();
        assert_eq!(mounted.kind(&path).unwrap(), None);
        mounted.mount("m", tree("b/x", "mount"));
        assert_eq!(&*mounted.read(&path).unwrap(), b"mount");
        assert_eq!(&*mounted.read(&"a/x".parse().unwrap()).unwrap(), b"base");
        assert_eq!(mounted.list(&"m/b".parse().unwrap()).unwrap(), [(path, EntryKind::File)]);
        let missing: TreePath = "m/c".parse().unwrap();
        assert_eq!(mounted.read(&missing).unwrap_err().to_string(), "`m/c` does not exist");
        assert_eq!(mounted.list(&TreePath::root()).unwrap().len(), 1);
    }
}
