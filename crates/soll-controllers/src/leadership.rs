//! Whose objects are whose: by leases under Flux's names, Flux's controllers and we are never at work for the same kind; by the
//! leases of a group, no two of our processes are for the same object.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use soll_cluster::{
    Cluster, Contender, Group, GroupEnd, GroupOptions, LeaseEnd, LeaseOptions, LeaseState, Standing, Work,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::{EngineConfig, LeaderElection};
use crate::engine::EngineError;
use crate::{Key, Kind};

/// Which objects are ours at this moment. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Leadership {
    seat: Arc<Seat>,
}

enum Seat {
    /// There is nobody to contend with.
    Uncontested,
    /// One process at a time has all objects of a kind.
    Alone(HashMap<Kind, watch::Receiver<LeaseState>>),
    /// Several processes divide the objects.
    Divided {
        standing: watch::Receiver<Standing>,
        shards: usize,
        /// The leases that the group shares with Flux.
        leases: BTreeMap<Kind, String>,
    },
}

/// What contends for the leases of a [`Leadership`], to be run.
pub(crate) enum Contenders {
    /// One for each kind.
    Alone(Vec<(Kind, Contender)>),
    /// A member of the group.
    Divided(Box<Group>),
}

/// Prepares to contend for the leases of the kinds that are configured, if leases are.
pub(crate) fn contend(config: &EngineConfig, cluster: &Cluster) -> (Leadership, Contenders) {
    let (seat, contenders) = match &config.leader_election {
        None => (Seat::Uncontested, Contenders::Alone(Vec::new())),
        Some(election) if config.shards > 1 => divide(config, election, cluster),
        Some(election) => alone(config, election, cluster),
    };
    (Leadership { seat: Arc::new(seat) }, contenders)
}

fn alone(config: &EngineConfig, election: &LeaderElection, cluster: &Cluster) -> (Seat, Contenders) {
    let contender = |kind: &Kind| {
        let options = LeaseOptions {
            namespace: election.namespace.clone(),
            name: lease_name(*kind, config.watch_label_selector.as_deref()),
            identity: election.identity.clone(),
            duration: election.lease_duration,
            renew_deadline: election.renew_deadline,
            retry_period: election.retry_period,
        };
        (*kind, Contender::new(cluster, options))
    };
    let contenders: Vec<_> = config.controllers.iter().map(contender).collect();
    let leases = contenders.iter().map(|(kind, contender)| (*kind, contender.state())).collect();
    (Seat::Alone(leases), Contenders::Alone(contenders))
}

fn divide(config: &EngineConfig, election: &LeaderElection, cluster: &Cluster) -> (Seat, Contenders) {
    let lease = |kind: &Kind| (*kind, lease_name(*kind, config.watch_label_selector.as_deref()));
    let leases: BTreeMap<Kind, String> = config.controllers.iter().map(lease).collect();
    let group = Group::new(
        cluster,
        GroupOptions {
            namespace: election.namespace.clone(),
            name: group_name(config),
            identity: election.identity.clone(),
            shards: config.shards,
            // Whoever has a source writes its own address into the artifact: nobody else may answer there.
            address: config.artifact_advertise.clone().filter(|_| config.controllers.contains(&Kind::GitRepository)),
            joint: leases.values().cloned().collect(),
            duration: election.lease_duration,
            renew_deadline: election.renew_deadline,
            retry_period: election.retry_period,
        },
    );
    let seat = Seat::Divided { standing: group.standing(), shards: config.shards, leases };
    (seat, Contenders::Divided(Box::new(group)))
}

impl Leadership {
    /// Whether leases of a kind are ours, or our group's, at this moment.
    pub(crate) fn leads(&self, kind: Kind) -> bool {
        match &*self.seat {
            Seat::Uncontested => true,
            Seat::Alone(leases) => leases.get(&kind).is_none_or(|lease| lease.borrow().is_held()),
            Seat::Divided { standing, leases, .. } => {
                leases.get(&kind).is_some_and(|lease| standing.borrow().leads(lease))
            }
        }
    }

