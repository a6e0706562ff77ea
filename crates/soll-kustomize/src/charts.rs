//! `helmCharts`: where a chart and its values are. What the chart renders to, somebody else knows.

use std::fmt;

use soll_patch::{Dialect, strategic_merge};
use soll_tree::{EntryKind, FileTree, TreePath};
use soll_yaml::{ParseOptions, Value, emit_yaml};

use crate::accumulate::Builder;
use crate::kustomization::{Chart, Kustomization, Text, ValuesMerge};
use crate::problem::Problem;
use crate::provenance::Provenance;
use crate::resource::Resource;
use crate::resources::Resources;

/// Renders charts for a build.
pub trait ChartRenderer: fmt::Debug + Send + Sync {
    /// What `helm template` prints.
    ///
    /// # Errors
    /// Why the chart does not render.
    fn render(&self, tree: &dyn FileTree, release: &ChartRelease) -> Result<String, String>;
}

/// A chart, and what it is rendered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartRelease {
    /// The directory of the chart in the tree.
    pub directory: TreePath,
    /// What the release is called.
    pub name: ReleaseName,
    /// Its namespace, if one is named.
    pub namespace: Option<String>,
    /// What is laid over the chart's own values, as YAML; later over earlier.
    pub values: Vec<String>,
    /// API versions that the chart sees besides the usual ones.
    pub api_versions: Vec<String>,
    /// The version of Kubernetes that the chart sees.
    pub kube_version: Option<String>,
    /// Whether the chart's definitions are printed too.
    pub includes_crds: bool,
    /// Whether no hooks are printed.
    pub skips_hooks: bool,
    /// Whether no hooks are printed that are tests.
    pub skips_tests: bool,
}

/// What a release is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReleaseName {
    /// This.
    Given(String),
    /// What this template renders to.
    Template(String),
}

/// Adds what all charts of a kustomization render to.
pub(crate) fn run(resources: &mut Resources, ks: &Kustomization, namespace: Option<&Text>, builder: &Builder<'_>) {
    for chart in &ks.charts {
        let origin = || Provenance::builtin(ks, "HelmChartInflationGenerator");
        inflate(resources, chart, namespace, &origin, ks, builder);
    }
}

/// Adds what one chart renders to. The namespace is for charts that name none.
pub(crate) fn inflate(
    resources: &mut Resources,
    chart: &Chart,
    namespace: Option<&Text>,
    origin: &dyn Fn() -> Provenance,
    ks: &Kustomization,
    builder: &Builder<'_>,
) {
    let Some(renderer) = &builder.options.charts else {
        let message = "charts are rendered by `soll kustomize --enable-helm` only: Flux renders none either";
        let hint = "use a HelmRelease, or put what `helm template` prints into the source";
        return builder.problems.push(Problem { hint: Some(hint.to_owned()), ..Problem::new(chart.at, message) });
    };
    let Some(release) = release(chart, namespace, ks, builder) else { return };
    let text = match renderer.render(builder.tree, &release) {
        Ok(text) => text,
        Err(message) => return builder.problems.add(chart.at, message),
    };
    let source = builder.sources.add(&format!("{} (rendered)", release.directory));
    let Some(mut values) = builder.parse(&text, source, &ParseOptions::go_v3()) else { return };
    values.retain(|value| !value.is_null());
    for value in builder.opened(values) {
        let mut resource = Resource::new(value);
        resource.is_from_chart = true;
        resource.origin = builder.tracked(origin);
        resources.absorb(resource, builder);
    }
}

fn release(chart: &Chart, namespace: Option<&Text>, ks: &Kustomization, builder: &Builder<'_>) -> Option<ChartRelease> {
    let name = match (&chart.release_name, &chart.name_template) {
        (Some(name), None) => ReleaseName::Given(name.text.to_string()),
        (None, Some(template)) => ReleaseName::Template(template.text.to_string()),
        (Some(_), Some(template)) => {
            builder.problems.add(template.at, "a chart has both `releaseName` and `nameTemplate`; remove one");
            return None;
        }
        (None, None) => {
            let message = "a chart needs a `releaseName`: a name made up from the time would differ in each build";
            builder.problems.add(chart.at, message);
            return None;
        }
    };
    let directory = directory(chart, ks, builder)?;
    let text = |text: &Text| text.text.to_string();
    Some(ChartRelease {
        name,
        namespace: chart.namespace.as_ref().or(namespace).map(text),
        values: values(chart, &directory, ks, builder)?,
        directory,
        api_versions: chart.api_versions.iter().map(text).collect(),
        kube_version: chart.kube_version.as_ref().map(text),
        includes_crds: chart.includes_crds,
        skips_hooks: chart.skips_hooks,
        skips_tests: chart.skips_tests,
    })
}

/// The directory of the chart, which has to be there: nothing is fetched.
fn directory(chart: &Chart, ks: &Kustomization, builder: &Builder<'_>) -> Option<TreePath> {
    let mut home = chart.home.as_ref().map_or("charts", Text::as_str).to_owned();
    if let (Some(version), Some(_)) = (&chart.version, &chart.repository) {
        home = format!("{home}/{}-{}", chart.name.text, version.text);
    }
    let path = Text { text: format!("{home}/{}", chart.name.text).as_str().into(), at: chart.name.at };
    let full = builder.resolve(&path, ks)?;
    if matches!(builder.tree.kind(&full), Ok(Some(EntryKind::Directory))) {
        return Some(full);
    }
    let hint = chart.repository.as_ref().map(|repository| {
        let version = chart.version.as_ref().map(|version| format!(" --version {}", version.text)).unwrap_or_default();
        let source = match repository.as_str().starts_with("oci://") {
            true => format!("{}/{}", repository.as_str().trim_end_matches('/'), chart.name.text),
            false => format!("--repo {} {}", repository.text, chart.name.text),
        };
        format!("charts are not fetched here: run `helm pull --untar --untardir {home} {source}{version}` first")
    });
    let message = format!("no chart found at `{}`", builder.name(&full));
    builder.problems.push(Problem { hint, ..Problem::new(chart.at, message) });
    None
}

/// The values in layers, as kustomize hands them to Helm.
fn values(chart: &Chart, directory: &TreePath, ks: &Kustomization, builder: &Builder<'_>) -> Option<Vec<String>> {
    let load = |path: &Text| {
        let (full, bytes) = builder.file(path, ks)?;
        builder.text_of(&bytes, &full, path.at).map(str::to_owned)
    };
    let own = || match &chart.values_file {
        Some(path) => load(path),
        None => {
            let path = directory.join("values.yaml").expect("the name leads nowhere else");
            builder.read(&path, chart.at)
        }
    };
    let first = match (&chart.values_inline, chart.values_merge) {
        (None, _) => own()?,
        (Some(inline), ValuesMerge::Replace) => emit_yaml(inline),
        (Some(inline), merge) => {
            let source = builder.sources.add("values.yaml");
            let file = builder.parse(&own()?, source, &ParseOptions::go_v3())?.into_iter().next();
            let file = file.filter(|file| !file.is_null()).unwrap_or_else(Value::map);
            let (over, base) = if merge == ValuesMerge::Override { (inline, &file) } else { (&file, inline) };
            match strategic_merge(base, over, None, Dialect::Kustomize, None) {
                Ok(merged) => emit_yaml(&merged.unwrap_or_else(Value::map)),
                Err(error) => {
                    builder.problems.add(error.at.or(chart.at), format!("could not merge values: {}", error.message));
                    return None;
                }
            }
        }
    };
    let mut layers = vec![first];
    for path in &chart.values_files {
        layers.push(load(path)?);
    }
    Some(layers)
}
