//! Chance, which the environment brings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Function, int, text, world};
use crate::object::Param::{Int, Str};
use crate::render::{Fault, World, fault};
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    world("randAlphaNum", &[Int], |world, args| random_text(world, args, |byte| byte.is_ascii_alphanumeric())),
    world("randAlpha", &[Int], |world, args| random_text(world, args, |byte| byte.is_ascii_alphabetic())),
    world("randNumeric", &[Int], |world, args| random_text(world, args, |byte| byte.is_ascii_digit())),
    world("randAscii", &[Int], |world, args| random_text(world, args, |byte| (32..127).contains(&byte))),
    world("randInt", &[Int, Int], random_int),
    world("randBytes", &[Int], random_bytes),
    world("uuidv4", &[], uuid),
    world("shuffle", &[Str], shuffle),
];

/// A number below a bound, each as likely as the other.
fn below(world: &World<'_>, bound: u64) -> u64 {
    let unbiased = u64::MAX - u64::MAX % bound;
    loop {
        let mut buffer = [0; 8];
        world.environment.random(&mut buffer);
        let number = u64::from_le_bytes(buffer);
        if number < unbiased {
            return number % bound;
        }
    }
}

fn random_text(world: &mut World<'_>, args: &[Value], class: fn(u8) -> bool) -> Result<Value, Fault> {
    let Ok(count) = usize::try_from(int(&args[0])) else { return Ok(Value::text("")) };
    world.spend_bytes(count)?;
    world.spend(count as u64)?;
    let set: Vec<u8> = (0..128).filter(|byte| class(*byte)).collect();
    let text = (0..count).map(|_| char::from(set[below(world, set.len() as u64) as usize])).collect::<String>();
    Ok(Value::from(text))
}

fn random_int(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let (low, high) = (int(&args[0]), int(&args[1]));
    match u64::try_from(high.wrapping_sub(low)) {
        Ok(span) if span > 0 => Ok(Value::Int(low.wrapping_add_unsigned(below(world, span)))),
        _ => Err(fault("invalid argument to Intn")),
    }
}

fn random_bytes(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let Ok(count) = usize::try_from(int(&args[0])) else {
        return Err(fault("runtime error: makeslice: len out of range"));
    };
    world.spend_bytes(count.saturating_mul(2))?;
    let mut buffer = vec![0; count];
    world.environment.random(&mut buffer);
    Ok(Value::from(STANDARD.encode(buffer)))
}

fn uuid(world: &mut World<'_>, _: &[Value]) -> Result<Value, Fault> {
    let mut bytes = [0; 16];
    world.environment.random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    Ok(Value::from([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")))
}

fn shuffle(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let mut chars: Vec<char> = text(&args[0]).chars().collect();
    world.spend(chars.len() as u64)?;
    for last in (1..chars.len()).rev() {
        let other = below(world, last as u64 + 1) as usize;
        chars.swap(last, other);
    }
    Ok(Value::from(chars.into_iter().collect::<String>()))
}
