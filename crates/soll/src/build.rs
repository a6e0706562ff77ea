//! `soll build`: what the engine would apply, without a cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use soll_api::{Failure, Kustomization, Object, Resource as _, Secrets};
use soll_cluster::Cluster;
use soll_controllers::{Built, build_objects, set_inline};
use soll_kustomize::substitute::{Giver, Variables};
use soll_tree::{DirTree, TreePath};
use soll_yaml::{ParseOptions, Sources, parse_yaml};

use crate::arguments::{Build, BuildArguments, Output};
use crate::excerpt;
use crate::terminal::{self, Palette};

/// Prints the manifests. Exit code 1, and every problem with its place, if the build fails.
pub(crate) fn build(arguments: &Build) -> anyhow::Result<u8> {
    let site = Site::open(&arguments.build)?;
    match site.build() {
        Ok(built) => {
            for (position, object) in built.objects.iter().enumerate() {
                let separator = if position == 0 { "" } else { "---\n" };
                terminal::print(&format!("{separator}{}", soll_yaml::emit_yaml(object.value())));
            }
            Ok(0)
        }
        Err(failure) => {
            site.report(&failure, arguments.output)?;
            Ok(1)
        }
    }
}

/// A directory to build, the tree that it lies in, and what is to be done with it.
pub(crate) struct Site {
    tree: DirTree,
    pub(crate) kustomization: Kustomization,
    /// Whether the Kustomization was given, and with it the owner of the objects.
    pub(crate) is_named: bool,
    variables: Variables,
    /// Why some variables may be missing.
    missing: Option<Failure>,
}

impl Site {
    /// Opens the directory and reads the Kustomization, if one was given.
    pub(crate) fn open(arguments: &BuildArguments) -> anyhow::Result<Self> {
        let (tree, path) = tree_of(&arguments.path)?;
        let mut kustomization = match &arguments.kustomization_file {
            Some(file) => read_kustomization(file)?,
            None => Kustomization::from_object(&plain())?,
        };
        kustomization.spec.path = Some(path.as_str().to_owned());
        // What is given stands for what the cluster would be asked for; what the Kustomization says itself wins.
        let mut variables = Variables::new();
        set_given(&mut variables, arguments);
        set_inline(&mut variables, &kustomization);
        let is_named = arguments.kustomization_file.is_some();
        Ok(Self { tree, kustomization, is_named, variables, missing: None })
    }

    /// Has the build use the variables that the engine would read in the cluster, too. What was given on the command
    /// line counts more than those, and stands for what cannot be read.
    pub(crate) async fn ask(
        &mut self,
        cluster: &Cluster,
        namespace: &str,
        arguments: &BuildArguments,
    ) -> Result<(), Failure> {
        let namespace = match self.kustomization.metadata.namespace.as_str() {
            "" => namespace,
            own => own,
        };
        let is_given = !arguments.variables.is_empty();
        let (mut variables, missing) = match soll_controllers::variables(&self.kustomization, namespace, cluster).await
        {
            Err(_) if is_given => (Variables::new(), None),
            read => read?,
        };
        set_given(&mut variables, arguments);
        set_inline(&mut variables, &self.kustomization);
        self.variables = variables;
        self.missing = missing.filter(|_| !is_given);
        Ok(())
    }

    /// What nothing may print.
    pub(crate) fn secrets(&self) -> Secrets {
        self.variables.secrets()
    }

    /// Builds as the engine does.
    pub(crate) fn build(&self) -> Result<Built, Failure> {
        build_objects(&self.kustomization, &self.tree, &self.variables, self.missing.clone(), true)
    }

    /// Shows a failure: with the lines that caused it, or as JSON.
    pub(crate) fn report(&self, failure: &Failure, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Json => terminal::print(&format!("{}\n", serde_json::to_string(failure)?)),
            Output::Text => terminal::say(&excerpt::render(failure, Palette::stderr(), &self.tree)),
        }
        Ok(())
    }
}

/// The tree that a directory lies in, and its path there. The tree is the Git repository it is in, or else the whole
/// file system, so that bases beside it are found.
pub(crate) fn tree_of(path: &Path) -> anyhow::Result<(DirTree, TreePath)> {
    let directory = path.canonicalize().with_context(|| format!("cannot open {}", path.display()))?;
    if !directory.is_dir() {
        bail!("{} is a file: name the directory that it is in", path.display());
    }
    let root = directory.ancestors().find(|ancestor| ancestor.join(".git").exists()).unwrap_or(Path::new("/"));
    let path = directory.strip_prefix(root).expect("an ancestor is a prefix");
    let path: TreePath = path.to_str().context("the path is no UTF-8 text")?.parse()?;
    Ok((DirTree::open(root)?, path))
}

fn set_given(variables: &mut Variables, arguments: &BuildArguments) {
    let giver = Giver::open("--var");
    arguments.variables.iter().for_each(|(name, value)| variables.set(name, value, &giver));
}

/// What a Kustomization says that says nothing.
fn plain() -> Object {
    let object = serde_json::json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "build"},
        "spec": {"interval": "10m", "prune": true, "sourceRef": {"kind": "GitRepository", "name": "build"}},
    });
    let value = soll_yaml::to_value(&object).expect("a JSON value has a JSON form");
    Object::new(value).expect("it has a kind and a name")
}

fn read_kustomization(file: &PathBuf) -> anyhow::Result<Kustomization> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let sources = Sources::new();
    let source = sources.add(&file.to_string_lossy());
    let documents = parse_yaml(&text, source, &ParseOptions::go_v2())
        .map_err(|error| anyhow::anyhow!("{}: {error}", sources.place(error.at).unwrap_or_default()))?;
    for document in documents {
        let Ok(object) = Object::new(document) else { continue };
        if object.group() == "kustomize.toolkit.fluxcd.io" && object.kind() == "Kustomization" {
            return Kustomization::from_object(&object)
                .map_err(|error| anyhow::anyhow!("{}: {error}", sources.place(error.at).unwrap_or_default()));
        }
    }
    bail!("{} has no Kustomization of kustomize.toolkit.fluxcd.io", file.display())
}
