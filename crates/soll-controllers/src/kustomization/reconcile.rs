//! One pass over a Kustomization: observe, decide, act, report.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use soll_api::{Class, Failure, Kustomization, Object, Resource, Retry, Secrets};
use soll_cluster::{Applier, ApplierOptions, Cluster, Creation, Identity, Trust};
use soll_plan::{Action, ApplySettings, HealthExpressions, IgnoreRules, Managers, Owner};
use tracing::{debug, info, warn};

use super::build::{self, Built};
use super::handover::{self, Leaver, Sorted};
use super::health::{self, Background, Look, Subject, Wait};
use super::inputs;
use super::run::{Moved, Run, Signals, Success};
use super::source::{self, Offer};
use super::status::{self, Applied, Failed, Health, Outcome, Revision, Step};
use super::{dependencies, finalize, live};
use crate::Key;
use crate::behaviours::Behaviours;
use crate::context::{Context, WriteError};
use crate::runner::Next;
use crate::schedule;

/// Brings the cluster in line with one Kustomization; safe to call at any time, any number of times.
/// Returns without waiting: health arrives as an event that calls it again.
pub(crate) async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, WriteError> {
    let Some(object) = ctx.object(key) else {
        super::forget(key, ctx);
        ctx.builds.forget(key);
        ctx.metrics.forget(key);
        ctx.waker.forget(key);
        return Ok(Next::Await);
    };
    let ks = match Kustomization::from_object(&object) {
        Ok(ks) => ks,
        Err(error) => return ctx.refuse_misfit(key, object, &error).await,
    };
    if ks.metadata.is_deleting() {
        return finalize::finalize(key, &object, &ks, ctx).await;
    }
    let object = if ks.metadata.has_finalizer() { object } else { ctx.add_finalizer(key, &object).await? };
    if ks.spec.suspend {
        ctx.write_status(key, object, &ks.status, &status::answered(&ks)).await?;
        return Ok(Next::Await);
    }

    let (mut run, signals) = ctx.runs.take(key);
    let mut pass = Pass::new(key, ctx, object, ks);
    let next = loop {
        break match pass.sync(&mut run, &signals).await {
            Ok(outcome) => pass.report(&mut run, &outcome).await,
            Err(Stop::Outcome(mut outcome)) => {
                outcome.hide(&pass.secrets);
                pass.report(&mut run, &outcome).await
            }
            Err(Stop::Overtaken) => {
                debug!(%key, "the source has moved on");
                continue;
            }
            Err(Stop::Write(error)) => {
                // What this pass was told by watches is told once: the next one must not find that there is nothing to do.
                run.success = None;
                Err(error)
            }
        };
    };
    if ctx.runs.put(key, run) {
        ctx.waker.wake(key.clone());
    }
    next
}

/// Makes a panic that object's failure.
pub(crate) async fn panicked(key: &Key, message: &str, ctx: &Context) -> Result<(), WriteError> {
    let Some(object) = ctx.object(key) else { return Ok(()) };
    let Ok(ks) = Kustomization::from_object(&object) else { return Ok(()) };
    let text = format!("this is a defect of soll, please report it: {message}");
    let failure = Failure::new(Class::Internal, "ReconciliationFailed", text, Retry::Backoff);
    let report = status::summarize(&ks, &Outcome::Refused(failure), ctx.now());
    let object = ctx.write_status(key, object, &ks.status, &report.status).await?;
    ctx.say(key, &object, report.said);
    Ok(())
}

/// Why a pass ends before its end.
pub(super) enum Stop {
    /// It is decided how it ended.
    Outcome(Box<Outcome>),
    /// The source has moved on: the pass begins anew with what it offers now.
    Overtaken,
    /// A status that must be written before going on could not be.
    Write(WriteError),
}

impl From<Outcome> for Stop {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(Box::new(outcome))
    }
}

impl From<WriteError> for Stop {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

/// One pass over one Kustomization.
struct Pass<'c> {
    key: &'c Key,
    ctx: &'c Context,
    object: Object,
    ks: Kustomization,
    behaviours: Behaviours,
    /// Whether somebody asked for this pass, which then takes nothing for granted.
    asked: bool,
    began: Instant,
    /// What went into the build and no message may hold.
    secrets: Secrets,
    /// Whether what was waited for is not what is wanted any more.
    outdated: bool,
}

