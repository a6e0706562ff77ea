//! Processes that divide a cluster's work: each object belongs to a shard, each shard to one process, by leases.
//!
//! A member of the group renews one Lease of its own, `NAME-member-…`. A shard is a Lease `NAME-shard-N`, which names the
//! member that has it and counts for as long as that member is alive; it is written only when it changes hands. Each member
//! lists both, and by the same arithmetic all come to the same opinion of who is to have how many: whoever has too many
//! finishes what runs and gives some back, whoever has too few takes what is free, or what the dead had.
//!
//! Beside that the members hold leases of others together, under the name of the group: any of them renews.

mod joint;
mod pulse;
mod shares;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use soll_api::DOMAIN;
use soll_yaml::{Map, Value};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lease::{Record, holder};
use crate::{Cluster, LeaseOptions};
use joint::Joint;
use shares::Shares;

/// Which group, who we are in it, and at what pace its leases are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOptions {
    /// Namespace of all leases.
    pub namespace: String,
    /// Name of the group: the names of its leases begin with it, and it is the holder of joint leases.
    pub name: String,
    /// Who we are; no two members may share it.
    pub identity: String,
    /// Into how many shards the work is divided; all members must agree.
    pub shards: usize,
    /// What no two members may share, either: where others find this one.
    pub address: Option<String>,
    /// Leases that the group holds as one.
    pub joint: Vec<String>,
    /// How long others wait after the last sign of life that they saw.
    pub duration: Duration,
    /// How long we try to give one before we give up.
    pub renew_deadline: Duration,
    /// How long between two.
    pub retry_period: Duration,
}

/// What a member has at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Nobody takes us for dead before this moment.
    until: Option<Instant>,
    shards: BTreeMap<usize, Tenure>,
    /// Until when the joint leases are the group's.
    joint: BTreeMap<String, Instant>,
    members: usize,
}

/// How a member has a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tenure {
    Ours,
    /// What runs is finished, nothing is begun, since then.
    Leaving(Instant),
}

/// What is done with shards: the other side of a [`Group`].
pub trait Work: Send + Sync {
    /// These shards are ours from now on.
    fn begin(&self, shards: &[usize]);

    /// Whether nothing of a shard is under way. Nothing is begun any more: see [`Standing::may_begin`].
    fn is_idle(&self, shard: usize) -> bool;

    /// A shard is ours no more: nothing that is remembered of it holds.
    fn end(&self, shard: usize);
}

/// A member of a group. Spawn [`Group::run`] and follow [`Group::standing`].
pub struct Group {
    cluster: Cluster,
    options: GroupOptions,
    standing: watch::Sender<Standing>,
}

/// Why a member stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupEnd {
    /// It was told to, and has given back what it had.
    Released,
    /// It could not renew this lease, or somebody else took it.
    Lost(String),
    /// It does not fit the others.
    Refused(Misfit),
}

/// How a process does not fit a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// A member that is alive.
    pub other: String,
    /// What is not as it must be.
    pub reason: MisfitReason,
}

/// What is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MisfitReason {
    /// The other one has another number of shards.
    Shards {
        /// Its number.
        theirs: String,
        /// Our number.
        ours: usize,
    },
    /// The other one has the same address.
    Address(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = &self.other;
        match &self.reason {
            MisfitReason::Shards { theirs, ours } => write!(
                f,
                "process {other} divides the objects into {theirs} shards, this one into {ours}: end those with the other \
                 number, or give this one theirs"
            ),
            MisfitReason::Address(address) => write!(
                f,
                "process {other} says that its artifacts are at {address}, too: give each process an address of its own"
            ),
        }
    }
}

impl std::error::Error for Misfit {}

impl Standing {
    /// Whether a shard is ours at this moment, and a joint lease the group's: asked just before each write.
    #[must_use]
    pub fn holds(&self, shard: usize, joint: &str) -> bool {
        self.shards.contains_key(&shard) && self.is_alive() && self.leads(joint)
    }

    /// Whether work of a shard may begin: it is ours, and to stay so.
    #[must_use]
    pub fn may_begin(&self, shard: usize, joint: &str) -> bool {
        self.holds(shard, joint) && self.shards.get(&shard) == Some(&Tenure::Ours)
    }

    /// Whether a joint lease is the group's at this moment.
    #[must_use]
    pub fn leads(&self, joint: &str) -> bool {
        self.joint.get(joint).is_some_and(|until| Instant::now() < *until)
    }

    /// The shards that are ours.
    pub fn shards(&self) -> impl Iterator<Item = usize> {
        self.shards.keys().copied().filter(|_| self.is_alive())
    }

    /// How many processes the group has, as far as is known.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members
    }

    fn is_alive(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }

    fn are_leaving(&self) -> bool {
        self.shards.values().any(|tenure| *tenure != Tenure::Ours)
    }
}

/// The label that marks all leases of a group.
#[must_use]
pub fn group_label() -> String {
    format!("{DOMAIN}/group")
}

/// On a member's lease: into how many shards it divides.
fn shards_annotation() -> String {
    format!("{DOMAIN}/shards")
}

/// On a member's lease: where others find it.
fn address_annotation() -> String {
    format!("{DOMAIN}/artifacts")
}

