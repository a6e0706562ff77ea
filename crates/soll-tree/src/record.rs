//! Notes what a build asked of a tree, so that the same build need not run again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::{ContentId, EntryKind, FileTree, ReadError, TreePath};

/// A tree that notes every question it is asked.
pub struct Recorder<'a> {
    tree: &'a dyn FileTree,
    /// Guards the notes only; a channel would need a reader.
    seen: Mutex<BTreeSet<(TreePath, Seen)>>,
}

/// What was asked of a tree and answered: the part of a build's key that comes from the source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reads {
    seen: BTreeSet<(TreePath, Seen)>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Missing,
    Present(EntryKind),
    Content(ContentId),
    Listing([u8; 32]),
}

impl<'a> Recorder<'a> {
    /// Records what is asked of `tree` from now on.
    #[must_use]
    pub fn new(tree: &'a dyn FileTree) -> Self {
        Self { tree, seen: Mutex::default() }
    }

    /// What was asked.
    #[must_use]
    pub fn into_reads(self) -> Reads {
        Reads { seen: self.seen.into_inner().unwrap_or_else(PoisonError::into_inner) }
    }

    fn note(&self, path: &TreePath, seen: Seen) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert((path.clone(), seen));
    }
}

impl FileTree for Recorder<'_> {
    fn prefix(&self) -> &str {
        self.tree.prefix()
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ReadError> {
        let result = self.tree.read(path);
        match &result {
            Ok(bytes) => {
                // A tree that keeps ids answers without work; the others get theirs from the bytes at hand.
                let id = self.tree.known_id(path).unwrap_or_else(|| ContentId::of(bytes));
                self.note(path, Seen::Content(id));
            }
            Err(ReadError::NotFound(_)) => self.note(path, Seen::Missing),
            Err(ReadError::IsDirectory(_)) => self.note(path, Seen::Present(EntryKind::Directory)),
            Err(ReadError::Io { .. }) => {}
        }
        result
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, ReadError> {
        let result = self.tree.kind(path);
        match result {
            Ok(Some(kind)) => self.note(path, Seen::Present(kind)),
            Ok(None) => self.note(path, Seen::Missing),
            Err(_) => {}
        }
        result
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(TreePath, EntryKind)>, ReadError> {
        let result = self.tree.list(path);
        match &result {
            Ok(entries) => self.note(path, Seen::Listing(digest_of(entries))),
            Err(_) => {
                // A file may be there; what counts is that there was nothing to list.
                self.kind(path)?;
            }
        }
        result
    }

    fn identify(&self, path: &TreePath) -> Result<Option<ContentId>, ReadError> {
        let result = self.tree.identify(path);
        match result {
            Ok(Some(id)) => self.note(path, Seen::Content(id)),
            Ok(None) => {
                self.kind(path)?;
            }
            Err(_) => {}
        }
        result
    }
}

impl Reads {
    /// Says whether `tree` would give the same answers. A tree that cannot be read says no.
    #[must_use]
    pub fn unchanged_in(&self, tree: &dyn FileTree) -> bool {
        self.seen.iter().all(|(path, seen)| match seen {
            Seen::Missing => tree.kind(path) == Ok(None),
            Seen::Present(kind) => tree.kind(path) == Ok(Some(*kind)),
            Seen::Content(id) => holds(tree, path, id),
            Seen::Listing(digest) => tree.list(path).is_ok_and(|entries| digest_of(&entries) == *digest),
        })
    }

    /// SHA-256 over all questions and answers, in order of path.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for (path, seen) in &self.seen {
            hash.update(path.as_str().as_bytes());
            match seen {
                Seen::Missing => hash.update(b"\0missing\0"),
                Seen::Present(EntryKind::File) => hash.update(b"\0file\0"),
                Seen::Present(EntryKind::Directory) => hash.update(b"\0directory\0"),
                Seen::Content(id) => hash.update(format!("\0{id}\0")),
                Seen::Listing(digest) => {
                    hash.update(b"\0list\0");
                    hash.update(digest);
                }
            }
        }
        hash.finalize().into()
    }

    /// The files whose content was read, by path.
    pub fn files(&self) -> impl Iterator<Item = (&TreePath, ContentId)> {
        self.seen.iter().filter_map(|(path, seen)| match seen {
            Seen::Content(id) => Some((path, *id)),
            Seen::Missing | Seen::Present(_) | Seen::Listing(_) => None,
        })
    }

    /// The number of questions noted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Says whether nothing was asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

/// Says whether a tree has this content at a path. Trees of one source need not be of one kind: one comes from a
/// repository, the other from the archive that was made of it.
fn holds(tree: &dyn FileTree, path: &TreePath, id: &ContentId) -> bool {
    match tree.identify(path) {
        Ok(Some(found)) if found.is_comparable(id) => found == *id,
        Ok(Some(_)) => tree.read(path).is_ok_and(|bytes| id.names(&bytes)),
        Ok(None) | Err(_) => false,
    }
}

fn digest_of(entries: &[(TreePath, EntryKind)]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for (path, kind) in entries {
        hash.update(path.file_name().as_bytes());
        hash.update(match kind {
            EntryKind::File => b"\0f",
            EntryKind::Directory => b"\0d",
        });
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Tree;

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree::in_memory(files.iter().copied()).unwrap()
    }

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    /// What reading `app/k.yaml`, listing `app` and missing `app/kustomization.yml` leaves behind.
    fn reads() -> Reads {
        let tree = tree(&[("app/k.yaml", "1"), ("other/x", "2")]);
        let recorder = Recorder::new(&tree);
        recorder.read(&path("app/k.yaml")).unwrap();
        recorder.list(&path("app")).unwrap();
        recorder.kind(&path("app/kustomization.yml")).unwrap();
        recorder.into_reads()
    }

    #[test]
    fn what_was_not_asked_may_change() {
        let same = tree(&[("app/k.yaml", "1"), ("other/x", "changed"), ("new", "")]);
        assert!(reads().unchanged_in(&same));
    }

    #[test]
    fn contents_listings_and_misses_may_not_change() {
        for changed in [
            tree(&[("app/k.yaml", "2")]),
            tree(&[("app/k.yaml", "1"), ("app/more.yaml", "")]),
            tree(&[("app/k.yaml", "1"), ("app/kustomization.yml", "")]),
            tree(&[("app/k.yaml/x", "1")]),
            tree(&[("other/x", "2")]),
        ] {
            assert!(!reads().unchanged_in(&changed), "{changed:?}");
        }
    }

    #[test]
    fn a_repository_and_its_archive_hold_the_same() {
        // `printf 1 | git hash-object --stdin`
        let id = hex::decode("56a6051ca2b02b04ef92d5150c9ef600403cb1de").unwrap();
        let seen = [
            (path("app/k.yaml"), Seen::Content(ContentId::GitSha1(id.try_into().unwrap()))),
            (path("app/kustomization.yml"), Seen::Missing),
        ];
        let reads = Reads { seen: BTreeSet::from(seen) };
        assert!(reads.unchanged_in(&tree(&[("app/k.yaml", "1")])));
        assert!(!reads.unchanged_in(&tree(&[("app/k.yaml", "2")])));
    }

    #[test]
    fn the_digest_follows_the_answers() {
        assert_eq!(reads().digest(), reads().digest());
        let other = tree(&[("app/k.yaml", "2")]);
        let recorder = Recorder::new(&other);
        recorder.read(&path("app/k.yaml")).unwrap();
        assert_ne!(recorder.into_reads().digest(), reads().digest());
    }
}
