//! The flags of `helm template`, and those of `soll values`.

use std::path::PathBuf;

use clap::Args;

/// Where values come from; the flags of Helm.
#[derive(Args, Clone, Default)]
pub(crate) struct ValueArguments {
    /// File of values; may be repeated, the last wins
    #[arg(short = 'f', long = "values", value_name = "FILE", value_delimiter = ',')]
    pub(crate) values: Vec<String>,
    /// Values: key1=val1,key2=val2
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Values that are text
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set_string: Vec<String>,
    /// Values that are contents of files
    #[arg(long, value_name = "KEY=FILE")]
    pub(crate) set_file: Vec<String>,
    /// Values in JSON: key=json, or an object
    #[arg(long, value_name = "KEY=JSON")]
    pub(crate) set_json: Vec<String>,
    /// A value taken as it is
    #[arg(long, value_name = "KEY=TEXT")]
    pub(crate) set_literal: Vec<String>,
}

impl ValueArguments {
    pub(crate) fn flags(&self) -> soll_helm::ValueFlags {
        soll_helm::ValueFlags {
            files: self.values.clone(),
            json: self.set_json.clone(),
            set: self.set.clone(),
            string: self.set_string.clone(),
            file: self.set_file.clone(),
            literal: self.set_literal.clone(),
        }
    }
}

#[derive(Args)]
#[command(disable_version_flag = true)] // `--version` asks for a version of the chart
pub(crate) struct Template {
    /// Name of the release, and directory or archive of the chart
    #[arg(value_name = "[NAME] CHART", num_args = 1..=2, required = true)]
    pub(crate) name_and_chart: Vec<String>,
    #[command(flatten)]
    pub(crate) values: ValueArguments,
    /// Namespace of the release
    #[arg(short, long, default_value = "default", env = "HELM_NAMESPACE")]
    pub(crate) namespace: String,
    /// Kubernetes version that the chart sees
    #[arg(long, value_name = "VERSION")]
    pub(crate) kube_version: Option<String>,
    /// API versions that the chart sees, besides those of Kubernetes; may be repeated
    #[arg(short, long, value_name = "GROUP/VERSION", value_delimiter = ',')]
    pub(crate) api_versions: Vec<String>,
    /// Only what these templates render; may be repeated
    #[arg(short, long, value_name = "TEMPLATE")]
    pub(crate) show_only: Vec<String>,
    /// Write a file for each template into this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) output_dir: Option<PathBuf>,
    /// With --output-dir: into a directory named as the release
    #[arg(long)]
    pub(crate) release_name: bool,
    /// Print the definitions of crds/ too
    #[arg(long)]
    pub(crate) include_crds: bool,
    /// Print no hooks
    #[arg(long)]
    pub(crate) no_hooks: bool,
    /// Print no test hooks
    #[arg(long)]
    pub(crate) skip_tests: bool,
    /// The chart sees an upgrade instead of an install
    #[arg(long)]
    pub(crate) is_upgrade: bool,
    /// Do not check the values against schemas
    #[arg(long)]
    pub(crate) skip_schema_validation: bool,
    /// Make a name of the chart's name and the time
    #[arg(short, long)]
    pub(crate) generate_name: bool,
    /// Template that renders the name
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) name_template: Option<String>,
    /// Take dependencies of `repository: file://…` from their directories where charts/ lacks them
    #[arg(long)]
    pub(crate) dependency_update: bool,
    /// Print what was rendered even if it is no YAML
    #[arg(long)]
    pub(crate) debug: bool,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
    #[command(flatten)]
    pub(crate) refused: Refused,
}

