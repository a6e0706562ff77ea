//! What the comparisons with the originals are worth: faults are put into an engine, one at a time, and counted if its
//! comparison notices.
//!
//! The faults of an engine are listed in its `tests/faults.txt`, as pieces of its source and what to put in their place.
//! All happens in a copy of the repository, kept in the cache with its build, so that a fault costs one small build.

use crate::differential::{self, Comparison};
use crate::repository::{Repository, output, run, spoken};
use crate::servers;
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Of a hundred faults so many have to be caught.
const WANTED: usize = 95;
/// How much longer than a run without fault one may take before it counts as caught: it hangs.
const PATIENCE: u32 = 5;

/// A piece of source, and what to put in its place.
#[derive(Debug, PartialEq)]
struct Fault {
    /// Below the engine's folder.
    file: String,
    /// What is wrong then.
    title: String,
    old: String,
    new: String,
}

/// What came of a fault.
enum Verdict {
    Caught,
    Survived,
    /// The comparison did not come to an end, which would not go unnoticed either.
    Hung,
    /// It is no fault: the source does not build with it.
    Broken(String),
}

/// Puts the faults of an engine in, one after the other, and compares `cases` generated cases with each.
pub(crate) fn seed(repository: &Repository, name: &str, cases: u64, only: &[String]) -> Result<()> {
    let comparison = differential::find(name)?;
    servers::ensure(repository, &differential::names(comparison.oracles))?;
    let list = repository.root().join("crates").join(comparison.package).join("tests/faults.txt");
    let text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let mut faults = parse(&text).with_context(|| format!("in {}", list.display()))?;
    if !only.is_empty() {
        faults.retain(|fault| only.iter().any(|text| fault.title.contains(text) || fault.file.contains(text)));
    }
    let copy = Copy::make(repository, comparison, cases)?;
    for fault in &faults {
        copy.faulty_source(fault)?;
    }

    let patience = copy.compare_as_it_is()? * PATIENCE + Duration::from_secs(5);

    let mut caught = 0;
    for fault in &faults {
        let start = Instant::now();
        let verdict = copy.judge(fault, patience)?;
        let took = spoken(start.elapsed());
        let said = match &verdict {
            Verdict::Caught => "caught".to_owned(),
            Verdict::Hung => "caught, it hangs".to_owned(),
            Verdict::Survived => "NOT CAUGHT".to_owned(),
            Verdict::Broken(why) => format!("DOES NOT BUILD: {why}"),
        };
        caught += usize::from(matches!(verdict, Verdict::Caught | Verdict::Hung));
        eprintln!("{}: {}: {said} ({took})", fault.file, fault.title);
    }
    eprintln!("{caught} of {} faults caught by {cases} cases", faults.len());
    ensure!(caught * 100 >= faults.len() * WANTED, "at least {WANTED} of 100 faults have to be caught");
    Ok(())
}

impl Fault {
    /// The source with the fault in it.
    fn put_into(&self, source: &str) -> Result<String> {
        let Self { file, title, old, new } = self;
        let places = source.matches(old).count();
        ensure!(places == 1, "`{file}: {title}`: what it replaces is there {places} times:\n{old}");
        Ok(source.replacen(old, new, 1))
    }
}

/// Reads a list of faults. Each is a line `FILE: what is wrong then`, lines that begin with `- ` and are there, and
/// lines that begin with `+ ` to put in their place; the first and the last may be parts of lines.
fn parse(text: &str) -> Result<Vec<Fault>> {
    let mut faults: Vec<Fault> = Vec::new();
    let add = |to: &mut String, line: &str| {
        if !to.is_empty() {
            to.push('\n');
        }
        to.push_str(line);
    };
    for (number, line) in text.lines().enumerate() {
        let known = "a fault begins with `FILE: what is wrong then`";
        if let Some(line) = line.strip_prefix("- ") {
            add(&mut faults.last_mut().context(known)?.old, line);
        } else if let Some(line) = line.strip_prefix("+ ") {
            add(&mut faults.last_mut().context(known)?.new, line);
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            let (file, title) = line.split_once(": ").with_context(|| format!("line {}: {known}", number + 1))?;
            let (file, title) = (file.to_owned(), title.to_owned());
            faults.push(Fault { file, title, old: String::new(), new: String::new() });
        }
    }
    if let Some(fault) = faults.iter().find(|fault| fault.old.is_empty()) {
        bail!("`{}: {}` does not say what to replace", fault.file, fault.title);
    }
    Ok(faults)
}

/// The copy of the repository that faults are put into.
struct Copy<'c> {
    root: PathBuf,
    target: PathBuf,
    cache: &'c Path,
    comparison: &'static Comparison,
    cases: u64,
}

