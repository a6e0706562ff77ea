//! An immutable, content-addressed file tree: what a source revision becomes.
//!
//! A tree holds paths and digests; file contents stay where they are until asked for. Builds read it
//! through [`FileTree`], and a recorder notes what they asked for: files read, directories listed,
//! files looked for and not found. This crate reads files only where its name says so.

mod path;

pub use path::{PathError, TreePath};

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
}

/// What a path of a tree names. Symbolic links are resolved or dropped before a tree is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// A path that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing is there.
    #[error("`{0}` does not exist")]
    NotFound(TreePath),
    /// A directory is there.
    #[error("`{0}` is a directory")]
    IsDirectory(TreePath),
    /// The storage behind the tree failed.
    #[error("cannot read `{path}`: {message}")]
    Io {
        /// The path.
        path: TreePath,
        /// What the operating system says.
        message: String,
    },
}
