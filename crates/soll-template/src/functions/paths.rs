//! Slash-separated paths, by text alone.

use super::{Function, pure, text};
use crate::object::Param::Str;
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    pure("base", &[Str], |args| Ok(by_bytes(&args[0], base))),
    pure("osBase", &[Str], |args| Ok(by_bytes(&args[0], base))),
    pure("dir", &[Str], |args| Ok(by_bytes(&args[0], dir))),
    pure("osDir", &[Str], |args| Ok(by_bytes(&args[0], dir))),
    pure("clean", &[Str], |args| Ok(by_bytes(&args[0], clean))),
    pure("osClean", &[Str], |args| Ok(by_bytes(&args[0], clean))),
    pure("ext", &[Str], |args| Ok(by_bytes(&args[0], |path| ext(path).to_owned()))),
    pure("osExt", &[Str], |args| Ok(by_bytes(&args[0], |path| ext(path).to_owned()))),
    pure("isAbs", &[Str], |args| Ok(Value::Bool(text(&args[0]).starts_with('/')))),
    pure("osIsAbs", &[Str], |args| Ok(Value::Bool(text(&args[0]).starts_with('/')))),
];

/// Slashes and dots are bytes; what is around them need not be UTF-8.
fn by_bytes(path: &Value, change: fn(&str) -> String) -> Value {
    match path {
        Value::Raw(bytes) => {
            let wide: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            let changed: Vec<u8> = change(&wide).chars().filter_map(|c| u8::try_from(c).ok()).collect();
            Value::bytes_text(&changed)
        }
        path => Value::from(change(&text(path))),
    }
}

fn base(path: &str) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let trimmed = path.trim_end_matches('/');
    let last = trimmed.rsplit('/').next().unwrap_or_default();
    if last.is_empty() { "/".into() } else { last.into() }
}

fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |at| &path[..=at]))
}

/// The shortest path that means the same.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            other => parts.push(other),
        }
    }
    match (rooted, parts.join("/")) {
        (true, joined) => format!("/{joined}"),
        (false, joined) if joined.is_empty() => ".".into(),
        (false, joined) => joined,
    }
}

fn ext(path: &str) -> &str {
    let name = &path[path.rfind('/').map_or(0, |at| at + 1)..];
    name.rfind('.').map_or("", |at| &name[at..])
}
