//! Leases that a group holds as one: any member renews them, under the name of the group.

use rand::Rng;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{GroupOptions, Standing};
use crate::lease::Record;
use crate::{ApiError, Cluster};

/// One joint lease, as one member keeps it.
pub(super) struct Joint {
    name: String,
    record: Record,
    options: GroupOptions,
    /// When we last looked, by our own clock: what has changed since was written after that.
    looked: Instant,
}

/// What a look at a joint lease came to.
enum Look {
    /// Nobody outside of the group can have it before this moment.
    Until(Instant),
    /// Nothing new is known.
    Unsure,
    /// Somebody outside of the group has it.
    Taken,
}

impl Joint {
    pub(super) fn new(cluster: &Cluster, options: &GroupOptions, name: &str) -> Self {
        let record = Record::new(cluster, &options.lease(name.to_owned(), &options.name));
        Self { name: name.to_owned(), record, options: options.clone(), looked: Instant::now() }
    }

    /// Gets the lease and keeps it. Returns its name when it was the group's and is lost.
    pub(super) async fn keep(&mut self, standing: &watch::Sender<Standing>) -> String {
        let mut until = self.get().await;
        tracing::info!(lease = self.name, identity = self.options.name, "became leader");
        loop {
            standing.send_modify(|standing| {
                standing.joint.insert(self.name.clone(), until);
            });
            tokio::time::sleep(self.options.retry_period).await;
            // What comes after that comes too late: whoever asked meanwhile heard no, and would not hear that it is ours again.
            let given_up = until - self.options.duration + self.options.renew_deadline;
            match tokio::time::timeout_at(given_up, self.look()).await {
                Ok(Ok(Look::Until(later))) => until = until.max(later),
                Ok(Ok(Look::Unsure)) => {}
                Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "cannot renew the lease"),
                Ok(Ok(Look::Taken)) | Err(_) => return self.name.clone(),
            }
            if Instant::now() + self.options.duration >= until + self.options.renew_deadline {
                return self.name.clone();
            }
        }
    }

    /// Waits until nobody outside of the group has it, and writes to it: only then the group will not give it away without
    /// us. Returns until when it is ours.
    async fn get(&mut self) -> Instant {
        let mut told = None;
        loop {
            self.looked = Instant::now();
            match self.record.hold().await {
                Ok(true) => return self.looked + self.options.duration,
                Ok(false) => {
                    let holder = self.record.holder().map(str::to_owned);
                    if told != holder {
                        tracing::info!(lease = self.name, holder, "waiting for the lease");
                        told = holder;
                    }
                }
                Err(error) if error.is_conflict() => {}
                Err(error) => tracing::warn!(lease = self.name, %error, "cannot get the lease"),
            }
            let pause = self.options.retry_period.mul_f64(rand::rng().random_range(1.0..1.2));
            tokio::time::sleep(pause).await;
        }
    }

    /// Sees whether another member has renewed it, and does so if none has.
    async fn look(&mut self) -> Result<Look, ApiError> {
        let before = std::mem::replace(&mut self.looked, Instant::now());
        let changed = self.record.look().await?;
        let holder = self.record.holder().unwrap_or_default();
        if !holder.is_empty() && holder != self.options.name {
            return Ok(Look::Taken);
        }
        if changed && !holder.is_empty() {
            return Ok(Look::Until(before + self.options.duration));
        }
        match self.record.take().await {
            Ok(()) => Ok(Look::Until(self.looked + self.options.duration)),
            // Another member was faster, most likely; the next look tells.
            Err(error) if error.is_conflict() => Ok(Look::Unsure),
            Err(error) => Err(error),
        }
    }

    /// Gives it back for the whole group, unless somebody has written to it since we last saw it.
    pub(super) async fn release(mut self) {
        self.record.release().await;
    }
}
