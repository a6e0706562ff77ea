//! What goes wrong in templates, as Helm tells it.

use soll_template::{ErrorKind, TemplateError};

/// A template that cannot be parsed or rendered.
///
/// Displayed as Helm 4 does: the message of the chart's own `fail` or `required` with its place, else each include on
/// the way with its place.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct TemplateFailure {
    text: String,
    /// What the template engine says.
    pub error: TemplateError,
}

impl TemplateFailure {
    pub(super) fn parsing(file: &str, error: TemplateError) -> Self {
        let text = error.to_string();
        let mut parts = text.split(": ");
        let (_, place, last) = (parts.next(), parts.next(), text.rsplit(": ").next());
        let text = match (place, last) {
            (Some(place), Some(last)) => format!("parse error at ({place}): {last}"),
            _ => format!("parse error in ({file}): {text}"),
        };
        Self { text, error }
    }

    pub(super) fn rendering(file: &str, error: TemplateError) -> Self {
        let text = rendering_text(file, &error);
        Self { text, error }
    }
}

fn rendering_text(file: &str, error: &TemplateError) -> String {
    let whole = error.to_string();
    let mut parts = whole.splitn(3, ": ");
    let (Some(_), Some(place), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        return format!("execution error in ({file}): {whole}");
    };
    if let ErrorKind::Fail(message) | ErrorKind::Required(message) = &error.kind {
        return format!("execution error at ({place}): {message}");
    }
    let mut calls: Vec<Call> = Vec::new();
    for level in error.levels() {
        let text = level.to_string();
        let Some(call) = Call::parse(&text) else { return whole };
        if calls.last() != Some(&call) {
            calls.push(call);
        }
    }
    let text: String = calls.iter().map(Call::lines).collect();
    text.trim().to_owned()
}

/// One call on the way to what went wrong.
#[derive(PartialEq)]
struct Call {
    place: String,
    executing: String,
    message: String,
}

impl Call {
    /// Takes apart what Go says of one level, without what follows from deeper ones.
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("template: ")?;
        let before_next = |message: &str| match message.find(" template:") {
            Some(at) => message[..at].to_owned(),
            None => message.to_owned(),
        };
        if rest.starts_with("no template ") {
            return Some(Self { place: String::new(), executing: String::new(), message: text.to_owned() });
        }
        if let Some((place, after)) = rest.split_once(": executing ")
            && let Some((name, after)) = after.strip_prefix('"').and_then(|after| after.split_once('"'))
            && let Some((node, message)) = after.strip_prefix(" at <").and_then(|after| after.split_once(">: "))
        {
            return Some(Self {
                place: place.to_owned(),
                executing: format!("executing \"{name}\" at <{node}>:"),
                message: before_next(message),
            });
        }
        let (place, message) = rest.rsplit_once(": ")?;
        Some(Self { place: place.to_owned(), executing: String::new(), message: before_next(message) })
    }

    fn lines(&self) -> String {
        let mut lines = String::new();
        for (text, end) in [(&self.place, "\n  "), (&self.executing, "\n    "), (&self.message, "\n")] {
            if !text.is_empty() {
                lines.push_str(text);
                lines.push_str(end);
            }
        }
        lines
    }
}
