//! What clients accept and what they get: full objects, tables or metadata; JSON or YAML.

use http::HeaderMap;
use http::header::ACCEPT;

use crate::refusal::Refusal;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The object or list itself.
    Full,
    /// A `Table`, as `kubectl get` prints it.
    Table,
    /// `PartialObjectMetadata`: no spec, no status.
    Metadata,
    /// `PartialObjectMetadataList`.
    MetadataList,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) shape: Shape,
    pub(crate) format: Format,
}

/// One media range of an `Accept` header.
pub(crate) struct MediaRange<'h> {
    pub(crate) media_type: &'h str,
    parameters: Vec<(&'h str, &'h str)>,
    quality: u32,
}

impl MediaRange<'_> {
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

/// The media ranges of a request, the best first.
pub(crate) fn media_ranges(headers: &HeaderMap) -> Vec<MediaRange<'_>> {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut ranges: Vec<_> = texts.flat_map(|text| text.split(',')).filter_map(media_range).collect();
    ranges.sort_by_key(|range| std::cmp::Reverse(range.quality));
    ranges
}

fn media_range(text: &str) -> Option<MediaRange<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().filter(|media_type| !media_type.is_empty())?;
    let parameters: Vec<_> =
        parts.filter_map(|part| part.split_once('=')).map(|(key, value)| (key, value.trim_matches('"'))).collect();
    let quality = parameters.iter().find(|(key, _)| *key == "q").and_then(|(_, q)| q.parse::<f32>().ok());
    // Thousandths, as precise as the header can be.
    let quality = (quality.unwrap_or(1.0).clamp(0.0, 1.0) * 1000.0) as u32;
    (quality > 0).then_some(MediaRange { media_type, parameters, quality })
}

const SERVED: &str = "application/json, application/yaml";

/// Chooses the best form that the client takes and the server has.
///
/// Protobuf is never written; every client that asks for it takes JSON in the second place.
pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Accepted, Refusal> {
    let ranges = media_ranges(headers);
    if ranges.is_empty() {
        return Ok(Accepted { shape: Shape::Full, format: Format::Json });
    }
    ranges.iter().find_map(accept).ok_or_else(|| {
        let format_is_served = ranges.iter().any(|range| format(range).is_some());
        if format_is_served { Refusal::not_acceptable(SERVED) } else { Refusal::no_format(SERVED) }
    })
}

fn format(range: &MediaRange<'_>) -> Option<Format> {
    match range.media_type {
        "application/json" | "application/*" | "*/*" => Some(Format::Json),
        "application/yaml" => Some(Format::Yaml),
        _ => None,
    }
}

fn accept(range: &MediaRange<'_>) -> Option<Accepted> {
    let format = format(range)?;
    let shape = match (range.parameter("as"), range.parameter("g"), range.parameter("v")) {
        ("", _, _) => Shape::Full,
        ("Table", "meta.k8s.io", "v1") => Shape::Table,
        ("PartialObjectMetadata", "meta.k8s.io", "v1") => Shape::Metadata,
        ("PartialObjectMetadataList", "meta.k8s.io", "v1") => Shape::MetadataList,
        _ => return None,
    };
    Some(Accepted { shape, format })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(accept: &str) -> Option<(Shape, Format)> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().expect("a header"));
        negotiate(&headers).ok().map(|accepted| (accepted.shape, accepted.format))
    }

    #[test]
    fn the_first_that_is_served_wins() {
        let kubectl_get = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(choose(kubectl_get), Some((Shape::Table, Format::Json)));
        assert_eq!(choose("application/vnd.kubernetes.protobuf,application/json"), Some((Shape::Full, Format::Json)));
        assert_eq!(choose("application/json;q=0.5,application/yaml"), Some((Shape::Full, Format::Yaml)));
        assert_eq!(choose("text/html"), None);
        assert_eq!(choose("*/*"), Some((Shape::Full, Format::Json)));
    }
}
