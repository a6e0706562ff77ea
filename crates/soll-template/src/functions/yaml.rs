//! YAML as `sigs.k8s.io/yaml` reads and writes it, by way of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_yaml::{ParseOptions, SourceId, YamlNode, YamlShape, emit_yaml, emit_yaml_v3, parse_first_yaml};

use super::json::{as_list, as_map};
use super::{Function, pure, text, world};
use crate::number::float_text;
use crate::object::Param::{Any, Str};
use crate::print::MAX_DEPTH;
use crate::render::{Fault, World, fault};
use crate::time::RFC3339_NANO;
use crate::value::{Element, Kind, Map, Value, WholeNumbers};

pub(super) static TABLE: &[Function] = &[
    pure("toYaml", &[Any], |args| Ok(Value::from(to_yaml(&args[0]).unwrap_or_default()))).walks(),
    pure("mustToYaml", &[Any], |args| Ok(Value::from(to_yaml(&args[0]).map_err(fault)?))).walks(),
    pure("toYamlPretty", &[Any], |args| Ok(Value::from(pretty(&args[0])?))).walks(),
    world("fromYaml", &[Str], |world, args| {
        Ok(
            match from_yaml(world, &args[0], Map::new().into())?
                .and_then(|value| as_map(value).map_err(|message| while_decoding(&message)))
            {
                Ok(map) => map,
                Err(message) => Map::from_iter([("Error", message)]).into(),
            },
        )
    }),
    world("fromYamlArray", &[Str], |world, args| {
        Ok(
            match from_yaml(world, &args[0], Vec::new().into())?
                .and_then(|value| as_list(value).map_err(|message| while_decoding(&message)))
            {
                Ok(list) => list,
                Err(message) => vec![Value::from(message)].into(),
            },
        )
    }),
];

/// A value as YAML without the last line break; the error is Go's.
pub(crate) fn to_yaml(value: &Value) -> Result<String, String> {
    let mut json = ThroughJson::default();
    let read = json.value(value, 0)?;
    if json.has_controls {
        return Err("yaml: control characters are not allowed".into());
    }
    if let Some(error) = json.broken_key {
        return Err(error);
    }
    let mut text = emit_yaml(&read);
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// Letters of a key in YAML, quotes included.
const LONGEST_KEY: usize = 1024;

/// How many letters Go's JSON takes for a text, quotes included.
fn json_length(text: &str) -> usize {
    let letter = |c| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => 6,
        _ => 1,
    };
    2 + text.chars().map(letter).sum::<usize>()
}

/// What a value is after it went through JSON and was read as YAML.
#[derive(Default)]
struct ThroughJson {
    /// Ends of lines so far: JSON leaves one as it is.
    lines: usize,
    /// There are characters that YAML does not allow anywhere, which is noticed after what JSON cannot hold.
    has_controls: bool,
    /// What is wrong with a key, which is noticed last.
    broken_key: Option<String>,
}

impl ThroughJson {
    fn value(&mut self, value: &Value, depth: usize) -> Result<soll_yaml::Value, String> {
        if depth > MAX_DEPTH {
            return Err(format!("{MARSHALING}json: unsupported value: encountered a cycle via {}", value.type_name()));
        }
        Ok(match value {
            Value::Nil => soll_yaml::Value::null(),
            Value::Bool(truth) => (*truth).into(),
            Value::Int(number) | Value::Int64(number) => (*number).into(),
            Value::Byte(byte) => i64::from(*byte).into(),
            Value::Uint64(number) => match i64::try_from(*number) {
                Ok(number) => number.into(),
                Err(_) => (*number as f64).into(),
            },
            Value::Float(number) if number.is_finite() => (*number).into(),
            Value::Float(number) => {
                let message = super::json::float(*number).err().unwrap_or_default();
                return Err(format!("{MARSHALING}{message}"));
            }
            Value::Complex(..) => return Err(format!("{MARSHALING}json: unsupported type: complex128")),
            Value::Str(text) => self.text(text).into(),
            Value::Raw(_) => self.text(&text(value).as_ref().into()).into(),
            Value::List(list) if list.is_nil() => soll_yaml::Value::null(),
            Value::List(list) if list.element() == Element::Byte => {
                STANDARD.encode(crate::print::bytes_of(value)).into()
            }
            Value::List(list) => {
                let items =
                    list.items().iter().map(|item| self.value(item, depth + 1)).collect::<Result<Vec<_>, _>>()?;
                items.into()
            }
            Value::Map(map) if map.is_nil() => soll_yaml::Value::null(),
            Value::Map(map) => {
                let entries = map.entries();
                let mut out = soll_yaml::Map::with_capacity(entries.len());
                for (key, value) in entries.iter() {
                    out.insert(self.key(key), self.value(value, depth + 1)?);
                }
                out.into()
            }
            Value::Time(time) => {
                let text = time.rfc3339().map_err(|why| format!("{MARSHALING}{}", super::json::no_time(&why)))?;
                text.into()
            }
            Value::Object(object) => self.value(&object.contents(), depth + 1)?,
        })
    }

