//! Artifacts: trees as reproducible tar.gz, and back.

use std::io::{self, Read, Write};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};

use crate::{
    ContentId, Entry, FileEntry, FileTree as _, LimitError, Limits, MemoryBlobs, PathError, ReadError, Tally, Tree,
    TreeBuilder, TreeError, TreePath,
};

/// An archive that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A name that leads out of the tree.
    #[error("the archive has a bad name: {0}")]
    Name(#[from] PathError),
    /// A name that consumers refuse.
    #[error("`{0}` has a backslash in its name, which artifacts must not have: rename or ignore it")]
    Backslash(String),
    /// Not UTF-8.
    #[error("the archive has a name that is not UTF-8: {0}")]
    NotUtf8(String),
    /// A symbolic or hard link, where they are refused.
    #[error("`{0}` is a link; archives with links are refused")]
    Link(String),
    /// A device, a pipe, a sparse file.
    #[error("`{path}` is a tar entry of type {kind:?}; only files and directories are taken")]
    Special {
        /// Its name.
        path: String,
        /// The type byte as tar has it.
        kind: char,
    },
    /// Too large.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Clashing entries.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file of the tree cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The bytes are no tar.gz, or the disk failed.
    #[error("cannot read or write the archive: {0}")]
    Io(#[from] io::Error),
}

/// What to do with symbolic and hard links in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Leave them out.
    Skip,
    /// Refuse the archive.
    Refuse,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// SHA-256 of the compressed bytes.
    pub sha256: [u8; 32],
    /// Compressed bytes.
    pub size: u64,
}

/// Writes a tree as tar.gz. The same tree gives the same bytes.
///
/// The root is the entry `.`; then depth first, by name. Owner 0, times 0; modes 0750 for directories, 0600 for
/// files, 0700 for those with an executable bit: the form of Flux's artifacts.
///
/// # Errors
/// If a file cannot be read, a name is refused by consumers, or `out` fails.
pub fn write_archive(tree: &Tree, out: impl Write) -> Result<Written, ArchiveError> {
    let gzip: GzEncoder<Counted<_>> = GzBuilder::new().mtime(0).write(Counted::new(out), Compression::default());
    let mut tar = tar::Builder::new(gzip);
    tar.append_data(&mut header(tar::EntryType::Directory, 0o750, 0), ".", io::empty())?;
    for (path, entry) in tree.walk() {
        if path.as_str().contains('\\') {
            return Err(ArchiveError::Backslash(path.to_string()));
        }
        match entry {
            Entry::Directory => {
                tar.append_data(&mut header(tar::EntryType::Directory, 0o750, 0), path.as_str(), io::empty())?;
            }
            Entry::File(file) => {
                let bytes = tree.read(&path)?;
                let mode = if file.executable { 0o700 } else { 0o600 };
                let mut header = header(tar::EntryType::Regular, mode, bytes.len() as u64);
                tar.append_data(&mut header, path.as_str(), bytes.as_ref())?;
            }
        }
    }
    tar.into_inner()?.finish()?.finish()
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header
}

/// Counts and digests what passes through.
struct Counted<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Counted<W> {
    fn new(out: W) -> Self {
        Self { out, hash: Sha256::new(), size: 0 }
    }

    fn finish(mut self) -> Result<Written, ArchiveError> {
        self.out.flush()?;
        Ok(Written { sha256: self.hash.finalize().into(), size: self.size })
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads a tar.gz into a tree in memory.
///
/// Never writes a file, so an entry cannot reach outside; names that try are errors all the same, because other
/// consumers of the same archive may be less careful.
///
/// # Errors
/// If the bytes are no tar.gz, an entry is refused, or a limit is passed.
pub fn read_archive(bytes: impl Read, limits: &Limits, links: Links) -> Result<Tree, ArchiveError> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(bytes));
    let mut tally = Tally::new(limits);
    let mut blobs = MemoryBlobs::default();
    let mut builder = TreeBuilder::default();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = checked_name(&entry.path_bytes())?;
        tally.entry(&path)?;
        match entry.header().entry_type() {
            tar::EntryType::Directory => builder.insert_directory(&path)?,
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                tally.bytes(&path, entry.size())?;
                let executable = entry.header().mode()? & 0o111 != 0;
                let (id, size) = take(&mut entry, &mut blobs)?;
                builder.insert_file(&path, FileEntry { id, size, executable })?;
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                if links == Links::Refuse {
                    return Err(ArchiveError::Link(path.to_string()));
                }
            }
            // `git archive` writes one, with the commit.
            tar::EntryType::XGlobalHeader => {}
            other => {
                return Err(ArchiveError::Special { path: path.to_string(), kind: char::from(other.as_byte()) });
            }
        }
    }
    // What follows the last entry is padding; reading it shows whether the compressed bytes are whole.
    io::copy(&mut archive.into_inner().take(PADDING), &mut io::sink())?;
    Ok(builder.build(Arc::new(blobs)))
}

/// More than any tar program pads with.
const PADDING: u64 = 1 << 20;

