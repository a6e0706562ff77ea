//! Why a request is refused: the one error type of the server, rendered as a Kubernetes `Status`.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use crate::resources::Resource;

/// An answer other than success: HTTP code, reason, message and details as Kubernetes clients read them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Which object: name, group and plural (or kind, for invalid objects).
    subject: Option<Box<Subject>>,
    pub(crate) causes: Vec<Cause>,
    /// Details are answered although there are none.
    empty_details: bool,
    retry_after: Option<u32>,
    /// Set if `metadata.continue` tells how to go on without consistency.
    pub(crate) continue_token: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Subject {
    name: String,
    group: String,
    kind: String,
    uid: String,
}

/// One reason among several: a field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// `FieldValueInvalid`, `FieldManagerConflict`…
    pub(crate) kind: &'static str,
    pub(crate) field: String,
    /// Without the field.
    pub(crate) message: String,
}

impl Cause {
    /// A value that is not allowed; `shown` is the value as JSON.
    pub(crate) fn invalid(field: impl Into<String>, shown: &str, why: impl std::fmt::Display) -> Self {
        Self { kind: "FieldValueInvalid", field: field.into(), message: format!("Invalid value: {shown}: {why}") }
    }

    /// A value that is missing.
    pub(crate) fn required(field: impl Into<String>, why: &str) -> Self {
        let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { kind: "FieldValueRequired", field: field.into(), message }
    }

    /// A text of more bytes than are allowed.
    pub(crate) fn too_long(field: impl Into<String>, most: usize) -> Self {
        let message = format!("Too long: may not be more than {most} bytes");
        Self { kind: "FieldValueTooLong", field: field.into(), message }
    }

