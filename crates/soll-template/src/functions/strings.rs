//! Texts cut, joined, padded and searched. As in Go they are bytes; lengths and positions count bytes.

use super::builtins::quoted;
use super::conversion::{string_bytes, strings};
use super::{Function, bytes, index_of, int, many, pure, world};
use crate::object::Param::{Any, Int, Str};
use crate::render::{Fault, World, fault};
use crate::value::{List, Map, MapType, Value};

pub(super) static TABLE: &[Function] = &[
    pure("hello", &[], |_| Ok(Value::text("Hello!"))),
    pure("trim", &[Str], |args| Ok(Value::bytes_text(trim_space(bytes(&args[0]))))),
    pure("trimAll", &[Str, Str], trim_all),
    pure("trimall", &[Str, Str], trim_all),
    pure("trimSuffix", &[Str, Str], |args| {
        let (suffix, text) = (bytes(&args[0]), bytes(&args[1]));
        Ok(text.strip_suffix(suffix).map_or_else(|| args[1].clone(), Value::bytes_text))
    }),
    pure("trimPrefix", &[Str, Str], |args| {
        let (prefix, text) = (bytes(&args[0]), bytes(&args[1]));
        Ok(text.strip_prefix(prefix).map_or_else(|| args[1].clone(), Value::bytes_text))
    }),
    pure("contains", &[Str, Str], |args| Ok(Value::Bool(find(bytes(&args[1]), bytes(&args[0])).is_some()))),
    pure("hasPrefix", &[Str, Str], |args| Ok(Value::Bool(bytes(&args[1]).starts_with(bytes(&args[0]))))),
    pure("hasSuffix", &[Str, Str], |args| Ok(Value::Bool(bytes(&args[1]).ends_with(bytes(&args[0]))))),
    world("repeat", &[Int, Str], repeat),
    pure("trunc", &[Int, Str], trunc),
    pure("substr", &[Int, Int, Str], substring),
    world("indent", &[Int, Str], |world, args| indent(world, args, "")),
    world("nindent", &[Int, Str], |world, args| indent(world, args, "\n")),
    world("replace", &[Str, Str, Str], replace),
    pure("plural", &[Str, Str, Int], |args| Ok(args[usize::from(int(&args[2]) != 1)].clone())),
    many("quote", &[], Any, |args| joined(args, |arg| Ok(quoted(&string_bytes(arg)?)))).walks(),
    many("squote", &[], Any, |args| {
        joined(args, |arg| {
            let mut out = vec![b'\''];
            crate::print::write(&mut out, arg);
            out.push(b'\'');
            Ok(out)
        })
    })
    .walks(),
    many("cat", &[], Any, |args| {
        joined(args, |arg| {
            let mut out = Vec::new();
            crate::print::write(&mut out, arg);
            Ok(out)
        })
    })
    .walks(),
    world("join", &[Str, Any], join).walks(),
    world("splitList", &[Str, Str], |world, args| {
        let parts = split(bytes(&args[1]), bytes(&args[0]), -1);
        world.spend(parts.len() as u64)?;
        Ok(List::of(crate::value::Element::Str, parts.into_iter().map(Value::bytes_text).collect()).into())
    }),
    pure("split", &[Str, Str], |args| Ok(numbered(split(bytes(&args[1]), bytes(&args[0]), -1)))),
    pure("splitn", &[Str, Int, Str], |args| Ok(numbered(split(bytes(&args[2]), bytes(&args[0]), int(&args[1]))))),
    pure("sortAlpha", &[Any], sort_alpha).walks(),
    pure("abbrev", &[Int, Str], |args| {
        let width = int(&args[0]);
        if width < 4 { Ok(args[1].clone()) } else { Ok(Value::bytes_text(&abbreviate(bytes(&args[1]), 0, width))) }
    }),
    pure("abbrevboth", &[Int, Int, Str], |args| {
        let (left, right) = (int(&args[0]), int(&args[1]));
        if right < 4 || left > 0 && right < 7 {
            return Ok(args[2].clone());
        }
        Ok(Value::bytes_text(&abbreviate(bytes(&args[2]), left, right)))
    }),
];