    /// Keys have to stand on one line.
    fn key(&mut self, key: &soll_yaml::Str) -> soll_yaml::Str {
        let before = self.lines;
        let text = self.text(key);
        if (self.lines > before || json_length(key) > LONGEST_KEY) && self.broken_key.is_none() {
            let line = if self.lines > 0 { format!("line {}: ", self.lines) } else { String::new() };
            self.broken_key = Some(format!("yaml: {line}did not find expected ',' or '}}'"));
        }
        text
    }

    /// JSON leaves some characters as they are that YAML does not read back, or reads as the end of a line.
    fn text(&mut self, text: &soll_yaml::Str) -> soll_yaml::Str {
        let forbidden = |c| matches!(c, '\x7f'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
        let suspicious = |byte| matches!(byte, 0x7f | 0xc2 | 0xef);
        if !text.bytes().any(suspicious) {
            return text.clone();
        }
        self.has_controls |= text.chars().any(forbidden);
        let lines = text.matches(NEXT_LINE).count();
        self.lines += lines;
        if lines > 0 { folded(text).into() } else { text.clone() }
    }
}

const MARSHALING: &str = "error marshaling into JSON: ";
/// Ends a line in YAML, as the line feed does.
const NEXT_LINE: char = '\u{85}';

/// Lines within quotes are one line; spaces around their ends do not count, and empty lines are line breaks.
fn folded(text: &str) -> String {
    let mut lines = text.split(NEXT_LINE).peekable();
    let mut out = String::with_capacity(text.len());
    let mut breaks = 0;
    let mut first = true;
    while let Some(line) = lines.next() {
        let line = if first { line } else { line.trim_start_matches(' ') };
        let line = if lines.peek().is_some() { line.trim_end_matches(' ') } else { line };
        first = false;
        if !line.is_empty() || lines.peek().is_none() {
            match breaks {
                0 => {}
                1 => out.push(' '),
                more => out.extend(std::iter::repeat_n('\n', more - 1)),
            }
            breaks = 0;
            out.push_str(line);
        }
        breaks += usize::from(lines.peek().is_some());
    }
    out
}

fn while_decoding(message: &str) -> String {
    format!("error unmarshaling JSON: while decoding JSON: {message}")
}

fn from_yaml(world: &mut World<'_>, value: &Value, empty: Value) -> Result<Result<Value, String>, Fault> {
    if let Value::Raw(bytes) = value {
        return Ok(Err(format!("error converting YAML to JSON: yaml: {}", not_utf8(bytes))));
    }
    let text = text(value);
    world.spend(text.len() as u64 / 4)?;
    let mut options = ParseOptions::go_v2();
    options.limits.depth = options.limits.depth.min(MAX_DEPTH);
    Ok(match parse_first_yaml(&text, SourceId::default(), &options) {
        Ok(document) => {
            let value = document.map(|value| Value::from_yaml(&value, WholeNumbers::Float64));
            // Nothing leaves what is there: an empty map or list.
            Ok(match value {
                None | Some(Value::Nil) => empty,
                Some(value) => value,
            })
        }
        Err(error) => Err(format!("error converting YAML to JSON: {}", error.in_go())),
    })
}

/// What go-yaml says of the first character that is wrong.
fn not_utf8(bytes: &[u8]) -> &'static str {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    let Some(chunk) = bytes.utf8_chunks().next() else { return "" };
    if !chunk.valid().chars().all(allowed) {
        return "control characters are not allowed";
    }
    let rest = &bytes[chunk.valid().len()..];
    let length = match rest[0] {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return "invalid leading UTF-8 octet",
    };
    let Some(character) = rest.get(..length) else { return "incomplete UTF-8 octet sequence" };
    if character[1..].iter().any(|byte| byte & 0xc0 != 0x80) {
        return "invalid trailing UTF-8 octet";
    }
    match (character[0], character[1]) {
        (0xc0 | 0xc1, _) | (0xe0, ..0xa0) | (0xf0, ..0x90) => "invalid length of a UTF-8 sequence",
        _ => "invalid Unicode character",
    }
}

