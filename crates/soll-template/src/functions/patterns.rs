//! Regular expressions with the syntax of RE2.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use regex::Regex;
use soll_yaml::Str;

use super::{Function, bytes, int, text, world};
use crate::object::Param::{Int, Str as Text};
use crate::render::{Fault, World, fault};
use crate::value::{Element, List, Value};

pub(super) static TABLE: &[Function] = &[
    world("regexMatch", &[Text, Text], |world, args| {
        Ok(Value::Bool(compile(world, &args[0])?.is_ok_and(|pattern| pattern.is_match(&text(&args[1])))))
    }),
    world("mustRegexMatch", &[Text, Text], |world, args| {
        Ok(Value::Bool(compile(world, &args[0])?.map_err(fault)?.is_match(&text(&args[1]))))
    }),
    world("regexFind", &[Text, Text], |world, args| find(panicking(world, &args[0])?.as_ref(), args)),
    world("mustRegexFind", &[Text, Text], |world, args| find(compile(world, &args[0])?.map_err(fault)?.as_ref(), args)),
    world("regexFindAll", &[Text, Text, Int], |world, args| find_all(panicking(world, &args[0])?.as_ref(), args)),
    world("mustRegexFindAll", &[Text, Text, Int], |world, args| {
        find_all(compile(world, &args[0])?.map_err(fault)?.as_ref(), args)
    }),
    world("regexReplaceAll", &[Text, Text, Text], |world, args| {
        let pattern = panicking(world, &args[0])?;
        replace_all(world, &pattern, args)
    }),
    world("mustRegexReplaceAll", &[Text, Text, Text], |world, args| {
        let pattern = compile(world, &args[0])?.map_err(fault)?;
        replace_all(world, &pattern, args)
    }),
    world("regexReplaceAllLiteral", &[Text, Text, Text], |world, args| {
        let pattern = panicking(world, &args[0])?;
        replace_literal(world, &pattern, args)
    }),
    world("mustRegexReplaceAllLiteral", &[Text, Text, Text], |world, args| {
        let pattern = compile(world, &args[0])?.map_err(fault)?;
        replace_literal(world, &pattern, args)
    }),
    world("regexSplit", &[Text, Text, Int], |world, args| Ok(split(panicking(world, &args[0])?.as_ref(), args))),
    world("mustRegexSplit", &[Text, Text, Int], |world, args| {
        Ok(split(compile(world, &args[0])?.map_err(fault)?.as_ref(), args))
    }),
    super::pure("regexQuoteMeta", &[Text], |args| {
        let text = bytes(&args[0]);
        let mut out = Vec::with_capacity(text.len());
        for byte in text {
            if br"\.+*?()|[]{}^$".contains(byte) {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        Ok(Value::bytes_text(&out))
    }),
];

/// Steps that compiling a pattern costs.
const COMPILING: u64 = 10_000;
/// So many compiled patterns are kept.
const KEPT: usize = 200;
/// Memory that one compiled pattern may take.
const SIZE_LIMIT: usize = 8 << 20;

/// A compiled pattern; the error is worded as Go's where Go has one.
fn compile(world: &mut World<'_>, pattern: &Value) -> Result<Result<Rc<Regex>, String>, Fault> {
    if let Some(known) = pattern.as_str().and_then(|text| world.patterns.get(text)) {
        return Ok(Ok(Rc::clone(known)));
    }
    world.spend(COMPILING)?;
    let compiled = compiled(pattern);
    if let Ok(compiled) = &compiled {
        if world.patterns.len() >= KEPT {
            world.patterns.clear();
        }
        world.patterns.insert(Str::from(text(pattern).as_ref()), Rc::clone(compiled));
    }
    Ok(compiled)
}

fn compiled(pattern: &Value) -> Result<Rc<Regex>, String> {
    if let Value::Raw(bytes) = pattern {
        let start = bytes.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
        return Err(format!("error parsing regexp: invalid UTF-8: `{}`", super::lossy(&bytes[start..])));
    }
    compile_text(&text(pattern)).map(Rc::new)
}

/// A compiled pattern; the error is worded as Go's where Go has one.
pub(crate) fn compile_text(pattern: &str) -> Result<Regex, String> {
    let translated = crate::re2::translate(pattern)?;
    regex::RegexBuilder::new(&translated).size_limit(SIZE_LIMIT).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => format!("error parsing regexp: expression too large: `{pattern}`"),
        other => format!("error parsing regexp: `{pattern}`: {other}"),
    })
}

