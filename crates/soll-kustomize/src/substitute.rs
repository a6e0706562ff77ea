//! `postBuild` variable substitution: the dialect of shell expansion that Flux knows.

use std::collections::BTreeMap;

use soll_api::Object;
use soll_yaml::{At, Data, Map, ParseOptions, SourceId, Sources, Value, emit_yaml, parse_yaml};

use crate::{Build, BuildErrors, Problem};

/// What an unset variable without a default means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// An error, as Flux does unless its gate says otherwise.
    Refused,
    /// Nothing.
    Empty,
}

/// A text that cannot be substituted in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstituteError {
    /// An expression that is none.
    #[error("variable substitution failed: {message} at `{expression}`")]
    Expression {
        /// What is wrong with it.
        message: &'static str,
        /// The text from where it starts.
        expression: String,
    },
    /// A variable that is not set.
    #[error("variable not set (strict mode): {0:?}")]
    Unset(String),
    /// A name that no variable may have.
    #[error("{0:?} is not a valid variable name: a letter or `_`, then letters, digits and `_`")]
    Name(String),
}

/// The annotation or label that keeps substitution away from an object, if its value is `disabled`.
pub const SWITCH: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// Replaces `${…}` in a text.
///
/// # Errors
/// The first expression that is none, or the first unset variable.
pub fn substitute(text: &str, vars: &BTreeMap<String, String>, unset: Unset) -> Result<String, SubstituteError> {
    if let Some(name) = vars.keys().find(|name| !is_name(name)) {
        return Err(SubstituteError::Name(name.clone()));
    }
    // A NUL ends the text for the scanner.
    let text = text.split('\0').next().unwrap_or_default();
    Expansion { vars, unset }.text(text)
}

