//! What does not fit, as a tree.

use soll_yaml::{At, FieldPath, Step, Str, Value};

use super::SchemaFault;

/// One thing that does not fit, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    pub(super) path: Vec<Step>,
    pub(super) kind: Kind,
    pub(super) causes: Vec<Fault>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// Several faults of one value, without a keyword that they share.
    Group,
    /// What a reference leads to does not fit.
    Reference,
    /// A keyword says no.
    Keyword(String),
}

impl Fault {
    /// The faults of a group, or this one.
    pub(super) fn ungrouped(self) -> Vec<Self> {
        if self.kind == Kind::Group { self.causes } else { vec![self] }
    }

    /// Appends lines `- at '/a/b': message`, causes indented below.
    pub(super) fn show(&self, text: &mut String, indent: usize) {
        // A reference is worth a line only if several things below it are wrong.
        let is_shown = self.kind != Kind::Reference || self.causes.len() != 1;
        if is_shown {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&"  ".repeat(indent));
            let message = match &self.kind {
                Kind::Group | Kind::Reference => "validation failed",
                Kind::Keyword(message) => message,
            };
            text.push_str(&format!("- at {}: {message}", quoted(&pointer(&self.path))));
        }
        for cause in &self.causes {
            cause.show(text, indent + usize::from(is_shown));
        }
    }

    /// The innermost faults, with the place of the value that each is about.
    pub(super) fn leaves(&self, root: &Value, prefix: &FieldPath, into: &mut Vec<SchemaFault>) {
        if let (Kind::Keyword(message), true) = (&self.kind, self.causes.is_empty()) {
            let own = FieldPath(self.path.clone());
            let at = own.nearest(root).at;
            let mut path = prefix.clone();
            path.0.extend(own.0);
            into.push(SchemaFault { path, message: message.clone(), at: if at.is_none() { At::NONE } else { at } });
        }
        for cause in &self.causes {
            cause.leaves(root, prefix, into);
        }
    }
}

/// A JSON pointer.
fn pointer(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        text.push('/');
        match step {
            Step::Key(key) => text.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Step::Index(index) => text.push_str(&index.to_string()),
        }
    }
    text
}

/// A text in single quotes, escaped as Go does.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("\\'"),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

pub(super) fn joined<'a>(names: impl IntoIterator<Item = &'a Str>) -> String {
    names.into_iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// A scalar as messages say it.
pub(super) fn display(value: &Value) -> String {
    match value.as_str() {
        Some(text) => quoted(text),
        None if value.as_list().is_some() || value.as_map().is_some() => "value".to_owned(),
        None if value.is_null() => "<nil>".to_owned(),
        None => soll_yaml::to_json(value),
    }
}

/// A count as English prints it: `1,234`.
pub(super) fn grouped(number: f64) -> String {
    let text = format!("{number}");
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').map_or((text, String::new()), |(w, f)| (w, format!(".{f}")));
    let mut out = String::new();
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    format!("{sign}{out}{fraction}")
}

/// A number as Helm's English prints it: `70,000`, `1.2×10⁰⁶`.
pub(super) fn english(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-4..1e6).contains(&magnitude) {
        return grouped(number);
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("", exponent), |rest| ("⁻", rest));
    let raised = |digit: char| match digit {
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32('⁰' as u32 + digit as u32 - '0' as u32).unwrap_or(digit),
    };
    format!("{digits}×10{sign}{}", format!("{exponent:0>2}").chars().map(raised).collect::<String>())
}
