//! TOML as BurntSushi's library writes it and reads it.

use std::rc::Rc;

use jiff::tz::TimeZone;

use super::{Function, pure, text, world};
use crate::number::float_text;
use crate::object::Param::{Any, Str};
use crate::render::{Fault, fault};
use crate::time::Time;
use crate::value::{Element, List, Map, Value};

pub(super) static TABLE: &[Function] = &[
    pure("toToml", &[Any], |args| match encode(&args[0]) {
        Ok(text) => Ok(Value::bytes_text(&text)),
        Err(Refusal::Encode(message)) => Ok(Value::from(message)),
        Err(Refusal::Panic(message)) => Err(fault(message)),
    })
    .walks(),
    pure("mustToToml", &[Any], |args| match encode(&args[0]) {
        Ok(text) => Ok(Value::bytes_text(&text)),
        Err(Refusal::Encode(message) | Refusal::Panic(message)) => Err(fault(message)),
    })
    .walks(),
    world("fromToml", &[Str], |world, args| {
        let text = text(&args[0]);
        world.spend(text.len() as u64 / 4)?;
        let zone = world.environment.local_zone();
        Ok(match text.parse::<toml::Table>() {
            Ok(table) => table_value(&table, &zone)?,
            Err(error) => Map::from_iter([("Error", format!("toml: {}", error.message()))]).into(),
        })
    }),
];

/// Why there is no TOML.
enum Refusal {
    /// The library says so.
    Encode(String),
    /// It panics.
    Panic(String),
}

fn refuse<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Encode(message.into()))
}

/// What a value is in TOML.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Nothing,
    Table,
    /// A list of tables and nothing else.
    Tables,
    Plain,
}

fn shape(value: &Value) -> Result<Shape, Refusal> {
    Ok(match value {
        Value::Nil => Shape::Nothing,
        Value::List(list) if list.is_nil() => Shape::Nothing,
        Value::Map(map) if map.is_nil() => Shape::Nothing,
        Value::Map(_) => Shape::Table,
        Value::Object(object) if matches!(object.contents(), Value::Map(_)) => Shape::Table,
        Value::List(list) => {
            let mut tables = !list.is_empty();
            for item in list.items().iter() {
                match shape(item)? {
                    Shape::Nothing => return refuse("toml: cannot encode array with nil element"),
                    Shape::Table => {}
                    Shape::Tables | Shape::Plain => tables = false,
                }
            }
            if tables { Shape::Tables } else { Shape::Plain }
        }
        Value::Complex(..) => return refuse("unsupported type: complex128"),
        _ => Shape::Plain,
    })
}

fn encode(value: &Value) -> Result<Vec<u8>, Refusal> {
    let mut encoder = Encoder { out: Vec::new() };
    match value {
        Value::Nil => return Err(Refusal::Panic("reflect: call of reflect.Value.Type on zero Value".into())),
        Value::Complex(..) => return refuse("unsupported type for key '': complex128"),
        value => encoder.top(value)?,
    }
    Ok(encoder.out)
}

struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn top(&mut self, value: &Value) -> Result<(), Refusal> {
        match shape(value)? {
            Shape::Nothing => Ok(()),
            Shape::Table => self.entries(&[], value),
            Shape::Tables => refuse("toml: top-level values must be Go maps or structs"),
            Shape::Plain => self.plain(value),
        }
    }

    fn new_line(&mut self) {
        if !self.out.is_empty() {
            self.out.push(b'\n');
        }
    }

    fn indent(&mut self, keys: &[String]) {
        (1..keys.len()).for_each(|_| self.push("  "));
    }

    /// The entries of a table: plain ones first, then the tables in it.
    fn entries(&mut self, keys: &[String], value: &Value) -> Result<(), Refusal> {
        for (key, item) in ordered(value)? {
            let mut keys = keys.to_vec();
            keys.push(quoted_key(&key));
            match shape(&item)? {
                Shape::Nothing => {}
                Shape::Plain => {
                    self.indent(&keys);
                    self.push(&keys[keys.len() - 1]);
                    self.push(" = ");
                    self.plain(&item)?;
                    self.new_line();
                }
                Shape::Table => {
                    if keys.len() == 1 {
                        self.new_line();
                    }
                    self.indent(&keys);
                    self.push(&format!("[{}]", keys.join(".")));
                    self.new_line();
                    self.entries(&keys, &item)?;
                }
                Shape::Tables => {
                    let tables = item.as_list().map(|list| list.items().clone()).unwrap_or_default();
                    for table in tables {
                        self.new_line();
                        self.indent(&keys);
                        self.push(&format!("[[{}]]", keys.join(".")));
                        self.new_line();
                        self.entries(&keys, &table)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What stands after `=`.
    fn plain(&mut self, value: &Value) -> Result<(), Refusal> {
        match value {
            Value::Bool(truth) => self.push(if *truth { "true" } else { "false" }),
            Value::Int(number) | Value::Int64(number) => self.push(&number.to_string()),
            Value::Byte(byte) => self.push(&byte.to_string()),
            Value::Uint64(number) => self.push(&number.to_string()),
            Value::Float(number) if number.is_nan() => self.push("nan"),
            Value::Float(number) if number.is_infinite() => {
                self.push(if *number > 0.0 { "inf" } else { "-inf" });
            }
            Value::Float(number) => {
                let text = float_text(*number);
                self.push(&text);
                if !text.contains(['.', 'e']) {
                    self.push(".0");
                }
            }
            Value::Str(text) => self.push(&quoted(text)),
            Value::Raw(bytes) => {
                self.out.push(b'"');
                for chunk in bytes.utf8_chunks() {
                    self.push(&escaped(chunk.valid()));
                    self.out.extend_from_slice(chunk.invalid());
                }
                self.out.push(b'"');
            }
            Value::List(list) => {
                self.out.push(b'[');
                for (index, item) in list.items().iter().enumerate() {
                    if index > 0 {
                        self.push(", ");
                    }
                    self.plain(item)?;
                }
                self.out.push(b']');
            }
            Value::Map(_) => self.inline(value)?,
            Value::Time(time) => self.push(&time.format("2006-01-02T15:04:05.999999999Z07:00")),
            Value::Object(object) => match (object.contents(), object.string()) {
                (Value::Map(_), _) => self.inline(value)?,
                // Durations.
                (Value::Int64(_), Some(text)) => self.push(&quoted(&text)),
                (contents, _) => self.plain(&contents)?,
            },
            Value::Nil | Value::Complex(..) => return refuse("toml: cannot encode array with nil element"),
        }
        Ok(())
    }

    fn inline(&mut self, value: &Value) -> Result<(), Refusal> {
        self.out.push(b'{');
        let entries = ordered(value)?;
        let plain = entries.iter().filter(|(_, item)| !is_table(item)).count();
        let count = entries.len();
        for (index, (key, item)) in entries.into_iter().enumerate() {
            if shape(&item)? == Shape::Nothing {
                continue;
            }
            self.push(&quoted_key(&key));
            self.push(" = ");
            self.plain(&item)?;
            let last_of_plain = index + 1 == plain && plain == count;
            if !last_of_plain && index + 1 != count {
                self.push(", ");
            }
        }
        self.out.push(b'}');
        Ok(())
    }
}

fn is_table(value: &Value) -> bool {
    matches!(shape(value), Ok(Shape::Table | Shape::Tables))
}

fn ordered(value: &Value) -> Result<Vec<(soll_yaml::Str, Value)>, Refusal> {
    let contents = match value {
        Value::Object(object) => object.contents(),
        other => other.clone(),
    };
    let Value::Map(map) = contents else { return refuse("toml: top-level values must be Go maps or structs") };
    let mut plain = Vec::new();
    let mut tables = Vec::new();
    for (key, item) in map.entries().iter() {
        let group = match shape(item)? {
            Shape::Table | Shape::Tables => &mut tables,
            Shape::Nothing | Shape::Plain => &mut plain,
        };
        group.push((key.clone(), item.clone()));
    }
    plain.append(&mut tables);
    Ok(plain)
}

fn quoted_key(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if bare { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out
}

fn table_value(table: &toml::Table, zone: &TimeZone) -> Result<Value, Fault> {
    let entries = table.iter().map(|(key, value)| Ok((key.as_str(), read(value, zone)?)));
    Ok(entries.collect::<Result<Map, Fault>>()?.into())
}

fn read(value: &toml::Value, zone: &TimeZone) -> Result<Value, Fault> {
    Ok(match value {
        toml::Value::String(text) => Value::text(text),
        toml::Value::Integer(number) => Value::Int64(*number),
        toml::Value::Float(number) => Value::Float(*number),
        toml::Value::Boolean(truth) => Value::Bool(*truth),
        toml::Value::Datetime(date) => date_value(&date.to_string(), zone),
        toml::Value::Array(items) => {
            let items = items.iter().map(|item| read(item, zone)).collect::<Result<Vec<_>, _>>()?;
            List::of(Element::Any, items).into()
        }
        toml::Value::Table(table) => table_value(table, zone)?,
    })
}

/// Dates without a zone are local.
fn date_value(text: &str, zone: &TimeZone) -> Value {
    let text = text.replace(['t', ' '], "T");
    let layouts =
        ["2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02", "15:04:05.999999999"];
    let parsed = layouts.iter().find_map(|layout| crate::layout::parse(layout, &text, zone).ok());
    Value::Time(Rc::new(parsed.unwrap_or_else(Time::zero)))
}
