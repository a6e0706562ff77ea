//! A real ssh-agent.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An `ssh-agent` with a socket of its own. Ends with the value.
pub(crate) struct SshAgent {
    child: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl SshAgent {
    /// Starts one without keys.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("agent");
        let mut command = Command::new("ssh-agent");
        let child = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().expect("ssh-agent starts");
        let deadline = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            assert!(Instant::now() < deadline, "the ssh-agent makes no socket");
            std::thread::yield_now();
        }
        Self { child, socket, _folder: folder }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Adds a private key in OpenSSH's form.
    pub(crate) fn add(&self, identity: &str) {
        let mut command = Command::new("ssh-add");
        command.args(["-q", "-"]).env("SSH_AUTH_SOCK", &self.socket).stdin(Stdio::piped());
        let mut child = command.spawn().expect("ssh-add starts");
        child.stdin.take().expect("it was piped").write_all(identity.as_bytes()).expect("it reads");
        assert!(child.wait().expect("it ends").success());
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
