//! JSON as Go's `encoding/json` reads and writes it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Function, bytes, lossy, pure, world};
use crate::number::{format_float, parse_float};
use crate::object::Param::{Any, Str};
use crate::print::MAX_DEPTH;
use crate::render::{Fault, fault};
use crate::value::{Element, List, Map, MapType, Value};

pub(super) static TABLE: &[Function] = &[
    pure("toJson", &[Any], |args| Ok(Value::from(encode(&args[0], Style::Escaped).unwrap_or_default()))).walks(),
    pure("mustToJson", &[Any], |args| written(&args[0], Style::Escaped)).walks(),
    pure("toPrettyJson", &[Any], |args| Ok(Value::from(encode(&args[0], Style::Pretty).unwrap_or_default()))).walks(),
    pure("mustToPrettyJson", &[Any], |args| written(&args[0], Style::Pretty)).walks(),
    pure("toRawJson", &[Any], |args| written(&args[0], Style::Raw)).walks(),
    pure("mustToRawJson", &[Any], |args| written(&args[0], Style::Raw)).walks(),
    world("fromJson", &[Str], |world, args| {
        let text = bytes(&args[0]);
        world.spend(text.len() as u64 / 4)?;
        Ok(read_map(text))
    }),
    world("mustFromJson", &[Str], |world, args| {
        let text = bytes(&args[0]);
        world.spend(text.len() as u64 / 4)?;
        decode(text).map_err(fault)
    }),
    world("fromJsonArray", &[Str], |world, args| {
        let text = bytes(&args[0]);
        world.spend(text.len() as u64 / 4)?;
        Ok(read_list(text))
    }),
];

/// How JSON is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `<`, `>` and `&` are escaped.
    Escaped,
    /// The same on lines of their own, two spaces a level.
    Pretty,
    /// Nothing is escaped that need not be.
    Raw,
}

fn written(value: &Value, style: Style) -> Result<Value, Fault> {
    Ok(Value::from(encode(value, style).map_err(fault)?))
}

/// A value as JSON; the error is Go's.
pub(super) fn encode(value: &Value, style: Style) -> Result<String, String> {
    let mut writer = Writer { out: String::new(), style, depth: 0 };
    writer.value(value)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    style: Style,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), String> {
        if self.depth > MAX_DEPTH {
            return Err(format!("json: unsupported value: encountered a cycle via {}", value.type_name()));
        }
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(number) | Value::Int64(number) => self.out.push_str(&number.to_string()),
            Value::Byte(byte) => self.out.push_str(&byte.to_string()),
            Value::Uint64(number) => self.out.push_str(&number.to_string()),
            Value::Float(number) => self.out.push_str(&float(*number)?),
            Value::Complex(..) => return Err("json: unsupported type: complex128".into()),
            Value::Str(text) => self.text(text),
            Value::Raw(bytes) => {
                self.out.push('"');
                for chunk in bytes.utf8_chunks() {
                    self.characters(chunk.valid());
                    chunk.invalid().iter().for_each(|_| self.out.push_str("\\ufffd"));
                }
                self.out.push('"');
            }
            Value::List(list) if list.is_nil() => self.out.push_str("null"),
            Value::List(list) if list.element() == Element::Byte => {
                let encoded = STANDARD.encode(crate::print::bytes_of(value));
                self.text(&encoded);
            }
            Value::List(list) => {
                let items = list.items();
                self.group('[', ']', items.len(), |this, index| this.value(&items[index]))?;
            }
            Value::Map(map) if map.is_nil() => self.out.push_str("null"),
            Value::Map(map) => {
                let entries: Vec<_> = map.entries().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                self.entries(&entries)?;
            }
            Value::Time(time) => {
                let text = time.rfc3339().map_err(|why| no_time(&why))?;
                self.text(&text);
            }
            Value::Object(object) => match object.json_fields() {
                Some(fields) => self.entries(&fields)?,
                None => self.value(&object.contents())?,
            },
        }
        Ok(())
    }

    fn entries(&mut self, entries: &[(soll_yaml::Str, Value)]) -> Result<(), String> {
        self.group('{', '}', entries.len(), |this, index| {
            let (key, value) = &entries[index];
            this.text(key);
            this.out.push_str(if this.style == Style::Pretty { ": " } else { ":" });
            this.value(value)
        })
    }

    fn group(
        &mut self,
        open: char,
        close: char,
        count: usize,
        mut item: impl FnMut(&mut Self, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        self.out.push(open);
        self.depth += 1;
        for index in 0..count {
            if index > 0 {
                self.out.push(',');
            }
            self.new_line();
            item(self, index)?;
        }
        self.depth -= 1;
        if count > 0 {
            self.new_line();
        }
        self.out.push(close);
        Ok(())
    }

    fn new_line(&mut self) {
        if self.style == Style::Pretty {
            self.out.push('\n');
            (0..self.depth).for_each(|_| self.out.push_str("  "));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        self.characters(text);
        self.out.push('"');
    }

    fn characters(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                '<' | '>' | '&' if self.style != Style::Raw => self.escape(c),
                '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => self.escape(c),
                _ => self.out.push(c),
            }
        }
    }

    fn escape(&mut self, c: char) {
        self.out.push_str(&format!("\\u{:04x}", u32::from(c)));
    }
}

