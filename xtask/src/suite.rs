//! The whole suite, and the count of what passed.

use crate::gates::GATES;
use crate::repository::{self, Repository, shown, spoken};
use crate::servers;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::ops::AddAssign;
use std::process::Stdio;
use std::time::Instant;

/// What has been counted so far. A gate (format, lints) counts as one test.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
}

/// Builds the servers, checks format and lints, runs all tests, and ends with the line
/// `N passed, N failed`, whatever happened before.
pub(crate) fn run(repository: &Repository) -> Result<()> {
    let start = Instant::now();
    let mut tally = Tally::default();
    let mut step = |name: &str, outcome: Result<Tally>| {
        tally += outcome.unwrap_or_else(|error| {
            eprintln!("{name}: {error:#}");
            Tally { passed: 0, failed: 1 }
        });
    };
    step("servers", servers::ensure(repository, &[]).map(|()| Tally::default()));
    for gate in GATES {
        step(gate.name, (gate.check)(repository).map(|()| Tally { passed: 1, failed: 0 }));
    }
    step("tests", tests(repository));
    eprintln!("the suite took {}", spoken(start.elapsed()));

    // The last line of standard output is read by programs.
    writeln!(std::io::stdout(), "{} passed, {} failed", tally.passed, tally.failed)?;
    if tally.failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}

/// Plays every scenario of `crates/soll/tests/it/faults` with every fault, on both grounds, and shows what is found as it is.
pub(crate) fn all_faults(repository: &Repository) -> Result<()> {
    servers::ensure(repository, &[])?;
    let start = Instant::now();
    let mut command = repository.cargo();
    command.args(["test", "--quiet", "--package", "soll", "--test", "it", "faults::", "--", "--nocapture"]);
    let played = repository::run(command.env("SOLL_CACHE", repository.cache()).env("SOLL_FAULTS", "all"));
    eprintln!("all faults took {}", spoken(start.elapsed()));
    played
}

/// Runs `cargo test`, showing its output as it comes and counting as it goes.
fn tests(repository: &Repository) -> Result<Tally> {
    let mut command = repository.cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]).stdout(Stdio::piped());
    command.env("SOLL_CACHE", repository.cache());
    let shown = shown(&command);
    let mut cargo = command.spawn().with_context(|| format!("cannot run {shown}"))?;
    let output = cargo.stdout.take().context("the output was asked for")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).lines() {
        let line = line.with_context(|| format!("cannot read what {shown} prints"))?;
        writeln!(std::io::stdout(), "{line}")?;
        if let Some(counted) = count(&line) {
            tally += counted;
        }
    }
    let status = cargo.wait()?;
    // A test binary that crashed or did not compile prints no result, but cargo knows.
    if !status.success() && tally.failed == 0 {
        tally.failed = 1;
    }
    if tally.passed == 0 && tally.failed == 0 {
        bail!("{shown} ran no test");
    }
    Ok(tally)
}

/// Reads the line with which a test binary ends.
fn count(line: &str) -> Option<Tally> {
    let rest = line.strip_prefix("test result: ")?;
    let (_, rest) = rest.split_once(". ")?;
    let number = |unit: &str| rest.split("; ").find_map(|part| part.strip_suffix(unit)?.trim().parse().ok());
    Some(Tally { passed: number("passed")?, failed: number("failed")? })
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_a_test_binary_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s";
        assert_eq!(count(line), Some(Tally { passed: 12, failed: 3 }));
    }

    #[test]
    fn other_lines_are_not_counted() {
        assert_eq!(count("running 3 tests"), None);
        assert_eq!(count("test suite::tests::test result: ok ... ok"), None);
    }
}
