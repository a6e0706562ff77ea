//! Writing answers.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use soll_yaml::{Map, Value};

use super::negotiate::{Accepted, Format, Shape};
use super::options::IncludeObject;
use crate::refusal::Refusal;
use crate::resources::Resource;
use crate::store::Entry;
use crate::{kinds, meta, table};

/// The body of every answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Bytes as a body.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// An answer with headers that all answers have.
pub(crate) fn answer(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).expect("codes are written in this crate and valid");
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// An answer of JSON.
pub(crate) fn json(code: u16, value: &impl serde::Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(value).expect("answers have text keys and finite numbers");
    answer(code, "application/json", full(bytes))
}

/// An answer of plain text.
pub(crate) fn text(code: u16, text: impl Into<String>) -> Response<Body> {
    answer(code, "text/plain; charset=utf-8", full(text.into()))
}

/// A refusal as a `Status`.
pub(crate) fn refusal(refusal: &Refusal) -> Response<Body> {
    let mut response = json(refusal.code, &refusal.status());
    if let Some(seconds) = refusal.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A value in the format that was asked for.
pub(crate) fn value(code: u16, value: &Value, format: Format) -> Response<Body> {
    match format {
        Format::Json => answer(code, "application/json", full(soll_yaml::to_json(value))),
        Format::Yaml => answer(code, "application/yaml", full(soll_yaml::emit_yaml(value))),
    }
}

/// One object in the form that was asked for.
pub(crate) fn object(
    code: u16,
    resource: &Resource,
    stored: &Value,
    accepted: Accepted,
    include: IncludeObject,
) -> Result<Response<Body>, Refusal> {
    let shown = match accepted.shape {
        Shape::Full => resource.shown(stored),
        Shape::Metadata => partial(&resource.shown(stored)),
        Shape::MetadataList => {
            return Err(Refusal::not_acceptable("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"));
        }
        Shape::Table => {
            let list_meta = Map::from_iter([("resourceVersion", Value::str(meta::text(stored, "resourceVersion")))]);
            table::table(resource, &[resource.tabled(stored)], list_meta, include)
        }
    };
    Ok(value(code, &shown, accepted.format))
}

/// A list in the form that was asked for; `list_meta` is its metadata.
pub(crate) fn list<'e>(
    resource: &Resource,
    entries: impl Iterator<Item = &'e Entry>,
    mut list_meta: Map,
    accepted: Accepted,
    include: IncludeObject,
) -> Result<Response<Body>, Refusal> {
    if resource.custom.is_some() && accepted.shape == Shape::Full {
        // Custom resources always say how to go on, if only that there is no more.
        list_meta.get_or_insert_with("continue", || Value::str(""));
    }
    let present = |entry: &Entry| resource.shown(&entry.value);
    let shown = match accepted.shape {
        Shape::Full => {
            let items = entries.map(|entry| item(resource, present(entry))).collect();
            list_of(&resource.list_kind, &resource.api_version(), list_meta, items)
        }
        Shape::MetadataList => {
            let items = entries.map(|entry| partial(&present(entry))).collect();
            list_of("PartialObjectMetadataList", "meta.k8s.io/v1", list_meta, items)
        }
        Shape::Metadata => {
            return Err(Refusal::not_acceptable("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"));
        }
        Shape::Table => {
            let objects: Vec<Value> = entries.map(|entry| resource.tabled(&entry.value)).collect();
            table::table(resource, &objects, list_meta, include)
        }
    };
    Ok(value(200, &shown, accepted.format))
}

/// An object as it stands in a list: the list tells the type of builtin kinds, custom resources tell their own.
fn item(resource: &Resource, mut object: Value) -> Value {
    if resource.custom.is_none() {
        let top = object.make_map();
        top.remove("kind");
        top.remove("apiVersion");
    }
    object
}

fn list_of(kind: &str, api_version: &str, list_meta: Map, items: Vec<Value>) -> Value {
    Map::from_iter([
        ("kind", Value::str(kind)),
        ("apiVersion", Value::str(api_version)),
        ("metadata", list_meta.into()),
        ("items", Value::list(items)),
    ])
    .into()
}

/// The object without anything but its metadata.
pub(crate) fn partial(object: &Value) -> Value {
    let mut metadata = object.get("metadata").cloned().unwrap_or_else(Value::map);
    kinds::forget_internal_metadata(&mut metadata);
    Map::from_iter([
        ("kind", Value::str("PartialObjectMetadata")),
        ("apiVersion", Value::str("meta.k8s.io/v1")),
        ("metadata", metadata),
    ])
    .into()
}
