//! `soll kustomize`: `kustomize build`, with its flags.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use soll_kustomize::{LoadRestriction, Options, Order, RemoteUrl, Remotes as _};
use soll_tree::{Tree, TreePath};
use soll_yaml::{Value, emit_documents, emit_yaml, to_json};

use crate::arguments::{Kustomize, LoadRestrictor, Reorder};
use crate::helm::Charts;
use crate::origins::{self, Places};
use crate::remotes::RemoteTree;
use crate::terminal::{self, Palette};
use crate::{build, excerpt};

/// Where the output goes, and in which form.
enum Sink {
    Yaml,
    Json,
    File(PathBuf),
    /// One file for each manifest.
    Directory(PathBuf),
}

/// Builds a directory and prints it. Exit code 1, and every problem with its place, if the build fails.
pub(crate) fn kustomize(arguments: &Kustomize) -> anyhow::Result<u8> {
    refuse(arguments)?;
    let (tree, root) = opened(&arguments.path)?;
    let options = Options { remotes: Some(Arc::clone(&tree) as Arc<_>), ..options(arguments) };
    match soll_kustomize::build(&tree.tree, &root, &options) {
        Ok(built) => {
            let places = Places { sources: &built.sources, tree: &tree.tree };
            for warning in &built.warnings {
                let place = places.origin(warning.at).map(|place| format!("{place}: ")).unwrap_or_default();
                let object = warning.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
                terminal::say(&format!("warning: {place}{object}{}", warning.message));
            }
            write(&built.values, places, arguments)?;
            // The process ends here: to take thousands of objects apart before would be a tenth of its time.
            std::mem::forget(built);
            Ok(0)
        }
        Err(errors) => {
            for failure in errors.failures() {
                terminal::say(&excerpt::render(&failure, Palette::stderr(), &tree.tree));
            }
            Ok(1)
        }
    }
}

/// The tree to build in, and the directory in it: of the disk, or of a repository that is named by URL.
fn opened(path: &Path) -> anyhow::Result<(Arc<RemoteTree>, TreePath)> {
    match path.to_str().and_then(RemoteUrl::parse) {
        None => {
            let (tree, root) = build::tree_of(path)?;
            Ok((Arc::new(RemoteTree::new(Arc::new(tree))), root))
        }
        Some(RemoteUrl::File(url)) => bail!("{url} is a file: name the directory that it is in"),
        Some(RemoteUrl::Directory(remote)) => {
            let tree = RemoteTree::new(Arc::new(Tree::in_memory::<&str, &[u8]>([])?));
            let repository = tree.repository(&remote.repository, remote.reference.as_deref());
            let root = repository.map_err(anyhow::Error::msg)?.join(&remote.directory)?;
            Ok((Arc::new(tree), root))
        }
    }
}

/// Flags that ask for what is not done here.
fn refuse(arguments: &Kustomize) -> anyhow::Result<()> {
    let functions = [
        (arguments.enable_alpha_plugins, "--enable-alpha-plugins"),
        (arguments.enable_exec, "--enable-exec"),
        (arguments.network, "--network"),
        (arguments.network_name.is_some(), "--network-name"),
        (!arguments.mount.is_empty(), "--mount"),
        (!arguments.env.is_empty(), "--env"),
        (arguments.as_current_user, "--as-current-user"),
    ];
    if let Some((_, flag)) = functions.iter().find(|(given, _)| *given) {
        bail!("{flag} is for programs and containers that kustomize runs; soll runs none, as Flux does");
    }
    Ok(())
}

fn options(arguments: &Kustomize) -> Options {
    Options {
        load: match arguments.load_restrictor {
            LoadRestrictor::RootOnly => LoadRestriction::RootOnly,
            LoadRestrictor::None => LoadRestriction::InTree,
        },
        order: match arguments.reorder {
            Reorder::Legacy => Order::Legacy,
            Reorder::None => Order::AsRead,
        },
        managed_by_label: arguments.enable_managedby_label || is_labelled_by_environment(),
        charts: arguments.enable_helm.then(|| Arc::new(charts(arguments)) as Arc<_>),
        ..Options::default()
    }
}

fn charts(arguments: &Kustomize) -> Charts {
    Charts { api_versions: arguments.helm_api_versions.clone(), kube_version: arguments.helm_kube_version.clone() }
}

impl Sink {
    fn of(output: Option<&Path>) -> Self {
        match output {
            None => Self::Yaml,
            Some(path) if path == Path::new("yaml") => Self::Yaml,
            Some(path) if path == Path::new("json") => Self::Json,
            Some(path) if path.is_dir() => Self::Directory(path.to_owned()),
            Some(path) => Self::File(path.to_owned()),
        }
    }
}

fn write(values: &[Value], places: Places<'_>, arguments: &Kustomize) -> anyhow::Result<()> {
    let text = |value: &Value| match arguments.origins {
        Some(detail) => origins::annotated(value, places, detail),
        None => emit_yaml(value),
    };
    match Sink::of(arguments.output.as_deref()) {
        Sink::Yaml => terminal::print(&joined(values, arguments, &text)),
        Sink::Json => {
            let lines: String = values.iter().map(|value| to_json(value) + "\n").collect();
            terminal::print(&lines);
        }
        Sink::File(path) => {
            std::fs::write(&path, joined(values, arguments, &text))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Sink::Directory(directory) => {
            for (name, value) in soll_kustomize::file_names(values) {
                let path = directory.join(name);
                std::fs::write(&path, text(value)).with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(())
}

fn joined(values: &[Value], arguments: &Kustomize, text: &dyn Fn(&Value) -> String) -> String {
    if arguments.origins.is_none() {
        return emit_documents(values);
    }
    let texts: Vec<_> = values.iter().map(text).collect();
    texts.join("---\n")
}

/// As kustomize reads its environment.
fn is_labelled_by_environment() -> bool {
    std::env::var_os("KUSTOMIZE_ENABLE_MANAGEDBY_LABEL").is_some_and(|value| value == "on")
}
