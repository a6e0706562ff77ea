//! The walk over kustomizations: resources, generators, components, transformers, in kustomize's order.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use soll_tree::{EntryKind, FileTree, ReadError, TreePath};
use soll_yaml::{At, Map, ParseOptions, SourceId, Sources, Value, parse_yaml, to_json};

use crate::config::Config;
use crate::kustomization::{self, FILE_NAMES, Kustomization, Sort, Text, Unknown, Var};
use crate::merge_types::MergeTypes;
use crate::problem::{Problem, Problems};
use crate::provenance::{Origin, Provenance};
use crate::remote::{RemoteDirectory, RemoteUrl, remote_of, shown_path};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::written::Written;
use crate::{
    LoadRestriction, Options, Order, Root, charts, defaults, generate, hash, order, plugin, references, transform, vars,
};

/// One build under way.
pub(crate) struct Builder<'a> {
    pub(crate) tree: &'a dyn FileTree,
    pub(crate) options: &'a Options,
    pub(crate) sources: &'a Arc<Sources>,
    pub(crate) problems: Problems,
    pub(crate) warnings: RefCell<Vec<Problem>>,
    /// How scalars were written.
    pub(crate) written: Written<'a>,
    pub(crate) merge_types: MergeTypes,
    loads: Cell<usize>,
    metadata: Cell<Metadata>,
}

/// What `buildMetadata` of the root asks for.
#[derive(Debug, Clone, Copy, Default)]
struct Metadata {
    origins: bool,
    transformations: bool,
    managed_by: bool,
    /// Whether anything is asked for: then kustomize keeps track of where objects come from.
    tracks: bool,
}

/// What one kustomization and all below it have made so far.
#[derive(Default)]
pub(crate) struct Accumulator {
    pub(crate) resources: Resources,
    pub(crate) config: Arc<Config>,
    pub(crate) vars: Vec<Var>,
}

/// Where the walk is: the chain of directories, and the path from the root as it was written.
#[derive(Clone)]
struct Place<'p> {
    directory: TreePath,
    written: String,
    /// The repository that it was fetched from, if it was.
    repository: Option<Arc<RemoteDirectory>>,
    outer: Option<&'p Place<'p>>,
    depth: usize,
    /// The namespace of the nearest kustomization around that has one; charts want to know it.
    namespace: Option<Text>,
}

