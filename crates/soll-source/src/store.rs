//! The artifact store: archives of trees, one directory per object, in Flux's layout.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};
use soll_api::{Artifact, Class, Failure, Retry, Time};
use soll_tree::{ArchiveError, Limits, Links, Tree, TreePath, read_archive, write_archive};

use crate::blocking;

/// Artifacts below one directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    root: PathBuf,
    retention: Retention,
    /// Host and port in URLs; known once the server listens.
    advertised: OnceLock<String>,
    /// Files whose digest was computed, as they were then. Guards a map only.
    checked: Mutex<HashMap<String, Checked>>,
}

/// How a file was when its digest was computed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Checked {
    size: u64,
    modified: SystemTime,
    digest: String,
}

/// Whose artifacts: the directory `<kind>/<namespace>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot(TreePath);

/// How long old artifacts stay, for consumers that were told of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Older ones go, however few there are.
    pub keep_for: Duration,
    /// More than these go, however young they are; the current one counts.
    pub keep: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_for: Duration::from_secs(60), keep: 2 }
    }
}

/// How a stored artifact was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// As it was written.
    Intact,
    /// Not at all.
    Missing,
    /// With another content: do not serve it.
    Damaged,
}

/// A store that does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A name that cannot be a directory of the store.
    #[error("`{0}` cannot name artifacts")]
    Name(String),
    /// The archive cannot be written or read.
    #[error("{path}: {source}")]
    Archive {
        /// The artifact.
        path: String,
        /// The cause.
        source: ArchiveError,
    },
    /// The disk.
    #[error("{path}: {source}")]
    Disk {
        /// The artifact or directory.
        path: String,
        /// The cause.
        source: io::Error,
    },
    /// The content is not what the digest says.
    #[error("{path} has the digest {found} instead of {expected}")]
    Digest {
        /// The artifact.
        path: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let reason = match &error {
            StoreError::Name(_) => "InvalidPath",
            StoreError::Archive { .. } | StoreError::Digest { .. } => "ArchiveOperationFailed",
            StoreError::Disk { .. } => "DirectoryCreationFailed",
        };
        let class = match &error {
            // What cannot be put into an archive is in the source, not in us.
            StoreError::Archive { source: ArchiveError::Io(_) | ArchiveError::Read(_), .. } => Class::Internal,
            StoreError::Archive { .. } => Class::Configuration,
            StoreError::Name(_) | StoreError::Disk { .. } | StoreError::Digest { .. } => Class::Internal,
        };
        Self::new(class, reason, format!("unable to archive artifact to storage: {error}"), Retry::Backoff)
    }
}

impl Slot {
    /// The directory of an object's artifacts. The kind is written in lower case.
    ///
    /// # Errors
    /// [`StoreError::Name`] for what no object can be called.
    pub fn new(kind: &str, namespace: &str, name: &str) -> Result<Self, StoreError> {
        let mut path = TreePath::root();
        for part in [&kind.to_lowercase(), namespace, name] {
            path = path.child(part).map_err(|_| StoreError::Name(part.to_owned()))?;
        }
        Ok(Self(path))
    }
}

impl Store {
    /// A store below a directory, which is made when first needed.
    #[must_use]
    pub fn new(root: &Path, retention: Retention) -> Self {
        let shared = Shared {
            root: root.to_owned(),
            retention: Retention { keep: retention.keep.max(1), ..retention },
            advertised: OnceLock::new(),
            checked: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Says where the artifacts are served: host and port, or a whole base URL. The first one said counts.
    pub fn advertise(&self, address: &str) {
        let _ = self.shared.advertised.set(address.trim_end_matches('/').to_owned());
    }

    /// The directory of the store.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.shared.root
    }

    /// The URL of a stored file. It changes with the address that is advertised, so compare it at each reconcile.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        let address = self.shared.advertised.get().map_or("localhost", String::as_str);
        let has_scheme = address.starts_with("http://") || address.starts_with("https://");
        let scheme = if has_scheme { "" } else { "http://" };
        format!("{scheme}{address}/{path}")
    }

