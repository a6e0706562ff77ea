//! What a pass over a Kustomization means for its status and events: pure, from the pass's outcome.

use std::collections::BTreeMap;
use std::time::Instant;

use soll_api::{
    Conditions, Duration, Failure, Inventory, Kustomization, KustomizationStatus, ObjectRef, Retry, Secrets, Status,
    Time, names, types,
};

use crate::events::Severity;
use crate::status::{Report, Said};

/// The revision that a pass is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revision {
    /// As the source names it.
    pub(crate) name: String,
    /// What the artifact was made from, if it says so.
    pub(crate) origin: Option<String>,
}

/// How a pass ended.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// The source, or its artifact, is not there yet. Nothing is said but in the status.
    SourceNotReady(Failure),
    /// What this depends on is not ready.
    DependencyNotReady(Failure),
    /// The spec cannot be followed, whatever the source holds.
    Refused(Failure),
    /// The inputs are those of the last success: only the revision may be new.
    Unchanged(Revision),
    /// Nothing to tell, as what is missing usually comes in a moment: health of what was applied, or an artifact that its source
    /// makes anew. Until something moves, or this moment.
    Settling(Instant),
    /// Applied, and waiting for health: until something moves, or this moment.
    Waiting(Applied, Instant),
    /// Applied, and healthy or not asked to be.
    Succeeded(Applied, Health),
    /// It did not get there.
    Failed(Failed),
}

/// What was applied.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) revision: Revision,
    pub(crate) inventory: Inventory,
    /// Of everything that was built.
    pub(crate) digest: String,
    /// One line per object that was created or changed; empty if none was.
    pub(crate) changes: String,
    /// One line per object that was pruned; empty if none was.
    pub(crate) pruned: String,
    /// Whether the lines were said already.
    pub(crate) told: bool,
    /// How long the pass has taken until now.
    pub(crate) took: std::time::Duration,
}

/// What is known of the health of what was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nobody asked.
    NotChecked,
    /// All is as wanted, after this time of waiting.
    Passed(std::time::Duration),
}

/// Where and why a pass failed.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) revision: Revision,
    pub(crate) step: Step,
    pub(crate) failure: Failure,
    /// What is in the cluster now, if the pass came so far as to know.
    pub(crate) inventory: Option<Inventory>,
    /// Of what was built, if it was.
    pub(crate) digest: Option<String>,
    pub(crate) changes: String,
    pub(crate) pruned: String,
    pub(crate) took: std::time::Duration,
}

/// The steps of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Fetching,
    Building,
    Applying,
    CheckingHealth,
}

impl Outcome {
    /// Takes what nobody may read out of what will be told.
    pub(crate) fn hide(&mut self, secrets: &Secrets) {
        match self {
            Self::SourceNotReady(failure) | Self::DependencyNotReady(failure) | Self::Refused(failure) => {
                failure.hide(secrets);
            }
            Self::Failed(failed) => failed.failure.hide(secrets),
            Self::Unchanged(_) | Self::Settling(_) | Self::Waiting(..) | Self::Succeeded(..) => {}
        }
    }
}

impl Applied {
    /// What changed, if that was not said yet.
    pub(crate) fn say(&self) -> Vec<Said> {
        if self.told { Vec::new() } else { changed(&self.revision, &self.changes, &self.pruned) }
    }
}

impl Failed {
    /// A failure at a step, before anything was applied.
    pub(crate) fn at(step: Step, revision: &Revision, failure: Failure) -> Self {
        Self {
            revision: revision.clone(),
            step,
            failure,
            inventory: None,
            digest: None,
            changes: String::new(),
            pruned: String::new(),
            took: std::time::Duration::ZERO,
        }
    }
}

impl Step {
    fn text(self, revision: &str, timeout: Duration) -> String {
        let doing = match self {
            Self::Fetching => "Fetching manifests",
            Self::Building => "Building manifests",
            Self::Applying => "Detecting drift",
            Self::CheckingHealth => "Running health checks",
        };
        format!("{doing} for revision {revision} with a timeout of {timeout}")
    }
}

const PROGRESSING: &str = "Progressing";
const RETRYING: &str = "ProgressingWithRetry";
const SUCCEEDED: &str = "ReconciliationSucceeded";
const HEALTH_FAILED: &str = "HealthCheckFailed";