/// What a directory is loaded as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Base,
    Component,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(tree: &'a dyn FileTree, options: &'a Options, sources: &'a Arc<Sources>) -> Self {
        Self {
            tree,
            options,
            sources,
            problems: Problems::default(),
            warnings: RefCell::default(),
            written: Written::new(tree, sources),
            merge_types: MergeTypes::default(),
            loads: Cell::new(0),
            metadata: Cell::default(),
        }
    }

    /// Builds the root. What is wrong stands in the problems afterwards.
    pub(crate) fn run(&self, directory: &TreePath, special: Option<Root<'_>>) -> Vec<Resource> {
        let place = Place {
            directory: directory.clone(),
            written: String::new(),
            repository: None,
            outer: None,
            depth: 0,
            namespace: None,
        };
        let Some(ks) = self.root(directory, special) else { return Vec::new() };
        if ks.is_empty {
            self.problems.add(ks.at, "kustomization.yaml is empty");
            return Vec::new();
        }
        self.metadata.set(self.metadata_of(&ks));
        let mut accumulator = Accumulator::default();
        self.accumulate(&mut accumulator, &ks, &place);
        let Accumulator { mut resources, config, vars } = accumulator;
        // References and hashes of a broken build would only tell more of the same.
        if !self.problems.is_empty() {
            return Vec::new();
        }
        hash::add_to_names(&mut resources);
        references::fix(&mut resources, &config.name_references, self);
        vars::resolve(&mut resources, &vars, &config.var_references, self);
        resources.retain(|resource| {
            let local = resource.pairs("annotations").find(|(key, _)| *key == "config.kubernetes.io/local-config");
            local.is_none_or(|(_, value)| value == "false")
        });
        match (&ks.sort, self.options.order) {
            (Some(Sort::Fifo), _) | (None, Order::AsRead) => {}
            (Some(Sort::Legacy { first, last }), _) => order::sort(&mut resources, first, last),
            (None, Order::Legacy) => order::sort(&mut resources, &[], &[]),
        }
        self.refuse_twins(&resources);
        for resource in resources.iter() {
            if let Some(message) = nameless(resource.value()) {
                self.problems.push(Problem::new(resource.at(), message).of(&resource.first_id()));
            }
        }
        for resource in resources.contents_mut() {
            resource.write_annotations_as_text(&|value| self.written.text(value));
            if self.metadata.get().origins {
                resource.write_origin();
            }
            if self.metadata.get().transformations {
                resource.write_transformations();
            }
        }
        if self.metadata.get().managed_by {
            transform::managed_by(&mut resources, &ks, self);
        }
        resources.into_vec()
    }

    /// Patches and replacements may give two objects one name.
    pub(crate) fn refuse_twins(&self, resources: &Resources) {
        let mut seen = HashMap::with_capacity(resources.len());
        for resource in resources.iter() {
            let id = resource.id();
            if let Some(first) = seen.insert(id.key(), resource.at()) {
                let first = self.object_at(first);
                let message =
                    format!("may not add resource with an already registered id; {first} has this name now too");
                self.problems.push(Problem::new(resource.at(), message).of(id));
            }
        }
    }

    /// The same, unless no name has changed since it was done last.
    pub(crate) fn refuse_new_twins(&self, resources: &mut Resources) {
        if resources.take_renamed() {
            self.refuse_twins(resources);
        }
    }

    fn root(&self, directory: &TreePath, special: Option<Root<'_>>) -> Option<Kustomization> {
        let Some(Root { generated, mutate }) = special else {
            return self.kustomization(directory, At::NONE, Unknown::Refused);
        };
        let mut ks = match generated {
            Some(ks) => ks,
            None => self.kustomization(directory, At::NONE, Unknown::Dropped)?,
        };
        mutate(&mut ks, self);
        Some(ks)
    }

    /// Where an object came from, if anyone asks.
    pub(crate) fn tracked(&self, origin: &dyn Fn() -> Provenance) -> Option<Provenance> {
        self.metadata.get().tracks.then(origin)
    }

    /// Notes that a transformer has run over all objects.
    pub(crate) fn note_transformation(&self, resources: &mut Resources, by: &dyn Fn() -> Provenance) {
        if let Some(by) = self.tracked(by) {
            for resource in resources.contents_mut() {
                resource.write_annotations_as_text(&|value| self.written.text(value));
                resource.note_transformation(&by);
            }
        }
    }

    fn metadata_of(&self, ks: &Kustomization) -> Metadata {
        let has = |option: &str| ks.build_metadata.iter().any(|text| text.as_str() == option);
        Metadata {
            origins: has("originAnnotations"),
            transformations: has("transformerAnnotations"),
            managed_by: self.options.managed_by_label || has("managedByLabel"),
            tracks: !ks.build_metadata.is_empty(),
        }
    }

    /// Takes the schema that a kustomization brings; the first one counts, for the whole build.
    fn take_schema(&self, ks: &Kustomization) {
        if ks.openapi_version.is_some() {
            self.merge_types.keep();
        }
        let Some(path) = &ks.openapi else { return };
        if let Some(document) = self.values(path, ks).and_then(|values| values.into_iter().next()) {
            self.merge_types.bring(&document);
        }
    }

    fn accumulate(&self, into: &mut Accumulator, ks: &Kustomization, place: &Place<'_>) {
        let namespace = ks.namespace.clone().or_else(|| place.namespace.clone());
        let place = &Place { namespace, ..place.clone() };
        self.take_schema(ks);
        for path in &ks.resources {
            self.resource(into, path, ks, place);
        }
        let mut own = None;
        for path in &ks.configurations {
            for value in self.values(path, ks).unwrap_or_default() {
                let config = Arc::make_mut(own.get_or_insert_with(|| defaults::config().clone()));
                if let Err(message) = config.merge(&Config::read(&value, &self.problems)) {
                    self.problems.add(path.at, message);
                }
            }
        }
        self.merge(&mut into.config, own.as_ref().unwrap_or(defaults::config()), ks.at);
        for path in &ks.crds {
            for value in self.values(path, ks).unwrap_or_default() {
                let mut found = Config::default();
                let merged =
                    plugin::read_crd(&value, &mut found).and_then(|()| Arc::make_mut(&mut into.config).merge(&found));
                if let Err(message) = merged {
                    self.problems.add(path.at, message);
                }
            }
        }
        generate::run(&mut into.resources, ks, self);
        charts::run(&mut into.resources, ks, place.namespace.as_ref(), self);
        for plugin in self.plugins(&ks.generators, ks, place).iter() {
            plugin::generate(&mut into.resources, plugin, ks, self);
        }
        for path in &ks.components {
            self.component(into, path, ks, place);
        }
        transform::run(into, ks, self);
        for plugin in self.plugins(&ks.transformers, ks, place).iter() {
            plugin::transform(into, plugin, ks, self);
        }
        for plugin in self.plugins(&ks.validators, ks, place).iter() {
            plugin::validate(into, plugin, ks, self);
        }
        vars::note(&mut into.resources, &ks.vars, self);
        self.add_vars(into, ks.vars.clone());
    }

    fn merge(&self, config: &mut Arc<Config>, other: &Arc<Config>, at: At) {
        // Nothing is known yet: every configuration that comes here has the defaults.
        if config.name_prefix.is_empty() {
            config.clone_from(other);
        } else if let Err(message) = Config::share(config, other) {
            self.problems.add(at, message);
        }
    }

    /// Adds variables; their names are unique in a build.
    fn add_vars(&self, into: &mut Accumulator, vars: Vec<Var>) {
        for var in vars {
            if into.vars.iter().any(|known| known.name.text == var.name.text) {
                self.problems.add(var.at, format!("var `{}` already encountered", var.name.text));
            }
            into.vars.push(var);
        }
    }

    /// One entry of `resources`: a file of objects, or a directory with a kustomization.
    fn resource(&self, into: &mut Accumulator, path: &Text, ks: &Kustomization, place: &Place<'_>) {
        let Some(full) = self.resolve(path, ks) else { return };
        match self.tree.read(&full) {
            Ok(bytes) => {
                let Some(objects) = self.objects(path, &full, &bytes, ks) else { return };
                for value in objects {
                    let mut resource = Resource::new(value);
                    if self.metadata.get().tracks {
                        let path = clean_join(&place.written, path.as_str());
                        resource.origin = Some(Provenance::File(Origin { path, repository: ks.repository.clone() }));
                    }
                    if into.resources.len() >= self.options.limits.objects {
                        let limit = self.options.limits.objects;
                        self.problems.add(path.at, format!("more than {limit} objects"));
                        return;
                    }
                    self.merge_types.note_scope(resource.gvk());
                    into.resources.append(resource, self);
                }
            }
            Err(ReadError::IsDirectory(_)) => self.directory(into, path, full, place, Role::Base),
            Err(error) => self.problems.add(path.at, self.unread(&error)),
        }
    }

    fn component(&self, into: &mut Accumulator, path: &Text, ks: &Kustomization, place: &Place<'_>) {
        let Some(full) = self.resolve(path, ks) else { return };
        match self.tree.kind(&full) {
            Ok(Some(EntryKind::Directory)) => self.directory(into, path, full, place, Role::Component),
            Ok(Some(EntryKind::File)) => {
                self.problems.add(path.at, format!("`{}` is a file; a component is a directory", self.name(&full)));
            }
            Ok(None) => self.problems.add(path.at, format!("`{}` does not exist", self.name(&full))),
            Err(error) => self.problems.add(path.at, self.unread(&error)),
        }
    }

    fn directory(&self, into: &mut Accumulator, path: &Text, full: TreePath, place: &Place<'_>, role: Role) {
        if place.holds(&full) {
            let message = format!("cycle detected: `{}` is loaded while it is being built", self.name(&full));
            return self.problems.add(path.at, message);
        }
        if place.depth + 1 >= self.options.limits.depth {
            let message = format!("more than {} kustomizations load each other in a chain", self.options.limits.depth);
            return self.problems.add(path.at, message);
        }
        let Some(mut ks) = self.kustomization(&full, path.at, Unknown::Refused) else { return };
        match (role, ks.is_component) {
            (Role::Base, false) | (Role::Component, true) => {}
            (Role::Base, true) => {
                let message = format!("`{}` is a component; list it under `components`", self.name(&full));
                return self.problems.add(path.at, message);
            }
            (Role::Component, false) => {
                let message =
                    format!("expected kind `Component` for `{}`; list it under `resources`", self.name(&full));
                return self.problems.add(path.at, message);
            }
        }
        if ks.is_empty {
            return self.problems.add(ks.at, "kustomization.yaml is empty");
        }
        let (written, repository) = match RemoteUrl::parse(path.as_str()) {
            Some(RemoteUrl::Directory(remote)) => (remote.directory.clone(), Some(Arc::new(remote))),
            Some(RemoteUrl::File(_)) | None => (clean_join(&place.written, path.as_str()), place.repository.clone()),
        };
        ks.shown_directory.clone_from(&written);
        ks.repository.clone_from(&repository);
        let namespace = place.namespace.clone();
        let inner =
            Place { directory: full, written, repository, outer: Some(place), depth: place.depth + 1, namespace };
        match role {
            // A component works on what its parent has so far.
            Role::Component => {
                self.accumulate(into, &ks, &inner);
                self.refuse_twins(&into.resources);
            }
            Role::Base => {
                let mut base = Accumulator::default();
                self.accumulate(&mut base, &ks, &inner);
                self.merge(&mut into.config, &base.config, path.at);
                for resource in base.resources.into_vec() {
                    into.resources.append(resource, self);
                }
                self.add_vars(into, base.vars);
            }
        }
    }

    /// The kustomization of a directory.
    fn kustomization(&self, directory: &TreePath, named_at: At, unknown: Unknown) -> Option<Kustomization> {
        let file_of = |name: &&str| {
            let path = directory.join(name).expect("the names lead nowhere else");
            match self.tree.read(&path) {
                Err(ReadError::NotFound(_) | ReadError::IsDirectory(_)) => None,
                read => Some((path, read)),
            }
        };
        let found: Vec<_> = FILE_NAMES.iter().filter_map(file_of).collect();
        let (path, read) = match found.as_slice() {
            [(path, read)] => (path, read),
            [] => {
                let names = FILE_NAMES.join("`, `");
                let directory = self.name(directory);
                self.problems.add(named_at, format!("unable to find one of `{names}` in directory `{directory}`"));
                return None;
            }
            several => {
                let names: Vec<_> = several.iter().map(|(path, _)| path.file_name()).collect();
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

    /// Configurations of generators or transformers, inline or from files and directories.
    fn plugins(&self, texts: &[Text], ks: &Kustomization, place: &Place<'_>) -> Vec<Resource> {
        let mut plugins = Accumulator::default();
        // Those in line come first, wherever they stand.
        let is_inline = |text: &&Text| text.as_str().contains('\n') || text.as_str().starts_with('{');
        let (inline, paths): (Vec<_>, Vec<_>) = texts.iter().partition(is_inline);
        for text in inline.into_iter().chain(paths) {
            match is_inline(&text) {
                true => {
                    let options = ParseOptions::go_v3();
                    let Some(values) = self.parse(&text.text, text.at.source(), &options) else { continue };
                    let block = self.block(text.at);
                    for mut value in values.into_iter().filter(|value| !value.is_null()) {
                        block.relocate(&mut value);
                        let mut plugin = Resource::new(value);
                        plugin.origin = self.metadata.get().tracks.then(|| Provenance::File(ks.origin()));
                        plugins.resources.append(plugin, self);
                    }
                }
                false => self.resource(&mut plugins, text, ks, place),
            }
        }
        plugins.resources.into_vec()
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
    fn objects(&self, path: &Text, full: &TreePath, bytes: &[u8], ks: &Kustomization) -> Option<Vec<Value>> {
        self.check_reach(path, full, ks)?;
        self.count_load(path.at)?;
        Some(self.opened(self.values_of(bytes, full, path.at)?))
    }

    /// Objects, with those in lists behind the others. Complains about what is no object.
    pub(crate) fn opened(&self, values: Vec<Value>) -> Vec<Value> {
        let mut objects = Vec::with_capacity(values.len());
        let mut queue = std::collections::VecDeque::from(values);
        while let Some(value) = queue.pop_front() {
            let is_list = value.lookup_str(&["kind"]).is_some_and(|kind| kind.ends_with("List"));
            if let Some(items) = value.get("items").filter(|_| is_list) {
                for item in items.as_list().unwrap_or_default() {
                    // The plain `List` is opened before that.
                    if value.lookup_str(&["kind"]) != Some("List") {
                        self.written.note_json(item);
                    }
                    let mut item = Resource::new(item.clone());
                    // It has gone through JSON, which knows one way to write a number.
                    let annotations = item.value().lookup(&["metadata", "annotations"]);
                    let is_empty = |value: &Value| value.is_null() || value.as_map().is_some_and(Map::is_empty);
                    if !annotations.is_some_and(is_empty) {
                        item.write_metadata_as_text("annotations", &|value| to_json(value).into());
                    }
                    queue.push_back(item.into_value());
                }
                continue;
            }
            if let Some(at) = null_in_list(&value) {
                self.problems.add(at, "empty item in a list; remove it or give it a value");
                continue;
            }
            match nameless(&value) {
                None => objects.push(value),
                Some(message) => self.problems.add(value.at, message),
            }
        }
        objects
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

    fn unread(&self, error: &ReadError) -> String {
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

impl Place<'_> {
    fn holds(&self, directory: &TreePath) -> bool {
        self.directory == *directory || self.outer.is_some_and(|outer| outer.holds(directory))
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
fn nameless(value: &Value) -> Option<String> {
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
