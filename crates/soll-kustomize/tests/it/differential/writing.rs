//! From values to text, in the many ways in which people write YAML.

use std::fmt::Write as _;

use serde_json::Value;

use soll_compare::Random;

/// Marks a text that is written as it is: `1.10`, `0x1F`, `~`.
pub(super) const RAW: char = '\u{1}';

/// Writes documents; the seed decides how.
pub(super) fn write(documents: &[Value], seed: u64) -> String {
    let mut random = Random::new(seed);
    if documents.len() == 1 && !has_raw(&documents[0]) && random.percent(6) {
        return match random.percent(50) {
            true => format!("{}\n", documents[0]),
            false => format!("{:#}\n", documents[0]),
        };
    }
    let style = Style {
        flush: random.percent(50),
        comments: random.percent(20),
        quotes: random.pick(&[0, 0, 5, 30]),
        flow: random.pick(&[0, 0, 10]),
    };
    let mut writer = Writer { out: String::new(), random, style };
    for (position, document) in documents.iter().enumerate() {
        if position > 0 || writer.random.percent(15) {
            writer.out.push_str("---\n");
        }
        writer.comment(0);
        writer.block(document, 0);
    }
    if writer.random.percent(8) {
        writer.out.push_str("---\n");
    }
    let mut text = writer.out;
    if writer.random.percent(4) {
        text = text.replace('\n', "\r\n");
    }
    if writer.random.percent(3) {
        text.insert(0, '\u{feff}');
    }
    if writer.random.percent(6) {
        text.truncate(text.trim_end_matches('\n').len());
    }
    text
}

struct Style {
    /// Lists stand right below their key, without indentation.
    flush: bool,
    comments: bool,
    /// How many of the texts that need no quotes get some.
    quotes: usize,
    /// How many of the small collections stand on one line.
    flow: usize,
}

struct Writer {
    out: String,
    random: Random,
    style: Style,
}

impl Writer {
    fn comment(&mut self, indent: usize) {
        if self.style.comments && self.random.percent(8) {
            self.out.push_str(&" ".repeat(indent));
            self.out.push_str("# a comment: with 'quotes'\n");
        }
    }

    fn end_line(&mut self) {
        if self.style.comments && self.random.percent(5) {
            self.out.push_str(" # why");
        }
        self.out.push('\n');
    }

    /// A value on lines of its own.
    fn block(&mut self, value: &Value, indent: usize) {
        let pad = " ".repeat(indent);
        match value {
            Value::Object(map) if !map.is_empty() => {
                let mut entries: Vec<_> = map.iter().collect();
                if self.random.percent(30) {
                    let turn = self.random.below(entries.len());
                    entries.rotate_left(turn);
                }
                for (key, value) in entries {
                    self.comment(indent);
                    self.out.push_str(&pad);
                    let key = self.scalar_text(key);
                    self.out.push_str(&key);
                    self.out.push(':');
                    self.after_key(value, indent);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for item in items {
                    self.comment(indent);
                    self.out.push_str(&pad);
                    self.out.push('-');
                    self.after_dash(item, indent);
                }
            }
            scalar => {
                self.out.push_str(&pad);
                self.inline(scalar, indent);
            }
        }
    }

    fn after_key(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(map) if !map.is_empty() && !self.is_flow(value) => {
                self.end_line();
                self.block(value, indent + 2);
            }
            Value::Array(items) if !items.is_empty() && !self.is_flow(value) => {
                self.end_line();
                let indent = if self.style.flush { indent } else { indent + 2 };
                self.block(value, indent);
            }
            value => {
                self.out.push(' ');
                self.inline(value, indent);
            }
        }
    }

    fn after_dash(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Object(map) if !map.is_empty() && !self.is_flow(value) => {
                let start = self.out.len();
                let comments = std::mem::take(&mut self.style.comments);
                self.block(value, indent + 2);
                self.style.comments = comments;
                self.out.replace_range(start..start + indent + 2, " ");
            }
            Value::Array(items) if !items.is_empty() && !self.is_flow(value) => {
                self.out.push('\n');
                self.block(value, indent + 2);
            }
            value => {
                self.out.push(' ');
                self.inline(value, indent);
            }
        }
    }

    fn is_flow(&mut self, value: &Value) -> bool {
        let small = value.to_string().len() < 60 && !value.to_string().contains("\\n");
        small && !has_raw(value) && self.random.percent(self.style.flow)
    }

    fn inline(&mut self, value: &Value, indent: usize) {
        match value {
            Value::String(text) if text.contains('\n') && is_block(text) => self.literal(text, indent),
            Value::String(text) => {
                let text = self.scalar_text(text);
                self.out.push_str(&text);
                self.end_line();
            }
            Value::Object(_) | Value::Array(_) => {
                self.out.push_str(&value.to_string());
                self.end_line();
            }
            scalar => {
                write!(self.out, "{scalar}").expect("a string takes every write");
                self.end_line();
            }
        }
    }

    fn literal(&mut self, text: &str, indent: usize) {
        let keeps = if text.ends_with("\n\n") {
            "+"
        } else if text.ends_with('\n') {
            ""
        } else {
            "-"
        };
        self.out.push('|');
        self.out.push_str(keeps);
        self.out.push('\n');
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            if !line.is_empty() {
                self.out.push_str(&" ".repeat(indent + 2));
            }
            self.out.push_str(line);
            self.out.push('\n');
        }
    }

    fn scalar_text(&mut self, text: &str) -> String {
        if let Some(raw) = text.strip_prefix(RAW) {
            return raw.to_owned();
        }
        let wants = self.random.percent(self.style.quotes);
        if !wants && is_plain(text) {
            return text.to_owned();
        }
        let single = text.chars().all(|letter| !letter.is_control()) && self.random.percent(50);
        match single {
            true => format!("'{}'", text.replace('\'', "''")),
            false => Value::from(text).to_string(),
        }
    }
}

fn has_raw(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with(RAW),
        Value::Array(items) => items.iter().any(has_raw),
        Value::Object(map) => map.iter().any(|(key, value)| key.starts_with(RAW) || has_raw(value)),
        _ => false,
    }
}

/// Whether a literal block keeps the text.
fn is_block(text: &str) -> bool {
    !text.starts_with([' ', '\n']) && text.lines().all(|line| !line.ends_with(' ')) && !text.contains(['\r', '\t'])
}

/// Whether a text stays text without quotes, beyond doubt.
fn is_plain(text: &str) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    let inner =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/' | '(' | ')' | '$');
    let is_word =
        matches!(text.to_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null");
    (first.is_ascii_alphabetic() || matches!(first, '/' | '$')) && text.chars().all(inner) && !is_word
}
