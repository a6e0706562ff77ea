//! What lets a store outlive its process: a log of every write, and a snapshot now and then.
//!
//! [`Journal::open`] reads a directory back; then one thread owns its files. Writers hand it what they stored and wait until it
//! is kept: whatever came meanwhile goes into one frame and one write, so many writers cost little more than one. A frame has
//! a checksum and is there as a whole or not at all. When the log has grown, a second thread writes all objects into a
//! snapshot, and the logs before it go.
//!
//! A write that fails ends it: nothing is promised any more, and every request that would need it is refused.

mod files;
mod record;
mod recovery;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::{Drawer, Entry, Shelf};
use files::Directory;
use record::Record;

/// Where a store is kept, and how carefully.
#[derive(Debug, Clone)]
pub struct Keeping {
    /// The directory, made if there is none; one process uses it at a time.
    pub directory: PathBuf,
    /// What an answered write may count on.
    pub promise: Promise,
    /// Bytes of log after which a snapshot is taken.
    pub snapshot_after: u64,
}

impl Keeping {
    /// Keeps a store in a directory, safe from the end of the process.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), promise: Promise::Process, snapshot_after: 64 * 1024 * 1024 }
    }
}

/// What is certain of a write once it was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// It survives the end of the process, however sudden. The disk has it a tenth of a second later.
    Process,
    /// The disk has it: it survives a loss of power.
    Disk,
}

/// What was found in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// The revision of the last write; that of an empty store if the directory was new.
    pub revision: u64,
    /// Objects that the snapshot had.
    pub objects: usize,
    /// Writes that were logged after it.
    pub writes: usize,
    /// Bytes at the end of the log that were no whole write: the process was killed at it, and had answered nobody. They are
    /// kept beside the log, in a file that ends in `.torn`.
    pub cut: Option<u64>,
}

impl Recovery {
    /// Says whether nothing was there.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.revision == super::FIRST_REVISION
    }
}

/// Why a store cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// Two processes would write over each other.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// A file cannot be read or written.
    #[error("cannot use {path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is written there was not written by us, or not like this. Nothing was changed.
    #[error("{path} is damaged at byte {at}: restore it from a copy, or move the directory away to begin anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        at: u64,
    },
}

impl KeepError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// Writes are not kept any more.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct NotKept(Arc<str>);

/// The log of a store. Dropping it writes what is left.
#[derive(Debug)]
pub(super) struct Journal {
    desk: Arc<Desk>,
    progress: watch::Receiver<Progress>,
    thread: Option<JoinHandle<()>>,
}

/// Up to where writes are kept, or why they are not any more.
#[derive(Debug, Clone)]
struct Progress {
    revision: u64,
    failed: Option<NotKept>,
}

/// Where writes are handed over. The mutex guards a list for the few lines of a push or a swap.
#[derive(Debug, Default)]
struct Desk {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    writes: Vec<Written>,
    /// Nothing more will come.
    closed: bool,
    /// Nothing more can be kept.
    failed: bool,
}

/// A write on its way to the log.
#[derive(Debug)]
struct Written {
    drawer: Drawer,
    entry: Arc<Entry>,
    removed: bool,
}

/// Takes what a directory holds.
pub(super) trait Restore {
    /// An object that was stored when the snapshot was taken.
    fn object(&mut self, drawer: &Drawer, entry: Entry);
    /// The snapshot ended; it was taken at this revision.
    fn snapshot(&mut self, revision: u64);
    /// A write after it, in order. Answers what it stored or removed; none if it removes what is not there.
    fn write(
        &mut self,
        drawer: &Drawer,
        key: super::Key,
        value: Option<soll_yaml::Value>,
        revision: u64,
    ) -> Option<Arc<Entry>>;
    /// All objects by resource, when everything was read.
    fn shelves(&self) -> BTreeMap<Drawer, Shelf>;
}

struct Adapter<'r, R>(&'r mut R);

impl<R: Restore> recovery::Reader for Adapter<'_, R> {
    fn object(&mut self, record: Record) {
        let Record { revision, drawer, key, value } = record;
        self.0.object(&drawer, Entry::new(key, value.unwrap_or_default(), revision));
    }

    fn snapshot(&mut self, revision: u64) {
        self.0.snapshot(revision);
    }

    fn write(&mut self, record: Record) -> bool {
        let Record { revision, drawer, key, value } = record;
        self.0.write(&drawer, key, value, revision).is_some()
    }
}

impl Journal {
    /// Reads a directory back and goes on writing there.
    pub(super) fn open(keeping: &Keeping, restore: &mut impl Restore) -> Result<(Self, Recovery), KeepError> {
        let directory = Directory::take(&keeping.directory)?;
        let (recovery, tail) = recovery::read(&directory, &mut Adapter(restore))?;
        let writer = writer::Writer::new(directory, keeping, restore.shelves(), &recovery, tail)?;
        Ok((Self::start(writer, &keeping.directory)?, recovery))
    }

    fn start(writer: writer::Writer, directory: &Path) -> Result<Self, KeepError> {
        let desk = Arc::new(Desk::default());
        let (sender, progress) = watch::channel(Progress { revision: writer.revision(), failed: None });
        let thread = std::thread::Builder::new().name("journal".to_owned());
        let of_thread = desk.clone();
        let thread = thread.spawn(move || writer.run(&of_thread, &sender));
        let thread = thread.map_err(|source| KeepError::io(directory, source))?;
        Ok(Self { desk, progress, thread: Some(thread) })
    }

    /// Hands over a write. Called in the order of revisions.
    pub(super) fn note(&self, drawer: Drawer, entry: Arc<Entry>, removed: bool) {
        let mut queue = self.desk.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.failed {
            queue.writes.push(Written { drawer, entry, removed });
            self.desk.arrived.notify_one();
        }
    }

    /// Waits until everything up to a revision is kept.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is dropped.
    pub(super) async fn kept(&self, revision: u64) -> Result<(), NotKept> {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(|progress| progress.revision >= revision || progress.failed.is_some()).await;
        match reached {
            Ok(progress) if progress.revision >= revision => Ok(()),
            Ok(progress) => Err(progress.failed.clone().expect("it was waited for one of the two")),
            Err(_) => Err(NotKept("the log was closed".into())),
        }
    }

    /// Why nothing is kept any more, if so.
    pub(super) fn failure(&self) -> Option<NotKept> {
        self.progress.borrow().failed.clone()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.desk.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.desk.arrived.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there was already reported by its thread.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::{FIRST_REVISION, Key};
    use soll_yaml::Value;

    #[tokio::test]
    async fn once_a_write_failed_nothing_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let keeping = Keeping::new(home.path());
        let recovery = Recovery { revision: FIRST_REVISION, objects: 0, writes: 0, cut: None };
        let directory = Directory::take(home.path()).unwrap();
        let writer = writer::Writer::new(directory, &keeping, BTreeMap::new(), &recovery, None).unwrap();
        let journal = Journal::start(writer.unable_to_write(), home.path()).unwrap();
        journal.kept(FIRST_REVISION).await.unwrap();
        assert!(journal.failure().is_none());
        let entry = |revision| Arc::new(Entry::new(Key::new("a", "b"), Value::map(), revision));
        journal.note("/pods".into(), entry(2), false);
        let refused = journal.kept(2).await.unwrap_err().to_string();
        assert!(refused.contains("nothing is stored any more"), "{refused}");
        assert!(journal.failure().is_some());
        journal.note("/pods".into(), entry(3), false);
        assert!(journal.kept(3).await.is_err(), "it stays so");
    }
}
