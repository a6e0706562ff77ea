//! What arguments are, as far as the text of a template tells.

use soll_yaml::{Data, Value};

use super::{Generator, Subject};

/// The kind of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Nil,
    Bool,
    Int,
    Float,
    Text,
    List,
    Map,
    Missing,
    /// A time, a version, or what only running it would tell.
    Other,
}

impl Kind {
    pub(crate) const ALL: [Self; 9] =
        [Self::Nil, Self::Bool, Self::Int, Self::Float, Self::Text, Self::List, Self::Map, Self::Missing, Self::Other];
}

/// A word, a literal, or something in parentheses with its fields.
struct Token<'t> {
    text: &'t str,
    /// It follows the one before without a blank, as fields do that follow parentheses.
    joined: bool,
}

impl Generator {
    /// The kinds of all arguments of all calls of a function, or of what an action is given.
    pub(super) fn kinds_in(&self, template: &str, subject: &Subject) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for action in actions(template) {
            self.collect(action, subject, &mut kinds);
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// The kind of an argument.
    pub(super) fn kind_of_text(&self, text: &str) -> Kind {
        self.kind(&tokens(text))
    }

    fn collect(&self, text: &str, subject: &Subject, kinds: &mut Vec<Kind>) {
        let tokens = tokens(text);
        let mut before: Option<&[Token<'_>]> = None;
        for command in tokens.split(|token| token.text == "|") {
            for token in command {
                if let Some(inner) = token.text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
                    self.collect(inner, subject, kinds);
                }
            }
            let mut arguments = groups(command);
            // Variables that are set, and the words of actions.
            while arguments.first().is_some_and(|words| {
                matches!(words[0].text, "if" | "else" | "with" | "range" | "template" | "block" | ":=" | "=" | ",")
                    || words[0].text.starts_with('$') && command.iter().any(|token| matches!(token.text, ":=" | "="))
            }) {
                arguments.remove(0);
            }
            match subject {
                Subject::Function(name) if arguments.first().is_some_and(|words| words[0].text == *name) => {
                    kinds.extend(arguments[1..].iter().map(|words| self.kind(words)));
                    kinds.extend(before.map(|command| self.kind(command)));
                }
                Subject::Action(_) if !arguments.is_empty() => kinds.push(self.kind(command)),
                _ => {}
            }
            before = Some(command);
        }
    }

    /// What a word is, or what a command returns.
    fn kind(&self, words: &[Token<'_>]) -> Kind {
        let Some(first) = words.first() else { return Kind::Other };
        let text = first.text;
        let mut fields = words[1..].iter().take_while(|token| token.joined).peekable();
        if fields.peek().is_some() {
            return if fields.any(|token| token.text.contains("nope")) { Kind::Missing } else { Kind::Other };
        }
        match text.chars().next() {
            Some('"' | '`') => Kind::Text,
            Some('\'') => Kind::Int,
            Some('0'..='9' | '-' | '+') if text.starts_with("0x") => Kind::Int,
            Some('0'..='9' | '-' | '+') if text.contains(['.', 'e']) => Kind::Float,
            Some('0'..='9' | '-' | '+') => Kind::Int,
            Some('.') => self.field(text),
            Some('(') => {
                // What quotes hold may look like the end of an action.
                let inner = tokens(text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or_default());
                let last = inner.rsplit(|token| token.text == "|").next().unwrap_or_default();
                self.kind(last)
            }
            _ => match text {
                "nil" => Kind::Nil,
                "true" | "false" => Kind::Bool,
                name => self.result(name),
            },
        }
    }

    /// What a field of the values is.
    fn field(&self, path: &str) -> Kind {
        let mut value = &self.values;
        for name in path.split('.').filter(|name| !name.is_empty()) {
            match value.get(name) {
                Some(inner) => value = inner,
                None => return Kind::Missing,
            }
        }
        kind_of(value)
    }

    /// What a function returns.
    fn result(&self, name: &str) -> Kind {
        match self.inventory.functions.get(name).map(|signature| signature.result.as_str()) {
            Some("string") => Kind::Text,
            Some("bool") => Kind::Bool,
            Some("int" | "int64") => Kind::Int,
            Some("float64") => Kind::Float,
            Some(list) if list.starts_with('[') => Kind::List,
            Some(map) if map.starts_with("map") => Kind::Map,
            _ => match name {
                "len" => Kind::Int,
                "eq" | "ne" | "lt" | "le" | "gt" | "ge" | "not" => Kind::Bool,
                "print" | "println" | "printf" | "html" | "js" | "urlquery" => Kind::Text,
                _ => Kind::Other,
            },
        }
    }
}

fn kind_of(value: &Value) -> Kind {
    match &value.data {
        Data::Null => Kind::Nil,
        Data::Bool(_) => Kind::Bool,
        // Every number of values is a float.
        Data::Int(_) | Data::Float(_) => Kind::Float,
        Data::Str(_) => Kind::Text,
        Data::List(_) => Kind::List,
        Data::Map(_) => Kind::Map,
    }
}

/// What stands between `{{` and `}}`.
fn actions(template: &str) -> impl Iterator<Item = &str> {
    template.split("{{").skip(1).map(|part| part.split("}}").next().unwrap_or_default())
}

/// Words with the fields that follow them.
fn groups<'t>(tokens: &'t [Token<'t>]) -> Vec<&'t [Token<'t>]> {
    let starts: Vec<usize> = (0..tokens.len()).filter(|index| *index == 0 || !tokens[*index].joined).collect();
    let ends = starts.iter().skip(1).copied().chain([tokens.len()]);
    starts.iter().zip(ends).map(|(start, end)| &tokens[*start..end]).collect()
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut blank = true;
    while at < bytes.len() {
        if bytes[at].is_ascii_whitespace() {
            at += 1;
            blank = true;
            continue;
        }
        let start = at;
        at = match bytes[at] {
            b'(' => closing(text, at),
            b'"' | b'`' | b'\'' => after_quote(bytes, at),
            b'|' | b',' => at + 1,
            _ => {
                let end = text[at..].find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|' | ','));
                end.map_or(text.len(), |end| at + end).max(at + 1)
            }
        };
        let joined = !blank && text[start..].starts_with('.');
        tokens.push(Token { text: text.get(start..at).unwrap_or_default(), joined });
        blank = false;
    }
    tokens
}

fn after_quote(bytes: &[u8], start: usize) -> usize {
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' && quote != b'`' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The place after the parenthesis that closes this one.
fn closing(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut open) = (start, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'(' => open += 1,
            b')' => open -= 1,
            b'"' | b'`' | b'\'' => {
                at = after_quote(bytes, at);
                continue;
            }
            _ => {}
        }
        at += 1;
        if open == 0 {
            break;
        }
    }
    at
}