    /// Stores a tree as `file`. Nothing is removed: who was told of the artifact before is not told of this one yet.
    ///
    /// The file appears whole or not at all. The same tree gives the same digest.
    ///
    /// # Errors
    /// If the tree cannot be an archive, or the disk fails.
    pub async fn store(
        &self,
        slot: &Slot,
        file: &str,
        revision: &str,
        tree: &Tree,
        now: Time,
    ) -> Result<Artifact, StoreError> {
        let (this, slot, tree) = (self.clone(), slot.clone(), tree.clone());
        let (file, revision) = (file.to_owned(), revision.to_owned());
        blocking(move || {
            let path = slot.0.child(&file).map_err(|_| StoreError::Name(file.clone()))?;
            this.write(&path, revision, &tree, now)
        })
        .await
    }

    /// Says whether an artifact is as it was written. A file that did not change since is not read again.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn check(&self, artifact: &Artifact) -> Result<Stored, StoreError> {
        let (this, artifact) = (self.clone(), artifact.clone());
        blocking(move || match this.digest(&artifact.path) {
            Ok(None) => Ok(Stored::Missing),
            Ok(Some(found)) if found == artifact.digest => Ok(Stored::Intact),
            Ok(Some(_)) => Ok(Stored::Damaged),
            Err(error) => Err(error),
        })
        .await
    }

    /// Whether an artifact is not there. Nothing is read.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn is_missing(&self, artifact: &Artifact) -> Result<bool, StoreError> {
        let (this, path) = (self.clone(), artifact.path.clone());
        blocking(move || {
            let found = Checked::of(&this.shared.place(&path)?, "").map_err(|source| disk(&path, source))?;
            Ok(found.is_none())
        })
        .await
    }

    /// The tree of an artifact, in memory.
    ///
    /// # Errors
    /// If it is not there, is not what its digest says, or passes a limit.
    pub async fn open(&self, artifact: &Artifact, limits: &Limits) -> Result<Tree, StoreError> {
        let (this, artifact, limits) = (self.clone(), artifact.clone(), *limits);
        blocking(move || {
            let path = artifact.path.clone();
            let found = this.digest(&path)?.unwrap_or_else(|| "none".to_owned());
            if found != artifact.digest {
                return Err(StoreError::Digest { path, expected: artifact.digest, found });
            }
            let file = fs::File::open(this.shared.place(&path)?).map_err(|source| disk(&path, source))?;
            let tree = read_archive(BufReader::new(file), &limits, Links::Refuse);
            tree.map_err(|source| StoreError::Archive { path, source })
        })
        .await
    }

    /// Removes artifacts of a slot that are too old or too many, never the current one, and what a process that was killed has
    /// left unfinished. Returns what went.
    ///
    /// Current is the one that consumers are told of: call it before a new one is stored, or after they were told of that.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn collect(&self, slot: &Slot, current: Option<&Artifact>) -> Result<Vec<String>, StoreError> {
        let (this, slot) = (self.clone(), slot.clone());
        let current = current.and_then(|current| current.path.rsplit('/').next()).map(str::to_owned);
        blocking(move || this.collect_now(&slot, current.as_deref())).await
    }

    /// Removes one artifact, because it is damaged.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn remove_artifact(&self, artifact: &Artifact) -> Result<(), StoreError> {
        let (this, path) = (self.clone(), artifact.path.clone());
        blocking(move || match fs::remove_file(this.shared.place(&path)?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(&path, error)),
            Ok(()) | Err(_) => Ok(()),
        })
        .await
    }

    /// Removes all artifacts of an object that is gone.
    ///
    /// # Errors
    /// If the disk fails.
    pub async fn remove(&self, slot: &Slot) -> Result<(), StoreError> {
        let (this, slot) = (self.clone(), slot.clone());
        blocking(move || {
            let prefix = format!("{}/", slot.0.as_str());
            this.shared.checked().retain(|path, _| !path.starts_with(&prefix));
            match fs::remove_dir_all(this.shared.root.join(slot.0.as_str())) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(disk(slot.0.as_str(), error)),
                Ok(()) | Err(_) => Ok(()),
            }
        })
        .await
    }

    fn write(&self, path: &TreePath, revision: String, tree: &Tree, now: Time) -> Result<Artifact, StoreError> {
        let text = path.as_str().to_owned();
        let place = self.shared.root.join(&text);
        let directory = place.parent().expect("an artifact lies in the directory of its slot");
        make_private_directory(directory).map_err(|source| disk(&text, source))?;

        // Dropped before it is renamed, a temporary file removes itself. Its mode is 0600 from the start.
        let unfinished = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(directory);
        let unfinished = unfinished.map_err(|source| disk(&text, source))?;
        let mut out = BufWriter::new(unfinished.as_file());
        let written = write_archive(tree, &mut out);
        let written = written.map_err(|source| StoreError::Archive { path: text.clone(), source })?;
        out.flush().map_err(|source| disk(&text, source))?;
        drop(out);
        unfinished.persist(&place).map_err(|error| disk(&text, error.error))?;

        let digest = format!("sha256:{}", hex::encode(written.sha256));
        if let Some(as_now) = Checked::of(&place, &digest).map_err(|source| disk(&text, source))? {
            self.shared.checked().insert(text.clone(), as_now);
        }
        Ok(Artifact {
            url: self.url(&text),
            path: text,
            revision,
            digest,
            last_update_time: now,
            size: i64::try_from(written.size).ok(),
            metadata: BTreeMap::new(),
        })
    }

    /// The digest of a stored file; none if it is not there.
    fn digest(&self, path: &str) -> Result<Option<String>, StoreError> {
        let place = self.shared.place(path)?;
        let known = self.shared.checked().get(path).cloned();
        let Some(as_now) = Checked::of(&place, "").map_err(|source| disk(path, source))? else { return Ok(None) };
        if let Some(known) = known.filter(|known| known.size == as_now.size && known.modified == as_now.modified) {
            return Ok(Some(known.digest));
        }
        let digest = digest_of(&place).map_err(|source| disk(path, source))?;
        self.shared.checked().insert(path.to_owned(), Checked { digest: digest.clone(), ..as_now });
        Ok(Some(digest))
    }

    fn collect_now(&self, slot: &Slot, current: Option<&str>) -> Result<Vec<String>, StoreError> {
        let directory = self.shared.root.join(slot.0.as_str());
        let failed = |source| disk(slot.0.as_str(), source);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut others = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = entry.metadata().map_err(failed)?;
            // Flux's lock files lie beside its artifacts after a takeover, and go with them.
            if Some(name.as_str()) != current && metadata.is_file() && !name.ends_with(LOCK) {
                others.push((metadata.modified().map_err(failed)?, name));
            }
        }
        others.sort_by(|one, other| other.cmp(one));
        let Retention { keep_for, keep } = self.shared.retention;
        let room = keep - usize::from(current.is_some()).min(keep);
        let mut removed = Vec::new();
        let mut finished = 0;
        for (modified, name) in others {
            let is_old = modified.elapsed().is_ok_and(|age| age > keep_for);
            // Another write may be under way only if the caller let it; its file is young.
            finished += usize::from(!is_unfinished(&name));
            if is_old || (finished > room && !is_unfinished(&name)) {
                fs::remove_file(directory.join(&name)).map_err(failed)?;
                let _ = fs::remove_file(directory.join(format!("{name}{LOCK}")));
                let path = format!("{}/{name}", slot.0.as_str());
                self.shared.checked().remove(&path);
                removed.push(path);
            }
        }
        Ok(removed)
    }
}

