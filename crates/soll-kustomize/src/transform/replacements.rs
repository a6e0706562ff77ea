//! `replacements`: values copied from one field to others.

use regex::Regex;
use soll_yaml::{Data, Map, ParseOptions, SourceId, Str, Value, parse_yaml, to_json};

use super::mark;
use super::structured::{self, Edit};
use crate::accumulate::Builder;
use crate::kustomization::{
    Kustomization, Part, Replacement, ReplacementRule, ReplacementSource, ReplacementTarget, Text, replacement_rule,
};
use crate::problem::Problem;
use crate::resource::Id;
use crate::resources::Resources;
use crate::written;

const BY: &str = "replacements";

/// Runs all replacements in order.
pub(crate) fn run(resources: &mut Resources, replacements: &[Replacement], ks: &Kustomization, builder: &Builder<'_>) {
    for replacement in replacements {
        match replacement {
            Replacement::Inline(rule) => apply(resources, rule, builder),
            Replacement::File(path) => {
                for value in builder.values(path, ks).unwrap_or_default() {
                    // A file holds one rule or a list of them.
                    let rules = value.as_list().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
                    for rule in rules.iter().filter_map(|rule| replacement_rule(rule, &builder.problems)) {
                        apply(resources, &rule, builder);
                    }
                }
            }
        }
    }
}

/// Runs one replacement.
pub(crate) fn apply(resources: &mut Resources, rule: &ReplacementRule, builder: &Builder<'_>) {
    let Some(mut source) = source(resources, rule, builder) else { return };
    for target in &rule.targets {
        let positions: Vec<usize> = match target.select.plain_name() {
            Some(name) => resources.named(name).to_vec(),
            None => (0..resources.len()).collect(),
        };
        for position in positions {
            if !is_meant(resources, position, target) {
                continue;
            }
            let default = [Text { text: "metadata.name".into(), at: target.at }];
            let paths = if target.paths.is_empty() { &default[..] } else { &target.paths };
            for path in paths {
                write(resources, position, target, path, &mut source, builder);
            }
        }
    }
}

fn is_meant(resources: &Resources, position: usize, target: &ReplacementTarget) -> bool {
    let resource = resources.get(position);
    let ids: Vec<Id> = resource.ids().collect();
    let rejected = target.reject.iter().any(|reject| {
        let by_id = reject.has_id() && ids.iter().any(|id| reject.fits_id(id));
        by_id || (reject.has_metadata() && reject.fits_metadata(resource))
    });
    !rejected && target.select.fits_metadata(resource) && ids.iter().any(|id| target.select.fits_id(id))
}

/// The value to copy.
struct Source {
    value: Value,
    /// Whether the text came without quotes, and so without a type, from `sourceValue`.
    is_bare: bool,
    /// The field that it is, by the position of its object; a part of a text is no field.
    field: Option<(usize, Vec<Step>)>,
}

impl Source {
    /// What takes the place of a field that is no scalar.
    fn whole(&self) -> Data {
        match &self.value.data {
            Data::Str(text) if self.is_bare => plain(text),
            data => data.clone(),
        }
    }

    /// Whether a field is the one that is copied: its text is the same memory, or it was written at the same place.
    fn is(&self, field: &Value) -> bool {
        match (&field.data, &self.value.data) {
            (Data::Str(text), Data::Str(own)) => Str::ptr_eq(text, own),
            _ => !field.at.is_none() && field.at == self.value.at,
        }
    }

    /// Takes the field's value after an object has changed: kustomize copies from the field itself, even if the
    /// replacement has just written there.
    fn follow(&mut self, changed: &Value, position: usize) {
        if let Some((_, steps)) = self.field.as_ref().filter(|(own, _)| *own == position)
            && let Some(value) = found(changed, steps)
        {
            self.value = value.clone();
        }
    }
}

/// Whether a path is cut short by a `null`.
fn ends_in_null(object: &Value, steps: &[Step]) -> bool {
    let mut value = object;
    for step in steps {
        if value.is_null() {
            return true;
        }
        let Some(next) = step.of(value) else { return false };
        value = next;
    }
    false
}

fn found<'v>(object: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(object, |value, step| step.of(value))
}