/// The functions without `must` panic in Go, which says the pattern once more.
fn panicking(world: &mut World<'_>, pattern: &Value) -> Result<Rc<Regex>, Fault> {
    compile(world, pattern)?.map_err(|message| {
        let shown = text(pattern);
        let plain = crate::print::can_backquote(bytes(pattern));
        let quoted = if plain { format!("`{shown}`") } else { crate::quote::quoted(bytes(pattern)) };
        fault(format!("regexp: Compile({quoted}): {message}"))
    })
}

/// A text that is searched. A byte that is not UTF-8 is searched as a replacement character and found as it is.
struct Haystack<'v> {
    bytes: &'v [u8],
    text: Cow<'v, str>,
    /// Where in `text` replacement characters stand for a byte.
    replaced: Vec<usize>,
}

impl<'v> Haystack<'v> {
    fn of(value: &'v Value) -> Self {
        let (bytes, text) = (bytes(value), text(value));
        let mut replaced = Vec::new();
        if matches!(text, Cow::Owned(_)) {
            let mut at = 0;
            for chunk in bytes.utf8_chunks() {
                at += chunk.valid().len();
                for _ in chunk.invalid() {
                    replaced.push(at);
                    at += char::REPLACEMENT_CHARACTER.len_utf8();
                }
            }
        }
        Self { bytes, text, replaced }
    }

    /// A part that was found.
    fn part(&self, range: Range<usize>) -> &'v [u8] {
        let place = |at: usize| {
            let before = self.replaced.partition_point(|replaced| *replaced < at);
            at - before * (char::REPLACEMENT_CHARACTER.len_utf8() - 1)
        };
        &self.bytes[place(range.start)..place(range.end)]
    }

    fn rest(&self, start: usize) -> &'v [u8] {
        self.part(start..self.text.len())
    }
}

fn texts(parts: Vec<&[u8]>) -> Value {
    List::of(Element::Str, parts.into_iter().map(Value::bytes_text).collect()).into()
}

fn find(pattern: &Regex, args: &[Value]) -> Result<Value, Fault> {
    let haystack = Haystack::of(&args[1]);
    let found = pattern.find(&haystack.text).map(|found| haystack.part(found.range()));
    Ok(Value::bytes_text(found.unwrap_or_default()))
}

fn find_all(pattern: &Regex, args: &[Value]) -> Result<Value, Fault> {
    let haystack = Haystack::of(&args[1]);
    let most = usize::try_from(int(&args[2])).unwrap_or(usize::MAX);
    let found: Vec<&[u8]> =
        matches(pattern, &haystack.text).take(most).map(|(start, end)| haystack.part(start..end)).collect();
    if found.is_empty() {
        return Ok(List::nil(Element::Str).into());
    }
    Ok(texts(found))
}

/// Matches as Go counts them: an empty one right after another match does not count.
fn matches<'t>(pattern: &'t Regex, text: &'t str) -> impl Iterator<Item = (usize, usize)> + 't {
    let mut last_end = None;
    pattern.find_iter(text).map(|found| (found.start(), found.end())).filter(move |(start, end)| {
        let counts = start != end || last_end != Some(*start);
        last_end = Some(*end);
        counts
    })
}

