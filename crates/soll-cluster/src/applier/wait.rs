//! Waiting for what later stages build on: definitions, namespaces, classes.

use std::time::Duration;

use soll_api::{Class, Failure, Object, Origin, Retry};
use soll_plan::{Action, Attempt, HealthStatus};
use tokio::time::Instant;

use super::{Run, Written, defined_kind};

/// How long a stage may take, whatever `spec.timeout` says; as Flux.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const FIRST_POLL: Duration = Duration::from_millis(50);
const LONGEST_POLL: Duration = Duration::from_secs(2);

impl Run<'_> {
    /// Waits until all objects are as later stages need them. The answer to the write is the first look.
    pub(super) async fn wait_for(&self, objects: &[Object], written: &[Written]) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        for (desired, written) in objects.iter().zip(written) {
            let changed = matches!(written.left.action, Action::Created | Action::Configured);
            // What was not written now was waited for when it was.
            let settled = !changed && self.applier.memory.is_settled(desired);
            if written.left.action == Action::Skipped || settled {
                continue;
            }
            let known = written.left.live.clone().or_else(|| written.left.listed.clone());
            self.wait_for_one(desired, known, deadline).await?;
            self.applier.memory.settle(desired);
            if changed && let Some((group, kind)) = defined_kind(desired) {
                tracing::debug!(group, kind, "a kind was defined");
                self.applier.cluster.expect_new_resources();
            }
        }
        Ok(())
    }

    async fn wait_for_one(&self, desired: &Object, known: Option<Object>, deadline: Instant) -> Result<(), Failure> {
        let (mut known, mut poll) = (known, FIRST_POLL);
        loop {
            let live = match known.take() {
                Some(live) => live,
                None => {
                    let read = self.applier.cluster.get(&desired.gvk(), desired.namespace(), desired.name()).await;
                    read.map_err(|error| self.refuse(&error, Attempt::Apply, desired))?
                }
            };
            let health = soll_plan::health(&live, jiff::Timestamp::now());
            match health.status {
                HealthStatus::Current => return Ok(()),
                HealthStatus::Failed => {}
                HealthStatus::InProgress
                | HealthStatus::Terminating
                | HealthStatus::NotFound
                | HealthStatus::Unknown => {
                    if Instant::now() < deadline {
                        tokio::time::sleep(poll).await;
                        poll = (poll * 2).min(LONGEST_POLL);
                        continue;
                    }
                }
            }
            let who = desired.object_ref();
            let what = if health.status == HealthStatus::Failed {
                "failed early due to stalled resources"
            } else {
                "timeout waiting for"
            };
            let message = format!("{what}: [{who} status: '{}']", health.status);
            let failure = Failure::new(Class::Rollout, "ReconciliationFailed", message, Retry::AtRetryInterval);
            let origins = Origin::chain(self.sources, desired.value().at);
            return Err(failure.from_origins(origins).of(&who, health.message));
        }
    }
}
