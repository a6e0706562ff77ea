//! What `soll up` reconciles: the sample, a directory, or a URL.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::json;
use soll_api::Object;

use super::{home::Home, sample};
use crate::arguments::Up;
use crate::credentials::{self, Ssh};

/// The namespace of what `soll up` creates.
pub(crate) const NAMESPACE: &str = "flux-system";

/// A repository with the place in it where everything starts.
pub(crate) struct Repository {
    /// Name of the GitRepository and of the Kustomization.
    pub(crate) name: String,
    /// Path within the repository.
    pub(crate) path: String,
    source: Source,
}

enum Source {
    Local { directory: PathBuf, branch: String },
    Remote { url: String, branch: Option<String>, secret: Option<serde_json::Value>, agent: Option<PathBuf> },
}

impl Repository {
    /// Finds out what is meant; makes the sample if nothing was named.
    pub(crate) fn find(arguments: &Up, home: &Home) -> anyhow::Result<Self> {
        let branch = arguments.branch.clone();
        let Some(repo) = &arguments.repo else {
            let directory = home.sample();
            sample::make(&directory)?;
            let branch = checked_out_branch(&directory)?;
            let source = Source::Local { directory, branch };
            return Ok(Self { name: "sample".to_owned(), path: sample::PATH.to_owned(), source });
        };
        if ["http://", "https://", "ssh://"].iter().any(|scheme| repo.starts_with(scheme)) {
            let agent = if repo.starts_with("ssh://") { credentials::ssh_agent() } else { None };
            let secret =
                if repo.starts_with("ssh://") { ssh_secret(repo, agent.as_deref())? } else { https_secret(repo)? };
            let source = Source::Remote { url: repo.clone(), branch, secret, agent };
            return Ok(Self { name: label(repo), path: arguments.path.clone(), source });
        }
        let directory = Path::new(repo);
        if !directory.is_dir() {
            let hint = if repo.contains('@') && repo.contains(':') { "; write it as ssh://user@host/path" } else { "" };
            bail!("{repo} is neither a directory nor an http, https or ssh URL{hint}");
        }
        let directory = top_level(&directory.canonicalize()?)?;
        let branch = branch.map_or_else(|| checked_out_branch(&directory), Ok)?;
        let name = label(&directory.to_string_lossy());
        Ok(Self { name, path: arguments.path.clone(), source: Source::Local { directory, branch } })
    }

    /// The directory, if it is one of this machine.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match &self.source {
            Source::Local { directory, .. } => Some(directory),
            Source::Remote { .. } => None,
        }
    }

    /// The socket of the ssh-agent that knows the keys for it.
    pub(crate) fn ssh_agent(&self) -> Option<&Path> {
        match &self.source {
            Source::Local { .. } => None,
            Source::Remote { agent, .. } => agent.as_deref(),
        }
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        match &self.source {
            Source::Local { directory, branch } => format!("{} ({branch})", directory.display()),
            Source::Remote { url, branch, .. } => match branch {
                Some(branch) => format!("{url} ({branch})"),
                None => url.clone(),
            },
        }
    }

    /// The objects that have it reconciled: a Secret if it is private, the source, the Kustomization.
    pub(crate) fn objects(&self) -> anyhow::Result<Vec<Object>> {
        let metadata = json!({"name": self.name, "namespace": NAMESPACE});
        let mut objects = Vec::new();
        let mut spec = match &self.source {
            Source::Local { branch, .. } => json!({
                // Nothing listens there: the URL is the name under which the directory is known in this process.
                "url": format!("http://localhost/{}", self.name),
                "ref": {"branch": branch},
                "interval": "10m",
            }),
            Source::Remote { url, branch, .. } => json!({
                "url": url,
                "ref": branch.as_ref().map_or_else(|| json!({"name": "HEAD"}), |branch| json!({"branch": branch})),
                "interval": "1m",
            }),
        };
        if let Source::Remote { secret: Some(data), .. } = &self.source {
            spec["secretRef"] = json!({"name": self.name});
            objects.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}));
        }
        objects.push(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": metadata,
            "spec": spec,
        }));
        objects.push(json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": metadata,
            "spec": {
                "interval": "10m",
                "path": self.path,
                "prune": true,
                "wait": true,
                "timeout": "5m",
                "sourceRef": {"kind": "GitRepository", "name": self.name},
            },
        }));
        objects.iter().map(|object| Ok(Object::new(soll_yaml::to_value(object)?)?)).collect()
    }
}

