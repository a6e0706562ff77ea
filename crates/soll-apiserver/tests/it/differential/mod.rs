//! The server beside kube-apiserver: scripts run on both, and what they see is compared.
//!
//! The scripts are the files of `tests/it/scripts` (see [`script`] for their form). What differs by nature is replaced
//! first ([`normal`]); what differs on purpose stands in `KNOWN_DIFFERENCES.toml` ([`known`]). `SOLL_SCRIPTS=word` runs
//! the scripts whose names contain the word. What kube-apiserver answered is kept as well, and replayed where there is none
//! ([`replay`]).

#![allow(clippy::print_stderr, clippy::unwrap_used, reason = "a test says what it tried, and fails where it stands")]

mod documents;
mod forgotten;
mod fuzz;
mod known;
mod large;
mod ledger;
mod manifests;
mod normal;
mod replay;
mod script;
mod side;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use futures::{StreamExt, stream};
use serde_json::{Value as Json, json};
use soll_apiserver::store::Limits;

use known::Rules;
use ledger::Ledger;
use normal::{Normaliser, differences};
use replay::Record;
use script::{Script, Step};
use side::{Seen, Side};

/// Scripts that run at the same time.
const AT_ONCE: usize = 6;

/// The two servers.
struct Pair {
    real: Side,
    embedded: Side,
}

/// What came of a script: the answers of kube-apiserver, and what is wrong.
struct Outcome {
    seen: Vec<Seen>,
    /// The answers in the form in which they are compared.
    expected: Vec<Json>,
    wrong: Option<String>,
    /// Whether the comparison ended where the embedded server accepted what kube-apiserver finds invalid.
    accepted_more: bool,
}

impl Pair {
    async fn start(controllers: bool) -> Self {
        Self { real: Side::real(controllers).await, embedded: Side::embedded(controllers, Limits::default()).await }
    }

    /// Makes a namespace on both.
    async fn prepare(&self, namespace: &str, controllers: bool) {
        tokio::join!(self.real.prepare(namespace, controllers), self.embedded.prepare(namespace, controllers));
    }

    /// Runs a script on both, in a namespace of its own.
    async fn compare(&self, script: &Script, rules: &Rules) -> Outcome {
        self.prepare(script.names["ns"].as_str().unwrap(), script.controllers).await;
        self.run(script, rules).await
    }

    /// Runs a script on both.
    async fn run(&self, script: &Script, rules: &Rules) -> Outcome {
        let (real, embedded) = tokio::join!(self.real.run(script), self.embedded.run(script));
        let (seen, found) = match (real, embedded) {
            (Ok(seen), Ok(found)) => (seen, found),
            (Err(stuck), _) | (_, Err(stuck)) => {
                return Outcome { seen: Vec::new(), expected: Vec::new(), wrong: Some(stuck), accepted_more: false };
            }
        };
        let mut unmet = String::new();
        for (index, (step, seen)) in script.steps.iter().zip(&seen).enumerate() {
            if let Some(unexpected) = unexpected(&step.filled(&script.names), seen) {
                writeln!(unmet, "  step {}: {unexpected}", index + 1).unwrap();
            }
        }
        let expected = shown(script, &seen);
        if !unmet.is_empty() {
            return Outcome { seen, expected, wrong: Some(unmet), accepted_more: false };
        }
        let (wrong, accepted_more) = compared(script, &expected, &shown(script, &found), rules);
        Outcome { seen, expected, wrong, accepted_more }
    }
}

/// What a script saw, step by step, in the form in which it is compared. Of loose steps it is the code.
fn shown(script: &Script, seen: &[Seen]) -> Vec<Json> {
    let is_loose = |index: usize| script.steps[index].loosely;
    let strictly: Vec<Seen> =
        seen.iter().enumerate().filter(|(index, _)| !is_loose(*index)).map(|(_, seen)| seen.clone()).collect();
    let mut normaliser = Normaliser::new(format!("{script:?}"), script.controllers, &strictly);
    let all = seen.iter().enumerate();
    all.map(|(index, seen)| if is_loose(index) { json!({"code": seen.code}) } else { normaliser.shown(seen) }).collect()
}

