//! Why the API server refused an object, in Flux's words, with the line that caused it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_api::{Class, Failure, Object, Origin, Retry, Secrets};
use soll_schema::Schemas;
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

    /// The failure for status and events: what was refused and why, which field is at fault, and where it was written.
    ///
    /// `live` is the object as it is, if it is known: it tells what of an immutable field differs.
    #[must_use]
    pub fn failure(&self, attempt: Attempt, object: &Object, live: Option<&Object>, sources: &Sources) -> Failure {
        let reason = match attempt {
            Attempt::DryRun | Attempt::Apply => "ReconciliationFailed",
            Attempt::Delete => "PruneFailed",
        };
        let message = self.text(attempt, object);
        let failure = Failure::new(self.class(), reason, message, Retry::AtRetryInterval).about(object.object_ref());
        let fault = self.fault(object, live);
        let mut failure = failure.from_origins(fault.origins(sources));
        failure.field = fault.field;
        failure.hint = fault.hint;
        failure.hide(&secrets_of(object));
        failure
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

    /// The first field at fault; nothing but the object's own place if none is named.
    fn fault(&self, object: &Object, live: Option<&Object>) -> Fault {
        let named = self.causes.iter().map(|cause| cause.field).find(|field| !field.is_empty());
        let named = named.filter(|field| *field != "<nil>");
        if let Some(field) = named.or_else(|| field_in(self.message)) {
            let mut fault = Fault::at(object.value(), field);
            if self.message.contains("immutable") {
                fault.tell_difference(object, live);
            } else if self.message.contains(UNKNOWN_FIELD) {
                fault.hint = meant(object, field).map(|name| format!("did you mean `{name}`?"));
            }
            return fault;
        }
        if self.code == 404 && object.namespace().is_empty() {
            let hint = "give it a namespace, or set `targetNamespace` in the Kustomization's spec";
            return Fault { hint: Some(hint.to_owned()), ..Fault::at(object.value(), "metadata.namespace") };
        }
        let about_namespace = matches!(self.code, 403 | 404) || self.message.contains("namespaces \"");
        match about_namespace && !object.namespace().is_empty() {
            true => Fault::at(object.value(), "metadata.namespace"),
            false => Fault { value_at: object.value().at, ..Fault::default() },
        }
    }
}

const UNKNOWN_FIELD: &str = ": field not declared in schema";

/// Which field is at fault, where it was written, and what can be done.
#[derive(Default)]
struct Fault {
    /// As the server writes paths, without the leading dot.
    field: Option<String>,
    /// The place of the key.
    key_at: At,
    /// The place of the value, which knows what made it.
    value_at: At,
    hint: Option<String>,
}

impl Fault {
    /// At the node at a path, or at its nearest parent that is written somewhere, if it is missing.
    fn at(value: &Value, path: &str) -> Self {
        let field = Some(path.trim_start_matches('.').to_owned());
        let (key_at, value_at) = nearest(value, path);
        Self { field, key_at, value_at, hint: None }
    }

    /// The place of the key, and what made the value if that wrote the key as well.
    fn origins(&self, sources: &Sources) -> Vec<Origin> {
        let mut chain = Origin::chain(sources, self.value_at.or(self.key_at));
        let key = Origin::chain(sources, self.key_at).into_iter().next();
        match (chain.first_mut(), key) {
            // The key of a list item or a map stands before its value; in one file it is the better place.
            (Some(first), Some(key)) if first.path == key.path && first.line >= key.line => {
                (first.line, first.column) = (key.line, key.column);
            }
            (Some(first), Some(key)) if first.via.is_none() => chain = vec![key],
            _ => {}
        }
        chain
    }

    /// Narrows an immutable field down to what of it differs from the live object.
    fn tell_difference(&mut self, object: &Object, live: Option<&Object>) {
        const REMEDY: &str = "only a new object can have another: `force: true` in the Kustomization's spec, or the \
            annotation `kustomize.toolkit.fluxcd.io/force: enabled` on the object, has it deleted and created anew";
        let field = self.field.clone().unwrap_or_default();
        let wanted = node(object.value(), &field);
        let difference = wanted.zip(live).and_then(|((_, wanted), live)| {
            let is = node(live.value(), &field).map(|(_, is)| is);
            difference(wanted, is, field)
        });
        let Some(difference) = difference else {
            self.hint = Some(REMEDY.to_owned());
            return;
        };
        let is = difference.is.map_or("not set".to_owned(), |is| format!("`{}`", short(is)));
        let wanted = difference.wanted.map_or("to go".to_owned(), |wanted| format!("to be `{}`", short(wanted)));
        let hides = object.kind() == "Secret" && object.api_version() == "v1";
        self.hint = Some(match hides {
            true => format!("{} differs from the cluster; {REMEDY}", difference.field),
            false => format!("{} is {is} in the cluster and ought {wanted}; {REMEDY}", difference.field),
        });
        if let Some((entry_at, wanted)) = difference.at {
            (self.key_at, self.value_at) = (entry_at, wanted);
        }
        self.field = Some(difference.field);
    }
}

