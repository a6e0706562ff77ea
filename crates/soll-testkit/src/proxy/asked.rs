//! What a request to an API server is about.

use std::fmt;

use http::{HeaderMap, Method, Uri, header};

/// What a request asks, in the words of Kubernetes' audit log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asked {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply` or `delete`; `discover` for anything that is no object.
    pub verb: &'static str,
    /// Whether it is to change nothing.
    pub dry: bool,
    /// Plural and group, as `deployments.apps`; the path if it is no object.
    pub resource: String,
    /// The part of the object, as `status`.
    pub part: String,
    /// Its namespace, if it has one.
    pub namespace: String,
    /// Its name; nothing for lists, and for what is named by its content.
    pub name: String,
}

impl Asked {
    /// Reads it from a request.
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let query = uri.query().unwrap_or_default();
        let has = |wanted: &[&str]| query.split('&').any(|parameter| wanted.contains(&parameter));
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let segments: Vec<&str> = uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => ("", [].as_slice()),
        };
        let (namespace, resource, name, part) = match rest {
            [] => return Self::discovery(uri.path()),
            ["namespaces", name, part @ ("status" | "finalize")] => ("", "namespaces", *name, *part),
            ["namespaces", namespace, resource, rest @ ..] => {
                (*namespace, *resource, rest.first().copied().unwrap_or(""), rest.get(1).copied().unwrap_or(""))
            }
            [resource, rest @ ..] => {
                ("", *resource, rest.first().copied().unwrap_or(""), rest.get(1).copied().unwrap_or(""))
            }
        };
        let verb = match method.as_str() {
            "GET" if has(&["watch=1", "watch=true"]) => "watch",
            "GET" if name.is_empty() => "list",
            "GET" => "get",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" if content_type.starts_with("application/apply-patch") => "apply",
            "PATCH" => "patch",
            _ => "delete",
        };
        let resource = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
        Self {
            verb,
            dry: has(&["dryRun=All"]),
            resource,
            part: part.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    fn discovery(path: &str) -> Self {
        let nothing = String::new;
        Self {
            verb: "discover",
            dry: false,
            resource: path.to_owned(),
            part: nothing(),
            namespace: nothing(),
            name: nothing(),
        }
    }

    /// Whether it is to change the cluster.
    pub fn writes(&self) -> bool {
        !self.dry && matches!(self.verb, "create" | "update" | "patch" | "apply" | "delete")
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dry = if self.dry { "dry-run " } else { "" };
        write!(f, "{dry}{} {}", self.verb, self.resource)?;
        for part in [&self.part, &self.namespace, &self.name] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &str, content_type: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().expect("a header value"));
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        Asked::of(&method, &path.parse().expect("a path"), &headers).to_string()
    }

    #[test]
    fn paths_say_what_is_asked() {
        for (method, path, content_type, expected) in [
            ("GET", "/api", "", "discover /api"),
            ("GET", "/apis/apps/v1", "", "discover /apis/apps/v1"),
            ("GET", "/api/v1/namespaces", "", "list namespaces"),
            ("GET", "/api/v1/namespaces/a", "", "get namespaces a"),
            ("PUT", "/api/v1/namespaces/a/finalize", "", "update namespaces finalize a"),
            ("GET", "/api/v1/namespaces/a/configmaps?limit=500", "", "list configmaps a"),
            ("GET", "/api/v1/configmaps?watch=1&limit=5", "", "watch configmaps"),
            ("POST", "/api/v1/namespaces/a/events", "", "create events a"),
            ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b?force=true", APPLY, "apply deployments.apps a b"),
            ("PATCH", "/api/v1/namespaces/a/configmaps/b?dryRun=All", APPLY, "dry-run apply configmaps a b"),
            ("PATCH", "/apis/x.io/v1/namespaces/a/things/b/status", "", "patch things.x.io status a b"),
            ("DELETE", "/apis/x.io/v1/things/b", "", "delete things.x.io b"),
        ] {
            assert_eq!(asked(method, path, content_type), expected, "{method} {path}");
        }
    }

    const APPLY: &str = "application/apply-patch+yaml";
}
