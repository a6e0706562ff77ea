//! What a build reads: paths that lead to files, and what is written in these.

use std::collections::VecDeque;
use std::sync::Arc;

use soll_tree::{ReadError, TreePath};
use soll_yaml::{At, Map, ParseOptions, SourceId, Value, parse_yaml, to_json};

use crate::LoadRestriction;
use crate::accumulate::Builder;
use crate::kustomization::{self, FILE_NAMES, Kustomization, Text, Unknown};
use crate::problem::Problem;
use crate::remote::{RemoteUrl, remote_of, shown_path};
use crate::resource::Resource;

/// A kustomization file, read or not to be read.
pub(crate) struct Found {
    path: TreePath,
    read: Result<Arc<[u8]>, ReadError>,
}

impl Builder<'_> {
    /// The kustomization files of a directory: one, if all is well.
    pub(crate) fn kustomization_files(&self, directory: &TreePath) -> Vec<Found> {
        let file_of = |name: &&str| {
            let path = directory.join(name).expect("the names lead nowhere else");
            match self.tree.read(&path) {
                Err(ReadError::NotFound(_) | ReadError::IsDirectory(_)) => None,
                read => Some(Found { path, read }),
            }
        };
        FILE_NAMES.iter().filter_map(file_of).collect()
    }

    /// The kustomization of a directory, with what [`Builder::kustomization_files`] found there.
    pub(crate) fn kustomization(
        &self,
        directory: &TreePath,
        found: &[Found],
        named_at: At,
        unknown: Unknown,
    ) -> Option<Kustomization> {
        let Found { path, read } = match found {
            [found] => found,
            [] => {
                let names = FILE_NAMES.join("`, `");
                let directory = self.name(directory);
                self.problems.add(named_at, format!("unable to find one of `{names}` in directory `{directory}`"));
                return None;
            }
            several => {
                let names: Vec<_> = several.iter().map(|found| found.path.file_name()).collect();
                let (directory, names) = (self.name(directory), names.join(", "));
                let message = format!("found multiple kustomization files in `{directory}`: {names}; keep one");
                self.problems.add(named_at, message);
                return None;
            }
        };
        self.count_load(named_at)?;
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => {
                self.problems.add(named_at, self.unread(error));
                return None;
            }
        };
        let text = self.text_of(bytes, path, named_at)?;
        let mut documents = self.kustomization_text(text, self.sources.add(path.as_str()))?;
        documents.retain(|document| !document.is_null());
        let first_line = At::new(self.sources.add(path.as_str()), 1, 1);
        let [document] = documents.as_slice() else {
            let message = match documents.len() {
                0 => "kustomization.yaml is empty".to_owned(),
                count => format!("a kustomization file holds one document, this has {count}"),
            };
            self.problems.add(first_line, message);
            return None;
        };
        Some(kustomization::read(document, directory, path.file_name(), unknown, &self.problems))
    }

    /// The documents of a kustomization file. Of two equal keys the last counts, as in kustomize; that is worth a word.
    fn kustomization_text(&self, text: &str, source: SourceId) -> Option<Vec<Value>> {
        let options = ParseOptions { limits: self.options.limits.parse.clone(), ..ParseOptions::go_v2() };
        match parse_yaml(text, source, &options.clone().strict()) {
            Ok(documents) => Some(documents),
            Err(error) => {
                let documents = self.parse(text, source, &options)?;
                let message = format!("{}; the last one counts", error.message);
                self.warnings.borrow_mut().push(Problem { hint: error.hint, ..Problem::new(error.at, message) });
                Some(documents)
            }
        }
    }

    /// The path in the tree that a kustomization names; complains about what is none.
    pub(crate) fn resolve(&self, path: &Text, ks: &Kustomization) -> Option<TreePath> {
        let found = match RemoteUrl::parse(path.as_str()) {
            Some(remote) => self.fetched(&remote, path),
            None if looks_remote(path.as_str()) => {
                Err(format!("`{}` is no URL that can be fetched: https, http, ssh, file, or git@HOST:PATH", path.text))
            }
            None => match ks.directory.join(path.as_str()) {
                Ok(full) if remote_of(&full) == remote_of(&ks.directory) => Ok(full),
                Ok(_) => Err(format!("`{path}` leads out of the repository that was fetched", path = path.text)),
                Err(error) => Err(error.to_string()),
            },
        };
        match found {
            Ok(full) => Some(full),
            Err(message) => {
                self.problems.add(path.at, message);
                None
            }
        }
    }

    /// Where what is named by URL is in the tree.
    fn fetched(&self, remote: &RemoteUrl, named: &Text) -> Result<TreePath, String> {
        let Some(remotes) = &self.options.remotes else {
            return Err(format!("needs `{}`: nothing is fetched here; copy it into the source", named.text));
        };
        match remote {
            RemoteUrl::File(url) => remotes.file(url),
            RemoteUrl::Directory(directory) => {
                let root = remotes.repository(&directory.repository, directory.reference.as_deref())?;
                let full = root.join(&directory.directory).map_err(|error| error.to_string())?;
                if remote_of(&full) == remote_of(&root) {
                    Ok(full)
                } else {
                    Err(format!("`{}` leads out of its repository", named.text))
                }
            }
        }
    }

    /// The content of a file that a kustomization names.
    pub(crate) fn file(&self, path: &Text, ks: &Kustomization) -> Option<(TreePath, Arc<[u8]>)> {
        let full = self.resolve(path, ks)?;
        self.check_reach(path, &full, ks)?;
        let bytes = self.bytes(&full, path.at)?;
        Some((full, bytes))
    }

    /// Refuses files that a kustomization may not read.
    fn check_reach(&self, path: &Text, full: &TreePath, ks: &Kustomization) -> Option<()> {
        let is_near = is_below(full, &ks.directory) || RemoteUrl::parse(path.as_str()).is_some();
        if self.options.load == LoadRestriction::RootOnly && !is_near {
            let (file, directory) = (self.name(full), self.name(&ks.directory));
            let message = format!("security; file `{file}` is not in or below `{directory}`");
            self.problems.add(path.at, message);
            return None;
        }
        Some(())
    }

    /// The documents of a YAML file that a kustomization names, as kyaml reads them.
    pub(crate) fn values(&self, path: &Text, ks: &Kustomization) -> Option<Vec<Value>> {
        let (full, bytes) = self.file(path, ks)?;
        self.values_of(&bytes, &full, path.at)
    }

    fn values_of(&self, bytes: &[u8], full: &TreePath, named_at: At) -> Option<Vec<Value>> {
        let text = self.text_of(bytes, full, named_at)?;
        let mut values = self.parse(text, self.sources.add(full.as_str()), &ParseOptions::go_v3())?;
        values.retain(|value| !value.is_null() && value.as_map().is_none_or(|map| !map.is_empty()));
        Some(values)
    }

    /// The objects of a file, lists opened.
    pub(crate) fn objects(
        &self,
        path: &Text,
        full: &TreePath,
        bytes: &[u8],
        ks: &Kustomization,
    ) -> Option<impl Iterator<Item = Value>> {
        self.check_reach(path, full, ks)?;
        self.count_load(path.at)?;
        Some(self.opened(self.values_of(bytes, full, path.at)?))
    }

    /// Objects, with those in lists behind the others. Complains about what is no object.
    ///
    /// One at a time, so that whoever takes them finds each still in the processor's caches.
    pub(crate) fn opened(&self, values: Vec<Value>) -> impl Iterator<Item = Value> {
        let mut queue = VecDeque::from(values);
        std::iter::from_fn(move || {
            loop {
                let value = queue.pop_front()?;
                if let Some(items) = self.items(&value) {
                    queue.extend(items);
                } else if let Some(at) = null_in_list(&value) {
                    self.problems.add(at, "empty item in a list; remove it or give it a value");
                } else if let Some(message) = nameless(&value) {
                    self.problems.add(value.at, message);
                } else {
                    return Some(value);
                }
            }
        })
    }

    /// The items of an object that is a list of others.
    fn items(&self, value: &Value) -> Option<Vec<Value>> {
        let kind = value.lookup_str(&["kind"]).filter(|kind| kind.ends_with("List"))?;
        let items = value.get("items")?.as_list().unwrap_or_default();
        let opened = items.iter().map(|item| {
            // The plain `List` is opened before that.
            if kind != "List" {
                self.written.note_json(item);
            }
            let mut item = Resource::new(item.clone());
            // It has gone through JSON, which knows one way to write a number.
            let annotations = item.value().lookup(&["metadata", "annotations"]);
            let is_empty = |value: &Value| value.is_null() || value.as_map().is_some_and(Map::is_empty);
            if !annotations.is_some_and(is_empty) {
                item.write_metadata_as_text("annotations", &|value| to_json(value).into());
            }
            item.into_value()
        });
        Some(opened.collect())
    }

    /// Where the text of a scalar begins that was written at a place: a block begins in the next line,
    /// as far in as that line is.
    pub(crate) fn block(&self, at: At) -> Block {
        let outside = Block { source: at.source(), lines: at.line(), columns: 0 };
        let Some(path) = self.sources.get(at.source()).and_then(|source| source.path.parse::<TreePath>().ok()) else {
            return outside;
        };
        let Ok(bytes) = self.tree.read(&path) else { return outside };
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines().skip(at.line().saturating_sub(1));
        let first = lines.next().unwrap_or_default().chars().nth(at.column().saturating_sub(1));
        if !matches!(first, Some('|' | '>')) {
            return Block { lines: at.line().saturating_sub(1), columns: at.column(), ..outside };
        }
        let content = lines.find(|line| !line.trim().is_empty()).unwrap_or_default();
        Block { columns: content.len() - content.trim_start().len(), ..outside }
    }

    pub(crate) fn parse(&self, text: &str, source: SourceId, options: &ParseOptions) -> Option<Vec<Value>> {
        let mut options = options.clone();
        options.limits = self.options.limits.parse.clone();
        match parse_yaml(text, source, &options) {
            Ok(values) => Some(values),
            Err(error) => {
                self.problems.push(Problem { hint: error.hint, ..Problem::new(error.at, error.message) });
                None
            }
        }
    }

    pub(crate) fn read(&self, path: &TreePath, named_at: At) -> Option<String> {
        let bytes = self.bytes(path, named_at)?;
        self.text_of(&bytes, path, named_at).map(str::to_owned)
    }

    fn bytes(&self, path: &TreePath, named_at: At) -> Option<Arc<[u8]>> {
        self.count_load(named_at)?;
        match self.tree.read(path) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.problems.add(named_at, self.unread(&error));
                None
            }
        }
    }

    /// A path of the tree as people know it.
    pub(crate) fn name(&self, path: &TreePath) -> String {
        shown_path(self.tree, path)
    }

    /// An object by where it was written.
    pub(crate) fn object_at(&self, at: At) -> String {
        let path = self.sources.get(at.source()).and_then(|source| source.path.parse().ok());
        match path.filter(|_| !at.is_none()) {
            Some(path) => format!("the object at {}:{}:{}", self.name(&path), at.line(), at.column()),
            None => "another object".to_owned(),
        }
    }

    pub(crate) fn unread(&self, error: &ReadError) -> String {
        error.naming(|path| self.name(path))
    }

    fn count_load(&self, named_at: At) -> Option<()> {
        self.loads.set(self.loads.get() + 1);
        if self.loads.get() > self.options.limits.loads {
            self.problems.add(named_at, format!("more than {} files are loaded", self.options.limits.loads));
            return None;
        }
        Some(())
    }

    pub(crate) fn text_of<'b>(&self, bytes: &'b [u8], path: &TreePath, named_at: At) -> Option<&'b str> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                let (path, offset) = (self.name(path), error.valid_up_to());
                let message = format!("`{path}` is no UTF-8 text: invalid byte at offset {offset}");
                self.problems.add(named_at, message);
                None
            }
        }
    }
}

