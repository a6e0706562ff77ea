//! Generated templates, rendered by Go and Helm and by us: the same bytes, the same errors.
//!
//! `cargo xtask differential template --cases N` runs many; the suite runs a sample of a seed that it prints.
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "a test that runs the original beside us")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_template::{Options, Rendering, Set, Value, WholeNumbers};

use crate::generator::{Case, Generator};
use crate::world::Fixed;

/// What every case may include.
const AUX: &str = "{{ define \"aux\" }}<{{ . }}>{{ end }}";
const BATCH: usize = 500;

/// What came of a case.
#[derive(Debug, PartialEq)]
enum Outcome {
    Output(Vec<u8>),
    Error(String),
}

impl Outcome {
    fn shown(&self) -> String {
        match self {
            Self::Output(bytes) => format!("output {:?}", String::from_utf8_lossy(bytes)),
            Self::Error(error) => format!("error  {error}"),
        }
    }
}

fn oracle_path() -> PathBuf {
    let cache = std::env::var_os("SOLL_CACHE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join(".cache"),
        PathBuf::from,
    );
    cache.join("bin/template-oracle")
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn quoted(text: &str) -> String {
    soll_yaml::to_json(&soll_yaml::Value::str(text))
}

/// What Go makes of the cases, in their order.
fn originals(cases: &[Case]) -> Vec<Outcome> {
    let path = oracle_path();
    let mut child =
        Command::new(&path).stdin(Stdio::piped()).stdout(Stdio::piped()).env("TZ", "UTC").spawn().unwrap_or_else(
            |error| panic!("cannot run {}: {error}; `cargo xtask servers template-oracle` builds it", path.display()),
        );
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let outcomes = std::thread::scope(|scope| {
        scope.spawn(move || {
            for case in cases {
                let values = case.values.replace('\n', "");
                let line = format!(
                    r#"{{"files":[{{"name":"aux","text":{}}},{{"name":"t","text":{}}}],"render":"t","values":{values}}}"#,
                    quoted(AUX),
                    quoted(&case.template),
                );
                input.write_all(line.as_bytes()).unwrap();
                input.write_all(b"\n").unwrap();
            }
        });
        output.lines().map(|line| answer(&line.unwrap())).collect::<Vec<_>>()
    });
    child.wait().unwrap();
    outcomes
}

fn answer(line: &str) -> Outcome {
    let answer = soll_yaml::parse_json(line.as_bytes()).unwrap();
    match answer.lookup_str(&["error"]) {
        Some(error) => Outcome::Error(error.to_owned()),
        None => Outcome::Output(STANDARD.decode(answer.lookup_str(&["output"]).unwrap_or_default()).unwrap()),
    }
}

fn ours(case: &Case) -> Outcome {
    let values = soll_yaml::parse_json(case.values.as_bytes()).unwrap();
    let mut set = Set::new();
    set.parse("aux", AUX).unwrap();
    let rendered = set.parse("t", &case.template).and_then(|()| {
        let values = Value::from_yaml(&values, WholeNumbers::Float64);
        Rendering::new(&set, &Fixed, Options::default()).render_bytes("t", values)
    });
    match rendered {
        Ok(bytes) => Outcome::Output(bytes),
        Err(error) => Outcome::Error(error.to_string()),
    }
}

#[derive(Default)]
struct Tally {
    cases: usize,
    rendered: usize,
    kinds: BTreeMap<&'static str, usize>,
}

#[test]
fn templates_render_as_go_and_helm_render_them() {
    let cases = number("SOLL_DIFFERENTIAL_CASES").unwrap_or(4_000) as usize;
    let seed = number("SOLL_DIFFERENTIAL_SEED").unwrap_or(0);
    eprintln!("{cases} cases from SOLL_DIFFERENTIAL_SEED={seed}");
    let mut generator = Generator::new(seed);
    let mut tallies: BTreeMap<String, Tally> =
        generator.subjects().into_iter().map(|subject| (subject, Tally::default())).collect();
    let mut differences = Vec::new();
    let mut count = 0;
    let mut rendered = 0;
    while count < cases {
        let batch: Vec<Case> = (0..BATCH.min(cases - count)).map(|_| generator.case()).collect();
        for (case, original) in batch.iter().zip(originals(&batch)) {
            let tally = tallies.entry(case.subject.clone()).or_default();
            tally.cases += 1;
            if matches!(original, Outcome::Output(_)) {
                tally.rendered += 1;
                rendered += 1;
                for kind in &case.kinds {
                    *tally.kinds.entry(kind).or_default() += 1;
                }
            }
            let mine = ours(case);
            if mine != original {
                differences.push(format!(
                    "{} {}\n  values   {}\n  original {}\n  ours     {}",
                    case.subject,
                    case.template,
                    if case.values == crate::generator::VALUES[0] { 0 } else { 1 },
                    original.shown(),
                    mine.shown(),
                ));
            }
        }
        count += batch.len();
        if !differences.is_empty() && std::env::var_os("SOLL_DIFFERENTIAL_FIRST").is_some() {
            break;
        }
    }
    if std::env::var_os("SOLL_DIFFERENTIAL_TALLY").is_some() {
        for (subject, tally) in &tallies {
            eprintln!("{subject}: {} cases, {} rendered, {:?}", tally.cases, tally.rendered, tally.kinds);
        }
    }
    eprintln!("{count} cases, {rendered} rendered, {} differences", differences.len());
    assert!(
        differences.is_empty(),
        "seed {seed}\n{}",
        differences.iter().take(400).cloned().collect::<Vec<_>>().join("\n")
    );
}
