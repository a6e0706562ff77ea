//! Reading the bodies of requests.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use soll_yaml::{ParseOptions, SourceId, Value};

use crate::protobuf::{self, Type};
use crate::refusal::Refusal;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const READ: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// The media type of a body, without its parameters; JSON if none is given.
pub(crate) fn media_type(headers: &HeaderMap) -> &str {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match text.split(';').next().map(str::trim) {
        None | Some("") => "application/json",
        Some(media_type) => media_type,
    }
}

/// Reads an object; `expected` is what is sent there.
pub(crate) fn decode(headers: &HeaderMap, body: &[u8], expected: Type<'_>) -> Result<Value, Refusal> {
    let object = match media_type(headers) {
        "application/json" => json(body)?,
        "application/yaml" => yaml(body)?,
        PROTOBUF => protobuf::decode(body, expected)?,
        _ => return Err(Refusal::unsupported_media_type(READ)),
    };
    if object.as_map().is_none() {
        return Err(Refusal::bad_request(format!("expected an object, found {}", object.type_in_words())));
    }
    Ok(object)
}

/// The fields that stand more than once in a JSON body. Bodies of applies are read as YAML, which has words of its own.
pub(crate) fn repeated(headers: &HeaderMap, body: &[u8]) -> Vec<String> {
    match media_type(headers) {
        "application/json" | "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
            super::duplicates::duplicates(body)
        }
        _ => Vec::new(),
    }
}

/// The first key that stands more than once in a YAML body, as a sentence.
pub(crate) fn repeated_in_yaml(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let read = |options: &ParseOptions| soll_yaml::parse_yaml(text, SourceId::default(), options);
    let refused = read(&ParseOptions::go_v2().strict()).err()?;
    // Whatever else is wrong is said when the body is read.
    read(&ParseOptions::go_v2()).ok()?;
    Some(refused.to_string())
}

/// Reads the options of a delete; an empty body is none.
pub(crate) fn delete_options(headers: &HeaderMap, body: &[u8]) -> Result<Value, Refusal> {
    match media_type(headers) {
        "application/json" => json(body),
        "application/yaml" => yaml(body),
        PROTOBUF => protobuf::decode(body, ("meta.k8s.io/v1", "DeleteOptions")),
        _ => Err(Refusal::unsupported_media_type(READ)),
    }
}

/// Reads JSON.
pub(crate) fn json(body: &[u8]) -> Result<Value, Refusal> {
    soll_yaml::parse_json(body).map_err(|error| Refusal::bad_request(format!("the body is not valid JSON: {error}")))
}

/// Reads what clients send as YAML; most of them write JSON, which is faster to read.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Refusal> {
    if body.first() == Some(&b'{')
        && let Ok(value) = soll_yaml::parse_json(body)
    {
        return Ok(value);
    }
    let text = std::str::from_utf8(body).map_err(|_| Refusal::bad_request("the body is not UTF-8"))?;
    let documents = soll_yaml::parse_yaml(text, SourceId::default(), &ParseOptions::go_v2())
        .map_err(|error| Refusal::bad_request(format!("error converting YAML to JSON: {error}")))?;
    Ok(documents.into_iter().next().unwrap_or_default())
}
