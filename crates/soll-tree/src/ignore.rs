//! Which files of a source are left out: built-in patterns, `.sourceignore` files, `spec.ignore`.

use std::cell::Cell;

use crate::{EntryKind, FileTree as _, ReadError, Tree, TreePath};

/// The file that holds patterns for its directory.
pub const IGNORE_FILE: &str = ".sourceignore";

/// Left out unless a pattern says otherwise.
const VCS: &[&str] = &[".git/", ".gitignore", ".gitmodules", ".gitattributes"];

/// Left out, besides [`VCS`], where a source has no patterns of its own.
const UNWANTED: &[&str] = &[
    // Pictures, films, archives.
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    // Build services.
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    // Other tools' settings.
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// The patterns that one source may have. Default patterns count too.
const MAX_PATTERNS: usize = 10_000;
/// What all its `.sourceignore` files and `spec.ignore` may have together, comments included.
const MAX_BYTES: u64 = 1 << 20;
/// What comparing all its paths with all patterns may cost, in comparisons and characters: some ten seconds.
const MAX_STEPS: u64 = 5_000_000_000;

/// All patterns of one source. The last one that matches decides.
#[derive(Debug, Clone)]
pub struct IgnoreRules {
    patterns: Vec<Pattern>,
}

/// Patterns that cannot be read or applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// A file with patterns cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// There are too many of them.
    #[error("with {place} the source has more than {limit} ignore patterns; name directories instead of single files")]
    Patterns {
        /// The file, or `spec.ignore`, with the first pattern too many.
        place: String,
        /// The limit.
        limit: usize,
    },
    /// They are too long together.
    #[error("with {place} the ignore patterns of the source are longer than {limit} bytes together")]
    Bytes {
        /// The file, or `spec.ignore`, with which they are.
        place: String,
        /// The limit.
        limit: u64,
    },
    /// Comparing them with all paths takes too long.
    #[error(
        "{patterns} ignore patterns take too long to compare with all paths of the source; use fewer, with fewer `*`"
    )]
    Work {
        /// How many patterns there are.
        patterns: usize,
    },
}

/// One line, in the grammar of `.gitignore` with the deviations of Flux: an excluded directory does not hide
/// what a later line brings back.
#[derive(Debug, Clone)]
struct Pattern {
    /// The directory whose file has the line; paths are read relative to it.
    directory: TreePath,
    /// Names in that path.
    depth: usize,
    includes: bool,
    directories_only: bool,
    segments: Vec<Segment>,
}

/// What stands between two `/` of a pattern.
#[derive(Debug, Clone)]
enum Segment {
    Empty,
    /// `**`
    AnyDepth,
    /// Two stars mean something only as a whole segment.
    Never,
    Name(Glob),
}

impl IgnoreRules {
    /// The rules of a tree: its `.sourceignore` files in the order of the walk, then `spec_ignore`.
    ///
    /// # Errors
    /// If a `.sourceignore` file cannot be read, or there are more or longer patterns than we compare.
    pub fn of(tree: &Tree, spec_ignore: Option<&str>) -> Result<Self, IgnoreError> {
        let mut own = Collected::default();
        own.collect(tree, &TreePath::root())?;
        let spec_ignore = spec_ignore.unwrap_or_default();
        own.count(spec_ignore.len() as u64, "spec.ignore")?;
        own.parse(spec_ignore, &TreePath::root(), "spec.ignore")?;

        let built_in = if own.patterns.is_empty() { UNWANTED } else { &[] };
        let mut patterns: Vec<Pattern> =
            VCS.iter().chain(built_in).map(|line| Pattern::parse(line, &TreePath::root())).collect();
        patterns.append(&mut own.patterns);
        Ok(Self { patterns })
    }

    /// Says whether a path is left out.
    #[must_use]
    pub fn excludes(&self, path: &TreePath, kind: EntryKind) -> bool {
        self.decide(path, kind, &mut 0)
    }

    /// The tree without what is left out.
    ///
    /// # Errors
    /// [`IgnoreError::Work`]
    pub fn apply(&self, tree: &Tree) -> Result<Tree, IgnoreError> {
        self.apply_within(tree, MAX_STEPS)
    }

    fn apply_within(&self, tree: &Tree, max_steps: u64) -> Result<Tree, IgnoreError> {
        let taken = Cell::new(0);
        let tree = tree.filtered(|path, kind| {
            let mut steps = taken.get();
            let keep = steps <= max_steps && !self.decide(path, kind, &mut steps);
            taken.set(steps);
            keep
        });
        if taken.get() > max_steps { Err(IgnoreError::Work { patterns: self.patterns.len() }) } else { Ok(tree) }
    }

