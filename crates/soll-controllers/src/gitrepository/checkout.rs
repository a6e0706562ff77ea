//! The tree of an artifact: which of a commit's files it has, and how it is made again from the objects of the commit.

use std::path::PathBuf;

use soll_api::{Artifact, Class, Failure, GitRepository, Resource as _, Retry};
use soll_source::blocking;
use soll_source::git::{self, CommitId, GitError, Reference, Revision};
use soll_tree::{ContentId, Entry, IgnoreRules, Limits, Tree, TreePath};
use tracing::{debug, warn};

use super::remote::CachePlace;
use crate::context::Context;
use crate::{Key, Kind};

/// Which of a commit's files are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selection {
    ignore: Option<String>,
    sparse_checkout: Vec<String>,
}

impl Selection {
    /// What the spec asks for.
    pub(super) fn asked(repository: &GitRepository) -> Self {
        let spec = &repository.spec;
        Self { ignore: spec.ignore.clone(), sparse_checkout: spec.sparse_checkout.clone() }
    }

    /// What the stored artifact has.
    fn stored(repository: &GitRepository) -> Self {
        let status = &repository.status;
        Self { ignore: status.observed_ignore.clone(), sparse_checkout: status.observed_sparse_checkout.clone() }
    }

    /// The wanted part of a tree, on a blocking thread: it is patterns times files.
    pub(super) async fn of(self, tree: Tree) -> Result<Tree, Failure> {
        blocking(move || self.select(tree)).await
    }

    fn select(&self, mut tree: Tree) -> Result<Tree, Failure> {
        let failed =
            |reason: &str, message: String| Failure::new(Class::Configuration, reason, message, Retry::Backoff);
        if !self.sparse_checkout.is_empty() {
            let wrong =
                |why: String| failed("GitOperationFailed", format!("failed to sparse checkout directories: {why}"));
            let directories = self.sparse_checkout.iter().map(|directory| {
                let directory = directory.strip_prefix("./").unwrap_or(directory).trim_end_matches('/');
                directory.parse::<TreePath>().map_err(|error| wrong(error.to_string()))
            });
            let directories: Vec<_> = directories.collect::<Result<_, _>>()?;
            tree = tree.sparse(&directories).map_err(|error| wrong(error.to_string()))?;
        }
        let kept = IgnoreRules::of(&tree, self.ignore.as_deref()).and_then(|rules| rules.apply(&tree));
        kept.map_err(|error| failed("SourceIgnoreError", error.to_string()))
    }
}

/// What a stored artifact of ours was made from: its tree can be had again without reading the archive, and keeps no file in
/// memory.
pub(crate) struct Checkout {
    key: Key,
    revision: Revision,
    objects: Objects,
    selection: Selection,
}

/// Where the objects of the commit are.
enum Objects {
    Cache(CachePlace),
    /// In a repository on this machine.
    Local(PathBuf),
}

impl Checkout {
    /// How to make the tree of an artifact again; nothing if we did not make it, or if it is not what its source has stored now.
    pub(crate) fn of(source: &Key, artifact: &Artifact, ctx: &Context) -> Option<Self> {
        let ours = ctx.config.controllers.contains(&Kind::GitRepository)
            && ctx.leadership.holds(source)
            && ctx.artifacts.is_at_our_address(artifact);
        if !ours {
            return None;
        }
        let repository = GitRepository::from_object(&ctx.object(source)?).ok()?;
        let status = &repository.status;
        let of_one_commit = status.observed_include.is_empty() && !status.observed_recurse_submodules;
        if status.artifact.as_ref() != Some(artifact) || !of_one_commit {
            return None;
        }
        let objects = match ctx.local.path(&repository.spec.url, source) {
            Some(path) => Objects::Local(path),
            None => Objects::Cache(ctx.remotes.cache_place(source, &ctx.config.data_dir)),
        };
        Some(Self {
            key: source.clone(),
            revision: parse_revision(&artifact.revision)?,
            objects,
            selection: Selection::stored(&repository),
        })
    }

    /// The tree, on a blocking thread; nothing if the objects are not here, or not all of them.
    pub(crate) async fn tree(self) -> Option<Tree> {
        let key = self.key.clone();
        blocking(move || match self.read() {
            Ok(Some(tree)) => self
                .selection
                .select(tree)
                .inspect_err(|failure| warn!(%key, error = %failure, "what was stored cannot be selected again"))
                .ok(),
            Ok(None) => None,
            Err(error) => {
                debug!(%key, %error, "the commit of the artifact cannot be read again");
                None
            }
        })
        .await
    }

    /// Whether a file could not be read since, from where trees of it read.
    pub(super) async fn is_damaged(&self) -> bool {
        match &self.objects {
            Objects::Cache(place) => {
                let place = place.clone();
                blocking(move || place.is_damaged()).await
            }
            Objects::Local(_) => false,
        }
    }

    fn read(&self) -> Result<Option<Tree>, GitError> {
        let limits = Limits::default();
        match &self.objects {
            Objects::Cache(place) => {
                let Some(cache) = place.find()? else { return Ok(None) };
                Ok(git::cached(&cache, &self.revision, &limits)?.map(|fetched| fetched.tree))
            }
            Objects::Local(path) => {
                let Revision { name, commit } = self.revision.clone();
                let reference = Reference::Commit { id: commit, branch: name };
                git::local(path, &reference, &limits).map(|fetched| Some(fetched.tree))
            }
        }
    }
}

/// Whether the files of a tree lie in a Git repository rather than in memory.
pub(super) fn is_of_git(tree: &Tree) -> bool {
    let file = tree.walk().find_map(|(_, entry)| match entry {
        Entry::File(file) => Some(file),
        Entry::Directory => None,
    });
    file.is_none_or(|file| matches!(file.id, ContentId::GitSha1(_)))
}

/// Reads a revision as artifacts have it: `main@sha1:…`, or `sha1:…` without a name.
fn parse_revision(text: &str) -> Option<Revision> {
    let (name, commit) = match text.rsplit_once("@sha1:") {
        Some((name, commit)) => (Some(name.to_owned()), commit),
        None => (None, text.strip_prefix("sha1:")?),
    };
    Some(Revision { name, commit: commit.parse::<CommitId>().ok()? })
}
