//! Ranges of versions.

use std::fmt;

use crate::Version;
use crate::version::compare_pre;

/// A range: alternatives separated by `||`, each a list of comparisons that all must hold.
#[derive(Debug, Clone)]
pub struct Constraints {
    alternatives: Vec<Alternative>,
    original: String,
}

/// A text that is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// Not in the grammar.
    #[error("improper constraint `{0}`: write for example `>=1.2.0 <2.0.0`, `~1.2`, `^1`, `1.x || 3.0.1`")]
    Form(String),
    /// Longer than any sane range.
    #[error("the constraint is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// More alternatives than any sane range has.
    #[error("the constraint has more than {MAX_ALTERNATIVES} alternatives")]
    TooMany,
}

const MAX_LENGTH: usize = 512;
const MAX_ALTERNATIVES: usize = 32;

#[derive(Debug, Clone)]
struct Alternative {
    comparisons: Vec<Comparison>,
    /// One of the comparisons names a pre-release, so pre-releases may match.
    names_pre: bool,
}

#[derive(Debug, Clone)]
struct Comparison {
    operator: Operator,
    bound: Version,
    open: Open,
}

/// From which part on a bound was left open, as in `*`, `1`, `1.x` or `1.2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Patch,
    Minor,
    Everything,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Same,
    NotEqual,
    Greater,
    Less,
    AtLeast,
    AtMost,
    Tilde,
    Caret,
}

/// Longer ones first, because some begin like others.
const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::NotEqual),
    (">=", Operator::AtLeast),
    ("=>", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("=<", Operator::AtMost),
    ("~>", Operator::Tilde),
    ("=", Operator::Same),
    (">", Operator::Greater),
    ("<", Operator::Less),
    ("~", Operator::Tilde),
    ("^", Operator::Caret),
];

impl Constraints {
    /// Reads a range.
    ///
    /// # Errors
    /// See [`ConstraintError`].
    pub fn parse(text: &str) -> Result<Self, ConstraintError> {
        if text.len() > MAX_LENGTH {
            return Err(ConstraintError::TooLong);
        }
        let expanded = expand_hyphens(text);
        if expanded.matches("||").count() >= MAX_ALTERNATIVES {
            return Err(ConstraintError::TooMany);
        }
        let alternatives = expanded.split("||").map(Alternative::parse);
        let alternatives =
            alternatives.collect::<Option<Vec<_>>>().ok_or_else(|| ConstraintError::Form(text.to_owned()))?;
        Ok(Self { alternatives, original: text.to_owned() })
    }

    /// Says whether a version is in the range.
    #[must_use]
    pub fn check(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| {
            (version.pre.is_empty() || alternative.names_pre)
                && alternative.comparisons.iter().all(|comparison| comparison.allows(version))
        })
    }
}

impl fmt::Display for Constraints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.original)
    }
}

impl Alternative {
    /// Comparisons separated by space or comma.
    fn parse(text: &str) -> Option<Self> {
        let mut comparisons = Vec::new();
        let mut rest = skip_space(text);
        loop {
            let (operator, after) = take_operator(rest);
            let bound = skip_space(after);
            let length = bound_length(bound)?;
            comparisons.push(Comparison::parse(operator, &bound[..length])?);

            let after = &bound[length..];
            rest = skip_space(after);
            if rest.is_empty() {
                break;
            }
            match rest.strip_prefix(',') {
                Some(more) => rest = skip_space(more),
                None if rest.len() < after.len() => {}
                None => return None,
            }
        }
        let names_pre = comparisons.iter().any(|comparison| !comparison.bound.pre.is_empty());
        Some(Self { comparisons, names_pre })
    }
}

