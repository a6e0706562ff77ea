//! What a pack would cost to take in, found out before that is tried.
//!
//! gix reads each object's compressed bytes into memory, and while it resolves deltas it keeps every object that others
//! are built upon until the last of them is done. Both are up to whoever made the pack, so that one pass over it, which
//! keeps nothing but sizes, comes before.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::atomic::AtomicBool;

use gix::ObjectId;
use gix::odb::pack::data;
use gix::odb::pack::data::entry::Header;
use gix::zlib::Decompress;
use gix::zlib::stream::inflate;
use soll_tree::Limits;

use super::GitError;
use super::snapshot::wanted;

/// What a pack is like that may be taken in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// It has deltas upon objects that are here and not in it.
    pub(super) thin: bool,
}

/// Reads a pack once and refuses what would pass a limit.
///
/// `is_here` says whether an object is here already.
pub(super) fn survey(
    url: &str,
    pack: impl BufRead,
    limits: &Limits,
    is_here: impl Fn(&ObjectId) -> bool,
    stop: &AtomicBool,
) -> Result<Survey, GitError> {
    let mut surveyor = Surveyor {
        url,
        pack,
        limits,
        inflate: Decompress::new(),
        buffer: vec![0; BUFFER],
        objects: Vec::new(),
        foundations: Vec::new(),
        by_id: HashMap::new(),
    };
    let mut header = [0; data::header::SIZE];
    surveyor.pack.read_exact(&mut header).map_err(|error| damaged(url, &error))?;
    let (_, count) = data::header::decode(&header).map_err(|error| damaged(url, &error))?;
    let mut offset = data::header::SIZE as u64;
    for _ in 0..count {
        wanted(stop)?;
        offset = surveyor.object(offset, &is_here)?;
    }
    let held = surveyor.held();
    if held > limits.delta_bytes {
        let limit = format!(
            "objects of the pack are built upon others of {held} bytes that must be in memory at once; {} are allowed",
            limits.delta_bytes
        );
        return Err(GitError::Limit { url: url.to_owned(), limit });
    }
    Ok(Survey { thin: surveyor.foundations.iter().any(|foundation| !foundation.inside) })
}

const BUFFER: usize = 64 * 1024;

struct Surveyor<'a, R> {
    url: &'a str,
    pack: R,
    limits: &'a Limits,
    inflate: Decompress,
    buffer: Vec<u8>,
    /// In the order of the pack: what an object is built upon by its place comes before it.
    objects: Vec<Object>,
    foundations: Vec<Foundation>,
    by_id: HashMap<ObjectId, usize>,
}

/// An object of the pack.
struct Object {
    offset: u64,
    /// As it is when it is resolved.
    size: u64,
    upon: Upon,
    /// How many are built upon it by its place.
    children: usize,
}

/// What an object is built upon.
#[derive(Clone, Copy)]
enum Upon {
    Nothing,
    Object(usize),
    Foundation(usize),
}

/// What others name by its id to be built upon it.
struct Foundation {
    size: u64,
    children: usize,
    /// It is in the pack, but nobody knows where before all is resolved.
    inside: bool,
}