/// Substitutes in every object that does not opt out. Each is written as YAML, and read again afterwards:
/// what was text may become a number. Values keep their places as far as old and new have the same shape.
///
/// `strict` refuses unset variables, as Flux does unless its gate says otherwise; else they are empty.
///
/// # Errors
/// Every object that fails, with its place and cause.
pub fn substitute_objects(build: &mut Build, vars: &BTreeMap<String, String>, strict: bool) -> Result<(), BuildErrors> {
    let unset = if strict { Unset::Refused } else { Unset::Empty };
    let vars: BTreeMap<String, String> =
        vars.iter().map(|(name, value)| (name.clone(), value.replace('\n', ""))).collect();
    let mut problems = Vec::new();
    for object in &mut build.objects {
        let is_off = |value: Option<&str>| value == Some("disabled");
        // Most objects have no `$` at all and need no detour over text.
        if is_off(object.annotation(SWITCH)) || is_off(object.label(SWITCH)) || !has_dollar(object.value()) {
            continue;
        }
        match substitute_object(object, &vars, unset, &build.sources) {
            Ok(substituted) => *object = substituted,
            Err(problem) => problems.push(problem.of(&object.object_ref())),
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(BuildErrors { problems, sources: build.sources.clone() })
}

fn substitute_object(
    object: &Object,
    vars: &BTreeMap<String, String>,
    unset: Unset,
    sources: &Sources,
) -> Result<Object, Problem> {
    let text = emit_yaml(object.value());
    let text = substitute(&text, vars, unset).map_err(|error| {
        let at = culprit(object.value(), vars, unset).unwrap_or(object.value().at);
        Problem::new(at, error.to_string())
    })?;
    let parsed = parse_yaml(&text, SourceId::default(), &ParseOptions::go_v2());
    let values = parsed.map_err(|error| {
        let message = format!("after variable substitution the object is no YAML: {}", error.message);
        Problem::new(object.value().at, message)
    })?;
    let Some(value) = values.into_iter().next() else {
        return Err(Problem::new(object.value().at, "after variable substitution nothing is left of the object"));
    };
    let value = with_places(&value, object.value(), sources);
    Object::new(value).map_err(|error| Problem::new(object.value().at, error.message))
}

/// The first text in the object that fails on its own.
fn culprit(value: &Value, vars: &BTreeMap<String, String>, unset: Unset) -> Option<At> {
    match &value.data {
        Data::Str(text) => substitute(text, vars, unset).is_err().then_some(value.at),
        Data::List(items) => items.iter().find_map(|item| culprit(item, vars, unset)),
        Data::Map(map) => map.iter().find_map(|entry| {
            let key = substitute(&entry.key, vars, unset).is_err().then_some(entry.key_at);
            key.or_else(|| culprit(&entry.value, vars, unset))
        }),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => None,
    }
}

fn has_dollar(value: &Value) -> bool {
    match &value.data {
        Data::Str(text) => text.contains('$'),
        Data::List(items) => items.iter().any(has_dollar),
        Data::Map(map) => map.iter().any(|entry| entry.key.contains('$') || has_dollar(&entry.value)),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => false,
    }
}

/// The new value with the places of the old one; what changed is marked as substituted there.
fn with_places(new: &Value, old: &Value, sources: &Sources) -> Value {
    match (&new.data, &old.data) {
        (Data::Map(fields), Data::Map(before)) => {
            let mut map = Map::with_capacity(fields.len());
            for (position, entry) in fields.iter().enumerate() {
                let twin = before.entry(&entry.key).or_else(|| before.sorted().get(position).copied());
                let mut entry = entry.clone();
                match twin {
                    Some(twin) => {
                        entry.key_at = twin.key_at;
                        entry.value = with_places(&entry.value, &twin.value, sources);
                    }
                    None => entry.value = placed(&entry.value, old.at),
                }
                map.insert_entry(entry);
            }
            Value::from(map).at(old.at)
        }
        (Data::List(items), Data::List(before)) => {
            let item = |(position, item): (usize, &Value)| match before.get(position) {
                Some(twin) => with_places(item, twin, sources),
                None => placed(item, old.at),
            };
            Value::from(items.iter().enumerate().map(item).collect::<Vec<_>>()).at(old.at)
        }
        (new_data, old_data) if new_data == old_data => old.clone(),
        _ => placed(new, sources.through(old.at, "substitute", old.at)),
    }
}

/// A value all of which was made at one place.
fn placed(value: &Value, at: At) -> Value {
    match &value.data {
        Data::List(items) => Value::from(items.iter().map(|item| placed(item, at)).collect::<Vec<_>>()).at(at),
        Data::Map(map) => {
            let mut placed_map = Map::with_capacity(map.len());
            for entry in map.iter() {
                let mut entry = entry.clone();
                entry.key_at = at;
                entry.value = placed(&entry.value, at);
                placed_map.insert_entry(entry);
            }
            Value::from(placed_map).at(at)
        }
        _ => value.clone().at(at),
    }
}

fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && letters.all(|letter| letter == b'_' || letter.is_ascii_alphanumeric())
}

struct Expansion<'v> {
    vars: &'v BTreeMap<String, String>,
    unset: Unset,
}

/// Expressions within expressions, deeper than anyone writes.
const DEEPEST: usize = 32;

type Expanded = Result<String, SubstituteError>;

