//! The engine against kustomize itself, on kustomizations that nobody has written.
//!
//! A seed makes a case; the oracle of `tests/oracles/kustomize` builds it. A case that differs is
//! shrunk and shown. `SOLL_DIFFERENTIAL_CASES` and `SOLL_DIFFERENTIAL_SEED` ask for more and for others, as
//! `cargo xtask differential kustomize` does. `SOLL_DIFFERENTIAL_ANSWERS` names a file that keeps the oracle's answers for
//! the next run, and `SOLL_DIFFERENTIAL_FIRST` stops at the first difference, as `cargo xtask faults kustomize` wants.

#![allow(clippy::print_stderr, reason = "a test says what it tried")]

mod answers;
mod features;
mod objects;
mod oracle;
mod shrinking;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use soll_kustomize::{LoadRestriction, Options, Order, build};

use crate::{Files, difference, printed};
use answers::Answers;
pub(crate) use oracle::Oracle;
use soll_compare::{Asked, Random, number};

/// Cases of a run that does not say how many.
const SAMPLE: u64 = 400;

/// What one build gets.
#[derive(Clone)]
struct Case {
    files: BTreeMap<String, Content>,
    root: String,
    legacy_order: bool,
    root_only: bool,
    /// What it uses, for the count.
    features: BTreeSet<&'static str>,
}

#[derive(Clone)]
enum Content {
    /// Documents, and how they are written.
    Yaml {
        documents: Vec<Value>,
        style: u64,
    },
    Text(String),
    Bytes(Vec<u8>),
}

impl Case {
    fn bytes(&self) -> BTreeMap<String, Vec<u8>> {
        let bytes = |content: &Content| match content {
            Content::Yaml { documents, style } => writing::write(documents, *style).into_bytes(),
            Content::Text(text) => text.clone().into_bytes(),
            Content::Bytes(bytes) => bytes.clone(),
        };
        self.files.iter().map(|(path, content)| (path.clone(), bytes(content))).collect()
    }

    /// What our engine makes of it.
    fn build(&self) -> Result<String, String> {
        let files = Files(self.bytes());
        let options = Options {
            load: if self.root_only { LoadRestriction::RootOnly } else { LoadRestriction::InTree },
            order: if self.legacy_order { Order::Legacy } else { Order::AsRead },
            ..Options::default()
        };
        let root = self.root.parse().unwrap();
        let built = catch_unwind(AssertUnwindSafe(|| build(&files, &root, &options)));
        match built {
            Ok(Ok(built)) => Ok(printed(&built)),
            Ok(Err(errors)) => Err(errors.to_string()),
            Err(_) => Err("PANIC".to_owned()),
        }
    }

    fn shown(&self) -> String {
        let mut shown =
            format!("root: {:?}, legacy: {}, root only: {}\n", self.root, self.legacy_order, self.root_only);
        for (path, bytes) in self.bytes() {
            let text = String::from_utf8_lossy(&bytes);
            write!(shown, "# file: {path}\n{text}").unwrap();
        }
        shown
    }
}

/// How the two answers differ.
fn disagreement(expected: &Result<String, String>, found: &Result<String, String>) -> Option<String> {
    match (expected, found) {
        (_, Err(found)) if found == "PANIC" => Some("we panic".to_owned()),
        (Ok(expected), Ok(found)) if expected == found => None,
        (Ok(expected), Ok(found)) => Some(difference(expected, found)),
        (Err(_), Err(_)) => None,
        // Kustomize cannot always read what it has written itself: comments in a list that it emptied, for one.
        (Err(expected), Ok(_)) if expected.starts_with("map[string]interface") && is_unreadable(expected) => None,
        (Ok(expected), Err(found)) if found.lines().all(|problem| is_gone_later(problem, expected)) => None,
        (Ok(_), Err(found)) => Some(format!("kustomize builds it, we do not: {found}")),
        (Err(expected), Ok(_)) => Some(format!("we build it, kustomize does not: {expected}")),
    }
}

/// A text that a replacement puts where a number stands is refused at its place; kustomize refuses it at the end, if it is still
/// there.
fn is_gone_later(problem: &str, expected: &str) -> bool {
    let text = problem.split_once("cannot become `").and_then(|(_, text)| text.strip_suffix('`'));
    text.is_some_and(|text| !expected.contains(text))
}

fn is_unreadable(error: &str) -> bool {
    [": yaml: line ", ": yaml: invalid map key"].iter().any(|fault| error.contains(fault))
}

fn brief(result: &Result<String, String>) -> &str {
    let (Ok(text) | Err(text)) = result;
    let end = text.char_indices().map(|(position, _)| position).nth(1000).unwrap_or(text.len());
    &text[..end]
}

/// The sort of a difference, so that shrinking stays with the one it began with.
fn sort_of(expected: &Result<String, String>, found: &Result<String, String>) -> String {
    // What is wrong stands at the end, after the places.
    let end = |error: &str| error.rsplit(": ").next().unwrap_or_default().chars().take(24).collect();
    match (expected, found) {
        (_, Err(found)) if found == "PANIC" => "panic".to_owned(),
        (Ok(_), Ok(_)) => "other text".to_owned(),
        (Ok(_), Err(error)) | (Err(error), _) => end(error),
    }
}

#[test]
fn made_up_kustomizations_build_as_kustomize_builds_them() {
    let Asked { cases, seed, first_only } = Asked::or_sample(SAMPLE);
    let most = number("SOLL_DIFFERENTIAL_SHOWN").unwrap_or(3);
    let mut oracle = Oracle::start();
    let mut answers = Answers::open();
    let mut counts: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut pairs: BTreeSet<(&str, &str)> = BTreeSet::new();
    let (mut built, mut different) = (0, Vec::<String>::new());
    for number in seed..seed + cases {
        let case = features::case(&mut Random::new(number));
        let expected = answers.get(number, || oracle.build(&case));
        let found = case.build();
        built += u64::from(expected.is_ok());
        if expected.is_ok() {
            let with_others = |feature| case.features.iter().map(move |other| (feature, *other));
            pairs.extend(case.features.iter().copied().flat_map(with_others).filter(|(one, other)| one < other));
        }
        for feature in &case.features {
            let count = counts.entry(feature).or_default();
            count[usize::from(expected.is_err())] += 1;
        }
        if disagreement(&expected, &found).is_none() {
            continue;
        }
        different.push(number.to_string());
        assert!(!first_only, "seed {number} differs");
        if different.len() as u64 > most {
            continue;
        }
        let sort = sort_of(&expected, &found);
        let small = shrinking::shrunk(&case, &mut |case| {
            let (expected, found) = (oracle.build(case), case.build());
            disagreement(&expected, &found).is_some() && sort_of(&expected, &found) == sort
        });
        let why = disagreement(&oracle.build(&small), &small.build()).unwrap();
        let (expected, found) = (oracle.build(&small), small.build());
        let (expected, found) = (brief(&expected), brief(&found));
        let shown = format!("seed {number}: {why}\n{}expected: {expected}\nfound: {found}\n", small.shown());
        eprintln!("{shown}");
    }
    eprintln!(
        "{built} of {cases} built, {} pairs of features in some of them; per feature, built and refused:",
        pairs.len()
    );
    for (feature, [built, refused]) in counts {
        eprintln!("  {feature}: {built} + {refused}");
    }
    assert!(
        different.is_empty(),
        "{} of {cases} differ: seeds {}; the first are shown above",
        different.len(),
        different.join(", ")
    );
}
