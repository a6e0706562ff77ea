//! A directory on disk as a tree, for the command line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{EntryKind, FileTree, ReadError, TreePath};

/// A directory on disk. Symbolic links are followed inside it; one that leads out is an error.
#[derive(Debug, Clone)]
pub struct DirTree {
    root: PathBuf,
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
        Ok(Self { root })
    }

    /// The directory, without symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a path of the tree really lies; none if nothing is there.
    fn resolve(&self, path: &TreePath) -> Result<Option<PathBuf>, ReadError> {
        match self.root.join(path.as_str()).canonicalize() {
            Ok(real) if real.starts_with(&self.root) => Ok(Some(real)),
            Ok(real) => Err(failed(path, format!("it is a symbolic link out of the tree, to `{}`", real.display()))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(failed(path, error)),
        }
    }
}

impl FileTree for DirTree {
    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ReadError> {
        let real = self.resolve(path)?.ok_or_else(|| ReadError::NotFound(path.clone()))?;
        if real.is_dir() {
            return Err(ReadError::IsDirectory(path.clone()));
        }
        if !real.is_file() {
            return Err(failed(path, "it is no regular file"));
        }
        fs::read(&real).map(Arc::from).map_err(|error| failed(path, error))
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, ReadError> {
        Ok(self.resolve(path)?.and_then(|real| kind_of(&real)))
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(TreePath, EntryKind)>, ReadError> {
        let real = self.resolve(path)?.filter(|real| real.is_dir());
        let real = real.ok_or_else(|| ReadError::NotFound(path.clone()))?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(&real).map_err(|error| failed(path, error))? {
            let entry = entry.map_err(|error| failed(path, error))?;
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| failed(path, format!("{name:?} is not UTF-8")))?;
            // What leads out of the tree is an error when it is read, not when it is seen.
            if let Some(kind) = kind_of(&entry.path()) {
                entries.push((path.entry(name), kind));
            }
        }
        entries.sort();
        Ok(entries)
    }
}

fn kind_of(real: &Path) -> Option<EntryKind> {
    let metadata = fs::metadata(real).ok()?;
    if metadata.is_dir() { Some(EntryKind::Directory) } else { metadata.is_file().then_some(EntryKind::File) }
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
    }
}
