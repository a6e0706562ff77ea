//! The suffix that makes the name of a generated object change with its content.

use sha2::{Digest, Sha256};
use soll_yaml::{Data, Map, Value, to_json_sorted};

use crate::resources::Resources;

/// Appends the hash to the names of the objects that want one.
pub(crate) fn add_to_names(resources: &mut Resources) {
    for resource in resources.iter_mut().filter(|resource| resource.needs_hash) {
        let hash = of(resource.value());
        resource.remember_id();
        let at = resource.value().lookup(&["metadata", "name"]).map_or(resource.value().at, |name| name.at);
        let name = format!("{}-{hash}", resource.name());
        resource.set_metadata("name", Value::from(name).at(at));
    }
}

/// Ten letters that tell contents apart.
fn of(object: &Value) -> String {
    let kind = object.lookup_str(&["kind"]).unwrap_or_default();
    let text = match kind {
        "ConfigMap" => encoded(object, kind, &[], "binaryData"),
        "Secret" => encoded(object, kind, &["type"], "stringData"),
        _ => to_json_sorted(object),
    };
    let digest = hex::encode(Sha256::digest(escape_html(&text).as_bytes()));
    // Digits and letters that could spell words or be misread are replaced.
    let letter = |digit: char| match digit {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    digest.chars().take(10).map(letter).collect()
}

fn encoded(object: &Value, kind: &str, texts: &[&str], optional: &str) -> String {
    let or_empty = |value: Option<&Value>| value.cloned().unwrap_or_else(|| Value::from(""));
    let mut map = Map::new();
    map.insert("kind", Value::from(kind));
    // Kustomize looks for a field of the literal name `metadata/name`, which nothing has.
    map.insert("name", Value::from(""));
    // A field that is there and empty counts as an empty map, a missing one as an empty text.
    map.insert("data", or_empty(object.get("data")));
    for text in texts {
        map.insert(*text, or_empty(object.get(text)));
    }
    if let Some(value) = object.get(optional).filter(|value| matches!(value.data, Data::Map(_))) {
        map.insert(optional, value.clone());
    }
    to_json_sorted(&map.into())
}

/// Go's JSON encoder writes these characters as escapes.
pub(crate) fn escape_html(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            letter => out.push(letter),
        }
    }
    out
}
