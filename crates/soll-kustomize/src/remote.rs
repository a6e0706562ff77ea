//! What kustomizations name by URL. Fetching it is somebody else's business.

use std::fmt;

use soll_tree::{FileTree, TreePath};

/// How the names of directories begin in which the tree of a build has what was fetched. Nothing leads out of them.
pub const REMOTE: &str = "remote:";

/// Fetches what a kustomization names by URL, into the tree that is built.
pub trait Remotes: fmt::Debug + Send + Sync {
    /// The directory at the root of the tree that has the files of a repository: of its branch, tag, commit or full
    /// name `reference`, or of the branch that it shows first. Its name begins with [`REMOTE`].
    ///
    /// # Errors
    /// Why the repository cannot be had.
    fn repository(&self, url: &str, reference: Option<&str>) -> Result<TreePath, String>;

    /// The file of the tree that has what a URL answers, in a directory whose name begins with [`REMOTE`].
    ///
    /// # Errors
    /// Why it cannot be had.
    fn file(&self, url: &str) -> Result<TreePath, String>;
}

/// What a URL in a kustomization means, by the rules of kustomize.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteUrl {
    /// A file.
    File(String),
    /// A directory of a repository.
    Directory(RemoteDirectory),
}

/// A directory of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteDirectory {
    /// The repository.
    pub repository: String,
    /// A branch, a tag, a commit or a full name.
    pub reference: Option<String>,
    /// The directory in it; empty for its root.
    pub directory: String,
}

impl RemoteUrl {
    /// What a text means; nothing for a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let without_git = text.strip_prefix("git::");
        let text = without_git.unwrap_or(text);
        let (place, query) = text.split_once('?').unwrap_or((text, ""));
        let (host, path) = host(place)?;
        let is_web = host.starts_with("http");
        let names_file = [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending));
        if without_git.is_none() && is_web && names_file && query.is_empty() && !path.contains("//") {
            return Some(Self::File(text.to_owned()));
        }
        let (repository, directory) = split(&host, path);
        let value = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value.to_owned()).next()
        };
        let reference = value("ref").or_else(|| value("version"));
        let directory = directory.trim_matches('/').to_owned();
        Some(Self::Directory(RemoteDirectory { repository: host + &repository, reference, directory }))
    }
}

/// The host with its scheme, up to where the path begins, and the path.
fn host(place: &str) -> Option<(String, &str)> {
    const GITHUB: &str = "https://github.com/";
    for short in ["gh:", "github.com/", "github.com:"] {
        if let Some(path) = place.strip_prefix(short) {
            return Some((GITHUB.to_owned(), path));
        }
    }
    if let Some((scheme, rest)) = place.split_once("://") {
        if scheme == "file" {
            return Some(("file://".to_owned(), rest));
        }
        if !["http", "https", "ssh"].contains(&scheme) {
            return None;
        }
        let (host, path) = rest.split_once('/')?;
        return Some((format!("{scheme}://{host}/"), path));
    }
    // As scp has it.
    let (host, path) = place.split_once(':')?;
    let is_host = host.contains('@') && !host.contains('/');
    is_host.then(|| (format!("ssh://{host}/"), path))
}

/// The path of the repository, and the directory in it.
fn split(host: &str, path: &str) -> (String, String) {
    if let Some((repository, directory)) = path.split_once("//") {
        return (repository.to_owned(), directory.to_owned());
    }
    if let Some(end) = path.find(".git/").map(|at| at + ".git".len()) {
        return (path[..end].to_owned(), path[end..].to_owned());
    }
    if host == "file://" || path.ends_with(".git") {
        return (path.to_owned(), String::new());
    }
    // Azure has a project between the owner and the repository.
    let parts = if path.contains("/_git/") { 4 } else { 2 };
    match path.match_indices('/').nth(parts - 1) {
        Some((end, _)) => (path[..end].to_owned(), path[end..].to_owned()),
        None => (path.to_owned(), String::new()),
    }
}

/// The fetched tree that a path is in.
pub(crate) fn remote_of(path: &TreePath) -> Option<&str> {
    path.as_str().split('/').next().filter(|first| first.starts_with(REMOTE))
}

/// A path of a tree as people know it: where the tree is a whole disk, it begins with a slash.
#[must_use]
pub fn shown_path(tree: &dyn FileTree, path: &TreePath) -> String {
    match tree.prefix() {
        "" => path.to_string(),
        _ if remote_of(path).is_some() => path.to_string(),
        prefix => format!("{prefix}{}", path.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split_as_kustomize_splits_them() {
        for (text, repository, reference, directory) in [
            ("https://github.com/org/repo//deploy/base?ref=v1", "https://github.com/org/repo", "v1", "deploy/base"),
            ("https://github.com/org/repo/deploy?ref=v1&timeout=90s", "https://github.com/org/repo", "v1", "deploy"),
            ("github.com/org/repo", "https://github.com/org/repo", "", ""),
            ("gh:org/repo//a", "https://github.com/org/repo", "", "a"),
            ("git@example.com:team/repo.git//a/b?ref=main", "ssh://git@example.com/team/repo.git", "main", "a/b"),
            ("ssh://git@example.com:22/team/repo.git/a", "ssh://git@example.com:22/team/repo.git", "", "a"),
            ("git::https://example.com/a/b/c.git?version=2", "https://example.com/a/b/c.git", "2", ""),
            ("https://example.com/owner/project/_git/repo/a", "https://example.com/owner/project/_git/repo", "", "a"),
            ("file:///srv/repo//a?ref=x", "file:///srv/repo", "x", "a"),
        ] {
            let expected = RemoteDirectory {
                repository: repository.to_owned(),
                reference: Some(reference.to_owned()).filter(|name| !name.is_empty()),
                directory: directory.to_owned(),
            };
            assert_eq!(RemoteUrl::parse(text), Some(RemoteUrl::Directory(expected)), "{text}");
        }
        let file = "https://example.com/a/b.yaml";
        assert_eq!(RemoteUrl::parse(file), Some(RemoteUrl::File(file.to_owned())));
        for path in ["../base", "a.yaml", "./github.com/x", "a:b.yaml", "ftp://a/b"] {
            assert_eq!(RemoteUrl::parse(path), None, "{path}");
        }
    }
}