impl GroupOptions {
    fn lease(&self, name: String, identity: &str) -> LeaseOptions {
        LeaseOptions {
            namespace: self.namespace.clone(),
            name,
            identity: identity.to_owned(),
            duration: self.duration,
            renew_deadline: self.renew_deadline,
            retry_period: self.retry_period,
        }
    }

    /// The lease of this member.
    fn member(&self) -> String {
        let identity = self.identity.to_lowercase();
        let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '.';
        let identity: String = identity.chars().map(|letter| if allowed(letter) { letter } else { '-' }).collect();
        format!("{}-member-{identity}", self.name)
    }

    fn shard(&self, shard: usize) -> String {
        format!("{}-shard-{shard}", self.name)
    }

    /// A lease of the group that is ours, or is to be.
    fn record(&self, cluster: &Cluster, name: String) -> Record {
        self.annotated_record(cluster, name, Map::new())
    }

    /// Our own.
    fn own_record(&self, cluster: &Cluster) -> Record {
        let mut annotations = Map::from_iter([(shards_annotation(), Value::from(self.shards.to_string()))]);
        if let Some(address) = &self.address {
            annotations.insert(address_annotation(), Value::from(address.as_str()));
        }
        self.annotated_record(cluster, self.member(), annotations)
    }

    fn annotated_record(&self, cluster: &Cluster, name: String, annotations: Map) -> Record {
        let labels = Map::from_iter([(group_label(), Value::from(self.name.as_str()))]);
        let mut marks = Map::from_iter([("labels", Value::from(labels))]);
        if !annotations.is_empty() {
            marks.insert("annotations", Value::from(annotations));
        }
        Record::new(cluster, &self.lease(name, &self.identity)).marked(marks)
    }
}

impl Group {
    /// A member that is not there yet.
    #[must_use]
    pub fn new(cluster: &Cluster, options: GroupOptions) -> Self {
        Self { cluster: cluster.as_itself(), options, standing: watch::Sender::new(Standing::default()) }
    }

    /// What is ours, and every change of that.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Joins, takes its share and keeps it, and gives everything back at shutdown. Says how it ended.
    pub async fn run(self, work: &dyn Work, shutdown: CancellationToken) -> GroupEnd {
        let Self { cluster, options, standing } = &self;
        let mut joints: Vec<_> = options.joint.iter().map(|name| Joint::new(cluster, options, name)).collect();
        let mut shares = Shares::new(cluster, options, standing);
        let taking_part = async {
            tokio::select! {
                end = pulse::keep(options.own_record(cluster), options, standing) => end,
                end = async {
                    // Before others know of us we cannot have anything.
                    let _ = standing.subscribe().wait_for(|standing| standing.until.is_some()).await;
                    if let Some(misfit) = shares.agree().await {
                        return GroupEnd::Refused(misfit);
                    }
                    let holding = joints.iter_mut().map(|joint| Box::pin(joint.keep(standing)));
                    let holding = async {
                        match joints_end(holding.collect()).await {
                            Some(lost) => lost,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        lost = holding => GroupEnd::Lost(lost),
                        lost = shares.keep(work) => GroupEnd::Lost(lost),
                    }
                } => end,
            }
        };
        let end = shutdown.run_until_cancelled(taking_part).await.unwrap_or(GroupEnd::Released);
        // Whoever asks must hear no before anybody else can have it.
        standing.send_replace(Standing::default());
        match &end {
            GroupEnd::Lost(lease) => tracing::error!(lease, "lost the lease"),
            GroupEnd::Released | GroupEnd::Refused(_) => self.leave(joints).await,
        }
        end
    }

    /// Lets others take over at once.
    async fn leave(&self, joints: Vec<Joint>) {
        let Self { cluster, options, .. } = self;
        let own = options.own_record(cluster);
        let listed = match own.list(&group_label(), &options.name).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::warn!(%error, "cannot give the shards back; they are free when we are taken for dead");
                return;
            }
        };
        let name = |lease: &Value| lease.lookup_str(&["metadata", "name"]).unwrap_or_default().to_owned();
        let (members, shards): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|lease| name(lease).starts_with(&format!("{}-member-", options.name)));
        let ours = shards.into_iter().filter(|lease| holder(lease) == Some(&options.identity));
        futures::future::join_all(ours.map(|lease| async {
            let mut record = options.record(cluster, name(&lease));
            record.see(lease);
            record.release().await;
        }))
        .await;
        if let Err(error) = own.delete().await {
            tracing::warn!(%error, "cannot remove our lease; it expires by itself");
        }
        // What the group holds it keeps as long as it has members. Whoever joins writes to the joint leases before counting
        // on them: either we see that member in a list that is newer than what we know of those leases, or the server
        // refuses to have them given back.
        if members.iter().all(|member| name(member) == options.member()) {
            for joint in joints {
                joint.release().await;
            }
        }
    }
}

/// The first of the joint leases that is lost; nothing if there are none.
async fn joints_end<F: Future<Output = String> + Unpin>(joints: Vec<F>) -> Option<String> {
    if joints.is_empty() { None } else { Some(futures::future::select_all(joints).await.0) }
}

#[cfg(test)]
mod tests;