    /// Whether a path is left out; counts in `steps` what it takes to find out.
    fn decide(&self, path: &TreePath, kind: EntryKind, steps: &mut u64) -> bool {
        let parts: Vec<&str> = path.parts().collect();
        *steps += parts.len() as u64;
        let decisive = self.patterns.iter().rev().find(|pattern| pattern.matches(path, &parts, kind, steps));
        decisive.is_some_and(|pattern| !pattern.includes)
    }
}

/// The patterns of a source while they are read.
#[derive(Default)]
struct Collected {
    patterns: Vec<Pattern>,
    bytes: u64,
}

impl Collected {
    /// A directory's own file comes before those of its subdirectories.
    fn collect(&mut self, tree: &Tree, directory: &TreePath) -> Result<(), IgnoreError> {
        let file = directory.entry(IGNORE_FILE);
        if let Some(entry) = tree.file(&file) {
            let place = format!("`{file}`");
            self.count(entry.size, &place)?;
            let bytes = tree.read(&file)?;
            self.parse(&String::from_utf8_lossy(&bytes), directory, &place)?;
        }
        for (path, kind) in tree.list(directory)? {
            if kind == EntryKind::Directory && path.file_name() != ".git" {
                self.collect(tree, &path)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, bytes: u64, place: &str) -> Result<(), IgnoreError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_BYTES {
            return Err(IgnoreError::Bytes { place: place.to_owned(), limit: MAX_BYTES });
        }
        Ok(())
    }

    fn parse(&mut self, text: &str, directory: &TreePath, place: &str) -> Result<(), IgnoreError> {
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            if self.patterns.len() == MAX_PATTERNS {
                return Err(IgnoreError::Patterns { place: place.to_owned(), limit: MAX_PATTERNS });
            }
            self.patterns.push(Pattern::parse(line, directory));
        }
        Ok(())
    }
}

impl Pattern {
    fn parse(line: &str, directory: &TreePath) -> Self {
        let (includes, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        // A trailing space counts only after a backslash.
        let line = if line.ends_with("\\ ") { line } else { line.trim_end_matches(' ') };
        let (directories_only, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
        let segments = if line.contains('/') {
            line.split('/').map(Segment::parse).collect()
        } else {
            vec![Segment::Name(Glob::parse(line))]
        };
        let depth = directory.parts().count();
        Self { directory: directory.clone(), depth, includes, directories_only, segments }
    }

    fn matches(&self, path: &TreePath, parts: &[&str], kind: EntryKind, steps: &mut u64) -> bool {
        *steps += 1;
        if self.depth > 0 && (parts.len() <= self.depth || !path.starts_with(&self.directory)) {
            return false;
        }
        let relative = &parts[self.depth..];
        match self.segments.as_slice() {
            [Segment::Name(name)] => self.matches_any_part(name, relative, kind, steps),
            segments => self.matches_anchored(segments, relative, kind, steps),
        }
    }

    /// A pattern without `/` may name the entry or any directory above it.
    fn matches_any_part(&self, name: &Glob, path: &[&str], kind: EntryKind, steps: &mut u64) -> bool {
        match path.iter().position(|part| name.matches(part, steps)) {
            Some(found) => found + 1 < path.len() || self.allows(kind),
            None => false,
        }
    }

    /// A pattern with `/` names a path from its own directory; what lies below a match is matched too.
    fn matches_anchored(&self, segments: &[Segment], mut path: &[&str], kind: EntryKind, steps: &mut u64) -> bool {
        let mut matched = false;
        let mut any_depth = false;
        for (index, segment) in segments.iter().enumerate() {
            *steps += 1;
            let last = index + 1 == segments.len();
            match segment {
                Segment::Empty => any_depth = false,
                Segment::AnyDepth if last => break,
                Segment::AnyDepth => any_depth = true,
                Segment::Never => return false,
                Segment::Name(name) => {
                    let reach = if any_depth { path.len() } else { path.len().min(1) };
                    match path[..reach].iter().position(|part| name.matches(part, steps)) {
                        Some(found) => {
                            matched = true;
                            path = &path[found + 1..];
                        }
                        None if any_depth && !path.is_empty() => {
                            matched = false;
                            path = &[];
                        }
                        None => return false,
                    }
                    any_depth = false;
                }
            }
        }
        matched && (!path.is_empty() || self.allows(kind))
    }

    fn allows(&self, kind: EntryKind) -> bool {
        !self.directories_only || kind == EntryKind::Directory
    }
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text {
            "" => Self::Empty,
            "**" => Self::AnyDepth,
            text if text.contains("**") => Self::Never,
            text => Self::Name(Glob::parse(text)),
        }
    }
}

/// A name as Go's `filepath.Match` reads it: `*`, `?`, `[a-z]`, `[^a]`, `\x`. A malformed one matches nothing.
#[derive(Debug, Clone)]
enum Glob {
    /// Nothing of that.
    Literal(Box<str>),
    /// Nothing of that but one star before it.
    Suffix(Box<str>),
    /// Nothing of that but one star behind it.
    Prefix(Box<str>),
    /// What takes looking at each character.
    General(Box<[char]>),
}

impl Glob {
    fn parse(text: &str) -> Self {
        let is_literal = |text: &str| !text.contains(['*', '?', '[', '\\']);
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            _ if is_literal(text) => Self::Literal(text.into()),
            (Some(rest), _) if is_literal(rest) => Self::Suffix(rest.into()),
            (_, Some(rest)) if is_literal(rest) => Self::Prefix(rest.into()),
            _ => Self::General(text.chars().collect()),
        }
    }