/// A float as JSON writes it: exponents only below 1e-6 and from 1e21 on.
pub(super) fn float(number: f64) -> Result<String, String> {
    if !number.is_finite() {
        return Err(format!("json: unsupported value: {}", format_float(number, 'g', -1)));
    }
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return Ok(format_float(number, 'f', -1));
    }
    let text = format_float(number, 'e', -1);
    // `1e-09` is written `1e-9`.
    Ok(match text.split_once("e-0") {
        Some((digits, exponent)) => format!("{digits}e-{exponent}"),
        None => text,
    })
}

/// `fromJson` as Helm has it: a map; what went wrong is in its `Error`.
fn read_map(text: &[u8]) -> Value {
    match decode_as(text, as_map) {
        Ok(map) => map,
        Err(message) => Map::from_iter([("Error", message)]).into(),
    }
}

/// What decodes into a map of Go: a map, or nothing, which leaves the map as it was.
pub(super) fn as_map(value: Value) -> Result<Value, String> {
    match value {
        Value::Map(_) => Ok(value),
        Value::Nil => Ok(Map::nil().into()),
        other => {
            Err(format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", json_name(&other)))
        }
    }
}

/// What decodes into a list of Go.
pub(super) fn as_list(value: Value) -> Result<Value, String> {
    match value {
        Value::List(_) => Ok(value),
        Value::Nil => Ok(List::nil(Element::Any).into()),
        other => Err(format!("json: cannot unmarshal {} into Go value of type []interface {{}}", json_name(&other))),
    }
}

fn json_name(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::Str(_) | Value::Raw(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
        _ => "number",
    }
}

fn read_list(text: &[u8]) -> Value {
    match decode_as(text, as_list) {
        Ok(list) => list,
        Err(message) => vec![Value::from(message)].into(),
    }
}

/// JSON text to a value: numbers are floats, the last of equal keys wins. Errors are Go's.
fn decode(text: &[u8]) -> Result<Value, String> {
    decode_as(text, Ok)
}

/// The same into a type of Go: whether the value is of it is asked before whether its numbers fit.
fn decode_as(text: &[u8], shape: fn(Value) -> Result<Value, String>) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0, depth: 0, overflow: None };
    let value = reader.value("looking for beginning of value")?;
    reader.space();
    if reader.peek().is_some() {
        return Err(reader.unexpected("after top-level value"));
    }
    let value = shape(value)?;
    reader.overflow.map_or(Ok(value), Err)
}

/// Says whether a text is one value of JSON, in the words of Go's stream decoder.
pub(crate) fn check(text: &[u8]) -> Result<(), String> {
    let mut reader = Reader { text, at: 0, depth: 0, overflow: None };
    reader.space();
    if reader.peek().is_none() {
        return Err("EOF".to_owned());
    }
    if let Err(message) = reader.value("looking for beginning of value") {
        return Err(if reader.peek().is_none() { "unexpected EOF".to_owned() } else { message });
    }
    reader.space();
    if reader.peek().is_some() { Err("invalid character after top-level value".to_owned()) } else { Ok(()) }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    depth: usize,
    /// The first number that no float holds; Go reads on and says so at the end.
    overflow: Option<String>,
}

