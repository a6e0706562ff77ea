//! Texts of specs.

use serde::{Deserialize, Deserializer};

/// Reads a text that counts as unset if it is empty: in Go's types there is no other way to leave one out, and templates write
/// `namespace: ""`.
pub(crate) fn set_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.filter(|text: &String| !text.is_empty()))
}