const LOCK: &str = ".lock";
const UNFINISHED: &str = ".unfinished-";

fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED)
}

impl Shared {
    /// Where a path of an artifact lies. Status is written by others too, so it is not trusted.
    fn place(&self, path: &str) -> Result<PathBuf, StoreError> {
        let path: TreePath = path.parse().map_err(|_| StoreError::Name(path.to_owned()))?;
        Ok(self.root.join(path.as_str()))
    }

    fn checked(&self) -> std::sync::MutexGuard<'_, HashMap<String, Checked>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checked {
    fn of(place: &Path, digest: &str) -> io::Result<Option<Self>> {
        match fs::metadata(place) {
            Ok(metadata) if metadata.is_file() => {
                Ok(Some(Self { size: metadata.len(), modified: metadata.modified()?, digest: digest.to_owned() }))
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn digest_of(place: &Path) -> io::Result<String> {
    let mut file = fs::File::open(place)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("sha256:{}", hex::encode(hash.finalize()))),
            read => hash.update(&buffer[..read]),
        }
    }
}

fn make_private_directory(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn disk(path: &str, source: io::Error) -> StoreError {
    StoreError::Disk { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Bed {
        dir: tempfile::TempDir,
        store: Store,
        slot: Slot,
    }

    impl Bed {
        fn new(retention: Retention) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::new(dir.path(), retention);
            store.advertise("source.flux-system.svc:80");
            let slot = Slot::new("GitRepository", "apps", "podinfo").unwrap();
            Self { dir, store, slot }
        }

        async fn store(&self, file: &str, content: &str) -> Artifact {
            let tree = Tree::in_memory([("app/k.yaml", content)]).unwrap();
            let now = Time::new("2026-01-02T03:04:05Z".parse().unwrap());
            self.store.store(&self.slot, file, "main@sha1:abc", &tree, now).await.unwrap()
        }

        fn files(&self) -> Vec<String> {
            let entries = fs::read_dir(self.dir.path().join("gitrepository/apps/podinfo")).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        /// Makes a file look older.
        fn age(&self, artifact: &Artifact, seconds: u64) {
            let file = fs::File::options().write(true).open(self.dir.path().join(&artifact.path)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        }
    }

    #[tokio::test]
    async fn an_artifact_is_stored_and_opened_again() {
        let bed = Bed::new(Retention::default());
        let artifact = bed.store("abc.tar.gz", "kind: A").await;
        assert_eq!(artifact.path, "gitrepository/apps/podinfo/abc.tar.gz");
        assert_eq!(artifact.url, "http://source.flux-system.svc:80/gitrepository/apps/podinfo/abc.tar.gz");
        assert_eq!(artifact.revision, "main@sha1:abc");
        let bytes = fs::read(bed.dir.path().join(&artifact.path)).unwrap();
        assert_eq!(artifact.digest, format!("sha256:{}", hex::encode(Sha256::digest(&bytes))));
        assert_eq!(artifact.size, Some(bytes.len() as i64));
        let tree = bed.store.open(&artifact, &Limits::default()).await.unwrap();
        assert_eq!(tree, Tree::in_memory([("app/k.yaml", "kind: A")]).unwrap());
        // Another process, which has computed nothing yet.
        let again = Store::new(bed.dir.path(), Retention::default());
        assert_eq!(again.check(&artifact).await.unwrap(), Stored::Intact);
    }

    #[tokio::test]
    #[cfg(unix)]
    async fn nobody_else_on_the_machine_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let bed = Bed::new(Retention::default());
        let artifact = bed.store("abc.tar.gz", "kind: A").await;
        let mode = |path: &str| fs::metadata(bed.dir.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&artifact.path), mode("gitrepository/apps/podinfo")), (0o600, 0o700));
    }

    #[tokio::test]
    async fn damage_and_loss_are_noticed() {
        let bed = Bed::new(Retention::default());
        let artifact = bed.store("abc.tar.gz", "kind: A").await;
        assert_eq!(bed.store.check(&artifact).await.unwrap(), Stored::Intact);
        let mut bytes = fs::read(bed.dir.path().join(&artifact.path)).unwrap();
        bytes[20] ^= 1;
        fs::write(bed.dir.path().join(&artifact.path), bytes).unwrap();
        bed.age(&artifact, 5);
        assert_eq!(bed.store.check(&artifact).await.unwrap(), Stored::Damaged);
        let error = bed.store.open(&artifact, &Limits::default()).await.unwrap_err();
        assert!(matches!(error, StoreError::Digest { .. }), "{error}");
        bed.store.remove_artifact(&artifact).await.unwrap();
        assert_eq!(bed.store.check(&artifact).await.unwrap(), Stored::Missing);
    }

    #[tokio::test]
    async fn old_ones_go_by_number_and_age() {
        let bed = Bed::new(Retention { keep_for: Duration::from_secs(60), keep: 3 });
        for (number, age) in [(1, 50), (2, 40), (3, 30)] {
            let artifact = bed.store(&format!("{number}.tar.gz"), &number.to_string()).await;
            bed.age(&artifact, age);
        }
        let current = bed.store("4.tar.gz", "4").await;
        assert_eq!(
            bed.store.collect(&bed.slot, Some(&current)).await.unwrap(),
            ["gitrepository/apps/podinfo/1.tar.gz"]
        );
        assert_eq!(bed.files(), ["2.tar.gz", "3.tar.gz", "4.tar.gz"]);
        let third = Artifact { path: current.path.replace('4', "3"), ..current.clone() };
        bed.age(&third, 61);
        bed.age(&current, 61);
        let removed = bed.store.collect(&bed.slot, Some(&current)).await.unwrap();
        assert_eq!(removed, ["gitrepository/apps/podinfo/3.tar.gz"]);
        assert_eq!(bed.files(), ["2.tar.gz", "4.tar.gz"], "the current one stays, however old");
        bed.store.remove(&bed.slot).await.unwrap();
        assert_eq!(bed.store.check(&current).await.unwrap(), Stored::Missing);
    }

    #[tokio::test]
    async fn what_consumers_were_told_of_stays_until_they_are_told_of_another() {
        let bed = Bed::new(Retention::default());
        let told = bed.store("a.tar.gz", "a").await;
        bed.age(&told, 61);
        let next = bed.store("b.tar.gz", "b").await;
        assert_eq!(bed.store.check(&told).await.unwrap(), Stored::Intact, "the status names it still");
        bed.store.collect(&bed.slot, Some(&told)).await.unwrap();
        assert_eq!(bed.files(), ["a.tar.gz", "b.tar.gz"], "the status could not be written");
        bed.store.collect(&bed.slot, Some(&next)).await.unwrap();
        assert_eq!(bed.files(), ["b.tar.gz"]);
    }

    #[tokio::test]
    async fn what_a_killed_process_left_goes_and_takes_the_place_of_none() {
        let bed = Bed::new(Retention::default());
        let before = bed.store("a.tar.gz", "a").await;
        let current = bed.store("b.tar.gz", "b").await;
        let left = |name: &str, seconds| {
            let left = Artifact { path: format!("gitrepository/apps/podinfo/{name}"), ..before.clone() };
            fs::write(bed.dir.path().join(&left.path), "half").unwrap();
            bed.age(&left, seconds);
        };
        left(".unfinished-1", 61);
        left(".unfinished-2", 0);
        bed.store.collect(&bed.slot, Some(&current)).await.unwrap();
        assert_eq!(bed.files(), [".unfinished-2", "a.tar.gz", "b.tar.gz"]);
    }

    #[tokio::test]
    async fn a_tree_that_cannot_be_stored_leaves_nothing_behind() {
        let bed = Bed::new(Retention::default());
        bed.store("good.tar.gz", "x").await;
        let tree = Tree::in_memory([("a\\b", "x")]).unwrap();
        let now = Time::new("2026-01-02T03:04:05Z".parse().unwrap());
        let error = bed.store.store(&bed.slot, "bad.tar.gz", "r", &tree, now).await.unwrap_err();
        assert!(error.to_string().contains("backslash"), "{error}");
        assert_eq!(bed.files(), ["good.tar.gz"]);
    }

    #[test]
    fn names_cannot_leave_the_store() {
        for (namespace, name) in [("..", "x"), ("a/b", "x"), ("a", ""), ("a", "/")] {
            assert!(Slot::new("GitRepository", namespace, name).is_err());
        }
    }
}
