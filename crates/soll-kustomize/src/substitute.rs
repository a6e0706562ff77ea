//! `postBuild` variable substitution: the dialect of shell expansion that Flux knows.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use soll_api::{Object, ObjectRef, Secrets};
use soll_yaml::{At, Data, FieldPath, Map, ParseOptions, SourceId, Sources, Value, emit_yaml, parse_yaml};

pub use variables::{Giver, Variables};

use crate::{Build, BuildErrors, Problem};

mod variables;

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
    Expansion { vars, unset, derived: None }.whole(text)
}

/// Substitutes in every object that does not opt out. Each is written as YAML, and read again afterwards:
/// what was text may become a number. Values keep their places as far as old and new have the same shape, and
/// remember which variables changed them.
///
/// `strict` refuses unset variables, as Flux does unless its gate says otherwise; else they are empty. `secrets` gets what
/// expressions make of [secret variables](Variables::secrets): `${password:0:8}`.
///
/// # Errors
/// Every object that fails, with its place and cause.
pub fn substitute_objects(
    build: &mut Build,
    vars: &Variables,
    strict: bool,
    secrets: &mut Secrets,
) -> Result<(), BuildErrors> {
    let unset = if strict { Unset::Refused } else { Unset::Empty };
    let derived = Derived { vars, values: RefCell::default() };
    let substitution = Substitution { vars, unset, sources: &build.sources, derived: &derived };
    let mut problems = Vec::new();
    for object in &mut build.objects {
        // Most objects have no `$` at all and need no detour over text.
        if opts_out(object) || !has_dollar(object.value()) {
            continue;
        }
        match substitution.object(object) {
            Ok(substituted) => *object = substituted,
            Err(problem) => problems.push(problem.of(&object.object_ref())),
        }
    }
    variables::add_forms(derived.values.borrow().iter().map(String::as_str), secrets);
    if problems.is_empty() {
        return Ok(());
    }
    Err(BuildErrors { problems, sources: build.sources.clone() })
}

/// Where the objects of a build name variables that are not set, by place: for who knows why they are not.
#[must_use]
pub fn unset_variables(build: &Build, vars: &Variables) -> Vec<Named> {
    let mut unset = Vec::new();
    for object in build.objects.iter().filter(|object| !opts_out(object)) {
        for leaf in Leaf::all(object.value()) {
            // Those with a default are missed by nobody; the others fail one after another.
            let mut values = vars.values.clone();
            while let Err(SubstituteError::Unset(variable)) = substitute(leaf.text, &values, Unset::Refused) {
                values.insert(variable.clone(), String::new());
                unset.push(Named { variable, object: object.object_ref(), field: leaf.path.clone(), at: leaf.at });
            }
        }
    }
    unset
}

/// A place in an object that names a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The variable.
    pub variable: String,
    /// The object.
    pub object: ObjectRef,
    /// The field.
    pub field: String,
    /// Where the field was written.
    pub at: At,
}

fn opts_out(object: &Object) -> bool {
    let is_off = |value: Option<&str>| value == Some("disabled");
    is_off(object.annotation(SWITCH)) || is_off(object.label(SWITCH))
}

/// The substitution in the objects of one build.
struct Substitution<'b> {
    vars: &'b Variables,
    unset: Unset,
    sources: &'b Sources,
    derived: &'b Derived<'b>,
}

