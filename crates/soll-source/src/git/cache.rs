//! Objects kept between fetches, so that a new revision brings only what is new.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gix::ObjectId;
use soll_tree::Limits;

use super::GitError;
use super::error::is_full;
use super::pack::{self, Survey};

/// A directory with the objects of one repository.
///
/// Objects lie in generations. A generation that has collected many packs is left behind for a new one and removed
/// when the last tree that reads from it is gone.
#[derive(Debug)]
pub struct GitCache {
    dir: PathBuf,
    /// Guards which generation is the current one.
    current: Mutex<Arc<Generation>>,
}

/// One object database.
#[derive(Debug)]
pub(super) struct Generation {
    dir: PathBuf,
    number: u64,
    obsolete: AtomicBool,
    /// A content could not be read that should be here.
    damaged: AtomicBool,
}

const MAX_PACKS: usize = 24;
/// What packs may have together, besides twice the largest one: the rest is mostly what nobody reads any more.
const MAX_PACK_BYTES: u64 = 256 << 20;
/// Lists the commits that are here completely, oldest first.
const TIPS: &str = "tips";

impl GitCache {
    /// Opens or creates the cache; leftovers of a crash are removed.
    ///
    /// # Errors
    /// [`GitError::Storage`].
    pub fn open(dir: &Path) -> Result<Self, GitError> {
        fs::create_dir_all(dir).map_err(|error| GitError::Storage(format!("{}: {error}", dir.display())))?;
        let mut numbers = Vec::new();
        for entry in fs::read_dir(dir).map_err(GitError::storage)? {
            let entry = entry.map_err(GitError::storage)?;
            numbers.extend(entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let current = numbers.pop();
        for number in numbers {
            fs::remove_dir_all(dir.join(number.to_string())).map_err(GitError::storage)?;
        }
        let generation = Generation::open(dir, current.unwrap_or(0))?;
        generation.remove_unfinished().map_err(GitError::storage)?;
        Ok(Self { dir: dir.to_owned(), current: Mutex::new(Arc::new(generation)) })
    }

    /// Whether a content could not be read that should be here: trees that read from it are of no use.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.current().damaged.load(Ordering::Relaxed)
    }

    /// The generation to read from and fetch into.
    pub(super) fn current(&self) -> Arc<Generation> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether no tree and no fetch uses the current generation, so that leaving it behind frees its space at once.
    pub(super) fn is_free(&self) -> bool {
        Arc::strong_count(&self.current.lock().unwrap_or_else(PoisonError::into_inner)) == 1
    }

    /// The generation to fetch into: a new one if the current one has many packs, or large ones.
    pub(super) fn for_fetch(&self) -> Result<Arc<Generation>, GitError> {
        let current = self.current();
        let sizes = current.packs()?;
        let largest = sizes.iter().copied().max().unwrap_or_default();
        let is_large = sizes.iter().sum::<u64>() > 2 * largest + MAX_PACK_BYTES;
        if sizes.len() < MAX_PACKS && !is_large { Ok(current) } else { self.renew() }
    }

    /// Leaves all objects behind if one of them could not be read.
    pub(super) fn mend(&self) -> Result<(), GitError> {
        if self.is_damaged() {
            self.renew()?;
        }
        Ok(())
    }

    /// Leaves all objects behind.
    pub(super) fn renew(&self) -> Result<Arc<Generation>, GitError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::new(Generation::open(&self.dir, current.number + 1)?);
        current.obsolete.store(true, Ordering::Relaxed);
        *current = next.clone();
        Ok(next)
    }
}

impl Generation {
    fn open(cache: &Path, number: u64) -> Result<Self, GitError> {
        let dir = cache.join(number.to_string());
        fs::create_dir_all(dir.join("objects/pack")).map_err(GitError::storage)?;
        fs::create_dir_all(dir.join("incoming")).map_err(GitError::storage)?;
        Ok(Self { dir, number, obsolete: AtomicBool::new(false), damaged: AtomicBool::new(false) })
    }