/// `toYamlPretty` goes straight to yaml.v3, without JSON in between.
fn pretty(value: &Value) -> Result<String, Fault> {
    if has_complex(value) {
        return Err(fault("cannot marshal type: complex128"));
    }
    let mut text = emit_yaml_v3(&Pretty(value.clone()));
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

fn has_complex(value: &Value) -> bool {
    match value {
        Value::Complex(..) => true,
        Value::List(list) => list.items().iter().any(has_complex),
        Value::Map(map) => map.entries().values().any(has_complex),
        _ => false,
    }
}

struct Pretty(Value);

impl YamlNode for Pretty {
    type Key = soll_yaml::Str;

    fn shape(&self) -> YamlShape<'_, Self> {
        shape_of(&self.0)
    }
}

/// Long ones stand on lines of their own.
fn binary(bytes: &[u8]) -> String {
    const LINE: usize = 70;
    let text = STANDARD.encode(bytes);
    if text.len() < LINE {
        return text;
    }
    let lines = text.as_bytes().chunks(LINE).map(|line| super::lossy(line).into_owned() + "\n");
    lines.collect()
}

fn shape_of(value: &Value) -> YamlShape<'static, Pretty> {
    let plain = |text: String| YamlShape::Plain(text.into());
    match value {
        Value::Nil => plain("null".into()),
        Value::Bool(truth) => plain(truth.to_string()),
        Value::Int(number) | Value::Int64(number) => plain(number.to_string()),
        Value::Byte(number) => plain(number.to_string()),
        Value::Uint64(number) => plain(number.to_string()),
        Value::Float(number) if number.is_nan() => plain(".nan".into()),
        Value::Float(number) if number.is_infinite() => plain(if *number > 0.0 { ".inf" } else { "-.inf" }.into()),
        Value::Float(number) => plain(float_text(*number)),
        Value::Complex(..) => plain(String::new()),
        Value::Str(text) => YamlShape::Text(text.to_string().into()),
        Value::Raw(bytes) => YamlShape::Binary(binary(bytes)),
        Value::List(list) => YamlShape::List(list.items().iter().cloned().map(Pretty).collect()),
        Value::Map(map) => {
            YamlShape::Map(map.entries().iter().map(|(key, item)| (key.clone(), Pretty(item.clone()))).collect())
        }
        Value::Time(time) => plain(time.format(RFC3339_NANO)),
        Value::Object(object) => match (object.kind(), object.contents()) {
            (Kind::Int64, _) => YamlShape::Text(object.string().unwrap_or_default().into()),
            (Kind::Struct | Kind::Ptr, Value::Str(text)) => YamlShape::Text(text.to_string().into()),
            (Kind::Struct | Kind::Ptr, _) => {
                let lower = |name: &str| soll_yaml::Str::from(name.to_lowercase().as_str());
                YamlShape::Fields(
                    object.fields().into_iter().map(|(name, item)| (lower(&name), Pretty(item))).collect(),
                )
            }
            (_, contents) => shape_of(&contents),
        },
    }
}