/// The status before the first write of a pass: what is being worked on, and every object that will or may be in the
/// cluster from here on. A crash after this is written leaves work undone, never an orphan.
pub(crate) fn begin(
    ks: &Kustomization,
    revision: &Revision,
    widened: Inventory,
    steady_ready: bool,
    now: Time,
) -> KustomizationStatus {
    let mut status = ks.status.clone();
    let mut set = Setter::new(&mut status.conditions, ks, now);
    if !steady_ready || !set.conditions.is_true(types::READY) {
        set.condition(types::READY, Status::Unknown, PROGRESSING, "Reconciliation in progress");
    }
    let text = Step::Applying.text(&revision.name, ks.timeout());
    set.condition(types::RECONCILING, Status::True, PROGRESSING, &text);
    status.last_attempted_revision = Some(revision.name.clone());
    status.inventory = Some(widened);
    status
}

/// What the outcome of a pass changes in the status, and what is said about it.
pub(crate) fn summarize(ks: &Kustomization, outcome: &Outcome, now: Time) -> Report<KustomizationStatus> {
    match outcome {
        Outcome::SourceNotReady(failure) => Report { status: not_started(ks, failure, now), said: Vec::new() },
        Outcome::DependencyNotReady(failure) => {
            let message = format!("Dependencies do not meet ready condition, {}", retry_text(failure));
            let said = Said { severity: Severity::Info, message, ..Said::of(failure, None) };
            Report { status: not_started(ks, failure, now), said: vec![said] }
        }
        Outcome::Refused(failure) => {
            let said = vec![Said::of(failure, None)];
            Report { status: not_started(ks, failure, now), said }
        }
        Outcome::Unchanged(revision) => unchanged(ks, revision, now),
        Outcome::Settling(_) => Report { status: ks.status.clone(), said: Vec::new() },
        Outcome::Waiting(applied, _) => waiting(ks, applied, now),
        Outcome::Succeeded(applied, health) => succeeded(ks, applied, *health, now),
        Outcome::Failed(failed) => self::failed(ks, failed, now),
    }
}

/// Only the answer to a request for a reconcile: what a suspended object gets.
pub(crate) fn answered(ks: &Kustomization) -> KustomizationStatus {
    let mut status = ks.status.clone();
    if let Some(requested_at) = ks.metadata.requested_at() {
        status.last_handled_reconcile_at = Some(requested_at.to_owned());
    }
    status
}

/// When the next try is, as messages say it.
pub(crate) fn retry_text(failure: &Failure) -> String {
    match failure.retry {
        Retry::After(delay) => format!("retrying in {}", Duration::from(delay)),
        Retry::OnChange | Retry::AtRetryInterval | Retry::Backoff => "retrying".to_owned(),
    }
}

/// A pass that ended before it looked at any content.
fn not_started(ks: &Kustomization, failure: &Failure, now: Time) -> KustomizationStatus {
    let mut status = answered(ks);
    let terminal = failure.retry == Retry::OnChange;
    let mut set = Setter::new(&mut status.conditions, ks, now);
    let text = failure.to_string();
    set.condition(types::READY, Status::False, &failure.reason, &text);
    if terminal {
        set.condition(types::STALLED, Status::True, &failure.reason, &text);
    } else {
        set.conditions.remove(types::STALLED);
        set.retry_goes_on();
    }
    if terminal && failure.class == soll_api::Class::Configuration {
        status.observed_generation = ks.metadata.generation;
    }
    status
}

fn unchanged(ks: &Kustomization, revision: &Revision, now: Time) -> Report<KustomizationStatus> {
    let mut status = answered(ks);
    let new = status.last_applied_revision.as_deref() != Some(&revision.name);
    ready(&mut status, ks, revision, now);
    if !new {
        return Report { status, said: Vec::new() };
    }
    if let Some(latest) = ks.status.history.latest() {
        let digest = latest.digest.clone();
        status.history.record(&digest, SUCCEEDED, now, Duration::default(), history_metadata(revision));
    }
    Report { status, said: vec![finished(ks, revision, std::time::Duration::ZERO)] }
}

