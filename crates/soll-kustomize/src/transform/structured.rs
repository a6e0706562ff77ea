//! Replacements inside of a text that is JSON or YAML itself: `data.config\.json.database.host`.

use soll_yaml::{Data, ParseOptions, SourceId, Value, parse_yaml};

use crate::hash::escape_html;
use crate::written;

/// What became of a replacement within a text.
pub(crate) enum Edit {
    /// The text is this now.
    Text(String),
    /// The text has no such field.
    Missing,
    /// Nothing changes: the new value is of another type than the old one.
    Unfit,
}

/// A text as the value that it describes; none if it describes only itself.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let mut values = parse_yaml(text, SourceId::default(), &ParseOptions::go_v3()).ok()?;
    let value = if values.is_empty() { return None } else { values.remove(0) };
    (value.as_map().is_some() || value.as_list().is_some()).then_some(value)
}

/// Whether a text is JSON, by its first letter, as kustomize decides.
pub(crate) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '['])
}

/// The value as JSON, on several lines if the old text was.
pub(crate) fn json(value: &Value, old: &str) -> String {
    let mut out = String::new();
    let indent = (old.contains('\n') && old.contains("  ")).then_some(0);
    write_json(&mut out, value, indent);
    escape_html(&out)
}

fn write_json(out: &mut String, value: &Value, indent: Option<usize>) {
    let line = |out: &mut String, level: Option<usize>| {
        if let Some(level) = level {
            out.push('\n');
            out.push_str(&"  ".repeat(level));
        }
    };
    let inner = indent.map(|level| level + 1);
    match &value.data {
        Data::List(items) if !items.is_empty() => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                line(out, inner);
                write_json(out, item, inner);
            }
            line(out, indent);
            out.push(']');
        }
        Data::Map(map) if !map.is_empty() => {
            out.push('{');
            for (position, entry) in map.sorted().into_iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                line(out, inner);
                out.push_str(&soll_yaml::to_json(&Value::from(entry.key.clone())));
                out.push_str(if indent.is_some() { ": " } else { ":" });
                write_json(out, &entry.value, inner);
            }
            line(out, indent);
            out.push('}');
        }
        _ => out.push_str(&soll_yaml::to_json_sorted(value)),
    }
}

/// The YAML text with new texts in place of some of its scalars, given by their line and column.
///
/// # Errors
/// If kustomize would lay out the text anew, or write the scalar in another way.
pub(crate) fn spliced(text: &str, changes: &[(usize, usize, String)]) -> Result<String, String> {
    let refused = |line: &str| {
        Err(format!("replacing inside of YAML text is only supported in plain blocks, not at `{}`", line.trim()))
    };
    let mut out = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if !is_plain_line(line) {
            return refused(line);
        }
        let mut line = line.to_owned();
        for (_, column, new) in changes.iter().filter(|(at, ..)| *at == number) {
            let start = line.char_indices().nth(column - 1).map_or(line.len(), |(start, _)| start);
            let old = &line[start..];
            let quoted = match old.chars().next() {
                Some('"') => soll_yaml::to_json(&Value::str(new)),
                Some('\'') => format!("'{}'", new.replace('\'', "''")),
                // Text stays text.
                _ if is_text(old) && !is_text(new) => soll_yaml::to_json(&Value::str(new)),
                _ if is_text(old) && !new.contains('\n') => text_scalar(new),
                _ if is_text(old) && line[..start].ends_with(": ") => block(&line, new),
                _ if is_plain_text(new) => new.clone(),
                _ => return refused(&line),
            };
            line.replace_range(start.., &quoted);
        }
        out.push(line);
    }
    Ok(out.join("\n").trim().to_owned())
}

/// A text of several lines, below the key in a line.
fn block(line: &str, text: &str) -> String {
    let indent = &line[..line.len() - line.trim_start_matches([' ', '-']).len()];
    let indent = " ".repeat(indent.len());
    let written = soll_yaml::emit_yaml(&soll_yaml::Map::from_iter([("k", Value::str(text))]).into());
    let mut lines = written.trim_start_matches("k: ").lines();
    let mut block = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        block.push('\n');
        if !line.is_empty() {
            block.push_str(&indent);
            block.push_str(line);
        }
    }
    block
}

/// A text as kustomize writes it: words like `yes` without quotes, and on one line.
fn text_scalar(text: &str) -> String {
    // A date would be another type.
    let is_date = text.as_bytes().get(4) == Some(&b'-') && text.starts_with(|first: char| first.is_ascii_digit());
    if is_plain_text(text) && !is_date {
        return text.to_owned();
    }
    let written = soll_yaml::emit_yaml(&Value::str(text));
    let written = written.trim_end_matches('\n');
    match (written.starts_with('"'), written.contains('\n')) {
        (_, false) => written.to_owned(),
        (true, true) => soll_yaml::to_json(&Value::str(text)),
        (false, true) => written.replace("\n  ", " "),
    }
}

fn is_text(scalar: &str) -> bool {
    matches!(written::plain(scalar), Data::Str(_))
}

/// A line that kustomize writes as it reads it: a key, a key with a scalar, or an item with one, indented by twos.
fn is_plain_line(line: &str) -> bool {
    let content = line.trim_start_matches(' ');
    let indent = line.len() - content.len();
    let content = content.strip_prefix("- ").unwrap_or(content);
    let (key, value) = match content.split_once(": ") {
        Some((key, value)) => (key, value),
        None => (content.strip_suffix(':').unwrap_or(content), ""),
    };
    let is_quoted = |quote: char| {
        let inner = value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        inner.is_some_and(|inner| !inner.contains(['"', '\'', '\\']))
    };
    let is_same = || soll_yaml::emit_yaml(&Value::str(value)).trim_end_matches('\n') == value;
    let is_fine = value.is_empty() || is_plain_text(value) || is_same() || is_quoted('"') || is_quoted('\'');
    indent.is_multiple_of(2) && !content.is_empty() && is_plain_text(key) && is_fine && line.len() < 80
}

/// Text that needs no quotes, and scalars that have none.
fn is_plain_text(text: &str) -> bool {
    let fine = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/' | ':' | '@');
    text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && text.chars().all(fine)
        && !text.ends_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_lines() {
        let check = |old: &str, expected: &str| assert_eq!(json(&parse(old).expect("JSON"), old), expected);
        check("{\"b\": [1, {}], \"a\": \"<\"}", "{\"a\":\"\\u003c\",\"b\":[1,{}]}");
        check("{\n  \"a\": {\n    \"b\": []\n  }\n}", "{\n  \"a\": {\n    \"b\": []\n  }\n}");
    }

    #[test]
    fn yaml_is_edited_in_place() {
        let text = "a:\n  b: old\n  c: 'x'\nl:\n- n: 1\n";
        let changes = [(2, 6, "new".to_owned()), (3, 6, "it's".to_owned())];
        assert_eq!(spliced(text, &changes).as_deref(), Ok("a:\n  b: new\n  c: 'it''s'\nl:\n- n: 1"));
        assert!(spliced("a: {b: c}\n", &[]).is_err());
        assert!(spliced("a: b # why\n", &[]).is_err());
    }
}
