//! Why the API server refused an object, in Flux's words, with the line that caused it.

use soll_api::{Class, Failure, Object, Origin, Retry};
use soll_yaml::{At, Sources, Value};

/// The answer of an API server that did not do what it was asked to.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    /// HTTP status code; 0 if there was no answer.
    pub code: u16,
    /// The machine-readable reason: `Invalid`, `Forbidden`.
    pub reason: &'a str,
    /// The sentence.
    pub message: &'a str,
    /// The fields at fault, each with the type of what is wrong (`FieldValueInvalid`, `FieldManagerConflict`).
    pub causes: &'a [RefusalCause<'a>],
}

/// One field at fault.
#[derive(Debug, Clone, Copy)]
pub struct RefusalCause<'a> {
    /// `FieldValueInvalid`, `FieldManagerConflict`…
    pub kind: &'a str,
    /// `spec.containers[0].image`.
    pub field: &'a str,
    /// What is wrong with it.
    pub message: &'a str,
}

/// What was tried when the API server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// A dry run.
    DryRun,
    /// The apply itself.
    Apply,
    /// A deletion, to recreate or to prune.
    Delete,
}

impl Refusal<'_> {
    /// Says whether a change of immutable fields was refused, as Flux tells: every conflict and every invalid object
    /// counts too.
    #[must_use]
    pub fn is_immutable(&self) -> bool {
        matches!(self.reason, "Conflict" | "Invalid")
            || matches!(self.code, 409 | 422)
            || self.message.contains("is immutable")
            || self.message.contains("immutable field")
    }

    /// The failure for status and events: what was refused and why, and where the field at fault was written.
    #[must_use]
    pub fn failure(&self, attempt: Attempt, object: &Object, sources: &Sources) -> Failure {
        let reason = match attempt {
            Attempt::DryRun | Attempt::Apply => "ReconciliationFailed",
            Attempt::Delete => "PruneFailed",
        };
        let message = self.text(attempt, object);
        let origins = Origin::chain(sources, self.place(object));
        Failure::new(self.class(), reason, message, Retry::AtRetryInterval).from_origins(origins)
    }

    /// The sentence that Flux prints.
    fn text(&self, attempt: Attempt, object: &Object) -> String {
        let (who, why) = (object.object_ref(), self.message);
        match attempt {
            Attempt::DryRun if self.code == 404 && object.namespace().is_empty() => {
                format!("{who} namespace not specified: {why}")
            }
            Attempt::DryRun if self.code == 404 => format!("{who} not found: {why}"),
            Attempt::DryRun => {
                let conflict = self.causes.iter().any(|cause| cause.kind == "FieldManagerConflict");
                match if conflict { "FieldManagerConflict" } else { self.reason } {
                    "" => format!("{who} dry-run failed: {why}"),
                    reason => format!("{who} dry-run failed ({reason}): {why}"),
                }
            }
            Attempt::Apply => format!("{who} apply failed: {why}"),
            Attempt::Delete => format!("{who} delete failed: {why}"),
        }
    }

    fn class(&self) -> Class {
        match self.code {
            401 | 403 => Class::Forbidden,
            409 => Class::Conflict,
            400 | 404 | 405 | 406 | 413 | 415 | 422 => Class::Configuration,
            // A schema error of server-side apply comes as an internal error.
            500 if field_in(self.message).is_some() => Class::Configuration,
            _ => Class::Internal,
        }
    }

    /// Where the first field at fault was written; the object's own place if no field is named.
    fn place(&self, object: &Object) -> At {
        let named = self.causes.iter().map(|cause| cause.field).find(|field| !field.is_empty());
        let field = named.filter(|field| *field != "<nil>").or_else(|| field_in(self.message));
        let about_namespace = self.code == 404 || self.message.contains("namespaces \"");
        match field {
            Some(field) => nearest(object.value(), field),
            None if about_namespace => nearest(object.value(), "metadata.namespace"),
            None => object.value().at,
        }
    }
}

/// The field that the message of a schema error names: `.spec.foo: field not declared in schema`.
fn field_in(message: &str) -> Option<&str> {
    let end = message.find(": field not declared in schema").or_else(|| message.find(": expected "))?;
    // Keys of list items may contain spaces and dots only within quotes.
    let mut quoted = false;
    let start = message[..end].char_indices().rev().find(|(_, c)| {
        quoted ^= *c == '"';
        c.is_whitespace() && !quoted
    });
    let field = &message[start.map_or(0, |(place, c)| place + c.len_utf8())..end];
    field.starts_with('.').then_some(field)
}

/// The place of the node at a path such as `spec.ports[0].port`, `.spec.containers[name="a"].image` or `data[a.b]`;
/// of its nearest parent that is written somewhere, if it is missing.
fn nearest(value: &Value, path: &str) -> At {
    let (mut node, mut at) = (value, value.at);
    let mut rest = path;
    while !rest.is_empty() {
        let (step, after) = next_step(rest);
        rest = after;
        let (next, place) = match step {
            Step::Name(name) => match node.as_map().and_then(|map| map.entry(name)) {
                Some(entry) => (&entry.value, entry.key_at.or(entry.value.at)),
                None => break,
            },
            Step::Inner(inner) => match within(node, inner) {
                Some((item, place)) => (item, place),
                None => break,
            },
        };
        node = next;
        at = place.or(at);
    }
    at
}

