//! Whole numbers.

use super::conversion::to_int;
use super::{Function, int, many, pure, world, world_many};
use crate::object::Param::{Any, Int};
use crate::render::{Fault, World, fault};
use crate::value::{Element, List, Value};

pub(super) static TABLE: &[Function] = &[
    pure("add1", &[Any], |args| Ok(Value::Int64(to_int(&args[0]).wrapping_add(1)))),
    many("add", &[], Any, |args| Ok(Value::Int64(args.iter().fold(0, |sum, arg| to_int(arg).wrapping_add(sum))))),
    pure("sub", &[Any, Any], |args| Ok(Value::Int64(to_int(&args[0]).wrapping_sub(to_int(&args[1]))))),
    pure("div", &[Any, Any], |args| divided(args, i64::wrapping_div)),
    pure("mod", &[Any, Any], |args| divided(args, i64::wrapping_rem)),
    many("mul", &[Any], Any, |args| {
        Ok(Value::Int64(args.iter().fold(1, |product, arg| product.wrapping_mul(to_int(arg)))))
    }),
    many("max", &[Any], Any, |args| Ok(Value::Int64(args.iter().map(to_int).max().unwrap_or(0)))),
    many("biggest", &[Any], Any, |args| Ok(Value::Int64(args.iter().map(to_int).max().unwrap_or(0)))),
    many("min", &[Any], Any, |args| Ok(Value::Int64(args.iter().map(to_int).min().unwrap_or(0)))),
    world("until", &[Int], |world, args| {
        let count = int(&args[0]);
        steps(world, 0, count, if count < 0 { -1 } else { 1 }).map(ints)
    }),
    world("untilStep", &[Int, Int, Int], |world, args| {
        steps(world, int(&args[0]), int(&args[1]), int(&args[2])).map(ints)
    }),
    world_many("seq", &[], Int, sequence),
];

fn divided(args: &[Value], divide: fn(i64, i64) -> i64) -> Result<Value, Fault> {
    let (a, b) = (to_int(&args[0]), to_int(&args[1]));
    if b == 0 {
        return Err(fault("runtime error: integer divide by zero"));
    }
    Ok(Value::Int64(divide(a, b)))
}

fn ints(numbers: Vec<i64>) -> Value {
    List::of(Element::Int, numbers.into_iter().map(Value::Int).collect()).into()
}

/// From the start up or down to, without, the stop.
fn steps(world: &mut World<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Fault> {
    let mut numbers = Vec::new();
    if stop < start && step >= 0 || stop >= start && step <= 0 {
        return Ok(numbers);
    }
    let mut number = start;
    while if step > 0 { number < stop } else { number > stop } {
        world.spend(1)?;
        numbers.push(number);
        match number.checked_add(step) {
            Some(next) => number = next,
            None => break,
        }
    }
    Ok(numbers)
}

fn sequence(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let numbers = match *args.iter().map(int).collect::<Vec<_>>().as_slice() {
        [end] => {
            let step = if end < 1 { -1 } else { 1 };
            steps(world, 1, end.wrapping_add(step), step)?
        }
        [start, end] => {
            let step = if end < start { -1 } else { 1 };
            steps(world, start, end.wrapping_add(step), step)?
        }
        [start, step, end] => {
            if end < start && step > 0 {
                Vec::new()
            } else {
                let beyond = if end < start { -1 } else { 1 };
                steps(world, start, end.wrapping_add(beyond), step)?
            }
        }
        _ => Vec::new(),
    };
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    Ok(Value::from(texts.join(" ")))
}
