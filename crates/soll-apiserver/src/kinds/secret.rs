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

/// What all values together may come to.
const MOST: usize = 1024 * 1024;
const KEY_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

fn entries<'o>(object: &'o Value, field: &str) -> impl Iterator<Item = (&'o str, &'o str)> {
    let map = object.get(field).and_then(Value::as_map);
    map.into_iter().flatten().map(|entry| (entry.key.as_str(), entry.value.as_str().unwrap_or_default()))
}

/// How long a value is that lies in base64.
fn decoded_len(text: &str) -> usize {
    text.len() / 4 * 3 - text.bytes().rev().take_while(|byte| *byte == b'=').count().min(2)
}

/// A key becomes the name of a file in a folder.
fn check_key(field: &str, key: &str) -> Option<Cause> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let why = match key {
        "." | ".." => format!("must not be '{key}'"),
        _ if key.len() > 253 => "must be no more than 253 characters".to_owned(),
        _ if key.is_empty() || !key.bytes().all(allowed) => KEY_RULE.to_owned(),
        _ if key.starts_with("..") => "must not start with '..'".to_owned(),
        _ => return None,
    };
    Some(Cause::invalid(format!("{field}[{key}]"), &format!("{key:?}"), why))
}

/// What is wrong with a secret: its keys, its size, and whether it has what its type promises.
pub(crate) fn validate(secret: &Value) -> Vec<Cause> {
    let mut causes: Vec<Cause> = entries(secret, "data").filter_map(|(key, _)| check_key("data", key)).collect();
    if entries(secret, "data").map(|(_, value)| decoded_len(value)).sum::<usize>() > MOST {
        causes.push(Cause::too_long("data", MOST));
    }
    let value = |key: &str| entries(secret, "data").find(|(held, _)| *held == key).map(|(_, value)| value);
    let required = |key: &str| Cause::required(format!("data[{key}]"), "");
    match secret.lookup_str(&["type"]).unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            const ACCOUNT: &str = "kubernetes.io/service-account.name";
            if secret.lookup_str(&["metadata", "annotations", ACCOUNT]).is_none_or(str::is_empty) {
                causes.push(Cause::required(format!("metadata.annotations[{ACCOUNT}]"), ""));
            }
        }
        "kubernetes.io/dockercfg" => causes.extend(docker(".dockercfg", value(".dockercfg"))),
        "kubernetes.io/dockerconfigjson" => causes.extend(docker(".dockerconfigjson", value(".dockerconfigjson"))),
        "kubernetes.io/basic-auth" if value("username").is_none() && value("password").is_none() => {
            causes.extend(["username", "password"].map(required));
        }
        "kubernetes.io/ssh-auth" if value("ssh-privatekey").is_none_or(str::is_empty) => {
            causes.push(required("ssh-privatekey"));
        }
        "kubernetes.io/tls" => {
            causes.extend(["tls.crt", "tls.key"].into_iter().filter(|key| value(key).is_none()).map(required));
        }
        _ => {}
    }
    causes
}

/// The configuration of a registry is a JSON object.
fn docker(key: &str, value: Option<&str>) -> Option<Cause> {
    let field = format!("data[{key}]");
    let Some(value) = value else { return Some(Cause::required(field, "")) };
    let json = STANDARD.decode(value).unwrap_or_default();
    let error = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&json).err()?;
    Some(Cause::invalid(field, "\"<secret contents redacted>\"", error.to_string()))
}

/// What is wrong with a config map: its keys, and its size.
pub(crate) fn validate_config_map(map: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for field in ["data", "binaryData"] {
        for (key, _) in entries(map, field) {
            causes.extend(check_key(field, key));
            if field == "data" && entries(map, "binaryData").any(|(other, _)| other == key) {
                let why = "duplicate of key present in binaryData";
                causes.push(Cause::invalid(format!("data[{key}]"), &format!("{key:?}"), why));
            }
        }
    }
    let plain: usize = entries(map, "data").map(|(_, value)| value.len()).sum();
    if plain + entries(map, "binaryData").map(|(_, value)| decoded_len(value)).sum::<usize>() > MOST {
        causes.push(Cause::too_long("[]", MOST));
    }
    causes
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
