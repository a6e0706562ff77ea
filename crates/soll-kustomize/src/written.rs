//! How a scalar was written: `1.10`, `~`, `"25%"`.
//!
//! Values do not keep that, and nearly nothing asks. Kustomize does where it turns a scalar into text, so
//! it is read again at the place that the value remembers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::load::Block;
use soll_tree::{FileTree, TreePath};
use soll_yaml::{At, Data, ParseOptions, SourceId, Sources, Str, Value, emit_yaml, parse_yaml, to_json};

/// The texts of a build, split into lines when first asked for.
pub(crate) struct Written<'a> {
    tree: &'a dyn FileTree,
    sources: &'a Sources,
    lines: RefCell<HashMap<Arc<str>, Vec<String>>>,
    /// Scalars in texts within files, by path, line and column of their places in the file.
    notes: RefCell<HashMap<Place, Str>>,
    /// Lines of files, first and last, that have gone through JSON, where each text stands in quotes.
    json: RefCell<Vec<(Arc<str>, usize, usize)>>,
    /// Texts that were written anew, and whether that takes quotes.
    anew: RefCell<HashMap<Place, bool>>,
}

/// Path, line and column.
type Place = (Arc<str>, usize, usize);

impl<'a> Written<'a> {
    pub(crate) fn new(tree: &'a dyn FileTree, sources: &'a Sources) -> Self {
        let (lines, notes) = (RefCell::default(), RefCell::default());
        Self { tree, sources, lines, notes, json: RefCell::default(), anew: RefCell::default() }
    }

    /// A scalar as it was written; lists and maps are no text.
    pub(crate) fn text(&self, value: &Value) -> Str {
        match &value.data {
            Data::Str(text) => text.clone(),
            Data::List(_) | Data::Map(_) => Str::new(),
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => {
                let noted = || self.notes.borrow().get(&self.place(value.at)?).cloned();
                let found = || self.rest_of_line(value.at).map(|rest| Str::from(plain_token(&rest)));
                let token = noted().or_else(found);
                // Only if it is still what the value was made of.
                match token.filter(|token| plain(token) == value.data) {
                    Some(token) => token,
                    None => to_json(value).into(),
                }
            }
        }
    }

    /// Notes the scalars of a text that stands within a file, before its values are moved to their places there.
    pub(crate) fn note(&self, value: &Value, text: &str, block: Block) {
        match &value.data {
            Data::List(items) => items.iter().for_each(|item| self.note(item, text, block)),
            Data::Map(map) => map.iter().for_each(|entry| self.note(&entry.value, text, block)),
            Data::Str(_) => {}
            Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) => {
                let Some(line) = text.lines().nth(value.at.line().saturating_sub(1)) else { return };
                let rest: String = line.chars().skip(value.at.column().saturating_sub(1)).collect();
                if let Some(place) = self.place(block.place(value.at)) {
                    self.notes.borrow_mut().insert(place, plain_token(&rest).into());
                }
            }
        }
    }

    /// Whether a text stands in quotes, or in a block, at the place.
    pub(crate) fn is_quoted(&self, at: At) -> bool {
        // Who replaces a scalar keeps its quotes, so the first one in the chain tells.
        let first = self.sources.chain(at).last().map_or(at, |(first, _)| *first);
        if self.is_json(first) {
            return true;
        }
        if let Some(quoted) = self.place(first).and_then(|place| self.anew.borrow().get(&place).copied()) {
            return quoted;
        }
        self.rest_of_line(first).is_some_and(|rest| rest.starts_with(['"', '\'', '|', '>']))
    }

    /// Whether a map was written in braces.
    pub(crate) fn is_in_braces(&self, at: At) -> bool {
        self.rest_of_line(at).is_some_and(|rest| rest.starts_with('{'))
    }

    /// Notes a value that goes through JSON.
    pub(crate) fn note_json(&self, value: &Value) {
        if let Some(source) = self.sources.get(value.at.source()) {
            self.json.borrow_mut().push((source.path, value.at.line(), last_line(value)));
        }
    }

    /// Notes texts that kustomize writes anew: in quotes only what `yaml.v2` would not read as text.
    pub(crate) fn note_anew(&self, pairs: &Value) {
        for entry in pairs.as_map().into_iter().flatten() {
            let text = self.text(&entry.value);
            let parsed = (!text.contains('\n')).then(|| parse_yaml(&text, SourceId::default(), &ParseOptions::go_v2()));
            let parsed = parsed.and_then(Result::ok).and_then(|values| values.into_iter().next());
            let quoted = parsed.is_some_and(|value| {
                matches!(value.data, Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_)) && !text.is_empty()
            });
            if let Some(place) = self.place(entry.value.at) {
                self.anew.borrow_mut().insert(place, quoted);
            }
        }
    }

    fn place(&self, at: At) -> Option<Place> {
        Some((self.sources.get(at.source())?.path, at.line(), at.column()))
    }

    fn is_json(&self, at: At) -> bool {
        let json = self.json.borrow();
        if json.is_empty() {
            return false;
        }
        let Some(source) = self.sources.get(at.source()) else { return false };
        json.iter().any(|(path, first, last)| *path == source.path && (*first..=*last).contains(&at.line()))
    }

    fn rest_of_line(&self, at: At) -> Option<String> {
        if at.is_none() {
            return None;
        }
        let path = self.sources.get(at.source())?.path;
        let mut lines = self.lines.borrow_mut();
        let lines = match lines.entry(path) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let bytes = self.tree.read(&new.key().parse::<TreePath>().ok()?).ok()?;
                let text = String::from_utf8_lossy(&bytes);
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                new.insert(text.lines().map(str::to_owned).collect())
            }
        };
        let line = lines.get(at.line().checked_sub(1)?)?;
        Some(line.chars().skip(at.column().saturating_sub(1)).collect())
    }
}

