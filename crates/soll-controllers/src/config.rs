//! What the engine is told at its start.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use soll_plan::GroupKind;

use crate::Kind;
use crate::behaviours::Behaviours;

/// How the engine runs. The defaults are Flux's; see each field's flag there.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The kinds to reconcile.
    pub controllers: BTreeSet<Kind>,
    /// Where artifacts and Git caches are kept; all of it can be made again.
    pub data_dir: PathBuf,
    /// Where artifacts are served, if they are. Port 0 takes a free one.
    pub artifact_listen: Option<SocketAddr>,
    /// Host and port in the URLs of artifacts; the address that is listened on if unset.
    pub artifact_advertise: Option<String>,
    /// Where `/healthz` and `/readyz` are served, if they are.
    pub health_listen: Option<SocketAddr>,
    /// Where `/metrics` is served, if it is.
    pub metrics_listen: Option<SocketAddr>,
    /// How many objects of each kind are reconciled at once.
    pub concurrent: usize,
    /// How many dry runs of one Kustomization are under way at once.
    pub concurrent_ssa: usize,
    /// When to look again for a dependency that is not ready.
    pub requeue_dependency: Duration,
    /// First delay after failures in a row.
    pub min_retry_delay: Duration,
    /// Longest delay after failures in a row.
    pub max_retry_delay: Duration,
    /// By how much intervals vary, in percent to either side.
    pub interval_jitter_percentage: u8,
    /// Tries of a download of an artifact that another process serves.
    pub http_retry: u32,
    /// Refuse sources in other namespaces.
    pub no_cross_namespace_refs: bool,
    /// Refuse bases that are no part of the source.
    pub no_remote_bases: bool,
    /// Service account to act as where a Kustomization names none.
    pub default_service_account: Option<String>,
    /// Field managers whose fields are taken over, beside kubectl.
    pub override_managers: Vec<String>,
    /// Kinds (`group/Kind`) that are applied before the rest.
    pub custom_apply_stage_kinds: Vec<String>,
    /// Whether a variable without a value fails the build.
    pub strict_substitution: bool,
    /// The only namespace to look at; all if unset.
    pub watch_namespace: Option<String>,
    /// The only toolkit objects to look at, by a label selector; all if unset.
    pub watch_label_selector: Option<String>,
    /// ConfigMaps and Secrets whose changes wake the objects that use them.
    pub watch_configs_label_selector: String,
    /// How long artifacts that are not current are kept.
    pub artifact_retention_ttl: Duration,
    /// How many artifacts of an object are kept, the current one included.
    pub artifact_retention_records: usize,
    /// Whether, and where, to compete for Flux's leases.
    pub leader_election: Option<LeaderElection>,
    /// Into how many shards the objects are divided among processes, by leases; 1 if one process has all.
    pub shards: usize,
    /// How long what runs may take to end at shutdown.
    pub grace: Duration,
    /// What differs from Flux.
    pub behaviours: Behaviours,
}

/// How leases are held.
#[derive(Debug, Clone)]
pub struct LeaderElection {
    /// The namespace of the leases.
    pub namespace: String,
    /// Who we are in them.
    pub identity: String,
    /// How long a lease holds without being renewed.
    pub lease_duration: Duration,
    /// How long renewing may fail before the lease is given up.
    pub renew_deadline: Duration,
    /// Time between two tries.
    pub retry_period: Duration,
}

impl EngineConfig {
    /// Flux's defaults, everything that listens switched off.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            controllers: Kind::ALL.into(),
            data_dir,
            artifact_listen: None,
            artifact_advertise: None,
            health_listen: None,
            metrics_listen: None,
            concurrent: 4,
            concurrent_ssa: 4,
            requeue_dependency: Duration::from_secs(30),
            min_retry_delay: Duration::from_millis(750),
            max_retry_delay: Duration::from_secs(15 * 60),
            interval_jitter_percentage: 5,
            http_retry: 9,
            no_cross_namespace_refs: false,
            no_remote_bases: false,
            default_service_account: None,
            override_managers: Vec::new(),
            custom_apply_stage_kinds: Vec::new(),
            strict_substitution: true,
            watch_namespace: None,
            watch_label_selector: None,
            watch_configs_label_selector: "reconcile.fluxcd.io/watch=Enabled".to_owned(),
            artifact_retention_ttl: Duration::from_secs(60),
            artifact_retention_records: 2,
            leader_election: None,
            shards: 1,
            grace: Duration::from_secs(10),
            behaviours: Behaviours::default(),
        }
    }
}

impl EngineConfig {
    /// The kinds of the custom stage: `group/Kind`, or `Kind` for the core group.
    pub(crate) fn custom_stages(&self) -> Vec<GroupKind> {
        let split = |text: &String| {
            let (group, kind) = text.rsplit_once('/').unwrap_or(("", text));
            GroupKind { group: group.to_owned(), kind: kind.to_owned() }
        };
        self.custom_apply_stage_kinds.iter().map(split).collect()
    }
}

impl LeaderElection {
    /// Flux's durations.
    #[must_use]
    pub fn new(namespace: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
            lease_duration: Duration::from_secs(35),
            renew_deadline: Duration::from_secs(30),
            retry_period: Duration::from_secs(5),
        }
    }
}