fn source(resources: &Resources, rule: &ReplacementRule, builder: &Builder<'_>) -> Option<Source> {
    let (gvk, name, namespace, path, part) = match &rule.source {
        ReplacementSource::Value(text) => return Some(Source { value: text.value(), is_bare: true, field: None }),
        ReplacementSource::Field { gvk, name, namespace, path, part } => (gvk, name, namespace, path, part),
    };
    let fail = |message: String| {
        builder.problems.add(rule.at, message);
        None
    };
    let is_it = |id: &Id| {
        id.gvk.is_selected(gvk)
            && name.as_ref().is_none_or(|name| name.text == id.name)
            && namespace.as_ref().is_none_or(|namespace| namespace.text == id.effective_namespace())
    };
    let positions: Vec<usize> = match name {
        Some(name) => resources.named(&name.text).to_vec(),
        None => (0..resources.len()).collect(),
    };
    let mut named = positions.into_iter().filter(|position| resources.get(*position).ids().any(|id| is_it(&id)));
    let described = || format!("{}/{}", gvk.kind, name.as_ref().map_or("*", Text::as_str));
    let Some(position) = named.next() else { return fail(format!("nothing selected by the source {}", described())) };
    if named.next().is_some() {
        return fail(format!("multiple matches for the source {}; add a namespace or a name", described()));
    }
    let path = path.as_ref().map_or("metadata.name", Text::as_str);
    let steps = steps(path);
    let value = found(resources.get(position).value(), &steps);
    let is_empty = |value: &&Value| {
        value.is_null() || value.as_list().is_some_and(<[Value]>::is_empty) || value.as_map().is_some_and(Map::is_empty)
    };
    let Some(value) = value.filter(|value| !is_empty(value)) else {
        return fail(format!("fieldPath `{path}` is missing for replacement source {}", described()));
    };
    let Some(part) = part else {
        return Some(Source { value: value.clone(), is_bare: false, field: Some((position, steps)) });
    };
    let Some(text) = scalar_text(value, builder) else {
        return fail("delimiter option can only be used with scalar nodes".to_owned());
    };
    let pieces: Vec<&str> = text.split(part.delimiter.as_str()).collect();
    match usize::try_from(part.index).ok().and_then(|index| pieces.get(index)) {
        Some(piece) => Some(Source { value: Value::from(*piece).at(value.at), is_bare: false, field: None }),
        None => fail(format!("options.index {} is out of bounds for value {text}", part.index)),
    }
}

fn write(
    resources: &mut Resources,
    position: usize,
    target: &ReplacementTarget,
    path: &Text,
    source: &mut Source,
    builder: &Builder<'_>,
) {
    let steps = steps(&path.text);
    // Only these paths can change what an object is called.
    let renames =
        matches!(steps.first(), Some(Step::Key(key)) if matches!(key.as_str(), "metadata" | "kind" | "apiVersion"));
    let resource = if renames { resources.get_mut(position) } else { resources.content_mut(position) };
    if resource.has_notes() {
        resource.forget_null_annotations();
    }
    match within_text(resource.value_mut(), &steps, target, source, path, builder) {
        Ok(true) => return source.follow(resource.value(), position),
        Ok(false) => {}
        Err(message) => return builder.problems.push(Problem::new(path.at, message).of(resource.id())),
    }
    if target.create && ends_in_null(resource.value(), &steps) {
        let message = format!("`{}` leads into null, where nothing is replaced; remove the null", path.text);
        builder.warnings.borrow_mut().push(Problem::new(path.at, message).of(resource.id()));
    }
    let before = resource.before_change();
    let create = target.create.then(|| source.value.clone());
    let is_untyped = resource.untyped.contains(&path.text);
    let (mut count, mut is_made) = (0, false);
    // In its own object the source may be one of the fields: those behind it get what it has got.
    let is_own = source.field.as_ref().is_some_and(|(own, _)| *own == position);
    let mut visit = |field: &mut Value| {
        count += 1;
        let is_source = is_own && source.is(field);
        is_made |= field.is_null() && field.at.is_none();
        fill(field, source, target.part.as_ref(), path, is_untyped, builder)?;
        if is_source {
            source.value = field.clone();
        }
        Ok(())
    };
    let result = walk(resource.value_mut(), &steps, create.as_ref(), &mut visit);
    source.follow(resource.value(), position);
    resource.settle(before.as_ref());
    if is_made && !is_untyped {
        resource.untyped.push(path.text.clone());
    }
    let message = match result {
        Err(message) => message,
        Ok(()) if count == 0 && target.create => {
            format!("unable to find or create field \"{}\" in replacement target", path.text)
        }
        Ok(()) if count == 0 => format!("unable to find field \"{}\" in replacement target", path.text),
        Ok(()) => return,
    };
    builder.problems.push(Problem::new(path.at, message).of(resource.id()));
}

