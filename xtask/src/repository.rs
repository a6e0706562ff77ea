//! Where things are, and how other programs are run.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The clone that this program was built in.
pub(crate) struct Repository {
    root: PathBuf,
    cache: PathBuf,
}

impl Repository {
    /// The clone of this very program, and its cache: `SOLL_CACHE`, or `.cache` in the root.
    pub(crate) fn here() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")?.to_owned();
        let cache = std::env::var_os("SOLL_CACHE").map_or_else(|| root.join(".cache"), PathBuf::from);
        Ok(Self { root, cache })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What may be deleted at any time and costs minutes to make again.
    pub(crate) fn cache(&self) -> &Path {
        &self.cache
    }

    /// The binaries that [`crate::servers`] builds.
    pub(crate) fn bin(&self) -> PathBuf {
        self.cache.join("bin")
    }

    /// A program, to be run in the root.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// The cargo that runs us, in the root.
    pub(crate) fn cargo(&self) -> Command {
        self.command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
    }
}

/// Runs a program with its output on the terminal.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Runs a program and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!("{shown}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} printed something that is not text"))
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    std::iter::once(command.get_program().to_string_lossy()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// A duration for people: `42 s`, `4 min 5 s`.
pub(crate) fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_minutes_and_seconds() {
        assert_eq!(spoken(Duration::from_millis(42_900)), "42 s");
        assert_eq!(spoken(Duration::from_secs(245)), "4 min 5 s");
    }

    #[test]
    fn a_failing_program_is_named_with_its_arguments() {
        let error = run(Command::new("false").arg("--really")).expect_err("false fails");
        assert_eq!(error.to_string(), "false --really: exit status: 1");
    }
}