    fn matches(&self, name: &str, steps: &mut u64) -> bool {
        *steps += 1;
        match self {
            Self::Literal(text) => name == &**text,
            Self::Suffix(end) => name.ends_with(&**end),
            Self::Prefix(start) => name.starts_with(&**start),
            Self::General(pattern) => general(pattern, name, steps),
        }
    }
}

fn general(pattern: &[char], name: &str, steps: &mut u64) -> bool {
    // The last star seen, and where what it leaves of the name begins.
    let mut star: Option<(usize, &str)> = None;
    let (mut p, mut rest) = (0, name);
    loop {
        *steps += 1;
        if pattern.get(p) == Some(&'[') {
            *steps += (pattern.len() - p) as u64;
        }
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, rest));
            p += 1;
            continue;
        }
        let mut left = rest.chars();
        let step = match (pattern.get(p), left.next()) {
            (None, None) => return true,
            (Some(_), Some(character)) => one(&pattern[p..], character),
            _ => Step::No,
        };
        match (step, star) {
            (Step::Malformed, _) | (Step::No, None) => return false,
            (Step::Yes(length), _) => {
                p += length;
                rest = left.as_str();
            }
            (Step::No, Some((after, begin))) => {
                let mut left = begin.chars();
                if left.next().is_none() {
                    return false;
                }
                star = Some((after, left.as_str()));
                p = after;
                rest = left.as_str();
            }
        }
    }
}

/// What one element of a pattern says to one character.
#[derive(Clone, Copy)]
enum Step {
    /// It matches and is this long.
    Yes(usize),
    No,
    Malformed,
}

fn one(pattern: &[char], character: char) -> Step {
    match pattern[0] {
        '?' => Step::Yes(1),
        '\\' => match pattern.get(1) {
            None => Step::Malformed,
            Some(escaped) if *escaped == character => Step::Yes(2),
            Some(_) => Step::No,
        },
        '[' => class(pattern, character),
        literal if literal == character => Step::Yes(1),
        _ => Step::No,
    }
}

fn class(pattern: &[char], character: char) -> Step {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&'^');
    at += usize::from(negated);
    let (mut found, mut ranges) = (false, 0);
    loop {
        if ranges > 0 && pattern.get(at) == Some(&']') {
            return if found == negated { Step::No } else { Step::Yes(at + 1) };
        }
        let Some(low) = class_character(pattern, &mut at) else { return Step::Malformed };
        let mut high = low;
        if pattern.get(at) == Some(&'-') {
            at += 1;
            let Some(end) = class_character(pattern, &mut at) else { return Step::Malformed };
            high = end;
        }
        found |= (low..=high).contains(&character);
        ranges += 1;
    }
}