/// Writes into a text that is JSON or YAML, if the path leads into one. Delimiters mean nothing there.
///
/// # Errors
/// If the text has no such field, or kustomize would lay it out anew.
fn within_text(
    object: &mut Value,
    steps: &[Step],
    target: &ReplacementTarget,
    source: &Source,
    path: &Text,
    builder: &Builder<'_>,
) -> Result<bool, String> {
    // Where the text ends and the path within it begins.
    let mut field = Some(&*object);
    let mut split = None;
    for (position, step) in steps.iter().enumerate() {
        if position > 0 && field.is_some_and(|field| field.as_str().is_some()) {
            split = Some(position);
            break;
        }
        field = field.and_then(|field| step.of(field));
    }
    let (Some(split), Some(text)) = (split, field.and_then(Value::as_str)) else { return Ok(false) };
    let Some(inner) = structured::parse(text) else { return Ok(false) };
    let new = match edited(text, inner, &steps[split..], target.create.then_some(&source.value), source, builder)? {
        Edit::Text(new) => new,
        Edit::Unfit => text.to_owned(),
        Edit::Missing => return Err(format!("unable to find field \"{}\" in replacement target", path.text)),
    };
    let mut done = false;
    walk(object, &steps[..split], None, &mut |field| {
        if !done {
            let at = mark(path.at, BY, field.at, builder);
            *field = Value::from(new.as_str()).at(at);
        }
        done = true;
        Ok(())
    })?;
    Ok(true)
}

/// The text with the value in the fields at the end of the path.
fn edited(
    text: &str,
    mut inner: Value,
    steps: &[Step],
    create: Option<&Value>,
    source: &Source,
    builder: &Builder<'_>,
) -> Result<Edit, String> {
    let new = scalar_text(&source.value, builder);
    let (mut count, mut is_fit, mut places) = (0, true, Vec::new());
    walk(&mut inner, steps, create, &mut |field| {
        count += 1;
        let data = match (&field.data, &new) {
            (Data::Str(_), Some(new)) => Data::Str(new.as_str().into()),
            (Data::Null, Some(new)) if field.at.is_none() => plain(new),
            (Data::List(_) | Data::Map(_) | Data::Null, _) => source.whole(),
            (Data::Bool(_) | Data::Int(_) | Data::Float(_), new) => {
                let data = plain(new.as_deref().unwrap_or_default());
                is_fit &= std::mem::discriminant(&data) == std::mem::discriminant(&field.data);
                data
            }
            (Data::Str(_), None) => Data::Str(Str::new()),
        };
        places.push((field.at, matches!(field.data, Data::Str(_) | Data::Int(_) | Data::Float(_) | Data::Bool(_))));
        field.data = data;
        Ok(())
    })?;
    if count == 0 {
        return Ok(Edit::Missing);
    }
    if !is_fit {
        return match structured::is_json(text) {
            true => Ok(Edit::Unfit),
            false => Err(format!("a number inside of YAML text cannot become `{}`", new.unwrap_or_default())),
        };
    }
    if structured::is_json(text) {
        return Ok(Edit::Text(structured::json(&inner, text)));
    }
    let is_scalar = |(at, is_scalar): &(soll_yaml::At, bool)| *is_scalar && !at.is_none();
    let Some(new) = new.filter(|_| places.iter().all(is_scalar)) else {
        return Err("only scalars that are there can be replaced inside of YAML text".to_owned());
    };
    let changes: Vec<_> = places.iter().map(|(at, _)| (at.line(), at.column(), new.clone())).collect();
    structured::spliced(text, &changes).map(Edit::Text)
}

