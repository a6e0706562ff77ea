//! Regular expressions with the syntax of RE2.

use std::rc::Rc;

use regex::Regex;
use soll_yaml::Str;

use super::{Function, int, text, world};
use crate::object::Param::{Int, Str as Text};
use crate::render::{Fault, World, fault};
use crate::value::{Element, List, Value};

pub(super) static TABLE: &[Function] = &[
    world("regexMatch", &[Text, Text], |world, args| {
        Ok(Value::Bool(compile(world, &args[0]).is_ok_and(|pattern| pattern.is_match(&text(&args[1])))))
    }),
    world("mustRegexMatch", &[Text, Text], |world, args| {
        Ok(Value::Bool(compile(world, &args[0]).map_err(fault)?.is_match(&text(&args[1]))))
    }),
    world("regexFind", &[Text, Text], |world, args| find(panicking(world, &args[0])?.as_ref(), args)),
    world("mustRegexFind", &[Text, Text], |world, args| find(compile(world, &args[0]).map_err(fault)?.as_ref(), args)),
    world("regexFindAll", &[Text, Text, Int], |world, args| find_all(panicking(world, &args[0])?.as_ref(), args)),
    world("mustRegexFindAll", &[Text, Text, Int], |world, args| {
        find_all(compile(world, &args[0]).map_err(fault)?.as_ref(), args)
    }),
    world("regexReplaceAll", &[Text, Text, Text], |world, args| {
        let pattern = panicking(world, &args[0])?;
        replace_all(world, &pattern, args)
    }),
    world("mustRegexReplaceAll", &[Text, Text, Text], |world, args| {
        let pattern = compile(world, &args[0]).map_err(fault)?;
        replace_all(world, &pattern, args)
    }),
    world("regexReplaceAllLiteral", &[Text, Text, Text], |world, args| {
        let pattern = panicking(world, &args[0])?;
        replace_literal(world, &pattern, args)
    }),
    world("mustRegexReplaceAllLiteral", &[Text, Text, Text], |world, args| {
        let pattern = compile(world, &args[0]).map_err(fault)?;
        replace_literal(world, &pattern, args)
    }),
    world("regexSplit", &[Text, Text, Int], |world, args| Ok(split(panicking(world, &args[0])?.as_ref(), args))),
    world("mustRegexSplit", &[Text, Text, Int], |world, args| {
        Ok(split(compile(world, &args[0]).map_err(fault)?.as_ref(), args))
    }),
    super::pure("regexQuoteMeta", &[Text], |args| {
        let text = text(&args[0]);
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if r"\.+*?()|[]{}^$".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        Ok(Value::from(out))
    }),
];

/// Memory that one compiled pattern may take.
const SIZE_LIMIT: usize = 8 << 20;

/// A compiled pattern; the error is worded as Go's where Go has one.
fn compile(world: &mut World<'_>, pattern: &Value) -> Result<Rc<Regex>, String> {
    let pattern = text(pattern);
    if let Some(known) = world.patterns.get(pattern.as_ref()) {
        return Ok(Rc::clone(known));
    }
    let translated = crate::re2::translate(&pattern)?;
    let compiled =
        regex::RegexBuilder::new(&translated).size_limit(SIZE_LIMIT).build().map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!("error parsing regexp: expression too large: `{pattern}`"),
            other => format!("error parsing regexp: `{pattern}`: {other}"),
        })?;
    let compiled = Rc::new(compiled);
    world.patterns.insert(Str::from(pattern.as_ref()), Rc::clone(&compiled));
    Ok(compiled)
}

/// The functions without `must` panic in Go, which says the pattern once more.
fn panicking(world: &mut World<'_>, pattern: &Value) -> Result<Rc<Regex>, Fault> {
    compile(world, pattern).map_err(|message| {
        let shown = text(pattern);
        let quoted = if shown.contains('`') { crate::quote::quoted(shown.as_bytes()) } else { format!("`{shown}`") };
        fault(format!("regexp: Compile({quoted}): {message}"))
    })
}

fn find(pattern: &Regex, args: &[Value]) -> Result<Value, Fault> {
    Ok(Value::text(pattern.find(&text(&args[1])).map_or("", |found| found.as_str())))
}

fn find_all(pattern: &Regex, args: &[Value]) -> Result<Value, Fault> {
    let text = text(&args[1]);
    let most = usize::try_from(int(&args[2])).unwrap_or(usize::MAX);
    let found: Vec<Str> = matches(pattern, &text).take(most).map(|(start, end)| Str::from(&text[start..end])).collect();
    if found.is_empty() {
        return Ok(List::nil(Element::Str).into());
    }
    Ok(List::of_texts(found).into())
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
    let (text, with) = (text(&args[1]), text(&args[2]));
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    let mut last_end = None;
    for found in pattern.captures_iter(&text) {
        let whole = found.get(0).expect("group 0 is the match");
        if whole.is_empty() && last_end == Some(whole.start()) {
            continue;
        }
        last_end = Some(whole.end());
        out.push_str(&text[last..whole.start()]);
        expand(&mut out, &with, &found);
        last = whole.end();
        world.spend_bytes(with.len())?;
    }
    out.push_str(&text[last..]);
    Ok(Value::from(out))
}

/// `$1`, `${1}`, `$name`, `$$`; what names no group is nothing.
fn expand(out: &mut String, template: &str, captures: &regex::Captures<'_>) {
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        let is_word = |c: char| c == '_' || crate::unicode::is_letter(c) || crate::unicode::is_digit(c);
        let (name, tail) = match after.strip_prefix('{') {
            Some(braced) => {
                let length = braced.find(|c| !is_word(c)).unwrap_or(braced.len());
                match braced[length..].strip_prefix('}') {
                    Some(tail) => (&braced[..length], tail),
                    None => ("", after),
                }
            }
            None => after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len())),
        };
        if name.is_empty() {
            out.push('$');
            rest = after;
            continue;
        }
        let group = match name.parse::<usize>() {
            Ok(number)
                if name.bytes().all(|byte| byte.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0')) =>
            {
                captures.get(number)
            }
            _ => captures.name(name),
        };
        out.push_str(group.map_or("", |group| group.as_str()));
        rest = tail;
    }
    out.push_str(rest);
}

fn replace_literal(world: &mut World<'_>, pattern: &Regex, args: &[Value]) -> Result<Value, Fault> {
    let (text, with) = (text(&args[1]), text(&args[2]));
    let mut out = String::with_capacity(text.len());
    let mut last = 0;
    for (start, end) in matches(pattern, &text) {
        out.push_str(&text[last..start]);
        out.push_str(&with);
        last = end;
        world.spend_bytes(with.len())?;
    }
    out.push_str(&text[last..]);
    Ok(Value::from(out))
}

fn split(pattern: &Regex, args: &[Value]) -> Value {
    let (text, count) = (text(&args[1]), int(&args[2]));
    if count == 0 {
        return List::nil(Element::Str).into();
    }
    if !pattern.as_str().is_empty() && text.is_empty() {
        return List::of_texts([""]).into();
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts: Vec<Str> = Vec::new();
    let (mut start, mut end) = (0, 0);
    for (from, to) in matches(pattern, &text) {
        if parts.len() + 1 >= most {
            break;
        }
        end = from;
        if to != 0 {
            parts.push(Str::from(&text[start..end]));
        }
        start = to;
    }
    if end != text.len() {
        parts.push(Str::from(&text[start..]));
    }
    List::of_texts(parts).into()
}
