//! Leases under Flux's names: whoever holds a controller's lease, Flux or we, reconciles its kind, and nobody else does.

use std::collections::HashMap;

use sha2::{Digest, Sha256};
use soll_cluster::{Cluster, Contender, LeaseEnd, LeaseOptions, LeaseState};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::Kind;
use crate::config::EngineConfig;

/// Which kinds are ours at this moment.
#[derive(Default)]
pub(crate) struct Leadership {
    /// Empty if there is nobody to contend with.
    leases: HashMap<Kind, watch::Receiver<LeaseState>>,
}

/// The contenders of a [`Leadership`], to be run.
pub(crate) struct Contenders(Vec<(Kind, Contender)>);

/// Prepares to contend for the leases of the kinds that are configured, if leases are.
pub(crate) fn contend(config: &EngineConfig, cluster: &Cluster) -> (Leadership, Contenders) {
    let Some(election) = &config.leader_election else { return (Leadership::default(), Contenders(Vec::new())) };
    let contenders: Vec<_> = config
        .controllers
        .iter()
        .map(|kind| {
            let options = LeaseOptions {
                namespace: election.namespace.clone(),
                name: lease_name(*kind, config.watch_label_selector.as_deref()),
                identity: election.identity.clone(),
                duration: election.lease_duration,
                renew_deadline: election.renew_deadline,
                retry_period: election.retry_period,
            };
            (*kind, Contender::new(cluster, options))
        })
        .collect();
    let leases = contenders.iter().map(|(kind, contender)| (*kind, contender.state())).collect();
    (Leadership { leases }, Contenders(contenders))
}

impl Leadership {
    /// Whether objects of a kind are ours to write, at this moment.
    pub(crate) fn holds(&self, kind: Kind) -> bool {
        self.leases.get(&kind).is_none_or(|lease| lease.borrow().is_held())
    }

    /// The same question for somebody who asks it again and again.
    pub(crate) fn fence(&self, kind: Kind) -> impl Fn() -> bool + Send + Sync + 'static {
        let lease = self.leases.get(&kind).cloned();
        move || lease.as_ref().is_none_or(|lease| lease.borrow().is_held())
    }

    /// Calls `won` once for each kind when its lease is won, until `shutdown`.
    pub(crate) async fn follow(&self, won: impl Fn(Kind), shutdown: CancellationToken) {
        let mut waiting = JoinSet::new();
        for (kind, lease) in &self.leases {
            let (kind, mut lease) = (*kind, lease.clone());
            waiting.spawn(async move { lease.wait_for(LeaseState::is_held).await.is_ok().then_some(kind) });
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
    /// Contends until `shutdown`, gives the leases back, and says which was lost, if one was.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Option<Kind> {
        let mut running = JoinSet::new();
        for (kind, contender) in self.0 {
            let shutdown = shutdown.clone();
            running.spawn(async move { (kind, contender.run(shutdown).await) });
        }
        while let Some(ended) = running.join_next().await {
            if let Ok((kind, LeaseEnd::Lost)) = ended {
                return Some(kind);
            }
        }
        shutdown.cancelled().await;
        None
    }
}

/// The name of a lease, as Flux's controllers name theirs: with a suffix for each selector of shards.
fn lease_name(kind: Kind, selector: Option<&str>) -> String {
    let name = format!("{}-leader-election", kind.controller());
    match selector.filter(|selector| !selector.is_empty()) {
        Some(selector) => {
            let hash: String = Sha256::digest(selector).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            format!("{name}-{hash}")
        }
        None => name,
    }
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
}
