//! How fast `soll up` is: to the first answer of its API server, and to a sample that is Ready.

use super::released;
use crate::repository::Repository;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a run may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(5);

/// What one run took.
struct Run {
    first_answer: Duration,
    ready: Duration,
}

/// Starts `soll up --once` so many times, each with fresh data, and prints median, 95th percentile and maximum.
pub(crate) fn measure(repository: &Repository, binary: Option<PathBuf>, runs: usize) -> Result<()> {
    let binary = released(repository, binary)?;
    let mut measured = Vec::with_capacity(runs);
    for number in 0..runs {
        let home = std::env::temp_dir().join(format!("soll-bench-{}-{number}", std::process::id()));
        let outcome = one(&binary, &home);
        // Left behind only if it cannot be removed, which the next run does not mind.
        let _ = fs::remove_dir_all(&home);
        measured.push(outcome.with_context(|| format!("run {number}"))?);
    }
    report("first answer", measured.iter().map(|run| run.first_answer));
    report("sample Ready", measured.iter().map(|run| run.ready));
    Ok(())
}

fn one(binary: &Path, home: &Path) -> Result<Run> {
    let start = Instant::now();
    let mut soll = Command::new(binary);
    soll.args(["up", "--once", "--quiet", "--home"]).arg(home).stdin(Stdio::null()).stdout(Stdio::null());
    let mut soll = soll.spawn().with_context(|| format!("cannot run {}", binary.display()))?;
    let mut first_answer = None;
    loop {
        if let Some(status) = soll.try_wait()? {
            let ready = start.elapsed();
            if !status.success() {
                bail!("{} up --once: {status}", binary.display());
            }
            // It answered before it was done, even if nobody was quick enough to see it.
            return Ok(Run { first_answer: first_answer.unwrap_or(ready), ready });
        }
        if start.elapsed() > PATIENCE {
            soll.kill()?;
            soll.wait()?;
            bail!("{} up --once is not done after {} s", binary.display(), PATIENCE.as_secs());
        }
        if first_answer.is_none() && answers(home) {
            first_answer = Some(start.elapsed());
        }
        std::thread::sleep(PACE);
    }
}

/// Whether the API server of this run answers a GET.
fn answers(home: &Path) -> bool {
    let Ok(kubeconfig) = fs::read_to_string(home.join("kubeconfig")) else { return false };
    let Some(url) = server(&kubeconfig) else { return false };
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--insecure", "--fail", "--max-time", "1", "--output", "/dev/null"]);
    curl.arg(format!("{url}/readyz")).status().is_ok_and(|status| status.success())
}

/// The address in a kubeconfig, whether it is written as YAML or as JSON.
fn server(kubeconfig: &str) -> Option<&str> {
    let start = kubeconfig.find("https://")?;
    let rest = &kubeconfig[start..];
    Some(rest.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}')).next().unwrap_or(rest))
}

fn report(what: &str, durations: impl Iterator<Item = Duration>) {
    let mut sorted: Vec<_> = durations.collect();
    sorted.sort();
    let at = |share: f64| {
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default().as_secs_f64()
    };
    eprintln!(
        "{what}: median {:.3} s, p95 {:.3} s, maximum {:.3} s, {} runs",
        at(0.5),
        at(0.95),
        at(1.0),
        sorted.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_yaml_and_json() {
        assert_eq!(server("    server: https://127.0.0.1:6443\n    x: y"), Some("https://127.0.0.1:6443"));
        assert_eq!(server(r#"{"cluster":{"server":"https://127.0.0.1:1"}}"#), Some("https://127.0.0.1:1"));
        assert_eq!(server("{}"), None);
    }
}
