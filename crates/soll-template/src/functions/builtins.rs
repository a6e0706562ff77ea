//! Go's own functions.

use super::{Function, NIL_DEREFERENCE, Run, bytes, many, pure, special, world_many};
use crate::object::Param::{Any, Reflect, Str};
use crate::print;
use crate::quote::push_quoted;
use crate::render::{Fault, fault};
use crate::truth::{equal, is_true, less};
use crate::unicode::is_print;
use crate::value::{Element, Kind, MapType, Value};

pub(super) static TABLE: &[Function] = &[
    special("and", &[Reflect], Some(Reflect), Run::And),
    special("or", &[Reflect], Some(Reflect), Run::Or),
    special("len", &[Reflect], None, Run::Len),
    special("call", &[Reflect], Some(Reflect), Run::Call),
    pure("not", &[Reflect], |args| Ok(Value::Bool(!is_true(&args[0])))),
    many("eq", &[Reflect], Reflect, eq).walks(),
    pure("ne", &[Reflect, Reflect], |args| Ok(Value::Bool(!equal(&args[0], &args[1]).map_err(fault)?))).walks(),
    pure("lt", &[Reflect, Reflect], |args| Ok(Value::Bool(less(&args[0], &args[1]).map_err(fault)?))),
    pure("le", &[Reflect, Reflect], |args| Ok(Value::Bool(less_or_equal(&args[0], &args[1])?))).walks(),
    pure("gt", &[Reflect, Reflect], |args| Ok(Value::Bool(!less_or_equal(&args[0], &args[1])?))).walks(),
    pure("ge", &[Reflect, Reflect], |args| Ok(Value::Bool(!less(&args[0], &args[1]).map_err(fault)?))),
    many("index", &[Reflect], Reflect, index),
    many("print", &[], Any, printed).walks(),
    many("println", &[], Any, |args| Ok(Value::bytes_text(&print::sprintln(args)))).walks(),
    world_many("printf", &[Str], Any, |world, args| {
        let text = print::sprintf(bytes(&args[0]), &args[1..], world.bytes_left());
        if text.len() > world.bytes_left() {
            world.spend_bytes(text.len())?;
        }
        Ok(Value::bytes_text(&text))
    })
    .walks(),
    many("html", &[], Any, |args| Ok(Value::bytes_text(&html(&evaluated(args))))).walks(),
    many("js", &[], Any, |args| Ok(Value::bytes_text(&js(&evaluated(args))))).walks(),
    many("urlquery", &[], Any, |args| Ok(Value::from(super::urls::escape(&evaluated(args), super::urls::Part::Query))))
        .walks(),
];

fn printed(args: &[Value]) -> Result<Value, Fault> {
    Ok(Value::bytes_text(&print::sprint(args)))
}

/// Arguments as one text, as `print` makes it.
fn evaluated(args: &[Value]) -> Vec<u8> {
    // What is nothing shows as templates show it, not as `fmt` does.
    let shown: Vec<Value> = args
        .iter()
        .map(|arg| if matches!(arg, Value::Nil) { Value::text("<no value>") } else { arg.clone() })
        .collect();
    print::sprint(&shown)
}

