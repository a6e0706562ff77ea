//! Events: one store, two views, the core one and that of `events.k8s.io`.

use soll_yaml::{Map, Value};

use super::checks::{number, quoted, text};
use super::default;
use crate::meta;
use crate::names;
use crate::refusal::Cause;
use crate::resources::Resource;

/// Fields that are named differently: core, then `events.k8s.io`.
const NAMES: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Writes what Go writes always: where it comes from, and who reports, if it is nobody.
pub(crate) fn settle(resource: &Resource, object: &mut Value) {
    let event = object.make_map();
    if resource.group.is_empty() {
        default(event, "source", Value::map());
        default(event, "reportingComponent", "");
        default(event, "reportingInstance", "");
    } else {
        default(event, "deprecatedSource", Value::map());
        // Here nobody is nothing.
        event.retain(|field| !(field.key.starts_with("reporting") && field.value.as_str() == Some("")));
    }
}

/// An event, stored in either form, in the form of the resource that was asked.
pub(crate) fn present(resource: &Resource, stored: &Value) -> Value {
    let api_version = resource.api_version();
    if stored.lookup_str(&["apiVersion"]) == Some(&api_version) {
        return stored.clone();
    }
    let to_core = resource.group.is_empty();
    let mut shown = Map::new();
    for entry in stored.as_map().into_iter().flatten() {
        let name = NAMES.iter().find_map(|(core, new)| match to_core {
            true => (*new == entry.key).then_some(*core),
            false => (*core == entry.key).then_some(*new),
        });
        shown.insert(name.unwrap_or(&entry.key), entry.value.clone());
    }
    shown.insert("apiVersion", Value::from(api_version));
    let mut shown = shown.into();
    settle(resource, &mut shown);
    shown
}

/// What is wrong with an event. The words are those of the core view; of the older fields the newer view has no use.
pub(crate) fn validate(resource: &Resource, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let is_core = resource.group.is_empty();
    let own = |core: &'static str| {
        let renamed = NAMES.iter().find(|(name, _)| *name == core && !is_core);
        renamed.map_or(core, |(_, new)| *new)
    };
    let of = |core: &'static str| text(object, &[own(core)]);
    let mut causes = Vec::new();
    let (namespace, about) = (meta::text(object, "namespace"), object.get(own("involvedObject")));
    let place = about.map(|about| text(about, &["namespace"])).unwrap_or_default();
    let has_time = !object.get("eventTime").is_none_or(Value::is_null);
    // What belongs to no namespace is told of in the default one.
    let agrees = match (place.is_empty(), has_time) {
        (true, true) => matches!(namespace, "default" | "kube-system"),
        (true, false) => namespace == "default",
        (false, true) => true,
        (false, false) => place == namespace,
    };
    if !agrees {
        causes.push(Cause::invalid("involvedObject.namespace", &quoted(place), "does not match event.namespace"));
    }
    if has_time {
        let reporter = if is_core { "reportingComponent" } else { "reportingController" };
        if of("reportingComponent").is_empty() {
            causes.push(Cause::required(reporter, ""));
        }
        causes.extend(names::label_key_causes(reporter, of("reportingComponent")));
        for field in ["reportingInstance", "action", "reason", "message"] {
            let (given, most) = (of(field), if field == "message" { 1_024 } else { 128 });
            if given.is_empty() && field != "message" {
                causes.push(Cause::required(field, ""));
            }
            if given.len() > most {
                causes.push(Cause::invalid(field, "\"\"", format!("can have at most {most} characters")));
            }
        }
    }
    if let Err(why) = names::subdomain(namespace) {
        causes.push(Cause::invalid("namespace", &quoted(namespace), why));
    }
    if !is_core && old.is_none() {
        causes.extend(check_new(object, has_time));
    }
    causes
}

/// What is wrong with a new event of the newer view.
fn check_new(object: &Value, has_time: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !has_time {
        causes.push(Cause::required("eventTime", ""));
    }
    let kind = text(object, &["type"]);
    if !matches!(kind, "Normal" | "Warning") {
        causes.push(Cause::invalid("type", "\"\"", format!("has invalid value: {kind}")));
    }
    for (core, field) in NAMES.iter().filter(|(_, field)| field.starts_with("deprecated")) {
        let given = object.get(field).filter(|given| !given.is_null() && given.as_i64() != Some(0));
        if given.is_some_and(|given| given.as_map().is_none_or(|source| !source.is_empty())) {
            causes.push(Cause::invalid(*core, "\"\"", "needs to be unset"));
        }
    }
    causes.extend(check_series(object));
    causes
}

/// What is wrong with a series: one event is none.
fn check_series(object: &Value) -> Vec<Cause> {
    let Some(series) = object.get("series") else { return Vec::new() };
    let mut causes = Vec::new();
    if number(series, &["count"]) < 2 {
        causes.push(Cause::invalid("series.count", "\"\"", "should be at least 2"));
    }
    if series.get("lastObservedTime").is_none_or(Value::is_null) {
        causes.push(Cause::required("series.lastObservedTime", ""));
    }
    causes
}

/// What of an event of the newer view may not change: all but how often it was seen.
pub(crate) fn validate_update(resource: &Resource, old: &Value, object: &Value) -> Vec<Cause> {
    const SAME_NAME: [&str; 6] = ["reason", "action", "related", "type", "eventTime", "reportingInstance"];
    if resource.group.is_empty() {
        return Vec::new();
    }
    let mut causes = if old.get("series") == object.get("series") { Vec::new() } else { check_series(object) };
    let renamed = NAMES.iter().map(|(core, own)| (if core.starts_with("reporting") { own } else { core }, own));
    for (core, own) in SAME_NAME.iter().map(|field| (field, field)).chain(renamed) {
        if old.get(own) != object.get(own) {
            let shown = object.get(own).map_or_else(|| "null".into(), crate::refusal::shown);
            causes.push(Cause::invalid(*core, &shown, "field is immutable"));
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Registry;
    use soll_yaml::{parse_json, to_json};

    #[test]
    fn both_views_show_the_same_event() {
        let table = Registry::builtin().table();
        let view = |group: &str, stored: &Value| present(table.find(group, "v1", "events").expect("builtin"), stored);
        let core = r#"{"apiVersion":"v1","kind":"Event","involvedObject":{"name":"a"},"message":"m","source":{},
            "reportingComponent":"","reportingInstance":""}"#;
        let stored = parse_json(core.as_bytes()).expect("JSON");
        let new = view("events.k8s.io", &stored);
        assert_eq!(
            to_json(&new),
            r#"{"apiVersion":"events.k8s.io/v1","kind":"Event","regarding":{"name":"a"},"note":"m","deprecatedSource":{}}"#
        );
        assert_eq!(view("", &new), stored);
    }
}