fn class_character(pattern: &[char], at: &mut usize) -> Option<char> {
    let character = match pattern.get(*at)? {
        '-' | ']' => return None,
        '\\' => {
            *at += 1;
            *pattern.get(*at)?
        }
        character => *character,
    };
    *at += 1;
    // A class must go on: at least its bracket follows.
    pattern.get(*at).map(|_| character)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn kept(files: &[(&str, &str)], spec_ignore: Option<&str>) -> Vec<String> {
        let tree = Tree::in_memory(files.iter().copied()).unwrap();
        let kept = IgnoreRules::of(&tree, spec_ignore).unwrap().apply(&tree).unwrap();
        kept.walk().filter(|(_, entry)| entry.kind() == EntryKind::File).map(|(path, _)| path.to_string()).collect()
    }

    /// Recorded from Flux's own matcher: `pattern <tab> path <tab> f|d <tab> none|exclude|include`.
    #[test]
    fn patterns_match_as_recorded_from_flux() {
        let mut count = 0;
        for line in include_str!("../testdata/ignore.tsv").lines() {
            let [pattern, path, kind, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let kind = if kind == "d" { EntryKind::Directory } else { EntryKind::File };
            let pattern_of_line = Pattern::parse(pattern, &TreePath::root());
            let path: TreePath = path.parse().unwrap();
            let parts: Vec<&str> = path.parts().collect();
            let verdict = match (pattern_of_line.matches(&path, &parts, kind, &mut 0), pattern_of_line.includes) {
                (false, _) => "none",
                (true, false) => "exclude",
                (true, true) => "include",
            };
            assert_eq!(verdict, expected, "{line}");
            count += 1;
        }
        assert!(count > 1000, "the table has {count} rows");
    }

    #[test]
    fn a_source_without_patterns_gets_all_built_in_ones() {
        let files =
            [(".gitignore", ""), ("logo.png", ""), (".github/x.yaml", ""), ("a/.sops.yaml", ""), ("a/k.yaml", "")];
        assert_eq!(kept(&files, None), ["a/k.yaml"]);
        assert_eq!(kept(&files, Some("# only a comment\n \n")), ["a/k.yaml"]);
    }

    #[test]
    fn one_pattern_leaves_only_the_vcs_ones() {
        let files = [(".gitignore", ""), ("logo.png", ""), ("a/k.yaml", ""), ("a/x", "")];
        assert_eq!(kept(&files, Some("x")), ["a/k.yaml", "logo.png"]);
        assert_eq!(kept(&files, Some("!.gitignore")), [".gitignore", "a/k.yaml", "a/x", "logo.png"]);
    }

    #[test]
    fn a_file_speaks_for_its_directory_and_spec_ignore_has_the_last_word() {
        let files = [("a/.sourceignore", "/x\n"), ("a/x", ""), ("a/b/x", ""), ("x", "")];
        assert_eq!(kept(&files, None), ["a/.sourceignore", "a/b/x", "x"]);
        assert_eq!(kept(&files, Some("!/a/x\n.sourceignore")), ["a/b/x", "a/x", "x"]);
    }

    #[test]
    fn what_lies_below_an_excluded_directory_can_be_brought_back() {
        let files = [("a/b/keep.yaml", ""), ("a/c", ""), ("d", "")];
        assert_eq!(kept(&files, Some("/*\n!/a/b/keep.yaml")), ["a/b/keep.yaml"]);
    }

    /// What [`Glob`] has short ways for must be what the long way says.
    #[test]
    fn short_ways_of_matching_lead_to_the_same() {
        let names = ["", "a", "ab", "ba", "aab", "]", "é", "aé", "*", "a-b"];
        for pattern in ["", "a", "*", "*a", "a*", "**", "*b", "]", "*é", "é*", "ab", "a]*", "*-b"] {
            let glob = Glob::parse(pattern);
            let pattern: Vec<char> = pattern.chars().collect();
            for name in names {
                assert_eq!(glob.matches(name, &mut 0), general(&pattern, name, &mut 0), "{pattern:?} {name}");
            }
        }
    }

    #[test]
    fn more_patterns_than_anybody_writes_are_refused_by_the_name_of_their_file() {
        let refusal = |files: &[(&str, String)], spec: Option<&str>| {
            let tree = Tree::in_memory(files.iter().map(|(path, text)| (*path, text.as_str()))).unwrap();
            IgnoreRules::of(&tree, spec).unwrap_err()
        };
        let half = "x\n".repeat(MAX_PATTERNS / 2);
        let place = "`b/.sourceignore`".to_owned();
        let files = [("a/.sourceignore", half.clone()), ("b/.sourceignore", format!("{half}x"))];
        assert_eq!(refusal(&files, None), IgnoreError::Patterns { place: place.clone(), limit: MAX_PATTERNS });
        let files = [("a/.sourceignore", half.clone()), ("b/.sourceignore", half)];
        let error = refusal(&files, Some("y"));
        assert_eq!(error, IgnoreError::Patterns { place: "spec.ignore".to_owned(), limit: MAX_PATTERNS });
        let files = [("b/.sourceignore", format!("#{}\nx", " ".repeat(1 << 20)))];
        assert_eq!(refusal(&files, None), IgnoreError::Bytes { place, limit: MAX_BYTES });
    }

    #[test]
    fn patterns_that_take_too_long_are_refused() {
        let tree = Tree::in_memory([("a".repeat(200), "")]).unwrap();
        let rules = IgnoreRules::of(&tree, Some("*a*a*a*a*b?\n")).unwrap();
        assert_eq!(rules.apply_within(&tree, 100), Err(IgnoreError::Work { patterns: VCS.len() + 1 }));
        assert_eq!(rules.apply(&tree), Ok(tree));
    }
}
