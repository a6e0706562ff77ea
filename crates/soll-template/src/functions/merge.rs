//! `merge` and its kin: maps put together as `mergo` does it, into the first.

use super::dicts::map;
use super::{Function, many};
use crate::object::Param::Map as Dict;
use crate::render::Fault;
use crate::truth::is_true;
use crate::value::{Map, Value};

pub(super) static TABLE: &[Function] = &[
    many("merge", &[Dict], Dict, |args| merged(args, Existing::Kept)).walks(),
    many("mustMerge", &[Dict], Dict, |args| merged(args, Existing::Kept)).walks(),
    many("mergeOverwrite", &[Dict], Dict, |args| merged(args, Existing::Replaced)).walks(),
    many("mustMergeOverwrite", &[Dict], Dict, |args| merged(args, Existing::Replaced)).walks(),
];

/// What becomes of what the first map has already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Kept,
    Replaced,
}

fn merged(args: &[Value], existing: Existing) -> Result<Value, Fault> {
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
        merge(&target, &source, existing)?;
    }
    Ok(target.into())
}

fn merge(target: &Map, source: &Map, existing: Existing) -> Result<(), Fault> {
    if target.same(source) {
        return Ok(());
    }
    let replace = existing == Existing::Replaced;
    let entries: Vec<_> = source.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in entries {
        let old = target.get(&key);
        match (&value, &old) {
            (Value::Nil, _) => {
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
            _ => {}
        }
        if replace || !old.as_ref().is_some_and(is_true) {
            target.insert(key, value);
        }
    }
    Ok(())
}
