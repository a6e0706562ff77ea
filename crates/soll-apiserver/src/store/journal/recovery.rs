//! Reading a data directory back: the newest snapshot, then every write after it.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::files::{BEGINNING, Directory, Kind, has_beginning};
use super::record::{self, Next, Record};
use super::{KeepError, Recovery};
use crate::store::FIRST_REVISION;

/// Takes what is read.
pub(super) trait Reader {
    /// An object of the snapshot.
    fn object(&mut self, record: Record);
    /// The snapshot ended; it was taken at this revision.
    fn snapshot(&mut self, revision: u64);
    /// A write after the snapshot. False if it removes what is not there.
    fn write(&mut self, record: Record) -> bool;
}

/// A log that goes on.
pub(super) struct Tail {
    pub(super) path: PathBuf,
    pub(super) length: u64,
}

/// Reads everything, cuts a torn tail off, and says where the log goes on.
pub(super) fn read(directory: &Directory, reader: &mut impl Reader) -> Result<(Recovery, Option<Tail>), KeepError> {
    let mut recovery = Recovery { revision: FIRST_REVISION, objects: 0, writes: 0, cut: None };
    if let Some((revision, path)) = directory.list(Kind::Snapshot)?.pop() {
        recovery.objects = snapshot(&path, reader)?;
        recovery.revision = revision;
        reader.snapshot(revision);
    }
    let logs = directory.list(Kind::Log)?;
    let mut tail = None;
    for (index, (first, path)) in logs.iter().enumerate() {
        // Its name tells where it begins: what is before must be known.
        if *first > recovery.revision + 1 {
            return Err(KeepError::Damaged { path: path.clone(), at: 0 });
        }
        let is_last = index + 1 == logs.len();
        let length = log(path, is_last, reader, &mut recovery)?;
        tail = Some(Tail { path: path.clone(), length });
    }
    Ok((recovery, tail))
}

/// Reads a snapshot: it was renamed into its place when it was whole, so anything odd is damage.
fn snapshot(path: &Path, reader: &mut impl Reader) -> Result<usize, KeepError> {
    let io = |source| KeepError::io(path, source);
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let mut at = BEGINNING;
    let damaged = |at: u64| KeepError::Damaged { path: path.to_owned(), at };
    if !has_beginning(&mut file).map_err(io)? {
        return Err(damaged(0));
    }
    let Next::Frame(count) = record::next(&mut file).map_err(io)? else { return Err(damaged(at)) };
    let count = <[u8; 8]>::try_from(count).map(u64::from_le_bytes).map_err(|_| damaged(at))?;
    at = file.stream_position().map_err(io)?;
    let mut objects = 0;
    loop {
        match record::next(&mut file).map_err(io)? {
            Next::Frame(bytes) => {
                let records = record::decode(&bytes).map_err(|_| damaged(at))?;
                objects += records.len();
                records.into_iter().for_each(|record| reader.object(record));
                at = file.stream_position().map_err(io)?;
            }
            Next::End if objects as u64 == count => return Ok(objects),
            Next::End | Next::Torn => return Err(damaged(at)),
        }
    }
}

/// Reads one log. Only the last may end in the middle of a frame: that is where a process was killed.
fn log(path: &Path, is_last: bool, reader: &mut impl Reader, recovery: &mut Recovery) -> Result<u64, KeepError> {
    let io = |source| KeepError::io(path, source);
    let damaged = |at: u64| KeepError::Damaged { path: path.to_owned(), at };
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let mut at = 0;
    if has_beginning(&mut file).map_err(io)? {
        at = BEGINNING;
        loop {
            match record::next(&mut file).map_err(io)? {
                Next::Frame(bytes) => {
                    for record in record::decode(&bytes).map_err(|_| damaged(at))? {
                        // What the snapshot has already.
                        if record.revision <= recovery.revision {
                            continue;
                        }
                        // Every write has a revision, one after the other: none is missing.
                        let is_next = record.revision == recovery.revision + 1;
                        recovery.revision = record.revision;
                        recovery.writes += 1;
                        if !is_next || !reader.write(record) {
                            return Err(damaged(at));
                        }
                    }
                    at = file.stream_position().map_err(io)?;
                }
                Next::End => return Ok(at),
                Next::Torn => break,
            }
        }
    }
    if !is_last {
        return Err(damaged(at));
    }
    recovery.cut = Some(cut(path, at).map_err(io)?);
    Ok(at)
}

/// Takes the end of a log off, and keeps it beside for whoever wants to look. Returns how many bytes that were.
fn cut(path: &Path, at: u64) -> std::io::Result<u64> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    std::fs::write(path.with_extension("torn"), &rest)?;
    file.set_len(at)?;
    file.sync_all()?;
    Ok(rest.len() as u64)
}
