//! The walk over kustomizations: resources, generators, components, transformers, in kustomize's order.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt as _};
use soll_tree::{EntryKind, FileTree, ReadError, TreePath};
use soll_yaml::{At, ParseOptions, Sources};

use crate::config::Config;
use crate::kustomization::{Kustomization, Sort, Text, Unknown, Var};
use crate::load::{Found, clean_join, nameless};
use crate::merge_types::MergeTypes;
use crate::problem::{Problem, Problems};
use crate::provenance::{Origin, Provenance};
use crate::references::Fixer;
use crate::remote::{RemoteDirectory, RemoteUrl};
use crate::resource::Resource;
use crate::resources::Resources;
use crate::written::Written;
use crate::{Options, Order, Root, charts, defaults, generate, hash, order, plugin, transform, vars};

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
    /// How many files were loaded.
    pub(crate) loads: Cell<usize>,
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
        let references = Fixer::new(&resources, &config.name_references);
        if !vars.is_empty() {
            // Variables may stand for what is fixed.
            resources.contents_mut().for_each(|resource| references.fix(resource, self));
            vars::resolve(&mut resources, &vars, &config.var_references, self);
        }
        resources.retain_mut(|resource| {
            if vars.is_empty() {
                references.fix(resource, self);
            }
            self.finish(resource)
        });
        match (&ks.sort, self.options.order) {
            (Some(Sort::Fifo), _) | (None, Order::AsRead) => {}
            (Some(Sort::Legacy { first, last }), _) => order::sort(&mut resources, first, last),
            (None, Order::Legacy) => order::sort(&mut resources, &[], &[]),
        }
        self.refuse_twins(&resources);
        if self.metadata.get().managed_by {
            transform::managed_by(&mut resources, &ks, self);
        }
        resources.into_vec()
    }

    /// Brings an object into the form that is printed. Says whether it is to be printed at all.
    fn finish(&self, resource: &mut Resource) -> bool {
        let local = resource.pairs("annotations").find(|(key, _)| *key == "config.kubernetes.io/local-config");
        if local.is_some_and(|(_, value)| value != "false") {
            return false;
        }
        if let Some(message) = nameless(resource.value()) {
            self.problems.push(Problem::new(resource.at(), message).of(&resource.first_id()));
        }
        resource.write_annotations_as_text(&|value| self.written.text(value));
        if self.metadata.get().origins {
            resource.write_origin();
        }
        if self.metadata.get().transformations {
            resource.write_transformations();
        }
        true
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
            return self.kustomization(directory, &self.kustomization_files(directory), At::NONE, Unknown::Refused);
        };
        let mut ks = match generated {
            Some(ks) => ks,
            None => self.kustomization(directory, &self.kustomization_files(directory), At::NONE, Unknown::Dropped)?,
        };
        mutate(&mut ks, self);
        Some(ks)
    }

    /// Where an object came from, if anyone asks.
    pub(crate) fn tracked(&self, origin: &dyn Fn() -> Provenance) -> Option<Box<Provenance>> {
        self.metadata.get().tracks.then(|| Box::new(origin()))
    }

    /// Notes that a transformer has run over all objects.
    pub(crate) fn note_transformation(&self, resources: &mut Resources, by: &dyn Fn() -> Provenance) {
        if let Some(by) = self.tracked(by) {
            for resource in resources.contents_mut() {
                self.note_transformation_of(resource, &by);
            }
        }
    }

    /// Notes that a transformer has run over one object.
    pub(crate) fn note_transformation_of(&self, resource: &mut Resource, by: &Provenance) {
        resource.write_annotations_as_text(&|value| self.written.text(value));
        resource.note_transformation(by);
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
        // What is named like a directory is one, mostly; the other way round it would be opened to learn no more than that.
        if Path::new(full.file_name()).extension().is_none() {
            let files = self.kustomization_files(&full);
            if !files.is_empty() {
                return self.directory(into, path, full, &files, place, Role::Base);
            }
        }
        match self.tree.read(&full) {
            Ok(bytes) => {
                let Some(objects) = self.objects(path, &full, &bytes, ks) else { return };
                for value in objects {
                    let mut resource = Resource::new(value);
                    if self.metadata.get().tracks {
                        let path = clean_join(&place.written, path.as_str());
                        let file = Origin { path, repository: ks.repository.clone() };
                        resource.origin = Some(Box::new(Provenance::File(file)));
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
            Err(ReadError::IsDirectory(_)) => {
                let files = self.kustomization_files(&full);
                self.directory(into, path, full, &files, place, Role::Base);
            }
            Err(error) => self.problems.add(path.at, self.unread(&error)),
        }
    }

    fn component(&self, into: &mut Accumulator, path: &Text, ks: &Kustomization, place: &Place<'_>) {
        let Some(full) = self.resolve(path, ks) else { return };
        match self.tree.kind(&full) {
            Ok(Some(EntryKind::Directory)) => {
                let files = self.kustomization_files(&full);
                self.directory(into, path, full, &files, place, Role::Component);
            }
            Ok(Some(EntryKind::File)) => {
                self.problems.add(path.at, format!("`{}` is a file; a component is a directory", self.name(&full)));
            }
            Ok(None) => self.problems.add(path.at, format!("`{}` does not exist", self.name(&full))),
            Err(error) => self.problems.add(path.at, self.unread(&error)),
        }
    }

    fn directory(
        &self,
        into: &mut Accumulator,
        path: &Text,
        full: TreePath,
        files: &[Found],
        place: &Place<'_>,
        role: Role,
    ) {
        if place.holds(&full) {
            let message = format!("cycle detected: `{}` is loaded while it is being built", self.name(&full));
            return self.problems.add(path.at, message);
        }
        if place.depth + 1 >= self.options.limits.depth {
            let message = format!("more than {} kustomizations load each other in a chain", self.options.limits.depth);
            return self.problems.add(path.at, message);
        }
        let Some(mut ks) = self.kustomization(&full, files, path.at, Unknown::Refused) else { return };
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
                        plugin.origin = self.tracked(&|| Provenance::File(ks.origin()));
                        self.merge_types.note_scope(plugin.gvk());
                        plugins.resources.append(plugin, self);
                    }
                }
                false => self.resource(&mut plugins, text, ks, place),
            }
        }
        plugins.resources.into_vec()
    }
}

impl Place<'_> {
    fn holds(&self, directory: &TreePath) -> bool {
        self.directory == *directory || self.outer.is_some_and(|outer| outer.holds(directory))
    }
}