/// A name for Kubernetes out of the last part of a path or URL.
fn label(place: &str) -> String {
    let last = place.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let name: String = last
        .trim_end_matches(".git")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(60)
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "repository".to_owned() } else { name.to_owned() }
}

/// The directory of the working tree, or the bare repository, that a directory is in.
fn top_level(directory: &Path) -> anyhow::Result<PathBuf> {
    let mut candidates = directory.ancestors();
    let is_repository =
        |path: &&Path| path.join(".git").exists() || (path.join("HEAD").is_file() && path.join("refs").is_dir());
    let found = candidates.find(is_repository);
    let found =
        found.with_context(|| format!("{} is in no Git repository: run `git init` and commit", directory.display()))?;
    Ok(found.to_owned())
}

/// Where the refs of a repository are: `.git`, or what it points to in a linked working tree.
pub(super) fn git_directory(directory: &Path) -> anyhow::Result<PathBuf> {
    let dot_git = directory.join(".git");
    if dot_git.is_dir() {
        return Ok(dot_git);
    }
    if !dot_git.is_file() {
        return Ok(directory.to_owned());
    }
    let text = std::fs::read_to_string(&dot_git)?;
    let target = text.strip_prefix("gitdir:").with_context(|| format!("{} is no Git link", dot_git.display()))?;
    Ok(directory.join(target.trim()))
}

fn checked_out_branch(directory: &Path) -> anyhow::Result<String> {
    let head = git_directory(directory)?.join("HEAD");
    let text = std::fs::read_to_string(&head).with_context(|| format!("cannot read {}", head.display()))?;
    let branch = text.trim().strip_prefix("ref: refs/heads/");
    let branch =
        branch.with_context(|| format!("{} has no branch checked out: name one with --branch", directory.display()))?;
    Ok(branch.to_owned())
}

/// User name and password that git's credential helpers know for a URL; none if they know nothing.
fn https_secret(url: &str) -> anyhow::Result<Option<serde_json::Value>> {
    let known = credentials::of_helpers(url)?;
    Ok(known.map(|(username, password)| json!({"username": username, "password": password})))
}

/// Key and known hosts of the user for an ssh URL. The key may be left to an agent.
fn ssh_secret(url: &str, agent: Option<&Path>) -> anyhow::Result<Option<serde_json::Value>> {
    let Ssh { known_hosts, identity } = Ssh::of_user(url, agent)?;
    let mut secret = json!({"known_hosts": known_hosts});
    if let Some(identity) = identity {
        secret["identity"] = json!(identity);
    }
    Ok(Some(secret))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn names_fit_kubernetes() {
        assert_eq!(label("https://example.com/Team/My_Apps.git"), "my-apps");
        assert_eq!(label("/home/me/gitops/"), "gitops");
        assert_eq!(label("/"), "repository");
    }

    #[test]
    fn a_directory_in_a_repository_is_enough() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let root = home.path().canonicalize().expect("it exists");
        let status = Command::new("git").args(["init", "-q", "-b", "trunk"]).arg(&root).status().expect("git");
        assert!(status.success());
        std::fs::create_dir_all(root.join("apps/one")).expect("writable");
        assert_eq!(top_level(&root.join("apps/one")).expect("found"), root);
        assert_eq!(checked_out_branch(&root).expect("a branch"), "trunk");
    }
}
