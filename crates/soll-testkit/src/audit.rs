//! What was asked of an API server, by its own account: the lines of its audit log.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// A request, as the audit log tells of it. Displays as `patch deployments.apps status shop/web`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asked.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`; the HTTP method if it was about
    /// no object.
    pub verb: String,
    /// Whether it was to change nothing.
    pub dry: bool,
    /// Plural and group, as `deployments.apps`; nothing if it was about no object.
    pub resource: String,
    /// The part of the object, as `status`.
    pub part: String,
    /// Its namespace, if it has one.
    pub namespace: String,
    /// Its name, if it was asked for by name.
    pub name: String,
}

/// All requests so far, in the order in which they ended. A watch is told of at its end.
pub fn read(log: &Path) -> Vec<Request> {
    let Ok(file) = std::fs::File::open(log) else { return Vec::new() };
    let lines = BufReader::new(file).lines().map(|line| line.expect("the log can be read"));
    // The last line may be half written.
    lines.filter_map(|line| Request::of(&serde_json::from_str(&line).ok()?)).collect()
}

impl Request {
    fn of(entry: &serde_json::Value) -> Option<Self> {
        // A watch is told of at its beginning, too.
        if entry["stage"] == "ResponseStarted" {
            return None;
        }
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let (reference, group) = (&entry["objectRef"], text(&entry["objectRef"]["apiGroup"]));
        let plural = text(&reference["resource"]);
        Some(Self {
            user: text(&entry["user"]["username"]),
            verb: text(&entry["verb"]),
            dry: text(&entry["requestURI"]).contains("dryRun=All"),
            resource: if group.is_empty() { plural } else { format!("{plural}.{group}") },
            part: text(&reference["subresource"]),
            namespace: text(&reference["namespace"]),
            name: text(&reference["name"]),
        })
    }

    /// Whether it was to change the cluster.
    pub fn writes(&self) -> bool {
        let changes = matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        changes && !self.dry
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dry = if self.dry { "dry-run " } else { "" };
        let parts = [self.verb.as_str(), &self.resource, &self.part].into_iter().filter(|part| !part.is_empty());
        let place = match (self.namespace.as_str(), self.name.as_str()) {
            ("", "") => String::new(),
            ("", name) => format!(" {name}"),
            (namespace, name) => format!(" {namespace}/{name}"),
        };
        write!(f, "{dry}{}{place}", parts.collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Option<String> {
        Request::of(&serde_json::from_str(line).expect("JSON")).map(|request| request.to_string())
    }

    #[test]
    fn a_line_says_what_was_asked() {
        let line = |verb: &str, query: &str, stage: &str, part: &str| {
            format!(
                r#"{{"stage":"{stage}","requestURI":"/x{query}","verb":"{verb}","user":{{"username":"engine"}},
                    "objectRef":{{"resource":"deployments","namespace":"shop","name":"web","apiGroup":"apps"{part}}}}}"#
            )
        };
        let status = r#","subresource":"status""#;
        let done = "ResponseComplete";
        assert_eq!(told(&line("patch", "", done, status)).as_deref(), Some("patch deployments.apps status shop/web"));
        let dry = told(&line("patch", "?dryRun=All&force=true", done, ""));
        assert_eq!(dry.as_deref(), Some("dry-run patch deployments.apps shop/web"));
        assert_eq!(told(&line("watch", "", "ResponseStarted", "")), None);
        assert_eq!(told(r#"{"stage":"ResponseComplete","requestURI":"/api","verb":"get"}"#).as_deref(), Some("get"));
    }
}
