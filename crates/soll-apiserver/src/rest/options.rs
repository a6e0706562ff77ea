//! The query of a request, and the options that come in the body of a delete.

use std::time::Duration;

use http::Method;
use soll_yaml::Value;

use crate::refusal::{Cause, Refusal};
use crate::selector::{FieldSelector, LabelSelector};

/// Everything that can stand behind the question mark of a request to a resource.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) watch: bool,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
    pub(crate) resource_version: String,
    pub(crate) version_match: Option<VersionMatch>,
    pub(crate) limit: usize,
    pub(crate) continue_token: String,
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    pub(crate) timeout: Option<Duration>,
    pub(crate) dry_run: bool,
    pub(crate) field_manager: String,
    pub(crate) field_validation: FieldValidation,
    pub(crate) force: Option<bool>,
    pub(crate) include_object: IncludeObject,
    /// Said if a table is asked for.
    pub(crate) bad_include_object: Option<Refusal>,
    pub(crate) deletion: Deletion,
}

/// How a `resourceVersion` is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionMatch {
    NotOlderThan,
    Exact,
}

/// What happens to fields that the schema does not know, or that stand twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// What of the object stands in the rows of a `Table`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum IncludeObject {
    None,
    #[default]
    Metadata,
    Object,
}

/// How an object is deleted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Deletion {
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

/// What happens to the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Orphan,
    Background,
    Foreground,
}

impl Options {
    /// Reads a query. Unknown parameters are ignored, as Kubernetes does.
    pub(crate) fn parse(query: &str, method: &Method) -> Result<Self, Refusal> {
        let kind = match *method {
            Method::POST => "CreateOptions",
            Method::PUT => "UpdateOptions",
            Method::PATCH => "PatchOptions",
            Method::DELETE => "DeleteOptions",
            _ => "ListOptions",
        };
        let mut options = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match key.as_ref() {
                "watch" => options.watch = flag(&value),
                "allowWatchBookmarks" => options.bookmarks = flag(&value),
                "sendInitialEvents" => options.send_initial_events = Some(flag(&value)),
                "resourceVersion" => options.resource_version = value.into_owned(),
                "resourceVersionMatch" => options.version_match = version_match(&value)?,
                // Kubernetes takes a limit below nothing for none.
                "limit" if value.starts_with('-') => options.limit = 0,
                "limit" => options.limit = number(&key, &value)?,
                "continue" => options.continue_token = value.into_owned(),
                "labelSelector" => options.labels = LabelSelector::parse(&value).map_err(Refusal::bad_request)?,
                "fieldSelector" => options.fields = FieldSelector::parse(&value).map_err(Refusal::bad_request)?,
                "timeoutSeconds" if !value.is_empty() => {
                    options.timeout = Some(Duration::from_secs(number(&key, &value)? as u64));
                }
                "dryRun" => options.dry_run = dry_run(kind, &value)?,
                "fieldManager" => {
                    check_manager(kind, &value)?;
                    options.field_manager = value.into_owned();
                }
                "fieldValidation" => options.field_validation = field_validation(kind, &value)?,
                "force" => options.force = Some(flag(&value)),
                "includeObject" => match include_object(&value) {
                    Ok(include) => options.include_object = include,
                    Err(refusal) => options.bad_include_object = Some(refusal),
                },
                "gracePeriodSeconds" if !value.is_empty() => {
                    options.deletion.grace_seconds = Some(number(&key, &value)? as i64);
                }
                "propagationPolicy" => options.deletion.propagation = Some(propagation(&value)?),
                "orphanDependents" => {
                    let policy = if flag(&value) { Propagation::Orphan } else { Propagation::Background };
                    options.deletion.propagation = Some(policy);
                }
                _ => {}
            }
        }
        options.check()?;
        Ok(options)
    }

    /// Takes what the body of a delete says; what the query says of the delete does not count beside it.
    pub(crate) fn read_delete_body(&mut self, body: &Value) -> Result<(), Refusal> {
        self.deletion = Deletion::default();
        self.dry_run = false;
        if let Some(seconds) = body.get("gracePeriodSeconds").and_then(Value::as_i64) {
            self.deletion.grace_seconds = Some(seconds);
        }
        if let Some(policy) = body.lookup_str(&["propagationPolicy"]) {
            self.deletion.propagation = Some(propagation(policy)?);
        }
        if let Some(orphan) = body.get("orphanDependents").and_then(Value::as_bool) {
            if let Some(policy) = body.lookup_str(&["propagationPolicy"]) {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                let cause = Cause::invalid("propagationPolicy", &format!("{policy:?}"), why);
                return Err(Refusal::invalid_options("DeleteOptions", vec![cause]));
            }
            self.deletion.propagation = Some(if orphan { Propagation::Orphan } else { Propagation::Background });
        }
        self.deletion.uid = body.lookup_str(&["preconditions", "uid"]).map(str::to_owned);
        self.deletion.resource_version = body.lookup_str(&["preconditions", "resourceVersion"]).map(str::to_owned);
        for item in body.get("dryRun").and_then(Value::as_list).unwrap_or_default() {
            self.dry_run |= dry_run("DeleteOptions", item.as_str().unwrap_or_default())?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Refusal> {
        let mut causes = Vec::new();
        if self.version_match.is_some() && self.resource_version.is_empty() && !self.watch {
            causes.push(Cause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ));
        }
        if self.version_match == Some(VersionMatch::Exact) && self.resource_version == "0" {
            causes.push(Cause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ));
        }
        if self.send_initial_events.is_some() && !self.watch {
            causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        if self.watch && self.send_initial_events.is_some() && self.version_match != Some(VersionMatch::NotOlderThan) {
            causes.push(Cause::forbidden(
                "resourceVersionMatch",
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
            if self.version_match == Some(VersionMatch::Exact) {
                causes.push(Cause::unsupported("resourceVersionMatch", "\"Exact\"", &["NotOlderThan"]));
            }
        }
        if self.watch && self.version_match.is_some() && self.send_initial_events.is_none() {
            causes.push(Cause::forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid_options("ListOptions", causes)) }
    }
}

fn flag(value: &str) -> bool {
    !matches!(value, "false" | "0" | "f" | "F" | "FALSE" | "False")
}

fn number(key: &str, value: &str) -> Result<usize, Refusal> {
    let parsed = if value.is_empty() { Ok(0) } else { value.parse() };
    parsed.map_err(|_| {
        Refusal::bad_request(format!("{key}: expected a whole number that is not negative, found {value:?}"))
    })
}

fn version_match(value: &str) -> Result<Option<VersionMatch>, Refusal> {
    match value {
        "" => Ok(None),
        "NotOlderThan" => Ok(Some(VersionMatch::NotOlderThan)),
        "Exact" => Ok(Some(VersionMatch::Exact)),
        _ => Err(unsupported("ListOptions", "resourceVersionMatch", value, &["Exact", "NotOlderThan", ""])),
    }
}

fn dry_run(kind: &'static str, value: &str) -> Result<bool, Refusal> {
    match value {
        "" => Ok(false),
        "All" => Ok(true),
        // The list is quoted, not the value.
        _ => {
            let cause = Cause::unsupported("dryRun", &format!("[{value:?}]"), &["All"]);
            Err(Refusal::invalid_options(kind, vec![cause]))
        }
    }
}

/// Longest name of a field manager.
const LONGEST_MANAGER: usize = 128;

fn check_manager(kind: &'static str, manager: &str) -> Result<(), Refusal> {
    let mut causes = Vec::new();
    if manager.len() > LONGEST_MANAGER {
        causes.push(Cause::too_long("fieldManager", LONGEST_MANAGER));
    }
    for (position, letter) in manager.char_indices().filter(|(_, letter)| letter.is_control()) {
        let why = format!("invalid character U+{:04X} (at position {position})", u32::from(letter));
        causes.push(Cause::invalid("fieldManager", &format!("{manager:?}"), why));
    }
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid_options(kind, causes)) }
}