fn waiting(ks: &Kustomization, applied: &Applied, now: Time) -> Report<KustomizationStatus> {
    // A request is answered at the end.
    let mut status = ks.status.clone();
    status.last_attempted_revision = Some(applied.revision.name.clone());
    status.inventory = Some(applied.inventory.clone());
    let text = Step::CheckingHealth.text(&applied.revision.name, ks.timeout());
    let mut set = Setter::new(&mut status.conditions, ks, now);
    if !set.conditions.is_true(types::READY) || ks.status.last_applied_revision.as_ref() != Some(&applied.revision.name)
    {
        set.condition(types::READY, Status::Unknown, PROGRESSING, "Reconciliation in progress");
    }
    set.condition(types::RECONCILING, Status::True, PROGRESSING, &text);
    set.condition(types::HEALTHY, Status::Unknown, PROGRESSING, &text);
    Report { status, said: applied.say() }
}

fn succeeded(ks: &Kustomization, applied: &Applied, health: Health, now: Time) -> Report<KustomizationStatus> {
    let mut status = answered(ks);
    let revision = &applied.revision;
    status.inventory = Some(applied.inventory.clone());
    let was_healthy = status.conditions.is_true(types::HEALTHY);
    let new = status.last_applied_revision.as_deref() != Some(&revision.name);
    let something_changed = !applied.changes.is_empty() || !applied.pruned.is_empty();
    let answers = status.last_handled_reconcile_at != ks.status.last_handled_reconcile_at;

    let mut said = applied.say();
    match health {
        Health::NotChecked => {
            status.conditions.remove(types::HEALTHY);
        }
        Health::Passed(waited) => {
            let text = format!("Health check passed in {}", Duration::from(waited).in_millis());
            if !was_healthy || (new && something_changed) {
                Setter::new(&mut status.conditions, ks, now).condition(
                    types::HEALTHY,
                    Status::True,
                    "Succeeded",
                    &text,
                );
                said.push(Said::info(PROGRESSING, text, revision));
            }
        }
    }
    let was_ready =
        ks.status.conditions.is_true(types::READY) && ks.status.observed_generation == ks.metadata.generation;
    ready(&mut status, ks, revision, now);
    // A pass that changed nothing and was not asked for leaves no trace.
    if !was_ready || new || something_changed || answers {
        let took = Duration::from(applied.took).in_millis();
        status.history.record(&applied.digest, SUCCEEDED, now, took, history_metadata(revision));
        said.push(finished(ks, revision, applied.took));
    }
    Report { status, said }
}

fn failed(ks: &Kustomization, failed: &Failed, now: Time) -> Report<KustomizationStatus> {
    let mut status = answered(ks);
    let Failed { revision, failure, .. } = failed;
    if failed.step != Step::Fetching {
        status.last_attempted_revision = Some(revision.name.clone());
    }
    if let Some(inventory) = &failed.inventory {
        status.inventory = Some(inventory.clone());
    }
    let text = failure.to_string();
    let mut set = Setter::new(&mut status.conditions, ks, now);
    set.condition(types::READY, Status::False, &failure.reason, &text);
    if failure.reason == HEALTH_FAILED {
        set.condition(types::HEALTHY, Status::False, &failure.reason, &text);
    } else if set.conditions.get(types::HEALTHY).is_some_and(|healthy| healthy.status == Status::Unknown) {
        // The wait that this pass replaced is over.
        set.conditions.remove(types::HEALTHY);
    }
    if failure.retry == Retry::OnChange {
        set.condition(types::STALLED, Status::True, &failure.reason, &text);
    } else {
        let doing = failed.step.text(&revision.name, ks.timeout());
        set.condition(types::RECONCILING, Status::True, RETRYING, &doing);
    }
    if let Some(digest) = &failed.digest {
        let took = Duration::from(failed.took).in_millis();
        status.history.record(digest, &failure.reason, now, took, history_metadata(revision));
    }
    let mut said = changed(revision, &failed.changes, &failed.pruned);
    said.push(Said::of(failure, Some(revision)));
    Report { status, said }
}

