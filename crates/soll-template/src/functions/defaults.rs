//! Defaults, choices, and the comparisons around them.

use super::{Function, many, pure};
use crate::object::Param::{Any, Bool};
use crate::truth::{deep_equal, is_true};
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    many("default", &[Any], Any, |args| {
        Ok(match args.get(1) {
            Some(given) if is_true(given) => given.clone(),
            _ => args[0].clone(),
        })
    }),
    pure("empty", &[Any], |args| Ok(Value::Bool(!is_true(&args[0])))),
    many("coalesce", &[], Any, |args| Ok(args.iter().find(|arg| is_true(arg)).cloned().unwrap_or_default())).boxed(),
    many("all", &[], Any, |args| Ok(Value::Bool(args.iter().all(is_true)))),
    many("any", &[], Any, |args| Ok(Value::Bool(args.iter().any(is_true)))),
    pure("ternary", &[Any, Any, Bool], |args| Ok(if is_true(&args[2]) { args[0].clone() } else { args[1].clone() })),
    pure("deepEqual", &[Any, Any], |args| Ok(Value::Bool(deep_equal(&args[0], &args[1])))).walks(),
];
