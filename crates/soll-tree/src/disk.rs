//! A directory on disk as a tree, for the command line.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{EntryKind, FileTree, ReadError, TreePath};

/// A directory on disk. Symbolic links are followed inside it; one that leads out is an error.
#[derive(Debug, Clone)]
pub struct DirTree {
    root: PathBuf,
    /// Directories with no symbolic link on the way to them, so that what lies in them is found by one look.
    /// Shared by clones; held only to look up or add a path.
    plain: Arc<Mutex<HashSet<PathBuf>>>,
}

/// Where a path of the tree really lies, and what is there.
struct Real {
    path: PathBuf,
    metadata: fs::Metadata,
}

impl DirTree {
    /// Opens a directory.
    ///
    /// # Errors
    /// If it does not exist or is no directory.
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory"));
        }
        Ok(Self { root, plain: Arc::default() })
    }

    /// The directory, without symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a path of the tree really lies; none if nothing is there.
    fn resolve(&self, path: &TreePath) -> Result<Option<Real>, ReadError> {
        let found = |metadata: io::Result<fs::Metadata>, real: PathBuf| match metadata {
            Ok(metadata) => Ok(Some(Real { path: real, metadata })),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(failed(path, error)),
        };
        let full = self.root.join(path.as_str());
        if full.parent().is_some_and(|parent| self.is_plain(parent)) {
            let metadata = fs::symlink_metadata(&full);
            if !metadata.as_ref().is_ok_and(fs::Metadata::is_symlink) {
                return found(metadata, full);
            }
        }
        match full.canonicalize() {
            Ok(real) if real.starts_with(&self.root) => {
                if real == full
                    && let Some(parent) = full.parent()
                {
                    self.plain.lock().unwrap_or_else(PoisonError::into_inner).insert(parent.to_owned());
                }
                found(fs::metadata(&real), real)
            }
            Ok(real) => Err(failed(path, format!("it is a symbolic link out of the tree, to `{}`", real.display()))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(failed(path, error)),
        }
    }

    fn is_plain(&self, directory: &Path) -> bool {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner).contains(directory)
    }
}

impl FileTree for DirTree {
    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ReadError> {
        let real = self.resolve(path)?.ok_or_else(|| ReadError::NotFound(path.clone()))?;
        if real.metadata.is_dir() {
            return Err(ReadError::IsDirectory(path.clone()));
        }
        if !real.metadata.is_file() {
            return Err(failed(path, "it is no regular file"));
        }
        fs::read(&real.path).map(Arc::from).map_err(|error| failed(path, error))
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, ReadError> {
        Ok(self.resolve(path)?.and_then(|real| kind_of(real.metadata.file_type())))
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(TreePath, EntryKind)>, ReadError> {
        let real = self.resolve(path)?.filter(|real| real.metadata.is_dir());
        let real = real.ok_or_else(|| ReadError::NotFound(path.clone()))?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(&real.path).map_err(|error| failed(path, error))? {
            let entry = entry.map_err(|error| failed(path, error))?;
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| failed(path, format!("{name:?} is not UTF-8")))?;
            let kind = match entry.file_type() {
                // What leads out of the tree is an error when it is read, not when it is seen.
                Ok(kind) if kind.is_symlink() => {
                    fs::metadata(entry.path()).ok().and_then(|metadata| kind_of(metadata.file_type()))
                }
                Ok(kind) => kind_of(kind),
                Err(_) => None,
            };
            entries.extend(kind.map(|kind| (path.entry(name), kind)));
        }
        // The way here had no link, so the ways to what lies here have none either, but for their last step.
        if real.path == self.root.join(path.as_str()) {
            self.plain.lock().unwrap_or_else(PoisonError::into_inner).insert(real.path);
        }
        entries.sort();
        Ok(entries)
    }
}

fn kind_of(kind: fs::FileType) -> Option<EntryKind> {
    if kind.is_dir() { Some(EntryKind::Directory) } else { kind.is_file().then_some(EntryKind::File) }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn failed(path: &TreePath, message: impl std::fmt::Display) -> ReadError {
    ReadError::Io { path: path.clone(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    #[cfg(unix)]
    fn links_are_followed_inside_and_refused_outside() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        fs::write(root.join("a/f"), "inside").unwrap();
        std::os::unix::fs::symlink("a/f", root.join("good")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("bad")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("broken")).unwrap();
        let tree = DirTree::open(&root).unwrap();
        let path = |text: &str| text.parse::<TreePath>().unwrap();

        assert_eq!(tree.read(&path("good")).unwrap().as_ref(), b"inside");
        let refused = tree.read(&path("bad")).unwrap_err().to_string();
        assert!(refused.contains("symbolic link out of the tree"), "{refused}");
        assert_eq!(tree.read(&path("broken")), Err(ReadError::NotFound(path("broken"))));
        assert_eq!(tree.kind(&path("a/f/x")), Ok(None));
        assert_eq!(tree.read(&path("a")), Err(ReadError::IsDirectory(path("a"))));
        let names: Vec<_> =
            tree.list(&TreePath::root()).unwrap().into_iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(names, ["a", "bad", "good"]);
        // Once a directory is known, links in it are seen through still.
        assert_eq!(tree.read(&path("good")).unwrap().as_ref(), b"inside");
        assert!(tree.read(&path("bad")).is_err());
        assert_eq!(tree.read(&path("a/f")).unwrap().as_ref(), b"inside");
        fs::rename(root.join("a"), root.join("b")).unwrap();
        assert_eq!(tree.read(&path("a/f")), Err(ReadError::NotFound(path("a/f"))));
    }
}