/// One difference between what is wanted and what is.
struct Difference<'v> {
    field: String,
    wanted: Option<&'v Value>,
    is: Option<&'v Value>,
    /// The places of key and value, if it is written at all.
    at: Option<(At, At)>,
}

/// The first leaf below a field that differs.
fn difference<'v>(wanted: &'v Value, is: Option<&'v Value>, field: String) -> Option<Difference<'v>> {
    if let (Some(wanted), Some(is)) = (wanted.as_map(), is.and_then(Value::as_map)) {
        for entry in wanted {
            let found = is.get(&entry.key);
            if found == Some(&entry.value) {
                continue;
            }
            let field = format!("{field}.{}", entry.key);
            let mut difference = difference(&entry.value, found, field)?;
            difference.at.get_or_insert((entry.key_at, entry.value.at));
            return Some(difference);
        }
        let gone = is.iter().find(|entry| wanted.get(&entry.key).is_none())?;
        let field = format!("{field}.{}", gone.key);
        return Some(Difference { field, wanted: None, is: Some(&gone.value), at: None });
    }
    (Some(wanted) != is).then_some(Difference { field, wanted: Some(wanted), is, at: None })
}

/// A value in a line, cut where it gets long.
fn short(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.as_str().map_or_else(|| soll_yaml::to_json(value), str::to_owned);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What a field that the kind does not have may have been meant to be.
fn meant(object: &Object, path: &str) -> Option<String> {
    let mut of = Schemas::builtin().type_of(object.group(), object.version(), object.kind())?;
    let mut rest = path;
    loop {
        let (step, after) = next_step(rest);
        match step {
            Step::Name(name) if after.is_empty() => {
                let known: Vec<_> = of.fields().map(|field| field.name).collect();
                return soll_api::did_you_mean(name, known.iter().copied()).map(str::to_owned);
            }
            Step::Name(name) => of = of.field(name)?,
            Step::Inner(_) => of = of.items().or_else(|| of.values())?,
        }
        if after.is_empty() {
            return None;
        }
        rest = after;
    }
}

/// What of an object nobody may read: the values of a Secret, encoded and not.
fn secrets_of(object: &Object) -> Secrets {
    let mut secrets = Secrets::new();
    if object.api_version() != "v1" || object.kind() != "Secret" {
        return secrets;
    }
    for field in ["data", "stringData"] {
        for entry in object.value().get(field).and_then(Value::as_map).into_iter().flatten() {
            let text = entry.value.as_str().map_or_else(|| soll_yaml::to_json(&entry.value), str::to_owned);
            secrets.add(&text);
            if let Some(decoded) = STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                secrets.add(&decoded);
            }
        }
    }
    secrets
}

/// The field that the message of a schema error names: `.spec.foo: field not declared in schema`.
fn field_in(message: &str) -> Option<&str> {
    let end = message.find(UNKNOWN_FIELD).or_else(|| message.find(": expected "))?;
    // Keys of list items may contain spaces and dots only within quotes.
    let mut quoted = false;
    let start = message[..end].char_indices().rev().find(|(_, c)| {
        quoted ^= *c == '"';
        c.is_whitespace() && !quoted
    });
    let field = &message[start.map_or(0, |(place, c)| place + c.len_utf8())..end];
    field.starts_with('.').then_some(field)
}

/// The places of key and value of the node at a path such as `spec.ports[0].port`, `.spec.containers[name="a"].image` or
/// `data[a.b]`; of its nearest parent that is written somewhere, if it is missing.
fn nearest(value: &Value, path: &str) -> (At, At) {
    let (mut node, mut places) = (value, (value.at, value.at));
    let mut rest = path;
    while !rest.is_empty() {
        let (step, after) = next_step(rest);
        rest = after;
        let Some((next, key_at)) = step.lead(node) else { break };
        node = next;
        if !key_at.is_none() || !next.at.is_none() {
            places = (key_at.or(next.at), next.at);
        }
    }
    places
}

