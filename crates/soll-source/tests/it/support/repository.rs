//! Repositories made by the real git.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A work tree with its repository in `.git`, on branch `main`.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    dir: PathBuf,
}

impl Repository {
    /// Makes an empty repository in a directory, which is created.
    pub(crate) fn create(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("the directory can be made");
        let repository = Self { dir: dir.to_owned() };
        repository.git(&["init", "-q", "-b", "main"]);
        for (key, value) in
            [("user.name", "Ada"), ("user.email", "ada@example.com"), ("uploadpack.allowFilter", "true")]
        {
            repository.git(&["config", key, value]);
        }
        repository
    }

    /// The work tree.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes a file of the work tree.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.dir.join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("the directory can be made");
        std::fs::write(path, content).expect("the file can be written");
        self
    }

    /// Commits all that is in the work tree and returns the commit's id. A second later than the commit before.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        let count = self.git(&["rev-list", "--all", "--count"]).parse::<u64>().expect("a number");
        let date = format!("{} +0000", 1_700_000_000 + count);
        let mut command = self.command(&["commit", "-q", "--allow-empty", "-m", message]);
        run(command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date));
        self.git(&["rev-parse", "HEAD"])
    }

    /// Runs git in the work tree and returns what it prints.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&self.dir);
        // The settings of whoever runs the tests must not matter.
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("git can be started");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