    /// Whether an object is ours to write, at this moment.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.asks(key, Standing::holds)
    }

    /// Whether a pass over an object may begin: it is ours, and not about to be handed over.
    pub(crate) fn may_begin(&self, key: &Key) -> bool {
        self.asks(key, Standing::may_begin)
    }

    fn asks(&self, key: &Key, question: impl Fn(&Standing, usize, &str) -> bool) -> bool {
        match &*self.seat {
            Seat::Uncontested | Seat::Alone(_) => self.leads(key.kind),
            Seat::Divided { standing, shards, leases } => {
                leases.get(&key.kind).is_some_and(|lease| question(&standing.borrow(), shard(key, *shards), lease))
            }
        }
    }

    /// Whether an object is ours to write, for somebody who asks it again and again.
    pub(crate) fn fence(&self, key: &Key) -> impl Fn() -> bool + Send + Sync + 'static {
        let (leadership, key) = (self.clone(), key.clone());
        move || leadership.holds(&key)
    }

    /// Whether an object belongs to one of these shards; all do where there are none.
    pub(crate) fn is_in(&self, key: &Key, of: &[usize]) -> bool {
        match &*self.seat {
            Seat::Uncontested | Seat::Alone(_) => true,
            Seat::Divided { shards, .. } => of.contains(&shard(key, *shards)),
        }
    }

    /// Whether we have a shard, if there are any.
    pub(crate) fn has_shards(&self) -> bool {
        match &*self.seat {
            Seat::Uncontested | Seat::Alone(_) => true,
            Seat::Divided { standing, .. } => standing.borrow().shards().next().is_some(),
        }
    }

    /// For the metrics: of each shard whether it is ours, and how many processes there are. Nothing where there are none.
    pub(crate) fn division(&self) -> Option<(Vec<bool>, usize)> {
        match &*self.seat {
            Seat::Uncontested | Seat::Alone(_) => None,
            Seat::Divided { standing, shards, .. } => {
                let standing = standing.borrow();
                let mut ours = vec![false; *shards];
                standing.shards().for_each(|shard| ours[shard] = true);
                Some((ours, standing.members()))
            }
        }
    }

    /// Calls `won` once for each kind when its lease is won, until `shutdown`.
    pub(crate) async fn follow(&self, won: impl Fn(Kind), shutdown: CancellationToken) {
        let mut waiting = JoinSet::new();
        match &*self.seat {
            Seat::Uncontested => {}
            Seat::Alone(leases) => {
                for (kind, lease) in leases {
                    let (kind, mut lease) = (*kind, lease.clone());
                    waiting.spawn(async move { lease.wait_for(LeaseState::is_held).await.is_ok().then_some(kind) });
                }
            }
            Seat::Divided { standing, leases, .. } => {
                for (kind, lease) in leases {
                    let (kind, lease, mut standing) = (*kind, lease.clone(), standing.clone());
                    waiting.spawn(async move {
                        standing.wait_for(|standing| standing.leads(&lease)).await.is_ok().then_some(kind)
                    });
                }
            }
        }
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(ended) = waiting.join_next() => {
                    if let Ok(Some(kind)) = ended {
                        info!(%kind, "won the lease");
                        won(kind);
                    }
                }
                else => return shutdown.cancelled().await,
            }
        }
    }
}

impl Contenders {
    /// Contends until `shutdown`, gives the leases back, and says why it ended if it did so by itself.
    pub(crate) async fn run(self, work: &dyn Work, shutdown: CancellationToken) -> Option<EngineError> {
        match self {
            Self::Alone(contenders) => run_alone(contenders, shutdown).await,
            Self::Divided(group) => match group.run(work, shutdown).await {
                GroupEnd::Released => None,
                GroupEnd::Lost(lease) => Some(EngineError::ShardLost(lease)),
                GroupEnd::Refused(misfit) => Some(EngineError::Misfit(misfit)),
            },
        }
    }
}

async fn run_alone(contenders: Vec<(Kind, Contender)>, shutdown: CancellationToken) -> Option<EngineError> {
    let mut running = JoinSet::new();
    for (kind, contender) in contenders {
        let shutdown = shutdown.clone();
        running.spawn(async move { (kind, contender.run(shutdown).await) });
    }
    while let Some(ended) = running.join_next().await {
        if let Ok((kind, LeaseEnd::Lost)) = ended {
            return Some(EngineError::LeaseLost(kind));
        }
    }
    shutdown.cancelled().await;
    None
}

/// The shard of an object: the first eight bytes of the SHA-256 of `kind/namespace/name`, modulo the number of shards. All
/// versions must agree on it, or two of them would be at work for one object.
fn shard(key: &Key, shards: usize) -> usize {
    let digest = Sha256::digest(key.to_string());
    let number = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    usize::try_from(number % shards as u64).expect("less than the number of shards")
}

/// The name of our group: processes that look at other objects are another one.
fn group_name(config: &EngineConfig) -> String {
    let selector = config.watch_label_selector.as_deref().unwrap_or_default();
    let namespace = config.watch_namespace.as_deref().unwrap_or_default();
    if config.controllers == Kind::ALL.into() && selector.is_empty() && namespace.is_empty() {
        return "soll".to_owned();
    }
    let controllers: Vec<_> = config.controllers.iter().map(|kind| kind.controller()).collect();
    format!("soll-{}", short_hash(&format!("{} {namespace} {selector}", controllers.join(","))))
}

/// The name of a lease, as Flux's controllers name theirs: with a suffix for each selector of shards.
fn lease_name(kind: Kind, selector: Option<&str>) -> String {
    let name = kind.lease();
    match selector.filter(|selector| !selector.is_empty()) {
        Some(selector) => format!("{name}-{}", short_hash(selector)),
        None => name,
    }
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_have_the_names_of_flux() {
        assert_eq!(lease_name(Kind::Kustomization, None), "kustomize-controller-leader-election");
        // printf sharding.fluxcd.io/key=a | sha256sum | cut -c1-8
        let sharded = lease_name(Kind::GitRepository, Some("sharding.fluxcd.io/key=a"));
        assert_eq!(sharded, "source-controller-leader-election-49d8d10c");
    }

    #[test]
    fn an_object_stays_in_its_shard() {
        let shard = |name: &str| super::shard(&Key::new(Kind::Kustomization, "apps", name), 1000);
        // python3: int.from_bytes(sha256(b"Kustomization/apps/a").digest()[:8], "big") % 1000
        assert_eq!((shard("a"), shard("b")), (252, 931));
    }

    #[test]
    fn processes_that_look_at_other_objects_are_another_group() {
        let config = EngineConfig::new("x".into());
        assert_eq!(group_name(&config), "soll");
        let others = [
            EngineConfig { controllers: [Kind::Kustomization].into(), ..config.clone() },
            EngineConfig { watch_namespace: Some("apps".into()), ..config.clone() },
            EngineConfig { watch_label_selector: Some("apps".into()), ..config },
        ];
        let names: std::collections::BTreeSet<_> = others.iter().map(group_name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.iter().all(|name| name.starts_with("soll-")), "{names:?}");
    }
}
