//! How writes stand in files: records, and frames of records that are whole or not there.

use std::io::{self, Read};

use soll_yaml::{Str, Value, parse_json, to_json};

use crate::store::{Entry, Key};

/// One write.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) revision: u64,
    pub(super) drawer: Str,
    pub(super) key: Key,
    /// What is stored since; nothing after a removal.
    pub(super) value: Option<Value>,
}

/// Bytes that are no record, though their checksum fits: another program wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record is not one of this version")]
pub(super) struct Foreign;

const PUT: u8 = 1;
const REMOVED: u8 = 2;

/// Adds a record: kind, revision, then drawer, namespace, name and JSON, each after its length.
pub(super) fn encode(out: &mut Vec<u8>, drawer: &str, entry: &Entry, removed: bool) {
    out.push(if removed { REMOVED } else { PUT });
    out.extend_from_slice(&entry.revision.to_le_bytes());
    let mut text = |text: &str| {
        let length = u32::try_from(text.len()).expect("bodies are limited to a few megabytes");
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    text(drawer);
    text(&entry.key.namespace);
    text(&entry.key.name);
    if !removed {
        text(&to_json(&entry.value));
    }
}

/// Reads the records of a frame.
pub(super) fn decode(mut bytes: &[u8]) -> Result<Vec<Record>, Foreign> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let [kind] = take(&mut bytes)?;
        let revision = u64::from_le_bytes(take(&mut bytes)?);
        let drawer = Str::from(text(&mut bytes)?);
        let key = Key::new(text(&mut bytes)?, text(&mut bytes)?);
        let value = match kind {
            PUT => Some(parse_json(text(&mut bytes)?.as_bytes()).map_err(|_| Foreign)?),
            REMOVED => None,
            _ => return Err(Foreign),
        };
        records.push(Record { revision, drawer, key, value });
    }
    Ok(records)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Foreign> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(Foreign)?;
    *bytes = rest;
    Ok(*taken)
}

fn text<'b>(bytes: &mut &'b [u8]) -> Result<&'b str, Foreign> {
    let length = u32::from_le_bytes(take(bytes)?) as usize;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Foreign)?;
    *bytes = rest;
    std::str::from_utf8(taken).map_err(|_| Foreign)
}

/// Length and checksum, which stand before the records.
const HEAD: usize = 8;
/// No frame is larger: batches are cut long before, and one object has a few megabytes.
const LARGEST: usize = 64 * 1024 * 1024;

/// Records on their way into a file.
pub(super) struct Frame(Vec<u8>);

impl Frame {
    pub(super) fn new() -> Self {
        Self(vec![0; HEAD])
    }

    /// A frame of a number alone: how many objects a snapshot has.
    pub(super) fn of_number(number: u64) -> Self {
        let mut frame = Self::new();
        frame.0.extend_from_slice(&number.to_le_bytes());
        frame
    }

    /// Says whether there is no record.
    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == HEAD
    }

    /// Adds a write.
    pub(super) fn push(&mut self, drawer: &str, entry: &Entry, removed: bool) {
        encode(&mut self.0, drawer, entry, removed);
    }

    /// Size of the whole.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes for the file.
    pub(super) fn seal(mut self) -> Vec<u8> {
        let (head, records) = self.0.split_at_mut(HEAD);
        let length = u32::try_from(records.len()).expect("frames are cut at a few megabytes");
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..].copy_from_slice(&crc32fast::hash(records).to_le_bytes());
        self.0
    }
}

/// What comes next in a file.
pub(super) enum Next {
    /// A whole frame.
    Frame(Vec<u8>),
    /// Nothing: the file ends here.
    End,
    /// Bytes that are no whole frame.
    Torn,
}

/// Reads the next frame.
pub(super) fn next(file: &mut impl Read) -> io::Result<Next> {
    let mut head = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut head)?;
    let Ok(head) = <[u8; HEAD]>::try_from(head.as_slice()) else {
        return Ok(if head.is_empty() { Next::End } else { Next::Torn });
    };
    let [a, b, c, d, checksum @ ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length == 0 || length > LARGEST {
        return Ok(Next::Torn);
    }
    let mut records = Vec::new();
    file.take(length as u64).read_to_end(&mut records)?;
    let is_whole = records.len() == length && crc32fast::hash(&records) == u32::from_le_bytes(checksum);
    Ok(if is_whole { Next::Frame(records) } else { Next::Torn })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn entry(name: &str, revision: u64) -> Entry {
        Entry::new(Key::new("ns", name), parse_json(br#"{"a":[1,"\u00fc",null]}"#).unwrap(), revision)
    }

    fn frame() -> Vec<u8> {
        let mut frame = Frame::new();
        frame.push("/pods", &entry("x", 7), false);
        frame.push("apps/deployments", &entry("y", 8), true);
        frame.seal()
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let bytes = frame();
        let Next::Frame(records) = next(&mut bytes.as_slice()).unwrap() else { panic!("the frame is whole") };
        let records = decode(&records).unwrap();
        assert_eq!(records.iter().map(|record| record.revision).collect::<Vec<_>>(), [7, 8]);
        assert_eq!((records[0].drawer.as_str(), &records[0].key), ("/pods", &Key::new("ns", "x")));
        assert_eq!(records[0].value.as_ref(), Some(&entry("x", 7).value));
        assert!(records[1].value.is_none());
    }

    #[test]
    fn a_frame_is_whole_or_torn_wherever_it_is_cut_and_whatever_bit_is_flipped() {
        let bytes = frame();
        for end in 1..bytes.len() {
            assert!(matches!(next(&mut &bytes[..end]).unwrap(), Next::Torn), "cut at {end}");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[place] ^= 1 << bit;
                assert!(matches!(next(&mut damaged.as_slice()).unwrap(), Next::Torn), "bit {bit} of byte {place}");
            }
        }
        assert!(matches!(next(&mut &[][..]).unwrap(), Next::End));
    }

    #[test]
    fn records_of_others_are_refused() {
        assert_eq!(decode(&[9]).unwrap_err(), Foreign);
        let mut bytes = Vec::new();
        encode(&mut bytes, "/pods", &entry("x", 7), false);
        for end in 1..bytes.len() {
            assert_eq!(decode(&bytes[..end]).unwrap_err(), Foreign, "cut at {end}");
        }
    }
}
