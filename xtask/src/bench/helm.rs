//! `soll template` beside `helm template`: every case of the corpus, whole processes, turn by turn.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::repository::Repository;

/// RSA keys and bcrypt take what they take: these must only not be slower.
const CRYPTOGRAPHY: [&str; 2] = ["harbor/default", "metrics-server/ci-tls-helm-values"];

/// What ratios ought to be: the median, and the least.
const GOALS: (f64, f64) = (10.0, 5.0);

struct Case {
    name: String,
    arguments: Vec<String>,
}

/// What one command took: the median of its runs, and its peak memory in KiB.
struct Taken {
    time: Duration,
    memory: Option<u64>,
}

/// Prints a line for each case and a verdict.
pub(crate) fn measure(repository: &Repository, binary: Option<PathBuf>, runs: usize) -> Result<()> {
    let soll = super::released(repository, binary)?;
    let soll = soll.canonicalize().with_context(|| format!("cannot find {}", soll.display()))?;
    let helm = repository.bin().join("helm");
    let corpus = repository.root().join("tests/corpus");
    let cases = cases(&corpus)?;
    let mut ratios = Vec::new();
    let mut shares = Vec::new();
    let mut missed = Vec::new();
    eprintln!("{:<44} {:>9} {:>9} {:>7} {:>10} {:>10}", "case", "helm", "soll", "ratio", "helm", "soll");
    for case in &cases {
        let (theirs, ours) = turn_by_turn(&helm, &soll, &corpus.join("charts"), case, runs)?;
        let ratio = theirs.time.as_secs_f64() / ours.time.as_secs_f64();
        let mebibytes =
            |taken: &Taken| taken.memory.map_or("?".to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0));
        eprintln!(
            "{:<44} {:>6.1} ms {:>6.1} ms {ratio:>6.1}x {:>10} {:>10}",
            case.name,
            theirs.time.as_secs_f64() * 1e3,
            ours.time.as_secs_f64() * 1e3,
            mebibytes(&theirs),
            mebibytes(&ours)
        );
        let least = if CRYPTOGRAPHY.contains(&case.name.as_str()) { 1.0 } else { GOALS.1 };
        if ratio < least {
            missed.push(format!("{} is {ratio:.1} times as fast, not {least}", case.name));
        }
        ratios.push(ratio);
        if let (Some(theirs), Some(ours)) = (theirs.memory, ours.memory) {
            shares.push(ours as f64 / theirs as f64);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    eprintln!(
        "{} cases: median {median:.1}x, least {:.1}x, most {:.1}x",
        ratios.len(),
        ratios[0],
        ratios[ratios.len() - 1]
    );
    if median < GOALS.0 {
        missed.push(format!("the median is {median:.1}, not {}", GOALS.0));
    }
    shares.sort_by(f64::total_cmp);
    if let Some(most) = shares.last() {
        eprintln!(
            "peak memory: at most {:.0} % of helm's, median {:.0} %",
            most * 100.0,
            shares[shares.len() / 2] * 100.0
        );
        if *most > 0.2 {
            missed.push(format!("peak memory is {:.0} % of helm's, not 20", most * 100.0));
        }
    }
    if !missed.is_empty() {
        bail!("the goals are missed:\n{}", missed.join("\n"));
    }
    Ok(())
}

fn cases(corpus: &Path) -> Result<Vec<Case>> {
    let path = corpus.join("helm-expected/index.json");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?).context("index.json")?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned).context("index.json has what is no text");
    let cases = index["cases"].as_array().context("index.json has no cases")?;
    cases
        .iter()
        .map(|case| {
            let chart = text(&case["chart"])?;
            let mut arguments = vec!["template".to_owned(), "soll-test".to_owned(), chart.clone()];
            for argument in case["args"].as_array().context("a case has no args")? {
                arguments.push(text(argument)?);
            }
            Ok(Case { name: format!("{chart}/{}", text(&case["case"])?), arguments })
        })
        .collect()
}

/// By turns, so that what else the machine does hits both.
fn turn_by_turn(helm: &Path, soll: &Path, folder: &Path, case: &Case, runs: usize) -> Result<(Taken, Taken)> {
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..runs.max(1) {
        for (program, times) in [helm, soll].into_iter().zip(&mut times) {
            times.push(once(program, folder, case)?);
        }
    }
    let taken = |program, times: &mut Vec<Duration>| -> Result<Taken> {
        times.sort();
        Ok(Taken { time: times[times.len() / 2], memory: memory(program, folder, case)? })
    };
    let [theirs, ours] = &mut times;
    Ok((taken(helm, theirs)?, taken(soll, ours)?))
}

fn once(program: &Path, folder: &Path, case: &Case) -> Result<Duration> {
    let mut command = Command::new(program);
    command.args(&case.arguments).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    // Some cases are refusals: that is work too.
    command.status().with_context(|| format!("cannot run {}", program.display()))?;
    Ok(start.elapsed())
}

/// The peak of the resident memory in KiB, where GNU time is there to tell it.
fn memory(program: &Path, folder: &Path, case: &Case) -> Result<Option<u64>> {
    let time = Path::new("/usr/bin/time");
    if !time.exists() {
        return Ok(None);
    }
    let mut command = Command::new(time);
    command.args(["--format", "peak %M"]).arg(program).args(&case.arguments);
    let output = command.current_dir(folder).stdin(Stdio::null()).output().context("cannot run time")?;
    let text = String::from_utf8_lossy(&output.stderr);
    Ok(text.lines().rev().find_map(|line| line.strip_prefix("peak ")?.parse().ok()))
}
