//! Places inside a value.

use std::fmt;

use crate::{Str, Value};

/// A path from the root of a value to a node: `spec.containers[0].image`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct FieldPath(pub Vec<Step>);

/// One step of a [`FieldPath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into a map.
    Key(Str),
    /// Into a list, from 0.
    Index(usize),
}

impl FieldPath {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Reads the form that Kubernetes' error causes use: `spec.containers[0].image`, `data[a.b]`.
    ///
    /// Never fails: what is not understood becomes a key.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut steps = Vec::new();
        let mut rest = text.strip_prefix('.').unwrap_or(text);
        while !rest.is_empty() {
            if let Some((inner, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                let inner = inner.trim_matches('"');
                steps.push(inner.parse().map_or_else(|_| Step::Key(inner.into()), Step::Index));
                rest = after.strip_prefix('.').unwrap_or(after);
                continue;
            }
            let end = rest[1..].find(['.', '[']).map_or(rest.len(), |found| found + 1);
            steps.push(Step::Key(rest[..end].into()));
            rest = rest[end..].strip_prefix('.').unwrap_or(&rest[end..]);
        }
        Self(steps)
    }

    /// This path with one more key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.into()))
    }

    /// This path with one more index.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The node at the end of the path.
    #[must_use]
    pub fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, step| step.into(value))
    }

    /// The node at the end of the path, or the last one before it that exists.
    #[must_use]
    pub fn nearest<'v>(&self, value: &'v Value) -> &'v Value {
        let mut nearest = value;
        for step in &self.0 {
            let Some(next) = step.into(nearest) else { break };
            nearest = next;
        }
        nearest
    }
}

impl Step {
    fn into<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match self {
            Self::Key(key) => value.get(key),
            Self::Index(index) => value.as_list()?.get(*index),
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if key.contains(['.', '[']) => write!(f, "[{key}]")?,
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_prints() {
        for text in ["spec.containers[0].image", "data[a.b]", "metadata.annotations[x/y.z].w", ""] {
            assert_eq!(FieldPath::parse(text).to_string(), text);
        }
    }
}