impl Expansion<'_> {
    fn text(&self, text: &str) -> Expanded {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            rest = &rest[dollar..];
            if rest.starts_with("$${") {
                out.push_str("${");
                rest = &rest[3..];
            } else if rest.starts_with("${") {
                let (value, after) = self.expression(rest, 0)?;
                out.push_str(&value);
                rest = after;
            } else {
                out.push('$');
                rest = &rest[1..];
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Reads `${…}` at the start of the text; returns its value and what follows.
    fn expression<'t>(&self, start: &'t str, depth: usize) -> Result<(String, &'t str), SubstituteError> {
        let fail = |message| Err(error(message, start));
        if depth == DEEPEST {
            return fail("expressions nest too deeply");
        }
        let rest = &start[2..];
        if let Some(rest) = rest.strip_prefix('#') {
            let (name, rest) = name(rest);
            let Some(after) = rest.strip_prefix('}').filter(|_| !name.is_empty()) else {
                return fail("bad substitution");
            };
            return Ok((self.value(name)?.len().to_string(), after));
        }
        let (name, rest) = name(rest);
        if name.is_empty() {
            return fail("bad substitution");
        }
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((self.value(name)?, after));
        }
        let found = self.vars.get(name);
        for (operator, change) in
            [("^^", Case::Upper), (",,", Case::Lower), ("^", Case::First), (",", Case::FirstLower)]
        {
            if let Some(rest) = rest.strip_prefix(operator) {
                let Some(after) = rest.strip_prefix('}') else { return fail("bad substitution") };
                return Ok((change.of(&self.value(name)?), after));
            }
        }
        for operator in [":=", ":-", ":+", ":?", "="] {
            if let Some(rest) = rest.strip_prefix(operator) {
                let (default, after) = self.argument(rest, &['}'], start, depth)?;
                let value = found.filter(|value| !value.is_empty() || operator == "=");
                return Ok((value.cloned().unwrap_or(default), &after[1..]));
            }
        }
        if let Some(rest) = rest.strip_prefix(':') {
            let (offset, rest) = self.argument(rest, &[':', '}'], start, depth)?;
            let (length, rest) = match rest.strip_prefix(':') {
                Some(rest) => {
                    let (length, rest) = self.argument(rest, &['}'], start, depth)?;
                    (Some(length), rest)
                }
                None => (None, rest),
            };
            let Some(part) = slice(&self.value(name)?, &offset, length.as_deref()) else {
                return fail("bad offset or length");
            };
            return Ok((part, &rest[1..]));
        }
        for (operator, trim) in [
            ("##", Trim { prefix: true, longest: true }),
            ("#", Trim { prefix: true, longest: false }),
            ("%%", Trim { prefix: false, longest: true }),
            ("%", Trim { prefix: false, longest: false }),
        ] {
            if let Some(rest) = rest.strip_prefix(operator) {
                let (pattern, after) = self.argument(rest, &['}'], start, depth)?;
                return Ok((trim.of(&self.value(name)?, &pattern), &after[1..]));
            }
        }
        for (operator, place) in [("//", Place::All), ("/#", Place::Start), ("/%", Place::End), ("/", Place::First)] {
            if let Some(rest) = rest.strip_prefix(operator) {
                let (old, rest) = self.argument(rest, &['/', '}'], start, depth)?;
                let (new, rest) = match rest.strip_prefix('/') {
                    Some(rest) => self.argument(rest, &['}'], start, depth)?,
                    None => (String::new(), rest),
                };
                return Ok((place.replace(&self.value(name)?, &old, &new), &rest[1..]));
            }
        }
        fail("bad substitution")
    }

    /// Reads up to one of the ends, which stays; expressions inside are expanded.
    fn argument<'t>(
        &self,
        text: &'t str,
        ends: &[char],
        start: &str,
        depth: usize,
    ) -> Result<(String, &'t str), SubstituteError> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            if ends.contains(&letter) {
                return Ok((out, rest));
            }
            if rest.starts_with("${") {
                let (value, after) = self.expression(rest, depth + 1)?;
                out.push_str(&value);
                rest = after;
                continue;
            }
            // Within replacements a backslash takes the meaning from a slash and from itself.
            if letter == '\\' && ends.contains(&'/') && matches!(rest.as_bytes().get(1), Some(b'/' | b'\\')) {
                out.push_str(&rest[1..2]);
                rest = &rest[2..];
                continue;
            }
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
        Err(error("closing brace expected", start))
    }

    fn value(&self, name: &str) -> Expanded {
        match (self.vars.get(name), self.unset) {
            (Some(value), _) => Ok(value.clone()),
            (None, Unset::Empty) => Ok(String::new()),
            (None, Unset::Refused) => Err(SubstituteError::Unset(name.to_owned())),
        }
    }
}

fn error(message: &'static str, start: &str) -> SubstituteError {
    let line = start.lines().next().unwrap_or_default();
    SubstituteError::Expression { message, expression: line.chars().take(60).collect() }
}