/// After this long everything is built and compared again: webhooks change objects after fields were tracked.
const TRUSTED_FOR: Duration = Duration::from_secs(3600);

impl<'c> Pass<'c> {
    fn new(key: &'c Key, ctx: &'c Context, object: Object, mut ks: Kustomization) -> Self {
        // The finalizer was added since the object was read.
        ks.metadata.resource_version = object.resource_version().to_owned();
        let behaviours = ctx.config.behaviours.of_object(&object);
        let asked =
            ks.metadata.requested_at().is_some_and(|at| ks.status.last_handled_reconcile_at.as_deref() != Some(at));
        Self {
            key,
            ctx,
            object,
            ks,
            behaviours,
            asked,
            began: Instant::now(),
            secrets: Secrets::new(),
            outdated: false,
        }
    }

    async fn sync(&mut self, run: &mut Run, signals: &Signals) -> Result<Outcome, Stop> {
        let ctx = self.ctx;

        // Observe.
        self.refuse_what_is_not_built()?;
        let expressions = HealthExpressions::new(&self.ks.spec.health_check_exprs).map_err(Outcome::Refused)?;
        let offer = source::offer(&self.ks, ctx)?;
        if let Some(wait) = self.wait_goes_on(run, &offer, signals) {
            let of = wait.subject.clone();
            let looked = self.look(wait, run, &signals.moved).await;
            // Whoever woke us meanwhile is not heard again.
            self.outdated = run.wait.is_none() && self.is_outdated(&of, &offer).await;
            if matches!(looked, Ok(Outcome::Succeeded(..))) && run.success.is_none() {
                // What others were about to take was not looked at meanwhile.
                ctx.waker.wake_at(self.key.clone(), Instant::now() + handover::ASK_AGAIN);
            }
            return looked;
        }
        self.check_dependencies(&offer)?;
        let revision = offer.revision();
        let failed = |step: Step| {
            let revision = revision.clone();
            move |failure: Failure| Stop::from(Failed::at(step, &revision, failure))
        };
        let inputs = inputs::resolve(&self.ks, &self.object, ctx).await.map_err(failed(Step::Building))?;
        self.secrets = inputs.variables.secrets();
        let tree = source::tree(&offer, ctx).await?;
        let made_anew = self.is_due(run, &revision) && self.renew(run, &revision);
        let unchanged =
            inputs.missing.is_none() && !made_anew && self.is_unchanged(run, &inputs.digest, &tree, signals);
        if unchanged && self.is_still_healthy(run, &expressions).await {
            return Ok(Outcome::Unchanged(revision));
        }

        // Decide.
        let Built { objects, sources, secrets, reads, digest } =
            build::build(&self.ks, tree.clone(), inputs.variables, inputs.missing, &ctx.config)
                .await
                .map_err(failed(Step::Building))?;
        self.secrets = secrets;
        let owner = Owner::of(&self.ks);
        let objects = soll_plan::prepare(objects, &owner, &sources).map_err(failed(Step::Building))?;
        let kinds = ctx.config.custom_stages();
        let desired = objects.clone();
        let stages = soll_plan::stages(objects, &kinds, &sources).map_err(failed(Step::Applying))?;
        let settings = self.settings().map_err(failed(Step::Applying))?;
        let old = self.ks.status.inventory.clone().unwrap_or_default();

        // Act. The inventory widens first: a crash after this line leaves work undone, never an orphan.
        let planned = soll_api::Inventory::of(stages.iter().flat_map(soll_plan::Stage::objects));
        self.widen_inventory(&offer, old.union(&planned)).await?;
        ctx.check_ownership(self.key)?;
        let applier = self.applier(run);
        self.recall(&desired, &old).await;
        let references = || -> Vec<_> { desired.iter().map(|object| ctx.live.resolve(object.object_ref())).collect() };
        let owned = references();
        ctx.runs.own(self.key, owned.clone());
        let applied = applier.apply(stages, &settings, &sources).await.map_err(|stopped| {
            let mut failed = Failed::at(Step::Applying, &revision, stopped.failure);
            failed.digest = Some(digest.clone());
            failed.changes = stopped.changes.event();
            failed.inventory = Some(old.union(&planned));
            failed.took = self.began.elapsed();
            Stop::from(failed)
        })?;
        // What lives outside of namespaces is known by now.
        let applied_as = references();
        if applied_as != owned {
            ctx.runs.own(self.key, applied_as.clone());
        }
        ctx.live_watches.ensure(desired.iter().map(Object::gvk));
        let mut inventory = applied.changes.inventory();
        let mut pruned = String::new();
        let mut awaited = soll_api::Inventory::default();
        let mut takers = BTreeSet::new();
        if self.ks.spec.prune {
            let left = old.difference(&inventory);
            let sorted = self.sort(left, &desired, &offer, &tree).await;
            if !sorted.awaited.is_empty() {
                // Who takes something while it is asked for tells us.
                ctx.runs.await_takers(self.key);
            }
            let result = applier.prune(&sorted.stale, &applied_as, &owner).await;
            pruned = result.changes.event();
            let held = handover::not_taken(&sorted.awaited, &applier, &owner).await;
            takers = sorted.takers;
            if sorted.unsure || held.unsure {
                ctx.waker.wake_at(self.key.clone(), Instant::now() + handover::ASK_AGAIN);
            }
            awaited = soll_api::Inventory { entries: held.entries };
            inventory = inventory.union(&result.unconfirmed).union(&awaited);
            if let Some(failure) = result.failure {
                let mut failed = Failed::at(Step::Applying, &revision, failure);
                failed.digest = Some(digest);
                failed.changes = applied.changes.event();
                failed.pruned = pruned;
                failed.inventory = Some(inventory);
                failed.took = self.began.elapsed();
                return Err(failed.into());
            }
        }
        let changes = applied.changes.event();
        if applied.changes.has_changes() || !pruned.is_empty() {
            info!(key = %self.key, revision = revision.name, objects = inventory.entries.len(), "applied");
        }

        // What follows is the verdict: at once if nobody asked for health, else by events.
        // What somebody else wrote to meanwhile is looked at again soon, what others are about to take when they have it.
        let to_ask = ctx.runs.hand_over(self.key, &awaited, takers);
        if !to_ask.is_empty() {
            handover::ask(&to_ask, ctx);
            ctx.waker.wake_at(self.key.clone(), Instant::now() + handover::ASK_AGAIN);
        }
        let undisturbed = applied.overtaken.is_empty() && awaited.is_empty();
        for object in &applied.overtaken {
            live::overtaken(ctx, self.key, &self.object, object);
        }
        let kinds = || desired.iter().map(|object| (object.group().to_owned(), object.kind().to_owned())).collect();
        let success = undisturbed.then(|| Success {
            inputs: inputs.digest,
            reads,
            kinds: kinds(),
            at: Instant::now(),
            skipped: applied.changes.iter().any(|change| change.action == Action::Skipped),
            verdicts: Vec::new(),
            judged: Instant::now(),
        });
        let wait_for = Wait::checks(&self.ks, &applied, &desired, &ctx.live);
        let started = self.wait_began(&revision.name);
        let took = self.began.elapsed();
        let summary = Applied { revision, inventory, digest, changes, pruned, told: false, took };
        if wait_for.is_empty() {
            run.success = success;
            return Ok(Outcome::Succeeded(summary, Health::NotChecked));
        }
        let background = Background { sources, secrets: self.secrets.clone() };
        let subject = self.subject(&offer, inputs.digest);
        let wait =
            Wait::new(wait_for, expressions, self.ks.timeout(), started, (summary, success, subject), background);
        self.look(wait, run, &Moved::new()).await
    }