/// Go stops here, too.
const MAX_READ_DEPTH: usize = 10_000;

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Inside a token: Go takes the end of the text for a space.
    fn broken(&self, context: &str) -> String {
        match self.peek() {
            None => format!("invalid character ' ' {context}"),
            Some(_) => self.unexpected(context),
        }
    }

    fn unexpected(&self, context: &str) -> String {
        match self.peek() {
            None => "unexpected end of JSON input".into(),
            Some(byte) => {
                // Go looks at bytes, and shows one as the character of its number.
                let shown = match byte {
                    b'\'' => r"'\''".to_owned(),
                    b'"' => "'\"'".to_owned(),
                    _ => crate::quote::quoted_char(char::from(byte), false),
                };
                format!("invalid character {shown} {context}")
            }
        }
    }

    fn value(&mut self, context: &str) -> Result<Value, String> {
        self.space();
        match self.peek() {
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'"') => self.string().map(Value::from),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Nil),
            _ => Err(self.unexpected(context)),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, String> {
        for (index, byte) in word.bytes().enumerate() {
            if self.peek() != Some(byte) {
                let wanted = crate::quote::quoted_char(char::from(byte), false);
                debug_assert!(index > 0, "the first byte chose the word");
                return Err(self.broken(&format!("in literal {word} (expecting {wanted})")));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, String> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.broken("in numeric literal")),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.broken("after decimal point in numeric literal"));
            }
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if !matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(self.broken("in exponent of numeric literal"));
            }
            self.digits();
        }
        let text = &*lossy(&self.text[start..self.at]);
        let number = parse_float(text).unwrap_or_else(|_| {
            let message = format!("json: cannot unmarshal number {text} into Go value of type float64");
            self.overflow.get_or_insert(message);
            0.0
        });
        Ok(Value::Float(number))
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut out = String::new();
        let mut plain = self.at;
        loop {
            match self.peek() {
                None => return Err("unexpected end of JSON input".into()),
                Some(b'"') => {
                    out.push_str(&lossy(&self.text[plain..self.at]));
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(&lossy(&self.text[plain..self.at]));
                    self.at += 1;
                    self.escape(&mut out)?;
                    plain = self.at;
                }
                Some(0..=0x1f) => return Err(self.unexpected("in string literal")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Result<(), String> {
        let c = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let first = self.hex()?;
                let c = match first {
                    0xd800..0xdc00 if self.text[self.at..].starts_with(b"\\u") => {
                        let before = self.at;
                        self.at += 2;
                        match self.hex()? {
                            second @ 0xdc00..0xe000 => {
                                char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
                            }
                            _ => {
                                // No pair: the other is read on its own.
                                self.at = before;
                                None
                            }
                        }
                    }
                    other => char::from_u32(other),
                };
                out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
                return Ok(());
            }
            _ => return Err(self.broken("in string escape code")),
        };
        self.at += 1;
        out.push(c);
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, String> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.broken("in \\u hexadecimal character escape")) };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_READ_DEPTH.min(MAX_DEPTH) { Err("exceeded max depth".into()) } else { Ok(()) }
    }

    fn array(&mut self) -> Result<Value, String> {
        self.deeper()?;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                items.push(self.value("looking for beginning of value")?);
                self.space();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b']') => break self.at += 1,
                    _ => return Err(self.unexpected("after array element")),
                }
            }
        }
        self.depth -= 1;
        Ok(items.into())
    }

    fn object(&mut self) -> Result<Value, String> {
        self.deeper()?;
        let mut entries = BTreeMap::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.space();
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected("looking for beginning of object key string"));
                }
                let key = self.string()?;
                self.space();
                if self.peek() != Some(b':') {
                    return Err(self.unexpected("after object key"));
                }
                self.at += 1;
                let value = self.value("looking for beginning of value")?;
                entries.insert(key.into(), value);
                self.space();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break self.at += 1,
                    _ => return Err(self.unexpected("after object key:value pair")),
                }
            }
        }
        self.depth -= 1;
        Ok(Map::with(MapType::Any, entries).into())
    }
}

/// Why a time is no JSON, in Go's words.
pub(super) fn no_time(why: &str) -> String {
    format!("json: error calling MarshalJSON for type time.Time: Time.MarshalJSON: {why}")
}
