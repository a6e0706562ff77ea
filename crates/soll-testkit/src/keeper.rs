//! Sees to it that no server outlives its test process.
//!
//! An ordinary end is the business of [`Drop`], but statics are never dropped and a test process may be
//! killed. So a shell holds the other end of a pipe: when we are gone, however that came about, it reads the
//! end of the file, kills what is left and removes the folder. The same goes for folders without a server.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Runs until its standard input ends, then kills the process of each `*.pid` file in the folder.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
read -r _
for file in "$1"/*.pid; do
  [ -e "$file" ] && kill -9 "$(cat "$file")"
done
rm -rf "$1"
"#;

/// A folder for servers whose processes end with ours.
pub struct Keeper {
    folder: PathBuf,
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Keeper {
    /// Takes charge of a folder, which is removed at the end.
    pub fn of(folder: PathBuf) -> io::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Self { folder, shell, pipe })
    }

    /// The folder: for what the servers need, and their output.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Starts a server under a name, its output in `<name>.log`.
    pub fn start(&self, name: &str, command: &mut Command) -> io::Result<Kept> {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join(format!("{name}.log")))?;
        let child =
            command.current_dir(&self.folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let pid_file = self.folder.join(format!("{name}.pid"));
        std::fs::write(&pid_file, child.id().to_string())?;
        Ok(Kept { child, pid_file })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // Nothing can be done about a shell that cannot be waited for.
        let _ = self.shell.wait();
    }
}

/// A running server; dropping it kills it.
pub struct Kept {
    child: Child,
    pid_file: PathBuf,
}

impl Kept {
    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal: `STOP` has it stand still, `CONT` go on.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let status = Command::new("kill").args(["-s", name, &self.id().to_string()]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -s {name}: {status}"))) }
    }

    /// Asks it to end, as an orderly shutdown does, and waits until it has.
    pub fn stop(&mut self) -> io::Result<()> {
        self.signal("TERM")?;
        self.child.wait().map(|_| ())
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // It may have ended already; either way its number is free only after the wait.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.pid_file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn alive(pid: u32) -> bool {
        // A zombie still has a folder in /proc. Its state follows the name, which stands in brackets.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|line| line.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])))
    }

    #[test]
    fn a_server_that_was_forgotten_is_killed_when_the_pipe_ends() {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let keeper = Keeper::of(folder.clone()).expect("a shell");
        let kept = keeper.start("sleeper", Command::new("sleep").arg("600")).expect("a process");
        let pid = kept.child.id();
        assert!(alive(pid));
        std::mem::forget(kept);
        drop(keeper); // as the system does when the process is killed
        let deadline = Instant::now() + Duration::from_secs(10);
        while alive(pid) {
            assert!(Instant::now() < deadline, "process {pid} outlived its keeper");
            std::thread::yield_now();
        }
        assert!(!folder.exists());
    }

    #[test]
    fn a_server_that_is_dropped_is_killed_at_once() {
        let keeper = Keeper::of(tempfile::tempdir().expect("a folder").keep()).expect("a shell");
        let kept = keeper.start("sleeper", Command::new("sleep").arg("600")).expect("a process");
        let pid = kept.child.id();
        drop(kept);
        assert!(!alive(pid));
    }
}