/// What every success sets.
fn ready(status: &mut KustomizationStatus, ks: &Kustomization, revision: &Revision, now: Time) {
    let mut set = Setter::new(&mut status.conditions, ks, now);
    set.condition(types::READY, Status::True, SUCCEEDED, &format!("Applied revision: {}", revision.name));
    set.conditions.remove(types::RECONCILING);
    set.conditions.remove(types::STALLED);
    status.observed_generation = ks.metadata.generation;
    status.last_attempted_revision = Some(revision.name.clone());
    status.last_applied_revision = Some(revision.name.clone());
    status.last_applied_origin_revision.clone_from(&revision.origin);
}

/// A wait for health was ended by something newer.
pub(crate) fn canceled(source: &ObjectRef, revision: &Revision) -> Said {
    let message = format!("Health checks canceled due to new reconciliation triggered by {source}");
    Said::info("HealthCheckCanceled", message, revision)
}

fn finished(ks: &Kustomization, revision: &Revision, took: std::time::Duration) -> Said {
    let took = Duration::from(took).in_millis();
    let message = format!("Reconciliation finished in {took}, next run in {}", ks.spec.interval);
    let mut said = Said::info(SUCCEEDED, message, revision);
    said.metadata.push((names::kustomize::COMMIT_STATUS, "update".to_owned()));
    said
}

fn changed(revision: &Revision, changes: &str, pruned: &str) -> Vec<Said> {
    let lists = [changes, pruned].into_iter().filter(|list| !list.is_empty());
    lists.map(|list| Said::info(PROGRESSING, list.to_owned(), revision)).collect()
}

fn history_metadata(revision: &Revision) -> BTreeMap<String, String> {
    let origin = revision.origin.iter().map(|origin| ("originRevision".to_owned(), origin.clone()));
    std::iter::once(("revision".to_owned(), revision.name.clone())).chain(origin).collect()
}

impl Said {
    fn info(reason: &str, message: String, revision: &Revision) -> Self {
        let metadata = revision_metadata(Some(revision));
        Self { severity: Severity::Info, reason: reason.to_owned(), message, metadata }
    }

    fn of(failure: &Failure, revision: Option<&Revision>) -> Self {
        Self {
            severity: Severity::Error,
            reason: failure.reason.clone(),
            message: failure.to_string(),
            metadata: revision_metadata(revision),
        }
    }
}

fn revision_metadata(revision: Option<&Revision>) -> Vec<(&'static str, String)> {
    let Some(revision) = revision else { return Vec::new() };
    let origin = revision.origin.iter().map(|origin| (names::kustomize::ORIGIN_REVISION, origin.clone()));
    std::iter::once((names::kustomize::REVISION, revision.name.clone())).chain(origin).collect()
}

/// Sets conditions of one object at one time.
struct Setter<'a> {
    conditions: &'a mut Conditions,
    generation: i64,
    now: Time,
}

impl<'a> Setter<'a> {
    fn new(conditions: &'a mut Conditions, ks: &Kustomization, now: Time) -> Self {
        Self { conditions, generation: ks.metadata.generation, now }
    }

