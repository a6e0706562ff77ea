//! The metadata of objects: reading it, and setting what only the server sets.

use jiff::Timestamp;
use soll_yaml::{Map, Value};

/// `metadata` for changing; made if it is missing.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map {
    object.make_map().get_or_insert_with("metadata", Value::map).make_map()
}

/// One text of the metadata; empty if it is not there.
pub(crate) fn text<'o>(object: &'o Value, field: &str) -> &'o str {
    object.lookup_str(&["metadata", field]).unwrap_or_default()
}

/// Sets one text of the metadata.
pub(crate) fn set_text(object: &mut Value, field: &str, text: &str) {
    metadata_mut(object).insert(field, Value::str(text));
}

/// Takes what `source` has in a field of the metadata, or removes the field.
pub(crate) fn copy_field(object: &mut Value, source: &Value, field: &str) {
    match source.lookup(&["metadata", field]) {
        Some(value) => {
            let value = value.clone();
            metadata_mut(object).insert(field, value);
        }
        None => {
            if object.lookup(&["metadata", field]).is_some() {
                metadata_mut(object).remove(field);
            }
        }
    }
}

/// Takes what `source` has in a top-level field, or removes the field.
pub(crate) fn copy_top(object: &mut Value, source: &Value, field: &str) {
    match source.get(field) {
        Some(value) => {
            object.make_map().insert(field, value.clone());
        }
        None => {
            if object.get(field).is_some() {
                object.make_map().remove(field);
            }
        }
    }
}

/// The finalizers.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    let list = object.lookup(&["metadata", "finalizers"]).and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).collect()
}

/// Sets the finalizers; none removes the field.
pub(crate) fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    let metadata = metadata_mut(object);
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        let list: Vec<Value> = finalizers.iter().map(|name| Value::str(name)).collect();
        metadata.insert("finalizers", Value::list(list));
    }
}

/// Takes one finalizer off.
pub(crate) fn drop_finalizer(object: &mut Value, finalizer: &str) {
    let kept: Vec<String> =
        finalizers(object).into_iter().filter(|name| *name != finalizer).map(str::to_owned).collect();
    set_finalizers(object, &kept);
}

/// Says whether the object is being deleted.
pub(crate) fn is_terminating(object: &Value) -> bool {
    object.lookup(&["metadata", "deletionTimestamp"]).is_some_and(|stamp| !stamp.is_null())
}

/// A point in time as Kubernetes writes it, to the second.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A point in time to the microsecond, as in `MicroTime` fields.
pub(crate) fn micro_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_go_does() {
        let at = Timestamp::from_microsecond(1_700_000_000_120_000).expect("in range");
        assert_eq!(time(at), "2023-11-14T22:13:20Z");
        assert_eq!(micro_time(at), "2023-11-14T22:13:20.120000Z");
    }
}
