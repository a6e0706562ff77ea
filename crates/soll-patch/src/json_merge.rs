//! JSON merge patch, RFC 7386.

use soll_yaml::{Map, Value};

use crate::Trace;

/// Merges maps key by key; `null` removes a key; everything else replaces.
#[must_use]
pub fn json_merge(target: &Value, patch: &Value, trace: Option<Trace<'_>>) -> Value {
    let Some(changes) = patch.as_map() else { return Trace::mark(trace, patch, target.at) };
    let Some(old) = target.as_map() else {
        return without_nulls(&Trace::mark(trace, patch, target.at));
    };
    let mut merged = target.clone();
    for change in changes {
        if change.value.is_null() {
            if old.contains(&change.key) {
                merged.make_map().remove(&change.key);
            }
            continue;
        }
        let value = match old.get(&change.key) {
            Some(before) => json_merge(before, &change.value, trace),
            None => without_nulls(&Trace::mark(trace, &change.value, soll_yaml::At::NONE)),
        };
        match merged.make_map().get_mut(&change.key) {
            Some(place) => *place = value,
            None => {
                let entry = soll_yaml::Entry { key: change.key.clone(), key_at: change.key_at, value };
                merged.make_map().insert_entry(entry);
            }
        }
    }
    merged
}

/// The same value; keys of maps that are `null` are left out, at every depth that lists do not bar.
fn without_nulls(value: &Value) -> Value {
    let Some(map) = value.as_map() else { return value.clone() };
    let mut kept = Map::with_capacity(map.len());
    for entry in map.iter().filter(|entry| !entry.value.is_null()) {
        let mut entry = entry.clone();
        entry.value = without_nulls(&entry.value);
        kept.insert_entry(entry);
    }
    Value::from(kept).at(value.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::{parse_json, to_json_sorted};

    /// The examples of RFC 7386, appendix A.
    #[test]
    fn follows_the_examples_of_the_rfc() {
        for (target, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r"{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let value = |text: &str| parse_json(text.as_bytes()).expect("valid JSON");
            let merged = json_merge(&value(target), &value(patch), None);
            assert_eq!(to_json_sorted(&merged), result, "{target} with {patch}");
        }
    }
}
