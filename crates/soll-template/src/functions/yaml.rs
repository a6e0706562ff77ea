//! YAML as `sigs.k8s.io/yaml` reads and writes it, by way of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_yaml::{ParseOptions, SourceId, emit_yaml, parse_yaml};

use super::json::{as_list, as_map};
use super::{Function, pure, text, world};
use crate::object::Param::{Any, Str};
use crate::print::MAX_DEPTH;
use crate::render::{Fault, World, fault};
use crate::value::{Element, Map, Value, WholeNumbers};

pub(super) static TABLE: &[Function] = &[
    pure("toYaml", &[Any], |args| Ok(Value::from(to_yaml(&args[0]).unwrap_or_default()))),
    pure("mustToYaml", &[Any], |args| Ok(Value::from(to_yaml(&args[0]).map_err(fault)?))),
    pure("toYamlPretty", &[Any], |args| Ok(Value::from(pretty(&args[0]).unwrap_or_default()))),
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
    let mut text = emit_yaml(&as_yaml(value, 0)?);
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// What a value is after it went through JSON.
pub(super) fn as_yaml(value: &Value, depth: usize) -> Result<soll_yaml::Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("json: unsupported value: encountered a cycle via {}", value.type_name()));
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
        Value::Float(number) => return super::json::float(*number).map(Into::into),
        Value::Complex(..) => return Err("json: unsupported type: complex128".into()),
        Value::Str(text) => readable(text)?.clone().into(),
        Value::Raw(_) => text(value).as_ref().into(),
        Value::List(list) if list.is_nil() => soll_yaml::Value::null(),
        Value::List(list) if list.element() == Element::Byte => STANDARD.encode(crate::print::bytes_of(value)).into(),
        Value::List(list) => {
            let items = list.items().iter().map(|item| as_yaml(item, depth + 1)).collect::<Result<Vec<_>, _>>()?;
            items.into()
        }
        Value::Map(map) if map.is_nil() => soll_yaml::Value::null(),
        Value::Map(map) => {
            let entries = map.entries();
            let mut out = soll_yaml::Map::with_capacity(entries.len());
            for (key, value) in entries.iter() {
                out.insert(readable(key)?.clone(), as_yaml(value, depth + 1)?);
            }
            out.into()
        }
        Value::Time(time) => time.rfc3339()?.into(),
        Value::Object(object) => as_yaml(&object.contents(), depth + 1)?,
    })
}

/// JSON leaves some characters as they are that YAML does not read back.
fn readable(text: &soll_yaml::Str) -> Result<&soll_yaml::Str, String> {
    let forbidden = |c| matches!(c, '\x7f'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    let suspicious = |byte| matches!(byte, 0x7f | 0xc2 | 0xef);
    if text.bytes().any(suspicious) && text.chars().any(forbidden) {
        return Err("yaml: control characters are not allowed".into());
    }
    Ok(text)
}

fn while_decoding(message: &str) -> String {
    format!("error unmarshaling JSON: while decoding JSON: {message}")
}

fn from_yaml(world: &mut World<'_>, value: &Value, empty: Value) -> Result<Result<Value, String>, Fault> {
    let text = text(value);
    world.spend(text.len() as u64 / 4)?;
    let mut options = ParseOptions::go_v2();
    options.limits.depth = options.limits.depth.min(MAX_DEPTH);
    let documents = parse_yaml(&text, SourceId::default(), &options);
    Ok(match documents {
        Ok(documents) => {
            let first = documents.first().map(|value| Value::from_yaml(value, WholeNumbers::Float64));
            // Nothing leaves what is there: an empty map or list.
            Ok(match first {
                None | Some(Value::Nil) => empty,
                Some(value) => value,
            })
        }
        Err(error) => Err(format!("error converting YAML to JSON: yaml: {}", error.in_go())),
    })
}

/// Lists stand indented under their key, lines are as long as they are.
fn pretty(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    pretty_node(&mut out, value, 0, 0)?;
    let end = out.strip_suffix('\n').unwrap_or(&out).len();
    out.truncate(end);
    Ok(out)
}

fn pretty_node(out: &mut String, value: &Value, indent: usize, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("nested too deeply".into());
    }
    let pad = " ".repeat(indent);
    match value {
        Value::Object(object) => pretty_node(out, &object.contents(), indent, depth + 1)?,
        Value::Map(map) if !map.is_empty() => {
            for (index, (key, item)) in in_order(map).into_iter().enumerate() {
                if index > 0 {
                    out.push_str(&pad);
                }
                out.push_str(&scalar(&Value::Str(key), indent)?);
                out.push(':');
                if nested(&item) {
                    out.push('\n');
                    out.push_str(&" ".repeat(indent + 2));
                    pretty_node(out, &item, indent + 2, depth + 1)?;
                } else {
                    out.push(' ');
                    out.push_str(&scalar(&item, indent)?);
                    out.push('\n');
                }
            }
        }
        Value::List(list) if !list.is_empty() => {
            for (index, item) in list.items().iter().enumerate() {
                if index > 0 {
                    out.push_str(&pad);
                }
                out.push_str("- ");
                if nested(item) {
                    pretty_node(out, item, indent + 2, depth + 1)?;
                } else {
                    out.push_str(&scalar(item, indent)?);
                    out.push('\n');
                }
            }
        }
        _ => {
            out.push_str(&scalar(value, indent)?);
            out.push('\n');
        }
    }
    Ok(())
}

