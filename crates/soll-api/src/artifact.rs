//! Artifacts: what a source produced, and where to get it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;

/// A stored archive of one revision of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Path relative to the root of the store: `gitrepository/flux-system/podinfo/<commit>.tar.gz`.
    pub path: String,
    /// Where consumers download it.
    pub url: String,
    /// The source's revision: `master@sha1:<commit>`.
    pub revision: String,
    /// `sha256:<hex>` of the stored file.
    pub digest: String,
    /// When it was written.
    pub last_update_time: Time,
    /// Size of the stored file in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// Annotations of the upstream.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Artifact {
    /// The revision that this artifact was made from, if a producer recorded it.
    #[must_use]
    pub fn origin_revision(&self) -> Option<&str> {
        self.metadata.get("org.opencontainers.image.revision").map(String::as_str)
    }
}