fn replace_all(world: &mut World<'_>, pattern: &Regex, args: &[Value]) -> Result<Value, Fault> {
    let (haystack, with) = (Haystack::of(&args[1]), bytes(&args[2]));
    let mut out = Vec::with_capacity(haystack.bytes.len());
    let mut last = 0;
    let mut last_end = None;
    for found in pattern.captures_iter(&haystack.text) {
        let whole = found.get(0).expect("group 0 is the match");
        if whole.is_empty() && last_end == Some(whole.start()) {
            continue;
        }
        last_end = Some(whole.end());
        out.extend_from_slice(haystack.part(last..whole.start()));
        let limit = world.bytes_left();
        expand(&mut out, with, limit, |group| {
            let group = match group {
                Group::Number(number) => found.get(number),
                Group::Name(name) => found.name(name),
            };
            group.map(|group| haystack.part(group.range())).unwrap_or_default()
        });
        last = whole.end();
        if out.len() > limit {
            world.spend_bytes(out.len())?;
        }
    }
    out.extend_from_slice(haystack.rest(last));
    Ok(Value::bytes_text(&out))
}

/// A group that a replacement names.
enum Group<'t> {
    Number(usize),
    Name(&'t str),
}

/// `$1`, `${1}`, `$name`, `$$`; what names no group is nothing. It stops once the text is longer than the limit.
fn expand<'m>(out: &mut Vec<u8>, template: &[u8], limit: usize, find: impl Fn(Group<'_>) -> &'m [u8]) {
    let mut rest = template;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        if out.len() > limit {
            return;
        }
        out.extend_from_slice(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        if after.first() == Some(&b'$') {
            out.push(b'$');
            rest = &after[1..];
            continue;
        }
        let (name, tail) = match after.strip_prefix(b"{") {
            Some(braced) => {
                let name = word(braced);
                match braced[name.len()..].strip_prefix(b"}") {
                    Some(tail) => (name, tail),
                    None => ("", after),
                }
            }
            None => {
                let name = word(after);
                (name, &after[name.len()..])
            }
        };
        if name.is_empty() {
            out.push(b'$');
            rest = after;
            continue;
        }
        let digits = name.bytes().all(|byte| byte.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
        let group = match name.parse::<usize>() {
            Ok(number) if digits => Group::Number(number),
            _ => Group::Name(name),
        };
        out.extend_from_slice(find(group));
        rest = tail;
    }
    out.extend_from_slice(rest);
}

/// The letters, digits and underscores that a text begins with.
fn word(bytes: &[u8]) -> &str {
    let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let is_word = |c: char| c == '_' || crate::unicode::is_letter(c) || crate::unicode::is_digit(c);
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn replace_literal(world: &mut World<'_>, pattern: &Regex, args: &[Value]) -> Result<Value, Fault> {
    let (haystack, with) = (Haystack::of(&args[1]), bytes(&args[2]));
    let mut out = Vec::with_capacity(haystack.bytes.len());
    let mut last = 0;
    for (start, end) in matches(pattern, &haystack.text) {
        out.extend_from_slice(haystack.part(last..start));
        out.extend_from_slice(with);
        last = end;
        world.spend_bytes(with.len())?;
    }
    out.extend_from_slice(haystack.rest(last));
    Ok(Value::bytes_text(&out))
}

fn split(pattern: &Regex, args: &[Value]) -> Value {
    let (haystack, count) = (Haystack::of(&args[1]), int(&args[2]));
    if count == 0 {
        return List::nil(Element::Str).into();
    }
    let text = &*haystack.text;
    if !pattern.as_str().is_empty() && text.is_empty() {
        return List::of_texts([""]).into();
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts: Vec<&[u8]> = Vec::new();
    let (mut start, mut end) = (0, 0);
    for (from, to) in matches(pattern, text) {
        if parts.len() + 1 >= most {
            break;
        }
        end = from;
        if to != 0 {
            parts.push(haystack.part(start..end));
        }
        start = to;
    }
    if end != text.len() {
        parts.push(haystack.rest(start));
    }
    texts(parts)
}