impl<R: BufRead> Surveyor<'_, R> {
    /// Reads one object and returns where the next one begins.
    fn object(&mut self, offset: u64, is_here: impl Fn(&ObjectId) -> bool) -> Result<u64, GitError> {
        let url = self.url;
        let hash = gix::hash::Kind::Sha1;
        let entry = data::Entry::from_read(&mut self.pack, offset, hash.len_in_bytes());
        let entry = entry.map_err(|error| damaged(url, &error))?;
        let declared = entry.decompressed_size;
        if declared > self.limits.file_bytes {
            return Err(self.too_large(entry.header, declared));
        }
        let mut start = Vec::new();
        let kept = if entry.header.is_delta() { DELTA_HEADER } else { 0 };
        let compressed = self.inflate(declared, |bytes| {
            let room = kept - start.len();
            start.extend_from_slice(&bytes[..bytes.len().min(room)]);
        })?;
        let (size, upon) = match entry.header {
            Header::Commit | Header::Tree | Header::Blob | Header::Tag => (declared, Upon::Nothing),
            Header::OfsDelta { base_distance } => {
                let (_, size) = self.delta_sizes(&start)?;
                let base = Header::verified_base_pack_offset(offset, base_distance);
                let base = base.and_then(|base| self.objects.binary_search_by_key(&base, |object| object.offset).ok());
                let base = base.ok_or_else(|| damaged(url, &"an object is built upon nothing"))?;
                self.objects[base].children += 1;
                (size, Upon::Object(base))
            }
            Header::RefDelta { base_id } => {
                let (base_size, size) = self.delta_sizes(&start)?;
                let place = *self.by_id.entry(base_id).or_insert_with(|| {
                    self.foundations.push(Foundation { size: 0, children: 0, inside: !is_here(&base_id) });
                    self.foundations.len() - 1
                });
                let foundation = &mut self.foundations[place];
                foundation.size = foundation.size.max(base_size);
                foundation.children += 1;
                (size, Upon::Foundation(place))
            }
        };
        if size > self.limits.file_bytes {
            return Err(self.too_large(entry.header, size));
        }
        self.objects.push(Object { offset, size, upon, children: 0 });
        Ok(offset + entry.header_size() as u64 + compressed)
    }

    /// Reads the data of one object and returns how long it is in the pack.
    fn inflate(&mut self, declared: u64, mut each: impl FnMut(&[u8])) -> Result<u64, GitError> {
        // Blocks without content make data of any length from nothing.
        let longest = declared.saturating_add(declared / 8).saturating_add(BUFFER as u64);
        self.inflate.reset();
        loop {
            let read = inflate::read(&mut self.pack, &mut self.inflate, &mut self.buffer);
            let read = read.map_err(|error| damaged(self.url, &error))?;
            each(&self.buffer[..read]);
            if self.inflate.total_out() > declared || self.inflate.total_in() > longest {
                return Err(damaged(self.url, &"an object is longer than it says"));
            }
            if read < self.buffer.len() {
                break;
            }
        }
        if self.inflate.total_out() < declared {
            return Err(damaged(self.url, &"an object is shorter than it says"));
        }
        Ok(self.inflate.total_in())
    }

    fn delta_sizes(&self, start: &[u8]) -> Result<(u64, u64), GitError> {
        let sizes = delta_size(start).and_then(|(base, rest)| Some((base, delta_size(rest)?.0)));
        sizes.ok_or_else(|| damaged(self.url, &"a delta does not say how large it makes things"))
    }

    /// What at most has to be in memory while deltas are resolved: along the way down to some object, all that more than
    /// one is built upon.
    fn held(&self) -> u64 {
        // What is named by its id and in the pack may come below anything: as if all of it were one below the other.
        let mut inside = vec![0; self.foundations.len()];
        let mut largest = 0;
        let mut held: Vec<(u64, Option<usize>)> = Vec::with_capacity(self.objects.len());
        for object in &self.objects {
            let (bytes, below) = match object.upon {
                Upon::Nothing => (0, None),
                Upon::Object(base) => {
                    let (bytes, below) = held[base];
                    let base = &self.objects[base];
                    (if base.children > 1 { bytes.saturating_add(base.size) } else { bytes }, below)
                }
                Upon::Foundation(place) => match &self.foundations[place] {
                    Foundation { size, inside: true, .. } => (*size, Some(place)),
                    Foundation { size, children, .. } => (if *children > 1 { *size } else { 0 }, None),
                },
            };
            let most = below.map_or(&mut largest, |place| &mut inside[place]);
            *most = bytes.max(*most);
            held.push((bytes, below));
        }
        inside.into_iter().fold(largest, u64::saturating_add)
    }

    /// The refusal of an object whose data comes next.
    fn too_large(&mut self, header: Header, size: u64) -> GitError {
        let limit = self.limits.file_bytes;
        let named = header.as_kind().filter(|_| size <= self.limits.transfer_bytes).and_then(|kind| {
            let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
            hasher.update(&gix::objs::encode::loose_header(kind, size));
            self.inflate(size, |bytes| hasher.update(bytes)).ok()?;
            let id = hasher.try_finalize().ok()?;
            Some(format!(
                "the {kind} {id} has {size} bytes; a single file may have {limit}; `git ls-tree -r` tells its path"
            ))
        });
        let limit =
            named.unwrap_or_else(|| format!("an object of the pack has {size} bytes; a single file may have {limit}"));
        GitError::Limit { url: self.url.to_owned(), limit }
    }
}

