//! Artifacts that another source-controller serves.

use std::io::{BufReader, Seek as _, SeekFrom};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use soll_api::{Class, Failure, Retry, with_causes};
use soll_tree::{ArchiveError, Limits, Links, Tree, read_archive};
use tokio::io::AsyncWriteExt as _;

use crate::blocking;
use crate::git::redacted;

/// Downloads artifacts, with retries. Keeps connections between downloads.
#[derive(Debug, Clone)]
pub struct Downloader {
    client: reqwest::Client,
    options: DownloadOptions,
}

/// How patient a [`Downloader`] is.
#[derive(Debug, Clone, Copy)]
pub struct DownloadOptions {
    /// Attempts after the first one. Default: 9, as Flux.
    pub retries: u32,
    /// The pause before the second attempt, doubling up to `max_pause`. Default: 0.5 s.
    pub pause: Duration,
    /// Default: 5 s.
    pub max_pause: Duration,
    /// For one attempt. Default: 60 s.
    pub timeout: Duration,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            retries: 9,
            pause: Duration::from_millis(500),
            max_pause: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
        }
    }
}

/// An artifact that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server does not have it (any more): its producer is about to announce another one.
    #[error("artifact {0} does not exist")]
    NotFound(String),
    /// No connection, a server in trouble, too slow.
    #[error("cannot download {url}: {why}")]
    Unreachable {
        /// The artifact.
        url: String,
        /// The cause.
        why: String,
    },
    /// The content is not what was announced.
    #[error("{url} has the digest {found} instead of {expected}")]
    Digest {
        /// The artifact.
        url: String,
        /// What was announced.
        expected: String,
        /// What came.
        found: String,
    },
    /// A digest that we cannot compute.
    #[error("the digest `{0}` is of an algorithm that is not supported; sha256 is")]
    Algorithm(String),
    /// Larger than allowed.
    #[error("{url} is larger than {limit} bytes")]
    TooLarge {
        /// The artifact.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// Not an archive that we take.
    #[error("{url}: {source}")]
    Archive {
        /// The artifact.
        url: String,
        /// The cause.
        source: ArchiveError,
    },
    /// Our own disk.
    #[error("cannot keep the download: {0}")]
    Disk(#[from] std::io::Error),
}

impl DownloadError {
    fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl From<DownloadError> for Failure {
    fn from(error: DownloadError) -> Self {
        let (class, retry) = match &error {
            DownloadError::NotFound(_) => (Class::Dependency, Retry::After(Duration::from_secs(30))),
            DownloadError::Unreachable { .. } => (Class::SourceUnreachable, Retry::AtRetryInterval),
            DownloadError::Digest { .. } => (Class::SourceUnreachable, Retry::AtRetryInterval),
            DownloadError::Algorithm(_) | DownloadError::TooLarge { .. } | DownloadError::Archive { .. } => {
                (Class::Configuration, Retry::AtRetryInterval)
            }
            DownloadError::Disk(_) => (Class::Internal, Retry::AtRetryInterval),
        };
        Self::new(class, "ArtifactFailed", error.to_string(), retry)
    }
}

impl Downloader {
    /// A downloader that uses the proxy variables of the environment.
    ///
    /// # Errors
    /// If the TLS library cannot be set up.
    pub fn new(options: DownloadOptions) -> Result<Self, DownloadError> {
        let client = reqwest::Client::builder()
            .timeout(options.timeout)
            .user_agent(concat!("soll/", env!("CARGO_PKG_VERSION")))
            // The bytes are what is digested: nothing may unpack them on the way.
            .no_gzip()
            .build()
            .map_err(|error| unreachable("the network", &error))?;
        Ok(Self { client, options })
    }

    /// The tree of an artifact, in memory, after its digest was checked.
    ///
    /// # Errors
    /// See [`DownloadError`].
    ///
    /// # Cancel safety
    /// May be dropped at any time; nothing stays behind.
    pub async fn fetch_artifact(&self, url: &str, digest: &str, limits: &Limits) -> Result<Tree, DownloadError> {
        let expected = digest.strip_prefix("sha256:").ok_or_else(|| DownloadError::Algorithm(digest.to_owned()))?;
        let mut pause = self.options.pause;
        let mut left = self.options.retries;
        let file = loop {
            match self.attempt(url, expected, limits).await {
                Err(error) if error.is_temporary() && left > 0 => {
                    tracing::debug!(%error, left, "trying the download again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(self.options.max_pause);
                    left -= 1;
                }
                result => break result?,
            }
        };
        let (shown, limits) = (redacted(url), *limits);
        blocking(move || {
            let mut file = file;
            file.seek(SeekFrom::Start(0))?;
            read_archive(BufReader::new(file), &limits, Links::Refuse)
                .map_err(|source| DownloadError::Archive { url: shown, source })
        })
        .await
    }

    /// Downloads into a file that has no name and vanishes with its handle.
    async fn attempt(&self, url: &str, expected: &str, limits: &Limits) -> Result<std::fs::File, DownloadError> {
        let shown = || redacted(url);
        let mut response = self.client.get(url).send().await.map_err(|error| unreachable(url, &error.without_url()))?;
        match response.status() {
            status if status.is_success() => {}
            reqwest::StatusCode::NOT_FOUND => return Err(DownloadError::NotFound(shown())),
            status => return Err(DownloadError::Unreachable { url: shown(), why: format!("it answers {status}") }),
        }
        let mut file = tokio::fs::File::from_std(tempfile::tempfile()?);
        let mut hash = Sha256::new();
        let mut size = 0;
        while let Some(bytes) = response.chunk().await.map_err(|error| unreachable(url, &error.without_url()))? {
            size += bytes.len() as u64;
            if size > limits.transfer_bytes {
                return Err(DownloadError::TooLarge { url: shown(), limit: limits.transfer_bytes });
            }
            hash.update(&bytes);
            file.write_all(&bytes).await?;
        }
        file.flush().await?;
        let found = hex::encode(hash.finalize());
        if found != expected {
            let (expected, found) = (format!("sha256:{expected}"), format!("sha256:{found}"));
            return Err(DownloadError::Digest { url: shown(), expected, found });
        }
        Ok(file.into_std().await)
    }
}

fn unreachable(url: &str, error: &reqwest::Error) -> DownloadError {
    DownloadError::Unreachable { url: redacted(url), why: with_causes(error) }
}
