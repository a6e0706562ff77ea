//! What the tests of this crate share.

use soll_api::Object;
use soll_yaml::{Value, parse_json};

/// A value from JSON with `'` for `"`.
pub(crate) fn value(text: &str) -> Value {
    parse_json(text.replace('\'', "\"").as_bytes()).expect("the test has valid JSON")
}

/// An object from JSON with `'` for `"`.
pub(crate) fn object(text: &str) -> Object {
    Object::new(value(text)).expect("the test has an object")
}

/// Objects from `apiVersion Kind [namespace/]name; …`.
pub(crate) fn objects(text: &str) -> Vec<Object> {
    let one = |line: &str| {
        let [api_version, kind, name] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("expected `apiVersion Kind name`: {line}")
        };
        let (namespace, name) = name.split_once('/').unwrap_or(("", name));
        let namespace = if namespace.is_empty() { String::new() } else { format!(", 'namespace': '{namespace}'") };
        object(&format!(
            "{{'apiVersion': '{api_version}', 'kind': '{kind}', 'metadata': {{'name': '{name}'{namespace}}}}}"
        ))
    };
    text.split(';').map(one).collect()
}