/// Where one text is in another.
pub(crate) fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    match (std::str::from_utf8(text), std::str::from_utf8(wanted)) {
        (Ok(text), Ok(wanted)) => text.find(wanted),
        _ => text.windows(wanted.len()).position(|window| window == wanted),
    }
}

fn trim_space(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => trim_matches(bytes, crate::unicode::is_space),
    }
}

fn trim_all(args: &[Value]) -> Result<Value, Fault> {
    let mut set: Vec<char> = super::text(&args[0]).chars().collect();
    set.sort_unstable();
    Ok(Value::bytes_text(trim_matches(bytes(&args[1]), |c| set.binary_search(&c).is_ok())))
}

/// Without the characters at both ends that match; a byte that is not UTF-8 is a replacement character.
fn trim_matches(mut bytes: &[u8], matches: impl Fn(char) -> bool) -> &[u8] {
    while let Some((c, length)) = first_char(bytes)
        && matches(c)
    {
        bytes = &bytes[length..];
    }
    // A character begins at most four bytes before the end.
    let last = |bytes: &[u8]| {
        let whole = (1..=bytes.len().min(4)).find_map(|length| {
            let tail = std::str::from_utf8(&bytes[bytes.len() - length..]).ok()?;
            Some((tail.chars().next()?, length))
        });
        whole.or_else(|| (!bytes.is_empty()).then_some((char::REPLACEMENT_CHARACTER, 1)))
    };
    while let Some((c, length)) = last(bytes)
        && matches(c)
    {
        bytes = &bytes[..bytes.len() - length];
    }
    bytes
}

/// The first character and its length; a byte that is not UTF-8 is a replacement character.
pub(super) fn first_char(bytes: &[u8]) -> Option<(char, usize)> {
    let chunk = bytes[..bytes.len().min(4)].utf8_chunks().next()?;
    Some(chunk.valid().chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8())))
}

fn repeat(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let text = bytes(&args[1]);
    let Ok(count) = usize::try_from(int(&args[0])) else { return Err(fault("strings: negative Repeat count")) };
    let length = text.len().checked_mul(count).filter(|length| i64::try_from(*length).is_ok());
    let Some(length) = length else { return Err(fault("strings: Repeat output length overflow")) };
    world.spend_bytes(length)?;
    Ok(Value::bytes_text(&text.repeat(count)))
}

fn trunc(args: &[Value]) -> Result<Value, Fault> {
    let (count, text) = (int(&args[0]), bytes(&args[1]));
    let length = index_of(text.len());
    let from_end = length.saturating_add(count);
    if count < 0 && from_end > 0 {
        return Ok(Value::bytes_text(&text[usize::try_from(from_end).unwrap_or(0)..]));
    }
    match usize::try_from(count) {
        Ok(count) if text.len() > count => Ok(Value::bytes_text(&text[..count])),
        _ => Ok(args[1].clone()),
    }
}

/// `text[start:end]`, in the words of Go's runtime where that is not possible.
fn slice_of(text: &[u8], start: Option<i64>, end: Option<i64>) -> Result<Value, Fault> {
    let length = index_of(text.len());
    let out_of_range = |what: String| fault(format!("runtime error: slice bounds out of range {what}"));
    let stop = end.unwrap_or(length);
    if stop < 0 {
        return Err(out_of_range(format!("[:{stop}]")));
    }
    if stop > length {
        return Err(out_of_range(format!("[:{stop}] with length {length}")));
    }
    let begin = start.unwrap_or(0);
    if begin < 0 {
        return Err(out_of_range(format!("[{begin}:]")));
    }
    if begin > stop {
        return Err(out_of_range(format!("[{begin}:{stop}]")));
    }
    let (begin, stop) = (usize::try_from(begin).unwrap_or(0), usize::try_from(stop).unwrap_or(0));
    Ok(Value::bytes_text(&text[begin..stop]))
}

fn substring(args: &[Value]) -> Result<Value, Fault> {
    let (start, end, text) = (int(&args[0]), int(&args[1]), bytes(&args[2]));
    if start < 0 {
        return slice_of(text, None, Some(end));
    }
    if end < 0 || end > index_of(text.len()) {
        return slice_of(text, Some(start), None);
    }
    slice_of(text, Some(start), Some(end))
}

