//! Maps. `set` and `unset` change theirs for all who hold it.

use super::conversion::key;
use super::{Function, many, pure, text, world_many};
use crate::object::Param::{Any, Map as Dict, Str};
use crate::render::{Fault, fault};
use crate::value::{Element, List, Map, Value};

pub(super) static TABLE: &[Function] = &[
    world_many("dict", &[], Any, |world, args| {
        let dict = Map::new();
        for pair in args.chunks(2) {
            // Only keys are looked into, to print them. Values are often all that a chart was given.
            world.walk(&pair[0])?;
            dict.insert(key(&pair[0])?, pair.get(1).cloned().unwrap_or_else(|| Value::text("")));
        }
        Ok(dict.into())
    }),
    pure("get", &[Dict, Str], |args| Ok(map(&args[0]).get(&text(&args[1])).unwrap_or_else(|| Value::text("")))),
    pure("set", &[Dict, Str, Any], |args| {
        let map = map(&args[0]);
        if map.is_nil() {
            return Err(fault("assignment to entry in nil map"));
        }
        map.insert(key(&args[1])?, args[2].clone());
        Ok(args[0].clone())
    }),
    pure("unset", &[Dict, Str], |args| {
        map(&args[0]).remove(&text(&args[1]));
        Ok(args[0].clone())
    }),
    pure("hasKey", &[Dict, Str], |args| Ok(Value::Bool(map(&args[0]).contains(&text(&args[1]))))),
    many("pluck", &[Str], Dict, |args| {
        let key = text(&args[0]);
        Ok(args[1..].iter().filter_map(|dict| map(dict).get(&key)).collect::<Vec<_>>().into())
    }),
    many("keys", &[], Dict, |args| {
        let keys: Vec<Value> = args
            .iter()
            .flat_map(|dict| map(dict).entries().keys().cloned().collect::<Vec<_>>())
            .map(Value::Str)
            .collect();
        Ok(List::of(Element::Str, keys).into())
    }),
    pure("values", &[Dict], |args| Ok(map(&args[0]).entries().values().cloned().collect::<Vec<_>>().into())),
    many("pick", &[Dict], Str, |args| {
        let from = map(&args[0]);
        let picked = Map::new();
        for key in &args[1..] {
            if let Some(value) = from.get(&text(key)) {
                picked.insert(self::key(key)?, value);
            }
        }
        Ok(picked.into())
    }),
    many("omit", &[Dict], Str, |args| {
        let left = Map::new();
        for (key, value) in map(&args[0]).entries().iter() {
            if !args[1..].iter().any(|omitted| text(omitted) == **key) {
                left.insert(key.clone(), value.clone());
            }
        }
        Ok(left.into())
    }),
    many("dig", &[], Any, dig),
    pure("deepCopy", &[Any], |args| copy(&args[0])).walks(),
    pure("mustDeepCopy", &[Any], |args| copy(&args[0])).walks(),
];

/// An argument that is declared as a map.
pub(super) fn map(value: &Value) -> Map {
    match value {
        Value::Map(map) => map.clone(),
        _ => Map::nil(),
    }
}

fn dig(args: &[Value]) -> Result<Value, Fault> {
    let [keys @ .., default, dict] = args else { return Err(fault("dig needs at least three arguments")) };
    if keys.is_empty() {
        return Err(fault("dig needs at least three arguments"));
    }
    let mut current = dict_of(dict)?;
    let mut texts = Vec::with_capacity(keys.len());
    for key in keys {
        if !key.is_text() {
            return Err(conversion_error(key, "string"));
        }
        texts.push(text(key));
    }
    for (index, key) in texts.iter().enumerate() {
        let Some(value) = current.get(key) else { return Ok(default.clone()) };
        if index + 1 == texts.len() {
            return Ok(value);
        }
        current = dict_of(&value)?;
    }
    Ok(default.clone())
}

/// A type assertion of Go: the very type, not one like it.
fn dict_of(value: &Value) -> Result<Map, Fault> {
    match value {
        Value::Map(map) if map.kind() == crate::value::MapType::Any => Ok(map.clone()),
        other => Err(conversion_error(other, "map[string]interface {}")),
    }
}

fn conversion_error(value: &Value, wanted: &str) -> Fault {
    let is = if matches!(value, Value::Nil) { "nil" } else { value.type_name() };
    fault(format!("interface conversion: interface {{}} is {is}, not {wanted}"))
}

fn copy(value: &Value) -> Result<Value, Fault> {
    if matches!(value, Value::Nil) {
        return Err(fault("reflect: call of reflect.Value.Type on zero Value"));
    }
    Ok(deep_copy(value))
}

/// A value that shares nothing with this one.
pub(super) fn deep_copy(value: &Value) -> Value {
    match value {
        Value::List(list) if list.is_nil() => value.clone(),
        Value::List(list) => List::of(list.element(), list.items().iter().map(deep_copy).collect()).into(),
        Value::Map(map) if map.is_nil() => value.clone(),
        Value::Map(map) => {
            let entries = map.entries().iter().map(|(key, value)| (key.clone(), deep_copy(value))).collect();
            Map::with(map.kind(), entries).into()
        }
        Value::Object(object) => object.copied().unwrap_or_else(|| value.clone()),
        other => other.clone(),
    }
}
