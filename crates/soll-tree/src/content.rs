//! What a file holds, by digest, and where to read it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha1::{Digest as _, Sha1};
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

    /// Says whether bytes are the content that this names.
    #[must_use]
    pub fn names(&self, bytes: &[u8]) -> bool {
        match self {
            // Git hashes the length, too.
            Self::GitSha1(id) => {
                let header = format!("blob {}\0", bytes.len());
                Sha1::new().chain_update(header).chain_update(bytes).finalize()[..] == id[..]
            }
            Self::Sha256(_) => Self::of(bytes) == *self,
        }
    }

    /// Says whether two ids are of one kind, so that different ids mean different bytes.
    #[must_use]
    pub fn is_comparable(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_knows_its_content_whoever_gave_it() {
        // `printf hello | git hash-object --stdin`
        let git = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";
        let git = ContentId::GitSha1(hex::decode(git).ok().and_then(|id| id.try_into().ok()).expect("a SHA-1"));
        for id in [git, ContentId::of(b"hello")] {
            assert!(id.names(b"hello"));
            assert!(!id.names(b"hello "));
        }
        assert!(!git.is_comparable(&ContentId::of(b"hello")));
    }
}
