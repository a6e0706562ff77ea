//! The build: from a tree and a spec to objects with origins, on a blocking thread.

use std::collections::BTreeSet;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use soll_api::{Class, Failure, Kustomization, Object, Origin, Retry, Secrets, SubstituteStrategy};
use soll_kustomize::flux::Overrides;
use soll_kustomize::substitute::{self, Variables};
use soll_kustomize::{Build, Options};
use soll_source::blocking;
use soll_tree::{EntryKind, FileTree, Reads, Recorder, Tree, TreePath};
use soll_yaml::Sources;

use crate::config::EngineConfig;

/// What a build gave, and what it read.
pub struct Built {
    /// In the order of the build.
    pub objects: Vec<Object>,
    /// Explains the positions in the objects.
    pub sources: Arc<Sources>,
    /// What no message about the objects may hold: secret variables, and what expressions made of them.
    pub secrets: Secrets,
    pub(super) reads: Reads,
    /// Of all objects, in their order: what history shows.
    pub(super) digest: String,
}

/// Builds what the spec asks for from the tree.
pub(super) async fn build(
    ks: &Kustomization,
    tree: Tree,
    variables: Variables,
    missing: Option<Failure>,
    config: &EngineConfig,
) -> Result<Built, Failure> {
    let (ks, strict) = (ks.clone(), config.strict_substitution);
    blocking(move || build_objects(&ks, &tree, &variables, missing, strict)).await
}

/// Builds what the spec asks for from the tree, as the controller does; `soll build` and `soll diff` call it, too.
///
/// The path of the spec is read in the tree; `variables` are those of `postBuild`, all of them. If some are `missing`,
/// the build fails with that, naming where one would have been used. Blocks: it reads files and computes.
///
/// # Errors
/// Every problem of the build in one failure, with the places that caused it.
pub fn build_objects(
    ks: &Kustomization,
    tree: &dyn FileTree,
    variables: &Variables,
    missing: Option<Failure>,
    strict: bool,
) -> Result<Built, Failure> {
    let recorder = Recorder::new(tree);
    let root = root(ks, &recorder)?;
    let built = soll_kustomize::flux::build(&recorder, &root, &Overrides::of(&ks.spec), &Options::default());
    let mut built = built.map_err(|errors| errors.failure())?;
    let always = ks
        .spec
        .post_build
        .as_ref()
        .is_some_and(|post_build| post_build.substitute_strategy == SubstituteStrategy::Always);
    if let Some(missing) = missing {
        return Err(with_use(missing, &built, variables));
    }
    let mut secrets = variables.secrets();
    if !variables.is_empty() || always {
        substitute::substitute_objects(&mut built, variables, strict, &mut secrets).map_err(|errors| {
            let mut failure = errors.failure();
            failure.hide(&secrets);
            failure
        })?;
    }
    if let Some(common) = &ks.spec.common_metadata {
        soll_kustomize::flux::common_metadata(&mut built.objects, common);
    }
    let mut hash = Sha256::new();
    for object in &built.objects {
        hash.update("---\n");
        hash.update(soll_yaml::emit_yaml(object.value()));
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Built {
        objects: built.objects,
        sources: built.sources,
        secrets,
        reads: recorder.into_reads(),
        digest: format!("sha256:{digest}"),
    })
}

/// The failure of missing variables, with the first place that names one.
fn with_use(missing: Failure, built: &Build, variables: &Variables) -> Failure {
    let unset = substitute::unset_variables(built, variables);
    let Some(first) = unset.first() else { return missing };
    let others: BTreeSet<&str> = unset.iter().map(|named| named.variable.as_str()).collect();
    let others = match others.len() {
        1 => String::new(),
        count => format!(" (and {} more variables)", count - 1),
    };
    let why = format!("{} needs `${{{}}}`{others}, which is not set", first.field, first.variable);
    missing.of(&first.object, why).from_origins(Origin::chain(&built.sources, first.at))
}

/// The directory that the spec names.
fn root(ks: &Kustomization, tree: &dyn FileTree) -> Result<TreePath, Failure> {
    let path = ks.spec.path.as_deref().unwrap_or_default();
    let missing = |why: String| {
        let message = format!("kustomization path not found: {why}");
        Failure::new(Class::Configuration, "ArtifactFailed", message, Retry::AtRetryInterval)
    };
    // Flux joins the path to the root of the artifact, whatever it starts with.
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() {
        return Ok(TreePath::root());
    }
    let root = parts.join("/").parse::<TreePath>().map_err(|error| missing(error.to_string()))?;
    match tree.kind(&root) {
        Ok(Some(EntryKind::Directory)) => Ok(root),
        Ok(Some(EntryKind::File)) => Err(missing(format!("`{root}` is a file, a directory is needed"))),
        Ok(None) => Err(missing(format!("the source has no directory `{root}`"))),
        Err(error) => Err(missing(error.to_string())),
    }
}
