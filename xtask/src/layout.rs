//! Which functions stand together in the binary.
//!
//! The kernel maps a program 64 KiB at a time, around each place that is run. The commands of a laptop run 3,000 functions of
//! 100,000; scattered as the linker finds them, these make it map 7 MiB, together 4. So the linker is told which they are:
//! they are watched under valgrind, on the overlays and charts of the corpus, and written to `crates/soll/layout.ld`.
//! A function that is missing there is where it always was, a name there that is none does nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::repository::Repository;

/// Names of functions of many types are long, and such functions small.
const LONGEST: usize = 400;

/// Watches the commands and writes the file.
pub(crate) fn write(repository: &Repository, binary: Option<PathBuf>) -> Result<()> {
    ensure!(Command::new("valgrind").arg("--version").output().is_ok(), "valgrind is not installed");
    let soll = crate::bench::released(repository, binary)?;
    let soll = soll.canonicalize().with_context(|| format!("cannot find {}", soll.display()))?;
    let folder = std::env::temp_dir().join(format!("soll-layout-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut uses: HashMap<String, usize> = HashMap::new();
    for (number, (directory, arguments)) in commands(repository)?.iter().enumerate() {
        let seen = folder.join(number.to_string());
        for pattern in functions(&soll, directory, arguments, &seen)? {
            *uses.entry(pattern).or_default() += 1;
        }
        fs::remove_file(&seen)?;
    }
    fs::remove_dir_all(&folder)?;
    ensure!(uses.len() > 500, "only {} functions were seen: is the binary stripped?", uses.len());
    let mut patterns: Vec<_> = uses.into_iter().collect();
    patterns.sort_by(|(a, a_uses), (b, b_uses)| b_uses.cmp(a_uses).then_with(|| a.cmp(b)));
    let mut script = String::from(
        "/* What the commands of a laptop run, most used first. Written by `cargo xtask layout`, which says why. */\nSECTIONS\n{\n  \
         .text.commands :\n  {\n",
    );
    for (pattern, _) in &patterns {
        writeln!(script, "    *(.text.{pattern})").expect("a string takes every write");
    }
    script += "  }\n}\nINSERT BEFORE .text;\n";
    let file = repository.root().join("crates/soll/layout.ld");
    fs::write(&file, script).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("{} functions in {}", patterns.len(), file.display());
    Ok(())
}

/// Where commands are run, and their arguments: each overlay and each chart of the corpus.
fn commands(repository: &Repository) -> Result<Vec<(PathBuf, Vec<String>)>> {
    let corpus = repository.root().join("tests/corpus");
    let mut commands = Vec::new();
    for overlay in fs::read_dir(corpus.join("kustomize"))? {
        let overlay = overlay?.path();
        let Ok(case) = fs::read(overlay.join("case.json")) else { continue };
        let case: Value = serde_json::from_slice(&case)?;
        let path = case["path"].as_str().unwrap_or(".").to_owned();
        commands.push((overlay.join("input"), vec!["kustomize".to_owned(), path]));
    }
    let index: Value = serde_json::from_slice(&fs::read(corpus.join("helm-expected/index.json"))?)?;
    for case in index["cases"].as_array().context("the index lists cases")? {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut arguments = vec!["template".to_owned(), "soll-test".to_owned(), text(&case["chart"])];
        arguments.extend(case["args"].as_array().into_iter().flatten().map(text));
        commands.push((corpus.join("charts"), arguments));
    }
    Ok(commands)
}

/// The functions of the binary that a command runs, as patterns of their sections.
fn functions(soll: &Path, directory: &Path, arguments: &[String], seen: &Path) -> Result<Vec<String>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", "--demangle=no"]);
    valgrind.arg(format!("--callgrind-out-file={}", seen.display())).arg(soll).args(arguments);
    valgrind.current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
    // Some of the charts fail on purpose.
    valgrind.status().context("cannot run valgrind")?;
    let text = fs::read_to_string(seen).with_context(|| format!("valgrind saw nothing of {arguments:?}"))?;
    let mut patterns: Vec<String> = text.lines().filter_map(function).map(pattern).collect();
    patterns.retain(|pattern| pattern.len() <= LONGEST);
    patterns.sort();
    patterns.dedup();
    Ok(patterns)
}

/// The name in a line such as `fn=(12) _RNvCs…`, or `cfn=…` for one that is called.
fn function(line: &str) -> Option<&str> {
    let (_, name) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn="))?.split_once(") ")?;
    // What recursion is told apart by, and copies of the optimiser, are no part of it.
    let name = name.split(['\'', '.']).next()?;
    name.starts_with("_R").then_some(name)
}

/// A name without what changes from build to build: the hashes of crates, and references back, which count letters.
fn pattern(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(start) = rest.find(['B', 'C']) {
        let (before, tail) = rest.split_at(start);
        pattern += before;
        let marker = if tail.starts_with("Cs") { 2 } else { 1 };
        let number = tail[marker..].find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(0);
        if (tail.starts_with('B') || marker == 2) && tail[marker + number..].starts_with('_') {
            pattern += &tail[..marker];
            pattern += "*_";
            rest = &tail[marker + number + 1..];
        } else {
            pattern += &tail[..1];
            rest = &tail[1..];
        }
    }
    pattern + rest + "*"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_free_of_what_changes() {
        for (name, expected) in [
            ("_RNvCs4fqI2P2rA04_4soll4main", "_RNvCs*_4soll4main*"),
            (
                "_RNvMs_NtCsl0_5alloc7raw_vecINtB4_6RawVecNtNtCs1a_9soll_yaml5value5ValueE8grow_oneB1j_",
                "_RNvMs_NtCs*_5alloc7raw_vecINtB*_6RawVecNtNtCs*_9soll_yaml5value5ValueE8grow_oneB*_*",
            ),
            ("_RNvNtCs1_1a7Builder", "_RNvNtCs*_1a7Builder*"),
        ] {
            assert_eq!(pattern(name), expected);
        }
    }

    #[test]
    fn functions_are_found_in_what_valgrind_writes() {
        assert_eq!(function("fn=(12) _RNvCs1_1a1b'2"), Some("_RNvCs1_1a1b"));
        assert_eq!(function("cfn=(12) _RNvCs1_1a1b.llvm.77"), Some("_RNvCs1_1a1b"));
        assert_eq!(function("fn=(12)"), None);
        assert_eq!(function("fn=(3) malloc"), None);
    }
}
