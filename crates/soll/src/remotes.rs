//! What kustomizations name by URL, fetched for `soll kustomize`.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use soll_kustomize::{REMOTE, Remotes};
use soll_source::Secret;
use soll_source::git::{self, Credentials, Fetched, GitCache, GitError, Reference, Remote, Tls};
use soll_tree::{Limits, MountedTree, SharedTree, Tree, TreePath};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::credentials::{self, Ssh};

/// How long one repository or file may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A file that is larger is no manifest.
const LARGEST_FILE: usize = 64 << 20;

/// A tree with what its kustomizations name by URL: fetched once, when it is asked for, and kept until the end.
pub(crate) struct RemoteTree {
    pub(crate) tree: MountedTree,
    fetched: Mutex<Fetches>,
}

/// What was fetched, and what fetching takes.
#[derive(Default)]
struct Fetches {
    /// The directory in the tree of each URL, a repository with its reference.
    directories: HashMap<String, String>,
    /// Started by the first that is fetched; most builds fetch nothing.
    network: Option<Network>,
}

/// What fetching takes.
struct Network {
    runtime: Runtime,
    /// Objects of repositories, a folder for each.
    cache: TempDir,
}

impl RemoteTree {
    pub(crate) fn new(base: SharedTree) -> Self {
        Self { tree: MountedTree::new(base), fetched: Mutex::default() }
    }

    /// Lets the tree of a URL appear under a name that people know it by, unless it is there already. What else would have
    /// the same name gets a number.
    fn mounted(
        &self,
        url: String,
        name: &str,
        fetch: impl FnOnce(&Network, &str) -> anyhow::Result<SharedTree>,
    ) -> anyhow::Result<TreePath> {
        // Held while something is fetched: a build asks for one thing after the other.
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = fetched.directories.get(&url) {
            return Ok(directory.parse()?);
        }
        let mut directory = format!("{REMOTE}{}", name.replace('/', ":"));
        if self.tree.has_mount(&directory) {
            directory += &format!("~{}", fetched.directories.len());
        }
        if fetched.network.is_none() {
            let cache = tempfile::tempdir().context("cannot make a temporary directory")?;
            fetched.network = Some(Network { runtime: crate::runtime()?, cache });
        }
        let network = fetched.network.as_ref().expect("it was just started");
        self.tree.mount(&directory, fetch(network, &directory)?);
        let path = directory.parse()?;
        fetched.directories.insert(url, directory);
        Ok(path)
    }
}

impl fmt::Debug for RemoteTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree.fmt(f)
    }
}

impl Remotes for RemoteTree {
    fn repository(&self, url: &str, reference: Option<&str>) -> Result<TreePath, String> {
        let reference_or_head = reference.unwrap_or("HEAD");
        let name = format!("{}@{reference_or_head}", place(url));
        let fetched = self.mounted(format!("{url}@{reference_or_head}"), &name, |network, directory| {
            let cache = network.cache.path().join(directory);
            let fetched = network.runtime.block_on(repository(url, reference, &cache))?;
            Ok(Arc::new(fetched.tree))
        });
        fetched.map_err(|error| format!("{error:#}"))
    }

    fn file(&self, url: &str) -> Result<TreePath, String> {
        let name = url.rsplit('/').next().unwrap_or(url);
        let fetched = self.mounted(url.to_owned(), &place(url), |network, _| {
            let bytes = network.runtime.block_on(file(url))?;
            Ok(Arc::new(Tree::in_memory([(name, bytes)])?))
        });
        let path = fetched.and_then(|directory| Ok(directory.join(name)?));
        path.map_err(|error| format!("{error:#}"))
    }
}

/// A URL as names of directories have it: without scheme, and without the user and password that it may have.
fn place(url: &str) -> String {
    let shown = git::redacted(url);
    shown.split_once("://").map_or(shown.as_str(), |(_, place)| place).to_owned()
}

async fn repository(url: &str, reference: Option<&str>, cache: &Path) -> anyhow::Result<Fetched> {
    let limits = Limits::default();
    if let Some(path) = url.strip_prefix("file://") {
        return first_of(&references(reference)?, async |reference| git::local(Path::new(path), reference, &limits))
            .await;
    }
    let remote = Remote::new(url, &credentials(url)?, &Tls::default(), None)?;
    let cache = GitCache::open(cache)?;
    first_of(&references(reference)?, async |reference| git::fetch(&remote, reference, &cache, &limits, PATIENCE).await)
        .await
}

/// What the user's ssh knows, or git's credential helpers.
fn credentials(url: &str) -> anyhow::Result<Credentials> {
    if url.starts_with("ssh://") {
        let agent = credentials::ssh_agent();
        let Ssh { known_hosts, identity } = Ssh::of_user(url, agent.as_deref())?;
        return Ok(Credentials::Ssh { identity: identity.map(Secret::new), passphrase: None, known_hosts, agent });
    }
    Ok(match credentials::of_helpers(url)? {
        Some((username, password)) => Credentials::Basic { username, password: Secret::new(password) },
        None => Credentials::Anonymous,
    })
}

/// What a name may mean: `git fetch` prefers tags to branches.
fn references(name: Option<&str>) -> anyhow::Result<Vec<Reference>> {
    let Some(name) = name else { return Ok(vec![Reference::Name("HEAD".to_owned())]) };
    if name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(vec![Reference::Commit { id: name.to_ascii_lowercase().parse()?, branch: None }]);
    }
    if name.starts_with("refs/") {
        return Ok(vec![Reference::Name(name.to_owned())]);
    }
    Ok(vec![Reference::Tag(name.to_owned()), Reference::Branch(name.to_owned())])
}

/// The first that there is.
async fn first_of(
    references: &[Reference],
    fetch: impl AsyncFn(&Reference) -> Result<Fetched, GitError>,
) -> anyhow::Result<Fetched> {
    let mut missing = None;
    for reference in references {
        match fetch(reference).await {
            Err(error @ GitError::NoSuchReference { .. }) => missing = Some(error),
            fetched => return Ok(fetched?),
        }
    }
    Err(missing.expect("there is at least one reference").into())
}

async fn file(url: &str) -> anyhow::Result<Vec<u8>> {
    let shown = git::redacted(url);
    let get = async {
        // The error would name the URL with all that it has.
        let response = reqwest::get(url).await.and_then(reqwest::Response::error_for_status);
        let mut response = response.map_err(reqwest::Error::without_url).with_context(|| shown.clone())?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST_FILE {
                bail!("{shown}: more than {LARGEST_FILE} bytes");
            }
        }
        Ok(bytes)
    };
    tokio::time::timeout(PATIENCE, get).await.with_context(|| format!("{shown}: no answer within {PATIENCE:?}"))?
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use soll_tree::FileTree as _;

    use super::*;

    #[test]
    fn what_has_the_same_name_is_told_apart() {
        let shared = |text: &str| -> SharedTree { Arc::new(Tree::in_memory([("a", text)]).unwrap()) };
        let tree = RemoteTree::new(shared("disk"));
        let read = |url: &str, text: &str| {
            let directory = tree.mounted(url.to_owned(), &place(url), |_, _| Ok(shared(text))).unwrap();
            String::from_utf8(tree.tree.read(&directory.join("a").unwrap()).unwrap().to_vec()).unwrap()
        };
        assert_eq!(read("http://host/x", "http"), "http");
        assert_eq!(read("https://host/x", "https"), "https");
        assert_eq!(read("http://me:secret@host/x", "mine"), "mine");
        assert_eq!(read("http://host/x", "not asked for again"), "http");
        assert!(!format!("{tree:?}").contains("secret"));
    }
}
