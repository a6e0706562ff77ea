//! From a directory or an archive to a [`Chart`].

use std::io::Read;
use std::sync::Arc;

use soll_tree::{ArchiveError, EntryKind, FileTree, LimitError, Limits, Links, ReadError, TreePath, read_archive};
use soll_yaml::{At, Data, ParseOptions, SourceId, Sources, Value, YamlError, parse_first_yaml, parse_yaml};

use crate::ignore::{HelmIgnore, IgnoreError};
use crate::{Chart, ChartFile, Metadata, values};

/// What a chart may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChartLimits {
    /// Files of the chart and of its dependencies together. Default: 20,000.
    pub files: u64,
    /// Bytes of one file. Default: 5 MiB, as in Helm.
    pub file_bytes: u64,
    /// Bytes of all files together, unpacked. Default: 100 MiB, as in Helm.
    pub total_bytes: u64,
    /// Charts within charts. Default: 16.
    pub depth: usize,
}

impl Default for ChartLimits {
    fn default() -> Self {
        Self { files: 20_000, file_bytes: 5 << 20, total_bytes: 100 << 20, depth: 16 }
    }
}

/// A chart that cannot be loaded. The texts are Helm's where Helm has one.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// Not a chart.
    #[error("Chart.yaml file is missing")]
    NoMetadata,
    /// Of an `apiVersion` that nobody knows.
    #[error("unsupported chart version")]
    UnknownFormat,
    /// A file that is no YAML.
    #[error("cannot load {file}: {text}")]
    Yaml {
        /// The file, within its chart.
        file: String,
        /// What was wrong.
        text: String,
        /// Where.
        at: At,
    },
    /// Metadata that Helm refuses.
    #[error("validation: {0}")]
    Invalid(String),
    /// A line of `.helmignore` that Helm refuses.
    #[error("cannot read .helmignore")]
    Ignore(#[source] IgnoreError),
    /// A chart below `charts/`.
    #[error("error unpacking subchart {name} in {parent}")]
    Subchart {
        /// Its directory or archive.
        name: String,
        /// The chart that has it.
        parent: String,
        /// What was wrong with it.
        source: Box<ChartError>,
    },
    /// An archive that cannot be read.
    #[error("cannot unpack the chart")]
    Archive(#[from] ArchiveError),
    /// An archive whose `Chart.yaml` lies beside the directory that the chart is in.
    #[error("chart yaml not in base directory")]
    NoBaseDirectory,
    /// An archive without files.
    #[error("no files in chart archive")]
    Empty,
    /// More than the limits allow.
    #[error("the chart is larger than its limit of {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// A file that cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Loads the chart in a directory, as far as its `.helmignore` lets it be seen.
///
/// Each value of `values.yaml` knows its place; `sources` says what the places mean.
///
/// # Errors
/// See [`ChartError`].
pub fn load_directory(
    tree: &dyn FileTree,
    directory: &TreePath,
    limits: &ChartLimits,
    sources: &Sources,
) -> Result<Chart, ChartError> {
    let ignore = directory.child(".helmignore").map(|path| tree.read(&path));
    let ignore = match ignore {
        Ok(Ok(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(Err(ReadError::NotFound(_) | ReadError::IsDirectory(_))) | Err(_) => String::new(),
        Ok(Err(error)) => return Err(error.into()),
    };
    let ignore = HelmIgnore::parse(&ignore).map_err(ChartError::Ignore)?;
    let mut loader = Loader { limits, sources, files: 0, bytes: 0 };
    let mut files = Vec::new();
    loader.walk(tree, directory, directory, &ignore, &mut files)?;
    loader.chart(files, 0)
}

/// Loads a packaged chart; `name` is what places in it are called by.
///
/// # Errors
/// See [`ChartError`].
pub fn load_archive(
    bytes: impl Read,
    name: &str,
    limits: &ChartLimits,
    sources: &Sources,
) -> Result<Chart, ChartError> {
    let mut loader = Loader { limits, sources, files: 0, bytes: 0 };
    let files = loader.unpack(bytes, name)?;
    loader.chart(files, 0)
}

/// Loads what a chart declares and `charts/` lacks from directories: `repository: file://../common`.
///
/// Helm wants `helm dependency build` for that; source-controller does it, and so do we where asked to.
///
/// # Errors
/// See [`ChartError`]. A dependency from anywhere else stays missing.
pub fn load_local_dependencies(
    chart: &mut Chart,
    tree: &dyn FileTree,
    directory: &TreePath,
    limits: &ChartLimits,
    sources: &Sources,
) -> Result<(), ChartError> {
    load_local(chart, tree, directory, limits, sources, 0)
}

fn load_local(
    chart: &mut Chart,
    tree: &dyn FileTree,
    directory: &TreePath,
    limits: &ChartLimits,
    sources: &Sources,
    depth: usize,
) -> Result<(), ChartError> {
    if depth > limits.depth {
        return Err(ChartError::Limit { what: "charts within charts", limit: limits.depth as u64 });
    }
    for dependency in &chart.metadata.dependencies {
        let Some(path) = dependency.repository.strip_prefix("file://") else { continue };
        if chart.dependencies.iter().any(|present| present.name() == dependency.name) {
            continue;
        }
        let failed = |error| ChartError::Subchart {
            name: dependency.name.clone(),
            parent: chart.metadata.name.clone(),
            source: Box::new(error),
        };
        let path = directory.join(path).map_err(|error| failed(ChartError::Invalid(error.to_string())))?;
        let mut local = load_directory(tree, &path, limits, sources).map_err(failed)?;
        load_local(&mut local, tree, &path, limits, sources, depth + 1).map_err(failed)?;
        chart.dependencies.push(local);
    }
    Ok(())
}

/// A file on its way into a chart.
struct Loose {
    /// Its path within the chart.
    name: String,
    /// How people find it.
    shown: String,
    data: Arc<[u8]>,
}

struct Loader<'l> {
    limits: &'l ChartLimits,
    sources: &'l Sources,
    files: u64,
    bytes: u64,
}

impl Loader<'_> {
    fn walk(
        &mut self,
        tree: &dyn FileTree,
        root: &TreePath,
        directory: &TreePath,
        ignore: &HelmIgnore,
        into: &mut Vec<Loose>,
    ) -> Result<(), ChartError> {
        for (path, kind) in tree.list(directory)? {
            let name = path.as_str()[root.as_str().len()..].trim_start_matches('/');
            if ignore.excludes(name, kind == EntryKind::Directory) {
                continue;
            }
            match kind {
                EntryKind::Directory => self.walk(tree, root, &path, ignore, into)?,
                EntryKind::File => {
                    let data = self.count(&tree.read(&path)?)?;
                    into.push(Loose { name: name.to_owned(), shown: path.to_string(), data });
                }
            }
        }
        Ok(())
    }

    fn unpack(&mut self, bytes: impl Read, shown: &str) -> Result<Vec<Loose>, ChartError> {
        let limits = Limits {
            entries: self.limits.files.saturating_sub(self.files),
            total_bytes: self.limits.total_bytes.saturating_sub(self.bytes),
            file_bytes: self.limits.file_bytes,
            ..Limits::default()
        };
        let own = *self.limits;
        let tree = read_archive(bytes, &limits, Links::Skip).map_err(|error| match error {
            // What is left of a limit is nothing that people know: the message names the whole.
            ArchiveError::Limit(LimitError::Entries { .. }) => ChartError::Limit { what: "files", limit: own.files },
            ArchiveError::Limit(LimitError::TotalBytes { .. }) => {
                ChartError::Limit { what: "bytes", limit: own.total_bytes }
            }
            ArchiveError::Limit(LimitError::FileBytes { limit, .. }) => {
                ChartError::Limit { what: "bytes in one file", limit }
            }
            other => ChartError::Archive(other),
        })?;
        let mut files = Vec::new();
        for (path, entry) in tree.walk() {
            if !matches!(entry, soll_tree::Entry::File(_)) {
                continue;
            }
            // Whatever the first directory is called, it is the chart.
            let Some((_, name)) = path.as_str().split_once('/') else {
                if path.as_str() == "Chart.yaml" {
                    return Err(ChartError::NoBaseDirectory);
                }
                continue;
            };
            let data = self.count(&tree.read(&path)?)?;
            files.push(Loose { name: name.to_owned(), shown: format!("{shown}/{path}"), data });
        }
        if files.is_empty() { Err(ChartError::Empty) } else { Ok(files) }
    }

    /// Counts a file against the limits, and takes a byte order mark off.
    fn count(&mut self, data: &Arc<[u8]>) -> Result<Arc<[u8]>, ChartError> {
        let size = data.len() as u64;
        let Self { limits, .. } = *self;
        if size > limits.file_bytes {
            return Err(ChartError::Limit { what: "bytes in one file", limit: limits.file_bytes });
        }
        self.files += 1;
        self.bytes += size;
        if self.files > limits.files {
            return Err(ChartError::Limit { what: "files", limit: limits.files });
        }
        if self.bytes > limits.total_bytes {
            return Err(ChartError::Limit { what: "bytes", limit: limits.total_bytes });
        }
        Ok(data.strip_prefix(b"\xef\xbb\xbf").map_or_else(|| data.clone(), Arc::from))
    }

    fn chart(&mut self, files: Vec<Loose>, depth: usize) -> Result<Chart, ChartError> {
        if depth > self.limits.depth {
            return Err(ChartError::Limit { what: "charts within charts", limit: self.limits.depth as u64 });
        }
        let mut metadata: Option<Metadata> = None;
        if let Some(file) = files.iter().find(|file| file.name == "Chart.yaml") {
            let own = metadata.insert(Metadata::default());
            own.read(&self.yaml(file)?).map_err(|text| misfit(file, text))?;
            if own.api_version.is_empty() {
                own.api_version = "v1".to_owned();
            }
            if depth == 0 && !matches!(own.api_version.as_str(), "v1" | "v2") {
                return Err(ChartError::UnknownFormat);
            }
        }
        let mut chart = Parts::default();
        for file in files {
            match file.name.as_str() {
                "Chart.yaml" => {}
                "Chart.lock" => chart.lock = Some(self.yaml(&file)?),
                "values.yaml" => chart.values = Some(self.values(&file)?),
                "values.schema.json" => chart.schema = Some(file.data),
                // What apiVersion v1 has instead of sections of Chart.yaml.
                "requirements.yaml" => {
                    let metadata = metadata.get_or_insert_default();
                    metadata.read(&self.yaml(&file)?).map_err(|text| misfit(&file, text))?;
                    if metadata.api_version == "v1" {
                        chart.files.push(file.into());
                    }
                }
                "requirements.lock" => {
                    chart.lock = Some(self.yaml(&file)?);
                    if metadata.get_or_insert_default().api_version == "v1" {
                        chart.files.push(file.into());
                    }
                }
                name if name.starts_with("templates/") => chart.templates.push(file.into()),
                name if name.starts_with("charts/") && !name.ends_with(".prov") => chart.add_to_subchart(file),
                _ => chart.files.push(file.into()),
            }
        }
        let mut metadata = metadata.ok_or(ChartError::NoMetadata)?;
        metadata.validate().map_err(ChartError::Invalid)?;
        let mut dependencies = Vec::new();
        for (name, files) in chart.subcharts {
            if name.starts_with(['_', '.']) {
                continue;
            }
            let dependency = self.subchart(&name, files, depth).map_err(|error| ChartError::Subchart {
                name,
                parent: metadata.name.clone(),
                source: Box::new(error),
            })?;
            dependencies.push(dependency);
        }
        Ok(Chart {
            metadata,
            lock: chart.lock,
            values: chart.values.unwrap_or_else(Value::map),
            schema: chart.schema,
            templates: chart.templates.into(),
            files: chart.files.into(),
            dependencies,
        })
    }

    fn subchart(&mut self, name: &str, files: Vec<Loose>, depth: usize) -> Result<Chart, ChartError> {
        if name.ends_with(".tgz") {
            let archive = files.into_iter().next().ok_or(ChartError::Empty)?;
            let files = self.unpack(archive.data.as_ref(), &archive.shown)?;
            return self.chart(files, depth + 1);
        }
        let inner = files.into_iter().filter_map(|mut file| {
            file.name = file.name.split_once('/')?.1.to_owned();
            Some(file)
        });
        self.chart(inner.collect(), depth + 1)
    }

    /// The first document; nothing is `null`.
    fn yaml(&self, file: &Loose) -> Result<Value, ChartError> {
        let document = self.parsed(file, "", parse_first_yaml)?;
        Ok(document.unwrap_or_default())
    }

    /// The documents of `values.yaml`, merged.
    fn values(&self, file: &Loose) -> Result<Value, ChartError> {
        let documents = self.parsed(file, "cannot unmarshal yaml document: ", parse_yaml)?;
        values::merge_documents(documents).map_err(|text| ChartError::Yaml {
            file: file.name.clone(),
            text,
            at: At::NONE,
        })
    }

    fn parsed<T>(
        &self,
        file: &Loose,
        before: &str,
        parse: fn(&str, SourceId, &ParseOptions) -> Result<T, YamlError>,
    ) -> Result<T, ChartError> {
        let source = self.sources.add(&file.shown);
        let failed =
            |text: String, at| ChartError::Yaml { file: file.name.clone(), text: format!("{before}{text}"), at };
        let text = std::str::from_utf8(&file.data).map_err(|_| {
            failed("error converting YAML to JSON: yaml: invalid leading UTF-8 octet".to_owned(), At::NONE)
        })?;
        parse(text, source, &ParseOptions::go_v2()).map_err(|error| failed(go_yaml_error(&error), error.at))
    }
}

/// The chart while its files are being sorted.
#[derive(Default)]
struct Parts {
    lock: Option<Value>,
    values: Option<Value>,
    schema: Option<Arc<[u8]>>,
    templates: Vec<ChartFile>,
    files: Vec<ChartFile>,
    /// By directory or archive, in the order of the walk.
    subcharts: Vec<(String, Vec<Loose>)>,
}

impl Parts {
    fn add_to_subchart(&mut self, mut file: Loose) {
        file.name.drain(.."charts/".len());
        let name = file.name.split('/').next().unwrap_or_default().to_owned();
        match self.subcharts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, files)) => files.push(file),
            None => self.subcharts.push((name, vec![file])),
        }
    }
}

impl From<Loose> for ChartFile {
    fn from(file: Loose) -> Self {
        Self { name: file.name.into(), data: file.data }
    }
}

fn misfit(file: &Loose, text: String) -> ChartError {
    let text =
        if text.starts_with("json: ") { format!("error unmarshaling JSON: while decoding JSON: {text}") } else { text };
    ChartError::Yaml { file: file.name.clone(), text, at: At::NONE }
}

/// A YAML error in the words of Go's reader.
pub(crate) fn go_yaml_error(error: &YamlError) -> String {
    format!("error converting YAML to JSON: {}", error.in_go())
}

/// Turns every number into a float, as Go's JSON decoder does with what it decodes into `any`.
pub(crate) fn floats(value: &mut Value) {
    match &mut value.data {
        Data::Int(number) => value.data = Data::Float(*number as f64),
        Data::List(items) => Arc::make_mut(items).iter_mut().for_each(floats),
        Data::Map(map) => Arc::make_mut(map).iter_mut().for_each(|(_, value)| floats(value)),
        Data::Null | Data::Bool(_) | Data::Float(_) | Data::Str(_) => {}
    }
}