    /// A field that is not built is refused by name: nothing is reconciled, the inventory stays, nothing is pruned.
    fn refuse_what_is_not_built(&self) -> Result<(), Stop> {
        let fields = soll_api::unsupported_fields(self.key.kind.name(), self.object.value());
        if fields.is_empty() {
            return Ok(());
        }
        let message = format!("not supported yet, so nothing was done: {}", fields.join(", "));
        Err(Outcome::Refused(Failure::new(Class::Configuration, "UnsupportedField", message, Retry::OnChange)).into())
    }

    fn check_dependencies(&self, offer: &Offer) -> Result<(), Stop> {
        let retry = self.ctx.config.requeue_dependency;
        let find = |key: &Key| self.ctx.object(key);
        let checked = dependencies::check(&self.ks, &self.object, &offer.artifact.revision, retry, &find);
        checked.map_err(|failure| match failure.class {
            Class::Dependency => Outcome::DependencyNotReady(failure).into(),
            _ => Outcome::Refused(failure).into(),
        })
    }

    fn subject(&self, offer: &Offer, inputs: [u8; 32]) -> Subject {
        Subject {
            generation: self.ks.metadata.generation,
            requested_at: self.ks.metadata.requested_at().map(str::to_owned),
            digest: offer.artifact.digest.clone(),
            inputs,
        }
    }

