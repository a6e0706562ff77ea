//! YAML as Go reads and writes it.

mod emit;
mod everyday;
mod go_syntax;
mod read;
mod scalar;
mod timestamp;

pub use emit::{YamlNode, YamlShape, emit_documents, emit_yaml, emit_yaml_v3};
pub use read::{parse_first_yaml, parse_yaml};
pub use scalar::Flavor;

use crate::{At, Value};

/// How [`parse_yaml`] reads, and how much.
#[derive(Debug, Clone)]
pub struct ParseOptions {
    /// Whose rules say what a plain scalar means.
    pub flavor: Flavor,
    /// What a key means that a mapping has already.
    pub duplicate_keys: DuplicateKeys,
    /// Where reading stops.
    pub limits: ParseLimits,
}

/// What a key means that a mapping has already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DuplicateKeys {
    /// An error at the second key.
    Refuse,
    /// The later value replaces the earlier one.
    LastWins,
}

/// Bounds of one text. Reaching one is an error that names it.
#[derive(Debug, Clone)]
pub struct ParseLimits {
    /// Bytes of text.
    pub bytes: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Nodes, with each alias counted as often as it is used.
    pub nodes: u64,
    /// Documents.
    pub documents: usize,
}

impl Default for ParseLimits {
    /// 64 MiB, 256 levels, 10 million nodes, 100,000 documents.
    fn default() -> Self {
        Self { bytes: 64 << 20, depth: 256, nodes: 10_000_000, documents: 100_000 }
    }
}

impl ParseOptions {
    /// As `sigs.k8s.io/yaml` reads: what kubectl, Flux and Helm decode with. The last of equal keys wins.
    #[must_use]
    pub fn go_v2() -> Self {
        Self { flavor: Flavor::GoV2, duplicate_keys: DuplicateKeys::LastWins, limits: ParseLimits::default() }
    }

    /// As kyaml reads: what kustomize reads resources and patches with. Equal keys are refused.
    #[must_use]
    pub fn go_v3() -> Self {
        Self { flavor: Flavor::GoV3, duplicate_keys: DuplicateKeys::Refuse, limits: ParseLimits::default() }
    }

    /// The same, refusing equal keys.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.duplicate_keys = DuplicateKeys::Refuse;
        self
    }
}

/// A text that is no YAML, or more than the limits allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}", at.line(), at.column())]
pub struct YamlError {
    /// What was wrong, in the words of libyaml where it is the grammar.
    pub message: String,
    /// Where.
    pub at: At,
    /// What to look at, if the grammar tells.
    pub hint: Option<String>,
    /// The line that go-yaml names, which it counts differently from error to error; it is silent about some.
    go_line: Option<usize>,
    /// What Go says, if it is something else altogether.
    go: Option<String>,
}

impl YamlError {
    /// An error without a hint.
    pub(crate) fn new(message: String, at: At) -> Self {
        Self { message, at, hint: None, go_line: None, go: None }
    }

    /// A key that is nothing, which YAML may have and JSON not.
    pub(crate) fn of_null_key(value: &Value, at: At) -> Self {
        let value = go_syntax::shown(value);
        let go = format!("unsupported map key of type: %!s(<nil>), key: <nil>, value: {value}");
        Self { go: Some(go), ..Self::new("a key is nothing, and JSON has no such keys".to_owned(), at) }
    }

    /// What `sigs.k8s.io/yaml` says of the same text after `error converting YAML to JSON: `.
    #[must_use]
    pub fn in_go(&self) -> String {
        match (&self.go, self.go_line) {
            (Some(go), _) => go.clone(),
            (None, Some(line)) => format!("yaml: line {line}: {}", self.message),
            (None, None) => format!("yaml: {}", self.message),
        }
    }
}