enum Step<'p> {
    Name(&'p str),
    Inner(&'p str),
}

/// The first step of a path, and the rest.
fn next_step(path: &str) -> (Step<'_>, &str) {
    let path = path.strip_prefix('.').unwrap_or(path);
    if let Some(inner) = path.strip_prefix('[') {
        let mut quoted = false;
        let end = inner.find(|c| {
            quoted ^= c == '"';
            c == ']' && !quoted
        });
        return match end {
            Some(end) => (Step::Inner(&inner[..end]), &inner[end + 1..]),
            None => (Step::Inner(inner), ""),
        };
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    (Step::Name(&path[..end]), &path[end..])
}

/// The node that brackets select: an index, a key of a map, or the keys of a list item.
fn within<'v>(node: &'v Value, inner: &str) -> Option<(&'v Value, At)> {
    if let Some(items) = node.as_list() {
        let item = match inner.parse::<usize>() {
            Ok(index) => items.get(index)?,
            Err(_) => items.iter().find(|item| has_keys(item, inner))?,
        };
        return Some((item, item.at));
    }
    let entry = node.as_map()?.entry(inner.trim_matches('"'))?;
    Some((&entry.value, entry.key_at.or(entry.value.at)))
}

/// Says whether a list item has the keys `name="a",port=80`. A key that has a default may be unwritten.
fn has_keys(item: &Value, keys: &str) -> bool {
    keys.split(',').all(|pair| {
        let Some((key, wanted)) = pair.split_once('=') else { return false };
        match item.get(key) {
            Some(found) => soll_yaml::to_json(found) == wanted,
            None => key == "protocol",
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::object;
    use soll_yaml::Entry;

    fn deployment(namespace: &str) -> Object {
        object(&format!("{{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {{'name': 'web'{namespace}}}}}"))
    }

    fn check(object: &Object, code: u16, reason: &str, causes: &[RefusalCause<'_>], expected: &str) {
        let refusal = Refusal { code, reason, message: "the reason why", causes };
        assert_eq!(refusal.failure(Attempt::DryRun, object, &Sources::new()).message, expected);
    }

    #[test]
    fn texts_are_those_of_flux() {
        let object = deployment(", 'namespace': 'apps'");
        check(&object, 422, "Invalid", &[], "Deployment/apps/web dry-run failed (Invalid): the reason why");
        check(&object, 0, "", &[], "Deployment/apps/web dry-run failed: the reason why");
        check(&object, 404, "NotFound", &[], "Deployment/apps/web not found: the reason why");
        check(&deployment(""), 404, "NotFound", &[], "Deployment/web namespace not specified: the reason why");
        let conflict = RefusalCause { kind: "FieldManagerConflict", field: ".spec.replicas", message: "" };
        check(
            &object,
            409,
            "Conflict",
            &[conflict],
            "Deployment/apps/web dry-run failed (FieldManagerConflict): the reason why",
        );
    }

    /// An object whose every key stands on a line of its own, in the order of writing.
    fn placed(text: &str, sources: &Sources) -> Object {
        fn place(value: &Value, source: soll_yaml::SourceId, line: &mut usize) -> Value {
            let at = At::new(source, *line, 1);
            if let Some(items) = value.as_list() {
                return Value::list(items.iter().map(|item| place(item, source, line)).collect()).at(at);
            }
            let Some(map) = value.as_map() else { return value.clone().at(at) };
            let mut placed = soll_yaml::Map::new();
            for entry in map {
                *line += 1;
                let key_at = At::new(source, *line, 1);
                placed.insert_entry(Entry { key: entry.key.clone(), key_at, value: place(&entry.value, source, line) });
            }
            Value::from(placed).at(at)
        }
        let source = sources.add("a.yaml");
        Object::new(place(object(text).value(), source, &mut 0)).expect("still an object")
    }

    #[test]
    fn the_field_at_fault_has_a_line() {
        let sources = Sources::new();
        let object = placed(
            "{'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': 'p', 'namespace': 'n'},
              'spec': {'containers': [{'name': 'a', 'image': 'x'}, {'name': 'b', 'imgae': 'y'}]}}",
            &sources,
        );
        let line = |field: &str, message: &str| {
            let cause = [RefusalCause { kind: "", field, message: "" }];
            let causes = if field.is_empty() { &[][..] } else { &cause };
            let refusal = Refusal { code: 422, reason: "Invalid", message, causes };
            refusal.failure(Attempt::DryRun, &object, &sources).origins[0].line
        };
        assert_eq!(line("spec.containers[0].image", ""), 9);
        assert_eq!(line("spec.containers[1].ports[0]", ""), 9);
        assert_eq!(line("spec.volumes", ""), 6);
        assert_eq!(line("", ".spec.containers[name=\"b\"].imgae: field not declared in schema"), 11);
        let long = "failed to create typed patch object (n/p; v1, Kind=Pod): .spec.containers[name=\"b\"].imgae: field \
                    not declared in schema";
        assert_eq!(line("", long), 11);
        assert_eq!(line("", "namespaces \"n\" not found"), 5);
    }

    #[test]
    fn immutable_is_what_flux_takes_for_it() {
        let immutable = |code, reason, message| Refusal { code, reason, message, causes: &[] }.is_immutable();
        assert!(immutable(422, "Invalid", ""));
        assert!(immutable(409, "Conflict", ""));
        assert!(immutable(400, "BadRequest", "spec.selector: field is immutable"));
        assert!(!immutable(403, "Forbidden", ""));
    }
}
