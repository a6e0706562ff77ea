//! `kustomize build` as a function of a tree: files in, objects with origins out, or every problem at once.
//!
//! Read [`build`] first; [`flux::build`] is the same as Flux's kustomize-controller calls it, and
//! [`substitute`] is its variable substitution. Inside, `accumulate` walks the kustomizations of a tree as
//! kustomize does, `transform` holds one module per transformer, `references` fixes names at the end. What
//! is not built is refused by name where it is written. This crate never opens a file, a socket or a
//! process: files come from a [`FileTree`], remote bases are fetched by [`Remotes`], and charts rendered by a
//! [`ChartRenderer`].

pub mod flux;
pub mod substitute;

mod accumulate;
mod charts;
mod config;
mod defaults;
mod field_spec;
mod file_names;
mod generate;
mod hash;
mod kustomization;
mod load;
mod merge_types;
mod order;
mod plugin;
mod problem;
mod provenance;
mod references;
mod remote;
mod resource;
mod resources;
mod scope;
mod selector;
mod shared;
mod transform;
mod vars;
mod written;

use std::sync::Arc;

use soll_api::Object;
use soll_tree::{FileTree, TreePath};
use soll_yaml::{ParseLimits, Sources, Value};

pub use charts::{ChartRelease, ChartRenderer, ReleaseName};
pub use file_names::file_names;
pub use problem::{BuildErrors, Problem};
pub use remote::{REMOTE, RemoteDirectory, RemoteUrl, Remotes, shown_path};

use accumulate::Builder;
use kustomization::Kustomization;
use resource::Resource;

/// Builds the kustomization in a directory of a tree.
///
/// Objects come in the order that kustomize prints them in, with names, references and hashes final.
/// Linear in objects and references.
///
/// # Errors
/// Every problem of the build, each with its place.
pub fn build(tree: &dyn FileTree, root: &TreePath, options: &Options) -> Result<Manifests, BuildErrors> {
    build_with(tree, root, options, None)
}

/// What a build reads and how it orders its output.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which files may be read.
    pub load: LoadRestriction,
    /// The order of the output, unless the root's `sortOptions` says otherwise.
    pub order: Order,
    /// Whether every object is labelled as `buildMetadata: [managedByLabel]` of the root would.
    pub managed_by_label: bool,
    /// Who renders `helmCharts`; without, they are refused, as in Flux.
    pub charts: Option<Arc<dyn ChartRenderer>>,
    /// Who fetches what is named by URL; without, that is refused.
    pub remotes: Option<Arc<dyn Remotes>>,
    /// Where a build stops.
    pub limits: Limits,
}

/// Which files a kustomization may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadRestriction {
    /// Any in the tree, as in Flux.
    #[default]
    InTree,
    /// Those in or below its own directory; other directories with a kustomization as bases. As the
    /// command line of kustomize.
    RootOnly,
}

/// The order of objects in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As read: `--reorder none`, as Flux builds.
    #[default]
    AsRead,
    /// Namespaces, definitions and accounts first, webhooks last: `--reorder legacy`.
    Legacy,
}

/// Bounds of one build. Reaching one is a problem that names it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For each file.
    pub parse: ParseLimits,
    /// Kustomizations that load each other in a chain.
    pub depth: usize,
    /// Kustomizations and files that are loaded in all, each as often as it is named.
    pub loads: usize,
    /// Objects.
    pub objects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parse: ParseLimits::default(), depth: 64, loads: 20_000, objects: 100_000 }
    }
}

/// What kustomize prints: each has a kind and a name, and nobody asked for more.
#[derive(Debug)]
pub struct Manifests {
    /// The manifests, in order.
    pub values: Vec<Value>,
    /// Explains the positions in the manifests.
    pub sources: Arc<Sources>,
    /// What is odd and worked anyway.
    pub warnings: Vec<Problem>,
}

impl Manifests {
    /// The manifests as objects that a cluster can take.
    ///
    /// # Errors
    /// Each manifest that is none: kustomize lets a missing `apiVersion` pass.
    pub fn into_objects(self) -> Result<Build, BuildErrors> {
        let mut objects = Vec::with_capacity(self.values.len());
        let mut problems = Vec::new();
        for value in self.values {
            match Object::new(value) {
                Ok(object) => objects.push(object),
                Err(error) => problems.push(Problem::new(error.at, error.message)),
            }
        }
        if problems.is_empty() {
            Ok(Build { objects, sources: self.sources, warnings: self.warnings })
        } else {
            Err(BuildErrors { problems, sources: self.sources })
        }
    }
}

/// Manifests that are objects.
#[derive(Debug)]
pub struct Build {
    /// The objects, in order.
    pub objects: Vec<Object>,
    /// Explains the positions in the objects.
    pub sources: Arc<Sources>,
    /// What is odd and worked anyway.
    pub warnings: Vec<Problem>,
}

/// Changes the root kustomization before it is used.
type Mutation<'m> = &'m dyn Fn(&mut Kustomization, &Builder<'_>);

/// Where the root kustomization comes from if not from a file of its own.
struct Root<'m> {
    /// Used if the directory has no kustomization.
    generated: Option<Kustomization>,
    mutate: Mutation<'m>,
}

fn build_with(
    tree: &dyn FileTree,
    root: &TreePath,
    options: &Options,
    special: Option<Root<'_>>,
) -> Result<Manifests, BuildErrors> {
    let sources = Arc::new(Sources::new());
    let builder = Builder::new(tree, options, &sources);
    let resources = builder.run(root, special);
    let problems = builder.problems.take();
    if !problems.is_empty() {
        return Err(BuildErrors { problems, sources });
    }
    let values = resources.into_iter().map(Resource::into_value).collect();
    Ok(Manifests { values, warnings: builder.warnings.take(), sources })
}
