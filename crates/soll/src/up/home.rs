//! Where `soll up` keeps things, and that only one of it runs there.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The directory of one `soll up`: kubeconfig, sample, caches. Locked while this value lives.
pub(crate) struct Home {
    directory: PathBuf,
    lock: File,
}

impl Home {
    /// Opens and locks the directory, making it if needed. Default: `~/.soll`.
    ///
    /// The lock is the operating system's, so it is gone with the process however that ended.
    pub(crate) fn open(directory: Option<&Path>) -> anyhow::Result<Self> {
        let directory = match directory {
            Some(directory) => std::path::absolute(directory)?,
            None => {
                std::env::home_dir().context("no home directory is known: say where with --home DIR")?.join(".soll")
            }
        };
        make_private(&directory)?;
        let path = directory.join("lock");
        let mut lock = File::options().create(true).read(true).write(true).truncate(false).open(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                lock.read_to_string(&mut owner)?;
                bail!(
                    "another `soll up` runs with {home} (process {owner}): use its kubeconfig {kubeconfig}, stop it with \
                     Ctrl-C or `kill {owner}`, or start a second one with --home DIR",
                    home = directory.display(),
                    owner = owner.trim(),
                    kubeconfig = directory.join("kubeconfig").display(),
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).context(format!("cannot lock {}", path.display())),
        }
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self { directory, lock })
    }

    /// The kubeconfig of the embedded API server.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    /// The sample repository.
    pub(crate) fn sample(&self) -> PathBuf {
        self.directory.join("sample")
    }

    /// Artifacts and Git caches. They can be made again.
    pub(crate) fn cache(&self) -> PathBuf {
        self.directory.join("cache")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Unlocking cannot fail in a way that matters: the process ends.
        let _ = self.lock.unlock();
    }
}

fn make_private(directory: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).with_context(|| format!("cannot make {}", directory.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_instance_is_told_about_the_first() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let first = Home::open(Some(directory.path())).expect("nobody else is here");
        let error = Home::open(Some(directory.path())).err().expect("the first holds the lock").to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.contains("--home"), "{error}");
        drop(first);
        Home::open(Some(directory.path())).expect("the first is gone");
    }
}
