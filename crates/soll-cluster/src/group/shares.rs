//! Who has which shard: a member's own opinion, from a list of all leases of the group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::Rng;
use soll_yaml::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{
    GroupOptions, Misfit, MisfitReason, Standing, Tenure, Work, address_annotation, group_label, shards_annotation,
};
use crate::lease::{Record, holder};
use crate::{ApiError, Cluster};

/// What one member knows of the group, and does about it.
pub(super) struct Shares<'g> {
    cluster: &'g Cluster,
    options: &'g GroupOptions,
    standing: &'g watch::Sender<Standing>,
    /// By the names of their leases, each with the clock by which it expires.
    members: BTreeMap<String, Record>,
    /// Members whose leases changed since they were first seen: they are alive beyond doubt.
    renewed: BTreeSet<String>,
    shards: BTreeMap<usize, Value>,
}

/// How soon to look again whether what leaves is finished.
const SOON: Duration = Duration::from_millis(50);

impl<'g> Shares<'g> {
    pub(super) fn new(cluster: &'g Cluster, options: &'g GroupOptions, standing: &'g watch::Sender<Standing>) -> Self {
        let (members, renewed, shards) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { cluster, options, standing, members, renewed, shards }
    }

    /// Waits until nobody is there who does not fit us. Whoever is seen to live and does not, does not fit.
    ///
    /// Our own lease was written before: of two that come at once and do not fit, one at least sees the other.
    pub(super) async fn agree(&mut self) -> Option<Misfit> {
        loop {
            let asked = Instant::now();
            match self.read().await {
                Ok(()) => {
                    let misfits = self.misfits(asked);
                    if let Some((_, misfit)) = misfits.iter().find(|(lease, _)| self.renewed.contains(lease)) {
                        return Some(misfit.clone());
                    }
                    let (lease, misfit) = misfits.first()?;
                    tracing::info!(
                        lease,
                        holder = misfit.other,
                        "waiting to see whether this process lives: it does not fit"
                    );
                }
                Err(error) => tracing::warn!(%error, "cannot list the leases of the group"),
            }
            tokio::time::sleep(self.options.retry_period).await;
        }
    }

    /// Members that live, or may, and with which we cannot be in one group.
    fn misfits(&self, now: Instant) -> Vec<(String, Misfit)> {
        let others =
            self.members.iter().filter(|(name, record)| **name != self.options.member() && record.is_alive_at(now));
        let misfit = |(name, record): (&String, &Record)| {
            let other = record.holder().unwrap_or_default().to_owned();
            let address = annotation(record, &address_annotation()).filter(|_| self.options.address.is_some());
            let reason = if !self.agrees(record) {
                let theirs = annotation(record, &shards_annotation()).unwrap_or("?").to_owned();
                MisfitReason::Shards { theirs, ours: self.options.shards }
            } else if address.is_some() && address == self.options.address.as_deref() {
                MisfitReason::Address(address.unwrap_or_default().to_owned())
            } else {
                return None;
            };
            Some((name.clone(), Misfit { other, reason }))
        };
        others.filter_map(misfit).collect()
    }

    fn agrees(&self, record: &Record) -> bool {
        annotation(record, &shards_annotation()) == Some(&self.options.shards.to_string())
    }

    /// Takes its share and keeps it. Returns the name of a lease that was ours and is not any more.
    pub(super) async fn keep(&mut self, work: &dyn Work) -> String {
        loop {
            if let Err(lost) = self.divide(work).await {
                return lost;
            }
            // Members that came at once should not all ask at once.
            let pause = self.options.retry_period.mul_f64(rand::rng().random_range(0.8..1.0));
            let next = Instant::now() + pause;
            while self.standing.borrow().are_leaving() && Instant::now() < next {
                self.give_back(work).await;
                tokio::time::sleep(SOON.min(next.saturating_duration_since(Instant::now()))).await;
            }
            tokio::time::sleep_until(next).await;
        }
    }