impl Substitution<'_> {
    fn object(&self, object: &Object) -> Result<Object, Problem> {
        let text = emit_yaml(object.value());
        let expansion = Expansion { vars: &self.vars.values, unset: self.unset, derived: Some(self.derived) };
        let text = expansion.whole(&text).map_err(|error| self.fault(object, &error))?;
        let parsed = parse_yaml(&text, SourceId::default(), &ParseOptions::go_v2());
        let values = parsed.map_err(|error| self.breakage(object, &error.message))?;
        let Some(value) = values.into_iter().next() else {
            return Err(Problem::new(object.value().at, "after variable substitution nothing is left of the object"));
        };
        let value = self.with_places(&value, object.value());
        Object::new(value).map_err(|error| Problem::new(object.value().at, error.message))
    }

    /// The problem of an expression that is none, or of a variable that is not set: at the first text that fails alone.
    fn fault(&self, object: &Object, error: &SubstituteError) -> Problem {
        if let SubstituteError::Name(name) = error {
            let from = self.vars.giver(name).map(|giver| format!(" (from {giver})")).unwrap_or_default();
            return Problem::new(object.value().at, format!("{error}{from}"));
        }
        let leaves = Leaf::all(object.value()).into_iter();
        let mut fails = leaves.filter(|leaf| substitute(leaf.text, &self.vars.values, self.unset).is_err());
        let Some(leaf) = fails.next() else { return Problem::new(object.value().at, error.to_string()) };
        let hint = match error {
            SubstituteError::Unset(name) => Some(format!(
                "set `{name}` in postBuild.substitute or in a ConfigMap or Secret of postBuild.substituteFrom, give it a \
                 default as in `${{{name}:=value}}`, or write `$${{{name}}}` if the text is meant for somebody else"
            )),
            SubstituteError::Expression { .. } | SubstituteError::Name(_) => None,
        };
        Problem { field: Some(leaf.path), hint, ..Problem::new(leaf.at, error.to_string()) }
    }

    /// The problem of values that leave no YAML: at the first text that breaks it alone, naming its variables.
    fn breakage(&self, object: &Object, why: &str) -> Problem {
        let breaks = |leaf: &Leaf<'_>| {
            let alone = emit_yaml(&only(object.value(), leaf.at, leaf.text));
            let text = substitute(&alone, &self.vars.values, self.unset).unwrap_or_default();
            parse_yaml(&text, SourceId::default(), &ParseOptions::go_v2()).is_err()
        };
        let Some(leaf) = Leaf::all(object.value()).into_iter().find(breaks) else {
            let message = format!("after variable substitution the object is no YAML: {why}");
            return Problem::new(object.value().at, message);
        };
        // The reader's words may quote the value.
        let is_secret = names(leaf.text).any(|name| self.vars.is_secret(name));
        let why = if is_secret { "its value is secret and not shown" } else { why };
        let by = self.vars.givers(leaf.text);
        let message = format!("with {by}, `{}` is no YAML: {why}", leaf.text);
        let hint = "the value is put in as it is, without quotes of the manifest: give it quotes of its own, as in \
                    '\"a: b\"'";
        let at = self.sources.through(leaf.at, by, leaf.at);
        Problem { field: Some(leaf.path), hint: Some(hint.to_owned()), ..Problem::new(at, message) }
    }

    /// The new value with the places of the old one; what changed is marked as substituted there.
    fn with_places(&self, new: &Value, old: &Value) -> Value {
        match (&new.data, &old.data) {
            (Data::Map(fields), Data::Map(before)) => {
                let mut map = Map::with_capacity(fields.len());
                for (position, entry) in fields.iter().enumerate() {
                    let twin = before.entry(&entry.key).or_else(|| before.sorted().get(position).copied());
                    let mut entry = entry.clone();
                    match twin {
                        Some(twin) if twin.key == entry.key => {
                            entry.key_at = twin.key_at;
                            entry.value = self.with_places(&entry.value, &twin.value);
                        }
                        Some(twin) => {
                            entry.key_at = self.changed(&twin.key, twin.key_at);
                            entry.value = self.with_places(&entry.value, &twin.value);
                        }
                        None => entry.value = placed(&entry.value, old.at),
                    }
                    map.insert_entry(entry);
                }
                Value::from(map).at(old.at)
            }
            (Data::List(items), Data::List(before)) => {
                let item = |(position, item): (usize, &Value)| match before.get(position) {
                    Some(twin) => self.with_places(item, twin),
                    None => placed(item, old.at),
                };
                Value::from(items.iter().enumerate().map(item).collect::<Vec<_>>()).at(old.at)
            }
            (new_data, old_data) if new_data == old_data => old.clone(),
            (_, Data::Str(text)) => placed(new, self.changed(text, old.at)),
            _ => placed(new, self.sources.through(old.at, "substitute", old.at)),
        }
    }

    /// The place of a text, marked with the variables that changed it.
    fn changed(&self, text: &str, at: At) -> At {
        self.sources.through(at, self.vars.givers(text), at)
    }
}

