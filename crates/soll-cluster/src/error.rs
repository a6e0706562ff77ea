//! What can go wrong between us and an API server.

use std::time::Duration;

use soll_api::{Class, Gvk};
use soll_yaml::{Value, parse_json};

/// A request to an API server that did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// The server answered, and the answer is no.
    #[error("{}", .0.message)]
    Status(Box<Status>),
    /// There was no answer; whether the request was carried out is unknown.
    #[error("cannot reach the API server at {url}: {cause}")]
    Unreachable {
        /// The server.
        url: String,
        /// Why, as far as the network told.
        cause: String,
    },
    /// There was no answer in time; whether the request was carried out is unknown.
    #[error("the API server at {url} did not answer within {}s", .after.as_secs_f32())]
    TimedOut {
        /// The server.
        url: String,
        /// How long we waited.
        after: Duration,
    },
    /// The answer is no Kubernetes answer.
    #[error("the API server at {url} answered what cannot be read: {cause}")]
    Unreadable {
        /// The server.
        url: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The server does not serve the kind, in this version.
    #[error("no matches for kind \"{}\" in version \"{}\"", .0.kind, .0.api_version())]
    NotServed(Gvk),
    /// The kind is namespaced and no namespace was given.
    #[error("namespace not specified")]
    NoNamespace(Gvk),
    /// Nothing was sent: what was to be written is not ours to write any more.
    #[error("not ours to write any more: the lease is gone")]
    Fenced,
}

/// A `Status` of the API server that reports an error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// HTTP code.
    pub code: u16,
    /// `NotFound`, `Invalid`, `Conflict`…; empty if the server gave none.
    pub reason: String,
    /// The server's words.
    pub message: String,
    /// Single fields at fault.
    pub causes: Vec<Cause>,
    /// What the error is about.
    pub details: Details,
}

/// One field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldManagerConflict`…
    pub reason: String,
    /// The path of the field, `spec.containers[0].image`; may be empty.
    pub field: String,
    /// The server's words.
    pub message: String,
}

/// What a [`Status`] is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Details {
    /// API group.
    pub group: String,
    /// The resource (`deployments`) or kind.
    pub kind: String,
    /// The object's name; empty if it is not about one object.
    pub name: String,
    /// When the server wants to be asked again.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// Reads the body of an answer whose code says that it is an error.
    pub(crate) fn from_answer(code: u16, body: &[u8]) -> Self {
        let status = parse_json(body).ok().filter(|value| value.lookup_str(&["kind"]) == Some("Status"));
        Self::Status(Box::new(status.map_or_else(|| Status::from_text(code, body), |value| Status::read(code, &value))))
    }

    /// The answer's status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Status(status) => Some(status),
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Unreadable { .. }
            | Self::NotServed(_)
            | Self::NoNamespace(_)
            | Self::Fenced => None,
        }
    }

    /// HTTP code of the answer; 0 if there was none.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.status().map_or(0, |status| status.code)
    }

    /// The reason as Flux prints it: the server's word, or `Unknown`.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Status(status) if !status.reason.is_empty() => &status.reason,
            Self::Status(status) => reason_of_code(status.code),
            Self::NotServed(_) | Self::NoNamespace(_) => "NotFound",
            Self::TimedOut { .. } => "Timeout",
            Self::Unreachable { .. } | Self::Unreadable { .. } | Self::Fenced => "Unknown",
        }
    }

    /// Single fields at fault, as far as the server named them.
    #[must_use]
    pub fn causes(&self) -> &[Cause] {
        self.status().map_or(&[], |status| &status.causes)
    }

    /// The object does not exist. A kind that is not served is something else: [`ApiError::NotServed`].
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }

    /// The object cannot be written because its namespace does not exist.
    #[must_use]
    pub fn is_namespace_missing(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404 && status.details.kind == "namespaces")
    }

    /// Somebody else wrote first, or owns the field.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == 409
    }

    /// An object of that name exists already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.code() == 409 && self.reason() == "AlreadyExists"
    }

    /// The object does not pass validation.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.code() == 422
    }

    /// The object cannot become what is asked for without being made anew, as Flux decides it.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        self.says_immutable() || self.is_conflict() || self.is_invalid()
    }

    /// The server says in so many words that something cannot be changed.
    #[must_use]
    pub(crate) fn says_immutable(&self) -> bool {
        let says = |words| self.status().is_some_and(|status| status.message.contains(words));
        says("is immutable") || says("immutable field")
    }

    /// The identity may not do it, or is not known.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self.code(), 401 | 403)
    }

    /// Who asks may not do it, or nobody may.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.code(), 403 | 405)
    }

    /// The resource version or the continue token is too old.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.code() == 410
    }

    /// The version that was asked for is ahead of the server, which lags behind, or went back to an older state.
    pub(crate) fn is_ahead(&self) -> bool {
        // What stands before the server may have put it into words of its own.
        self.status().is_some_and(|status| {
            status.code == 504
                && (status.causes.iter().any(|cause| cause.reason == "ResourceVersionTooLarge")
                    || status.message.contains("Too large resource version"))
        })
    }

    /// There was no answer, or one that says to come back later.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Status(status) => matches!(status.code, 429 | 502 | 503 | 504),
            Self::Unreadable { .. } | Self::NotServed(_) | Self::NoNamespace(_) | Self::Fenced => false,
        }
    }

    /// The class of a failure with this cause.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Status(status) => match status.code {
                // Nobody may create in a namespace that is going; it may come back.
                403 if status.causes.iter().any(|cause| cause.reason == "NamespaceTerminating") => Class::Dependency,
                401 | 403 => Class::Forbidden,
                409 => Class::Conflict,
                400 | 404 | 413 | 415 | 422 => Class::Configuration,
                // What does not fit the schema is the one error in a manifest that the server reports as its own.
                500 if status.message.contains("failed to create typed patch object") => Class::Configuration,
                _ => Class::Internal,
            },
            Self::NotServed(_) | Self::NoNamespace(_) => Class::Configuration,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Unreadable { .. } | Self::Fenced => {
                Class::Internal
            }
        }
    }
}