    /// Looks at who is there and who has what, and does our part to make it even.
    async fn divide(&mut self, work: &dyn Work) -> Result<(), String> {
        let asked = Instant::now();
        if let Err(error) = self.read().await {
            tracing::warn!(%error, "cannot list the leases of the group");
            return Ok(());
        }
        // Who was dead when we asked can have given no sign of life that we do not see.
        let living = self.living(asked);
        let Some(share) = share(self.options.shards, &living, &self.options.identity) else { return Ok(()) };
        let begun = self.recognise(work)?;
        self.standing
            .send_if_modified(|standing| std::mem::replace(&mut standing.members, living.len()) != living.len());
        let ours: Vec<usize> = self.with_tenure(|tenure| tenure == Tenure::Ours);
        if ours.len() > share {
            let leaving = &ours[share..];
            tracing::info!(?leaving, members = living.len(), "gives shards away");
            self.standing.send_modify(|standing| {
                standing.shards.extend(leaving.iter().map(|shard| (*shard, Tenure::Leaving(asked))));
            });
        }
        let mut begun: Vec<usize> =
            begun.into_iter().filter(|shard| ours[..share.min(ours.len())].contains(shard)).collect();
        begun.extend(self.take(share.saturating_sub(ours.len()), &living).await);
        if !begun.is_empty() {
            tracing::info!(shards = ?begun, members = living.len(), "took shards");
            work.begin(&begun);
        }
        self.tidy(&living, asked).await;
        Ok(())
    }

    /// Reads all leases of the group.
    async fn read(&mut self) -> Result<(), ApiError> {
        let listed = self.options.own_record(self.cluster).list(&group_label(), &self.options.name).await?;
        let mut members = std::mem::take(&mut self.members);
        self.shards.clear();
        for lease in listed {
            let name = lease.lookup_str(&["metadata", "name"]).unwrap_or_default().to_owned();
            let part = name.strip_prefix(&self.options.name).and_then(|rest| rest.strip_prefix('-'));
            if let Some(number) = part.and_then(|part| part.strip_prefix("shard-")) {
                if let Ok(shard) = number.parse() {
                    self.shards.insert(shard, lease);
                }
            } else if part.is_some_and(|part| part.starts_with("member-")) {
                let known = members.remove(&name);
                let was_known = known.is_some();
                let mut record = known.unwrap_or_else(|| self.options.record(self.cluster, name.clone()));
                if record.see(lease) && was_known {
                    self.renewed.insert(name.clone());
                }
                self.members.insert(name, record);
            }
        }
        Ok(())
    }

    /// Who was alive at this moment, of those that divide as we do.
    fn living(&self, now: Instant) -> BTreeSet<String> {
        let living = self.members.values().filter(|record| record.is_alive_at(now) && self.agrees(record));
        living.filter_map(|record| record.holder().map(str::to_owned)).collect()
    }

    fn with_tenure(&self, wanted: impl Fn(Tenure) -> bool) -> Vec<usize> {
        let standing = self.standing.borrow();
        standing.shards.iter().filter(|(_, tenure)| wanted(**tenure)).map(|(shard, _)| *shard).collect()
    }

    /// Compares what we think is ours with what the leases say. Returns the shards that are ours without our knowledge: the
    /// answer to our claim was lost on its way.
    fn recognise(&self, work: &dyn Work) -> Result<Vec<usize>, String> {
        let names_us = |shard: &usize| self.shards.get(shard).and_then(holder) == Some(&self.options.identity);
        if let Some(lost) = self.with_tenure(|tenure| tenure == Tenure::Ours).iter().find(|shard| !names_us(shard)) {
            return Err(self.options.shard(*lost));
        }
        for gone in self.with_tenure(|tenure| tenure != Tenure::Ours).into_iter().filter(|shard| !names_us(shard)) {
            self.let_go(gone, work);
        }
        let known = self.with_tenure(|_| true);
        let numbers = 0..self.options.shards;
        let unknown: Vec<usize> = numbers.filter(|shard| names_us(shard) && !known.contains(shard)).collect();
        self.standing.send_if_modified(|standing| {
            standing.shards.extend(unknown.iter().map(|shard| (*shard, Tenure::Ours)));
            !unknown.is_empty()
        });
        Ok(unknown)
    }

