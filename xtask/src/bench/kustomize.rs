//! `soll kustomize` against `kustomize build`, side by side in one run: whole processes, and builds alone.

use crate::repository::{Repository, run};
use crate::servers;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Measures a small overlay, the corpus, and large overlays; `largest` is the number of objects that kustomize, too,
/// has to build.
pub(crate) fn measure(repository: &Repository, binary: Option<PathBuf>, runs: usize, largest: usize) -> Result<()> {
    servers::ensure(repository, &["kustomize".to_owned(), "kustomize-oracle".to_owned()])?;
    let soll = super::released(repository, binary)?;
    let kustomize = repository.bin().join("kustomize");
    let folder = std::env::temp_dir().join(format!("soll-bench-kustomize-{}", std::process::id()));
    let tools = Tools { soll, kustomize };
    let outcome = (|| {
        small(&tools, &folder.join("small"), runs)?;
        corpus(&tools, repository)?;
        large(&tools, &folder, largest)?;
        in_process(repository)
    })();
    // Left behind only if it cannot be removed, which the next run does not mind.
    let _ = fs::remove_dir_all(&folder);
    outcome
}

/// The two programs.
struct Tools {
    soll: PathBuf,
    kustomize: PathBuf,
}

impl Tools {
    fn ours(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.soll);
        command.arg("kustomize").arg(directory);
        command
    }

    fn theirs(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.kustomize);
        command.arg("build").arg(directory);
        command
    }

    /// Times both in turns, and complains if they print other bytes. Durations come with the shortest first.
    fn compare(&self, directory: &Path, runs: usize) -> Result<[Vec<Duration>; 2]> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let (took, printed) = timed(&mut self.ours(directory))?;
            ours.push(took);
            let (took, expected) = timed(&mut self.theirs(directory))?;
            theirs.push(took);
            ensure!(printed == expected, "{} is built otherwise by kustomize", directory.display());
        }
        ours.sort();
        theirs.sort();
        Ok([ours, theirs])
    }
}

fn timed(command: &mut Command) -> Result<(Duration, Vec<u8>)> {
    let start = Instant::now();
    let output = command.stderr(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok((start.elapsed(), output.stdout))
}

fn report(what: &str, ours: Duration, theirs: Duration) {
    let (ours, theirs) = (ours.as_secs_f64() * 1e3, theirs.as_secs_f64() * 1e3);
    eprintln!("{what}: soll {ours:.2} ms, kustomize {theirs:.2} ms, ratio {:.1}", theirs / ours);
}

/// One base, one overlay, five objects.
fn small(tools: &Tools, folder: &Path, runs: usize) -> Result<()> {
    write(&folder.join("base/kustomization.yaml"), "resources: [all.yaml]\n")?;
    write(&folder.join("base/all.yaml"), &objects(1, "a"))?;
    let more = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\n";
    write(&folder.join("base/more.yaml"), more.trim_start_matches("---\n"))?;
    write(&folder.join("base/kustomization.yaml"), "resources: [all.yaml, more.yaml]\n")?;
    let over = "resources: [../base]\nnamePrefix: my-\nnamespace: prod\n";
    write(&folder.join("over/kustomization.yaml"), over)?;
    let over = folder.join("over");
    let [ours, theirs] = tools.compare(&over, runs.max(1))?;
    report("small overlay, whole process, median", ours[ours.len() / 2], theirs[theirs.len() / 2]);
    report("small overlay, whole process, fastest", ours[0], theirs[0]);
    let memory = |command: &Command| -> Result<String> {
        let mut time = Command::new("/usr/bin/time");
        time.args(["-f", "%M"]).arg(command.get_program()).args(command.get_args()).stdout(Stdio::null());
        let output = time.output().context("cannot run /usr/bin/time")?;
        Ok(String::from_utf8_lossy(&output.stderr).trim().lines().last().unwrap_or_default().to_owned())
    };
    let (ours, theirs) = (memory(&tools.ours(&over))?, memory(&tools.theirs(&over))?);
    eprintln!("small overlay, peak memory: soll {ours} KiB, kustomize {theirs} KiB");
    Ok(())
}

/// Every overlay of the corpus, process by process.
fn corpus(tools: &Tools, repository: &Repository) -> Result<()> {
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    let cases = cases(repository)?;
    for (input, root) in &cases {
        let directory = input.join(root);
        let mut both = [tools.ours(&directory), tools.theirs(&directory)];
        both[0].arg("--load-restrictor=LoadRestrictionsNone");
        both[1].arg("--load-restrictor=LoadRestrictionsNone");
        let [ours_command, theirs_command] = &mut both;
        let (took, printed) = timed(ours_command)?;
        ours += took;
        let (took, expected) = timed(theirs_command)?;
        theirs += took;
        ensure!(printed == expected, "{} is built otherwise by kustomize", directory.display());
    }
    report(&format!("{} overlays of the corpus, process by process", cases.len()), ours, theirs);
    Ok(())
}

/// Directories of the corpus with the overlay in each.
fn cases(repository: &Repository) -> Result<Vec<(PathBuf, String)>> {
    let folder = repository.root().join("tests/corpus/kustomize");
    let mut cases = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let case = entry?.path();
        let Ok(about) = fs::read(case.join("case.json")) else { continue };
        let about: Value = serde_json::from_slice(&about)?;
        cases.push((case.join("input"), about["path"].as_str().unwrap_or_default().to_owned()));
    }
    cases.sort();
    Ok(cases)
}