/// Flags that `helm template` takes and that change nothing without a cluster, or without a repository to fetch from.
#[derive(Args)]
pub(crate) struct Ignored {
    #[arg(long, hide = true)]
    create_namespace: bool,
    #[arg(long, hide = true, conflicts_with = "force_conflicts")]
    force_replace: bool,
    #[arg(long, hide = true, conflicts_with = "force_conflicts")]
    force: bool,
    #[arg(long, hide = true)]
    force_conflicts: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    server_side: Option<String>,
    #[arg(long, hide = true)]
    replace: bool,
    #[arg(long, hide = true)]
    timeout: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "watcher")]
    wait: Option<String>,
    #[arg(long, hide = true)]
    wait_for_jobs: bool,
    #[arg(long, hide = true)]
    description: Option<String>,
    #[arg(long, hide = true)]
    devel: bool,
    #[arg(long, hide = true)]
    disable_openapi_validation: bool,
    #[arg(long, hide = true)]
    rollback_on_failure: bool,
    #[arg(long, hide = true)]
    atomic: bool,
    #[arg(long, hide = true)]
    skip_crds: bool,
    #[arg(long, hide = true)]
    render_subchart_notes: bool,
    #[arg(long, hide = true)]
    hide_notes: bool,
    #[arg(short, long, hide = true, value_delimiter = ',')]
    labels: Vec<String>,
    #[arg(long, hide = true)]
    take_ownership: bool,
    #[arg(long, hide = true)]
    kubeconfig: Option<String>,
    #[arg(long, hide = true)]
    kube_context: Option<String>,
    #[arg(long, hide = true)]
    ca_file: Option<String>,
    #[arg(long, hide = true)]
    cert_file: Option<String>,
    #[arg(long, hide = true)]
    key_file: Option<String>,
    #[arg(long, hide = true)]
    keyring: Option<String>,
    #[arg(long, hide = true)]
    username: Option<String>,
    #[arg(long, hide = true)]
    password: Option<String>,
    #[arg(long, hide = true)]
    version: Option<String>,
    #[arg(long, hide = true)]
    registry_config: Option<String>,
    #[arg(long, hide = true)]
    repository_cache: Option<String>,
    #[arg(long, hide = true)]
    repository_config: Option<String>,
    #[arg(long, hide = true)]
    content_cache: Option<String>,
    #[arg(long, hide = true)]
    kube_apiserver: Option<String>,
    #[arg(long, hide = true)]
    kube_as_user: Option<String>,
    #[arg(long, hide = true)]
    kube_ca_file: Option<String>,
    #[arg(long, hide = true)]
    kube_tls_server_name: Option<String>,
    #[arg(long, hide = true)]
    kube_token: Option<String>,
    #[arg(long, hide = true)]
    burst_limit: Option<String>,
    #[arg(long, hide = true)]
    qps: Option<String>,
    #[arg(long, hide = true)]
    color: Option<String>,
    #[arg(long, hide = true)]
    colour: Option<String>,
    #[arg(long, hide = true)]
    insecure_skip_tls_verify: bool,
    #[arg(long, hide = true)]
    pass_credentials: bool,
    #[arg(long, hide = true)]
    plain_http: bool,
    #[arg(long, hide = true)]
    kube_insecure_skip_tls_verify: bool,
    #[arg(long, hide = true, value_delimiter = ',')]
    kube_as_group: Vec<String>,
}

/// Flags of `helm template` that ask for what is not done here. Each is refused by name.
#[derive(Args)]
pub(crate) struct Refused {
    #[arg(long, hide = true)]
    repo: Option<String>,
    #[arg(long, hide = true)]
    verify: bool,
    #[arg(long, hide = true)]
    validate: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    dry_run: Option<String>,
    #[arg(long, hide = true)]
    post_renderer: Option<String>,
    #[arg(long, hide = true)]
    post_renderer_args: Vec<String>,
    #[arg(long, hide = true)]
    enable_dns: bool,
}

impl Refused {
    /// The first that was given, with the reason.
    pub(crate) fn first(&self) -> Option<(&'static str, &'static str)> {
        let remote = "charts come from directories and archives; fetch it first";
        let cluster = "a chart is rendered without a cluster here";
        let asks_server = self.dry_run.as_deref().is_some_and(|strategy| strategy != "client" && strategy != "unset");
        [
            (self.repo.is_some(), "--repo", remote),
            (self.verify, "--verify", remote),
            (self.validate, "--validate", cluster),
            (asks_server, "--dry-run=server", cluster),
            (self.post_renderer.is_some(), "--post-renderer", "soll runs no programs; pipe the output through it"),
            (!self.post_renderer_args.is_empty(), "--post-renderer-args", "soll runs no programs"),
            (self.enable_dns, "--enable-dns", "rendering opens no network"),
        ]
        .into_iter()
        .find_map(|(given, flag, reason)| given.then_some((flag, reason)))
    }
}

#[derive(Args)]
pub(crate) struct Values {
    /// Directory or archive of the chart
    pub(crate) chart: String,
    #[command(flatten)]
    pub(crate) values: ValueArguments,
    /// Print the values without where they come from
    #[arg(long)]
    pub(crate) plain: bool,
    /// Take dependencies of `repository: file://…` from their directories where charts/ lacks them
    #[arg(long)]
    pub(crate) dependency_update: bool,
}
