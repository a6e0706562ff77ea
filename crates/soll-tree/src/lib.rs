//! An immutable, content-addressed file tree: what a source revision becomes.
//!
//! A tree holds paths and digests; file contents stay where they are until asked for. Builds read it
//! through [`FileTree`], and a recorder notes what they asked for: files read, directories listed,
//! files looked for and not found. Read [`Tree`] first, then [`Recorder`]. This crate opens files in [`DirTree`] only.

mod archive;
mod content;
mod disk;
mod ignore;
mod limits;
mod mounts;
mod path;
mod record;
mod tree;

pub use archive::{ArchiveError, Links, Written, read_archive, write_archive};
pub use content::{Blobs, ContentId, MemoryBlobs};
pub use disk::DirTree;
pub use ignore::{IGNORE_FILE, IgnoreError, IgnoreRules};
pub use limits::{LimitError, Limits, Tally};
pub use mounts::{MountedTree, SharedTree};
pub use path::{PathError, TreePath};
pub use record::{Reads, Recorder};
pub use tree::{Entry, FileEntry, Tree, TreeBuilder, TreeError};

/// A read-only view of one tree. Shared by engines that never open a file themselves.
pub trait FileTree {
    /// The content of a file.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] if there is none, [`ReadError::IsDirectory`] if it is a directory, [`ReadError::Io`] otherwise.
    fn read(&self, path: &TreePath) -> Result<std::sync::Arc<[u8]>, ReadError>;

    /// What is at a path.
    ///
    /// # Errors
    /// [`ReadError::Io`] only.
    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, ReadError>;

    /// The entries of a directory, sorted by name, one level.
    ///
    /// # Errors
    /// [`ReadError::NotFound`] if there is no such directory.
    fn list(&self, path: &TreePath) -> Result<Vec<(TreePath, EntryKind)>, ReadError>;

    /// What stands before the paths of the tree where people see them: `/` if it is a whole disk.
    fn prefix(&self) -> &str {
        ""
    }

    /// The id of a file's content without reading it, if the tree keeps one.
    fn known_id(&self, path: &TreePath) -> Option<ContentId> {
        let _ = path;
        None
    }

    /// The id of a file's content, read if need be; none if there is no file.
    ///
    /// # Errors
    /// [`ReadError::Io`] only.
    fn identify(&self, path: &TreePath) -> Result<Option<ContentId>, ReadError> {
        if let Some(id) = self.known_id(path) {
            return Ok(Some(id));
        }
        match self.read(path) {
            Ok(bytes) => Ok(Some(ContentId::of(&bytes))),
            Err(ReadError::NotFound(_) | ReadError::IsDirectory(_)) => Ok(None),
            Err(error @ ReadError::Io { .. }) => Err(error),
        }
    }
}

/// What a path of a tree names. Symbolic links are resolved or dropped before a tree is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// A path that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.naming(TreePath::to_string))]
pub enum ReadError {
    /// Nothing is there.
    NotFound(TreePath),
    /// A directory is there.
    IsDirectory(TreePath),
    /// The storage behind the tree failed.
    Io {
        /// The path.
        path: TreePath,
        /// What the operating system says.
        message: String,
    },
}

impl ReadError {
    /// What is wrong, with the path as `name` shows it.
    pub fn naming(&self, name: impl FnOnce(&TreePath) -> String) -> String {
        match self {
            Self::NotFound(path) => format!("`{}` does not exist", name(path)),
            Self::IsDirectory(path) => format!("`{}` is a directory", name(path)),
            Self::Io { path, message } => format!("cannot read `{}`: {message}", name(path)),
        }
    }
}
