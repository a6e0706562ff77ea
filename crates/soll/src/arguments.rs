//! What can be typed: commands, flags, and their environment equivalents.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::Resettable;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

/// GitOps for Kubernetes: keeps a cluster in the state that Git says it ought to be in.
#[derive(Parser)]
#[command(name = "soll", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start everything on this machine: an embedded API server, the engine, and a repository to reconcile
    Up(Deferred<Up>),
    /// Build the manifests of a directory as the engine would, and print them
    Build(Deferred<Build>),
    /// Build a kustomization and print it, as `kustomize build` does
    Kustomize(Deferred<Kustomize>),
    /// Render a Helm chart and print it, as `helm template` does
    Template(Deferred<crate::helm::Template>),
    /// Print the values that a Helm chart's templates see, and where each was written
    Values(Deferred<crate::helm::Values>),
    /// Show what applying a directory would change in the cluster (exit code 1 if anything)
    Diff(Deferred<Diff>),
    /// List Flux objects and their state
    Get(Deferred<Get>),
    /// List what happened, newest last
    Events(Deferred<Events>),
    /// Ask for a reconciliation now, and wait for its end
    Reconcile(Deferred<Reconcile>),
    /// Stop reconciling an object, leaving everything as it is
    Suspend(Deferred<Named>),
    /// Start reconciling an object again
    Resume(Deferred<Named>),
    /// Show what a Kustomization manages, as a tree
    Tree(Deferred<Named>),
    /// Run the engine in a cluster
    Controller(Deferred<Controller>),
    /// Install the engine into a cluster: CRDs, RBAC and one Deployment
    Install(Deferred<Install>),
    /// Remove the engine from a cluster; the workloads stay
    Uninstall(Deferred<Uninstall>),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Arguments of a command that are described to the parser when somebody types that command, not before: to describe all
/// of them costs a short command half of its start.
pub(crate) struct Deferred<A>(Box<A>);

impl<A> std::ops::Deref for Deferred<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.0
    }
}