    /// The wait of an earlier pass, if it is still about the right thing; else it is over.
    fn wait_goes_on(&self, run: &mut Run, offer: &Offer, signals: &Signals) -> Option<Wait> {
        let wait = run.wait.take()?;
        let newer = wait.subject.digest != offer.artifact.digest;
        let asked = wait.subject.generation != self.ks.metadata.generation
            || wait.subject.requested_at.as_deref() != self.ks.metadata.requested_at();
        if asked || (newer && self.behaviours.newer_revision_ends_wait) {
            debug!(key = %self.key, "a newer request ends the wait for health");
            let mut said = wait.applied.say();
            said.push(status::canceled(&self.ks.source(), &wait.applied.revision));
            self.ctx.say(self.key, &self.object, said);
            return None;
        }
        // Drift is corrected while waiting, too; the wait begins anew with its old deadline.
        if self.has_drift(signals) || signals.awaited {
            self.ctx.say(self.key, &self.object, wait.applied.say());
            return None;
        }
        Some(wait)
    }

    /// Whether what a wait was about is not what would be applied now: a newer artifact or other variables.
    async fn is_outdated(&self, waited_for: &Subject, offer: &Offer) -> bool {
        if waited_for.digest != offer.artifact.digest {
            return true;
        }
        match inputs::resolve(&self.ks, &self.object, self.ctx).await {
            Ok(inputs) => inputs.digest != waited_for.inputs,
            // The next pass tells.
            Err(_) => true,
        }
    }

    /// Whether watches told of objects that are, as far as is known now, not as we left them.
    fn has_drift(&self, signals: &Signals) -> bool {
        signals.drifted.iter().any(|object| self.ctx.live.is_disturbed(object))
    }

    /// Whether the interval is over, or there is another revision: what Jobs that remove themselves are made anew for. That a pass
    /// failed, or was woken by drift, is no reason.
    fn is_due(&self, run: &Run, revision: &Revision) -> bool {
        let early = self.ks.spec.interval.std() / 2;
        !run.renewed.as_ref().is_some_and(|(of, at)| *of == revision.name && at.elapsed() < early)
    }

    /// Has Jobs that have removed themselves made anew. Says whether there are any.
    fn renew(&self, run: &mut Run, revision: &Revision) -> bool {
        run.renewed = Some((revision.name.clone(), Instant::now()));
        self.ctx.live.renew(&self.ctx.runs.owned(self.key))
    }

    fn is_unchanged(&self, run: &Run, inputs: &[u8; 32], tree: &soll_tree::Tree, signals: &Signals) -> bool {
        let Some(success) = run.success.as_ref().filter(|_| self.behaviours.skip_unchanged) else { return false };
        let ready = self.ks.status.conditions.is_true(soll_api::types::READY);
        // Nobody tells of changes of what is not watched: it is looked at as often as Flux does.
        let is_watched = |(group, kind): &(String, String)| self.ctx.live.is_watched(group, kind);
        let watched = !success.skipped && success.kinds.iter().all(is_watched);
        let trusted_for = if watched { TRUSTED_FOR } else { self.ks.spec.interval.std() / 2 };
        let trusted = success.at.elapsed() < trusted_for;
        ready
            && trusted
            && !self.asked
            && !signals.awaited
            && !self.has_drift(signals)
            && !self.ctx.runs.has_disturbed(self.key, &self.ctx.live)
            && success.inputs == *inputs
            && success.reads.unchanged_in(tree)
    }