    /// Removes what a process that was killed in the middle of a fetch has left: packs that did not come to their end, and
    /// those that were not taken in. Nobody else may be at work here.
    fn remove_unfinished(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(self.incoming())? {
            fs::remove_file(entry?.path())?;
        }
        let packs = self.dir.join("objects/pack");
        for entry in fs::read_dir(&packs)? {
            let path = entry?.path();
            let partner = match path.extension().and_then(std::ffi::OsStr::to_str) {
                Some("pack") => "idx",
                Some("idx") => "pack",
                _ => "",
            };
            if partner.is_empty() || !path.with_extension(partner).exists() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    pub(super) fn odb(&self) -> Result<gix::odb::Handle, GitError> {
        gix::odb::at(self.dir.join("objects"), gix::hash::Kind::Sha1).map_err(GitError::storage)
    }

    /// Where a pack is written while it comes in.
    pub(super) fn incoming(&self) -> PathBuf {
        self.dir.join("incoming")
    }

    /// The sizes of the packs.
    fn packs(&self) -> Result<Vec<u64>, GitError> {
        let mut sizes = Vec::new();
        for entry in fs::read_dir(self.dir.join("objects/pack")).map_err(GitError::storage)? {
            let entry = entry.map_err(GitError::storage)?;
            if entry.path().extension().is_some_and(|extension| extension == "pack") {
                sizes.push(entry.metadata().map_err(GitError::storage)?.len());
            }
        }
        Ok(sizes)
    }

    /// Whether there is anything to leave behind.
    pub(super) fn is_empty(&self) -> Result<bool, GitError> {
        Ok(self.packs()?.is_empty())
    }

    /// Removes a pack that the last fetch has brought and nobody reads.
    pub(super) fn remove(&self, pack: &Path) -> Result<(), GitError> {
        fs::remove_file(pack.with_extension("idx")).and_then(|()| fs::remove_file(pack)).map_err(GitError::storage)
    }

    /// Notes that a content could not be read, so that the next fetch does not rely on what is here.
    pub(super) fn note_damage(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }

    /// The commits that are here completely, oldest first.
    pub(super) fn tips(&self) -> Vec<ObjectId> {
        // Without the list there is only more to fetch.
        let text = fs::read_to_string(self.dir.join(TIPS)).unwrap_or_default();
        text.lines().filter_map(|line| ObjectId::from_hex(line.as_bytes()).ok()).collect()
    }

    /// Notes commits that are here completely.
    pub(super) fn add_tips(&self, commits: &[ObjectId]) -> Result<(), GitError> {
        let mut tips = self.tips();
        tips.retain(|tip| !commits.contains(tip));
        tips.extend(commits);
        let text: String = tips.iter().map(|tip| format!("{tip}\n")).collect();
        let temporary = self.dir.join("tips.new");
        fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, self.dir.join(TIPS))).map_err(GitError::disk)
    }

    /// Checks a pack, writes its index and takes both in. Nothing of a bad pack stays. Returns where it is, if it is new.
    pub(super) fn index(
        &self,
        url: &str,
        path: &Path,
        limits: &Limits,
        stop: &AtomicBool,
    ) -> Result<Option<PathBuf>, GitError> {
        let reader = || -> Result<_, GitError> {
            let file = fs::File::open(path).map_err(GitError::storage)?;
            Ok(std::io::BufReader::with_capacity(1 << 16, file))
        };
        // Servers look at what we have only when the pack may build upon it.
        let bases = self.odb()?;
        // The pack comes from a stranger: should a parser panic, only this fetch is lost.
        let is_here = |id: &ObjectId| gix::objs::Exists::exists(&bases, id);
        let surveyed = reader()?;
        let surveyed =
            std::panic::catch_unwind(AssertUnwindSafe(|| pack::survey(url, surveyed, limits, is_here, stop)));
        let Survey { thin } = surveyed.unwrap_or_else(|_| Err(beyond_reading(url)))?;
        let options = gix::odb::pack::bundle::write::Options {
            thread_limit: Some(1),
            alloc_limit_bytes: usize::try_from(limits.file_bytes).ok(),
            ..Default::default()
        };
        let mut reader = reader()?;
        let indexed = std::panic::catch_unwind(AssertUnwindSafe(|| {
            gix::odb::pack::Bundle::write_to_directory(
                &mut reader,
                Some(&self.dir.join("objects/pack")),
                &mut gix::progress::Discard,
                stop,
                // Without bases to look for the pack is taken as it is, which costs less.
                thin.then_some(bases),
                gix::hash::Kind::Sha1,
                options,
            )
        }));
        let written = match indexed {
            Ok(Ok(written)) => written,
            Ok(Err(error)) if over_limit(&error) => {
                let limit = format!("an object is larger than the {} bytes that a file may have", limits.file_bytes);
                return Err(GitError::Limit { url: url.to_owned(), limit });
            }
            Ok(Err(error)) if error.downcast_any_ref().is_some_and(is_full) => {
                return Err(GitError::Full(error.to_string()));
            }
            Ok(Err(error)) => return Err(GitError::protocol(url, format!("the pack is damaged: {error}"))),
            Err(_) => return Err(beyond_reading(url)),
        };
        let Some(keep) = written.keep_path else { return Ok(None) };
        // It guards against `git gc`, which never runs here.
        fs::remove_file(keep).map_err(GitError::storage)?;
        Ok(written.data_path)
    }
}

