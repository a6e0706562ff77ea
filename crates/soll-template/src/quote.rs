//! Go's quoted literals, written and read.

use std::fmt::Write as _;

use crate::unicode::is_print;

/// `%q` of Go: double quotes, escapes for what does not print, `\x` for bytes that are not UTF-8.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    push_quoted(&mut out, bytes, false);
    out
}

/// `%+q`, if `ascii`: everything past ASCII is escaped.
pub(crate) fn push_quoted(out: &mut String, bytes: &[u8], ascii: bool) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_escaped(out, c, '"', ascii);
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("a String takes all");
        }
    }
    out.push('"');
}

/// As the package `time` quotes: all that is not printable ASCII byte by byte.
pub(crate) fn time_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=0x7f => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").expect("a String takes all"),
        }
    }
    out.push('"');
    out
}

/// `%q` of a character: `'x'`.
pub(crate) fn quoted_char(c: char, ascii: bool) -> String {
    let mut out = String::from("'");
    push_escaped(&mut out, c, '\'', ascii);
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, c: char, quote: char, ascii: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        _ if c == quote => {
            out.push('\\');
            out.push(c);
        }
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        _ if c.is_ascii() && is_print(c) => out.push(c),
        _ if !ascii && is_print(c) => out.push(c),
        _ => {
            let code = u32::from(c);
            let written = match code {
                ..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
                ..0x1_0000 => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
            written.expect("a String takes all");
        }
    }
}

/// `strconv.Unquote` for the literals of templates: `"…"` and `` `…` ``.
pub(crate) fn unquote(literal: &str) -> Option<Vec<u8>> {
    let quote = *literal.as_bytes().first()?;
    let inner = literal.get(1..literal.len().checked_sub(1)?)?;
    if literal.len() < 2 || *literal.as_bytes().last()? != quote {
        return None;
    }
    match quote {
        b'`' => Some(inner.bytes().filter(|byte| *byte != b'\r').collect()),
        b'"' => {
            let mut out = Vec::with_capacity(inner.len());
            let mut rest = inner;
            while !rest.is_empty() {
                let (unit, tail) = unquote_char(rest, '"')?;
                match unit {
                    Unit::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                    Unit::Byte(byte) => out.push(byte),
                }
                rest = tail;
            }
            Some(out)
        }
        _ => None,
    }
}

/// What one escape stands for.
pub(crate) enum Unit {
    Char(char),
    Byte(u8),
}

impl Unit {
    /// The number of the character or byte.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::Char(c) => u32::from(*c),
            Self::Byte(byte) => u32::from(*byte),
        }
    }
}

/// `strconv.UnquoteChar`: the first character of a literal, and the rest.
pub(crate) fn unquote_char(text: &str, quote: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == quote || first == '\n' {
        return None;
    }
    if first != '\\' {
        return Some((Unit::Char(first), chars.as_str()));
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let simple = |c| Some((Unit::Char(c), rest));
    match escape {
        'a' => simple('\x07'),
        'b' => simple('\x08'),
        'f' => simple('\x0c'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\x0b'),
        '\\' => simple('\\'),
        '\'' | '"' if escape == quote => simple(escape),
        'x' => {
            let code = u8::from_str_radix(hex_digits(rest, 2)?, 16).ok()?;
            Some((Unit::Byte(code), &rest[2..]))
        }
        'u' | 'U' => {
            let count = if escape == 'u' { 4 } else { 8 };
            let code = u32::from_str_radix(hex_digits(rest, count)?, 16).ok()?;
            Some((Unit::Char(char::from_u32(code)?), &rest[count..]))
        }
        '0'..='7' => {
            let digits = text.get(1..4)?;
            if !digits.bytes().all(|byte| matches!(byte, b'0'..=b'7')) {
                return None;
            }
            let code = u8::from_str_radix(digits, 8).ok()?;
            Some((Unit::Byte(code), &text[4..]))
        }
        _ => None,
    }
}

fn hex_digits(text: &str, count: usize) -> Option<&str> {
    let digits = text.get(..count)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(digits)
}