    /// Takes up to so many shards: those that we are about to give away, then those that nobody living has.
    async fn take(&mut self, count: usize, living: &BTreeSet<String>) -> Vec<usize> {
        let kept: Vec<usize> = self.with_tenure(|tenure| tenure != Tenure::Ours).into_iter().take(count).collect();
        self.standing.send_if_modified(|standing| {
            standing.shards.extend(kept.iter().map(|shard| (*shard, Tenure::Ours)));
            !kept.is_empty()
        });
        let is_free = |shard: &usize| {
            let holder = self.shards.get(shard).and_then(holder).unwrap_or_default();
            holder.is_empty() || !living.contains(holder)
        };
        let mut free: Vec<usize> = (0..self.options.shards).filter(is_free).collect();
        if !free.is_empty() {
            // Others take some at the same time.
            let rank = living.iter().position(|member| *member == self.options.identity).unwrap_or(0);
            let first = rank * free.len() / living.len().max(1);
            free.rotate_left(first);
        }
        let (mut taken, missing) = (Vec::new(), count - kept.len());
        for shard in free {
            if taken.len() >= missing {
                break;
            }
            let mut record = self.options.record(self.cluster, self.options.shard(shard));
            if let Some(lease) = self.shards.get(&shard) {
                record.see(lease.clone());
            }
            match record.take().await {
                Ok(()) => {
                    if let Some(lease) = record.lease() {
                        self.shards.insert(shard, lease.clone());
                    }
                    self.standing.send_modify(|standing| {
                        standing.shards.insert(shard, Tenure::Ours);
                    });
                    taken.push(shard);
                }
                // Another member was faster.
                Err(error) if error.is_conflict() => {}
                Err(error) => {
                    tracing::warn!(lease = self.options.shard(shard), %error, "cannot take the shard");
                    break;
                }
            }
        }
        kept.into_iter().chain(taken).collect()
    }

    /// Gives back what is finished. What does not come to its end is given back all the same after a lease's duration: its
    /// writes are refused from then on.
    async fn give_back(&mut self, work: &dyn Work) {
        let duration = self.options.duration;
        let is_over = |tenure| matches!(tenure, Tenure::Leaving(since) if since.elapsed() >= duration);
        let overdue = self.with_tenure(is_over);
        for shard in self.with_tenure(|tenure| tenure != Tenure::Ours) {
            if !work.is_idle(shard) && !overdue.contains(&shard) {
                continue;
            }
            // Whoever asks must hear no before anybody else can have it.
            self.let_go(shard, work);
            let Some(lease) = self.shards.remove(&shard) else { continue };
            let mut record = self.options.record(self.cluster, self.options.shard(shard));
            record.see(lease);
            record.release().await;
            tracing::info!(shard, "gave a shard away");
        }
    }

    fn let_go(&self, shard: usize, work: &dyn Work) {
        self.standing.send_modify(|standing| {
            standing.shards.remove(&shard);
        });
        work.end(shard);
    }

    /// Removes what the dead have left, and shards that are none any more.
    async fn tidy(&mut self, living: &BTreeSet<String>, now: Instant) {
        let dead = self.members.iter().filter(|(_, record)| !record.is_alive_at(now));
        let mut gone: Vec<String> = dead.map(|(name, _)| name.clone()).collect();
        let beyond = self
            .shards
            .range(self.options.shards..)
            .filter(|(_, lease)| !holder(lease).is_some_and(|holder| living.contains(holder)));
        gone.extend(beyond.map(|(shard, _)| self.options.shard(*shard)));
        for name in gone {
            match self.options.record(self.cluster, name.clone()).delete().await {
                Ok(()) => tracing::info!(lease = name, "removed the lease of a process that is gone"),
                Err(error) => {
                    tracing::debug!(lease = name, %error, "cannot remove the lease of a process that is gone")
                }
            }
        }
    }
}

fn annotation<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    record.lease()?.lookup_str(&["metadata", "annotations", name])
}

/// How many shards a member is to have: as many as the others, or one more if it does not come out even. Nothing if it is
/// no member.
fn share(shards: usize, members: &BTreeSet<String>, member: &str) -> Option<usize> {
    let rank = members.iter().position(|other| other == member)?;
    Some(shards / members.len() + usize::from(rank < shards % members.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_as_even_as_can_be() {
        let members: BTreeSet<String> = ["a", "b", "c"].map(str::to_owned).into();
        let shares = |shards| ["a", "b", "c", "x"].map(|member| share(shards, &members, member));
        assert_eq!(shares(8), [Some(3), Some(3), Some(2), None]);
        assert_eq!(shares(2), [Some(1), Some(1), Some(0), None]);
        for shards in 0..20 {
            let sum: usize = ["a", "b", "c"].iter().filter_map(|member| share(shards, &members, member)).sum();
            assert_eq!(sum, shards, "each shard has a place");
        }
    }
}
