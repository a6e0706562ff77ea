//! Which files of a source are left out: built-in patterns, `.sourceignore` files, `spec.ignore`.

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

/// All patterns of one source. The last one that matches decides.
#[derive(Debug, Clone)]
pub struct IgnoreRules {
    patterns: Vec<Pattern>,
}

/// One line, in the grammar of `.gitignore` with the deviations of Flux: an excluded directory does not hide
/// what a later line brings back.
#[derive(Debug, Clone)]
struct Pattern {
    /// The directory whose file has the line; paths are read relative to it.
    directory: TreePath,
    includes: bool,
    directories_only: bool,
    segments: Vec<String>,
}

impl IgnoreRules {
    /// The rules of a tree: its `.sourceignore` files in the order of the walk, then `spec_ignore`.
    ///
    /// # Errors
    /// If a `.sourceignore` file cannot be read.
    pub fn of(tree: &Tree, spec_ignore: Option<&str>) -> Result<Self, ReadError> {
        let mut own = Vec::new();
        collect(tree, &TreePath::root(), &mut own)?;
        own.extend(parse(spec_ignore.unwrap_or_default(), &TreePath::root()));

        let built_in = if own.is_empty() { UNWANTED } else { &[] };
        let mut patterns: Vec<Pattern> =
            VCS.iter().chain(built_in).map(|line| Pattern::parse(line, &TreePath::root())).collect();
        patterns.append(&mut own);
        Ok(Self { patterns })
    }

    /// Says whether a path is left out.
    #[must_use]
    pub fn excludes(&self, path: &TreePath, kind: EntryKind) -> bool {
        let parts: Vec<&str> = path.parts().collect();
        let decisive = self.patterns.iter().rev().find(|pattern| pattern.matches(path, &parts, kind));
        decisive.is_some_and(|pattern| !pattern.includes)
    }

    /// The tree without what is left out.
    #[must_use]
    pub fn apply(&self, tree: &Tree) -> Tree {
        tree.filtered(|path, kind| !self.excludes(path, kind))
    }
}

/// A directory's own file comes before those of its subdirectories.
fn collect(tree: &Tree, directory: &TreePath, patterns: &mut Vec<Pattern>) -> Result<(), ReadError> {
    let file = directory.entry(IGNORE_FILE);
    if tree.file(&file).is_some() {
        let bytes = tree.read(&file)?;
        patterns.extend(parse(&String::from_utf8_lossy(&bytes), directory));
    }
    for (path, kind) in tree.list(directory)? {
        if kind == EntryKind::Directory && path.file_name() != ".git" {
            collect(tree, &path, patterns)?;
        }
    }
    Ok(())
}

fn parse<'a>(text: &'a str, directory: &'a TreePath) -> impl Iterator<Item = Pattern> + 'a {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| Pattern::parse(line, directory))
}

impl Pattern {
    fn parse(line: &str, directory: &TreePath) -> Self {
        let (includes, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
        // A trailing space counts only after a backslash.
        let line = if line.ends_with("\\ ") { line } else { line.trim_end_matches(' ') };
        let (directories_only, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
        let segments = line.split('/').map(str::to_owned).collect();
        Self { directory: directory.clone(), includes, directories_only, segments }
    }

    fn matches(&self, path: &TreePath, parts: &[&str], kind: EntryKind) -> bool {
        if path == &self.directory || !path.starts_with(&self.directory) {
            return false;
        }
        let relative = &parts[self.directory.parts().count()..];
        match self.segments.as_slice() {
            [name] => self.matches_any_part(name, relative, kind),
            segments => self.matches_anchored(segments, relative, kind),
        }
    }

    /// A pattern without `/` may name the entry or any directory above it.
    fn matches_any_part(&self, name: &str, path: &[&str], kind: EntryKind) -> bool {
        match path.iter().position(|part| glob(name, part)) {
            Some(found) => found + 1 < path.len() || self.allows(kind),
            None => false,
        }
    }

    /// A pattern with `/` names a path from its own directory; what lies below a match is matched too.
    fn matches_anchored(&self, segments: &[String], mut path: &[&str], kind: EntryKind) -> bool {
        let mut matched = false;
        let mut any_depth = false;
        for (index, segment) in segments.iter().enumerate() {
            let last = index + 1 == segments.len();
            match segment.as_str() {
                "" => any_depth = false,
                "**" if last => break,
                "**" => any_depth = true,
                // Two stars mean something only as a whole segment.
                segment if segment.contains("**") => return false,
                segment => {
                    let reach = if any_depth { path.len() } else { path.len().min(1) };
                    match path[..reach].iter().position(|part| glob(segment, part)) {
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

/// Matches a name as Go's `filepath.Match` does: `*`, `?`, `[a-z]`, `[^a]`, `\x`. A malformed pattern matches nothing.
fn glob(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // The last star seen, and how much of the name it takes.
    let mut star: Option<(usize, usize)> = None;
    let (mut p, mut n) = (0, 0);
    loop {
        if pattern.get(p) == Some(&'*') {
            star = Some((p + 1, n));
            p += 1;
            continue;
        }
        let step = match (pattern.get(p), name.get(n)) {
            (None, None) => return true,
            (Some(_), Some(character)) => one(&pattern[p..], *character),
            _ => Step::No,
        };
        match (step, star) {
            (Step::Malformed, _) | (Step::No, None) => return false,
            (Step::Yes(length), _) => {
                p += length;
                n += 1;
            }
            (Step::No, Some((after, taken))) => {
                if taken >= name.len() {
                    return false;
                }
                star = Some((after, taken + 1));
                p = after;
                n = taken + 1;
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
        let kept = IgnoreRules::of(&tree, spec_ignore).unwrap().apply(&tree);
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
            let verdict = match (pattern_of_line.matches(&path, &parts, kind), pattern_of_line.includes) {
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
}
