//! `merge` and its kin: maps put together as `mergo` does it, into the first.

use super::dicts::map;
use super::{Function, many};
use crate::object::Param::Map as Dict;
use crate::render::{Fault, fault};
use crate::truth::is_true;
use crate::value::{Kind, Map, MapType, Value};

pub(super) static TABLE: &[Function] = &[
    many("merge", &[Dict], Dict, |args| merged(args, Existing::Kept).map(or_nothing)).walks(),
    many("mustMerge", &[Dict], Dict, |args| merged(args, Existing::Kept)?.map_err(fault)).walks(),
    many("mergeOverwrite", &[Dict], Dict, |args| merged(args, Existing::Replaced).map(or_nothing)).walks(),
    many("mustMergeOverwrite", &[Dict], Dict, |args| merged(args, Existing::Replaced)?.map_err(fault)).walks(),
];

/// What becomes of what the first map has already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Kept,
    Replaced,
}

/// Why maps could not be put together.
enum Refusal {
    /// `mergo` says so, which `merge` and `mergeOverwrite` keep for themselves.
    Returned(&'static str),
    /// Go's reflection gave up.
    Panicked(String),
}

fn merged(args: &[Value], existing: Existing) -> Result<Result<Value, &'static str>, Fault> {
    let mut target = map(&args[0]);
    for source in &args[1..] {
        let source = map(source);
        if target.is_nil() {
            if source.is_nil() {
                continue;
            }
            // The helper makes a map of its own where there was none.
            target = Map::new();
        }
        match merge(&target, &source, existing) {
            Ok(()) => {}
            Err(Refusal::Returned(message)) => return Ok(Err(message)),
            Err(Refusal::Panicked(message)) => return Err(fault(message)),
        }
    }
    Ok(Ok(target.into()))
}

/// What could not be merged is empty text.
fn or_nothing(merged: Result<Value, &'static str>) -> Value {
    merged.unwrap_or_else(|_| Value::text(""))
}

fn merge(target: &Map, source: &Map, existing: Existing) -> Result<(), Refusal> {
    if target.same(source) {
        return Ok(());
    }
    let replace = existing == Existing::Replaced;
    // A `map[string]string` takes nothing but texts.
    let texts_only = target.kind() == MapType::Str && source.kind() != MapType::Str;
    let entries: Vec<_> = source.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in entries {
        let old = target.get(&key);
        match (&value, &old) {
            (Value::Nil, _) => {
                if replace && texts_only {
                    return Err(not_assignable("interface {}"));
                }
                if replace {
                    target.insert(key, Value::Nil);
                }
                continue;
            }
            (Value::Map(from), Some(Value::Map(into))) if !into.is_nil() => {
                merge(into, from, existing)?;
                if !into.is_empty() {
                    continue;
                }
            }
            (Value::List(_), Some(_)) if texts_only => return Err(no_nil("string")),
            (Value::List(list), None) if texts_only => return Err(not_assignable(value.type_name())),
            (inner, Some(Value::Map(into))) if into.is_nil() && inner.kind() == Kind::Struct => {
                return Err(no_nil("struct"));
            }
            (inner, Some(Value::Object(object))) if object.kind() == Kind::Ptr && !replace => {
                let differs = match inner {
                    Value::Map(map) => !map.is_nil(),
                    inner => {
                        inner.kind() == Kind::Struct && inner.type_name() != object.type_name().trim_start_matches('*')
                    }
                };
                if differs {
                    return Err(Refusal::Returned("src and dst must be of same type"));
                }
            }
            _ => {}
        }
        if replace || !old.as_ref().is_some_and(is_true) {
            if texts_only {
                return Err(not_assignable("interface {}"));
            }
            target.insert(key, value);
        }
    }
    Ok(())
}

fn not_assignable(type_name: &str) -> Refusal {
    Refusal::Panicked(format!("reflect.Value.SetMapIndex: value of type {type_name} is not assignable to type string"))
}

fn no_nil(kind: &str) -> Refusal {
    Refusal::Panicked(format!("reflect: call of reflect.Value.IsNil on {kind} Value"))
}
