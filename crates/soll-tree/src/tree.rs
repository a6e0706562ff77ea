//! The tree: directories of names, files by content id.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::content::EitherBlobs;
use crate::{Blobs, ContentId, EntryKind, FileTree, MemoryBlobs, PathError, ReadError, TreePath};

/// An immutable file tree that knows the id of each content and reads it when asked. Cloning shares everything.
#[derive(Clone)]
pub struct Tree {
    root: Arc<Directory>,
    blobs: Arc<dyn Blobs>,
}

/// One directory: entries sorted by name, as bytes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Directory {
    entries: Vec<(Box<str>, Node)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    File(FileEntry),
    Directory(Arc<Directory>),
}

/// A file as a tree knows it without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileEntry {
    /// Names the content.
    pub id: ContentId,
    /// In bytes.
    pub size: u64,
    /// Has the executable bit.
    pub executable: bool,
}

/// One step of [`Tree::walk`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A file.
    File(FileEntry),
    /// A directory; its entries follow.
    Directory,
}

impl Entry {
    /// The kind alone.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        match self {
            Self::File(_) => EntryKind::File,
            Self::Directory => EntryKind::Directory,
        }
    }
}

/// A tree that cannot be made as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A name that no tree may have.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Two entries under one path.
    #[error("`{0}` is in the source twice")]
    Duplicate(TreePath),
    /// A file where other entries want a directory.
    #[error("`{0}` is a file and a directory at once")]
    NotADirectory(TreePath),
    /// A directory asked for by name that is not there.
    #[error("directory `{0}` does not exist in the source")]
    Missing(TreePath),
    /// Something is already where other content should go.
    #[error("`{0}` already exists in the source")]
    Occupied(TreePath),
}

impl Tree {
    /// A tree without entries.
    #[must_use]
    pub fn empty() -> Self {
        Self { root: Arc::default(), blobs: Arc::new(MemoryBlobs::default()) }
    }

    /// A tree in memory, for tests and for what is generated.
    ///
    /// # Errors
    /// If a path leads out of the tree or two of them clash.
    pub fn in_memory<P: AsRef<str>, B: Into<Vec<u8>>>(
        files: impl IntoIterator<Item = (P, B)>,
    ) -> Result<Self, TreeError> {
        let mut blobs = MemoryBlobs::default();
        let mut builder = TreeBuilder::default();
        for (path, bytes) in files {
            let bytes: Vec<u8> = bytes.into();
            let size = bytes.len() as u64;
            let id = blobs.keep(bytes);
            builder.insert_file(&path.as_ref().parse()?, FileEntry { id, size, executable: false })?;
        }
        Ok(builder.build(Arc::new(blobs)))
    }

    /// What the tree knows of a file; none if there is no file.
    #[must_use]
    pub fn file(&self, path: &TreePath) -> Option<FileEntry> {
        match self.node(path)? {
            Node::File(file) => Some(file),
            Node::Directory(_) => None,
        }
    }

    /// Every entry below the root, depth first, by name within a directory: the order of archives.
    pub fn walk(&self) -> impl Iterator<Item = (TreePath, Entry)> + '_ {
        let mut stack: Vec<(TreePath, Node)> = Vec::new();
        push_entries(&mut stack, &TreePath::root(), &self.root);
        std::iter::from_fn(move || {
            let (path, node) = stack.pop()?;
            let entry = match node {
                Node::File(file) => Entry::File(file),
                Node::Directory(directory) => {
                    push_entries(&mut stack, &path, &directory);
                    Entry::Directory
                }
            };
            Some((path, entry))
        })
    }

    /// The entries that `keep` says yes to, and the directories that hold them.
    ///
    /// Every entry is asked for, also below a directory that is refused.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&TreePath, EntryKind) -> bool) -> Self {
        let root = self.root.filtered(&TreePath::root(), &keep);
        Self { root: Arc::new(root), blobs: self.blobs.clone() }
    }

    /// Only some directories, at their places; what lies outside them is left out, files at the root too.
    ///
    /// # Errors
    /// [`TreeError::Missing`] if one of them is not there.
    pub fn sparse(&self, directories: &[TreePath]) -> Result<Self, TreeError> {
        for wanted in directories {
            if !matches!(self.kind(wanted), Ok(Some(EntryKind::Directory))) {
                return Err(TreeError::Missing(wanted.clone()));
            }
        }
        Ok(self.filtered(|path, _| directories.iter().any(|wanted| path.starts_with(wanted))))
    }

    /// This tree with a directory or file of another one put at `to`, where nothing may be yet.
    ///
    /// # Errors
    /// [`TreeError::Missing`], [`TreeError::Occupied`], [`TreeError::NotADirectory`].
    pub fn with(&self, to: &TreePath, other: &Self, from: &TreePath) -> Result<Self, TreeError> {
        let node = other.node(from).ok_or_else(|| TreeError::Missing(from.clone()))?;
        if self.node(to).is_some() {
            return Err(TreeError::Occupied(to.clone()));
        }
        let parts: Vec<&str> = to.as_str().split('/').collect();
        let root = self.root.with(&TreePath::root(), &parts, node)?;
        let blobs = Arc::new(EitherBlobs(self.blobs.clone(), other.blobs.clone()));
        Ok(Self { root: Arc::new(root), blobs })
    }

    fn node(&self, path: &TreePath) -> Option<Node> {
        let mut node = Node::Directory(self.root.clone());
        for name in path.parts() {
            node = match &node {
                Node::File(_) => return None,
                Node::Directory(directory) => directory.get(name)?.clone(),
            };
        }
        Some(node)
    }
}

