//! From typed structures to values.

use serde::Serialize;

use crate::{Value, parse_json};

/// Turns a typed structure into a value.
///
/// # Errors
/// If the structure has map keys that are no text, or fails to serialise itself.
pub fn to_value<T: Serialize + ?Sized>(structure: &T) -> Result<Value, EncodeError> {
    let text = serde_json::to_vec(structure).map_err(EncodeError)?;
    parse_json(&text).map_err(EncodeError)
}

/// A structure that has no JSON form.
#[derive(Debug, thiserror::Error)]
#[error("cannot be written as JSON")]
pub struct EncodeError(#[source] serde_json::Error);