impl soll_patch::Written for Written<'_> {
    fn text(&self, value: &Value) -> Str {
        Self::text(self, value)
    }

    fn is_quoted(&self, value: &Value) -> bool {
        Self::is_quoted(self, value.at)
    }
}

fn last_line(value: &Value) -> usize {
    let inner = match &value.data {
        Data::List(items) => items.iter().map(last_line).max(),
        Data::Map(map) => map.iter().map(|entry| last_line(&entry.value)).max(),
        Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => None,
    };
    inner.unwrap_or(0).max(value.at.line())
}

/// As written, but with quotes only where there have to be some.
pub(crate) struct Unquoted<'w>(pub(crate) &'w Written<'w>);

impl soll_patch::Written for Unquoted<'_> {
    fn text(&self, value: &Value) -> Str {
        self.0.text(value)
    }

    fn is_quoted(&self, value: &Value) -> bool {
        value.as_str().is_some() && emit_yaml(value).starts_with(['"', '\'', '|'])
    }
}

/// A scalar as text after it has gone through JSON and Go's floating point numbers; lists and maps are no text.
pub(crate) fn after_json(value: &Value) -> String {
    let number = match &value.data {
        Data::Int(number) => *number as f64,
        Data::Float(number) => *number,
        Data::List(_) | Data::Map(_) => return String::new(),
        Data::Null | Data::Bool(_) => return to_json(value),
        Data::Str(text) => return text.as_str().to_owned(),
    };
    if number == 0.0 || (1e-4..1e6).contains(&number.abs()) {
        return to_json(value);
    }
    let scientific = format!("{number:e}");
    match scientific.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
        None => scientific,
    }
}

/// What a text means without quotes.
pub(crate) fn plain(text: &str) -> Data {
    if text.contains(['\n', '#']) || text.contains(": ") {
        return Data::Str(text.into());
    }
    let parsed = parse_yaml(text, SourceId::default(), &ParseOptions::go_v3());
    match parsed.ok().map(|values| values.into_iter().next()) {
        Some(Some(value)) => match value.data {
            data @ (Data::Null | Data::Bool(_) | Data::Int(_) | Data::Float(_)) => data,
            _ => Data::Str(text.into()),
        },
        Some(None) => Data::Null,
        None => Data::Str(text.into()),
    }
}

/// The scalar without quotes that a line begins with.
fn plain_token(rest: &str) -> &str {
    let end = rest.find([',', ']', '}', '#']).unwrap_or(rest.len());
    rest[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_end_where_yaml_ends_them() {
        for (rest, expected) in [("1.10", "1.10"), ("0x1F # why", "0x1F"), ("~, b: 2}", "~"), ("", "")] {
            assert_eq!(plain_token(rest), expected, "{rest:?}");
        }
    }
}
