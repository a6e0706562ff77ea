//! Waiting for what later stages build on: definitions, namespaces, classes.

use std::time::Duration;

use soll_api::{Class, Failure, Object, Origin, Retry};
use soll_plan::{Action, Attempt};
use soll_yaml::Value;
use tokio::time::Instant;

use super::{AppliedObject, Run, defined_kind};

/// How long a stage may take, whatever `spec.timeout` says; as Flux.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const FIRST_POLL: Duration = Duration::from_millis(50);
const LONGEST_POLL: Duration = Duration::from_secs(2);

/// How far an object of these stages is.
enum Progress {
    Settled,
    Under(String),
    Failed(String),
}

impl Run<'_> {
    /// Waits until all objects are as later stages need them; asks only for those that were written.
    pub(super) async fn wait_for(&self, objects: &[Object], left: &[AppliedObject]) -> Result<(), Failure> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        for (desired, left) in objects.iter().zip(left) {
            let written = matches!(left.action, Action::Created | Action::Configured);
            let remembered = self.applier.memory.left_at(desired).is_some_and(|(uid, _)| uid == left.uid);
            // What was not written and is remembered was waited for when it was.
            if left.action == Action::Skipped || (!written && remembered && self.applier.memory.is_settled(desired)) {
                continue;
            }
            self.wait_for_one(desired, deadline).await?;
            self.applier.memory.settle(desired);
            if written && let Some((group, kind)) = defined_kind(desired) {
                tracing::debug!(group, kind, "a kind was defined");
                self.applier.cluster.expect_new_resources();
            }
        }
        Ok(())
    }

    async fn wait_for_one(&self, desired: &Object, deadline: Instant) -> Result<(), Failure> {
        let (gvk, who) = (desired.gvk(), desired.object_ref());
        let mut poll = FIRST_POLL;
        loop {
            let live = self.applier.cluster.get(&gvk, desired.namespace(), desired.name()).await;
            let live = live.map_err(|error| self.refuse(&error, Attempt::Apply, desired))?;
            let (status, why) = match progress(&live) {
                Progress::Settled => return Ok(()),
                Progress::Failed(why) => ("Failed", why),
                Progress::Under(why) if Instant::now() >= deadline => ("InProgress", why),
                Progress::Under(_) => {
                    tokio::time::sleep(poll).await;
                    poll = (poll * 2).min(LONGEST_POLL);
                    continue;
                }
            };
            let message = format!("timeout waiting for: [{who} status: '{status}']");
            let origins = Origin::chain(self.sources, desired.value().at);
            let failure = Failure::new(Class::Rollout, "ReconciliationFailed", message, Retry::AtRetryInterval);
            return Err(failure.from_origins(origins).of(&who, why));
        }
    }
}

/// How far a definition, namespace, role or class is; other kinds of these stages count once observed.
fn progress(live: &Object) -> Progress {
    if live.is_terminating() {
        return Progress::Under("it is being deleted".to_owned());
    }
    let observed = live.value().lookup(&["status", "observedGeneration"]).and_then(Value::as_i64);
    if observed.is_some_and(|observed| Some(observed) != live.generation()) {
        return Progress::Under("its controller has not seen it yet".to_owned());
    }
    let conditions = live.value().lookup(&["status", "conditions"]).and_then(Value::as_list).unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|condition| condition.lookup_str(&["type"]) == Some(kind));
    let is = |kind: &str, status: &str| condition(kind).is_some_and(|c| c.lookup_str(&["status"]) == Some(status));
    let says = |kind: &str| {
        let message = condition(kind).and_then(|condition| condition.lookup_str(&["message"]));
        message.filter(|message| !message.is_empty()).unwrap_or("no reason given").to_owned()
    };
    if live.kind() == "CustomResourceDefinition" {
        return match (is("Established", "True"), is("NamesAccepted", "False")) {
            (_, true) => Progress::Failed(says("NamesAccepted")),
            (true, false) => Progress::Settled,
            (false, false) => Progress::Under("it is not established".to_owned()),
        };
    }
    if is("Stalled", "True") {
        return Progress::Failed(says("Stalled"));
    }
    if is("Reconciling", "True") || condition("Ready").is_some() && !is("Ready", "True") {
        return Progress::Under(says(if is("Reconciling", "True") { "Reconciling" } else { "Ready" }));
    }
    Progress::Settled
}