    /// Whether what was found healthy still is, once an interval. If not, the pass goes on to the end, and waits for it there.
    async fn is_still_healthy(&self, run: &mut Run, expressions: &HealthExpressions) -> bool {
        let Some(success) = &mut run.success else { return true };
        if success.verdicts.is_empty() || success.judged.elapsed() < self.ks.spec.interval.std() / 2 {
            return true;
        }
        success.judged = Instant::now();
        let (cluster, now) = (applying(self.key, &self.ks, self.ctx), jiff::Timestamp::now());
        health::still_holds(&mut success.verdicts, &self.ctx.live, &cluster, expressions, now).await
    }

    /// Sorts what left the build: what others build now is left to them.
    async fn sort(
        &self,
        left: soll_api::Inventory,
        desired: &[Object],
        offer: &Offer,
        tree: &soll_tree::Tree,
    ) -> Sorted {
        if left.is_empty() || !self.behaviours.hand_over {
            return Sorted { stale: left, ..Sorted::default() };
        }
        let leaver = Leaver { key: self.key, builds: Some(desired), offer, tree };
        handover::sort(&left, &leaver, self.ctx).await
    }

    /// Has what an earlier process applied listed, kind by kind, so that it need not be read object by object.
    async fn recall(&self, desired: &[Object], inventory: &soll_api::Inventory) {
        if self.asked {
            return;
        }
        let unknown = desired.iter().filter(|object| !self.ctx.live.knows(&object.object_ref()));
        let ids: HashSet<&str> = inventory.entries.iter().map(|entry| entry.id.as_str()).collect();
        let applied = unknown.filter(|object| ids.contains(object.object_ref().inventory_id().as_str()));
        let kinds: Vec<_> = applied.map(Object::gvk).collect();
        self.ctx.live_watches.recall(kinds).await;
    }

    fn settings(&self) -> Result<ApplySettings, Failure> {
        let mut managers = Managers::new(soll_api::names::managers::KUSTOMIZE);
        managers.overridden.clone_from(&self.ctx.config.override_managers);
        Ok(ApplySettings { managers, force: self.ks.spec.force, ignore: IgnoreRules::new(&self.ks.spec.ignore)? })
    }

    fn applier(&self, run: &Run) -> Applier {
        let trusted = run.success.as_ref().is_none_or(|success| success.at.elapsed() < TRUSTED_FOR);
        let options = ApplierOptions {
            concurrency: self.ctx.config.concurrent_ssa,
            trust: if trusted && !self.asked { Trust::Memory } else { Trust::Nothing },
            creation: if self.behaviours.create_without_dry_run { Creation::Direct } else { Creation::DryRunFirst },
        };
        Applier::new(applying(self.key, &self.ks, self.ctx), Arc::clone(&self.ctx.live), options)
    }

    /// Writes the union of what is and what may come into the status, unless it is there already.
    async fn widen_inventory(&mut self, offer: &Offer, union: soll_api::Inventory) -> Result<(), Stop> {
        let known = self.ks.status.inventory.as_ref();
        let attempted = self.ks.status.last_attempted_revision.as_deref() == Some(&offer.artifact.revision);
        let observed = self.ks.status.observed_generation == self.ks.metadata.generation;
        if attempted && observed && known == Some(&union) {
            return Ok(());
        }
        let began = status::begin(&self.ks, &offer.revision(), union, self.behaviours.steady_ready, self.ctx.now());
        // A list is replaced as a whole: what another process has noted in it that we have not seen yet would be lost.
        let (ctx, object) = (self.ctx, self.object.clone());
        self.object = ctx.write_status_as_seen(self.key, object, &self.ks.status, &began).await?;
        self.ks.status = began;
        Ok(())
    }

