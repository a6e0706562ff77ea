//! JSON in and out: what the API server speaks.

use std::cell::RefCell;
use std::fmt::Write as _;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::map::Entry;
use crate::{At, Data, Interner, Map, Value};

/// Parses JSON text. Positions stay unknown; use [`crate::parse_yaml`] for files, which reads JSON too.
///
/// Keys and short texts that repeat share memory. Whole numbers past an `i64` become floats, as in Go.
/// The last of two equal keys wins.
///
/// # Errors
/// What is wrong, with line and column; nesting past 128 levels is refused.
pub fn parse_json(text: &[u8]) -> Result<Value, serde_json::Error> {
    let interner = RefCell::new(Interner::default());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Seed(&interner).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Seed<'a>(&'a RefCell<Interner>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::null())
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::null())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| Value::from(value as f64), Value::from))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(self.0.borrow_mut().intern(text).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or(0).min(1024));
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<std::borrow::Cow<'_, str>>()? {
            let key = self.0.borrow_mut().intern(&key);
            let value = entries.next_value_seed(self)?;
            map.insert_entry(Entry { key, key_at: At::NONE, value });
        }
        Ok(map.into())
    }
}

impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.data {
            Data::Null => serializer.serialize_unit(),
            Data::Bool(value) => serializer.serialize_bool(*value),
            Data::Int(value) => serializer.serialize_i64(*value),
            Data::Float(value) => serializer.serialize_f64(*value),
            Data::Str(text) => serializer.serialize_str(text),
            Data::List(items) => serializer.collect_seq(items.iter()),
            Data::Map(map) => serializer.collect_map(map.iter().map(|entry| (entry.key.as_str(), &entry.value))),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Seed(&RefCell::default()).deserialize(deserializer)
    }
}

/// Compact JSON, keys in the order of writing.
#[must_use]
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, false);
    out
}

/// Compact JSON with sorted keys, numbers as Go prints them: equal values give equal bytes.
#[must_use]
pub fn to_json_sorted(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, true);
    out
}

fn write(out: &mut String, value: &Value, sorted: bool) {
    match &value.data {
        Data::Null => out.push_str("null"),
        Data::Bool(true) => out.push_str("true"),
        Data::Bool(false) => out.push_str("false"),
        Data::Int(number) => write!(out, "{number}").expect("a string takes every write"),
        Data::Float(number) => out.push_str(&go_float(*number)),
        Data::Str(text) => write_text(out, text),
        Data::List(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write(out, item, sorted);
            }
            out.push(']');
        }
        Data::Map(map) => {
            out.push('{');
            let entries = if sorted { map.sorted() } else { map.iter().collect() };
            for (position, entry) in entries.into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_text(out, &entry.key);
                out.push(':');
                write(out, &entry.value, sorted);
            }
            out.push('}');
        }
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (position, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..position]);
        if escape.is_empty() {
            write!(out, "\\u{byte:04x}").expect("a string takes every write");
        } else {
            out.push_str(escape);
        }
        plain = position + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// A number as Go's `encoding/json` prints a float64: shortest digits, exponent below 1e-6 and from 1e21.
pub(crate) fn go_float(number: f64) -> String {
    if !number.is_finite() {
        return "null".to_owned();
    }
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return of_two_the_even(format!("{number}"), number);
    }
    // Rust prints `1e-7`, Go `1e-07`; from two digits on both agree. Go's JSON shortens `e-07` to `e-7`.
    let text = shortest_float(number);
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

/// The fewest digits that read back as this number, as Go chooses them: `1.5e-7`.
#[must_use]
pub fn shortest_float(number: f64) -> String {
    of_two_the_even(format!("{number:e}"), number)
}

/// Numbers with fewer digits have one shortest form.
const FEWEST_DIGITS_OF_TWINS: usize = 15;

/// Where two shortest forms are as close to a number, Rust prints the upper and Go the even one.
fn of_two_the_even(text: String, number: f64) -> String {
    if text.len() < FEWEST_DIGITS_OF_TWINS {
        return text;
    }
    let mantissa = text.split('e').next().unwrap_or(&text);
    let last = mantissa.rfind(|c| matches!(c, '1'..='9'));
    let Some(last) = last.filter(|at| text.as_bytes()[*at] % 2 == 1) else { return text };
    let below = char::from(text.as_bytes()[last] - 1);
    let even = format!("{}{below}{}", &text[..last], &text[last + 1..]);
    let digits: String = even[..=last].chars().filter(char::is_ascii_digit).collect();
    let exact: String = format!("{:.40e}", number.abs()).chars().filter(|c| *c != '.').collect();
    let half = exact.strip_prefix(digits.trim_start_matches('0')).and_then(|rest| rest.strip_prefix('5'));
    let between = half.is_some_and(|rest| rest.split('e').next().is_some_and(|rest| rest.bytes().all(|c| c == b'0')));
    if between && even.parse() == Ok(number) { even } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_shortest_floats_the_even_one_is_printed() {
        assert_eq!(go_float(70_368_867_634_452.0 + 0.125), "70368867634452.12");
        assert_eq!(go_float(-70_368_867_634_452.0 - 0.125), "-70368867634452.12");
        assert_eq!(shortest_float(900_719_925_474_099.0 + 0.25), "9.007199254740992e14");
        assert_eq!(shortest_float(900_719_925_474_099.0 + 0.75), "9.007199254740998e14");
        assert_eq!(go_float(0.1), "0.1");
        assert_eq!(go_float(123_456_789.123_456_79), "123456789.12345679");
    }

    #[test]
    fn round_trips() {
        let text = r#"{"b":[1,-2,2.5,"x\n\u0001\"",null,true],"a":{"":{}}}"#;
        assert_eq!(to_json(&parse_json(text.as_bytes()).expect("valid")), text);
    }

    #[test]
    fn sorts_keys_at_every_level() {
        let value = parse_json(br#"{"b":{"z":1,"y":2},"a":0}"#).expect("valid");
        assert_eq!(to_json_sorted(&value), r#"{"a":0,"b":{"y":2,"z":1}}"#);
    }

    #[test]
    fn prints_floats_as_go_does() {
        for (number, text) in
            [(1.0, "1"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1.5e-7, "1.5e-7"), (0.1, "0.1")]
        {
            assert_eq!(go_float(number), text);
        }
    }

    #[test]
    fn says_where_json_is_wrong() {
        let error = parse_json(b"{\n  \"a\": }").expect_err("invalid");
        assert_eq!((error.line(), error.column()), (2, 8));
    }
}
