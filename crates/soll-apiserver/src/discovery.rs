//! What the server serves, told to clients: versions, groups, resources, health.

use http::header::{ETAG, HeaderValue, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::resources::{Resource, Table};
use crate::rest::answer::{self, Body, full};
use crate::rest::{Api, media_ranges};

/// The Kubernetes version that is emulated.
pub(crate) const MINOR: &str = "35";
/// The version as `kubectl version` shows it.
pub(crate) const GIT_VERSION: &str = "v1.35.4+embedded";

/// Answers what needs no credentials.
pub(crate) fn public(api: &Api, path: &str) -> Option<Response<Body>> {
    match path {
        "/version" | "/version/" => Some(answer::json(200, &version_info())),
        "/healthz" | "/livez" | "/readyz" if api.closing.is_cancelled() => Some(answer::text(503, "closing")),
        "/healthz" | "/livez" | "/readyz" => Some(answer::text(200, "ok")),
        _ => None,
    }
}

fn version_info() -> Json {
    json!({
        "major": "1", "minor": MINOR, "emulationMajor": "1", "emulationMinor": MINOR,
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "34",
        "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, go_arch()),
    })
}

fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Answers `/api` and `/apis`, in the form that the client prefers.
pub(crate) fn answer(table: &Table, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let core = match path.trim_end_matches('/') {
        "/api" => true,
        "/apis" => false,
        "" => {
            return Some(answer::json(
                200,
                &json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]}),
            ));
        }
        _ => return None,
    };
    let aggregated = media_ranges(headers).iter().find_map(|range| {
        match (range.media_type, range.parameter("as"), range.parameter("v")) {
            ("application/json", "APIGroupDiscoveryList", "v2") => Some(true),
            ("application/json" | "*/*", "", _) => Some(false),
            _ => None,
        }
    });
    Some(if aggregated == Some(true) { aggregated_list(table, core, headers) } else { legacy_list(table, core) })
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

fn aggregated_list(table: &Table, core: bool, headers: &HeaderMap) -> Response<Body> {
    let groups = table.groups();
    let items: Vec<Json> = groups
        .iter()
        .filter(|(group, _)| group.is_empty() == core)
        .map(|(group, versions)| {
            let versions: Vec<Json> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Json> = table.of_version(group, version).map(|row| aggregated(row)).collect();
                    json!({"version": version.as_str(), "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if core { json!({}) } else { json!({"name": group.as_str()}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items,
    });
    let text = list.to_string();
    let tag = format!("\"{}\"", hex(&Sha256::digest(&text)));
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(tag.as_str());
    let mut response = answer::answer(200, AGGREGATED, if known { full("") } else { full(text) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

fn aggregated(row: &Resource) -> Json {
    // Builtin kinds are of the version that they stand in, and do not say so.
    let of = row.custom.as_ref().map(|_| (row.group.as_str(), row.version.as_str()));
    let kind = |of: Option<(&str, &str)>, kind: &str| {
        let (group, version) = of.unwrap_or_default();
        json!({"group": group, "version": version, "kind": kind})
    };
    let mut resource = json!({
        "resource": row.plural.as_str(), "responseKind": kind(of, &row.kind),
        "scope": if row.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": row.singular.as_str(), "verbs": row.verbs,
    });
    if !row.short_names.is_empty() {
        resource["shortNames"] = row.short_names.iter().map(|name| name.as_str()).collect();
    }
    if !row.categories.is_empty() {
        resource["categories"] = row.categories.iter().map(|name| name.as_str()).collect();
    }
    let below: Vec<Json> = row
        .below()
        .iter()
        .map(|below| {
            let kind = kind(below.of.or(of), &below.kind);
            json!({"subresource": below.name, "verbs": below.verbs, "responseKind": kind})
        })
        .collect();
    if !below.is_empty() {
        resource["subresources"] = below.into();
    }
    resource
}

fn legacy_list(table: &Table, core: bool) -> Response<Body> {
    if core {
        return answer::json(
            200,
            &json!({
                "kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1"}],
            }),
        );
    }
    let groups: Vec<Json> = table
        .groups()
        .iter()
        .filter(|(group, _)| !group.is_empty())
        .map(|(group, versions)| legacy_group(group, versions))
        .collect();
    answer::json(200, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

fn legacy_group(group: &str, versions: &[soll_yaml::Str]) -> Json {
    let versions: Vec<Json> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version.as_str()}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

/// Answers `/apis/G`.
pub(crate) fn group(table: &Table, name: &str) -> Option<Response<Body>> {
    let groups = table.groups();
    let (group, versions) = groups.iter().find(|(group, _)| *group == name && !group.is_empty())?;
    let mut found = legacy_group(group, versions);
    found["kind"] = "APIGroup".into();
    found["apiVersion"] = "v1".into();
    Some(answer::json(200, &found))
}

/// Answers `/api/v1` and `/apis/G/V`.
pub(crate) fn version(table: &Table, group: &str, version: &str) -> Option<Response<Body>> {
    let mut resources = Vec::new();
    for row in table.of_version(group, version) {
        let mut resource = json!({
            "name": row.plural.as_str(), "singularName": row.singular.as_str(), "namespaced": row.namespaced,
            "kind": row.kind.as_str(), "verbs": row.verbs,
        });
        if !row.short_names.is_empty() {
            resource["shortNames"] = row.short_names.iter().map(|name| name.as_str()).collect();
        }
        if !row.categories.is_empty() {
            resource["categories"] = row.categories.iter().map(|name| name.as_str()).collect();
        }
        if let Some(hash) = &row.storage_hash {
            resource["storageVersionHash"] = hash.as_str().into();
        }
        resources.push(resource);
        for below in row.below() {
            let mut told = json!({
                "name": format!("{}/{}", row.plural, below.name), "singularName": "", "namespaced": row.namespaced,
                "kind": below.kind.as_str(), "verbs": below.verbs,
            });
            if let Some((group, version)) = below.of {
                told["group"] = group.into();
                told["version"] = version.into();
            }
            resources.push(told);
        }
    }
    if resources.is_empty() {
        return None;
    }
    let mut list = json!({"kind": "APIResourceList", "resources": resources});
    // The list of the core group, which is older than versions of such lists, has none.
    if group.is_empty() {
        list["groupVersion"] = version.into();
    } else {
        list["groupVersion"] = format!("{group}/{version}").into();
        list["apiVersion"] = "v1".into();
    }
    Some(answer::json(200, &list))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes every write");
        text
    })
}