fn field_validation(kind: &'static str, value: &str) -> Result<FieldValidation, Refusal> {
    match value {
        "Ignore" => Ok(FieldValidation::Ignore),
        "" | "Warn" => Ok(FieldValidation::Warn),
        "Strict" => Ok(FieldValidation::Strict),
        _ => Err(unsupported(kind, "fieldValidation", value, &["", "Ignore", "Strict", "Warn"])),
    }
}

fn include_object(value: &str) -> Result<IncludeObject, Refusal> {
    match value {
        "" | "Metadata" => Ok(IncludeObject::Metadata),
        "None" => Ok(IncludeObject::None),
        "Object" => Ok(IncludeObject::Object),
        _ => Err(Refusal::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {value:?}: must be 'Metadata', \
             'Object', 'None', or empty"
        ))),
    }
}

fn propagation(value: &str) -> Result<Propagation, Refusal> {
    match value {
        "Orphan" => Ok(Propagation::Orphan),
        "Background" => Ok(Propagation::Background),
        "Foreground" => Ok(Propagation::Foreground),
        _ => Err(unsupported(
            "DeleteOptions",
            "propagationPolicy",
            value,
            &["Foreground", "Background", "Orphan", "nil"],
        )),
    }
}

fn unsupported(kind: &'static str, field: &str, value: &str, allowed: &[&str]) -> Refusal {
    Refusal::invalid_options(kind, vec![Cause::unsupported(field, &format!("{value:?}"), allowed)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let query = "watch=true&allowWatchBookmarks=1&resourceVersion=7&labelSelector=a%3Db&timeoutSeconds=5";
        let options = Options::parse(query, &Method::GET).expect("valid");
        assert!(options.watch && options.bookmarks);
        assert_eq!(options.resource_version, "7");
        assert_eq!(options.timeout, Some(Duration::from_secs(5)));
    }

    #[test]
    fn combinations_without_sense_are_invalid() {
        for query in [
            "resourceVersionMatch=Exact",
            "resourceVersion=0&resourceVersionMatch=Exact",
            "sendInitialEvents=true",
            "watch=1&sendInitialEvents=true",
            "dryRun=Some",
            "propagationPolicy=Never",
        ] {
            assert_eq!(Options::parse(query, &Method::GET).expect_err(query).code, 422, "{query}");
        }
    }
}
