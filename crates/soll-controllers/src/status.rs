//! Writing status: the least patch that turns what is known into what ought to be said, or nothing at all.

use soll_yaml::{Data, Value};

/// What a pass found, ready to be written: the whole new status, and what is said about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report<S> {
    /// The new status.
    pub(crate) status: S,
    /// What is said, in this order.
    pub(crate) said: Vec<Said>,
}

/// An event before it knows its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) severity: crate::events::Severity,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) metadata: Vec<(&'static str, String)>,
}

/// The JSON merge patch that turns `old` into `new`; nothing if they are the same.
pub(crate) fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    let (Data::Map(before), Data::Map(after)) = (&old.data, &new.data) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Value::map();
    let fields = patch.make_map();
    for entry in after.iter() {
        let difference = match before.get(&entry.key) {
            Some(known) => merge_patch(known, &entry.value),
            None => Some(entry.value.clone()),
        };
        if let Some(difference) = difference {
            fields.insert(entry.key.clone(), difference);
        }
    }
    for gone in before.keys().filter(|key| !after.contains(key)) {
        fields.insert(gone.clone(), Value::null());
    }
    (!fields.is_empty()).then_some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::{parse_json, to_json_sorted};

    #[test]
    fn a_patch_says_the_difference_only() {
        let patch = |old: &str, new: &str| {
            let value = |text: &str| parse_json(text.as_bytes()).expect("JSON");
            merge_patch(&value(old), &value(new)).map(|patch| to_json_sorted(&patch))
        };
        assert_eq!(patch(r#"{"a":1,"b":[1]}"#, r#"{"b":[1],"a":1}"#), None);
        assert_eq!(patch(r#"{"a":1,"b":[1]}"#, r#"{"a":1,"b":[2]}"#).as_deref(), Some(r#"{"b":[2]}"#));
        assert_eq!(patch(r#"{"a":1,"b":2}"#, r#"{"a":1}"#).as_deref(), Some(r#"{"b":null}"#));
        assert_eq!(patch(r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"x":1,"y":3}}"#).as_deref(), Some(r#"{"a":{"y":3}}"#));
        assert_eq!(patch("{}", r#"{"a":{"x":1}}"#).as_deref(), Some(r#"{"a":{"x":1}}"#));
    }
}