impl Status {
    /// Reads a `Status` object.
    pub(crate) fn read(code: u16, value: &Value) -> Self {
        let text = |keys: &[&str]| value.lookup_str(keys).unwrap_or_default().to_owned();
        let causes = value.lookup(&["details", "causes"]).and_then(Value::as_list).unwrap_or_default();
        let seconds = value.lookup(&["details", "retryAfterSeconds"]).and_then(Value::as_i64);
        Self {
            code: value.lookup(&["code"]).and_then(Value::as_i64).and_then(|code| code.try_into().ok()).unwrap_or(code),
            reason: text(&["reason"]),
            message: text(&["message"]),
            causes: causes.iter().map(Cause::read).collect(),
            details: Details {
                group: text(&["details", "group"]),
                kind: text(&["details", "kind"]),
                name: text(&["details", "name"]),
                retry_after: seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
            },
        }
    }

    /// Makes the best of an answer that is no `Status`: proxies and unknown paths answer so.
    fn from_text(code: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let line: String = text.trim().lines().next().unwrap_or_default().chars().take(200).collect();
        let message = if line.is_empty() { format!("the API server answered with code {code}") } else { line };
        Self { code, reason: reason_of_code(code).to_owned(), message, ..Self::default() }
    }
}

impl Cause {
    fn read(value: &Value) -> Self {
        let text = |key: &str| value.lookup_str(&[key]).unwrap_or_default().to_owned();
        Self { reason: text("reason"), field: text("field"), message: text("message") }
    }
}

fn reason_of_code(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Gone",
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVALID: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","reason":"Invalid","code":422,
        "message":"Deployment.apps \"a\" is invalid: spec.selector: Invalid value: {}: field is immutable",
        "details":{"name":"a","group":"apps","kind":"Deployment","retryAfterSeconds":2,
          "causes":[{"reason":"FieldValueInvalid","message":"field is immutable","field":"spec.selector"}]}}"#;

    #[test]
    fn reads_a_status_with_its_causes() {
        let error = ApiError::from_answer(422, INVALID.as_bytes());
        assert!(error.is_invalid() && error.is_immutable() && !error.is_conflict());
        assert_eq!(error.reason(), "Invalid");
        assert_eq!(error.class(), Class::Configuration);
        let cause = Cause {
            reason: "FieldValueInvalid".into(),
            field: "spec.selector".into(),
            message: "field is immutable".into(),
        };
        assert_eq!(error.causes(), [cause]);
        assert_eq!(error.status().and_then(|s| s.details.retry_after), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_namespace_on_its_way_out_is_no_lack_of_rights() {
        let class = |causes: &str| {
            let text =
                format!(r#"{{"kind":"Status","code":403,"reason":"Forbidden","details":{{"causes":[{causes}]}}}}"#);
            ApiError::from_answer(403, text.as_bytes()).class()
        };
        assert_eq!(class(""), Class::Forbidden);
        assert_eq!(class(r#"{"reason":"NamespaceTerminating","field":"metadata.namespace"}"#), Class::Dependency);
    }

    #[test]
    fn an_answer_of_a_proxy_is_still_an_error_with_words() {
        let error = ApiError::from_answer(502, b"<html>bad gateway\n</html>");
        assert_eq!(error.to_string(), "<html>bad gateway");
        assert!(error.is_unreachable());
        let empty = ApiError::from_answer(500, b"");
        assert_eq!(empty.to_string(), "the API server answered with code 500");
        assert_eq!(empty.reason(), "InternalError");
    }
}