/// How often what is measured in milliseconds is measured again. The fastest counts: the rest is the machine's.
const ROUNDS: usize = 20;

/// A third each of Deployments, Services and ConfigMaps, with everything that touches all of them.
fn large(tools: &Tools, folder: &Path, largest: usize) -> Result<()> {
    let counts = [largest / 2, largest, largest * 2];
    let directories = counts.map(|count| folder.join(count.to_string()));
    for (count, directory) in counts.iter().zip(&directories) {
        let all: String = (0..count / 3).map(|number| objects(1, &number.to_string())).collect();
        write(&directory.join("all.yaml"), &all)?;
        write(
            &directory.join("kustomization.yaml"),
            "resources: [all.yaml]\nnamePrefix: my-\nnamespace: prod\nlabels:\n- includeSelectors: true\n  pairs: {team: a}\nimages:\n- name: nginx\n  newTag: \"2\"\npatches:\n- target: {kind: Deployment}\n  patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: any}\n    spec: {replicas: 3}\n",
        )?;
    }
    let [ours, theirs] = tools.compare(&directories[1], 1)?;
    report(&format!("{largest} objects"), ours[0], theirs[0]);
    // In turns, so that a slow moment of the machine is not taken for a size.
    let mut fastest = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        for (fastest, directory) in fastest.iter_mut().zip(&directories) {
            *fastest = timed(&mut tools.ours(directory))?.0.min(*fastest);
        }
    }
    let milliseconds = fastest.map(|took| took.as_secs_f64() * 1e3);
    for (count, took) in counts.iter().zip(milliseconds) {
        eprintln!("{count} objects: soll {took:.1} ms");
    }
    let [half, whole, double] = milliseconds;
    eprintln!("twice the objects: {:.2} and {:.2} times as long", whole / half, double / whole);
    Ok(())
}

/// One Deployment, one Service and one ConfigMap for each number.
fn objects(count: usize, name: &str) -> String {
    let mut text = String::new();
    for number in 0..count {
        let name = format!("{name}-{number}");
        write!(
            text,
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\nspec:\n  selector:\n    matchLabels: {{app: {name}}}\n  \
             template:\n    metadata:\n      labels: {{app: {name}}}\n    spec:\n      containers:\n      - name: main\n        image: nginx:1\n        \
             envFrom:\n        - configMapRef: {{name: {name}}}\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  \
             selector: {{app: {name}}}\n  ports:\n  - port: 80\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  key: value\n"
        )
        .expect("a string takes every write");
    }
    text
}

/// The corpus within one process on either side, without the start of a process.
fn in_process(repository: &Repository) -> Result<()> {
    let mut cargo = repository.cargo();
    run(cargo.args(["build", "--quiet", "--release", "--package", "soll-kustomize", "--example", "builds"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.root().join("target"), PathBuf::from);
    let cases = cases(repository)?;
    let mut ours = Builder::start(&target.join("release/examples/builds"))?;
    let mut theirs = Builder::start(&repository.bin().join("kustomize-oracle"))?;
    for _ in 0..ROUNDS {
        ours.ask(&cases)?;
        theirs.ask(&cases)?;
    }
    let (ours, theirs) = (ours.finish()?, theirs.finish()?);
    let total = |answers: &[Value], field: &str| {
        Duration::from_nanos(answers.iter().filter_map(|answer| answer[field].as_u64()).sum())
    };
    for (case, (ours, theirs)) in cases.iter().zip(ours.iter().zip(&theirs)) {
        ensure!(ours["yaml"] == theirs["yaml"], "{} is built otherwise by kustomize", case.0.display());
    }
    let full = total(&ours, "nanoseconds");
    report("the corpus, in process", full, total(&theirs, "nanoseconds"));
    ensure!(ours.iter().all(|answer| answer["unchanged"] == true), "a directory changed while it was built");
    let [full, recorded, check] =
        [full, total(&ours, "recorded"), total(&ours, "check")].map(|duration| duration.as_secs_f64() * 1e3);
    eprintln!(
        "the corpus, in process: {full:.2} ms to build, {recorded:.2} ms with what is read recorded; then {check:.2} ms to see \
         that nothing changed, {:.2} ms after a change",
        check + recorded
    );
    Ok(())
}

/// A program that builds what it is asked for, with its fastest answer to each question.
struct Builder {
    process: Child,
    questions: ChildStdin,
    replies: Lines<BufReader<ChildStdout>>,
    fastest: Vec<Value>,
}

impl Builder {
    fn start(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = process.with_context(|| format!("cannot run {}", program.display()))?;
        let questions = process.stdin.take().context("it was asked for")?;
        let replies = BufReader::new(process.stdout.take().context("it was asked for")?).lines();
        Ok(Self { process, questions, replies, fastest: Vec::new() })
    }

    /// Has every case built once more.
    fn ask(&mut self, cases: &[(PathBuf, String)]) -> Result<()> {
        for (position, (input, root)) in cases.iter().enumerate() {
            writeln!(self.questions, "{}", json!({"disk": input, "root": root, "reorder": "legacy"}))?;
            let reply: Value = serde_json::from_str(&self.replies.next().context("the program ended early")??)?;
            match self.fastest.get_mut(position) {
                None => self.fastest.push(reply),
                Some(known) if known["nanoseconds"].as_u64() > reply["nanoseconds"].as_u64() => *known = reply,
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Value>> {
        drop(self.questions);
        self.process.wait()?;
        Ok(self.fastest)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
