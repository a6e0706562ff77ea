//! Writing one object.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt;
use soll_api::{Class, Failure, Object, Retry};
use soll_plan::{Action, Apply, Attempt};
use tokio::time::Instant;

use super::look::Step;
use super::{AppliedObject, Run, Written};
use crate::{ApiError, DeleteOptions, Observed, Patch};

/// How long a deleted object may take to go before it is made anew.
const GONE_WITHIN: Duration = Duration::from_secs(60);
/// How often a takeover starts over because somebody else wrote in between.
const MOST_TAKEOVERS: u32 = 4;

impl Run<'_> {
    /// Writes objects of one kind, some at a time. After a failure no further one is begun.
    ///
    /// Successes come first, as they are facts that must be told before the failure ends the run.
    pub(super) async fn write_all(&self, batch: Vec<(&Object, Step)>) -> Vec<Result<Written, Failure>> {
        let failed = AtomicBool::new(false);
        let writes: Vec<_> = batch
            .into_iter()
            .map(|(desired, step)| async {
                if failed.load(Ordering::Relaxed) {
                    return None;
                }
                let written = self.write(desired, step).await;
                failed.fetch_or(written.is_err(), Ordering::Relaxed);
                Some(written)
            })
            .collect();
        let written = futures::stream::iter(writes).buffered(self.applier.options.concurrency);
        let mut written: Vec<_> = written.filter_map(std::future::ready).collect().await;
        written.sort_by_key(Result::is_err);
        written
    }

    /// Does what was decided, and remembers what came of it.
    pub(super) async fn write(&self, desired: &Object, step: Step) -> Result<Written, Failure> {
        let _writing = matches!(step, Step::Create | Step::Change { .. } | Step::Recreate { .. })
            .then(|| self.applier.memory.begin(desired));
        let (action, live) = match step {
            Step::Remembered => {
                let (uid, resource_version) = self.applier.memory.left_at(desired).unwrap_or_default();
                let left = AppliedObject { uid, resource_version, ..left(desired, Action::Unchanged) };
                return Ok(untouched(left));
            }
            Step::Recalled(live) => return Ok(self.confirm(desired, live)),
            Step::Skip(_) => return Ok(untouched(left(desired, Action::Skipped))),
            Step::Unchanged(live) => (Action::Unchanged, live),
            Step::Create => (Action::Created, self.apply(desired, desired).await?),
            Step::Change { apply, live, .. } => self.change(desired, apply, live).await?,
            Step::Recreate { live } => (Action::Created, self.recreate(desired, &live).await?),
        };
        let since = self.applier.memory.keep(desired, &live, self.settings, self.applier.cluster.identity());
        let (uid, resource_version) = (live.uid().to_owned(), live.resource_version().to_owned());
        let left = AppliedObject { uid, resource_version, live: Some(live), ..left(desired, action) };
        Ok(Written { left, since })
    }

    /// Remembers an object that a list showed as wanted.
    fn confirm(&self, desired: &Object, listed: Object) -> Written {
        let identity = self.applier.cluster.identity();
        let since = self.applier.memory.keep(desired, &listed, self.settings, identity);
        let (uid, resource_version) = (listed.uid().to_owned(), listed.resource_version().to_owned());
        // The list was read as the controller itself.
        let (live, listed) = if identity.is_none() { (Some(listed), None) } else { (None, Some(listed)) };
        let left = AppliedObject { uid, resource_version, live, listed, ..left(desired, Action::Unchanged) };
        Written { left, since }
    }

    async fn apply(&self, desired: &Object, payload: &Object) -> Result<Object, Failure> {
        let applied = self.carry_out(payload, &self.options()).await;
        applied.map_err(|error| self.refuse(&error, Attempt::Apply, desired))
    }

    async fn change(&self, desired: &Object, apply: Apply, live: Object) -> Result<(Action, Object), Failure> {
        if let Some(takeover) = apply.takeover {
            self.take_over(desired, takeover).await?;
        }
        match self.carry_out(&apply.payload, &self.options()).await {
            Ok(applied) => Ok((Action::Configured, applied)),
            // What a dry run could not know: a webhook, or a write in between. A conflict passes, as the dry run did.
            Err(error) if is_final(&error) && self.may_recreate(desired, &live, &error).await => {
                Ok((Action::Created, self.recreate(desired, &live).await?))
            }
            Err(error) => Err(self.refuse_change(&error, Attempt::Apply, desired, Some(&live))),
        }
    }

    /// Makes the fields of absorbed managers ours. The patch names the version that it was made from.
    async fn take_over(&self, desired: &Object, takeover: soll_yaml::Value) -> Result<(), Failure> {
        let (cluster, gvk) = (&self.applier.cluster, desired.gvk());
        let mut patch = Patch::Json(takeover);
        for attempt in 1.. {
            let ours = &self.settings.managers.ours;
            let error = match cluster.patch(&gvk, desired.namespace(), desired.name(), &patch, ours).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            if !error.is_conflict() || attempt == MOST_TAKEOVERS {
                return Err(self.refuse(&error, Attempt::Apply, desired));
            }
            let live = cluster.get(&gvk, desired.namespace(), desired.name()).await;
            let live = live.map_err(|error| self.refuse(&error, Attempt::Apply, desired))?;
            match soll_plan::takeover(desired, &live, self.settings) {
                Some(takeover) => patch = Patch::Json(takeover),
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// Deletes the live object, waits until it is gone, and makes it anew.
    async fn recreate(&self, desired: &Object, live: &Object) -> Result<Object, Failure> {
        let (cluster, gvk) = (&self.applier.cluster, desired.gvk());
        let (namespace, name) = (desired.namespace(), desired.name());
        let refused = |error: &ApiError| self.refuse(error, Attempt::Apply, desired);
        let options = DeleteOptions { uid: Some(live.uid().to_owned()), ..DeleteOptions::default() };
        match cluster.delete(&gvk, namespace, name, &options).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(refused(&error)),
        }
        let deadline = Instant::now() + GONE_WITHIN;
        let mut pause = Duration::from_millis(50);
        loop {
            let found = cluster.find(&gvk, namespace, name).await.map_err(|error| refused(&error))?;
            if found.is_none_or(|found| found.uid() != live.uid()) {
                return self.apply(desired, desired).await;
            }
            if Instant::now() >= deadline {
                let who = desired.object_ref();
                let message = format!("{who} cannot be made anew: it is still being deleted after 60s");
                let retry = Retry::AtRetryInterval;
                return Err(Failure::new(Class::Rollout, "ReconciliationFailed", message, retry));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}

/// Says whether another try would be refused as well.
fn is_final(error: &ApiError) -> bool {
    error.is_invalid() || error.says_immutable()
}

fn untouched(left: AppliedObject) -> Written {
    Written { left, since: Observed::AsLeft }
}

fn left(desired: &Object, action: Action) -> AppliedObject {
    AppliedObject {
        object: desired.object_ref(),
        version: desired.version().to_owned(),
        action,
        uid: String::new(),
        resource_version: String::new(),
        live: None,
        listed: None,
    }
}
