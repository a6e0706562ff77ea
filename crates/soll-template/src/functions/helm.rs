//! What Helm adds and what it changes.

use super::{Function, Run, special, text, world};
use crate::error::{ErrorKind, TemplateError};
use crate::object::Param::{Any, Str};
use crate::render::{Fault, World, fault};
use crate::value::{Value, WholeNumbers};

pub(super) static TABLE: &[Function] = &[
    special("include", &[Str, Any], None, Run::Include),
    special("tpl", &[Str, Any], None, Run::Tpl),
    world("required", &[Str, Any], required),
    world("fail", &[Str], fail),
    world("lookup", &[Str, Str, Str, Str], lookup),
    world("getHostByName", &[Str], |world, args| Ok(Value::from(world.environment.address_of(&text(&args[0]))))),
];

/// Helm marks what a chart itself says, so that it can be found in Go's message.
fn marked(kind: ErrorKind, message: &str) -> Fault {
    Box::new(TemplateError::of(kind, format!("HELM_ERR_START{message}HELM_ERR_END")))
}

fn required(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let missing = match &args[1] {
        Value::Nil => true,
        Value::Str(text) => text.is_empty(),
        _ => false,
    };
    if !missing {
        return Ok(args[1].clone());
    }
    let message = text(&args[0]);
    if world.options.lint {
        world.environment.warn(&message);
        return Ok(Value::text(""));
    }
    Err(marked(ErrorKind::Required(message.clone().into_owned()), &message))
}

fn fail(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let message = text(&args[0]);
    if world.options.lint {
        world.environment.warn(&message);
        return Ok(Value::text(""));
    }
    Err(marked(ErrorKind::Fail(message.clone().into_owned()), &message))
}

fn lookup(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let [api_version, kind, namespace, name] = [0, 1, 2, 3].map(|index| text(&args[index]));
    let found = world.environment.lookup(&api_version, &kind, &namespace, &name).map_err(fault)?;
    // What comes from the API server keeps its whole numbers.
    Ok(match Value::from_yaml(&found, WholeNumbers::Int64) {
        Value::Nil => crate::value::Map::new().into(),
        value => value,
    })
}