impl<'c> Copy<'c> {
    fn make(repository: &'c Repository, comparison: &'static Comparison, cases: u64) -> Result<Self> {
        let folder = repository.cache().join("faults").join(comparison.name);
        let copy = Self {
            root: folder.join("source"),
            target: folder.join("target"),
            cache: repository.cache(),
            comparison,
            cases,
        };
        let listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let names = output(repository.command("git").args(listing))?;
        let mut kept = HashSet::new();
        for name in names.split_terminator('\0') {
            let from = repository.root().join(name);
            // What is deleted and not yet committed is still listed.
            if from.is_file() {
                let to = copy.root.join(name);
                write_if_changed(&to, &fs::read(&from)?)?;
                kept.insert(to);
            }
        }
        remove_all_but(&copy.root, &kept)?;
        Ok(copy)
    }

    fn path(&self, fault: &Fault) -> PathBuf {
        self.root.join("crates").join(self.comparison.package).join(&fault.file)
    }

    /// The source before and after.
    fn faulty_source(&self, fault: &Fault) -> Result<(String, String)> {
        let path = self.path(fault);
        let source = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let faulty = fault.put_into(&source)?;
        Ok((source, faulty))
    }

    fn judge(&self, fault: &Fault, patience: Duration) -> Result<Verdict> {
        let (source, faulty) = self.faulty_source(fault)?;
        let path = self.path(fault);
        fs::write(&path, faulty)?;
        let verdict = match self.build() {
            Err(error) => {
                let text = format!("{error:#}");
                let why = text.lines().find(|line| line.starts_with("error")).unwrap_or(&text);
                Ok(Verdict::Broken(why.to_owned()))
            }
            Ok(test) => {
                let mut command = self.comparing(&test);
                let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
                wait(child.with_context(|| format!("cannot run {}", test.display()))?, patience).map(|status| {
                    match status {
                        Some(status) if status.success() => Verdict::Survived,
                        Some(_) => Verdict::Caught,
                        None => Verdict::Hung,
                    }
                })
            }
        };
        fs::write(&path, source)?;
        verdict
    }

    /// Compares before there is a fault, and says how long that takes.
    fn compare_as_it_is(&self) -> Result<Duration> {
        run(self.cargo().arg("--no-run"))?;
        let test = self.build()?;
        // The cases may be others now.
        if self.answers().exists() {
            fs::remove_file(self.answers())?;
        }
        let start = Instant::now();
        run(&mut self.comparing(&test)).context("there is a difference already, without a fault")?;
        Ok(start.elapsed())
    }

    fn cargo(&self) -> Command {
        let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
        cargo.args(["test", "--package", self.comparison.package, "--test", "it"]);
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        cargo
    }

    /// Builds the tests, and says where.
    fn build(&self) -> Result<PathBuf> {
        let mut cargo = self.cargo();
        cargo.args(["--no-run", "--quiet", "--message-format=json-render-diagnostics"]);
        let said = output(&mut cargo)?;
        let mut binaries = said.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            message["executable"].as_str().map(PathBuf::from)
        });
        binaries.next_back().context("cargo did not say where the tests are")
    }

    fn comparing(&self, test: &Path) -> Command {
        let mut command = Command::new(test);
        command.args(["--exact", self.comparison.test]).current_dir(&self.root);
        command.env("SOLL_CACHE", self.cache).env("SOLL_DIFFERENTIAL_CASES", self.cases.to_string());
        command.env("SOLL_DIFFERENTIAL_FIRST", "1").env("SOLL_DIFFERENTIAL_ANSWERS", self.answers());
        command
    }

    /// Where the original's answers are kept, which are the same for all faults.
    fn answers(&self) -> PathBuf {
        self.target.with_file_name("answers")
    }
}

/// Waits for a program, and ends it if it takes too long.
fn wait(mut child: Child, patience: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(20));
    }
}

/// Leaves a file alone that is as it should be, so that cargo has nothing to do.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let folder = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Removes what an earlier copy has left.
fn remove_all_but(folder: &Path, kept: &HashSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            remove_all_but(&path, kept)?;
        } else if !kept.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_faults_is_read() {
        let text = "# a comment\n\nsrc/a.rs: less is more\n- a < b\n+ a > b\nsrc/b.rs: nothing: left\n- one\n-   two\n";
        let fault = |file: &str, title: &str, old: &str, new: &str| Fault {
            file: file.into(),
            title: title.into(),
            old: old.into(),
            new: new.into(),
        };
        let expected =
            [fault("src/a.rs", "less is more", "a < b", "a > b"), fault("src/b.rs", "nothing: left", "one\n  two", "")];
        assert_eq!(parse(text).expect("it is well formed"), expected);
        assert!(parse("src/a.rs: nothing to replace\n").is_err());
        assert!(parse("- a\n").is_err());
    }

    #[test]
    fn each_fault_fits_the_source_of_today() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        let read =
            |path: PathBuf| fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for package in ["soll-kustomize", "soll-template"].map(|name| crates.join(name)) {
            for fault in parse(&read(package.join("tests/faults.txt"))).expect("it is well formed") {
                if let Err(error) = fault.put_into(&read(package.join(&fault.file))) {
                    panic!("{error}");
                }
            }
        }
    }
}
