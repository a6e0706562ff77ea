//! What can go wrong with a Git repository.

use std::io;
use std::time::Duration;

use soll_api::{Class, Failure, Retry};
use soll_tree::{LimitError, ReadError, TreeError};

/// A Git operation that failed. URLs in it carry no credentials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// The URL is none that we can use.
    #[error("`{url}` is not a usable Git URL: {why}")]
    Url {
        /// As written, without credentials.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// Credentials, certificates or proxy settings make no sense.
    #[error("{0}")]
    Credentials(String),
    /// No connection, or the server is in trouble.
    #[error("cannot reach {url}: {why}")]
    Unreachable {
        /// The repository.
        url: String,
        /// The cause, innermost last.
        why: String,
    },
    /// It took too long.
    #[error("{url} did not answer within {}s; see spec.timeout", after.as_secs_f32())]
    Timeout {
        /// The repository.
        url: String,
        /// The time given.
        after: Duration,
    },
    /// The server refuses us.
    #[error("{url} denies access: {why}")]
    Denied {
        /// The repository.
        url: String,
        /// What was refused, and what would help.
        why: String,
    },
    /// The server knows no such repository.
    #[error("{url} does not exist, or is not visible with these credentials")]
    NotFound {
        /// The repository.
        url: String,
    },
    /// The repository has no such branch, tag, ref or commit.
    #[error("{url} has no {reference}{}", hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default())]
    NoSuchReference {
        /// The repository.
        url: String,
        /// What was looked for: "branch `main`".
        reference: String,
        /// What is there instead.
        hint: Option<String>,
    },
    /// The reference makes no sense.
    #[error("{0}")]
    Reference(String),
    /// The repository has no commits.
    #[error("{url} has no commits yet")]
    Empty {
        /// The repository.
        url: String,
    },
    /// The server, or the repository, does not keep to the rules.
    #[error("{url} does not speak proper Git: {why}")]
    Protocol {
        /// The repository.
        url: String,
        /// What was wrong.
        why: String,
    },
    /// The repository needs something that is not supported.
    #[error("{url}: {what} is not supported")]
    Unsupported {
        /// The repository.
        url: String,
        /// The feature.
        what: String,
    },
    /// The repository passes a limit.
    #[error("{url}: {limit}")]
    Limit {
        /// The repository.
        url: String,
        /// Which limit.
        limit: String,
    },
    /// Our own disk.
    #[error("cannot use the Git cache: {0}")]
    Storage(String),
    /// Our own disk has no room.
    #[error("the disk of the Git cache is full: {0}")]
    Full(String),
}

impl GitError {
    /// The condition reason that Flux gives to such a failure.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Url { .. } => "URLInvalid",
            Self::Credentials(_) => "AuthenticationFailed",
            Self::Empty { .. } => "EmptyGitRepository",
            Self::Storage(_) | Self::Full(_) => "DirectoryCreationFailed",
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::NoSuchReference { .. }
            | Self::Reference(_)
            | Self::Protocol { .. }
            | Self::Unsupported { .. }
            | Self::Limit { .. } => "GitOperationFailed",
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Denied { .. } | Self::Protocol { .. } => {
                Class::SourceUnreachable
            }
            Self::Url { .. }
            | Self::Credentials(_)
            | Self::NotFound { .. }
            | Self::NoSuchReference { .. }
            | Self::Reference(_)
            | Self::Empty { .. }
            | Self::Unsupported { .. }
            | Self::Limit { .. } => Class::Configuration,
            Self::Storage(_) | Self::Full(_) => Class::Internal,
        }
    }

    pub(crate) fn protocol(url: &str, why: impl Into<String>) -> Self {
        Self::Protocol { url: url.to_owned(), why: why.into() }
    }

    pub(crate) fn limit(url: &str, limit: &LimitError) -> Self {
        Self::Limit { url: url.to_owned(), limit: limit.to_string() }
    }

    pub(crate) fn tree(url: &str, error: &TreeError) -> Self {
        Self::protocol(url, error.to_string())
    }

    /// An error of the disk where much is written.
    pub(crate) fn disk(error: io::Error) -> Self {
        if is_full(&error) { Self::Full(error.to_string()) } else { Self::storage(error) }
    }

    pub(crate) fn storage(error: impl std::fmt::Display) -> Self {
        Self::Storage(error.to_string())
    }
}

/// Whether freeing space would help.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<GitError> for Failure {
    fn from(error: GitError) -> Self {
        let retry = match &error {
            GitError::Url { .. } => Retry::OnChange,
            _ => Retry::Backoff,
        };
        Self::new(error.class(), error.reason(), error.to_string(), retry)
    }
}

impl From<ReadError> for GitError {
    fn from(error: ReadError) -> Self {
        Self::storage(error)
    }
}
