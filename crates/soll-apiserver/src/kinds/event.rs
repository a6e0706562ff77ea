//! Events: one store, two views, the core one and that of `events.k8s.io`.

use soll_yaml::{Map, Value};

use super::default;
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
