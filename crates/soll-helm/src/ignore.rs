//! `.helmignore`.

use crate::glob::{PathPattern, PatternError};

/// The patterns of a chart's `.helmignore`.
pub(crate) struct HelmIgnore {
    patterns: Vec<Pattern>,
}

struct Pattern {
    glob: PathPattern,
    negated: bool,
    directories_only: bool,
    /// Without a slash only the last name counts.
    base_only: bool,
}

/// A line of `.helmignore` that Helm refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// `**` is for `.gitignore`.
    #[error("double-star (**) syntax is not supported")]
    DoubleStar,
    /// A pattern that cannot be read.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl HelmIgnore {
    /// Reads the file's text, and adds what Helm always leaves out: hidden files directly below `templates/`.
    pub(crate) fn parse(text: &str) -> Result<Self, IgnoreError> {
        let mut ignore = Self { patterns: Vec::new() };
        for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines().chain(["templates/.?*"]) {
            ignore.add(line.trim())?;
        }
        Ok(ignore)
    }

    fn add(&mut self, line: &str) -> Result<(), IgnoreError> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.contains("**") {
            return Err(IgnoreError::DoubleStar);
        }
        let (negated, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        let (directories_only, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
        let (base_only, line) = line.strip_prefix('/').map_or((!line.contains('/'), line), |rest| (false, rest));
        self.patterns.push(Pattern { glob: PathPattern::parse(line)?, negated, directories_only, base_only });
        Ok(())
    }

    /// Says whether a path of the chart is left out. The first pattern that decides wins; a negated one decides
    /// against all that it does not match, which is not what `!` means in `.gitignore`.
    pub(crate) fn excludes(&self, path: &str, is_directory: bool) -> bool {
        for pattern in &self.patterns {
            if pattern.negated {
                if (pattern.directories_only && !is_directory) || !pattern.matches(path) {
                    return true;
                }
            } else if (!pattern.directories_only || is_directory) && pattern.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        let name = if self.base_only { path.rsplit_once('/').map_or(path, |(_, base)| base) } else { path };
        self.glob.matches(name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_match_names_paths_and_directories() {
        let ignore = HelmIgnore::parse("# a comment\n *.swp \n/top.txt\ndir/\ndocs/*.md\n").unwrap();
        for (path, is_directory, expected) in [
            ("a.swp", false, true),
            ("templates/deep/a.swp", false, true),
            ("top.txt", false, true),
            ("sub/top.txt", false, false),
            ("dir", true, true),
            ("dir", false, false),
            ("docs/a.md", false, true),
            ("x/docs/a.md", false, false),
            ("templates/.hidden", false, true),
            ("values.yaml", false, false),
        ] {
            assert_eq!(ignore.excludes(path, is_directory), expected, "{path}");
        }
    }

    #[test]
    fn a_negated_pattern_excludes_all_else() {
        let ignore = HelmIgnore::parse("!keep").unwrap();
        assert!(ignore.excludes("other", false) && !ignore.excludes("keep", false));
    }

    #[test]
    fn bad_lines_are_refused() {
        assert_eq!(HelmIgnore::parse("a/**").err(), Some(IgnoreError::DoubleStar));
        assert!(HelmIgnore::parse("[").is_err());
    }
}
