//! What goes wrong in templates, in Go's words.

use std::fmt;

/// Why a template could not be parsed or rendered.
///
/// Displayed as Go displays it: `template: chart/templates/a.yaml:3:7: executing "chart/templates/a.yaml" at
/// <include "x" .>: error calling include: template: …`. [`std::error::Error::source`] goes one call deeper, as
/// `errors.Unwrap` does in Go.
#[derive(Debug)]
pub struct TemplateError {
    /// Where, if this level knows.
    pub frame: Option<Frame>,
    /// What went wrong at this level; what is in `source` follows it when displayed.
    pub message: String,
    /// What was wrong further down.
    pub source: Option<Box<TemplateError>>,
    /// What kind of error; of the innermost level.
    pub kind: ErrorKind,
}

/// A place in a template that was being rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The file, or the name of the text, that the template was parsed from.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// In bytes from 0, as Go counts them.
    pub column: usize,
    /// The template that was executing: the file, or what `define` called it.
    pub template: String,
    /// The part of the template, as Go writes it back; empty if the error concerns the template as a whole.
    pub context: String,
}

/// What kind of error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not a template.
    Parse,
    /// The chart called `fail`; the text is its message.
    Fail(String),
    /// The chart called `required` and there was nothing; the text is its message.
    Required(String),
    /// Something was asked of nothing; the path is how the template wrote what is nil, such as `.Values.image`.
    Nil {
        /// As the template writes it.
        path: String,
    },
    /// The limits were reached.
    Limit,
    /// A template of this name does not exist.
    NoTemplate(String),
    /// Anything else.
    Other,
}

impl TemplateError {
    pub(crate) fn plain(message: impl Into<String>) -> Self {
        Self { frame: None, message: message.into(), source: None, kind: ErrorKind::Other }
    }

    pub(crate) fn of(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, ..Self::plain(message) }
    }

    /// The same error, seen from a call further up.
    pub(crate) fn within(self, message: impl Into<String>) -> Self {
        let kind = self.kind.clone();
        Self { frame: None, message: message.into(), source: Some(Box::new(self)), kind }
    }

    /// The levels from the outermost to the innermost.
    pub fn levels(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |error| error.source.as_deref())
    }

    /// The places from the outermost include to where it went wrong.
    pub fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.levels().filter_map(|level| level.frame.as_ref())
    }

    /// The message of the innermost level.
    #[must_use]
    pub fn innermost(&self) -> &str {
        self.levels().last().map_or(&self.message, |level| &level.message)
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for level in self.levels() {
            match &level.frame {
                Some(frame) if frame.context.is_empty() => write!(f, "template: {}: ", frame.template)?,
                Some(frame) => write!(f, "{frame}")?,
                None => {}
            }
            f.write_str(&level.message)?;
        }
        Ok(())
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, template, context } = self;
        let template = crate::quote::quoted(template.as_bytes());
        write!(f, "template: {file}:{line}:{column}: executing {template} at <{context}>: ")
    }
}

impl std::error::Error for TemplateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as _)
    }
}
