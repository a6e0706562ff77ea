//! CustomResourceDefinitions as objects: names, conditions, and what makes one invalid.

use jiff::Timestamp;

use soll_schema::CrdSchema;
use soll_yaml::{Map, Value};

use crate::refusal::Cause;
use crate::{fields, meta};

/// Holds the deletion of a definition until its objects are gone.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// Fills in the names that follow from others.
pub(crate) fn settle(object: &mut Value) {
    let spec = object.make_map().get_or_insert_with("spec", Value::map).make_map();
    let names = spec.get_or_insert_with("names", Value::map).make_map();
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !kind.is_empty() {
        names.get_or_insert_with("singular", || Value::from(kind.to_lowercase()));
        names.get_or_insert_with("listKind", || Value::from(format!("{kind}List")));
    }
    let strategy = || Map::from_iter([("strategy", Value::str("None"))]).into();
    spec.get_or_insert_with("conversion", strategy);
}

/// Writes the status that says it is served.
///
/// The real server does this a moment later; here a definition is served when its create is answered.
pub(crate) fn prepare(object: &mut Value, now: Timestamp) {
    let names = object.lookup(&["spec", "names"]).cloned().unwrap_or_default();
    let storage = versions(object).iter().find(|version| version.get("storage").and_then(Value::as_bool) == Some(true));
    let storage = storage.and_then(|version| version.lookup_str(&["name"])).unwrap_or_default().to_owned();
    let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
    let stored = status.get_or_insert_with("storedVersions", || Value::list(Vec::new()));
    if let Some(stored) = stored.as_list_mut()
        && !stored.iter().any(|version| version.as_str() == Some(&storage))
    {
        stored.push(Value::from(storage));
    }
    let before = object.clone();
    let status = object.make_map().get_or_insert_with("status", Value::map).make_map();
    status.insert("acceptedNames", names);
    let condition = |kind: &str, reason: &str, message: &str| {
        let fields = [
            ("type", Value::str(kind)),
            ("status", Value::str("True")),
            ("lastTransitionTime", Value::from(meta::time(now))),
            ("reason", Value::str(reason)),
            ("message", Value::str(message)),
        ];
        Value::from(Map::from_iter(fields))
    };
    status.get_or_insert_with("conditions", || {
        Value::list(vec![
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ])
    });
    *object = fields::by_server("kube-apiserver", "status", Some(&before), object);
}

/// Holds the deletion until the objects are gone.
pub(crate) fn mark(object: &mut Value) {
    let mut finalizers: Vec<String> = meta::finalizers(object).into_iter().map(str::to_owned).collect();
    if !finalizers.iter().any(|name| name == CLEANUP) {
        finalizers.push(CLEANUP.to_owned());
    }
    meta::set_finalizers(object, &finalizers);
}

fn versions(object: &Value) -> &[Value] {
    object.lookup(&["spec", "versions"]).and_then(Value::as_list).unwrap_or_default()
}

/// What is wrong with a definition.
pub(crate) fn validate(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |keys: &[&str]| object.lookup_str(keys).unwrap_or_default().to_owned();
    let (group, plural) = (text(&["spec", "group"]), text(&["spec", "names", "plural"]));
    for (field, value) in
        [("spec.group", &group), ("spec.names.plural", &plural), ("spec.names.kind", &text(&["spec", "names", "kind"]))]
    {
        if value.is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    let expected = format!("{plural}.{group}");
    let name = meta::text(object, "name");
    if causes.is_empty() && name != expected {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &format!("{name:?}"), why));
    }
    let scope = text(&["spec", "scope"]);
    match scope.as_str() {
        "Cluster" | "Namespaced" => {}
        "" => causes.push(Cause::required("spec.scope", "")),
        _ => causes.push(Cause::unsupported("spec.scope", &format!("{scope:?}"), &["Cluster", "Namespaced"])),
    }
    let storage =
        versions(object).iter().filter(|version| version.get("storage").and_then(Value::as_bool) == Some(true));
    if storage.count() != 1 {
        let shown = object.lookup(&["spec", "versions"]).map(crate::refusal::shown).unwrap_or_default();
        causes.push(Cause::invalid("spec.versions", &shown, "must have exactly one version marked as storage version"));
    }
    for (index, version) in versions(object).iter().enumerate() {
        let schema = version.lookup(&["schema", "openAPIV3Schema"]);
        let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
        match schema.filter(|schema| !schema.is_null()) {
            None => causes.push(Cause::required(field, "schemas are required")),
            Some(schema) => {
                if let Err(error) = CrdSchema::from_openapi_v3(schema) {
                    let path = error.path.to_string();
                    let dot = if path.is_empty() { "" } else { "." };
                    causes.push(Cause::invalid(format!("{field}{dot}{path}"), "schema", error.message));
                }
            }
        }
    }
    causes
}
