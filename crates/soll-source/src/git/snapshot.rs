//! From a commit to its tree.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gix::ObjectId;
use gix::objs::tree::EntryKind;
use gix::objs::{Find as _, FindExt as _, FindHeader as _};
use soll_tree::{Blobs, ContentId, FileEntry, Limits, Tally, Tree, TreeBuilder, TreePath};

use super::cache::Generation;
use super::{CommitId, GitError};

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The first line of the message.
    pub subject: String,
    /// `Name <email>`.
    pub author: String,
    /// When it was committed, in seconds since 1970.
    pub time: i64,
}

/// File contents in an object database.
pub(super) struct OdbBlobs {
    /// Guards caches of the reader, not data.
    reader: Mutex<gix::odb::Handle>,
    /// Keeps the files alive; none for a repository of somebody else.
    cache: Option<Arc<Generation>>,
}

impl OdbBlobs {
    pub(super) fn new(reader: gix::odb::Handle, cache: Option<Arc<Generation>>) -> Self {
        Self { reader: Mutex::new(reader), cache }
    }

    /// What is wrong here would be wrong again: the next fetch brings all anew.
    fn damaged(&self, why: String) -> String {
        if let Some(cache) = &self.cache {
            cache.note_damage();
        }
        why
    }
}

impl Blobs for OdbBlobs {
    fn read(&self, id: &ContentId) -> Result<Arc<[u8]>, String> {
        let ContentId::GitSha1(bytes) = id else { return Err(format!("content {id} is not in this repository")) };
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = Vec::new();
        match reader.try_find(&ObjectId::from(*bytes), &mut buffer) {
            Ok(Some(object)) => Ok(object.data.into()),
            Ok(None) => Err(self.damaged(format!("blob {} is not in the repository any more", hex::encode(bytes)))),
            Err(error) => Err(self.damaged(error.to_string())),
        }
    }
}

/// Follows annotated tags to the commit.
pub(super) fn peel(odb: &gix::odb::Handle, url: &str, id: ObjectId) -> Result<CommitId, GitError> {
    const MAX_TAGS: usize = 10;
    let mut id = id;
    let mut buffer = Vec::new();
    for _ in 0..MAX_TAGS {
        let object = find(odb, url, id, &mut buffer)?;
        match object.kind {
            gix::objs::Kind::Commit => return Ok(CommitId(id)),
            gix::objs::Kind::Tag => {
                let tag = odb.find_tag(&id, &mut buffer).map_err(|error| GitError::protocol(url, error.to_string()))?;
                id = tag.target();
            }
            kind => return Err(GitError::protocol(url, format!("{id} is a {kind}, not a commit"))),
        }
    }
    Err(GitError::protocol(url, format!("more than {MAX_TAGS} tags lead from one to the next")))
}

pub(super) fn commit(odb: &gix::odb::Handle, url: &str, id: CommitId) -> Result<Commit, GitError> {
    let mut buffer = Vec::new();
    let commit = odb.find_commit(&id.0, &mut buffer).map_err(|error| GitError::protocol(url, error.to_string()))?;
    let author = commit.author().map(|author| author.trim());
    let author = author.map(|author| format!("{} <{}>", author.name, author.email)).unwrap_or_default();
    let subject = String::from_utf8_lossy(commit.message.as_ref()).lines().next().unwrap_or_default().to_owned();
    let time = commit.time().map_or(0, |time| time.seconds);
    Ok(Commit { subject, author, time })
}

/// The tree of a commit: files and directories, symbolic links left out, submodules as empty directories.
///
/// Ends soon after `stop` is raised, with an error that nobody waits for.
pub(super) fn tree(
    odb: &gix::odb::Handle,
    url: &str,
    id: CommitId,
    limits: &Limits,
    blobs: Arc<dyn Blobs>,
    stop: &AtomicBool,
) -> Result<Tree, GitError> {
    let mut buffer = Vec::new();
    let commit = odb.find_commit(&id.0, &mut buffer).map_err(|error| GitError::protocol(url, error.to_string()))?;
    let mut walk = Walk { odb, url, tally: Tally::new(limits), builder: TreeBuilder::default(), stop };
    let mut open = vec![(TreePath::root(), commit.tree())];
    while let Some((path, id)) = open.pop() {
        walk.directory(&path, id, &mut open)?;
    }
    Ok(walk.builder.build(blobs))
}

struct Walk<'a> {
    odb: &'a gix::odb::Handle,
    url: &'a str,
    tally: Tally<'a>,
    builder: TreeBuilder,
    stop: &'a AtomicBool,
}

