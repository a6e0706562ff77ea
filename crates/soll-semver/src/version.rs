//! One version.

use std::cmp::Ordering;
use std::fmt;

/// A version: three numbers, a pre-release, build metadata. Displays as it was written.
#[derive(Debug, Clone)]
pub struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) pre: String,
    metadata: String,
    original: String,
}

/// A text that is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not of the form `1.2.3-pre+build`.
    #[error("`{0}` is no semantic version")]
    Form(String),
    /// Longer than any sane version.
    #[error("the version is longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// A number beyond 64 bits.
    #[error("`{0}` has a number that is too large")]
    TooLarge(String),
    /// A numeric part of the pre-release like `01`.
    #[error("`{0}` has a pre-release number that starts with zero")]
    LeadingZero(String),
}

const MAX_LENGTH: usize = 256;

impl Version {
    /// Reads a version leniently: `v` in front, missing parts and leading zeros are fine.
    ///
    /// # Errors
    /// See [`VersionError`].
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        if text.len() > MAX_LENGTH {
            return Err(VersionError::TooLong);
        }
        let form = || VersionError::Form(text.to_owned());
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (rest, metadata) = rest.split_once('+').map_or((rest, None), |(rest, metadata)| (rest, Some(metadata)));
        let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(rest, pre)| (rest, Some(pre)));
        if pre.into_iter().chain(metadata).any(|part| !is_dotted(part)) {
            return Err(form());
        }
        let parts: Vec<&str> = numbers.split('.').collect();
        if parts.len() > 3 || parts.iter().any(|part| !is_number(part)) {
            return Err(form());
        }
        let number = |index: usize| match parts.get(index) {
            Some(part) => part.parse::<u64>().map_err(|_| VersionError::TooLarge(text.to_owned())),
            None => Ok(0),
        };
        let pre = pre.unwrap_or_default();
        if pre.split('.').any(|part| part.len() > 1 && part.starts_with('0') && is_number(part)) {
            return Err(VersionError::LeadingZero(text.to_owned()));
        }
        Ok(Self {
            major: number(0)?,
            minor: number(1)?,
            patch: number(2)?,
            pre: pre.to_owned(),
            metadata: metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        })
    }

    /// Reads a version as Flux reads tags: leniently, but with three parts between dots.
    ///
    /// # Errors
    /// See [`VersionError`].
    pub fn parse_three_part(text: &str) -> Result<Self, VersionError> {
        if text.matches('.').count() < 2 {
            return Err(VersionError::Form(text.to_owned()));
        }
        Self::parse(text)
    }

    /// The first number.
    #[must_use]
    pub fn major(&self) -> u64 {
        self.major
    }

    /// The second number.
    #[must_use]
    pub fn minor(&self) -> u64 {
        self.minor
    }

    /// The third number.
    #[must_use]
    pub fn patch(&self) -> u64 {
        self.patch
    }

    /// What follows `-`; empty for a release.
    #[must_use]
    pub fn prerelease(&self) -> &str {
        &self.pre
    }

    /// What follows `+`.
    #[must_use]
    pub fn metadata(&self) -> &str {
        &self.metadata
    }

    /// With three numbers, without `v`, whatever was written.
    #[must_use]
    pub fn normal(&self) -> String {
        let mut out = format!("{}.{}.{}", self.major, self.minor, self.patch);
        for (mark, part) in [('-', &self.pre), ('+', &self.metadata)] {
            if !part.is_empty() {
                out.push(mark);
                out.push_str(part);
            }
        }
        out
    }

    /// The next major release; nothing if there is no larger number.
    #[must_use]
    pub fn next_major(&self) -> Option<Self> {
        Some(self.like(self.major.checked_add(1)?, 0, 0, "", ""))
    }

    /// The next minor release; nothing if there is no larger number.
    #[must_use]
    pub fn next_minor(&self) -> Option<Self> {
        Some(self.like(self.major, self.minor.checked_add(1)?, 0, "", ""))
    }

    /// The next patch release, which is the release itself after its pre-releases; nothing if there is no larger number.
    #[must_use]
    pub fn next_patch(&self) -> Option<Self> {
        let patch = if self.pre.is_empty() { self.patch.checked_add(1)? } else { self.patch };
        Some(self.like(self.major, self.minor, patch, "", ""))
    }

    /// The same with another pre-release, or none.
    ///
    /// # Errors
    /// See [`VersionError`].
    pub fn with_prerelease(&self, pre: &str) -> Result<Self, VersionError> {
        let form = || VersionError::Form(pre.to_owned());
        for part in pre.split('.').filter(|_| !pre.is_empty()) {
            if part.len() > 1 && part.starts_with('0') && is_number(part) {
                return Err(VersionError::LeadingZero(pre.to_owned()));
            }
            if !is_dotted(part) {
                return Err(form());
            }
        }
        Ok(self.like(self.major, self.minor, self.patch, pre, &self.metadata))
    }

    /// The same with other build metadata, or none.
    ///
    /// # Errors
    /// See [`VersionError`].
    pub fn with_metadata(&self, metadata: &str) -> Result<Self, VersionError> {
        if !metadata.is_empty() && !is_dotted(metadata) {
            return Err(VersionError::Form(metadata.to_owned()));
        }
        Ok(self.like(self.major, self.minor, self.patch, &self.pre, metadata))
    }

    /// Another version, written with a `v` if this one is.
    fn like(&self, major: u64, minor: u64, patch: u64, pre: &str, metadata: &str) -> Self {
        let (pre, metadata) = (pre.to_owned(), metadata.to_owned());
        let mut version = Self { major, minor, patch, pre, metadata, original: String::new() };
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        version.original = format!("{prefix}{}", version.normal());
        version
    }

    /// The order of semver: build metadata does not count, so different versions may be equal.
    #[must_use]
    pub fn cmp_precedence(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| compare_pre(&self.pre, &other.pre))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.original)
    }
}

/// A release is above its pre-releases; numbers are below words; fewer parts are below more.
pub(crate) fn compare_pre(one: &str, other: &str) -> Ordering {
    match (one.is_empty(), other.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut ones, mut others) = (one.split('.'), other.split('.'));
    loop {
        let order = match (ones.next(), others.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => match (one.parse::<u64>(), other.parse::<u64>()) {
                (Ok(one), Ok(other)) => one.cmp(&other),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => one.cmp(other),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// Dot-separated parts of letters, digits and hyphens, none empty.
fn is_dotted(text: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.split('.').all(is_part)
}
