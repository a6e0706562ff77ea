//! The files of a data directory: `log-N` has the writes from revision N on, `snapshot-N` all objects at revision N.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::KeepError;

/// Begins each file; the digit counts versions of the format.
const MAGIC: &[u8; 8] = b"SOLLKV1\n";
/// Where the first frame stands.
pub(super) const BEGINNING: u64 = MAGIC.len() as u64;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Log,
    Snapshot,
}

impl Kind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Log => "log-",
            Self::Snapshot => "snapshot-",
        }
    }
}

/// A data directory that belongs to this process until it is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    lock: File,
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A child that was forked a moment ago holds the file, too, until it runs its program: closing would not be enough.
        // If it cannot be unlocked, closing it is what is left.
        let _ = self.lock.unlock();
    }
}

impl Directory {
    /// Takes a directory, which is made if there is none.
    pub(super) fn take(path: &Path) -> Result<Self, KeepError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(|source| KeepError::io(path, source))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(|source| KeepError::io(&lock_path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(KeepError::InUse(path.to_owned())),
            Err(fs::TryLockError::Error(source)) => return Err(KeepError::io(&lock_path, source)),
        }
        let directory = Self { path: path.to_owned(), lock };
        directory.forget_unfinished()?;
        Ok(directory)
    }

    /// Removes files that a process was killed at, before they had their names.
    fn forget_unfinished(&self) -> Result<(), KeepError> {
        for path in self.paths()? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(&path).map_err(|source| KeepError::io(&path, source))?;
            }
        }
        Ok(())
    }

    fn paths(&self) -> Result<Vec<PathBuf>, KeepError> {
        let io = |source| KeepError::io(&self.path, source);
        let entries = fs::read_dir(&self.path).map_err(io)?;
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
    }

    /// The files of a kind by their revisions, oldest first.
    pub(super) fn list(&self, kind: Kind) -> Result<Vec<(u64, PathBuf)>, KeepError> {
        let mut files = Vec::new();
        for path in self.paths()? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(revision) = name.strip_prefix(kind.prefix()).and_then(|rest| rest.parse().ok()) {
                files.push((revision, path));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Where a file of a kind and revision stands.
    pub(super) fn place(&self, kind: Kind, revision: u64) -> PathBuf {
        self.path.join(format!("{}{revision:020}", kind.prefix()))
    }

    /// A new file at a path, with its beginning.
    pub(super) fn create(path: &Path) -> io::Result<File> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
        file.write_all(MAGIC)?;
        Ok(file)
    }

    /// Makes certain that files which were made, renamed or removed stay so.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Reads past the beginning of a file; false if it is not that of a file of ours, or not whole.
pub(super) fn has_beginning(file: &mut impl io::Read) -> io::Result<bool> {
    let mut beginning = Vec::new();
    file.take(BEGINNING).read_to_end(&mut beginning)?;
    Ok(beginning == MAGIC)
}