fn eq(args: &[Value]) -> Result<Value, Fault> {
    if args.len() < 2 {
        return Err(fault("missing argument for comparison"));
    }
    for other in &args[1..] {
        if equal(&args[0], other).map_err(fault)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn less_or_equal(a: &Value, b: &Value) -> Result<bool, Fault> {
    Ok(less(a, b).map_err(fault)? || equal(a, b).map_err(fault)?)
}

/// A position in a list or text.
fn position(index: &Value, length: usize) -> Result<usize, Fault> {
    let number = match index {
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Byte(byte) => i64::from(*byte),
        Value::Uint64(number) => *number as i64,
        Value::Object(object) if matches!(object.kind(), Kind::Int | Kind::Int64) => {
            return position(&object.contents(), length);
        }
        Value::Nil => return Err(fault("cannot index slice/array with nil")),
        other => return Err(fault(format!("cannot index slice/array with type {}", other.type_name()))),
    };
    usize::try_from(number)
        .ok()
        .filter(|position| *position <= length)
        .ok_or_else(|| fault(format!("index out of range: {number}")))
}

fn index(args: &[Value]) -> Result<Value, Fault> {
    let mut item = args[0].clone();
    if matches!(item, Value::Nil) {
        return Err(fault("index of untyped nil"));
    }
    for index in &args[1..] {
        item = match item {
            Value::Object(object) if matches!(object.kind(), Kind::Map | Kind::Slice) => object.contents(),
            item => item,
        };
        item = match &item {
            Value::Nil => return Err(fault("index of nil pointer")),
            Value::Str(_) | Value::Raw(_) => {
                let bytes = bytes(&item);
                let at = position(index, bytes.len())?;
                // Go checks against the length only; its runtime then refuses the end itself.
                Value::Byte(*bytes.get(at).ok_or_else(|| fault("reflect: string index out of range"))?)
            }
            Value::List(list) => {
                let at = position(index, list.len())?;
                let found = list.items().get(at).cloned();
                found.ok_or_else(|| fault("reflect: slice index out of range"))?
            }
            Value::Map(map) => {
                let Some(key) = index.is_text().then(|| super::text(index)) else {
                    return Err(fault(match index {
                        Value::Nil => "value is nil; should be of type string".to_owned(),
                        other => format!("value has type {}; should be string", other.type_name()),
                    }));
                };
                match map.get(&key) {
                    Some(value) => value,
                    None if map.kind() == MapType::Str => Value::text(""),
                    None => Value::Nil,
                }
            }
            other => {
                // Of a pointer it says what it points to.
                let type_name = other.type_name().trim_start_matches('*');
                return Err(fault(format!("can't index item of type {type_name}")));
            }
        };
    }
    Ok(item)
}

/// `call`: no value that a chart sees is a function, so it explains what was there instead.
pub(crate) fn call(name: Option<&str>, args: &[Value]) -> Result<Value, Fault> {
    match &args[0] {
        Value::Nil => Err(fault("call of nil")),
        other => {
            let name = match (name, other.as_str()) {
                (Some(name), _) | (None, Some(name)) => name.to_owned(),
                (None, None) => format!("<{} Value>", other.type_name()),
            };
            Err(fault(format!("non-function {name} of type {}", other.type_name())))
        }
    }
}

fn html(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
    out
}

fn js(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.extend_from_slice(b"\\\\"),
                '\'' => out.extend_from_slice(b"\\'"),
                '"' => out.extend_from_slice(b"\\\""),
                '<' => out.extend_from_slice(b"\\u003C"),
                '>' => out.extend_from_slice(b"\\u003E"),
                '&' => out.extend_from_slice(b"\\u0026"),
                '=' => out.extend_from_slice(b"\\u003D"),
                _ if c < ' ' => out.extend_from_slice(format!("\\u00{:02X}", u32::from(c)).as_bytes()),
                _ if c.is_ascii() || is_print(c) => {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes()),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
    out
}

/// A quoted text, as `quote` writes it.
pub(super) fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(bytes.len() + 2);
    push_quoted(&mut out, bytes, false);
    out.into_bytes()
}

/// The items of what is a list in Go's eyes, and the words for what is not.
pub(super) fn items(value: &Value, complaint: impl FnOnce(&str) -> String) -> Result<Vec<Value>, Fault> {
    match value {
        Value::List(list) => Ok(list.items().clone()),
        Value::Nil => Err(fault(NIL_DEREFERENCE)),
        Value::Object(object) if object.kind() == Kind::Slice => items(&object.contents(), complaint),
        other => Err(fault(complaint(other.kind().name()))),
    }
}

/// A list of the declared type of another.
pub(super) fn list_like(value: &Value, items: Vec<Value>) -> Value {
    let element = value.as_list().map_or(Element::Any, crate::value::List::element);
    crate::value::List::of(element, items).into()
}
