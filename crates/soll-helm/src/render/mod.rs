//! From a chart and values to manifests, hooks and notes.

mod failure;
mod files;
mod post;
mod scope;
mod templates;
mod text;

use std::collections::BTreeSet;

use soll_template::{Environment, Limits};
use soll_yaml::Value;

use crate::{
    Capabilities, Chart, Hook, Manifest, ManifestError, Nulls, SchemaError, check_values, coalesce, is_compatible,
    resolve_dependencies, sort_manifests,
};

pub use failure::TemplateFailure;
pub use post::{Document, PostRender, PostRenderStrategy};
pub use templates::Templates;
pub use text::{NoSuchTemplate, PrintedHooks, show_only};

/// The release that a chart is rendered for.
#[derive(Debug, Clone)]
pub struct ReleaseOptions {
    /// `.Release.Name`.
    pub name: String,
    /// `.Release.Namespace`.
    pub namespace: String,
    /// `.Release.Revision`.
    pub revision: i64,
    /// `.Release.IsUpgrade`; the reverse is `.Release.IsInstall`.
    pub is_upgrade: bool,
}

/// What changes how a chart is rendered.
#[derive(Debug, Clone, Default)]
pub struct RenderOptions {
    /// Do not check the values against schemas.
    pub skip_schema_validation: bool,
    /// Take the notes of dependencies too.
    pub subchart_notes: bool,
    /// Which documents a post-renderer sees.
    pub post_render_strategy: PostRenderStrategy,
    /// How far templates may go.
    pub limits: Limits,
}

/// What a chart renders to.
#[derive(Debug, Clone, Default)]
pub struct Rendered {
    /// What runs around actions, in install order.
    pub hooks: Vec<Hook>,
    /// What is installed, in install order.
    pub manifests: Vec<Manifest>,
    /// `NOTES.txt`.
    pub notes: String,
}

/// A chart with its dependencies resolved, and the values that its templates see.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The chart without what is switched off.
    pub chart: Chart,
    /// The values, coalesced.
    pub values: Value,
    /// What was odd about the values, in the words of Helm.
    pub warnings: BTreeSet<String>,
}

/// Why a chart cannot be rendered, in the words of Helm.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// Values of a dependency are no map.
    #[error("chart dependencies processing failed: {0}")]
    Dependencies(String),
    /// Values of a dependency are no map.
    #[error("{0}")]
    Values(String),
    /// Values that a schema refuses.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The chart is for other clusters.
    #[error("chart requires kubeVersion: {wanted} which is incompatible with Kubernetes {version}")]
    KubeVersion {
        /// The range that the chart asks for.
        wanted: String,
        /// What there is.
        version: String,
    },
    /// A template that cannot be parsed or rendered.
    #[error(transparent)]
    Template(#[from] TemplateFailure),
    /// A template that renders to what is no YAML.
    #[error(transparent)]
    Manifest(#[from] BadManifest),
    /// The post-renderer refused.
    #[error("error while running post render on files: {0}")]
    PostRender(String),
}

/// A template that renders to what is no YAML.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct BadManifest {
    /// What is wrong.
    pub error: ManifestError,
    /// All that was rendered, by template, for those who look for the cause.
    pub files: Vec<(String, String)>,
}

impl RenderError {
    /// Says whether rendering had begun, which is when Helm offers `--debug`.
    #[must_use]
    pub fn is_while_rendering(&self) -> bool {
        !matches!(self, Self::Dependencies(_) | Self::Values(_) | Self::Schema(_))
    }
}

/// Resolves the dependencies of a chart and lays what was set over its defaults.
///
/// # Errors
/// See [`RenderError`].
pub fn prepare(mut chart: Chart, set: &Value, options: &RenderOptions) -> Result<Prepared, RenderError> {
    let mut warnings = resolve_dependencies(&mut chart, set).map_err(RenderError::Dependencies)?;
    let mut coalesced = coalesce(&chart, set, Nulls::Remove).map_err(RenderError::Values)?;
    warnings.append(&mut coalesced.warnings);
    if !options.skip_schema_validation {
        check_values(&chart, &coalesced.values)?;
    }
    Ok(Prepared { chart, values: coalesced.values, warnings })
}

/// Renders a chart for a release.
///
/// `templates` are those of the chart, parsed; keep them to render it again.
///
/// # Errors
/// See [`RenderError`].
pub fn render(
    prepared: &Prepared,
    templates: &Templates,
    release: &ReleaseOptions,
    capabilities: &Capabilities,
    options: &RenderOptions,
    environment: &dyn Environment,
    post: Option<&mut dyn PostRender>,
) -> Result<Rendered, RenderError> {
    check_kube_version(&prepared.chart, capabilities)?;
    let scopes = scope::scopes(&prepared.chart, &prepared.values, release, capabilities);
    let mut files = templates.render(&scopes, options, environment)?;
    let notes = take_notes(&mut files, prepared.chart.name(), options.subchart_notes);
    let sort = |files: Vec<(String, String)>| match sort_manifests(&files) {
        Ok(sorted) => Ok(sorted),
        Err(error) => Err(BadManifest { error, files }),
    };
    let (hooks, manifests) = match post {
        None => sort(files)?,
        Some(post) => {
            let strategy = options.post_render_strategy;
            sort(post::post_render(&files, post, strategy)?)?
        }
    };
    Ok(Rendered { hooks, manifests, notes })
}

fn check_kube_version(chart: &Chart, capabilities: &Capabilities) -> Result<(), RenderError> {
    let wanted = &chart.metadata.kube_version;
    let version = &capabilities.kube_version;
    if wanted.is_empty() || is_compatible(wanted, &version.normalized) {
        return Ok(());
    }
    Err(RenderError::KubeVersion { wanted: wanted.clone(), version: version.version.clone() })
}

/// Notes are rendered like everything else, but they are no manifests.
fn take_notes(files: &mut Vec<(String, String)>, chart: &str, with_subcharts: bool) -> String {
    let own = format!("{chart}/templates/NOTES.txt");
    let mut notes = String::new();
    files.retain(|(path, text)| {
        if !path.ends_with("NOTES.txt") {
            return true;
        }
        if with_subcharts || *path == own {
            if !notes.is_empty() {
                notes.push('\n');
            }
            notes.push_str(text);
        }
        false
    });
    notes
}
