//! What the cases of a comparison were about.

use std::collections::BTreeMap;
use std::fmt;

use crate::generator::{Case, Kind, Subject};

/// Each subject has to render so often in a long run.
const ENOUGH: usize = 200;
/// And so many cases of a hundred.
const SHARE: usize = 70;

/// What two runs of the same template show differently: how long ago a number of seconds is, and texts at random, which a
/// length that is no whole number gives, too.
fn is_by_chance(subject: &str, kind: Kind) -> bool {
    (subject == "ago" && kind == Kind::Int) || (subject.starts_with("rand") && kind == Kind::Float)
}

#[derive(Default)]
struct Count {
    cases: usize,
    rendered: usize,
}

impl Count {
    fn note(&mut self, rendered: bool) {
        self.cases += 1;
        self.rendered += usize::from(rendered);
    }
}

#[derive(Default)]
struct Tally {
    all: Count,
    kinds: BTreeMap<Kind, Count>,
}

/// Counts cases per subject, and per kind of argument that the subject got.
pub(crate) struct Ledger {
    tallies: BTreeMap<Subject, Tally>,
    all: Count,
}

impl Ledger {
    pub(crate) fn new(subjects: Vec<Subject>) -> Self {
        let tallies = subjects.into_iter().map(|subject| (subject, Tally::default())).collect();
        Self { tallies, all: Count::default() }
    }

    pub(crate) fn note(&mut self, case: &Case, rendered: bool) {
        self.all.note(rendered);
        let tally = self.tallies.entry(case.subject.clone()).or_default();
        tally.all.note(rendered);
        for kind in &case.kinds {
            tally.kinds.entry(*kind).or_default().note(rendered);
        }
    }

    pub(crate) fn cases(&self) -> usize {
        self.all.cases
    }

    /// The subjects, what rendered least first.
    pub(crate) fn by_need(&self) -> Vec<&Subject> {
        let mut subjects: Vec<_> = self.named().map(|(subject, tally)| (tally.all.rendered, subject)).collect();
        subjects.sort_unstable();
        subjects.into_iter().map(|(_, subject)| subject).collect()
    }

    pub(crate) fn has_enough(&self, subject: &Subject) -> bool {
        self.tallies.get(subject).is_some_and(|tally| tally.all.rendered >= ENOUGH)
    }

    /// What a long run should have covered and did not.
    pub(crate) fn lacks(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        if self.all.rendered * 100 < self.all.cases * SHARE {
            lacks.push(format!("only {} of {} cases rendered", self.all.rendered, self.all.cases));
        }
        for (subject, tally) in self.named() {
            // `fail` renders where it is not reached.
            if tally.all.rendered < ENOUGH {
                lacks.push(format!("{subject} rendered {} times", tally.all.rendered));
            }
        }
        lacks.extend(self.missing().iter().map(|(subject, kind)| format!("{subject} got no {kind:?}")));
        lacks
    }

    /// The kinds of arguments that subjects did not get.
    pub(crate) fn missing(&self) -> Vec<(Subject, Kind)> {
        let mut missing = Vec::new();
        for (subject, tally) in self.named().filter(|(subject, _)| subject.takes_arguments()) {
            let lacking = Kind::ALL.iter().filter(|kind| **kind != Kind::Other && !tally.kinds.contains_key(kind));
            let comparable = lacking.filter(|kind| !is_by_chance(&subject.to_string(), **kind));
            missing.extend(comparable.map(|kind| (subject.clone(), *kind)));
        }
        missing
    }

    pub(crate) fn summary(&self) -> String {
        let least = self.named().map(|(_, tally)| tally.all.rendered).min().unwrap_or(0);
        let Count { cases, rendered } = self.all;
        format!("{cases} cases, {rendered} rendered, each of {} subjects at least {least} times", self.named().count())
    }

    fn named(&self) -> impl Iterator<Item = (&Subject, &Tally)> {
        self.tallies.iter().filter(|(subject, _)| **subject != Subject::Mutation)
    }
}

/// One line for each subject: how many cases rendered of how many, in all and for each kind of argument.
impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (subject, tally) in &self.tallies {
            write!(f, "{subject}: {}/{}", tally.all.rendered, tally.all.cases)?;
            for (kind, count) in &tally.kinds {
                write!(f, ", {kind:?} {}/{}", count.rendered, count.cases)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