/// Two numbers of ten bytes at most.
const DELTA_HEADER: usize = 20;

/// The first number of a delta, and what follows it.
fn delta_size(delta: &[u8]) -> Option<(u64, &[u8])> {
    let mut size = 0;
    for (index, byte) in delta.iter().enumerate() {
        let bits = u64::from(byte & 0x7f);
        size |= bits.checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((size, &delta[index + 1..]));
        }
    }
    None
}

fn damaged(url: &str, why: &dyn std::fmt::Display) -> GitError {
    GitError::protocol(url, format!("the pack is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;

    /// A pack under construction. Its sum is left out: nobody looks at it here.
    struct Draft {
        bytes: Vec<u8>,
        count: u32,
    }

    impl Draft {
        fn new() -> Self {
            Self { bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(), count: 0 }
        }

        /// Adds an object and returns where it is.
        fn add(&mut self, header: Header, content: &[u8]) -> u64 {
            self.add_as(header, content.len() as u64, content)
        }

        fn add_as(&mut self, header: Header, declared: u64, content: &[u8]) -> u64 {
            let at = self.bytes.len() as u64;
            header.write_to(declared, &mut self.bytes).unwrap();
            let mut deflate =
                gix::zlib::stream::deflate::Write::new(&mut self.bytes, gix::zlib::Compression::BEST_SPEED);
            deflate.write_all(content).unwrap();
            deflate.flush().unwrap();
            drop(deflate);
            self.count += 1;
            at
        }

        /// Adds what is built upon an object at a place: a copy of it, or of its first byte.
        fn upon(&mut self, base: u64, base_size: u64, size: u64) -> u64 {
            let base_distance = self.bytes.len() as u64 - base;
            self.add(Header::OfsDelta { base_distance }, &delta(base_size, size))
        }

        fn survey(&self, limits: &Limits) -> Result<Survey, GitError> {
            self.survey_with(limits, &[])
        }

        fn survey_with(&self, limits: &Limits, here: &[ObjectId]) -> Result<Survey, GitError> {
            let mut bytes = self.bytes.clone();
            bytes[8..12].copy_from_slice(&self.count.to_be_bytes());
            survey("url", bytes.as_slice(), limits, |id| here.contains(id), &AtomicBool::new(false))
        }
    }

    fn delta(base_size: u64, size: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for mut number in [base_size, size] {
            while number > 0x7f {
                bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
                number >>= 7;
            }
            bytes.push(u8::try_from(number).unwrap());
        }
        bytes
    }

    fn limit(result: Result<Survey, GitError>) -> String {
        match result {
            Err(GitError::Limit { limit, .. }) => limit,
            other => panic!("{other:?}"),
        }
    }

    const SMALL: Limits = Limits {
        entries: 10,
        total_bytes: 10_000,
        file_bytes: 1000,
        depth: 10,
        path_bytes: 100,
        transfer_bytes: 10_000,
        objects: 1000,
        delta_bytes: 5000,
    };

    #[test]
    fn what_several_are_built_upon_adds_up_along_a_chain() {
        let chain = |links: usize, leaves: bool| {
            let mut pack = Draft::new();
            let mut at = pack.add(Header::Blob, &[b'x'; 1000]);
            for _ in 0..links {
                if leaves {
                    pack.upon(at, 1000, 1);
                }
                at = pack.upon(at, 1000, 1000);
            }
            pack
        };
        assert_eq!(chain(100, false).survey(&SMALL), Ok(Survey { thin: false }), "each is gone when the next is made");
        assert_eq!(chain(5, true).survey(&SMALL), Ok(Survey { thin: false }));
        assert!(limit(chain(6, true).survey(&SMALL)).contains("6000 bytes that must be in memory at once; 5000"));
    }

    #[test]
    fn many_upon_one_hold_it_once() {
        let mut pack = Draft::new();
        let base = pack.add(Header::Blob, &[b'x'; 1000]);
        for _ in 0..50 {
            pack.upon(base, 1000, 1000);
        }
        assert_eq!(pack.survey(&SMALL), Ok(Survey { thin: false }));
    }

    #[test]
    fn bases_by_id_count_whether_they_are_here_or_in_the_pack() {
        let ids: Vec<ObjectId> = (0..6).map(|n| ObjectId::from_bytes_or_panic(&[n; 20])).collect();
        let mut pack = Draft::new();
        for id in &ids {
            pack.add(Header::RefDelta { base_id: *id }, &delta(1000, 10));
            pack.add(Header::RefDelta { base_id: *id }, &delta(1000, 10));
        }
        assert_eq!(pack.survey_with(&SMALL, &ids), Ok(Survey { thin: true }), "one after the other");
        assert!(limit(pack.survey(&SMALL)).contains("6000"), "perhaps one upon the other");
    }

    #[test]
    fn an_object_that_is_too_large_is_named() {
        let content = [b'x'; 1001];
        let mut pack = Draft::new();
        pack.add(Header::Blob, &content);
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, gix::objs::Kind::Blob, &content).unwrap();
        let refusal = limit(pack.survey(&SMALL));
        assert!(
            refusal.starts_with(&format!("the blob {id} has 1001 bytes; a single file may have 1000")),
            "{refusal}"
        );

        let mut pack = Draft::new();
        let base = pack.add(Header::Blob, b"x");
        pack.upon(base, 1, 1001);
        assert!(limit(pack.survey(&SMALL)).starts_with("an object of the pack has 1001 bytes"));
        let mut pack = Draft::new();
        pack.add_as(Header::Blob, u64::MAX, b"x");
        assert!(limit(pack.survey(&SMALL)).starts_with("an object of the pack has 18446744073709551615 bytes"));
    }

    #[test]
    fn lies_about_lengths_are_damage() {
        for (declared, content) in [(2, &b"x"[..]), (1, b"xx"), (1, &[b'x'; 200_000])] {
            let mut pack = Draft::new();
            pack.add_as(Header::Blob, declared, content);
            let error = pack.survey(&SMALL).unwrap_err();
            assert!(error.to_string().contains("than it says"), "{error}");
        }
        let mut pack = Draft::new();
        pack.add(Header::OfsDelta { base_distance: 3 }, &delta(1, 1));
        assert!(pack.survey(&SMALL).unwrap_err().to_string().contains("built upon nothing"));
        let mut pack = Draft::new();
        let base = pack.add(Header::Blob, b"x");
        let base_distance = pack.bytes.len() as u64 - base;
        pack.add(Header::OfsDelta { base_distance }, &[0xff; 30]);
        assert!(pack.survey(&SMALL).unwrap_err().to_string().contains("how large"));
    }

    #[test]
    fn data_without_content_does_not_go_on() {
        let mut pack = Draft::new();
        pack.add_as(Header::Blob, 1, b"");
        // A stream's head, and blocks of nothing.
        pack.bytes.truncate(13);
        pack.bytes.extend_from_slice(&[0x78, 0x01]);
        pack.bytes.extend([0, 0, 0, 0xff, 0xff].repeat(100_000));
        pack.bytes.extend_from_slice(&[1, 1, 0, 0xfe, 0xff, b'x', 0, 0x79, 0, 0x79]);
        let error = pack.survey(&SMALL).unwrap_err();
        assert!(error.to_string().contains("longer than it says"), "{error}");
    }
}
