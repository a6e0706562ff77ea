//! From any value to numbers and text, as Sprig's helpers do it.

use std::borrow::Cow;

use super::{Function, pure, text};
use crate::number::{NumError, float_to_int, parse_float, parse_int};
use crate::object::Param::{Any, Str};
use crate::print;
use crate::render::Fault;
use crate::value::{Element, Kind, List, Value};

pub(super) static TABLE: &[Function] = &[
    pure("int", &[Any], |args| Ok(Value::Int(to_int(&args[0])))),
    pure("int64", &[Any], |args| Ok(Value::Int64(to_int(&args[0])))),
    pure("float64", &[Any], |args| Ok(Value::Float(to_float(&args[0])))),
    pure("atoi", &[Str], |args| Ok(Value::Int(clamped(&text(&args[0]), 10)))),
    pure("toDecimal", &[Any], |args| {
        let text = print::sprint(args);
        Ok(Value::Int64(parse_int(&super::lossy(&text), 8).unwrap_or(0)))
    })
    .walks(),
    pure("toString", &[Any], |args| string_value(&args[0])).walks(),
    pure("toStrings", &[Any], |args| Ok(strings(&args[0])?.into())).walks(),
];

/// A whole number; what is out of range stops at the end of the range, what is none is 0.
pub(super) fn clamped(text: &str, base: u32) -> i64 {
    match parse_int(text, base) {
        Ok(number) => number,
        Err(NumError::Range) if text.starts_with('-') => i64::MIN,
        Err(NumError::Range) => i64::MAX,
        Err(NumError::Syntax) => 0,
    }
}

/// `1.00` is 1.
fn without_zero_decimals(text: &str) -> &str {
    let trimmed = text.trim_end_matches('0');
    match trimmed.strip_suffix('.') {
        Some(whole) if trimmed.len() < text.len() => whole,
        _ => text,
    }
}

/// `cast.ToInt64`: 0 for what is no number.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Byte(byte) => i64::from(*byte),
        Value::Uint64(number) => *number as i64,
        Value::Float(number) => float_to_int(*number),
        Value::Bool(truth) => i64::from(*truth),
        Value::Str(text) => parse_int(without_zero_decimals(text), 0).unwrap_or(0),
        // Months and days; durations it does not know.
        Value::Object(object) if object.kind() == Kind::Int => to_int(&object.contents()),
        _ => 0,
    }
}

/// `cast.ToFloat64`.
pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(number) | Value::Int64(number) => *number as f64,
        Value::Byte(byte) => f64::from(*byte),
        Value::Uint64(number) => *number as f64,
        Value::Float(number) => *number,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Str(text) => parse_float(text).unwrap_or(0.0),
        Value::Object(object) if object.kind() == Kind::Int => to_float(&object.contents()),
        _ => 0.0,
    }
}

/// What `toString` makes of a value; bytes are text here.
pub(super) fn string_bytes(value: &Value) -> Result<Cow<'_, [u8]>, Fault> {
    match value {
        Value::Str(text) => Ok(Cow::Borrowed(text.as_bytes())),
        Value::Raw(bytes) => Ok(Cow::Borrowed(bytes)),
        Value::List(list) if list.element() == Element::Byte => Ok(Cow::Owned(print::bytes_of(value))),
        other => {
            let mut out = Vec::new();
            print::write(&mut out, other);
            Ok(Cow::Owned(out))
        }
    }
}

fn string_value(value: &Value) -> Result<Value, Fault> {
    match value {
        Value::Str(_) | Value::Raw(_) => Ok(value.clone()),
        other => Ok(Value::bytes_text(&string_bytes(other)?)),
    }
}

/// A key made of any value.
pub(super) fn key(value: &Value) -> Result<soll_yaml::Str, Fault> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        other => Ok(super::lossy(&string_bytes(other)?).as_ref().into()),
    }
}

/// `toStrings`: the items that are something, as text; of one value, a list of one.
pub(super) fn strings(value: &Value) -> Result<List, Fault> {
    match value {
        Value::List(list) if list.element() == Element::Str => Ok(list.clone()),
        Value::List(list) => {
            let items = list.items();
            let texts = items.iter().filter(|item| !matches!(item, Value::Nil)).map(string_value);
            Ok(List::of(Element::Str, texts.collect::<Result<_, _>>()?))
        }
        Value::Object(object) if object.kind() == Kind::Slice => strings(&object.contents()),
        Value::Nil => Ok(List::of(Element::Str, Vec::new())),
        other => Ok(List::of(Element::Str, vec![string_value(other)?])),
    }
}