/// The node at a path, with the place of its key.
fn node<'v>(value: &'v Value, path: &str) -> Option<(At, &'v Value)> {
    let (mut found, mut rest) = ((value.at, value), path);
    while !rest.is_empty() {
        let (step, after) = next_step(rest);
        rest = after;
        let (next, key_at) = step.lead(found.1)?;
        found = (key_at, next);
    }
    Some(found)
}

enum Step<'p> {
    Name(&'p str),
    Inner(&'p str),
}

impl Step<'_> {
    /// The node that a step leads to, and the place of its key.
    fn lead<'v>(&self, node: &'v Value) -> Option<(&'v Value, At)> {
        match self {
            Self::Name(name) => {
                let entry = node.as_map()?.entry(name)?;
                Some((&entry.value, entry.key_at))
            }
            Self::Inner(inner) => within(node, inner),
        }
    }
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
    Some((&entry.value, entry.key_at))
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
        assert_eq!(refusal.failure(Attempt::DryRun, object, None, &Sources::new()).message, expected);
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
            refusal.failure(Attempt::DryRun, &object, None, &sources).origins[0].line
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

    fn told(refusal: &Refusal<'_>, object: &Object, live: Option<&Object>) -> String {
        refusal.failure(Attempt::DryRun, object, live, &Sources::new()).to_string()
    }

    #[test]
    fn of_an_immutable_field_the_difference_is_told() {
        let map = |color: &str| {
            object(&format!(
                "{{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {{'name': 'c', 'namespace': 'n'}}, \
                 'data': {{'size': '1'{color}}}}}"
            ))
        };
        let cause = [RefusalCause { kind: "FieldValueForbidden", field: "data", message: "" }];
        let message = "data: Forbidden: field is immutable";
        let refusal = Refusal { code: 422, reason: "Invalid", message, causes: &cause };
        let hint = |wanted: &str, is: &str| {
            let failure = refusal.failure(Attempt::DryRun, &map(wanted), Some(&map(is)), &Sources::new());
            let hint = failure.hint.unwrap_or_default();
            (failure.field.unwrap_or_default(), hint.split(';').next().unwrap_or_default().to_owned())
        };
        let color = |color: &str| format!(", 'color': '{color}'");
        let told = |field: &str, hint: &str| (field.to_owned(), hint.to_owned());
        let (field, red, blue) = ("data.color", color("red"), color("blue"));
        assert_eq!(hint(&blue, &red), told(field, "data.color is `red` in the cluster and ought to be `blue`"));
        assert_eq!(hint(&blue, ""), told(field, "data.color is not set in the cluster and ought to be `blue`"));
        assert_eq!(hint("", &red), told(field, "data.color is `red` in the cluster and ought to go"));
        assert!(hint(&red, &red).1.starts_with("only a new object"), "there is no difference to tell");
    }

    #[test]
    fn an_unknown_field_is_compared_with_what_there_is() {
        let pod = object("{'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': 'p'}}");
        let hint = |path: &str| {
            let message =
                format!("failed to create typed patch object (p; v1, Kind=Pod): {path}: field not declared in schema");
            let refusal = Refusal { code: 500, reason: "", message: &message, causes: &[] };
            refusal.failure(Attempt::Apply, &pod, None, &Sources::new()).hint.unwrap_or_default()
        };
        assert_eq!(hint(".spec.containers[name=\"a b\"].imgae"), "did you mean `image`?");
        assert_eq!(hint(".spec.nodeSelectr"), "did you mean `nodeSelector`?");
        assert_eq!(hint(".spec.somethingElse"), "");
    }

    #[test]
    fn values_of_a_secret_are_not_told() {
        let secret = object(
            "{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 's'}, 'data': {'pin': 49152731, 'p': 'aHVudGVyMg=='}}",
        );
        let message = ".data.pin: expected string, got &value.valueUnstructured{Value:49152731}; hunter2 aHVudGVyMg==";
        let text = told(&Refusal { code: 500, reason: "", message, causes: &[] }, &secret, None);
        assert!(text.contains("Value:***}; *** ***"), "{text}");
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