/// Where a text within a file begins: how many lines and columns its own positions are off.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    source: SourceId,
    lines: usize,
    columns: usize,
}

impl Block {
    /// The place in the file of a place in the text.
    pub(crate) fn place(self, at: At) -> At {
        match at.is_none() {
            true => at,
            false => At::new(self.source, self.lines + at.line(), self.columns + at.column()),
        }
    }

    /// Moves a value that was parsed from the text to its places in the file.
    pub(crate) fn relocate(self, value: &mut Value) {
        value.at = self.place(value.at);
        if let Some(items) = value.as_list_mut() {
            items.iter_mut().for_each(|item| self.relocate(item));
        } else if let Some(map) = value.as_map() {
            let mut relocated = soll_yaml::Map::with_capacity(map.len());
            for entry in map {
                let mut entry = entry.clone();
                entry.key_at = self.place(entry.key_at);
                self.relocate(&mut entry.value);
                relocated.insert_entry(entry);
            }
            *value = Value::from(relocated).at(value.at);
        }
    }
}

/// What a manifest lacks to be told from others; kustomize wants no `apiVersion`.
pub(crate) fn nameless(value: &Value) -> Option<String> {
    if value.as_map().is_none() {
        return Some(format!("expected a Kubernetes object, found {}", value.type_in_words()));
    }
    let kind = value.lookup_str(&["kind"]).unwrap_or_default();
    if kind.is_empty() {
        return Some("the object has no `kind`".to_owned());
    }
    let is_named = value.lookup_str(&["metadata", "name"]).is_some_and(|name| !name.is_empty());
    (!is_named && !kind.ends_with("List")).then(|| format!("the {kind} has no `metadata.name`"))
}

fn null_in_list(value: &Value) -> Option<At> {
    if let Some(items) = value.as_list() {
        return items.iter().find_map(|item| if item.is_null() { Some(item.at) } else { null_in_list(item) });
    }
    value.as_map()?.iter().find_map(|entry| null_in_list(&entry.value))
}

/// Whether a text that is no URL we know was meant as one.
fn looks_remote(path: &str) -> bool {
    path.contains("://") || path.contains("git::") || path.starts_with("git@") || path.contains("?ref=")
}

fn is_below(path: &TreePath, directory: &TreePath) -> bool {
    directory.is_root()
        || path.as_str().strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/') || rest.is_empty())
}

/// Joins paths as written: `..` stays where it leads above the start.
pub(crate) fn clean_join(base: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
