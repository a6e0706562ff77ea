//! `soll template` beside `helm template`: every case of the corpus, whole processes, turn by turn.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use crate::repository::{Repository, run};
use crate::servers;

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

/// A cost that grows by more than this when its cause doubles is not linear.
const DOUBLING: f64 = 2.6;

/// Prints a line for each case, and whether the goals are met.
pub(crate) fn measure(repository: &Repository, binary: Option<PathBuf>, runs: usize) -> Result<()> {
    servers::ensure(repository, &["helm".to_owned()])?;
    let soll = super::released(repository, binary)?;
    let tools = Tools {
        soll: soll.canonicalize().with_context(|| format!("cannot find {}", soll.display()))?,
        helm: repository.bin().join("helm"),
    };
    let corpus = repository.root().join("tests/corpus");
    let cases = cases(&corpus)?;
    let mut missed = corpus_side_by_side(&tools, &corpus.join("charts"), &cases, runs)?;
    in_process(repository, &corpus.join("charts"), &cases)?;
    let folder = std::env::temp_dir().join(format!("soll-bench-helm-{}", std::process::id()));
    let grown = growth(&tools, &folder, runs);
    // Left behind only if it cannot be removed, which the next run does not mind.
    let _ = fs::remove_dir_all(&folder);
    missed.extend(grown?);
    if !missed.is_empty() {
        bail!("the goals are missed:\n{}", missed.join("\n"));
    }
    Ok(())
}

/// The two programs.
struct Tools {
    soll: PathBuf,
    helm: PathBuf,
}

/// Returns what goals are missed.
fn corpus_side_by_side(tools: &Tools, charts: &Path, cases: &[Case], runs: usize) -> Result<Vec<String>> {
    let mut ratios = Vec::new();
    let mut shares = Vec::new();
    let mut missed = Vec::new();
    eprintln!("{:<64} {:>9} {:>9} {:>7} {:>10} {:>10}", "case", "helm", "soll", "ratio", "helm", "soll");
    for case in cases {
        let (theirs, ours) = turn_by_turn(tools, charts, case, runs)?;
        let ratio = theirs.time.as_secs_f64() / ours.time.as_secs_f64();
        let mebibytes =
            |taken: &Taken| taken.memory.map_or("?".to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0));
        eprintln!(
            "{:<64} {:>6.1} ms {:>6.1} ms {ratio:>6.1}x {:>10} {:>10}",
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
    let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
    eprintln!("{} cases: median {median:.1}x, least {least:.1}x, most {most:.1}x", ratios.len());
    if median < GOALS.0 {
        missed.push(format!("the median is {median:.1}, not {}", GOALS.0));
    }
    shares.sort_by(f64::total_cmp);
    if let Some(most) = shares.last() {
        let median = shares[shares.len() / 2];
        eprintln!("peak memory: at most {:.0} % of helm's, median {:.0} %", most * 100.0, median * 100.0);
        if *most > 0.2 {
            missed.push(format!("peak memory is {:.0} % of helm's, not 20", most * 100.0));
        }
    }
    Ok(missed)
}

/// Renders every case in one process, with parsed templates kept.
fn in_process(repository: &Repository, charts: &Path, cases: &[Case]) -> Result<()> {
    let mut cargo = repository.cargo();
    run(cargo.args(["build", "--quiet", "--release", "--package", "soll-helm", "--example", "renders"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.root().join("target"), PathBuf::from);
    let questions: String = cases
        .iter()
        .map(|case| json!({"disk": charts, "chart": case.arguments[2], "args": case.arguments[3..]}))
        // The first round warms up.
        .map(|question| format!("{question}\n{question}\n"))
        .collect();
    let mut process = Command::new(target.join("release/examples/renders"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run the example `renders`")?;
    let mut input = process.stdin.take().context("it was asked for")?;
    let writer = std::thread::spawn(move || input.write_all(questions.as_bytes()));
    let output = process.wait_with_output()?;
    writer.join().map_err(|_| anyhow!("the writer panicked"))??;
    let answers: Vec<Value> =
        output.stdout.split(|byte| *byte == b'\n').skip(1).step_by(2).flat_map(serde_json::from_slice).collect();
    ensure!(answers.len() == cases.len(), "{} answers to {} cases", answers.len(), cases.len());
    for part in ["load", "prepare", "parse", "render"] {
        let mut taken: Vec<f64> =
            answers.iter().filter_map(|answer| answer[part].as_u64()).map(|nanos| nanos as f64 / 1e6).collect();
        taken.sort_by(f64::total_cmp);
        let (median, most) = (taken[taken.len() / 2], taken[taken.len() - 1]);
        let kept = if part == "render" { ", with all the rest kept" } else { "" };
        eprintln!("in process, {part}: median {median:.2} ms, most {most:.2} ms{kept}");
    }
    Ok(())
}

/// Doubles templates, and then output, and complains where the cost more than doubles.
fn growth(tools: &Tools, folder: &Path, runs: usize) -> Result<Vec<String>> {
    let mut missed = Vec::new();
    let mut double = |what: &str, sizes: [usize; 4], write: &dyn Fn(usize, &Path) -> Result<()>| -> Result<()> {
        let mut before: Option<Duration> = None;
        for size in sizes {
            let name = format!("{what}-{size}");
            let chart = folder.join(&name);
            fs::create_dir_all(chart.join("templates"))?;
            fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: grown\nversion: 1.0.0\n")?;
            write(size, &chart.join("templates"))?;
            let arguments = ["template", "soll-test", &name].map(str::to_owned).to_vec();
            let (theirs, ours) = turn_by_turn(tools, folder, &Case { name, arguments }, runs)?;
            let factor = before.map(|before| ours.time.as_secs_f64() / before.as_secs_f64());
            eprintln!(
                "{size} {what}: helm {:.0} ms, soll {:.1} ms{}",
                theirs.time.as_secs_f64() * 1e3,
                ours.time.as_secs_f64() * 1e3,
                factor.map(|factor| format!(", {factor:.2} times the half")).unwrap_or_default()
            );
            if factor.is_some_and(|factor| factor > DOUBLING) {
                missed.push(format!("{size} {what} cost more than twice as much as half of them"));
            }
            before = Some(ours.time);
        }
        Ok(())
    };
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-NUMBER\n  labels: {{- toYaml \
                  (dict \"app\" .Chart.Name \"part\" \"NUMBER\") | nindent 4 }}\ndata:\n  key: {{ printf \"%s-%d\" \
                  .Release.Namespace 1 | quote }}\n";
    double("templates", [1_000, 2_000, 4_000, 8_000], &|size, templates| {
        for number in 0..size {
            fs::write(templates.join(format!("{number}.yaml")), object.replace("NUMBER", &number.to_string()))?;
        }
        Ok(())
    })?;
    double("lines", [50_000, 100_000, 200_000, 400_000], &|size, templates| {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: lines\ndata:\n{{{{- range $i := until {size} }}}}\n  \
             key-{{{{ $i }}}}: value of {{{{ $.Release.Name }}}}\n{{{{- end }}}}\n"
        );
        fs::write(templates.join("lines.yaml"), text).context("cannot write a template")
    })?;
    Ok(missed)
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
fn turn_by_turn(tools: &Tools, folder: &Path, case: &Case, runs: usize) -> Result<(Taken, Taken)> {
    let Tools { soll, helm } = tools;
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
