//! A directory on disk as a tree, for the command line.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{EntryKind, FileTree, ReadError, TreePath};

/// A directory on disk. Symbolic links are followed inside it; one that leads out is an error.
#[derive(Debug, Clone)]
pub struct DirTree {
    root: PathBuf,
    /// The directory, held open.
    handle: Arc<fs::File>,
}

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Reading,
    Looking,
}

impl DirTree {
    /// Opens a directory.
    ///
    /// # Errors
    /// If it does not exist or is no directory.
    pub fn open(root: &Path) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "not a directory"));
        }
        let handle = Arc::new(fs::File::open(&root)?);
        Ok(Self { root, handle })
    }

    /// The directory, without symbolic links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a path of the tree really lies; none if nothing is there.
    fn resolve(&self, path: &TreePath) -> Result<Option<PathBuf>, ReadError> {
        match self.root.join(path.as_str()).canonicalize() {
            Ok(real) if real.starts_with(&self.root) => Ok(Some(real)),
            Ok(real) => Err(failed(path, format!("it is a symbolic link out of the tree, to `{}`", real.display()))),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(failed(path, error)),
        }
    }
}

/// Opens a path below a directory in one step, of which the kernel sees to it that no link leads out.
#[cfg(target_os = "linux")]
fn open_beneath(directory: &fs::File, path: &TreePath, purpose: Purpose) -> io::Result<fs::File> {
    use rustix::fs::{Mode, OFlags, ResolveFlags};
    let path = if path.is_root() { "." } else { path.as_str() };
    // A pipe is not waited for: it is refused once it is seen to be one.
    let flags = match purpose {
        Purpose::Reading => OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        Purpose::Looking => OFlags::PATH,
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    Ok(file.into())
}

#[cfg(not(target_os = "linux"))]
fn open_beneath(_directory: &fs::File, _path: &TreePath, _purpose: Purpose) -> io::Result<fs::File> {
    Err(io::ErrorKind::Unsupported.into())
}

impl FileTree for DirTree {
    fn prefix(&self) -> &str {
        if self.root.parent().is_none() { "/" } else { "" }
    }

    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, ReadError> {
        let absent = || ReadError::NotFound(path.clone());
        match open_beneath(&self.handle, path, Purpose::Reading) {
            Ok(mut file) => {
                let metadata = file.metadata().map_err(|error| failed(path, error))?;
                check_is_file(path, &metadata)?;
                content(&mut file, metadata.len())
            }
            Err(error) if is_absence(&error) => return Err(absent()),
            // A link that leads out, or one by an absolute path that may lead back in; or the kernel cannot say.
            Err(_) => {
                let real = self.resolve(path)?.ok_or_else(absent)?;
                let metadata = fs::metadata(&real).map_err(|error| failed(path, error))?;
                check_is_file(path, &metadata)?;
                fs::File::open(real).and_then(|mut file| content(&mut file, metadata.len()))
            }
        }
        .map_err(|error| failed(path, error))
    }

    fn kind(&self, path: &TreePath) -> Result<Option<EntryKind>, ReadError> {
        let metadata = match open_beneath(&self.handle, path, Purpose::Looking) {
            Ok(file) => file.metadata(),
            Err(error) if is_absence(&error) => return Ok(None),
            Err(_) => match self.resolve(path)? {
                Some(real) => fs::metadata(real),
                None => return Ok(None),
            },
        };
        metadata.map(|metadata| kind_of(metadata.file_type())).map_err(|error| failed(path, error))
    }

    fn list(&self, path: &TreePath) -> Result<Vec<(TreePath, EntryKind)>, ReadError> {
        let real = self.resolve(path)?.filter(|real| real.is_dir());
        let real = real.ok_or_else(|| ReadError::NotFound(path.clone()))?;
        let mut entries = Vec::new();
        for entry in fs::read_dir(&real).map_err(|error| failed(path, error))? {
            let entry = entry.map_err(|error| failed(path, error))?;
            let name = entry.file_name();
            let name = name.to_str().ok_or_else(|| failed(path, format!("{name:?} is not UTF-8")))?;
            let kind = match entry.file_type() {
                // What leads out of the tree is an error when it is read, not when it is seen.
                Ok(kind) if kind.is_symlink() => {
                    fs::metadata(entry.path()).ok().and_then(|metadata| kind_of(metadata.file_type()))
                }
                Ok(kind) => kind_of(kind),
                Err(_) => None,
            };
            entries.extend(kind.map(|kind| (path.entry(name), kind)));
        }
        entries.sort();
        Ok(entries)
    }
}

fn check_is_file(path: &TreePath, metadata: &fs::Metadata) -> Result<(), ReadError> {
    match kind_of(metadata.file_type()) {
        Some(EntryKind::File) => Ok(()),
        Some(EntryKind::Directory) => Err(ReadError::IsDirectory(path.clone())),
        None => Err(failed(path, "it is no regular file")),
    }
}

/// Reads a file of some size; of one that grows meanwhile, what there was.
fn content(file: &mut fs::File, size: u64) -> io::Result<Arc<[u8]>> {
    let size = usize::try_from(size).map_err(io::Error::other)?;
    let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, size).collect();
    let buffer = Arc::get_mut(&mut bytes).expect("nobody else has it yet");
    let mut filled = 0;
    while filled < size {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => return Ok(bytes[..filled].into()),
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if size > 0 {
        return Ok(bytes);
    }
    // The kernel's own files say that they are empty.
    let mut all = Vec::new();
    file.read_to_end(&mut all)?;
    Ok(all.into())
}

fn kind_of(kind: fs::FileType) -> Option<EntryKind> {
    if kind.is_dir() { Some(EntryKind::Directory) } else { kind.is_file().then_some(EntryKind::File) }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn failed(path: &TreePath, message: impl std::fmt::Display) -> ReadError {
    ReadError::Io { path: path.clone(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    #[cfg(unix)]
    fn links_are_followed_inside_and_refused_outside() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        fs::create_dir_all(root.join("a")).unwrap();
        fs::write(outer.path().join("secret"), "s").unwrap();
        fs::write(root.join("a/f"), "inside").unwrap();
        std::os::unix::fs::symlink("a/f", root.join("good")).unwrap();
        std::os::unix::fs::symlink("../secret", root.join("bad")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("broken")).unwrap();
        let tree = DirTree::open(&root).unwrap();
        let path = |text: &str| text.parse::<TreePath>().unwrap();

        assert_eq!(tree.read(&path("good")).unwrap().as_ref(), b"inside");
        let refused = tree.read(&path("bad")).unwrap_err().to_string();
        assert!(refused.contains("symbolic link out of the tree"), "{refused}");
        assert_eq!(tree.read(&path("broken")), Err(ReadError::NotFound(path("broken"))));
        assert_eq!(tree.kind(&path("a/f/x")), Ok(None));
        assert_eq!(tree.read(&path("a")), Err(ReadError::IsDirectory(path("a"))));
        let names: Vec<_> =
            tree.list(&TreePath::root()).unwrap().into_iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(names, ["a", "bad", "good"]);
        assert!(tree.kind(&path("bad")).unwrap_err().to_string().contains("symbolic link out of the tree"));
        // By an absolute path, and by way of a directory.
        std::os::unix::fs::symlink(tree.root().join("a"), root.join("absolute")).unwrap();
        assert_eq!(tree.read(&path("absolute/f")).unwrap().as_ref(), b"inside");
        assert_eq!(tree.kind(&path("absolute")), Ok(Some(EntryKind::Directory)));
        std::os::unix::fs::symlink("../..", root.join("a/up")).unwrap();
        let refused = tree.read(&path("a/up/secret")).unwrap_err().to_string();
        assert!(refused.contains("symbolic link out of the tree"), "{refused}");
        fs::rename(root.join("a"), root.join("b")).unwrap();
        assert_eq!(tree.read(&path("a/f")), Err(ReadError::NotFound(path("a/f"))));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_no_file_is_refused_without_waiting() {
        let root = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            root.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let tree = DirTree::open(root.path()).unwrap();
        let refused = tree.read(&"pipe".parse().unwrap()).unwrap_err().to_string();
        assert!(refused.contains("no regular file"), "{refused}");
        assert_eq!(tree.kind(&"pipe".parse().unwrap()), Ok(None));
        assert_eq!(tree.kind(&TreePath::root()), Ok(Some(EntryKind::Directory)));
        assert_eq!(tree.read(&TreePath::root()), Err(ReadError::IsDirectory(TreePath::root())));
    }

    #[test]
    fn contents_are_read_whatever_the_size_says() {
        let mut file = tempfile::tempfile().unwrap();
        let mut read = |text: &str, size: u64| {
            use std::io::{Seek as _, Write as _};
            file.set_len(0).unwrap();
            file.rewind().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.rewind().unwrap();
            String::from_utf8(content(&mut file, size).unwrap().to_vec()).unwrap()
        };
        assert_eq!(read("", 0), "");
        assert_eq!(read("abc", 3), "abc");
        assert_eq!(read("abc", 0), "abc");
        assert_eq!(read("abc", 9), "abc");
    }
}