fn name(text: &str) -> (&str, &str) {
    let is_part = |byte: &u8| *byte == b'_' || byte.is_ascii_alphanumeric();
    text.split_at(text.bytes().take_while(|byte| is_part(byte)).count())
}

#[derive(Clone, Copy)]
enum Case {
    Upper,
    Lower,
    First,
    FirstLower,
}

impl Case {
    fn of(self, text: &str) -> String {
        let first = text.chars().next();
        let rest = &text[first.map_or(0, char::len_utf8)..];
        match self {
            Self::Upper => text.to_uppercase(),
            Self::Lower => text.to_lowercase(),
            Self::First => first.into_iter().flat_map(char::to_uppercase).chain(rest.chars()).collect(),
            Self::FirstLower => first.into_iter().flat_map(char::to_lowercase).chain(rest.chars()).collect(),
        }
    }
}

/// Bytes from an offset on, at most so many; both count from the end if negative.
fn slice(text: &str, offset: &str, length: Option<&str>) -> Option<String> {
    let count = i64::try_from(text.len()).ok()?;
    let offset: i64 = offset.trim().parse().ok()?;
    let from = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    let to = match length {
        None => count,
        Some(length) => {
            let length: i64 = length.trim().parse().ok()?;
            if length < 0 { count.checked_add(length)? } else { from.checked_add(length)? }
        }
    };
    let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to.clamp(from, count)).ok()?);
    Some(String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned())
}

#[derive(Clone, Copy)]
struct Trim {
    prefix: bool,
    longest: bool,
}

impl Trim {
    fn of(self, text: &str, pattern: &str) -> String {
        let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        // From the shortest piece to the longest, or the other way round.
        if self.prefix == self.longest {
            ends.reverse();
        }
        for end in ends {
            let (head, tail) = text.split_at(end);
            let (piece, kept) = if self.prefix { (head, tail) } else { (tail, head) };
            if glob(pattern, piece) {
                return kept.to_owned();
            }
        }
        text.to_owned()
    }
}

/// Matches `*`, `?` and `[a-z]` against the whole text, without backtracking more than one star.
fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut position) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        if pattern.get(at) == Some(&'*') {
            star = Some((at, position));
            at += 1;
        } else if let Some(next) = one(&pattern, at, text[position]) {
            at = next;
            position += 1;
        } else if let Some((star_at, matched)) = star {
            star = Some((star_at, matched + 1));
            at = star_at + 1;
            position = matched + 1;
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

/// Matches one letter; returns where the pattern goes on.
fn one(pattern: &[char], at: usize, letter: char) -> Option<usize> {
    match pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => {
            let end = at + 1 + pattern[at + 1..].iter().position(|letter| *letter == ']')?;
            let (negated, mut set) = match pattern[at + 1..end].split_first() {
                Some(('^' | '!', rest)) => (true, rest),
                _ => (false, &pattern[at + 1..end]),
            };
            let mut is_in = false;
            while let Some((first, rest)) = set.split_first() {
                if let ['-', last, rest @ ..] = rest {
                    is_in |= (*first..=*last).contains(&letter);
                    set = rest;
                } else {
                    is_in |= *first == letter;
                    set = rest;
                }
            }
            (is_in != negated).then_some(end + 1)
        }
        '\\' => (pattern.get(at + 1) == Some(&letter)).then_some(at + 2),
        other => (*other == letter).then_some(at + 1),
    }
}

#[derive(Clone, Copy)]
enum Place {
    First,
    All,
    Start,
    End,
}

impl Place {
    fn replace(self, text: &str, old: &str, new: &str) -> String {
        match self {
            Self::First => text.replacen(old, new, 1),
            Self::All => text.replace(old, new),
            Self::Start => text.strip_prefix(old).map_or_else(|| text.to_owned(), |rest| format!("{new}{rest}")),
            Self::End => text.strip_suffix(old).map_or_else(|| text.to_owned(), |rest| format!("{rest}{new}")),
        }
    }
}

#[cfg(test)]
mod tests;