impl<A: Args> FromArgMatches for Deferred<A> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        A::from_arg_matches(matches).map(|arguments| Self(Box::new(arguments)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<A: Args> Args for Deferred<A> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| {
            // What the command is for is said where it is listed, and known by now.
            let about = Resettable::from(command.get_about().cloned());
            A::augment_args(command).about(about)
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

/// How data is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs: one JSON document a line
    Json,
}

/// Which cluster, and as whom.
#[derive(Args, Clone, Default)]
pub(crate) struct ClusterArguments {
    /// Path of the kubeconfig [default: $KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE", env = "KUBECONFIG", hide_env = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

/// Which namespace.
#[derive(Args, Clone)]
pub(crate) struct NamespaceArguments {
    /// Namespace
    #[arg(short, long, default_value = "flux-system", env = "SOLL_NAMESPACE")]
    pub(crate) namespace: String,
    /// All namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    pub(crate) all_namespaces: bool,
}

#[derive(Args)]
pub(crate) struct Up {
    /// Repository to reconcile: a URL, or a directory with a Git repository [default: a sample that is made for you]
    #[arg(long, value_name = "URL|DIR")]
    pub(crate) repo: Option<String>,
    /// Path within the repository
    #[arg(long, default_value = "./", requires = "repo")]
    pub(crate) path: String,
    /// Branch [default: what the directory has checked out; the remote's default branch]
    #[arg(long, requires = "repo")]
    pub(crate) branch: Option<String>,
    /// Exit with 0 when everything is Ready, and with 1 and the reasons when not
    #[arg(long)]
    pub(crate) once: bool,
    /// How long --once waits
    #[arg(long, default_value = "5m", value_parser = duration, requires = "once")]
    pub(crate) timeout: Duration,
    /// Use the cluster of this kubeconfig context instead of the embedded API server
    #[arg(long, value_name = "NAME", requires = "repo")]
    pub(crate) context: Option<String>,
    /// Do not ask before writing to the cluster of --context
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Port of the embedded API server [default: 7654, or a free one if that is taken]
    #[arg(long, env = "SOLL_PORT")]
    pub(crate) port: Option<u16>,
    /// Directory for the kubeconfig, the sample and caches
    #[arg(long, value_name = "DIR", env = "SOLL_HOME")]
    pub(crate) home: Option<PathBuf>,
    /// Keep the objects of the embedded API server in this directory, and go on from them next time [default: they end with
    /// it]
    #[arg(long, value_name = "DIR", conflicts_with = "context")]
    pub(crate) data: Option<PathBuf>,
    /// Let others reach the embedded API server, under this name or address of this machine; may be repeated. It is made for
    /// trying things out: whoever has the token of its kubeconfig has all that is in it, and nothing limits who tries
    #[arg(long, value_name = "NAME", conflicts_with = "context")]
    pub(crate) insecure_expose: Vec<String>,
    /// Print nothing but errors and results
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Format of the progress
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct BuildArguments {
    /// Directory to build
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// File with the Flux Kustomization whose patches, substitutions and metadata apply
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) kustomization_file: Option<PathBuf>,
    /// A value for a variable that the Kustomization takes from a Secret or ConfigMap; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) variables: Vec<(String, String)>,
}

#[derive(Args)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) build: BuildArguments,
    /// Format of errors
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// The flags of `kustomize build`, so that scripts need no change, and our own at the end.
#[derive(Args)]
pub(crate) struct Kustomize {
    /// Directory with a kustomization, on disk or in a Git repository: URL//DIR?ref=NAME
    #[arg(value_name = "DIR|URL", default_value = ".")]
    pub(crate) path: PathBuf,
    /// Write to this file, or one file a manifest into this directory; `json` and `yaml` choose the format instead
    #[arg(short, long, value_name = "PATH|json|yaml")]
    pub(crate) output: Option<PathBuf>,
    /// Which files may be read: those in or below a kustomization's own directory, or any
    #[arg(long, value_enum, default_value_t = LoadRestrictor::RootOnly)]
    pub(crate) load_restrictor: LoadRestrictor,
    /// The order of the output, unless `sortOptions` says otherwise
    #[arg(long, value_enum, default_value_t = Reorder::Legacy)]
    pub(crate) reorder: Reorder,
    /// Label every object as managed by kustomize [env: KUSTOMIZE_ENABLE_MANAGEDBY_LABEL=on]
    #[arg(long)]
    pub(crate) enable_managedby_label: bool,
    /// Render `helmCharts` that lie in the `chartHome`; charts are not fetched
    #[arg(long)]
    pub(crate) enable_helm: bool,
    /// Taken and not needed: charts are rendered within the process
    #[arg(long, value_name = "PATH", hide = true)]
    pub(crate) helm_command: Option<PathBuf>,
    /// API versions that charts see
    #[arg(long, value_name = "GROUP/VERSION", hide = true)]
    pub(crate) helm_api_versions: Vec<String>,
    /// Kubernetes version that charts see
    #[arg(long, value_name = "VERSION", hide = true)]
    pub(crate) helm_kube_version: Option<String>,
    /// Taken and not needed
    #[arg(long, hide = true)]
    pub(crate) helm_debug: bool,
    /// Refused: programs and containers are not run
    #[arg(long, hide = true)]
    pub(crate) enable_alpha_plugins: bool,
    /// Refused, as --enable-alpha-plugins
    #[arg(long, hide = true)]
    pub(crate) enable_exec: bool,
    /// Refused, as --enable-alpha-plugins
    #[arg(long, hide = true)]
    pub(crate) network: bool,
    /// Refused, as --enable-alpha-plugins
    #[arg(long, hide = true)]
    pub(crate) network_name: Option<String>,
    /// Refused, as --enable-alpha-plugins
    #[arg(long, hide = true)]
    pub(crate) mount: Vec<String>,
    /// Refused, as --enable-alpha-plugins
    #[arg(short, long, hide = true)]
    pub(crate) env: Vec<String>,
    /// Refused, as --enable-alpha-plugins
    #[arg(long, hide = true)]
    pub(crate) as_current_user: bool,
    /// Taken and not needed: every problem names its place
    #[arg(long, hide = true)]
    pub(crate) stack_trace: bool,
    /// Say in comments where each object, or each field, was written
    #[arg(long, value_enum, value_name = "DETAIL", num_args = 0..=1, require_equals = true, default_missing_value = "field")]
    pub(crate) origins: Option<OriginDetail>,
}

/// As kustomize spells it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LoadRestrictor {
    /// Files in or below the directory of the kustomization that names them
    #[value(name = "LoadRestrictionsRootOnly")]
    RootOnly,
    /// Any file
    #[value(name = "LoadRestrictionsNone", alias = "none")]
    None,
}

/// As kustomize spells it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reorder {
    /// Namespaces, definitions and accounts first, webhooks last
    Legacy,
    /// As read
    None,
}

/// How much the comments about origins say.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OriginDetail {
    /// A line above each object
    Object,
    /// Each field, too
    Field,
}

