//! What type a value is of.

use super::{Function, pure, text};
use crate::object::Param::{Any, Str};
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    pure("typeOf", &[Any], |args| Ok(Value::text(args[0].type_name()))),
    pure("kindOf", &[Any], |args| Ok(Value::text(args[0].kind().name()))),
    pure("typeIs", &[Str, Any], |args| Ok(Value::Bool(text(&args[0]) == args[1].type_name()))),
    pure("kindIs", &[Str, Any], |args| Ok(Value::Bool(text(&args[0]) == args[1].kind().name()))),
    pure("typeIsLike", &[Str, Any], |args| {
        let (target, name) = (text(&args[0]), args[1].type_name());
        Ok(Value::Bool(target == name || name.strip_prefix('*') == Some(target.as_ref())))
    }),
];
