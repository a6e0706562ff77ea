//! Semantic versions and ranges as Masterminds/semver v3 reads them, which Flux and Helm use.
//!
//! Start with [`Constraints::parse`] and [`Constraints::check`]. Ranges differ from Cargo's and npm's in many corners:
//! a bare `1.2` means any patch of it, and a pre-release matches only where the range names one.

mod constraint;
mod version;

pub use constraint::{ConstraintError, Constraints};
pub use version::{Version, VersionError};

/// The highest of some texts that are versions in the range; among equals the first. Texts that are no versions are skipped.
#[must_use]
pub fn highest<'a>(constraints: &Constraints, texts: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best: Option<(Version, &str)> = None;
    for text in texts {
        let Ok(version) = Version::parse_three_part(text) else { continue };
        let higher = best.as_ref().is_none_or(|(best, _)| version.cmp_precedence(best).is_gt());
        if constraints.check(&version) && higher {
            best = Some((version, text));
        }
    }
    best.map(|(_, text)| text)
}

#[cfg(test)]
mod tests;
