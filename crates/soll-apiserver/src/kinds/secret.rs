//! Secrets and config maps.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_yaml::Value;

use crate::refusal::Cause;

/// Folds `stringData` into `data` and names the type.
pub(crate) fn settle(object: &mut Value) {
    let secret = object.make_map();
    if let Some(plain) = secret.remove("stringData")
        && let Some(plain) = plain.as_map().filter(|plain| !plain.is_empty())
    {
        let data = secret.get_or_insert_with("data", Value::map).make_map();
        for entry in plain {
            let text = entry.value.as_str().unwrap_or_default();
            data.insert(entry.key.clone(), Value::from(STANDARD.encode(text)));
        }
    }
    if secret.get("type").and_then(Value::as_str).is_none_or(str::is_empty) {
        secret.insert("type", Value::str("Opaque"));
    }
}

/// Refuses changes of what is marked as immutable.
pub(crate) fn validate_immutable(old: &Value, object: &Value) -> Vec<Cause> {
    if old.get("immutable").and_then(Value::as_bool) != Some(true) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    if object.get("immutable").and_then(Value::as_bool) != Some(true) {
        causes.push(Cause::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for field in ["data", "binaryData"] {
        if old.get(field) != object.get(field) {
            causes.push(Cause::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::{parse_json, to_json_sorted};

    #[test]
    fn plain_data_is_encoded_over_what_is_there() {
        let mut secret = parse_json(br#"{"data":{"a":"eA==","b":"eA=="},"stringData":{"a":"hello"}}"#).expect("JSON");
        settle(&mut secret);
        assert_eq!(to_json_sorted(&secret), r#"{"data":{"a":"aGVsbG8=","b":"eA=="},"type":"Opaque"}"#);
    }
}