fn beyond_reading(url: &str) -> GitError {
    GitError::protocol(url, "the pack is damaged beyond reading")
}

fn over_limit(error: &gix::Error) -> bool {
    gix::error::classify(error).is_resource_exhausted()
}

impl Drop for Generation {
    fn drop(&mut self) {
        if self.obsolete.load(Ordering::Relaxed)
            && let Err(error) = fs::remove_dir_all(&self.dir)
        {
            // The next start removes it.
            tracing::warn!(dir = %self.dir.display(), %error, "cannot remove old Git objects");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::{Command, Stdio};

    use super::*;

    /// A pack with deltas in it, made by the real git.
    fn pack() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(arguments).current_dir(dir.path());
            let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").stdin(Stdio::null()).output().unwrap();
            assert!(output.status.success());
            output.stdout
        };
        git(&["init", "-q"]);
        for version in 0..4 {
            let lines: String = (0..200).map(|line| format!("line {line} of {}\n", line % (version + 2))).collect();
            fs::write(dir.path().join("file"), lines).unwrap();
            git(&["add", "-A"]);
            git(&["commit", "-q", "-m", "more"]);
        }
        git(&["pack-objects", "--all", "--stdout", "-q"])
    }

    /// Makes the last bytes of a pack right again, so that damage before them is not found by the sum alone.
    fn sum_up(pack: &mut [u8]) {
        let end = pack.len() - 20;
        let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        hasher.update(&pack[..end]);
        pack[end..].copy_from_slice(hasher.try_finalize().unwrap().as_slice());
    }

    #[test]
    fn what_a_killed_fetch_has_left_is_gone_when_the_cache_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("incoming.pack");
        fs::write(&file, pack()).unwrap();
        let generation = GitCache::open(dir.path()).unwrap().current();
        generation.index("url", &file, &Limits::default(), &AtomicBool::new(false)).unwrap();
        let packs = dir.path().join("0/objects/pack");
        let names = || {
            let mut names: Vec<_> = fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let good = names();
        assert_eq!(good.len(), 2);
        let left = ["pack/.tmpAbC", "pack/pack-11.pack", "pack/pack-11.keep", "pack/pack-22.idx"];
        for name in left.map(|name| format!("objects/{name}")).iter().chain(&["incoming/.tmpDeF.pack".to_owned()]) {
            fs::write(dir.path().join("0").join(name), "half").unwrap();
        }
        GitCache::open(dir.path()).unwrap();
        assert_eq!(names(), good);
        assert_eq!(fs::read_dir(dir.path().join("0/incoming")).unwrap().count(), 0);
    }

    #[test]
    fn packs_that_are_large_together_are_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let cache = GitCache::open(dir.path()).unwrap();
        let number = || cache.for_fetch().unwrap().number;
        let sparse = |name: &str, size: u64| {
            let file = fs::File::create(dir.path().join("0/objects/pack").join(name)).unwrap();
            file.set_len(size).unwrap();
        };
        sparse("pack-1.pack", 10 * MAX_PACK_BYTES);
        sparse("pack-2.pack", 10 * MAX_PACK_BYTES);
        assert_eq!(number(), 0, "a large repository is not fetched whole because it is large");
        sparse("pack-3.pack", MAX_PACK_BYTES);
        assert_eq!(number(), 0);
        sparse("pack-4.pack", 1);
        assert_eq!(number(), 1);
    }

    #[test]
    fn no_damaged_pack_brings_the_process_down() {
        let dir = tempfile::tempdir().unwrap();
        let cache = GitCache::open(dir.path()).unwrap();
        let generation = cache.current();
        let file = dir.path().join("incoming.pack");
        let index = |bytes: &[u8]| {
            fs::write(&file, bytes).unwrap();
            generation.index("url", &file, &Limits::default(), &AtomicBool::new(false))
        };
        let good = pack();
        index(&good).unwrap();
        let mut state = 1_u64;
        let mut random = |below: usize| {
            // Any full-period generator does; the same numbers each time make a failure repeatable.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut refused = 0;
        for _ in 0..300 {
            let mut bad = good.clone();
            for _ in 0..=random(3) {
                let place = random(bad.len() - 20);
                bad[place] ^= 1 << random(8);
            }
            sum_up(&mut bad);
            refused += u32::from(index(&bad).is_err());
        }
        for cut in [0, 3, 12, 40, good.len() - 1] {
            assert!(index(&good[..cut]).is_err(), "cut at {cut}");
        }
        assert!(refused > 250, "{refused} of 300");
        assert_eq!(fs::read_dir(dir.path().join("0/objects/pack")).unwrap().count() % 2, 0, "no half pack stays");
    }
}