/// Equal when paths, content ids and executable bits are, wherever the bytes lie.
impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.root, &other.root) || self.root == other.root
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.walk().map(|(path, entry)| (path.to_string(), entry))).finish()
    }
}

impl FileTree for Tree {
    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ReadError> {
        match self.node(path) {
            None => Err(ReadError::NotFound(path.clone())),
            Some(Node::Directory(_)) => Err(ReadError::IsDirectory(path.clone())),
            Some(Node::File(file)) => {
                self.blobs.read(&file.id).map_err(|message| ReadError::Io { path: path.clone(), message })
            }
        }
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, ReadError> {
        Ok(self.node(path).map(|node| node.kind()))
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(TreePath, EntryKind)>, ReadError> {
        match self.node(path) {
            Some(Node::Directory(directory)) => {
                Ok(directory.entries.iter().map(|(name, node)| (path.entry(name), node.kind())).collect())
            }
            _ => Err(ReadError::NotFound(path.clone())),
        }
    }

    fn known_id(&self, path: &TreePath) -> Option<ContentId> {
        self.file(path).map(|file| file.id)
    }

    fn identify(&self, path: &TreePath) -> Result<Option<ContentId>, ReadError> {
        Ok(self.known_id(path))
    }
}

impl Node {
    fn kind(&self) -> EntryKind {
        match self {
            Self::File(_) => EntryKind::File,
            Self::Directory(_) => EntryKind::Directory,
        }
    }
}

impl Directory {
    fn get(&self, name: &str) -> Option<&Node> {
        let index = self.entries.binary_search_by(|(entry, _)| entry.as_ref().cmp(name)).ok()?;
        Some(&self.entries[index].1)
    }

    fn filtered(&self, at: &TreePath, keep: &impl Fn(&TreePath, EntryKind) -> bool) -> Self {
        let mut entries = Vec::new();
        for (name, node) in &self.entries {
            let path = at.entry(name);
            match node {
                Node::File(_) if keep(&path, EntryKind::File) => entries.push((name.clone(), node.clone())),
                Node::File(_) => {}
                Node::Directory(directory) => {
                    let inner = directory.filtered(&path, keep);
                    if !inner.entries.is_empty() || keep(&path, EntryKind::Directory) {
                        entries.push((name.clone(), Node::Directory(Arc::new(inner))));
                    }
                }
            }
        }
        Self { entries }
    }

    /// This directory with `node` at the path that `parts` names, parents made as needed.
    fn with(&self, at: &TreePath, parts: &[&str], node: Node) -> Result<Self, TreeError> {
        let (name, rest) = parts.split_first().expect("a path that is not the root has a part");
        let here = at.entry(name);
        let place = self.entries.binary_search_by(|(entry, _)| entry.as_ref().cmp(name));
        let node = match (rest, place.ok().map(|index| &self.entries[index].1)) {
            ([], None) => node,
            ([], Some(_)) => return Err(TreeError::Occupied(here)),
            (rest, None) => Node::Directory(Arc::new(Self::default().with(&here, rest, node)?)),
            (rest, Some(Node::Directory(inner))) => Node::Directory(Arc::new(inner.with(&here, rest, node)?)),
            (_, Some(Node::File(_))) => return Err(TreeError::NotADirectory(here)),
        };
        let mut entries = self.entries.clone();
        match place {
            Ok(index) => entries[index].1 = node,
            Err(index) => entries.insert(index, ((*name).into(), node)),
        }
        Ok(Self { entries })
    }
}

fn push_entries(stack: &mut Vec<(TreePath, Node)>, at: &TreePath, directory: &Directory) {
    stack.extend(directory.entries.iter().rev().map(|(name, node)| (at.entry(name), node.clone())));
}

/// Collects entries in any order into a [`Tree`].
#[derive(Debug, Default)]
pub struct TreeBuilder {
    root: Draft,
}

/// A directory while it is being filled.
#[derive(Debug, Default)]
struct Draft {
    entries: BTreeMap<Box<str>, DraftNode>,
}

#[derive(Debug)]
enum DraftNode {
    File(FileEntry),
    Directory(Draft),
}

impl TreeBuilder {
    /// Adds a file and the directories above it.
    ///
    /// # Errors
    /// [`TreeError::Duplicate`], [`TreeError::NotADirectory`].
    pub fn insert_file(&mut self, path: &TreePath, file: FileEntry) -> Result<(), TreeError> {
        let parent = path.parent().ok_or_else(|| TreeError::NotADirectory(path.clone()))?;
        let directory = self.directory(&parent)?;
        match directory.entries.insert(path.file_name().into(), DraftNode::File(file)) {
            None => Ok(()),
            Some(DraftNode::File(_)) => Err(TreeError::Duplicate(path.clone())),
            Some(DraftNode::Directory(_)) => Err(TreeError::NotADirectory(path.clone())),
        }
    }

    /// Adds a directory and those above it; one that is there already stays as it is.
    ///
    /// # Errors
    /// [`TreeError::NotADirectory`].
    pub fn insert_directory(&mut self, path: &TreePath) -> Result<(), TreeError> {
        self.directory(path).map(|_| ())
    }

    /// The tree, whose contents `blobs` reads.
    #[must_use]
    pub fn build(self, blobs: Arc<dyn Blobs>) -> Tree {
        Tree { root: Arc::new(self.root.finish()), blobs }
    }

    fn directory(&mut self, path: &TreePath) -> Result<&mut Draft, TreeError> {
        let mut directory = &mut self.root;
        for name in path.parts() {
            let entry = directory.entries.entry(name.into());
            directory = match entry.or_insert_with(|| DraftNode::Directory(Draft::default())) {
                DraftNode::Directory(inner) => inner,
                DraftNode::File(_) => return Err(TreeError::NotADirectory(path.clone())),
            };
        }
        Ok(directory)
    }
}

impl Draft {
    fn finish(self) -> Directory {
        let finish = |node| match node {
            DraftNode::File(file) => Node::File(file),
            DraftNode::Directory(inner) => Node::Directory(Arc::new(inner.finish())),
        };
        Directory { entries: self.entries.into_iter().map(|(name, node)| (name, finish(node))).collect() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    fn paths(tree: &Tree) -> Vec<String> {
        tree.walk().map(|(path, _)| path.to_string()).collect()
    }

    fn sample() -> Tree {
        Tree::in_memory([("a/x.yaml", "x"), ("a-b", "y"), ("a/b/c", "z"), ("top", "t")]).unwrap()
    }

    #[test]
    fn walk_goes_by_directory_not_by_text() {
        assert_eq!(paths(&sample()), ["a", "a/b", "a/b/c", "a/x.yaml", "a-b", "top"]);
    }

    #[test]
    fn reading_tells_missing_from_directory() {
        let tree = sample();
        assert_eq!(tree.read(&path("a/x.yaml")).unwrap().as_ref(), b"x");
        assert_eq!(tree.read(&path("a")), Err(ReadError::IsDirectory(path("a"))));
        assert_eq!(tree.read(&path("top/x")), Err(ReadError::NotFound(path("top/x"))));
        assert_eq!(tree.list(&path("top")), Err(ReadError::NotFound(path("top"))));
        assert_eq!(tree.kind(&TreePath::root()), Ok(Some(EntryKind::Directory)));
    }

    #[test]
    fn a_list_has_one_level_sorted_by_name() {
        let listed = sample().list(&TreePath::root()).unwrap();
        let expected = [("a", EntryKind::Directory), ("a-b", EntryKind::File), ("top", EntryKind::File)];
        assert_eq!(listed, expected.map(|(name, kind)| (path(name), kind)));
    }

    #[test]
    fn clashing_paths_are_refused() {
        let clash = |files: [(&str, &str); 2]| Tree::in_memory(files).unwrap_err();
        assert_eq!(clash([("a", ""), ("a/b", "")]), TreeError::NotADirectory(path("a")));
        assert_eq!(clash([("a/b", ""), ("a", "")]), TreeError::NotADirectory(path("a")));
        assert_eq!(clash([("a/b", ""), ("a/./b", "")]), TreeError::Duplicate(path("a/b")));
    }

    #[test]
    fn sparse_keeps_the_named_directories_only() {
        let tree = sample().sparse(&[path("a/b")]).unwrap();
        assert_eq!(paths(&tree), ["a", "a/b", "a/b/c"]);
        assert_eq!(paths(&sample().sparse(&[path("a")]).unwrap()), ["a", "a/b", "a/b/c", "a/x.yaml"], "not a-b");
        assert_eq!(sample().sparse(&[path("gone")]), Err(TreeError::Missing(path("gone"))));
    }

    #[test]
    fn another_tree_is_put_where_nothing_is() {
        let other = Tree::in_memory([("lib/f", "from lib")]).unwrap();
        let tree = sample().with(&path("vendor/lib"), &other, &path("lib")).unwrap();
        assert_eq!(tree.read(&path("vendor/lib/f")).unwrap().as_ref(), b"from lib");
        assert_eq!(tree.read(&path("top")).unwrap().as_ref(), b"t");
        assert_eq!(sample().with(&path("a"), &other, &path("lib")), Err(TreeError::Occupied(path("a"))));
        assert_eq!(sample().with(&path("top/x"), &other, &path("lib")), Err(TreeError::NotADirectory(path("top"))));
    }
}