/// Puts the value into a field; a scalar keeps its type.
fn fill(
    field: &mut Value,
    source: &Source,
    part: Option<&Part>,
    path: &Text,
    is_untyped: bool,
    builder: &Builder<'_>,
) -> Result<(), String> {
    let at = mark(path.at, BY, field.at, builder);
    let mut text = scalar_text(&source.value, builder);
    if let Some(part) = part {
        let Some(old) = scalar_text(field, builder) else {
            return Err("delimiter option can only be used with scalar nodes".to_owned());
        };
        let new = text.clone().unwrap_or_default();
        let mut pieces: Vec<String> = old.split(part.delimiter.as_str()).map(str::to_owned).collect();
        match usize::try_from(part.index) {
            Err(_) => pieces.insert(0, new),
            Ok(index) if index >= pieces.len() => pieces.push(new),
            Ok(index) => pieces[index] = new,
        }
        text = Some(pieces.join(&part.delimiter.text));
    }
    let data = match (&field.data, text) {
        (Data::Str(_) | Data::Bool(_) | Data::Int(_) | Data::Float(_), Some(text)) if is_untyped => plain(&text),
        (Data::Str(_), Some(text)) => Data::Str(text.into()),
        (Data::Null, Some(text)) if path.text.starts_with("metadata.annotations.") => Data::Str(text.into()),
        (Data::Null, Some(text)) if !field.at.is_none() && written::plain(&text) != Data::Null => {
            return Err(format!("`{}` is null and cannot become `{text}`; give it a text, as \"\"", path.text));
        }
        // A field that was just made takes the type that its text has when it is read again.
        (Data::Null, Some(text)) => plain(&text),
        (Data::Bool(_) | Data::Int(_) | Data::Float(_), Some(text)) => {
            let data = plain(&text);
            if std::mem::discriminant(&data) != std::mem::discriminant(&field.data)
                && !matches!((&field.data, &data), (Data::Float(_), Data::Int(_)))
            {
                return Err(format!("`{}` is {} and cannot become `{text}`", path.text, field.type_in_words()));
            }
            data
        }
        (Data::List(_) | Data::Map(_), _) => source.whole(),
        (Data::Null, None) if field.at.is_none() => source.value.data.clone(),
        // Of what is no scalar, a scalar takes nothing.
        (Data::Null, None) => Data::Null,
        (Data::Str(_), None) => Data::Str(Str::new()),
        (Data::Bool(_) | Data::Int(_) | Data::Float(_), None) => {
            let (was, is) = (field.type_in_words(), source.value.type_in_words());
            return Err(format!("`{}` is {was} and cannot become {is}", path.text));
        }
    };
    *field = Value::from(data).at(at);
    Ok(())
}

fn plain(text: &str) -> Data {
    let parsed = parse_yaml(text, SourceId::default(), &ParseOptions::go_v3());
    match parsed.ok().and_then(|values| values.into_iter().next()).map(|value| value.data) {
        Some(data @ (Data::Bool(_) | Data::Int(_) | Data::Float(_))) => data,
        _ => Data::Str(text.into()),
    }
}

/// A scalar as it was written.
fn scalar_text(value: &Value, builder: &Builder<'_>) -> Option<String> {
    match &value.data {
        Data::Str(text) => Some(text.to_string()),
        Data::Bool(_) | Data::Int(_) | Data::Float(_) => Some(builder.written.text(value).to_string()),
        Data::Null => Some(String::new()),
        Data::List(_) | Data::Map(_) => None,
    }
}

/// One step of a field path.
enum Step {
    Key(Str),
    Index(usize),
    /// `*`: every item of a list.
    Every,
    /// `[name=pattern]`: the items whose field, or which themselves, match.
    Matching(Str, Str),
}

impl Step {
    /// The first value that the step leads to.
    fn of<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Key(key) => value.get(key),
            Self::Index(index) => value.as_list()?.get(*index),
            Self::Every => value.as_list()?.first(),
            Self::Matching(key, text) => value.as_list()?.iter().find(|item| is_match(item, key, text)),
        }
    }
}

/// Splits at points; `\.` and brackets keep them.
fn steps(path: &str) -> Vec<Step> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    let mut letters = path.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&'.') => {
                letters.next();
                parts.last_mut().expect("starts with one").push('.');
            }
            '.' if depth == 0 => parts.push(String::new()),
            letter => {
                let last = parts.last_mut().expect("starts with one");
                match letter {
                    '[' if last.is_empty() => depth = 1,
                    '[' if depth > 0 => depth += 1,
                    ']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                last.push(letter);
            }
        }
    }
    // Empty parts, as before a leading point, mean nothing.
    parts.iter().filter(|part| !part.trim().is_empty()).map(|part| step(part)).collect()
}

fn step(part: &str) -> Step {
    if part == "*" {
        return Step::Every;
    }
    if let Some(inner) = part.strip_prefix('[').and_then(|part| part.strip_suffix(']')) {
        return match inner.split_once('=') {
            Some((key, text)) => Step::Matching(key.into(), text.into()),
            None => Step::Key(inner.into()),
        };
    }
    part.parse().map_or_else(|_| Step::Key(part.into()), Step::Index)
}