    /// A change that is not allowed.
    pub(crate) fn forbidden(field: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self { kind: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {why}") }
    }

    /// A value outside of a fixed set.
    pub(crate) fn unsupported(field: impl Into<String>, shown: &str, allowed: &[&str]) -> Self {
        let allowed: Vec<_> = allowed.iter().map(|value| format!("\"{value}\"")).collect();
        let message = format!("Unsupported value: {shown}: supported values: {}", allowed.join(", "));
        Self { kind: "FieldValueNotSupported", field: field.into(), message }
    }

    /// Two items of a list where one is allowed.
    pub(crate) fn duplicate(field: impl Into<String>, shown: &str) -> Self {
        Self { kind: "FieldValueDuplicate", field: field.into(), message: format!("Duplicate value: {shown}") }
    }

    fn sentence(&self) -> String {
        if self.field.is_empty() { self.message.clone() } else { format!("{}: {}", self.field, self.message) }
    }
}

/// `deployments.apps`, or `pods` for the core group.
fn qualified(group: &str, kind: &str) -> String {
    if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") }
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            subject: None,
            causes: Vec::new(),
            empty_details: false,
            retry_after: None,
            continue_token: None,
        }
    }

    fn about(self, resource: &Resource, name: &str) -> Self {
        self.named(&resource.group, &resource.plural, name)
    }

    fn named(mut self, group: &str, kind: &str, name: &str) -> Self {
        let (name, group, kind) = (name.to_owned(), group.to_owned(), kind.to_owned());
        self.subject = Some(Box::new(Subject { name, group, kind, uid: String::new() }));
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A body of a kind that nobody knows, in the words of Kubernetes.
    pub(crate) fn unknown_kind(api_version: &str, kind: &str, expected: &str) -> Self {
        let version = api_version.rsplit_once('/').map_or(api_version, |(_, version)| version);
        Self::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {expected}: no kind {kind:?} is registered for version \
             {api_version:?} in scheme \"pkg/runtime/scheme.go:111\""
        ))
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::new(404, "NotFound", message).about(resource, name)
    }

    /// Something that is not there, and is named by its group and kind.
    pub(crate) fn missing(group: &str, kind: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(group, kind));
        Self::new(404, "NotFound", message).named(group, kind, name)
    }

    /// An object in a namespace that is not there.
    pub(crate) fn no_namespace(name: &str) -> Self {
        let message = format!("namespaces \"{name}\" not found");
        let subject =
            Subject { name: name.to_owned(), group: String::new(), kind: "namespaces".to_owned(), uid: String::new() };
        Self { subject: Some(Box::new(subject)), ..Self::new(404, "NotFound", message) }
    }

    /// A resource that a version which is served does not have.
    pub(crate) fn no_resource() -> Self {
        Self { empty_details: true, ..Self::new(404, "NotFound", "the server could not find the requested resource") }
    }

    /// A delete that is about another object, or another version of it.
    pub(crate) fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified_kind());
        let mut refusal = Self::new(409, "Conflict", message).about(resource, name);
        if let Some(subject) = &mut refusal.subject {
            subject.kind = resource.kind.to_string();
        }
        refusal
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str, being_deleted: bool) -> Self {
        let prefix = if being_deleted { "object is being deleted: " } else { "" };
        let message = format!("{prefix}{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    pub(crate) fn conflict(resource: &Resource, name: &str, why: impl std::fmt::Display) -> Self {
        Self::conflict_of(&resource.group, &resource.plural, name, why)
    }

    /// A conflict at what stands below an object.
    pub(crate) fn conflict_below(resource: &Resource, below: &str, name: &str, why: impl std::fmt::Display) -> Self {
        let mut refusal = Self::conflict(resource, name, "");
        let what = format!("{}/{below}", resource.plural);
        refusal.message = format!("Operation cannot be fulfilled on {what} \"{name}\": {why}");
        if let Some(subject) = &mut refusal.subject {
            subject.kind = what;
        }
        refusal
    }

    /// A conflict about something that is named by its group and plural, or kind.
    pub(crate) fn conflict_of(group: &str, kind: &str, name: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", qualified(group, kind));
        Self::new(409, "Conflict", message).named(group, kind, name)
    }

    /// The object changed since the client read it.
    pub(crate) fn stale(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// Fields that other managers own: causes only, no subject.
    pub(crate) fn apply_conflict(message: String, causes: Vec<Cause>) -> Self {
        Self { causes, ..Self::new(409, "Conflict", message) }
    }

    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let mut sentences: Vec<String> = Vec::new();
        for sentence in causes.iter().map(Cause::sentence) {
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        let list = match sentences.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let subject =
            Subject { name: name.to_owned(), group: group.to_owned(), kind: kind.to_owned(), uid: String::new() };
        let message = format!("{qualified} \"{name}\" is invalid: {list}");
        Self { subject: Some(Box::new(subject)), causes, ..Self::new(422, "Invalid", message) }
    }

    /// Options that do not go together.
    pub(crate) fn invalid_options(kind: &'static str, causes: Vec<Cause>) -> Self {
        Self::invalid("meta.k8s.io", kind, "", causes)
    }

    /// A body that could be read but not processed, such as a patch that does not fit.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        let message = format!("the server rejected our request due to an error in our request: {}", message.into());
        Self { empty_details: true, ..Self::new(422, "Invalid", message) }
    }

    /// A patch whose result is no object of its kind. The object is quoted as `shown`, and named nowhere else.
    pub(crate) fn invalid_patch(shown: &str, why: impl std::fmt::Display) -> Self {
        Self::invalid("", "", "", vec![Cause::invalid("patch", &format!("{shown:?}"), why)])
    }

    /// An update that does not say which version it replaces; Kubernetes says the plural for the kind here.
    pub(crate) fn no_version(resource: &Resource, name: &str) -> Self {
        let cause = Cause::invalid("metadata.resourceVersion", "0", "must be specified for an update");
        Self::invalid(&resource.group, &resource.plural, name, vec![cause])
    }

    pub(crate) fn forbidden(resource: &Resource, name: &str, why: impl std::fmt::Display) -> Self {
        Self::denied(&resource.group, &resource.plural, name, why)
    }

    /// A request that the user's roles do not allow, be it to a resource that there is or not.
    pub(crate) fn denied(group: &str, resource: &str, name: &str, why: impl std::fmt::Display) -> Self {
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let message = format!("{}{named} is forbidden: {why}", qualified(group, resource));
        Self::new(403, "Forbidden", message).named(group, resource, name)
    }

    /// A path that the user's roles do not allow.
    pub(crate) fn path_denied(message: impl Into<String>) -> Self {
        Self { empty_details: true, ..Self::new(403, "Forbidden", message) }
    }

    pub(crate) fn with_cause(mut self, cause: Cause) -> Self {
        self.causes.push(cause);
        self
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self {
            empty_details: true,
            ..Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        }
    }

    pub(crate) fn not_acceptable(media_types: &str) -> Self {
        let message = format!("only the following media types are accepted: {media_types}");
        Self::new(406, "NotAcceptable", message)
    }

    /// No media type that the client takes is written here.
    pub(crate) fn no_format(media_types: &str) -> Self {
        Self { empty_details: true, ..Self::not_acceptable(media_types) }
    }

    /// A patch of a type that is not known here.
    pub(crate) fn unsupported_patch(media_types: &str) -> Self {
        Self { empty_details: true, ..Self::unsupported_media_type(media_types) }
    }

    pub(crate) fn unsupported_media_type(media_types: &str) -> Self {
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {media_types}");
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(413, "RequestEntityTooLarge", message)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// A resourceVersion that has not come yet: ask again in a second.
    pub(crate) fn not_yet(message: impl Into<String>) -> Self {
        let cause = Cause {
            kind: "ResourceVersionTooLarge",
            field: String::new(),
            message: "Too large resource version".to_owned(),
        };
        Self { retry_after: Some(1), causes: vec![cause], ..Self::new(504, "Timeout", message) }
    }

    /// An apply configuration that does not fit the schema; Kubernetes answers it with an empty reason.
    pub(crate) fn untyped(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// The server cannot do what it should.
    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        let cause = Cause { kind: "", field: String::new(), message: message.to_string() };
        Self { causes: vec![cause], ..Self::new(500, "InternalError", format!("Internal error occurred: {message}")) }
    }

    pub(crate) fn too_many_requests(message: impl Into<String>) -> Self {
        Self { retry_after: Some(10), ..Self::new(429, "TooManyRequests", message) }
    }

    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(501, "", message)
    }

    /// The `Status` object that clients get.
    pub(crate) fn status(&self) -> Json {
        let mut metadata = json!({});
        if let Some(token) = &self.continue_token {
            metadata["continue"] = (**token).into();
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata,
            "status": "Failure", "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        let mut details = serde_json::Map::new();
        if let Some(subject) = &self.subject {
            let fields =
                [("name", &subject.name), ("group", &subject.group), ("kind", &subject.kind), ("uid", &subject.uid)];
            for (field, text) in fields.into_iter().filter(|(_, text)| !text.is_empty()) {
                details.insert(field.to_owned(), text.as_str().into());
            }
        }
        if !self.causes.is_empty() {
            details.insert("causes".to_owned(), self.causes.iter().map(cause_json).collect());
        }
        if let Some(seconds) = self.retry_after {
            details.insert("retryAfterSeconds".to_owned(), seconds.into());
        }
        if !details.is_empty() || self.empty_details {
            status["details"] = details.into();
        }
        status
    }

    /// Seconds after which asking again makes sense.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }
}

fn cause_json(cause: &Cause) -> Json {
    let mut json = json!({"message": cause.message});
    if !cause.kind.is_empty() {
        json["reason"] = cause.kind.into();
    }
    if !cause.field.is_empty() {
        json["field"] = cause.field.as_str().into();
    }
    json
}

/// What a successful delete answers.
pub(crate) fn deleted(resource: &Resource, name: &str, uid: &str) -> Json {
    let mut details = json!({"name": name, "kind": resource.plural.as_str(), "uid": uid});
    if !resource.group.is_empty() {
        details["group"] = resource.group.as_str().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// How a value is quoted in messages about it.
pub(crate) fn shown(value: &soll_yaml::Value) -> Cow<'static, str> {
    soll_yaml::to_json(value).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_causes_are_listed_in_brackets() {
        let causes = vec![Cause::required("spec.a", ""), Cause::forbidden("spec.b", "no")];
        let refusal = Refusal::invalid("apps", "Deployment", "x", causes);
        assert_eq!(
            refusal.message,
            "Deployment.apps \"x\" is invalid: [spec.a: Required value, spec.b: Forbidden: no]"
        );
        let status = refusal.status();
        assert_eq!(status["details"]["causes"][1]["reason"], "FieldValueForbidden");
        assert_eq!(status["details"]["kind"], "Deployment");
        assert_eq!(status["code"], 422);
    }
}
