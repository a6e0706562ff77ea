//! The thread that owns the files.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::files::{BEGINNING, Directory, Kind};
use super::record::Frame;
use super::recovery::Tail;
use super::{Desk, Drawer, KeepError, Keeping, NotKept, Progress, Promise, Recovery, Shelf, Written};

/// How long the disk may lag behind with [`Promise::Process`].
const LAG: Duration = Duration::from_millis(100);
/// Frames are cut at this size, so that reading needs little memory.
const FRAME: usize = 4 * 1024 * 1024;

/// The end of the log, and what is in it.
pub(super) struct Writer {
    directory: Arc<Directory>,
    promise: Promise,
    snapshot_after: u64,
    log: File,
    path: PathBuf,
    /// Bytes of the current log.
    length: u64,
    revision: u64,
    /// All objects at `revision`: what a snapshot is made of.
    shelves: BTreeMap<Drawer, Shelf>,
    snapshot: Option<JoinHandle<()>>,
    /// Since when the disk lags behind.
    unsynced: Option<Instant>,
}

impl Writer {
    /// Goes on at the end of the log that was read, or begins one.
    pub(super) fn new(
        directory: Directory,
        keeping: &Keeping,
        shelves: BTreeMap<Drawer, Shelf>,
        recovery: &Recovery,
        tail: Option<Tail>,
    ) -> Result<Self, KeepError> {
        let (path, log, length) = match tail {
            // A log that is not even begun is begun again.
            Some(Tail { path, length }) if length >= BEGINNING => {
                let mut log = OpenOptions::new().write(true).open(&path).map_err(|e| KeepError::io(&path, e))?;
                log.seek(SeekFrom::End(0)).map_err(|source| KeepError::io(&path, source))?;
                (path, log, length)
            }
            tail => {
                let next = directory.place(Kind::Log, recovery.revision + 1);
                let path = tail.map_or(next, |tail| tail.path);
                let log = Directory::create(&path).map_err(|source| KeepError::io(&path, source))?;
                (path, log, BEGINNING)
            }
        };
        directory.sync().map_err(|source| KeepError::io(&path, source))?;
        Ok(Self {
            directory: Arc::new(directory),
            promise: keeping.promise,
            snapshot_after: keeping.snapshot_after,
            log,
            path,
            length,
            revision: recovery.revision,
            shelves,
            snapshot: None,
            unsynced: None,
        })
    }

    /// The last revision that is in the log.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Takes the right to write to the log away, as a full disk would.
    #[cfg(test)]
    pub(super) fn unable_to_write(mut self) -> Self {
        self.log = File::open(&self.path).expect("it was just made");
        self
    }

    /// Writes what is handed over until nothing more comes.
    pub(super) fn run(mut self, desk: &Desk, progress: &watch::Sender<Progress>) {
        while let Some(writes) = self.wait(desk) {
            let kept = if writes.is_empty() { self.sync() } else { self.keep(&writes) };
            if let Err(error) = kept {
                let why = format!("cannot write {}: {error}; nothing is stored any more", self.path.display());
                tracing::error!(path = %self.path.display(), %error, "the log cannot be written: nothing is stored any more");
                let mut queue = desk.queue.lock().unwrap_or_else(PoisonError::into_inner);
                queue.failed = true;
                queue.writes.clear();
                drop(queue);
                progress.send_modify(|progress| progress.failed = Some(NotKept(why.into())));
                return;
            }
            progress.send_modify(|progress| progress.revision = self.revision);
            if self.length > self.snapshot_after && self.snapshot.as_ref().is_none_or(JoinHandle::is_finished) {
                self.begin_snapshot();
            }
        }
        if let Err(error) = self.sync() {
            tracing::warn!(path = %self.path.display(), %error, "the disk may not have the last writes");
        }
        if let Some(snapshot) = self.snapshot.take() {
            // A panic there was already reported by its thread.
            let _ = snapshot.join();
        }
    }