    /// When the wait for a revision began: kept in a condition, so that a restart does not begin it anew.
    fn wait_began(&self, revision: &str) -> jiff::Timestamp {
        let healthy = self.ks.status.conditions.get(soll_api::types::HEALTHY);
        let waiting = healthy.filter(|healthy| {
            healthy.status == soll_api::Status::Unknown
                && healthy.observed_generation == Some(self.ks.metadata.generation)
                && healthy.message.contains(&format!(" {revision} "))
                && !self.asked
        });
        waiting.map_or_else(jiff::Timestamp::now, |waiting| waiting.last_transition_time.timestamp())
    }

    /// One look at the health of what was applied.
    async fn look(&mut self, mut wait: Wait, run: &mut Run, moved: &Moved) -> Result<Outcome, Stop> {
        self.secrets.clone_from(&wait.background.secrets);
        let cluster = applying(self.key, &self.ks, self.ctx);
        match wait.look(&cluster, moved, jiff::Timestamp::now()).await {
            Look::Healthy(waited) => {
                let applied = wait.applied.clone();
                let (success, verdicts) = wait.verdicts();
                run.success = success.map(|success| Success { verdicts, judged: Instant::now(), ..success });
                Ok(Outcome::Succeeded(applied, Health::Passed(waited)))
            }
            Look::Waiting(at) => {
                let again = wait.next_read().map_or(at, |read| read.min(at));
                if let Some(until) = wait.quiet_until() {
                    run.wait = Some(wait);
                    return Ok(Outcome::Settling(again.min(until)));
                }
                let applied = wait.applied.clone();
                wait.applied.told = true;
                run.wait = Some(wait);
                Ok(Outcome::Waiting(applied, again))
            }
            Look::Failed(failure) => {
                let failure = super::explain::explain(*failure, &wait, &cluster).await;
                let mut failed = Failed::at(Step::CheckingHealth, &wait.applied.revision, failure);
                failed.inventory = Some(wait.applied.inventory);
                failed.digest = Some(wait.applied.digest);
                failed.took = self.began.elapsed();
                Err(failed.into())
            }
        }
    }

    /// Writes and says what the pass came to, and decides when the next one is.
    async fn report(&mut self, run: &mut Run, outcome: &Outcome) -> Result<Next, WriteError> {
        if !matches!(outcome, Outcome::Succeeded(..) | Outcome::Unchanged(_)) {
            run.success = None;
        }
        let report = status::summarize(&self.ks, outcome, self.ctx.now());
        if let Err(error) = self.write(report.status).await {
            // The next pass must come to the same status, not find that there is nothing to do.
            run.success = None;
            return Err(error);
        }
        self.ctx.say(self.key, &self.object, report.said);
        if self.outdated {
            return Ok(Next::After(Duration::ZERO));
        }
        Ok(match outcome {
            Outcome::Unchanged(_) | Outcome::Succeeded(..) => self.ctx.at_interval(self.ks.spec.interval.std()),
            Outcome::Settling(at) | Outcome::Waiting(_, at) => {
                Next::After(at.saturating_duration_since(Instant::now()))
            }
            Outcome::SourceNotReady(failure) | Outcome::DependencyNotReady(failure) | Outcome::Refused(failure) => {
                self.after(failure)
            }
            Outcome::Failed(failed) => {
                warn!(key = %self.key, reason = failed.failure.reason, error = %failed.failure, "failed");
                self.after(&failed.failure)
            }
        })
    }

    fn after(&self, failure: &Failure) -> Next {
        schedule::after_failure(failure, self.ks.retry_interval().std())
    }

    async fn write(&mut self, new: soll_api::KustomizationStatus) -> Result<(), WriteError> {
        self.object = self.ctx.write_status(self.key, self.object.clone(), &self.ks.status, &new).await?;
        self.ks.status = new;
        Ok(())
    }
}

/// The cluster as the identity that applies, prunes and checks for a Kustomization; it is written to only as long as
/// that is ours.
pub(super) fn applying(key: &Key, ks: &Kustomization, ctx: &Context) -> Cluster {
    let cluster = ctx.fenced(key);
    match ks.spec.service_account_name.as_ref().or(ctx.config.default_service_account.as_ref()) {
        Some(name) => cluster.impersonating(Identity::service_account(&ks.metadata.namespace, name)),
        None => cluster,
    }
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        Outcome::Failed(failed).into()
    }
}