impl Comparison {
    fn parse(operator: Operator, text: &str) -> Option<Self> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let numbers_end = bare.find(['-', '+']).unwrap_or(bare.len());
        let (numbers, suffix) = bare.split_at(numbers_end);
        let pre = suffix.split('+').next().unwrap_or_default();
        let mut parts = numbers.split('.');
        let mut next = || parts.next().filter(|part| !matches!(*part, "x" | "X" | "*"));
        let (open, version) = match (next(), next(), next()) {
            (None, ..) => (Open::Everything, format!("0.0.0{pre}")),
            (Some(major), None, _) => (Open::Minor, format!("{major}.0.0{pre}")),
            (Some(major), Some(minor), None) => (Open::Patch, format!("{major}.{minor}.0{pre}")),
            (Some(_), Some(_), Some(_)) => (Open::Nothing, text.to_owned()),
        };
        Some(Self { operator, bound: Version::parse(&version).ok()?, open })
    }

    fn allows(&self, version: &Version) -> bool {
        let order = version.cmp_precedence(&self.bound);
        match self.operator {
            Operator::Same if self.open == Open::Nothing => order.is_eq(),
            Operator::Same | Operator::Tilde => self.tilde(version),
            Operator::Caret => self.caret(version),
            Operator::NotEqual => self.differs(version),
            Operator::Greater => self.above(version),
            Operator::AtLeast => order.is_ge(),
            Operator::Less => order.is_lt(),
            Operator::AtMost => match self.open {
                Open::Nothing => order.is_le(),
                Open::Minor => version.major <= self.bound.major,
                Open::Patch | Open::Everything => {
                    (version.major, version.minor) <= (self.bound.major, self.bound.minor)
                }
            },
        }
    }

    /// `~1.2.3`: from there on, same major and minor; `~1`: same major.
    fn tilde(&self, version: &Version) -> bool {
        let Self { bound, open, .. } = self;
        if version.cmp_precedence(bound).is_lt() {
            return false;
        }
        let zero = (bound.major, bound.minor, bound.patch) == (0, 0, 0);
        if zero && matches!(open, Open::Nothing | Open::Everything) {
            return true;
        }
        version.major == bound.major && (*open == Open::Minor || version.minor == bound.minor)
    }

    /// `^1.2.3`: from there on, nothing left of the first number that is not zero changes.
    fn caret(&self, version: &Version) -> bool {
        let Self { bound, open, .. } = self;
        if version.cmp_precedence(bound).is_lt() || version.major != bound.major {
            return false;
        }
        if bound.major > 0 || *open == Open::Minor {
            return true;
        }
        if version.minor != bound.minor {
            return false;
        }
        bound.minor > 0 || *open == Open::Patch || version.patch == bound.patch
    }

    fn differs(&self, version: &Version) -> bool {
        let Self { bound, open, .. } = self;
        let numbers_differ = match open {
            Open::Nothing | Open::Everything => return version.cmp_precedence(bound).is_ne(),
            Open::Minor => version.major != bound.major,
            Open::Patch => (version.major, version.minor) != (bound.major, bound.minor),
        };
        numbers_differ || (*open == Open::Patch && compare_pre(&version.pre, &bound.pre).is_ne())
    }

    /// `>1.2` is above every patch of 1.2.
    fn above(&self, version: &Version) -> bool {
        let Self { bound, open, .. } = self;
        match open {
            Open::Minor => version.major > bound.major,
            Open::Patch => (version.major, version.minor) > (bound.major, bound.minor),
            Open::Nothing | Open::Everything => version.cmp_precedence(bound).is_gt(),
        }
    }
}

/// Rewrites each `1.0 - 2.0` to `>= 1.0, <= 2.0`.
fn expand_hyphens(text: &str) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match hyphen_range(rest) {
            Some((low, high, after)) => {
                expanded.push_str(&format!(">= {low}, <= {high} "));
                rest = after;
            }
            None => {
                expanded.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    expanded
}

/// A range with hyphen at the start of a text, and what follows it.
fn hyphen_range(text: &str) -> Option<(&str, &str, &str)> {
    let low = skip_space(text);
    let (low, rest) = low.split_at(bound_length(low)?);
    let hyphen = skip_space(rest);
    let after = hyphen.strip_prefix('-')?;
    let high = skip_space(after);
    if hyphen.len() == rest.len() || high.len() == after.len() {
        return None;
    }
    let (high, rest) = high.split_at(bound_length(high)?);
    Some((low, high, skip_space(rest)))
}

fn take_operator(text: &str) -> (Operator, &str) {
    let found = OPERATORS.iter().find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)));
    found.unwrap_or((Operator::Same, text))
}

/// How much of a text is a bound: `v1.x.3-pre+build`, parts after the first may be missing.
fn bound_length(text: &str) -> Option<usize> {
    let part = |text: &str| text.find(|c: char| !(c.is_ascii_digit() || "xX*|".contains(c))).unwrap_or(text.len());
    let word = |text: &str| text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(text.len());
    let mut length = usize::from(text.starts_with('v'));
    match part(&text[length..]) {
        0 => return None,
        first => length += first,
    }
    for _ in 0..2 {
        match text[length..].strip_prefix('.').map(part) {
            None | Some(0) => break,
            Some(next) => length += 1 + next,
        }
    }
    for sign in ['-', '+'] {
        let Some(first @ 1..) = text[length..].strip_prefix(sign).map(word) else { continue };
        length += 1 + first;
        while let Some(next @ 1..) = text[length..].strip_prefix('.').map(word) {
            length += 1 + next;
        }
    }
    Some(length)
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', '\n', '\r', '\x0c'])
}
