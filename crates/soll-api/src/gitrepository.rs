//! `GitRepository` of `source.toolkit.fluxcd.io/v1`.

use serde::{Deserialize, Serialize};
use soll_yaml::{DecodeError, Value, from_value};

use crate::text::set_text;
use crate::{Artifact, Conditions, Duration, LocalRef, Metadata, Resource};

/// Where manifests come from: a Git repository and the revision of it that counts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct GitRepository {
    /// Name, generation and so on.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: GitRepositorySpec,
    /// What is.
    #[serde(default)]
    pub status: GitRepositoryStatus,
}

impl Resource for GitRepository {
    const GROUP: &'static str = "source.toolkit.fluxcd.io";
    const VERSION: &'static str = "v1";
    const KIND: &'static str = "GitRepository";
    const PLURAL: &'static str = "gitrepositories";

    fn decode(value: &Value) -> Result<Self, DecodeError> {
        from_value(value)
    }

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// What is wanted of a [`GitRepository`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitRepositorySpec {
    /// `http://`, `https://` or `ssh://`.
    pub url: String,
    /// How often to look for a new revision.
    pub interval: Duration,
    /// Limit of each Git operation.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Credentials.
    #[serde(default)]
    pub secret_ref: Option<LocalRef>,
    /// Whose way of authenticating to use.
    #[serde(default)]
    pub provider: GitProvider,
    /// Identity for cloud providers.
    #[serde(default, deserialize_with = "set_text")]
    pub service_account_name: Option<String>,
    /// Which revision.
    #[serde(default)]
    pub r#ref: GitReference,
    /// Signatures to demand.
    #[serde(default)]
    pub verify: Option<GitVerification>,
    /// Proxy address and credentials.
    #[serde(default)]
    pub proxy_secret_ref: Option<LocalRef>,
    /// Lines of ignore rules, on top of those in the repository.
    #[serde(default)]
    pub ignore: Option<String>,
    /// Whether to leave everything as it is.
    #[serde(default)]
    pub suspend: bool,
    /// Whether to fetch submodules too.
    #[serde(default)]
    pub recurse_submodules: bool,
    /// Other repositories to copy in.
    #[serde(default)]
    pub include: Vec<GitInclude>,
    /// The directories to keep; all if empty.
    #[serde(default)]
    pub sparse_checkout: Vec<String>,
}

fn default_timeout() -> Duration {
    Duration::from_secs(60)
}

/// Whose way of authenticating to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GitProvider {
    /// Secrets.
    #[default]
    Generic,
    /// Workload identity of AWS.
    Aws,
    /// Workload identity of Azure.
    Azure,
    /// A GitHub App.
    Github,
}

/// Which revision of a repository. Of several, commit wins over name, tag, semver and branch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct GitReference {
    /// Branch; `master` if nothing else is said.
    #[serde(deserialize_with = "set_text")]
    pub branch: Option<String>,
    /// Tag.
    #[serde(deserialize_with = "set_text")]
    pub tag: Option<String>,
    /// Range over tags.
    #[serde(deserialize_with = "set_text")]
    pub semver: Option<String>,
    /// Full reference name: `refs/pull/1/head`.
    #[serde(deserialize_with = "set_text")]
    pub name: Option<String>,
    /// Commit.
    #[serde(deserialize_with = "set_text")]
    pub commit: Option<String>,
}

/// Signatures to demand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitVerification {
    /// `HEAD`, `Tag` or `TagAndHEAD`; `head` means `HEAD`.
    #[serde(default = "default_mode")]
    pub mode: String,
    /// Public keys.
    pub secret_ref: LocalRef,
}

fn default_mode() -> String {
    "HEAD".to_owned()
}

/// Another repository to copy in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitInclude {
    /// Which.
    pub repository: LocalRef,
    /// What of it; all if unset.
    #[serde(default, deserialize_with = "set_text", skip_serializing_if = "Option::is_none")]
    pub from_path: Option<String>,
    /// Where to; a directory of the repository's name if unset.
    #[serde(default, deserialize_with = "set_text", skip_serializing_if = "Option::is_none")]
    pub to_path: Option<String>,
}

/// What is known of a [`GitRepository`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GitRepositoryStatus {
    /// Generation that was last reconciled; -1 if none.
    pub observed_generation: i64,
    /// Value of the request annotation that was last answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Conditions.
    pub conditions: Conditions,
    /// The last good artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// The artifacts that were copied in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub included_artifacts: Vec<Artifact>,
    /// `spec.ignore` as of the artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_ignore: Option<String>,
    /// `spec.recurseSubmodules` as of the artifact.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub observed_recurse_submodules: bool,
    /// `spec.include` as of the artifact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_include: Vec<GitInclude>,
    /// `spec.sparseCheckout` as of the artifact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub observed_sparse_checkout: Vec<String>,
    /// Mode of the last good verification.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_verification_mode: Option<String>,
}
