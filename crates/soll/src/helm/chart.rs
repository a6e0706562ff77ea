//! Charts and values from the disk.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use soll_helm::{Chart, ChartLimits, load_archive, load_directory, load_local_dependencies};
use soll_tree::{DirTree, TreePath};
use soll_yaml::{At, Sources, Value};

use super::arguments::ValueArguments;

/// A chart from the disk, and the table of where its values were written.
pub(super) struct Loaded {
    pub(super) chart: Chart,
    pub(super) set: Value,
    pub(super) sources: Sources,
    /// What was typed for the chart, and how the table calls its directory.
    typed: String,
    directory: String,
}

impl Loaded {
    /// Loads a chart, and what the flags set.
    pub(super) fn open(typed: &str, values: &ValueArguments, with_local: bool) -> anyhow::Result<Self> {
        let sources = Sources::new();
        let set = values.flags().values(&sources, &mut read).map_err(|error| anyhow!(error))?;
        let (mut chart, tree, directory) = load(typed, &sources)?;
        if let (true, Some(tree)) = (with_local, &tree) {
            load_local_dependencies(&mut chart, tree, &directory, &ChartLimits::default(), &sources)?;
        }
        let missing = chart.missing_dependencies();
        if !missing.is_empty() {
            bail!(
                "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to \
                 fetch missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
                missing.join(", ")
            );
        }
        let typed = typed.trim_end_matches('/').to_owned();
        Ok(Self { chart, set, sources, typed, directory: directory.as_str().to_owned() })
    }

    /// Where a value was written, as people would type it.
    pub(super) fn place(&self, at: At) -> Option<String> {
        let place = self.sources.place(at)?;
        if place.starts_with("--set") {
            // A flag has neither lines nor columns.
            return Some(place.rsplitn(3, ':').last().unwrap_or_default().to_owned());
        }
        Some(match place.strip_prefix(self.directory.as_str()).filter(|_| !self.directory.is_empty()) {
            Some(rest) => format!("{}{rest}", self.typed),
            None => place,
        })
    }
}

/// Directories are read in the tree of the whole file system, because links may lead out of a chart.
fn load(typed: &str, sources: &Sources) -> anyhow::Result<(Chart, Option<DirTree>, TreePath)> {
    if typed.contains("://") {
        bail!("{typed} is remote: fetch it, and name the directory or archive");
    }
    let path = Path::new(typed);
    let Ok(path) = path.canonicalize() else { bail!("path {typed:?} not found") };
    if path.is_dir() {
        let root: PathBuf = path.ancestors().last().expect("a path is an ancestor of itself").to_owned();
        let directory = path.strip_prefix(&root)?.to_str().context("the path is no UTF-8 text")?.parse()?;
        let tree = DirTree::open(&root)?;
        let chart = load_directory(&tree, &directory, &ChartLimits::default(), sources)?;
        return Ok((chart, Some(tree), directory));
    }
    let file = std::fs::File::open(&path).with_context(|| format!("cannot open {typed}"))?;
    let chart = load_archive(std::io::BufReader::new(file), typed, &ChartLimits::default(), sources)
        .with_context(|| format!("cannot load {typed}"))?;
    Ok((chart, None, TreePath::root()))
}

/// A file of values; `-` is standard input.
fn read(path: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    if path.trim() == "-" {
        std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    } else if path.contains("://") {
        return Err(format!("{path} is remote: fetch it, and name the file"));
    } else {
        bytes = std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("open {path}: no such file or directory"),
            _ => format!("open {path}: {error}"),
        })?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
