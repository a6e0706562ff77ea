//! Generated templates, rendered by Go and Helm and by us: the same bytes, the same errors.
//!
//! `cargo xtask differential template --cases N` runs many; the suite runs a sample of a seed that it prints.
#![allow(clippy::disallowed_methods, clippy::print_stderr, reason = "a test that runs the original beside us")]

use std::panic::AssertUnwindSafe;

use soll_compare::Asked;
use soll_template::{Options, Rendering, Set, Value, WholeNumbers};

use crate::generator::{Case, Generator, Subject};
use crate::ledger::Ledger;
use crate::oracle::{self, Outcome};
use crate::world::Fixed;

/// What every case may include.
const BESIDE: (&str, &str) = ("aux", "{{ define \"aux\" }}<{{ . }}>{{ end }}");
const BATCH: usize = 500;
/// So many subjects share half of a batch.
const NEEDY: usize = 80;
/// From so many cases on, all has to be covered, what is slow included.
const LONG: usize = 100_000;

fn ours(case: &Case) -> Outcome {
    let values = soll_yaml::parse_json(case.values.as_bytes()).unwrap();
    let mut set = Set::new();
    set.parse(BESIDE.0, BESIDE.1).unwrap();
    let rendered = std::panic::catch_unwind(AssertUnwindSafe(|| {
        set.parse("t", &case.template)?;
        let values = Value::from_yaml(&values, WholeNumbers::Float64);
        Rendering::new(&set, &Fixed, Options::default()).render_bytes("t", values)
    }));
    match rendered {
        Ok(Ok(bytes)) => Outcome::Output(bytes),
        Ok(Err(error)) => Outcome::Error(error.to_string()),
        Err(_) => Outcome::Error("a panic".to_owned()),
    }
}

/// Subjects for the next cases: half of them are what has rendered least so far.
fn next(generator: &mut Generator, ledger: &Ledger, count: usize, long: bool) -> Vec<Subject> {
    let (slow, quick): (Vec<Subject>, Vec<Subject>) = ledger.by_need().into_iter().cloned().partition(Subject::is_slow);
    let mut next: Vec<Subject> = (0..count / 2).map(|_| generator.subject(&quick).clone()).collect();
    if long {
        let lacking = |subject: &&Subject| !ledger.has_enough(subject);
        next.extend(slow.iter().filter(lacking).flat_map(|subject| std::iter::repeat_n(subject.clone(), 2)));
    }
    let missing = count.saturating_sub(next.len());
    next.extend(quick.iter().take(NEEDY).cycle().take(missing).cloned());
    next
}

/// Cases for the kinds of arguments that chance left out.
fn rest(generator: &mut Generator, ledger: &Ledger) -> Vec<Case> {
    const TRIES: usize = 50_000;
    let missing = ledger.missing();
    missing
        .iter()
        .filter_map(|(subject, kind)| {
            (0..TRIES)
                .map(|_| generator.case(subject))
                .find(|case| case.subject == *subject && case.kinds.contains(kind))
        })
        .collect()
}

/// Asks both, and adds where they differ.
fn compare(batch: &[Case], ledger: &mut Ledger, differences: &mut Vec<String>) {
    let asked = batch.iter().map(|case| (case.template.as_str(), case.values.as_str()));
    for (case, original) in batch.iter().zip(oracle::render(BESIDE, asked)) {
        ledger.note(case, matches!(original, Outcome::Output(_)));
        let mine = ours(case);
        if mine != original {
            let Case { subject, template, values, .. } = case;
            let (original, mine) = (original.shown(), mine.shown());
            differences
                .push(format!("{subject} {template:?}\n  values   {values}\n  original {original}\n  ours     {mine}"));
        }
    }
}

#[test]
fn templates_render_as_go_and_helm_render_them() {
    let Asked { cases, seed, first_only } = Asked::or_sample(4_000);
    let cases = usize::try_from(cases).unwrap();
    let mut generator = Generator::new(seed, oracle::inventory());
    let mut ledger = Ledger::new(generator.subjects());
    let mut differences = Vec::new();
    while ledger.cases() < cases && (differences.is_empty() || !first_only) {
        let count = BATCH.min(cases - ledger.cases());
        let subjects = next(&mut generator, &ledger, count, cases >= LONG);
        let batch: Vec<Case> = subjects.iter().map(|subject| generator.case(subject)).collect();
        compare(&batch, &mut ledger, &mut differences);
    }
    if cases >= LONG && !first_only {
        let batch = rest(&mut generator, &ledger);
        compare(&batch, &mut ledger, &mut differences);
    }
    if std::env::var_os("SOLL_DIFFERENTIAL_TALLY").is_some() {
        eprint!("{ledger}");
    }
    eprintln!("{}, {} differences", ledger.summary(), differences.len());
    let shown = differences.iter().take(400).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "seed {seed}\n{shown}");
    if cases >= LONG {
        assert_eq!(ledger.lacks(), Vec::<String>::new(), "what was not covered");
    }
}