    fn condition(&mut self, r#type: &str, status: Status, reason: &str, message: &str) {
        self.conditions.set(r#type, status, reason, message, self.generation, self.now);
    }

    /// A pass that was under way will be tried again.
    fn retry_goes_on(&mut self) {
        let message = self.conditions.get(types::RECONCILING).map(|reconciling| reconciling.message.clone());
        if let Some(message) = message {
            self.condition(types::RECONCILING, Status::True, RETRYING, &message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use soll_api::{Class, InventoryEntry, Resource};
    use soll_yaml::parse_json;
    use std::time::Duration as Span;

    fn at(second: i64) -> Time {
        Time::new(jiff::Timestamp::from_second(second).expect("a second"))
    }

    fn kustomization() -> Kustomization {
        let text = br#"{"metadata":{"name":"a","namespace":"b","generation":1},"status":{"observedGeneration":-1},
            "spec":{"interval":"10m","timeout":"1m","prune":true,"sourceRef":{"kind":"GitRepository","name":"s"}}}"#;
        Kustomization::decode(&parse_json(text).expect("JSON")).expect("a Kustomization")
    }

    fn revision(name: &str) -> Revision {
        Revision { name: name.to_owned(), origin: None }
    }

    fn applied(name: &str, changes: &str) -> Applied {
        Applied {
            revision: revision(name),
            inventory: Inventory { entries: vec![InventoryEntry { id: "_a__Namespace".into(), v: "v1".into() }] },
            digest: "sha256:1".into(),
            changes: changes.to_owned(),
            pruned: String::new(),
            told: false,
            took: Span::from_millis(5),
        }
    }

    fn failed(step: Step, reason: &str) -> Outcome {
        let failure = Failure::new(Class::Configuration, reason, "a.yaml:1:2: wrong", Retry::AtRetryInterval);
        Outcome::Failed(Failed::at(step, &revision("r2"), failure))
    }

    /// Lets the outcomes happen one after another and shows each report.
    fn check(outcomes: &[Outcome], expected: &Expect) {
        let mut ks = kustomization();
        let mut shown = String::new();
        for (second, outcome) in (10..).zip(outcomes) {
            let report = summarize(&ks, outcome, at(second));
            for condition in report.status.conditions.iter() {
                let since = condition.last_transition_time.timestamp().as_second();
                shown += &format!("{} {:?} ", condition.r#type, condition.status);
                shown += &format!("{} since {since}: {}\n", condition.reason, condition.message);
            }
            let revision = |revision: &Option<String>| revision.clone().unwrap_or_else(|| "none".to_owned());
            let (attempted, applied) = (&report.status.last_attempted_revision, &report.status.last_applied_revision);
            shown += &format!("attempted {}, applied {}, ", revision(attempted), revision(applied));
            let runs: i64 = report.status.history.iter().map(|entry| entry.total_reconciliations).sum();
            shown += &format!("observed {}, runs {runs}\n", report.status.observed_generation);
            for said in &report.said {
                shown += &format!("say {:?} {}: {}\n", said.severity, said.reason, said.message);
            }
            shown += if report.status == ks.status { "nothing to write\n\n" } else { "\n" };
            ks.status = report.status;
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_pass_that_changes_nothing_writes_nothing_and_a_new_revision_is_noted() {
        check(
            &[
                Outcome::Succeeded(applied("r1", "Namespace/a created"), Health::NotChecked),
                Outcome::Unchanged(revision("r1")),
                Outcome::Succeeded(applied("r1", ""), Health::NotChecked),
                Outcome::Unchanged(revision("r2")),
            ],
            &expect![[r#"
                Ready True ReconciliationSucceeded since 10: Applied revision: r1
                attempted r1, applied r1, observed 1, runs 1
                say Info Progressing: Namespace/a created
                say Info ReconciliationSucceeded: Reconciliation finished in 5ms, next run in 10m0s

                Ready True ReconciliationSucceeded since 10: Applied revision: r1
                attempted r1, applied r1, observed 1, runs 1
                nothing to write

                Ready True ReconciliationSucceeded since 10: Applied revision: r1
                attempted r1, applied r1, observed 1, runs 1
                nothing to write

                Ready True ReconciliationSucceeded since 13: Applied revision: r2
                attempted r2, applied r2, observed 1, runs 2
                say Info ReconciliationSucceeded: Reconciliation finished in 0s, next run in 10m0s

            "#]],
        );
    }

    #[test]
    fn health_is_waited_for_and_then_said() {
        check(
            &[
                Outcome::Waiting(applied("r1", "Namespace/a created"), Instant::now()),
                Outcome::Waiting(Applied { told: true, ..applied("r1", "Namespace/a created") }, Instant::now()),
                Outcome::Succeeded(
                    Applied { told: true, ..applied("r1", "Namespace/a created") },
                    Health::Passed(Span::from_millis(1234)),
                ),
                failed(Step::CheckingHealth, "HealthCheckFailed"),
            ],
            &expect![[r#"
                Reconciling True Progressing since 10: Running health checks for revision r1 with a timeout of 1m0s
                Ready Unknown Progressing since 10: Reconciliation in progress
                Healthy Unknown Progressing since 10: Running health checks for revision r1 with a timeout of 1m0s
                attempted r1, applied none, observed -1, runs 0
                say Info Progressing: Namespace/a created

                Reconciling True Progressing since 10: Running health checks for revision r1 with a timeout of 1m0s
                Ready Unknown Progressing since 10: Reconciliation in progress
                Healthy Unknown Progressing since 10: Running health checks for revision r1 with a timeout of 1m0s
                attempted r1, applied none, observed -1, runs 0
                nothing to write

                Ready True ReconciliationSucceeded since 12: Applied revision: r1
                Healthy True Succeeded since 12: Health check passed in 1.234s
                attempted r1, applied r1, observed 1, runs 1
                say Info Progressing: Health check passed in 1.234s
                say Info ReconciliationSucceeded: Reconciliation finished in 5ms, next run in 10m0s

                Reconciling True ProgressingWithRetry since 13: Running health checks for revision r2 with a timeout of 1m0s
                Ready False HealthCheckFailed since 13: a.yaml:1:2: wrong
                Healthy False HealthCheckFailed since 13: a.yaml:1:2: wrong
                attempted r2, applied r1, observed 1, runs 1
                say Error HealthCheckFailed: a.yaml:1:2: wrong

            "#]],
        );
    }

    #[test]
    fn a_failure_keeps_what_was_applied() {
        check(
            &[
                Outcome::Succeeded(applied("r1", "Namespace/a created"), Health::NotChecked),
                failed(Step::Building, "BuildFailed"),
                Outcome::Succeeded(applied("r2", ""), Health::NotChecked),
            ],
            &expect![[r#"
                Ready True ReconciliationSucceeded since 10: Applied revision: r1
                attempted r1, applied r1, observed 1, runs 1
                say Info Progressing: Namespace/a created
                say Info ReconciliationSucceeded: Reconciliation finished in 5ms, next run in 10m0s

                Reconciling True ProgressingWithRetry since 11: Building manifests for revision r2 with a timeout of 1m0s
                Ready False BuildFailed since 11: a.yaml:1:2: wrong
                attempted r2, applied r1, observed 1, runs 1
                say Error BuildFailed: a.yaml:1:2: wrong

                Ready True ReconciliationSucceeded since 12: Applied revision: r2
                attempted r2, applied r2, observed 1, runs 2
                say Info ReconciliationSucceeded: Reconciliation finished in 5ms, next run in 10m0s

            "#]],
        );
    }

    #[test]
    fn what_cannot_begin_says_why() {
        let wait = Retry::After(Span::from_secs(30));
        let source = Failure::new(Class::Dependency, "ArtifactFailed", "Source artifact not found", wait);
        let dependency = Failure::new(Class::Dependency, "DependencyNotReady", "dependency 'b/x' is not ready", wait);
        let refused = Failure::new(Class::Configuration, "UnsupportedField", "spec.decryption", Retry::OnChange);
        check(
            &[
                Outcome::SourceNotReady(source),
                Outcome::DependencyNotReady(dependency),
                Outcome::Refused(refused),
                Outcome::Succeeded(applied("r1", ""), Health::NotChecked),
            ],
            &expect![[r#"
                Ready False ArtifactFailed since 10: Source artifact not found
                attempted none, applied none, observed -1, runs 0

                Ready False DependencyNotReady since 11: dependency 'b/x' is not ready
                attempted none, applied none, observed -1, runs 0
                say Info DependencyNotReady: Dependencies do not meet ready condition, retrying in 30s

                Stalled True UnsupportedField since 12: spec.decryption
                Ready False UnsupportedField since 12: spec.decryption
                attempted none, applied none, observed 1, runs 0
                say Error UnsupportedField: spec.decryption

                Ready True ReconciliationSucceeded since 13: Applied revision: r1
                attempted r1, applied r1, observed 1, runs 1
                say Info ReconciliationSucceeded: Reconciliation finished in 5ms, next run in 10m0s

            "#]],
        );
    }

    #[test]
    fn the_inventory_is_widened_before_the_first_write() {
        let ks = kustomization();
        let status = begin(&ks, &revision("r1"), applied("r1", "").inventory, true, at(1));
        assert_eq!(status.inventory, Some(applied("r1", "").inventory));
        assert!(status.conditions.is_true(types::RECONCILING));
        assert_eq!(status.last_attempted_revision.as_deref(), Some("r1"));
        assert_eq!(status.last_applied_revision, None);
        let ready = status.conditions.get(types::READY).map(|ready| ready.status);
        assert_eq!(ready, Some(Status::Unknown), "a new object is not ready yet");
    }
}
