//! What a user has to get into repositories: git's credential helpers, and ssh.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// User name and password that git's credential helpers know for a URL; none if they know nothing.
pub(crate) fn of_helpers(url: &str) -> anyhow::Result<Option<(String, String)>> {
    let parsed = url::Url::parse(url).with_context(|| format!("{url} is no URL"))?;
    let Some(host) = parsed.host_str() else { bail!("{url} names no host") };
    let host = parsed.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let query =
        format!("protocol={}\nhost={host}\npath={}\n\n", parsed.scheme(), parsed.path().trim_start_matches('/'));
    let mut command = Command::new("git");
    command
        .args(["credential", "fill"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .env("SSH_ASKPASS", "true");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    // Without git there are no helpers to ask.
    let Ok(mut child) = child else { return Ok(None) };
    child.stdin.take().expect("it was piped").write_all(query.as_bytes())?;
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)).filter(|value| !value.is_empty());
        value.map(str::to_owned)
    };
    Ok(field("username=").zip(field("password=")))
}

/// What a user's ssh knows, as far as it serves to connect.
pub(crate) struct Ssh {
    /// The text of the file.
    pub(crate) known_hosts: String,
    /// The private key, which may be left to the agent.
    pub(crate) identity: Option<String>,
}

impl Ssh {
    /// Reads `~/.ssh`. `agent` is the socket of the agent, if one runs; else there must be a key.
    pub(crate) fn of_user(url: &str, agent: Option<&Path>) -> anyhow::Result<Self> {
        let ssh = std::env::home_dir().context("no home directory is known, and with it no ssh key")?.join(".ssh");
        let known_hosts = ssh.join("known_hosts");
        let known_hosts = std::fs::read_to_string(&known_hosts).with_context(|| {
            format!("cannot read {}: connect once with `ssh`, so that the host is known", known_hosts.display())
        })?;
        let names = ["id_ed25519", "id_ecdsa", "id_rsa"];
        let identity = names.iter().find_map(|name| std::fs::read_to_string(ssh.join(name)).ok());
        if identity.is_none() && agent.is_none() {
            bail!("{url}: no ssh-agent runs, and {} has none of {}", ssh.display(), names.join(", "))
        }
        Ok(Self { known_hosts, identity })
    }
}

/// The socket of the user's ssh-agent, if one runs.
pub(crate) fn ssh_agent() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from).filter(|socket| socket.exists())
}
