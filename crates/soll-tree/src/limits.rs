//! What a source may cost.

use crate::TreePath;

/// Bounds for what comes from outside. Sources are written by people whom the operator may not trust.
///
/// The defaults let every repository pass that Flux's own users are known to have, and stop an accident or an attack
/// long before the disk or the memory of the process is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files and directories in one tree. Default: 500,000.
    pub entries: u64,
    /// Bytes of all files of one tree together. Default: 1 GiB.
    pub total_bytes: u64,
    /// Bytes of one file. Default: 100 MiB.
    pub file_bytes: u64,
    /// Names in one path. Default: 100.
    pub depth: usize,
    /// Bytes of one path. Default: 4096.
    pub path_bytes: usize,
    /// Bytes that may come over the network in one fetch. Default: 1 GiB.
    pub transfer_bytes: u64,
    /// Objects that one pack may hold. Default: 5 million.
    pub objects: u64,
    /// Bytes of objects that must be in memory at once, so that others can be built upon them by deltas, while a pack is
    /// taken in. Default: 256 MiB.
    pub delta_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 500_000,
            total_bytes: 1 << 30,
            file_bytes: 100 << 20,
            depth: 100,
            path_bytes: 4096,
            transfer_bytes: 1 << 30,
            objects: 5_000_000,
            delta_bytes: 256 << 20,
        }
    }
}

/// A source that is larger than its [`Limits`] allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// See [`Limits::entries`].
    #[error("the source has more than {limit} files and directories")]
    Entries {
        /// The limit.
        limit: u64,
    },
    /// See [`Limits::total_bytes`].
    #[error("the files of the source are larger than {limit} bytes together; at `{path}` the limit was passed")]
    TotalBytes {
        /// The first file too many.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// See [`Limits::file_bytes`].
    #[error("`{path}` has {size} bytes; a single file may have {limit}")]
    FileBytes {
        /// The file.
        path: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// See [`Limits::depth`].
    #[error("`{path}` is more than {limit} directories deep")]
    Depth {
        /// The path, shortened.
        path: String,
        /// The limit.
        limit: usize,
    },
    /// See [`Limits::path_bytes`].
    #[error("the path that starts with `{path}` is longer than {limit} bytes")]
    PathBytes {
        /// The start of the path.
        path: String,
        /// The limit.
        limit: usize,
    },
}

/// Counts entries of one tree against its limits.
#[derive(Debug)]
pub struct Tally<'a> {
    limits: &'a Limits,
    entries: u64,
    bytes: u64,
}

impl<'a> Tally<'a> {
    /// Starts at nothing.
    #[must_use]
    pub fn new(limits: &'a Limits) -> Self {
        Self { limits, entries: 0, bytes: 0 }
    }

    /// Counts an entry by its path.
    ///
    /// # Errors
    /// The limit that it passes.
    pub fn entry(&mut self, path: &TreePath) -> Result<(), LimitError> {
        let Limits { entries, depth, path_bytes, .. } = *self.limits;
        if path.as_str().len() > path_bytes {
            return Err(LimitError::PathBytes { path: shortened(path), limit: path_bytes });
        }
        if path.parts().count() > depth {
            return Err(LimitError::Depth { path: shortened(path), limit: depth });
        }
        self.entries += 1;
        if self.entries > entries {
            return Err(LimitError::Entries { limit: entries });
        }
        Ok(())
    }

    /// Counts the bytes of a file, before they are read.
    ///
    /// # Errors
    /// The limit that it passes.
    pub fn bytes(&mut self, path: &TreePath, size: u64) -> Result<(), LimitError> {
        let Limits { total_bytes, file_bytes, .. } = *self.limits;
        if size > file_bytes {
            return Err(LimitError::FileBytes { path: shortened(path), size, limit: file_bytes });
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > total_bytes {
            return Err(LimitError::TotalBytes { path: shortened(path), limit: total_bytes });
        }
        Ok(())
    }
}

/// A hostile path may be longer than any log line should be.
fn shortened(path: &TreePath) -> String {
    const SHOWN: usize = 120;
    let text = path.as_str();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