/// What is wrong with what a script saw on the embedded server, and whether the comparison ended where it accepts more.
fn compared(script: &Script, expected: &[Json], found: &[Json], rules: &Rules) -> (Option<String>, bool) {
    let mut wrong = String::new();
    for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
        let is_invalid = expected["code"] == 422 && script.is_made_up && rules.accepts_more;
        if is_invalid && found["code"].as_u64().is_some_and(|code| code < 300) {
            return (None, true);
        }
        if is_invalid && found["code"] == 422 && expected["body"]["details"] != found["body"]["details"] {
            // Other mistakes are found, and the object stays as it is.
            continue;
        }
        let mut expected = expected.clone();
        rules.without_warnings(&mut expected);
        for (path, expected, found) in differences(&expected, found) {
            if !rules.excuse(&path, &expected) {
                let (expected, found) = (brief(&expected), brief(&found));
                writeln!(wrong, "  step {} {path}\n    real {expected}\n    ours {found}", index + 1).unwrap();
            }
        }
        // What follows a difference differs too.
        if !wrong.is_empty() {
            return (Some(wrong), false);
        }
    }
    (None, false)
}

fn brief(value: &Json) -> String {
    let text = value.to_string();
    if text.chars().count() > 900 { format!("{}…", text.chars().take(900).collect::<String>()) } else { text }
}

/// How the answer of kube-apiserver is not what the script says.
fn unexpected(step: &Step, seen: &Seen) -> Option<String> {
    let reason = seen.body["reason"].as_str().unwrap_or_default();
    let found = format!("{} {reason}", seen.code);
    let as_expected = match &step.expect {
        None => seen.code < 300,
        Some(Json::String(text)) if text == "any" => true,
        Some(Json::String(text)) => text.trim() == found.trim(),
        Some(code) => code == seen.code,
    };
    (!as_expected).then(|| format!("kube-apiserver answers {found}: {}", brief(&seen.body)))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

#[test]
fn scripts_are_answered_as_kube_apiserver_answers_them() {
    let wanted = std::env::var("SOLL_SCRIPTS").unwrap_or_default();
    let mut scripts = script::all();
    scripts.retain(|script| script.name.contains(&wanted));
    let rules = Rules::read();
    let (mut ledger, mut wrong, mut equal) = (Ledger::default(), Vec::new(), 0);
    let mut record = Record::default();
    runtime().block_on(async {
        for controllers in [false, true] {
            let some: Vec<&Script> = scripts.iter().filter(|script| script.controllers == controllers).collect();
            if some.is_empty() {
                continue;
            }
            let pair = Pair::start(controllers).await;
            let outcomes = stream::iter(&some).map(|script| pair.compare(script, &rules)).buffered(AT_ONCE);
            let outcomes: Vec<Outcome> = outcomes.collect().await;
            for (script, outcome) in some.iter().zip(outcomes) {
                for (step, seen) in script.steps.iter().zip(&outcome.seen) {
                    let reason = seen.body["reason"].as_str().unwrap_or_default();
                    ledger.note(&step.filled(&script.names), seen.code, reason);
                }
                if outcome.wrong.is_none() {
                    record.add(script, outcome.expected, &rules);
                }
                match (outcome.wrong, rules.scripts.contains(&script.name)) {
                    (Some(what), false) => wrong.push(format!("{}\n{what}", script.name)),
                    (None, true) => wrong.push(format!("{}\n  is known to differ, and does not\n", script.name)),
                    (None, false) => equal += 1,
                    (Some(_), true) => {}
                }
            }
        }
    });
    eprintln!(
        "{}{equal} of {} scripts equal, {} differ as they should",
        ledger.shown(),
        scripts.len(),
        rules.scripts.len()
    );
    if wanted.is_empty() {
        let names: BTreeSet<_> = scripts.iter().map(|script| &script.name).collect();
        wrong.extend(rules.scripts.iter().filter(|name| !names.contains(name)).map(|name| format!("no script {name}")));
        wrong.extend(ledger.missing().into_iter().map(|cell| format!("no script covers {cell}")));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    if std::env::var_os(replay::RECORD).is_some() {
        assert!(wanted.is_empty(), "all scripts are recorded, or none");
        record.write();
    }
}
