//! The sample repository that `soll up` makes when it is given none.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

/// The files of the sample, by path.
const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../sample/README.md")),
    ("apps/whoami/deployment.yaml", include_str!("../../sample/apps/whoami/deployment.yaml")),
    ("apps/whoami/kustomization.yaml", include_str!("../../sample/apps/whoami/kustomization.yaml")),
    ("apps/whoami/service.yaml", include_str!("../../sample/apps/whoami/service.yaml")),
    ("cluster/infrastructure.yaml", include_str!("../../sample/cluster/infrastructure.yaml")),
    ("cluster/production.yaml", include_str!("../../sample/cluster/production.yaml")),
    ("cluster/raw.yaml", include_str!("../../sample/cluster/raw.yaml")),
    ("cluster/staging.yaml", include_str!("../../sample/cluster/staging.yaml")),
    ("infrastructure/kustomization.yaml", include_str!("../../sample/infrastructure/kustomization.yaml")),
    ("infrastructure/namespaces.yaml", include_str!("../../sample/infrastructure/namespaces.yaml")),
    ("infrastructure/priority.yaml", include_str!("../../sample/infrastructure/priority.yaml")),
    ("raw/whoami.yaml", include_str!("../../sample/raw/whoami.yaml")),
    ("stages/production/kustomization.yaml", include_str!("../../sample/stages/production/kustomization.yaml")),
    ("stages/staging/kustomization.yaml", include_str!("../../sample/stages/staging/kustomization.yaml")),
];

/// The folder of the sample where everything starts.
pub(crate) const PATH: &str = "./cluster";

/// Makes the sample repository, unless the directory has one already: then it is the user's, and stays as it is.
///
/// Made under another name and renamed when complete, so that an interrupted start leaves nothing half done.
pub(crate) fn make(directory: &Path) -> anyhow::Result<()> {
    if directory.join(".git").exists() {
        return Ok(());
    }
    if directory.exists() {
        bail!("{} exists and is no Git repository: move it away, and the sample is made anew", directory.display());
    }
    let unfinished = directory.with_extension("unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    for (path, text) in FILES {
        let path = unfinished.join(path);
        std::fs::create_dir_all(path.parent().expect("every file of the sample is in the directory"))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    git(&unfinished, &["init", "--quiet", "--initial-branch=main"])?;
    git(&unfinished, &["add", "--all"])?;
    git(&unfinished, &["commit", "--quiet", "--message=The sample"])?;
    std::fs::rename(&unfinished, directory)?;
    Ok(())
}

fn git(directory: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("git");
    // Only for the first commit: the user's own name is on those that follow.
    command.args(["-c", "user.name=Soll", "-c", "user.email=sample@soll.dev", "-c", "commit.gpgsign=false"]);
    let output = command.arg("-C").arg(directory).args(arguments).output();
    let output = output
        .context("cannot run git to make the sample repository: install git, or name a repository with --repo")?;
    if !output.status.success() {
        bail!("git {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_made_once_and_then_left_alone() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let directory = home.path().join("sample");
        make(&directory).expect("the sample is made");
        std::fs::write(directory.join("mine.txt"), "mine").expect("writable");
        make(&directory).expect("the sample is there");
        assert!(directory.join("mine.txt").exists());
        let status =
            Command::new("git").arg("-C").arg(&directory).args(["status", "--porcelain"]).output().expect("git");
        assert_eq!(String::from_utf8_lossy(&status.stdout), "?? mine.txt\n");
    }

    #[test]
    fn every_file_of_the_sample_is_listed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample");
        let mut found = Vec::new();
        let mut directories = vec![root.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).expect("readable") {
                let path = entry.expect("readable").path();
                if path.is_dir() {
                    directories.push(path);
                } else {
                    found.push(path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        assert_eq!(found, FILES.iter().map(|(path, _)| (*path).to_owned()).collect::<Vec<_>>());
    }
}