impl Walk<'_> {
    /// Entries are read one by one, so that the tally can stop in the middle of a large directory.
    fn directory(&mut self, at: &TreePath, id: ObjectId, open: &mut Vec<(TreePath, ObjectId)>) -> Result<(), GitError> {
        wanted(self.stop)?;
        let mut buffer = Vec::new();
        let tree = self.odb.find_tree_iter(&id, &mut buffer).map_err(|error| self.wrong(error.to_string()))?;
        for entry in tree {
            let entry = entry.map_err(|error| self.wrong(format!("directory `{at}`: {error}")))?;
            let path = self.path(at, entry.filename.as_ref())?;
            // What is left out counts too: reading it costs as much.
            self.tally.entry(&path).map_err(|limit| GitError::limit(self.url, &limit))?;
            let file = |executable| (entry.oid.to_owned(), executable);
            let (blob, executable) = match entry.mode.kind() {
                EntryKind::Link => continue,
                kind @ (EntryKind::Tree | EntryKind::Commit) => {
                    self.builder.insert_directory(&path).map_err(|error| GitError::tree(self.url, &error))?;
                    if kind == EntryKind::Tree {
                        open.push((path, entry.oid.to_owned()));
                    }
                    continue;
                }
                EntryKind::Blob => file(false),
                EntryKind::BlobExecutable => file(true),
            };
            self.file(&path, blob, executable)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &TreePath, id: ObjectId, executable: bool) -> Result<(), GitError> {
        wanted(self.stop)?;
        let header = self.odb.try_header(&id).map_err(|error| self.wrong(error.to_string()))?;
        let header = header.ok_or_else(|| self.wrong(format!("the content of `{path}` is missing")))?;
        if header.kind != gix::objs::Kind::Blob {
            return Err(self.wrong(format!("`{path}` is a {}, not a file", header.kind)));
        }
        self.tally.bytes(path, header.size).map_err(|limit| GitError::limit(self.url, &limit))?;
        let id: [u8; 20] = id.as_slice().try_into().map_err(|_| self.wrong("an object id that is not SHA-1"))?;
        let entry = FileEntry { id: ContentId::GitSha1(id), size: header.size, executable };
        self.builder.insert_file(path, entry).map_err(|error| GitError::tree(self.url, &error))
    }

    /// Names that git itself would not check out are refused, whatever they are used for.
    fn path(&self, at: &TreePath, name: &[u8]) -> Result<TreePath, GitError> {
        let shown = || String::from_utf8_lossy(name).into_owned();
        let text = std::str::from_utf8(name).map_err(|_| self.wrong(format!("the name `{}` is not UTF-8", shown())))?;
        if text.eq_ignore_ascii_case(".git") {
            return Err(self.wrong(format!("an entry `{text}` in `{at}`, which no commit may have")));
        }
        at.child(text).map_err(|error| self.wrong(format!("a bad name in `{at}`: {error}")))
    }

    fn wrong(&self, why: impl Into<String>) -> GitError {
        GitError::protocol(self.url, why)
    }
}

/// An error once nobody waits for the work any more.
pub(super) fn wanted(stop: &AtomicBool) -> Result<(), GitError> {
    if stop.load(Ordering::Relaxed) { Err(GitError::storage("the work was given up")) } else { Ok(()) }
}

fn find<'b>(
    odb: &gix::odb::Handle,
    url: &str,
    id: ObjectId,
    buffer: &'b mut Vec<u8>,
) -> Result<gix::objs::Data<'b>, GitError> {
    let found = odb.try_find(&id, buffer).map_err(|error| GitError::protocol(url, error.to_string()))?;
    found.ok_or_else(|| GitError::protocol(url, format!("object {id} is missing")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;
    use std::process::Command;

    use soll_tree::MemoryBlobs;

    use super::*;

    fn git(dir: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments).current_dir(dir);
        let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    #[test]
    fn a_raised_flag_ends_the_walk() {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q"]);
        std::fs::write(dir.path().join("file"), "x").unwrap();
        git(dir.path(), &["add", "-A"]);
        git(dir.path(), &["commit", "-q", "-m", "one"]);
        let id = git(dir.path(), &["rev-parse", "HEAD"]).parse().unwrap();
        let odb = gix::odb::at(dir.path().join(".git/objects"), gix::hash::Kind::Sha1).unwrap();
        let walk = |stop: bool| {
            let blobs = Arc::new(MemoryBlobs::default());
            tree(&odb, "url", id, &Limits::default(), blobs, &AtomicBool::new(stop)).map(|tree| tree.walk().count())
        };
        assert_eq!(walk(false), Ok(1));
        assert_eq!(walk(true), Err(GitError::Storage("the work was given up".to_owned())));
    }
}
