//! Lists. All but `sortAlpha` leave theirs alone and return new ones.

use super::builtins::{items, list_like};
use super::conversion::to_int;
use super::{Function, Run, index_of, int, many, pure, special, world};
use crate::number::float_to_int;
use crate::object::Param::{Any, Int};
use crate::render::{Fault, fault};
use crate::truth::{deep_equal, is_true};
use crate::value::{Element, List, Value};

pub(super) static TABLE: &[Function] = &[
    many("list", &[], Any, |args| Ok(args.to_vec().into())),
    many("tuple", &[], Any, |args| Ok(args.to_vec().into())),
    pure("append", &[Any, Any], push),
    pure("push", &[Any, Any], push),
    pure("mustAppend", &[Any, Any], push),
    pure("mustPush", &[Any, Any], push),
    pure("prepend", &[Any, Any], prepend),
    pure("mustPrepend", &[Any, Any], prepend),
    pure("first", &[Any], first),
    pure("mustFirst", &[Any], first),
    pure("rest", &[Any], rest),
    pure("mustRest", &[Any], rest),
    pure("last", &[Any], last),
    pure("mustLast", &[Any], last),
    pure("initial", &[Any], initial),
    pure("mustInitial", &[Any], initial),
    pure("reverse", &[Any], reverse),
    pure("mustReverse", &[Any], reverse),
    pure("compact", &[Any], compact),
    pure("mustCompact", &[Any], compact),
    special("uniq", &[Any], None, Run::World(unique)).walks(),
    special("mustUniq", &[Any], None, Run::World(unique)).walks(),
    many("without", &[Any], Any, without).walks(),
    many("mustWithout", &[Any], Any, without).walks(),
    pure("has", &[Any, Any], has).walks(),
    pure("mustHas", &[Any, Any], has).walks(),
    many("slice", &[Any], Any, slice),
    many("mustSlice", &[Any], Any, slice),
    many("concat", &[], Any, concat).boxed(),
    world("chunk", &[Int, Any], chunk),
    world("mustChunk", &[Int, Any], chunk),
];

fn push(args: &[Value]) -> Result<Value, Fault> {
    let mut items = items(&args[0], |kind| format!("Cannot push on type {kind}"))?;
    items.push(args[1].clone());
    Ok(items.into())
}

fn prepend(args: &[Value]) -> Result<Value, Fault> {
    let mut items = items(&args[0], |kind| format!("Cannot prepend on type {kind}"))?;
    items.insert(0, args[1].clone());
    Ok(items.into())
}

fn find_items(args: &[Value], what: &str) -> Result<Vec<Value>, Fault> {
    items(&args[0], |kind| format!("Cannot find {what} on type {kind}"))
}

fn first(args: &[Value]) -> Result<Value, Fault> {
    Ok(find_items(args, "first")?.into_iter().next().unwrap_or_default())
}

fn last(args: &[Value]) -> Result<Value, Fault> {
    Ok(find_items(args, "last")?.pop().unwrap_or_default())
}

fn rest(args: &[Value]) -> Result<Value, Fault> {
    let mut items = find_items(args, "rest")?;
    if items.is_empty() {
        return Ok(List::nil(Element::Any).into());
    }
    items.remove(0);
    Ok(items.into())
}

fn initial(args: &[Value]) -> Result<Value, Fault> {
    let mut items = find_items(args, "initial")?;
    if items.pop().is_none() {
        return Ok(List::nil(Element::Any).into());
    }
    Ok(items.into())
}

fn reverse(args: &[Value]) -> Result<Value, Fault> {
    let mut items = find_items(args, "reverse")?;
    items.reverse();
    Ok(items.into())
}

fn compact(args: &[Value]) -> Result<Value, Fault> {
    let mut items = items(&args[0], |kind| format!("Cannot compact on type {kind}"))?;
    items.retain(is_true);
    Ok(items.into())
}

fn in_list(items: &[Value], wanted: &Value) -> bool {
    items.iter().any(|item| deep_equal(wanted, item))
}

fn unique(world: &mut crate::render::World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let mut unique: Vec<Value> = Vec::new();
    for item in find_items(args, "uniq")? {
        // Each is compared with all before it.
        world.spend(1 + unique.len() as u64 / 4)?;
        if !in_list(&unique, &item) {
            unique.push(item);
        }
    }
    Ok(unique.into())
}

fn without(args: &[Value]) -> Result<Value, Fault> {
    let mut items = find_items(args, "without")?;
    items.retain(|item| !in_list(&args[1..], item));
    Ok(items.into())
}

fn has(args: &[Value]) -> Result<Value, Fault> {
    if matches!(args[1], Value::Nil) {
        return Ok(Value::Bool(false));
    }
    let items = items(&args[1], |kind| format!("Cannot find has on type {kind}"))?;
    Ok(Value::Bool(in_list(&items, &args[0])))
}

fn slice(args: &[Value]) -> Result<Value, Fault> {
    let items = items(&args[0], |kind| format!("list should be type of slice or array but {kind}"))?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.get(1).map_or(0, to_int);
    let end = args.get(2).map_or(index_of(items.len()), to_int);
    let bounds = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match bounds {
        Some((start, end)) if start <= end && end <= items.len() => Ok(list_like(&args[0], items[start..end].to_vec())),
        _ => Err(fault("reflect.Value.Slice: slice index out of bounds")),
    }
}

fn concat(args: &[Value]) -> Result<Value, Fault> {
    let mut all = Vec::new();
    for arg in args {
        all.extend(items(arg, |kind| format!("Cannot concat type {kind} as list"))?);
    }
    if all.is_empty() {
        return Ok(List::nil(Element::Any).into());
    }
    Ok(all.into())
}

fn chunk(world: &mut crate::render::World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let size = int(&args[0]);
    let items = items(&args[1], |kind| format!("Cannot chunk type {kind}"))?;
    world.spend(items.len() as u64)?;
    // Sprig divides in floats, which decides what sizes below one do.
    let too_long = || fault("runtime error: makeslice: len out of range");
    let count = float_to_int(((items.len() as f64 - 1.0) / size as f64).floor() + 1.0);
    let chunks: Vec<Value> = match (usize::try_from(size).ok().filter(|size| *size > 0), count) {
        (Some(size), _) => items.chunks(size).map(|chunk| Value::from(chunk.to_vec())).collect(),
        (None, 0) => Vec::new(),
        (None, 1) if items.len() == 1 && size != -1 => vec![Value::from(items)],
        (None, _) => return Err(too_long()),
    };
    Ok(List::of(Element::List, chunks).into())
}