fn take(entry: &mut impl Read, blobs: &mut MemoryBlobs) -> io::Result<(ContentId, u64)> {
    let mut bytes = Vec::new();
    // The size in the header was checked, and the reader gives no more than it says.
    entry.read_to_end(&mut bytes)?;
    let size = bytes.len() as u64;
    Ok((blobs.keep(bytes), size))
}

fn checked_name(name: &[u8]) -> Result<TreePath, ArchiveError> {
    let name =
        std::str::from_utf8(name).map_err(|_| ArchiveError::NotUtf8(String::from_utf8_lossy(name).into_owned()))?;
    if name.contains('\\') {
        return Err(ArchiveError::Backslash(name.to_owned()));
    }
    if name.split('/').any(|part| part == "..") {
        return Err(PathError::Escapes(name.to_owned()).into());
    }
    Ok(name.parse()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn archive_of(entries: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (name, kind, bytes) in entries {
            let mut header = header(*kind, 0o644, bytes.len() as u64);
            // The library would refuse bad names; a hostile writer does not.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            if kind.is_symlink() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Tree, ArchiveError> {
        read_archive(bytes, &Limits::default(), Links::Refuse)
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    #[test]
    fn the_same_tree_gives_the_same_bytes_and_reads_back() {
        let long = format!("{}/file", ["directory-with-a-long-name"; 12].join("/"));
        let tree = Tree::in_memory([("b/x", "1"), ("a", ""), (long.as_str(), "deep")]).unwrap();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let written = write_archive(&tree, &mut first).unwrap();
        write_archive(&tree.clone(), &mut second).unwrap();
        assert_eq!(first, second);
        assert_eq!(written.size, first.len() as u64);
        assert_eq!(ContentId::Sha256(written.sha256), ContentId::of(&first));
        assert_eq!(read(&first).unwrap(), tree);
    }

    #[test]
    fn entries_have_the_form_of_flux() {
        let mut builder = TreeBuilder::default();
        let mut blobs = MemoryBlobs::default();
        let id = blobs.keep(b"#!".to_vec());
        builder.insert_file(&"bin/run".parse().unwrap(), FileEntry { id, size: 2, executable: true }).unwrap();
        builder.insert_file(&"doc".parse().unwrap(), FileEntry { id, size: 2, executable: false }).unwrap();
        builder.insert_directory(&"empty".parse().unwrap()).unwrap();
        let mut bytes = Vec::new();
        write_archive(&builder.build(Arc::new(blobs)), &mut bytes).unwrap();
        let mut archive = tar::Archive::new(MultiGzDecoder::new(bytes.as_slice()));
        let listed: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let header = entry.header();
                assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
                format!("{:o} {}", header.mode().unwrap(), String::from_utf8_lossy(&entry.path_bytes()))
            })
            .collect();
        assert_eq!(listed, ["750 .", "750 bin", "700 bin/run", "600 doc", "750 empty"]);
    }

    #[test]
    fn hostile_names_are_refused() {
        let refusal = |name| read(&archive_of(&[(name, FILE, b"x")])).unwrap_err().to_string();
        assert!(refusal("/etc/passwd").contains("absolute"));
        assert!(refusal("a/../../x").contains("out of the source"));
        assert!(refusal("a/../x").contains("out of the source"));
        assert!(refusal("a\\..\\x").contains("backslash"));
    }

    #[test]
    fn links_are_skipped_or_refused_as_asked() {
        let bytes = archive_of(&[("f", FILE, b"x"), ("link", tar::EntryType::Symlink, b"")]);
        assert!(matches!(read(&bytes), Err(ArchiveError::Link(name)) if name == "link"));
        let tree = read_archive(bytes.as_slice(), &Limits::default(), Links::Skip).unwrap();
        assert_eq!(tree, Tree::in_memory([("f", "x")]).unwrap());
        let fifo = archive_of(&[("pipe", tar::EntryType::Fifo, b"")]);
        assert!(matches!(read(&fifo), Err(ArchiveError::Special { kind: '6', .. })));
    }

    #[test]
    fn each_limit_says_its_name() {
        let bytes = archive_of(&[("a/b/c", FILE, b"12345"), ("d", FILE, b"123")]);
        let refusal = |limits: Limits| read_archive(bytes.as_slice(), &limits, Links::Refuse).unwrap_err().to_string();
        let limits = Limits::default();
        assert_eq!(refusal(Limits { entries: 1, ..limits }), "the source has more than 1 files and directories");
        assert_eq!(refusal(Limits { file_bytes: 4, ..limits }), "`a/b/c` has 5 bytes; a single file may have 4");
        assert_eq!(refusal(Limits { depth: 2, ..limits }), "`a/b/c` is more than 2 directories deep");
        let total = refusal(Limits { total_bytes: 6, ..limits });
        assert_eq!(total, "the files of the source are larger than 6 bytes together; at `d` the limit was passed");
        let long = refusal(Limits { path_bytes: 3, ..limits });
        assert_eq!(long, "the path that starts with `a/b/c` is longer than 3 bytes");
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        assert!(matches!(read(b"not gzip"), Err(ArchiveError::Io(_))));
        let whole = archive_of(&[("f", FILE, b"some content of the file")]);
        assert!(read(&whole[..whole.len() - 12]).is_err());
    }
}