    /// The writes that came since, in order; none of them when it is time for the disk to have the last; `None` at the end.
    fn wait(&self, desk: &Desk) -> Option<Vec<Written>> {
        let mut queue = desk.queue.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let lag = self.unsynced.map(|since| since.elapsed());
            if lag.is_some_and(|lag| lag >= LAG) {
                // Others may write meanwhile.
                return Some(Vec::new());
            }
            if !queue.writes.is_empty() {
                return Some(std::mem::take(&mut queue.writes));
            }
            if queue.closed {
                return None;
            }
            queue = match lag {
                Some(lag) => desk.arrived.wait_timeout(queue, LAG - lag).unwrap_or_else(PoisonError::into_inner).0,
                None => desk.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn keep(&mut self, writes: &[Written]) -> io::Result<()> {
        let mut frame = Frame::new();
        for Written { drawer, entry, removed } in writes {
            frame.push(drawer, entry, *removed);
            if frame.len() > FRAME {
                self.append(std::mem::replace(&mut frame, Frame::new()))?;
            }
        }
        self.append(frame)?;
        match self.promise {
            Promise::Disk => self.log.sync_data()?,
            Promise::Process => drop(self.unsynced.get_or_insert_with(Instant::now)),
        }
        for Written { drawer, entry, removed } in writes {
            let shelf = self.shelves.entry(drawer.clone()).or_default();
            if *removed {
                shelf.remove(&entry.key.namespace, &entry.key.name);
            } else {
                shelf.insert(entry.clone());
            }
            self.revision = entry.revision;
        }
        Ok(())
    }

    fn append(&mut self, frame: Frame) -> io::Result<()> {
        if frame.is_empty() {
            return Ok(());
        }
        let bytes = frame.seal();
        self.log.write_all(&bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.unsynced = None;
        self.log.sync_data()
    }

    /// Begins a new log, and in the background a snapshot that makes the logs before it needless.
    fn begin_snapshot(&mut self) {
        match self.begin_log() {
            Ok(()) => {}
            // The old log goes on; most likely the disk is full, and the next write tells.
            Err(error) => return tracing::warn!(%error, "cannot begin a new log"),
        }
        let (directory, shelves, revision) = (self.directory.clone(), self.shelves.clone(), self.revision);
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            if let Err(error) = take_snapshot(&directory, &shelves, revision) {
                // The logs are still there; the next one tries again.
                tracing::warn!(%error, "cannot take a snapshot of the store");
            }
        });
        match thread {
            Ok(thread) => self.snapshot = Some(thread),
            Err(error) => tracing::warn!(%error, "cannot take a snapshot of the store"),
        }
    }

    fn begin_log(&mut self) -> io::Result<()> {
        // Only the last log may be torn.
        self.sync()?;
        let path = self.directory.place(Kind::Log, self.revision + 1);
        let log = Directory::create(&path)?;
        log.sync_all()?;
        self.directory.sync()?;
        (self.log, self.path, self.length) = (log, path, BEGINNING);
        Ok(())
    }
}

/// Writes all objects at a revision, then removes what came before.
fn take_snapshot(directory: &Directory, shelves: &BTreeMap<Drawer, Shelf>, revision: u64) -> Result<(), KeepError> {
    let place = directory.place(Kind::Snapshot, revision);
    let beside = place.with_extension("tmp");
    write_snapshot(&beside, shelves).map_err(|source| KeepError::io(&beside, source))?;
    let io = |source| KeepError::io(&place, source);
    std::fs::rename(&beside, &place).map_err(io)?;
    directory.sync().map_err(io)?;
    let logs = directory.list(Kind::Log)?.into_iter().filter(|(first, _)| *first <= revision);
    let snapshots = directory.list(Kind::Snapshot)?.into_iter().filter(|(taken, _)| *taken < revision);
    for (_, path) in logs.chain(snapshots) {
        std::fs::remove_file(&path).map_err(|source| KeepError::io(&path, source))?;
    }
    Ok(())
}

fn write_snapshot(path: &std::path::Path, shelves: &BTreeMap<Drawer, Shelf>) -> io::Result<()> {
    let mut file = BufWriter::new(Directory::create(path)?);
    let count: usize = shelves.values().map(Shelf::len).sum();
    file.write_all(&Frame::of_number(count as u64).seal())?;
    let mut frame = Frame::new();
    for (drawer, shelf) in shelves {
        for entry in shelf.iter() {
            frame.push(drawer, entry, false);
            if frame.len() > FRAME {
                file.write_all(&std::mem::replace(&mut frame, Frame::new()).seal())?;
            }
        }
    }
    if !frame.is_empty() {
        file.write_all(&frame.seal())?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}