/// Walks to every value at the end of the path; `create` is what missing fields are made for. Within what is `null`
/// kustomize makes them, too, but in a place of their own that nobody sees.
fn walk(
    value: &mut Value,
    steps: &[Step],
    create: Option<&Value>,
    visit: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else { return visit(value) };
    if value.is_null() && create.is_some() && !matches!(step, Step::Every) {
        return walk(&mut made_for(steps, create), steps, create, visit);
    }
    match step {
        // A number may be a key of a map too.
        Step::Index(index) if value.as_map().is_some() => {
            walk_key(value, &Str::from(index.to_string()), rest, create, visit)
        }
        Step::Key(key) => walk_key(value, key, rest, create, visit),
        Step::Index(index) => {
            let Some(items) = value.as_list_mut() else { return Err(format!("index {index} into what is no list")) };
            if *index == items.len() && create.is_some() {
                items.push(made_for(rest, create));
            }
            let count = items.len();
            match items.get_mut(*index) {
                Some(item) => walk(item, rest, create, visit),
                None => Err(format!("index {index} specified but only {count} elements found")),
            }
        }
        Step::Every => match value.as_list_mut() {
            Some(items) => items.iter_mut().try_for_each(|item| walk(item, rest, create, visit)),
            None => Err("`*` stands for the items of a list; this is none".to_owned()),
        },
        Step::Matching(key, text) => {
            let Some(items) = value.as_list_mut() else {
                return Err(format!("`[{key}={text}]` selects from a list; this is none"));
            };
            if create.is_some() && !items.iter().any(|item| is_match(item, key, text)) {
                let made = match key.is_empty() {
                    true => Value::from(text.clone()),
                    false => Map::from_iter([(key.clone(), Value::from(text.clone()))]).into(),
                };
                items.push(made);
            }
            let matching = items.iter_mut().filter(|item| is_match(item, key, text));
            matching.into_iter().try_for_each(|item| walk(item, rest, create, visit))
        }
    }
}

fn walk_key(
    value: &mut Value,
    key: &Str,
    rest: &[Step],
    create: Option<&Value>,
    visit: &mut dyn FnMut(&mut Value) -> Result<(), String>,
) -> Result<(), String> {
    if value.as_str().is_some() {
        return Err(format!("replacing `{key}` inside of text is not supported; generate the text instead"));
    }
    let Some(map) = value.as_map_mut() else { return Ok(()) };
    if create.is_some() && !map.contains(key) {
        if matches!(rest.first(), Some(Step::Every)) {
            return Err(format!("`*` stands for the items of a list; there is no `{key}`"));
        }
        map.insert(key.clone(), made_for(rest, create));
    }
    match map.get_mut(key) {
        Some(next) => walk(next, rest, create, visit),
        None => Ok(()),
    }
}

/// An empty value of the kind that the next step needs.
fn made_for(rest: &[Step], create: Option<&Value>) -> Value {
    match rest.first() {
        Some(Step::Key(_)) => Value::map(),
        Some(Step::Index(_) | Step::Every | Step::Matching(..)) => Value::list(Vec::new()),
        None => match create.map(|value| &value.data) {
            Some(Data::Map(_)) => Value::map(),
            Some(Data::List(_)) => Value::list(Vec::new()),
            _ => Value::null(),
        },
    }
}

/// Whether an expression is found in a text. Most are names, and compiling those would take longer than all the rest.
fn contains(text: &str, expression: &str) -> bool {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/' | b':' | b'.');
    if !expression.bytes().all(is_name) {
        return Regex::new(expression).is_ok_and(|expression| expression.is_match(text));
    }
    // A point stands for any letter.
    let begins = |rest: &str| {
        let mut letters = rest.chars();
        expression
            .chars()
            .all(|wanted| letters.next().is_some_and(|found| found == wanted || (wanted == '.' && found != '\n')))
    };
    expression.is_empty() || text.char_indices().any(|(start, _)| begins(&text[start..]))
}

fn is_match(item: &Value, key: &Str, text: &Str) -> bool {
    let found = if key.is_empty() { Some(item) } else { item.get(key) };
    let found = match found.map(|found| &found.data) {
        Some(Data::Str(text)) => text.to_string(),
        Some(Data::Null) => String::new(),
        Some(Data::Bool(_) | Data::Int(_) | Data::Float(_)) => found.map(to_json).unwrap_or_default(),
        Some(Data::List(_) | Data::Map(_)) | None => return false,
    };
    // The text is an expression, and not one for the whole value.
    found == text.as_str() || contains(&found, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_expressions_are() {
        for (text, expression) in [
            ("https", "http"),
            ("a-b", "b"),
            ("a.b", "a.b"),
            ("axb", "a.b"),
            ("a\nb", "a.b"),
            ("", "a"),
            ("a", ""),
            ("ünï", "n."),
        ] {
            let expected = Regex::new(expression).expect("valid").is_match(text);
            assert_eq!(contains(text, expression), expected, "{expression} in {text:?}");
        }
    }
}
