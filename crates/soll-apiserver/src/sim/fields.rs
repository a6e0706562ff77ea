//! Reading and making the fields that many kinds have.

use serde_json::json;
use sha2::{Digest, Sha256};
use soll_api::Object;
use soll_yaml::{Map, Value, to_json_sorted, to_value};

use super::kind::Kind;

/// A value from a JSON literal.
pub(super) fn value(json: &serde_json::Value) -> Value {
    to_value(json).expect("JSON is a value")
}

/// A whole number, or zero.
pub(super) fn int(object: &Value, path: &[&str]) -> i64 {
    object.lookup(path).and_then(Value::as_i64).unwrap_or(0)
}

/// A whole number, or its default.
pub(super) fn int_or(object: &Value, path: &[&str], default: i64) -> i64 {
    object.lookup(path).and_then(Value::as_i64).unwrap_or(default)
}

/// A text, or the empty one.
pub(super) fn text<'o>(object: &'o Value, path: &[&str]) -> &'o str {
    object.lookup_str(path).unwrap_or_default()
}

/// A list, or the empty one.
pub(super) fn list<'o>(object: &'o Value, path: &[&str]) -> &'o [Value] {
    object.lookup(path).and_then(Value::as_list).unwrap_or_default()
}

pub(super) fn flag(object: &Value, path: &[&str]) -> bool {
    object.lookup(path).and_then(Value::as_bool).unwrap_or(false)
}

/// A map that is made if it is not there.
pub(super) fn map_mut<'o>(object: &'o mut Value, path: &[&str]) -> &'o mut Map {
    path.iter().fold(object, |value, key| value.make_map().get_or_insert_with(key, Value::map)).make_map()
}

/// The object with another status.
pub(super) fn with_status(object: &Object, status: Value) -> Object {
    let mut object = object.clone();
    object.value_mut().make_map().insert("status", status);
    object
}

/// The reference that makes `owner` the controller of an object.
pub(super) fn controller_reference(owner: &Object) -> Value {
    value(&json!({
        "apiVersion": owner.api_version(),
        "kind": owner.kind(),
        "name": owner.name(),
        "uid": owner.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    }))
}

/// The owner that controls an object.
pub(super) fn controller(object: &Value) -> Option<&Value> {
    list(object, &["metadata", "ownerReferences"]).iter().find(|owner| flag(owner, &["controller"]))
}

/// An amount that may be a percentage of a total.
pub(super) fn amount(value: Option<&Value>, total: i64, round_up: bool, default: &str) -> i64 {
    let percentage = |text: &str| {
        let percent = text.strip_suffix('%')?.parse::<i64>().ok()?;
        Some(if round_up { (percent * total + 99) / 100 } else { percent * total / 100 })
    };
    let text = match value {
        Some(value) => match value.as_i64() {
            Some(number) => return number,
            None => value.as_str().unwrap_or(default),
        },
        None => default,
    };
    percentage(text).or_else(|| text.parse().ok()).unwrap_or(0)
}

/// A short name for what a template says, of letters that spell no words.
pub(super) fn template_hash(template: &Value) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(to_json_sorted(template).as_bytes());
    digest.iter().take(10).map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// A number for a text, the same in every process.
pub(super) fn fingerprint(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A pod as its template and its owner want it. The name may be one to be completed by the server.
pub(super) fn pod_from_template(owner: &Object, template: &Value, naming: &Naming<'_>) -> Object {
    let mut metadata = template.get("metadata").cloned().unwrap_or_else(Value::map);
    let fields = metadata.make_map();
    fields.remove("creationTimestamp");
    match naming {
        Naming::Exact(name) => fields.insert("name", Value::str(name)),
        Naming::Prefix(prefix) => fields.insert("generateName", Value::str(prefix)),
    };
    fields.insert("namespace", Value::str(owner.namespace()));
    fields.insert("ownerReferences", Value::list(vec![controller_reference(owner)]));
    let pod = Map::from_iter([
        ("apiVersion", Value::from(Kind::Pod.api_version())),
        ("kind", Value::from(Kind::Pod.name())),
        ("metadata", metadata),
        ("spec", template.get("spec").cloned().unwrap_or_else(Value::map)),
    ]);
    Object::new(pod.into()).expect("it has a kind and a name")
}

/// How a pod is called.
pub(super) enum Naming<'n> {
    Exact(&'n str),
    Prefix(&'n str),
}

/// Adds a label to the metadata of an object or template.
pub(super) fn set_label(object: &mut Value, key: &str, label: &str) {
    map_mut(object, &["metadata", "labels"]).insert(key, Value::str(label));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_rounded_as_asked() {
        assert_eq!(amount(Some(&Value::str("25%")), 3, true, "0"), 1);
        assert_eq!(amount(Some(&Value::str("25%")), 3, false, "0"), 0);
        assert_eq!(amount(Some(&Value::from(2)), 3, false, "0"), 2);
        assert_eq!(amount(None, 8, false, "25%"), 2);
    }
}
