//! Where records are kept: Secrets or ConfigMaps, in the format of Helm.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use soll_yaml::{Map, Value, parse_json, to_json};

use super::{Release, Status};

/// The labels that are Helm's own.
const SYSTEM_LABELS: [&str; 6] = ["name", "owner", "status", "version", "createdAt", "modifiedAt"];

/// What records are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Secrets of type `helm.sh/release.v1`, the default of Helm.
    Secrets,
    /// ConfigMaps.
    ConfigMaps,
}

/// Why a record is written, with the time in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// It is new.
    Created(i64),
    /// It was there.
    Modified(i64),
}

/// An object that is no record of a release.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No `data.release`.
    #[error("it has no data.release")]
    Missing,
    /// Not base64.
    #[error("data.release is not base64")]
    Base64(#[source] base64::DecodeError),
    /// Not gzip.
    #[error("data.release is not gzip")]
    Gzip(#[source] std::io::Error),
    /// Unpacks to more than may be.
    #[error("data.release is larger than {limit} bytes")]
    TooLarge {
        /// How many bytes it may have.
        limit: u64,
    },
    /// Not JSON.
    #[error("data.release is not JSON")]
    Json(#[source] serde_json::Error),
    /// Not the JSON of a release.
    #[error("data.release is no release: {0}")]
    Shape(String),
}

/// The name of the object that keeps a revision.
#[must_use]
pub fn record_name(release: &str, version: i64) -> String {
    format!("sh.helm.release.v1.{release}.v{version}")
}

impl Release {
    /// The object that keeps this revision, in the namespace of the storage.
    #[must_use]
    pub fn to_object(&self, storage: Storage, storage_namespace: &str, stamp: Stamp) -> Value {
        let mut labels: Map =
            self.labels.iter().map(|(key, text)| (key.as_str(), Value::from(text.as_str()))).collect();
        let (stamp, seconds) = match stamp {
            Stamp::Created(seconds) => ("createdAt", seconds),
            Stamp::Modified(seconds) => ("modifiedAt", seconds),
        };
        labels.insert(stamp, Value::from(seconds.to_string()));
        labels.insert("name", Value::from(self.name.as_str()));
        labels.insert("owner", Value::from("helm"));
        labels.insert("status", Value::from(self.info.status.as_str()));
        labels.insert("version", Value::from(self.version.to_string()));
        let metadata = Map::from_iter([
            ("name", Value::from(record_name(&self.name, self.version))),
            ("namespace", Value::from(storage_namespace)),
            ("labels", labels.into()),
        ]);
        let text = encode(&to_json(&self.to_value()));
        let (kind, text) = match storage {
            Storage::Secrets => ("Secret", STANDARD.encode(text)),
            Storage::ConfigMaps => ("ConfigMap", text),
        };
        let mut object = Map::from_iter([
            ("apiVersion", Value::from("v1")),
            ("kind", Value::from(kind)),
            ("metadata", metadata.into()),
        ]);
        if storage == Storage::Secrets {
            object.insert("type", Value::from("helm.sh/release.v1"));
        }
        object.insert("data", Map::from_iter([("release", Value::from(text))]).into());
        object.into()
    }

    /// Reads the object that keeps a revision, a Secret or a ConfigMap; unpacked it may have so many bytes.
    ///
    /// # Errors
    /// See [`RecordError`].
    pub fn from_object(object: &Value, limit: u64) -> Result<Self, RecordError> {
        let text = object.lookup_str(&["data", "release"]).ok_or(RecordError::Missing)?;
        let is_secret = object.lookup_str(&["kind"]) == Some("Secret")
            || object.lookup_str(&["type"]) == Some("helm.sh/release.v1");
        let json = if is_secret {
            decode(&STANDARD.decode(text).map_err(RecordError::Base64)?, limit)?
        } else {
            decode(text.as_bytes(), limit)?
        };
        let mut value = parse_json(&json).map_err(RecordError::Json)?;
        for key in ["config", "chart"] {
            // What came through JSON are floats to templates.
            if let Some(part) = value.get_mut(key) {
                crate::load::floats(part);
            }
        }
        let mut release = Self::from_value(&value).map_err(RecordError::Shape)?;
        let labels = object.lookup(&["metadata", "labels"]).and_then(Value::as_map);
        for entry in labels.into_iter().flat_map(|labels| labels.iter()) {
            if let Some(text) = entry.value.as_str().filter(|_| !SYSTEM_LABELS.contains(&entry.key.as_str())) {
                release.labels.insert(entry.key.to_string(), text.to_owned());
            }
        }
        Ok(release)
    }
}

/// Revisions to delete so that at most `keep` remain, oldest first; the newest that is deployed always remains.
///
/// Takes revisions with their states, in any order. No limit if `keep` is nothing.
#[must_use]
pub fn prunable(history: &[(i64, Status)], keep: Option<usize>) -> Vec<i64> {
    let Some(keep) = keep else { return Vec::new() };
    let deployed = history.iter().filter(|(_, status)| *status == Status::Deployed).map(|(version, _)| *version).max();
    let mut versions: Vec<i64> = history.iter().map(|(version, _)| *version).collect();
    versions.sort_unstable();
    let surplus = versions.len().saturating_sub(keep);
    versions.into_iter().filter(|version| Some(*version) != deployed).take(surplus).collect()
}

fn encode(json: &str) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(json.as_bytes()).expect("memory takes everything");
    STANDARD.encode(gzip.finish().expect("memory takes everything"))
}

/// Records from before compression are plain JSON.
fn decode(text: &[u8], limit: u64) -> Result<Vec<u8>, RecordError> {
    let bytes = STANDARD.decode(text).map_err(RecordError::Base64)?;
    let mut json = Vec::new();
    if bytes.starts_with(&[0x1f, 0x8b, 0x08]) {
        GzDecoder::new(bytes.as_slice()).take(limit + 1).read_to_end(&mut json).map_err(RecordError::Gzip)?;
    } else {
        json = bytes;
    }
    if json.len() as u64 > limit {
        return Err(RecordError::TooLarge { limit });
    }
    Ok(json)
}
