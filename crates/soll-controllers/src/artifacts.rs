//! Artifacts: trees stored as archives and served, and trees read again from them: ours, or those of others.

use std::sync::Arc;

use axum::Router;
use soll_api::{Artifact, Class, Failure, Retry, Time};
use soll_source::git::Revision;
use soll_source::{DownloadOptions, Downloader, Retention, Slot, Store, Stored};
use soll_tree::{Limits, Tree};
use tokio::sync::OnceCell;
use tracing::{debug, warn};

use crate::Key;
use crate::config::EngineConfig;
use crate::openings::Openings;
use crate::seekers::Seekers;

/// The stored artifacts, and the way to those that another process serves. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Artifacts {
    store: Store,
    retries: u32,
    /// Made when first needed: an engine that serves its own sources needs none.
    downloader: Arc<OnceCell<Downloader>>,
    /// Who does not have what it seeks.
    pub(crate) seekers: Seekers,
    /// What is being opened.
    pub(crate) openings: Openings,
}

impl Artifacts {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let retention = Retention { keep_for: config.artifact_retention_ttl, keep: config.artifact_retention_records };
        let store = Store::new(&config.data_dir.join("artifacts"), retention);
        if let Some(address) = &config.artifact_advertise {
            store.advertise(address);
        }
        Self {
            store,
            retries: config.http_retry,
            downloader: Arc::default(),
            seekers: Seekers::default(),
            openings: Openings::default(),
        }
    }

    /// Says where the artifacts are served, unless it was configured.
    pub(crate) fn serve_at(&self, address: std::net::SocketAddr) {
        self.store.advertise(&address.to_string());
    }

    /// Serves the files, to anybody who asks.
    pub(crate) fn router(&self) -> Router {
        soll_source::router(&self.store)
    }

    /// Stores the tree of a revision. The same tree gives the same digest.
    pub(crate) async fn store(
        &self,
        key: &Key,
        revision: &Revision,
        tree: &Tree,
        now: Time,
    ) -> Result<Artifact, Failure> {
        let (slot, file) = (slot(key)?, format!("{}.tar.gz", revision.commit));
        Ok(self.store.store(&slot, &file, &revision.to_string(), tree, now).await?)
    }

    /// Removes what the status of a source does not name any more, after its time or beyond its number.
    pub(crate) async fn collect(&self, key: &Key, current: Option<&Artifact>) {
        let Ok(slot) = slot(key) else { return };
        match self.store.collect(&slot, current).await {
            Ok(removed) if removed.is_empty() => {}
            Ok(removed) => debug!(%key, ?removed, "old artifacts were removed"),
            Err(error) => warn!(%key, %error, "old artifacts cannot be removed"),
        }
    }

    /// Whether an artifact is where we serve ours.
    pub(crate) fn is_at_our_address(&self, artifact: &Artifact) -> bool {
        artifact.url == self.store.url(&artifact.path)
    }

    /// Whether a stored artifact is as it was written, under the address it would get now.
    pub(crate) async fn is_intact(&self, artifact: &Artifact) -> bool {
        if !self.is_at_our_address(artifact) {
            return false;
        }
        match self.store.check(artifact).await {
            Ok(Stored::Intact) => true,
            Ok(Stored::Missing) => false,
            Ok(Stored::Damaged) => {
                warn!(path = artifact.path, "an artifact was damaged on disk; it is made anew");
                false
            }
            Err(error) => {
                warn!(path = artifact.path, %error, "an artifact cannot be checked");
                false
            }
        }
    }

    /// Whether an artifact is at our address, and not in our store: the disk is another one than before.
    pub(crate) async fn is_lost(&self, artifact: &Artifact) -> bool {
        self.is_at_our_address(artifact) && matches!(self.store.is_missing(artifact).await, Ok(true))
    }

    /// The tree of an artifact: from our store if it is ours, else from where it is served.
    pub(crate) async fn open(&self, artifact: &Artifact) -> Result<Tree, Failure> {
        let limits = Limits::default();
        if self.is_at_our_address(artifact)
            && let Ok(tree) = self.store.open(artifact, &limits).await
        {
            return Ok(tree);
        }
        let options = DownloadOptions { retries: self.retries, ..DownloadOptions::default() };
        let downloader = self.downloader.get_or_try_init(|| async { Downloader::new(options) }).await?;
        Ok(downloader.fetch_artifact(&artifact.url, &artifact.digest, &limits).await?)
    }

    /// Removes all artifacts of an object that is gone.
    pub(crate) async fn remove(&self, key: &Key) {
        let Ok(slot) = slot(key) else { return };
        if let Err(error) = self.store.remove(&slot).await {
            warn!(%key, %error, "artifacts cannot be removed");
        }
    }
}

fn slot(key: &Key) -> Result<Slot, Failure> {
    Slot::new(key.kind.name(), &key.namespace, &key.name)
        .map_err(|error| Failure::new(Class::Internal, "InvalidPath", error.to_string(), Retry::Backoff))
}
