//! The methods that Helm's values have besides being a map: `.Values.AsMap`, `.Values.Table "a.b"`.

use crate::object::Param;
use crate::quote::quoted;
use crate::value::{Map, MapType, Value};

/// What a method of `common.Values` takes, if there is one of this name.
pub(crate) fn method(name: &str) -> Option<&'static [Param]> {
    Some(match name {
        "AsMap" | "YAML" => &[],
        "Table" | "PathValue" => &[Param::Str],
        // No template has one of these.
        "Encode" => &[Param::Named("io.Writer")],
        _ => return None,
    })
}

/// Calls a method with as many arguments, of the types, that it takes.
pub(crate) fn call(values: &Map, name: &str, arguments: &[Value]) -> Result<Value, String> {
    let path = arguments.first().and_then(Value::as_str).unwrap_or_default();
    match name {
        "AsMap" if values.is_empty() => Ok(Map::new().into()),
        "AsMap" => Ok(values.as_any().into()),
        "YAML" => Ok(Value::from(crate::to_yaml(&values.clone().into())? + "\n")),
        "Table" => table(values, path).map(Value::from),
        _ if path.is_empty() => Err("YAML path cannot be empty".to_owned()),
        _ => leaf(values, path),
    }
}

/// The table at the end of a path with dots.
fn table(values: &Map, path: &str) -> Result<Map, String> {
    path.split('.').try_fold(values.clone(), |table, name| match table.get(name) {
        Some(Value::Map(inner)) if inner.kind() != MapType::Str => Ok(inner.as_values()),
        _ => Err(format!("{} is not a table", quoted(name.as_bytes()))),
    })
}

/// What stands at the end of a path, and is no table.
fn leaf(values: &Map, path: &str) -> Result<Value, String> {
    let (table, name) = match path.rsplit_once('.') {
        Some((path, name)) => (table(values, path).ok(), name),
        None => (Some(values.clone()), path),
    };
    let found = table.and_then(|table| table.get(name));
    let is_table = |value: &Value| matches!(value, Value::Map(map) if map.kind() == MapType::Any);
    found.filter(|value| !is_table(value)).ok_or_else(|| format!("{} is not a value", quoted(name.as_bytes())))
}