/// A text within an object that may name variables: a value or a key.
struct Leaf<'v> {
    path: String,
    at: At,
    text: &'v str,
}

impl<'v> Leaf<'v> {
    /// All texts with a `$`, in order.
    fn all(value: &'v Value) -> Vec<Self> {
        let mut leaves = Vec::new();
        Self::collect(value, &FieldPath::root(), &mut leaves);
        leaves
    }

    fn collect(value: &'v Value, path: &FieldPath, leaves: &mut Vec<Self>) {
        let mut add = |text: &'v str, at: At, path: &FieldPath| {
            if text.contains('$') {
                leaves.push(Self { path: path.to_string(), at, text });
            }
        };
        match &value.data {
            Data::Str(text) => add(text, value.at, path),
            Data::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    Self::collect(item, &path.index(index), leaves);
                }
            }
            Data::Map(map) => {
                for entry in map.iter() {
                    let path = path.key(&entry.key);
                    if entry.key.contains('$') {
                        leaves.push(Self { path: path.to_string(), at: entry.key_at, text: &entry.key });
                    }
                    Self::collect(&entry.value, &path, leaves);
                }
            }
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => {}
        }
    }
}

/// The value with every other text that names variables replaced by one that does not.
fn only(value: &Value, at: At, text: &str) -> Value {
    let is_it = |found: &str, found_at: At| found_at == at && found == text;
    let kept = |found: &str, found_at: At| !found.contains('$') || is_it(found, found_at);
    match &value.data {
        Data::Str(found) if !kept(found, value.at) => Value::str("x").at(value.at),
        Data::List(items) => Value::from(items.iter().map(|item| only(item, at, text)).collect::<Vec<_>>()),
        Data::Map(map) => {
            let mut others = Map::with_capacity(map.len());
            for (position, entry) in map.iter().enumerate() {
                let mut entry = entry.clone();
                if !kept(&entry.key, entry.key_at) {
                    entry.key = format!("x{position}").as_str().into();
                }
                entry.value = only(&entry.value, at, text);
                others.insert_entry(entry);
            }
            Value::from(others)
        }
        _ => value.clone(),
    }
}

/// The names of the variables in a text, in order.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("${").filter(|(start, _)| !text[..*start].ends_with('$')).filter_map(|(start, _)| {
        let rest = text[start + 2..].trim_start_matches('#');
        let (name, _) = name(rest);
        (!name.is_empty()).then_some(name)
    })
}

fn has_dollar(value: &Value) -> bool {
    match &value.data {
        Data::Str(text) => text.contains('$'),
        Data::List(items) => items.iter().any(has_dollar),
        Data::Map(map) => map.iter().any(|entry| entry.key.contains('$') || has_dollar(&entry.value)),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => false,
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

/// What expressions made of secret variables.
struct Derived<'v> {
    vars: &'v Variables,
    values: RefCell<BTreeSet<String>>,
}

impl Derived<'_> {
    /// Notes the value of an expression over a variable, if that is secret; how long one is is none.
    fn note(&self, expression: &str, value: &str) {
        let (name, operation) = name(&expression[2..]);
        if !operation.starts_with('}') && self.vars.is_secret(name) && !self.vars.values[name].is_empty() {
            self.values.borrow_mut().insert(value.to_owned());
        }
    }
}

struct Expansion<'v> {
    vars: &'v BTreeMap<String, String>,
    unset: Unset,
    derived: Option<&'v Derived<'v>>,
}

/// Expressions within expressions, deeper than anyone writes.
const DEEPEST: usize = 32;

type Expanded = Result<String, SubstituteError>;

impl Expansion<'_> {
    fn whole(&self, text: &str) -> Expanded {
        if let Some(name) = self.vars.keys().find(|name| !is_name(name)) {
            return Err(SubstituteError::Name(name.clone()));
        }
        // A NUL ends the text for the scanner.
        self.text(text.split('\0').next().unwrap_or_default())
    }

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
        let (value, after) = self.evaluate(start, depth)?;
        if let Some(derived) = self.derived {
            derived.note(start, &value);
        }
        Ok((value, after))
    }

    fn evaluate<'t>(&self, start: &'t str, depth: usize) -> Result<(String, &'t str), SubstituteError> {
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
