//! OpenAPI v3 documents, made from the schema table.

use http::{HeaderMap, Response};

use crate::resources::Table;
use crate::rest::Body;

/// Answers paths below `/openapi`.
pub(crate) fn answer(_table: &Table, _path: &str, _headers: &HeaderMap) -> Option<Response<Body>> {
    None
}