/// The entries in the order of `emit_yaml`.
fn in_order(map: &Map) -> Vec<(soll_yaml::Str, Value)> {
    let keys: soll_yaml::Map = map.entries().keys().map(|key| (key.clone(), soll_yaml::Value::null())).collect();
    let text = emit_yaml(&keys.into());
    let sorted = parse_yaml(&text, SourceId::default(), &ParseOptions::go_v2()).unwrap_or_default();
    let sorted = sorted.first().and_then(soll_yaml::Value::as_map);
    sorted.into_iter().flat_map(soll_yaml::Map::keys).filter_map(|key| Some((key.clone(), map.get(key)?))).collect()
}

fn nested(value: &Value) -> bool {
    match value {
        Value::Map(map) => !map.is_empty(),
        Value::List(list) => !list.is_empty(),
        Value::Object(object) => nested(&object.contents()),
        _ => false,
    }
}

/// A scalar or empty collection as it stands after `key: ` at this indentation.
fn scalar(value: &Value, indent: usize) -> Result<String, String> {
    match value {
        Value::Float(number) if number.is_nan() => return Ok(".nan".into()),
        Value::Float(number) if number.is_infinite() => {
            return Ok(if *number > 0.0 { ".inf" } else { "-.inf" }.into());
        }
        Value::Float(number) => return Ok(crate::number::float_text(*number)),
        Value::Time(time) => return time.rfc3339(),
        Value::Map(_) => return Ok("{}".into()),
        Value::List(_) => return Ok("[]".into()),
        _ => {}
    }
    let entry: soll_yaml::Map = [("k", as_yaml(value, 0)?)].into_iter().collect();
    let text = emit_yaml(&entry.into());
    let text = text.strip_prefix("k:").unwrap_or(&text).trim_start_matches(' ');
    let text = text.strip_suffix('\n').unwrap_or(text);
    if !text.contains('\n') {
        return Ok(text.to_owned());
    }
    if text.starts_with(['|', '>']) {
        let pad = " ".repeat(indent);
        return Ok(text.lines().enumerate().fold(String::new(), |mut out, (index, line)| {
            if index > 0 {
                out.push('\n');
                if !line.is_empty() {
                    out.push_str(&pad);
                }
            }
            out + line
        }));
    }
    // Folded at 80 columns: put back on one line.
    if text.starts_with('"') {
        return Ok(text.replace("\\\n    \\", "").replace("\\\n  \\", "").replace("\n  ", " "));
    }
    Ok(text.replace("\n  ", " "))
}
