//! Arguments: what is written, and what it has to be.

use std::sync::Arc;

use super::Fault;
use super::state::{Operand, State};
use crate::ast::{Expr, Number, Text};
use crate::duration::DURATION;
use crate::object::Param;
use crate::value::{Element, List, Map, MapType, Value};

/// The arguments after the first word, and what the pipe brings.
pub(super) struct Arguments<'t> {
    pub(super) written: &'t [Expr],
    pub(super) piped: Option<Operand>,
}

impl Arguments<'_> {
    pub(super) const NONE: Arguments<'static> = Arguments { written: &[], piped: None };

    pub(super) fn any(&self) -> bool {
        !self.written.is_empty() || self.piped.is_some()
    }
}

pub(super) fn check_count(
    state: &State<'_>,
    name: &str,
    (params, variadic): (&[Param], Option<Param>),
    arguments: &Arguments<'_>,
) -> Result<(), Fault> {
    let written = arguments.written.len();
    let count = written + usize::from(arguments.piped.is_some());
    let wanted = params.len();
    if variadic.is_some() {
        if count < wanted {
            return state.fail(format!("wrong number of args for {name}: want at least {wanted} got {written}"));
        }
    } else if count != wanted {
        return state.fail(format!("wrong number of args for {name}: want {wanted} got {count}"));
    }
    Ok(())
}

/// What a number is where nothing is asked of it.
pub(super) fn ideal(state: &State<'_>, number: &Number) -> Result<Value, Fault> {
    if let Some((real, imaginary)) = number.complex {
        return Ok(Value::Complex(real, imaginary));
    }
    let text: &str = &number.text;
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.as_str();
    let hex = unsigned.len() > 2 && unsigned.starts_with("0x") && !unsigned.contains('p');
    let looks_float = !hex && !text.starts_with('\'') && unsigned.contains(['.', 'e', 'p']);
    match (number.float, number.int) {
        (Some(float), _) if looks_float => Ok(Value::Float(float)),
        (_, Some(int)) => Ok(Value::Int(int)),
        _ if number.uint.is_some() => state.fail(format!("{text} overflows int")),
        _ => Ok(Value::Nil),
    }
}

pub(super) fn text_value(text: &Text) -> Value {
    match text {
        Text::Utf8(text) => Value::Str(text.clone()),
        Text::Bytes(bytes) => Value::Raw(Arc::clone(bytes)),
    }
}

/// A literal where a type is asked for.
pub(super) fn literal(state: &State<'_>, expr: &Expr, param: Param) -> Result<Value, Fault> {
    let expected = |what: &str| state.fail(format!("expected {what}; found {expr}"));
    match (param, expr) {
        (Param::Any | Param::Reflect, Expr::Bool(_, value)) => Ok(Value::Bool(*value)),
        (Param::Any | Param::Reflect, Expr::Number(number)) => ideal(state, number),
        (Param::Any | Param::Reflect, Expr::Text(literal)) => Ok(text_value(&literal.value)),
        (Param::Bool, Expr::Bool(_, value)) => Ok(Value::Bool(*value)),
        (Param::Bool, _) => expected("bool"),
        (Param::Str, Expr::Text(literal)) => Ok(text_value(&literal.value)),
        (Param::Str, _) => expected("string"),
        (Param::Int, Expr::Number(number)) if number.int.is_some() => Ok(Value::Int(number.int.unwrap_or_default())),
        (Param::Int, _) => expected("integer"),
        (Param::Uint32, Expr::Number(number)) if number.uint.is_some() => {
            let uint = number.uint.unwrap_or_default();
            // Reflection sets the low bits of a narrow integer.
            Ok(Value::Int((uint & 0xffff_ffff) as i64))
        }
        (Param::Uint32, _) => expected("unsigned integer"),
        (Param::Float, Expr::Number(number)) if number.float.is_some() => {
            Ok(Value::Float(number.float.unwrap_or_default()))
        }
        (Param::Float, _) => expected("float"),
        (DURATION, Expr::Number(number)) if number.int.is_some() => {
            Ok(crate::duration::duration(number.int.unwrap_or_default()))
        }
        (DURATION, _) => expected("integer"),
        _ => state.fail(format!("can't handle {expr} for arg of type {}", param.name())),
    }
}

/// Checks that a value is what a parameter is declared as.
pub(super) fn validate(state: &State<'_>, operand: Operand, param: Param) -> Result<Value, Fault> {
    let fits = match (&operand.value, param) {
        (_, Param::Any | Param::Reflect) => true,
        (Value::Nil, Param::Map) if !operand.boxed => return Ok(Value::Map(Map::nil())),
        (Value::Nil, Param::List) if !operand.boxed => {
            return Ok(Value::List(List::nil(Element::Any)));
        }
        (Value::Nil, Param::Named(name)) if !operand.boxed && name.starts_with('*') => return Ok(Value::Nil),
        (Value::Str(_) | Value::Raw(_), Param::Str) => true,
        (Value::Int(_), Param::Int) => true,
        (Value::Float(_), Param::Float) => true,
        (Value::Bool(_), Param::Bool) => true,
        (Value::Map(map), Param::Map) if map.kind() == MapType::Values => return Ok(Value::Map(map.as_any())),
        (Value::Map(map), Param::Map) => map.kind() == MapType::Any,
        (Value::List(list), Param::List) => list.element() == Element::Any,
        (value, Param::Named(name)) => value.type_name() == name,
        _ => false,
    };
    if fits {
        return Ok(operand.value);
    }
    let expected = param.name();
    match operand.value {
        Value::Nil if operand.boxed => {
            state.fail_of_nil(format!("wrong type for value; expected {expected}; got interface {{}}"))
        }
        Value::Nil => state.fail_of_nil(format!("invalid value; expected {expected}")),
        value => state.fail(format!("wrong type for value; expected {expected}; got {}", value.type_name())),
    }
}