#[derive(Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    pub(crate) build: BuildArguments,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    pub(crate) namespace: String,
    /// Format
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct Get {
    /// What to list
    #[arg(value_enum, default_value = "all")]
    pub(crate) kind: GetKind,
    /// Only this object
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArguments,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Format
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GetKind {
    /// Everything
    All,
    /// Sources
    #[value(aliases = ["source", "gitrepository", "gitrepositories", "gitrepo"])]
    Sources,
    /// Kustomizations
    #[value(aliases = ["kustomization", "ks"])]
    Kustomizations,
}

/// A kind that can be named on the command line.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// GitRepository
    #[value(aliases = ["gitrepository", "gitrepositories", "gitrepo", "git"])]
    Source,
    /// Kustomization
    #[value(aliases = ["kustomizations", "ks"])]
    Kustomization,
}

#[derive(Args)]
pub(crate) struct Named {
    /// Kind
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    /// Name
    pub(crate) name: String,
    /// Namespace
    #[arg(short, long, default_value = "flux-system", env = "SOLL_NAMESPACE")]
    pub(crate) namespace: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Args)]
pub(crate) struct Reconcile {
    #[command(flatten)]
    pub(crate) object: Named,
    /// Reconcile the source of the Kustomization first
    #[arg(long)]
    pub(crate) with_source: bool,
    /// How long to wait
    #[arg(long, default_value = "5m", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Args)]
pub(crate) struct Events {
    /// Only events of this object: KIND/NAME
    #[arg(long = "for", value_name = "KIND/NAME")]
    pub(crate) object: Option<String>,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArguments,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Format
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Args)]
pub(crate) struct Install {
    /// Print the manifests and touch nothing
    #[arg(long)]
    pub(crate) export: bool,
    /// Namespace to install into
    #[arg(short, long, default_value = "flux-system")]
    pub(crate) namespace: String,
    /// Image of the engine
    #[arg(long, default_value = concat!("soll:v", env!("CARGO_PKG_VERSION")))]
    pub(crate) image: String,
    /// Processes of the engine; several divide the objects among them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) replicas: u16,
    /// Shards that the objects are divided into; with several, the Deployment can be scaled up to this number.
    /// [default: 1, or 16 with several replicas]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) shards: Option<u16>,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

#[derive(Args)]
pub(crate) struct Uninstall {
    /// Namespace of the installation
    #[arg(short, long, default_value = "flux-system")]
    pub(crate) namespace: String,
    /// Keep the CRDs, and with them every source and Kustomization
    #[arg(long)]
    pub(crate) keep_crds: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
}

/// The flags of the engine; names and defaults are those of Flux's controllers where both have one.
#[derive(Args)]
pub(crate) struct Controller {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    /// Which of Flux's controllers to be; may be repeated
    #[arg(long, value_enum, default_values_t = Role::ALL, env = "SOLL_CONTROLLERS", value_delimiter = ',')]
    pub(crate) controllers: Vec<Role>,
    /// Address of the metrics server
    #[arg(long, default_value = ":8080", env = "SOLL_METRICS_ADDR")]
    pub(crate) metrics_addr: String,
    /// Address of the health server
    #[arg(long, default_value = ":9440", env = "SOLL_HEALTH_ADDR")]
    pub(crate) health_addr: String,
    /// Address of the artifact server
    #[arg(long, default_value = ":9090", env = "SOLL_STORAGE_ADDR")]
    pub(crate) storage_addr: String,
    /// Address under which others reach the artifact server
    #[arg(long, default_value = "", env = "SOLL_STORAGE_ADV_ADDR")]
    pub(crate) storage_adv_addr: String,
    /// Directory of artifacts and caches
    #[arg(long, default_value = "/data", env = "SOLL_STORAGE_PATH")]
    pub(crate) storage_path: PathBuf,
    /// Number of objects reconciled at the same time
    #[arg(long, default_value_t = 4, env = "SOLL_CONCURRENT")]
    pub(crate) concurrent: usize,
    /// Number of server-side applies at the same time, per Kustomization
    #[arg(long, default_value_t = 4, env = "SOLL_CONCURRENT_SSA")]
    pub(crate) concurrent_ssa: usize,
    /// How long an object waits before it looks at an unready dependency again
    #[arg(long, default_value = "30s", value_parser = duration, env = "SOLL_REQUEUE_DEPENDENCY")]
    pub(crate) requeue_dependency: Duration,
    /// Refuse references to sources in other namespaces
    #[arg(long, env = "SOLL_NO_CROSS_NAMESPACE_REFS")]
    pub(crate) no_cross_namespace_refs: bool,
    /// Account that Kustomizations without serviceAccountName are applied as
    #[arg(long, default_value = "", env = "SOLL_DEFAULT_SERVICE_ACCOUNT")]
    pub(crate) default_service_account: String,
    /// Field manager whose fields are taken over on apply; may be repeated
    #[arg(long, env = "SOLL_OVERRIDE_MANAGER", value_delimiter = ',')]
    pub(crate) override_manager: Vec<String>,
    /// Kinds that are applied in a stage of their own, before the rest: group/Kind,…
    #[arg(long, env = "SOLL_CUSTOM_APPLY_STAGE_KINDS", value_delimiter = ',')]
    pub(crate) custom_apply_stage_kinds: Vec<String>,
    /// Requests a second to the API server
    #[arg(long, default_value_t = 50.0, env = "SOLL_KUBE_API_QPS")]
    pub(crate) kube_api_qps: f32,
    /// Requests at once to the API server
    #[arg(long, default_value_t = 300, env = "SOLL_KUBE_API_BURST")]
    pub(crate) kube_api_burst: u32,
    /// Kinds that are watched at the same time, each by a connection; others are looked at at their intervals
    #[arg(long, default_value_t = 200, env = "SOLL_MAX_WATCHES", value_parser = clap::value_parser!(u16).range(8..))]
    pub(crate) max_watches: u16,
    /// Spread of the interval, in percent
    #[arg(long, default_value_t = 5, env = "SOLL_INTERVAL_JITTER_PERCENTAGE", value_parser = clap::value_parser!(u8).range(0..=99))]
    pub(crate) interval_jitter_percentage: u8,
    /// Hold Flux's leader leases while running
    #[arg(long, env = "SOLL_ENABLE_LEADER_ELECTION")]
    pub(crate) enable_leader_election: bool,
    /// How long a lease is valid
    #[arg(long, default_value = "35s", value_parser = duration, env = "SOLL_LEADER_ELECTION_LEASE_DURATION")]
    pub(crate) leader_election_lease_duration: Duration,
    /// How long renewing may take
    #[arg(long, default_value = "30s", value_parser = duration, env = "SOLL_LEADER_ELECTION_RENEW_DEADLINE")]
    pub(crate) leader_election_renew_deadline: Duration,
    /// How often a lease is renewed or tried
    #[arg(long, default_value = "5s", value_parser = duration, env = "SOLL_LEADER_ELECTION_RETRY_PERIOD")]
    pub(crate) leader_election_retry_period: Duration,
    /// Divide the objects into so many shards among all processes that run with this number: each takes its share, by leases
    #[arg(long, default_value_t = 1, env = "SOLL_SHARDS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) shards: u16,
    /// Namespace of the leases
    #[arg(long, default_value = "flux-system", env = "RUNTIME_NAMESPACE")]
    pub(crate) runtime_namespace: String,
    /// Watch all namespaces, or only the runtime namespace
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, env = "SOLL_WATCH_ALL_NAMESPACES")]
    pub(crate) watch_all_namespaces: bool,
    /// Behave as Flux does in every row of the table of behaviours
    #[arg(long, value_enum, env = "SOLL_COMPAT")]
    pub(crate) compat: Option<Compat>,
    /// Switch one row of the table of behaviours: NAME=on or NAME=off; may be repeated
    #[arg(long, value_name = "NAME=on|off", env = "SOLL_BEHAVIOUR", value_delimiter = ',', value_parser = switch)]
    pub(crate) behaviour: Vec<(String, bool)>,
    /// Log level
    #[arg(long, default_value = "info", env = "SOLL_LOG_LEVEL", value_parser = ["trace", "debug", "info", "warn", "error"])]
    pub(crate) log_level: String,
    /// Log format
    #[arg(long, default_value = "json", env = "SOLL_LOG_ENCODING", value_parser = ["json", "console"])]
    pub(crate) log_encoding: String,
}

/// One of Flux's controllers.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// source-controller
    Source,
    /// kustomize-controller
    Kustomize,
}

impl Role {
    const ALL: [Self; 2] = [Self::Source, Self::Kustomize];
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compat {
    /// Flux v2.9
    Flux,
}

/// Reads a Go duration: `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let spec: soll_api::Duration = text.parse().map_err(|error| format!("{error}"))?;
    Ok(spec.std())
}

fn switch(text: &str) -> Result<(String, bool), String> {
    match text.split_once('=') {
        Some((name, "on" | "true")) => Ok((name.to_owned(), true)),
        Some((name, "off" | "false")) => Ok((name.to_owned(), false)),
        _ => Err("expected NAME=on or NAME=off".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
