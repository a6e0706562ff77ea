//! Paths that cannot leave the tree.

use std::fmt;
use std::str::FromStr;

/// A path relative to the root of a tree: `/`-separated, normalised, never leaving it. The root is the empty text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TreePath(String);

/// A path that leaves the tree or is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Absolute.
    #[error("`{0}` is absolute; paths are relative to the root of the source")]
    Absolute(String),
    /// Has more `..` than parents.
    #[error("`{0}` leads out of the source")]
    Escapes(String),
    /// Has a NUL byte or a backslash at a place where file systems disagree.
    #[error("`{0}` has a character that no path may have")]
    Character(String),
}

impl TreePath {
    /// The root of the tree.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Says whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as text, without leading `/`; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path that `relative` names when read in this directory; `..` may lead up, but not out.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn join(&self, relative: &str) -> Result<Self, PathError> {
        if relative.starts_with('/') {
            return Err(PathError::Absolute(relative.to_owned()));
        }
        if relative.contains('\0') {
            return Err(PathError::Character(relative.replace('\0', "\\0")));
        }
        let mut parts: Vec<&str> = if self.is_root() { Vec::new() } else { self.0.split('/').collect() };
        for part in relative.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop().ok_or_else(|| PathError::Escapes(relative.to_owned()))?;
                }
                name => parts.push(name),
            }
        }
        Ok(Self(parts.join("/")))
    }

    /// The path of an entry of this directory, by its bare name.
    ///
    /// # Errors
    /// If the name is empty, `.`, `..`, or has a `/` or NUL in it.
    pub fn child(&self, name: &str) -> Result<Self, PathError> {
        match name {
            "" | "." | ".." => Err(PathError::Escapes(name.to_owned())),
            _ if name.starts_with('/') => Err(PathError::Absolute(name.to_owned())),
            _ if name.contains(['/', '\0']) => Err(PathError::Character(name.replace('\0', "\\0"))),
            _ => Ok(self.entry(name)),
        }
    }

    /// The path of an entry whose name is known to be one.
    pub(crate) fn entry(&self, name: &str) -> Self {
        if self.is_root() { Self(name.to_owned()) } else { Self(format!("{}/{name}", self.0)) }
    }

    /// The names from the root down; none for the root.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// Says whether this path is `directory` or below it.
    #[must_use]
    pub fn starts_with(&self, directory: &Self) -> bool {
        directory.is_root()
            || self.0.strip_prefix(&directory.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The directory that holds this path; none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned())))
    }

    /// The last part; empty for the root.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl FromStr for TreePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::root().join(text)
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        let base: TreePath = "apps/base".parse().expect("fine");
        assert_eq!(base.join("../overlay/./x").expect("inside").as_str(), "apps/overlay/x");
        assert_eq!(base.join("../..").expect("the root").as_str(), "");
        assert_eq!(base.join("../../.."), Err(PathError::Escapes("../../..".to_owned())));
        assert!(base.starts_with(&TreePath::root()) && !base.starts_with(&"app".parse().expect("fine")));
        for name in ["", "..", "a/b", "/a", "nul\0"] {
            assert!(base.child(name).is_err(), "{name:?}");
        }
        assert_eq!(base.join("/etc"), Err(PathError::Absolute("/etc".to_owned())));
    }
}
