//! What a file holds, by digest, and where to read it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

/// Names the content of a file. Equal ids mean equal bytes; ids of different kinds are never equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ContentId {
    /// The id of a Git blob in a SHA-1 repository.
    GitSha1([u8; 20]),
    /// SHA-256 of the bytes.
    Sha256([u8; 32]),
}

impl ContentId {
    /// SHA-256 of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GitSha1(id) => write!(f, "git:{}", hex::encode(id)),
            Self::Sha256(digest) => write!(f, "sha256:{}", hex::encode(digest)),
        }
    }
}

/// Reads file contents by id: from an object database, an archive, memory.
///
/// A tree calls it for ids that it holds, so "not found" means that the storage was damaged.
pub trait Blobs: Send + Sync {
    /// The bytes of one file.
    ///
    /// # Errors
    /// What the storage says, as text.
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String>;
}

/// Contents kept in memory.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    contents: HashMap<ContentId, Arc<[u8]>>,
}

impl MemoryBlobs {
    /// Keeps bytes and returns their id.
    pub fn keep(&mut self, bytes: impl Into<Arc<[u8]>>) -> ContentId {
        let bytes = bytes.into();
        let id = ContentId::of(&bytes);
        self.contents.insert(id, bytes);
        id
    }
}

impl Blobs for MemoryBlobs {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        self.contents.get(id).cloned().ok_or_else(|| format!("content {id} is not in memory"))
    }
}

/// Several storages asked in turn, for trees put together from others.
pub(crate) struct EitherBlobs(pub(crate) Arc<dyn Blobs>, pub(crate) Arc<dyn Blobs>);

impl Blobs for EitherBlobs {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        self.0.read(id).or_else(|first| self.1.read(id).map_err(|second| format!("{first}; {second}")))
    }
}