fn indent(world: &mut World<'_>, args: &[Value], before: &str) -> Result<Value, Fault> {
    let text = bytes(&args[1]);
    let Ok(spaces) = usize::try_from(int(&args[0])) else { return Err(fault("strings: negative Repeat count")) };
    let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
    world.spend_bytes(spaces.saturating_mul(lines))?;
    let pad = " ".repeat(spaces);
    let mut out = Vec::with_capacity(text.len() + lines * spaces + before.len());
    out.extend_from_slice(before.as_bytes());
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            out.push(b'\n');
        }
        out.extend_from_slice(pad.as_bytes());
        out.extend_from_slice(line);
    }
    Ok(Value::bytes_text(&out))
}

fn replace(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let (old, new, text) = (bytes(&args[0]), bytes(&args[1]), bytes(&args[2]));
    let parts = split(text, old, -1);
    world.spend_bytes(new.len().saturating_mul(parts.len() + 1))?;
    if old.is_empty() {
        // Go puts the new text before each character and at the end.
        let mut out = new.to_vec();
        for part in parts {
            out.extend_from_slice(part);
            out.extend_from_slice(new);
        }
        return Ok(Value::bytes_text(&out));
    }
    Ok(Value::bytes_text(&parts.join(new)))
}

/// `strings.SplitN`: all parts if `count` is negative; an empty separator splits characters.
pub(super) fn split<'t>(text: &'t [u8], separator: &[u8], count: i64) -> Vec<&'t [u8]> {
    if count == 0 {
        return Vec::new();
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut rest = text;
    if separator.is_empty() {
        while !rest.is_empty() && parts.len() + 1 < most {
            let length = first_char_length(rest);
            parts.push(&rest[..length]);
            rest = &rest[length..];
        }
        if !rest.is_empty() {
            parts.push(rest);
        }
        return parts;
    }
    while parts.len() + 1 < most {
        let Some(at) = find(rest, separator) else { break };
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest);
    parts
}

fn first_char_length(bytes: &[u8]) -> usize {
    let start = &bytes[..bytes.len().min(4)];
    let chunk = start.utf8_chunks().next();
    chunk.and_then(|chunk| chunk.valid().chars().next()).map_or(1, char::len_utf8)
}

fn numbered(parts: Vec<&[u8]>) -> Value {
    let entries = parts.into_iter().enumerate();
    Map::with(MapType::Str, entries.map(|(i, part)| (format!("_{i}").into(), Value::bytes_text(part))).collect()).into()
}

/// What is something, each in its own way, with spaces between.
fn joined(args: &[Value], one: impl Fn(&Value) -> Result<Vec<u8>, Fault>) -> Result<Value, Fault> {
    let parts = args.iter().filter(|arg| !matches!(arg, Value::Nil)).map(one);
    Ok(Value::bytes_text(&parts.collect::<Result<Vec<_>, _>>()?.join(&b' ')))
}

fn join(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    let texts = strings(&args[1])?;
    let items = texts.items();
    world.spend_bytes(bytes(&args[0]).len().saturating_mul(items.len()))?;
    let parts: Vec<&[u8]> = items.iter().map(bytes).collect();
    Ok(Value::bytes_text(&parts.join(bytes(&args[0]))))
}

fn sort_alpha(args: &[Value]) -> Result<Value, Fault> {
    // A `[]string` is sorted where it is, for all who hold it.
    if matches!(args[0], Value::Nil) {
        return Ok(List::of_texts(["<nil>"]).into());
    }
    let texts = strings(&args[0])?;
    texts.items_mut().sort_by(|a, b| bytes(a).cmp(bytes(b)));
    Ok(texts.into())
}

fn abbreviate(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    const DOTS: &[u8] = b"...";
    let length = index_of(text.len());
    let cut = |from: i64, to: i64| -> &[u8] {
        let clamp = |at: i64| usize::try_from(at.clamp(0, length)).unwrap_or(0);
        &text[clamp(from)..clamp(to).max(clamp(from))]
    };
    if text.is_empty() || width < 4 {
        return Vec::new();
    }
    if length <= width {
        return text.to_vec();
    }
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    if offset <= 4 {
        return [cut(0, width - 3), DOTS].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + width - 3 < length {
        return [DOTS, &abbreviate(cut(offset, length), 0, width - 3)].concat();
    }
    [DOTS, cut(length - (width - 3), length)].concat()
}
