//! Base64, base32, checksums.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256, Sha512};

use super::{Function, bytes, pure};
use crate::object::Param::Str;
use crate::render::Fault;
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    pure("b64enc", &[Str], |args| Ok(Value::from(STANDARD.encode(bytes(&args[0]))))),
    pure("b64dec", &[Str], |args| Ok(decoded(base64(bytes(&args[0]))))),
    pure("b32enc", &[Str], |args| Ok(Value::from(base32_encode(bytes(&args[0]))))),
    pure("b32dec", &[Str], |args| Ok(decoded(base32(bytes(&args[0]))))),
    pure("sha256sum", &[Str], |args| Ok(Value::from(hex::encode(Sha256::digest(bytes(&args[0])))))),
    pure("sha512sum", &[Str], |args| Ok(Value::from(hex::encode(Sha512::digest(bytes(&args[0])))))),
    pure("adler32sum", &[Str], adler32),
];

/// What was decoded, or, as Sprig has it, the error in its place.
fn decoded(result: Result<Vec<u8>, String>) -> Value {
    match result {
        Ok(bytes) => Value::bytes_text(&bytes),
        Err(message) => Value::from(message),
    }
}

/// Line breaks are passed over, everything else is checked; the error says where, as Go's does.
pub(super) fn base64(text: &[u8]) -> Result<Vec<u8>, String> {
    decode(text, "base64", 4, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    })
}

fn base32(text: &[u8]) -> Result<Vec<u8>, String> {
    decode(text, "base32", 8, |byte| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'2'..=b'7' => Some(byte - b'2' + 26),
        _ => None,
    })
}

/// Groups of `group` digits, of which the last may end in padding.
fn decode(text: &[u8], name: &str, group: usize, digit: impl Fn(u8) -> Option<u8>) -> Result<Vec<u8>, String> {
    let bits_per_digit = if group == 4 { 6 } else { 5 };
    let corrupt = |at: usize| format!("illegal {name} data at input byte {at}");
    // Base32 takes line breaks out first, so its positions do not count them.
    let stripped: Vec<u8>;
    let text = if group == 8 {
        stripped = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        &stripped
    } else {
        text
    };
    let mut out = Vec::with_capacity(text.len() * bits_per_digit / 8);
    let mut at = 0;
    let skip_breaks = |at: &mut usize| {
        while text.get(*at).is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            *at += 1;
        }
    };
    loop {
        let mut digits = Vec::with_capacity(group);
        let mut ended = false;
        while digits.len() < group {
            skip_breaks(&mut at);
            let Some(byte) = text.get(at) else {
                if digits.is_empty() {
                    return Ok(out);
                }
                // Cut off in the middle of a group.
                return Err(corrupt(at - digits.len()));
            };
            if let Some(value) = digit(*byte) {
                digits.push(value);
                at += 1;
                continue;
            }
            if *byte != b'=' {
                return Err(corrupt(at));
            }
            padding(text, &mut at, digits.len(), group).map_err(corrupt)?;
            ended = true;
            break;
        }
        let mut buffer = 0u64;
        for value in &digits {
            buffer = buffer << bits_per_digit | u64::from(*value);
        }
        let bits = digits.len() * bits_per_digit;
        let whole = bits / 8;
        let buffer = buffer >> (bits % 8);
        out.extend((0..whole).rev().map(|index| (buffer >> (8 * index)) as u8));
        if ended {
            return Ok(out);
        }
    }
}

/// What may follow the digits of the last group; the error is where it went wrong.
fn padding(text: &[u8], at: &mut usize, digits: usize, group: usize) -> Result<(), usize> {
    let needed = group - digits;
    let allowed = if group == 4 { digits >= 2 } else { matches!(digits, 2 | 4 | 5 | 7) };
    if group == 8 {
        // What follows the padding is not looked at.
        let rest = &text[*at + 1..];
        if digits < 2 || rest.len() >= group {
            return Err(*at);
        }
        if rest.len() + digits < group - 1 {
            return Err(text.len());
        }
        let bad = rest.iter().take(needed - 1).position(|byte| *byte != b'=');
        return match bad {
            Some(bad) => Err(*at + bad),
            None if allowed => Ok(()),
            None => Err(*at),
        };
    }
    if !allowed {
        return Err(*at);
    }
    *at += 1;
    let skip = |at: &mut usize| {
        while text.get(*at).is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            *at += 1;
        }
    };
    if digits == 2 {
        skip(at);
        match text.get(*at) {
            None => return Err(text.len()),
            Some(b'=') => *at += 1,
            Some(_) => return Err(*at - 1),
        }
    }
    skip(at);
    if *at < text.len() { Err(*at) } else { Ok(()) }
}

fn base32_encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut buffer = [0u8; 8];
        buffer[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(buffer);
        let digits = (chunk.len() * 8).div_ceil(5);
        for index in 0..8 {
            let digit = (bits >> (35 - 5 * index)) & 31;
            out.push(if index < digits { char::from(DIGITS[digit as usize]) } else { '=' });
        }
    }
    out
}

fn adler32(args: &[Value]) -> Result<Value, Fault> {
    let (mut a, mut b) = (1u32, 0u32);
    for byte in bytes(&args[0]) {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    Ok(Value::from(((b << 16) | a).to_string()))
}
