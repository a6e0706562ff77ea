//! Looking at the objects of a stage: what is live, what a dry run says, what follows from both.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use soll_api::{Failure, Gvk, Object};
use soll_plan::{Apply, Attempt, Look, Skip, Verdict};
use soll_schema::{Schemas, TypeRef};
use tokio::time::Instant;

use super::{Creation, Run, Trust};
use crate::{ApiError, ApplyOptions, Mode};

/// What is to be done with one object.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// It is as we left it; nobody was asked.
    Remembered,
    /// It is as wanted, as a list showed it.
    Recalled(Object),
    /// It asked to be left alone.
    Skip(Skip),
    /// It is as wanted.
    Unchanged(Object),
    /// It does not exist.
    Create,
    /// It differs.
    Change { apply: Apply, live: Object, dry_run: Object },
    /// It can only become as wanted by being made anew.
    Recreate { live: Object },
}

/// How long the server may take to serve a kind whose CRD it has accepted.
const SERVED_WITHIN: Duration = Duration::from_secs(15);
const FIRST_POLL: Duration = Duration::from_millis(50);
/// How often an apply is tried that others get in the way of.
const MOST_RACES: u32 = 4;
const LONGEST_POLL: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// Looks at all objects of a stage, some at a time. Nothing is written.
    pub(super) async fn look_at_all(&self, objects: &[Object]) -> Result<Vec<Step>, Failure> {
        let looks: Vec<_> = objects.iter().map(|desired| self.look_at(desired)).collect();
        let steps = all_or_failures(objects, self.in_turn(looks).await)?;
        let changes = steps.iter().any(|step| matches!(step, Step::Change { .. } | Step::Recreate { .. }));
        if changes || self.applier.options.creation == Creation::DryRunFirst {
            // Nothing may be written if any of it would fail: new objects are tried too.
            let new = objects.iter().zip(&steps).filter(|(_, step)| matches!(step, Step::Create));
            let new: Vec<_> = new.map(|(desired, _)| desired).collect();
            let tries = new.iter().map(|desired| self.try_create(desired)).collect();
            all_or_failures(new, self.in_turn(tries).await)?;
        }
        Ok(steps)
    }

    /// Does some at a time, in order. Once the server is gone the rest is left undone: `None`.
    async fn in_turn<T>(&self, works: Vec<impl Future<Output = T>>) -> Vec<Option<T>> {
        let works: Vec<_> = works
            .into_iter()
            .map(|work| async {
                let gone = self.gone.load(Ordering::Relaxed);
                if gone { None } else { Some(work.await) }
            })
            .collect();
        futures::stream::iter(works).buffered(self.applier.options.concurrency).collect().await
    }

    async fn look_at(&self, desired: &Object) -> Result<Step, Failure> {
        let trusts = self.applier.options.trust == Trust::Memory;
        if trusts && self.applier.memory.vouches(desired, self.settings, self.applier.cluster.identity()) {
            return Ok(Step::Remembered);
        }
        if trusts && let Some(step) = self.recall(desired) {
            return Ok(step);
        }
        self.look_at_live(desired).await
    }

    /// Compares with what a list showed after the start of this process. It may say that nothing needs doing; anything
    /// else is decided by what the identity that applies can read.
    fn recall(&self, desired: &Object) -> Option<Step> {
        let listed = self.applier.memory.take_recalled(desired)?;
        match soll_plan::look(desired, Some(&listed)) {
            Look::Skip(skip) => Some(Step::Skip(skip)),
            Look::DryRun if self.is_as_applied(&self.whole(desired, &listed), &listed) => Some(Step::Recalled(listed)),
            Look::DryRun | Look::Create => None,
        }
    }

    fn is_as_applied(&self, desired: &Object, live: &Object) -> bool {
        soll_plan::as_applied(desired, live, &self.settings.managers, known(desired))
    }

    /// The object with what Flux would apply besides, as far as it matters to the live object.
    fn whole(&self, desired: &Object, live: &Object) -> Object {
        soll_plan::with_empty_structs(desired, live, &self.settings.managers, known(desired))
    }

    /// Reads the object and tries what applying it would change.
    pub(super) async fn look_at_live(&self, desired: &Object) -> Result<Step, Failure> {
        let gvk = desired.gvk();
        let refused = |error: &ApiError| self.refuse(error, Attempt::DryRun, desired);
        let find = || self.applier.cluster.find(&gvk, desired.namespace(), desired.name());
        let live = match self.is_fresh(desired) {
            true => None,
            false => self.once_served(&gvk, find).await.map_err(|error| refused(&error))?,
        };
        match soll_plan::look(desired, live.as_ref()) {
            Look::Skip(skip) => return Ok(Step::Skip(skip)),
            Look::Create => return Ok(Step::Create),
            Look::DryRun => {}
        }
        let Some(live) = live else { return Ok(Step::Create) };
        let whole = &self.whole(desired, &live);
        // Once an hour, and when somebody asks: most objects need no more than this look.
        if self.is_as_applied(whole, &live) {
            return Ok(Step::Unchanged(live));
        }
        let options = self.options().dry();
        match self.carry_out(whole, &options).await {
            Ok(dry_run) => match soll_plan::judge(whole, Some(&live), &dry_run, self.settings) {
                Verdict::Unchanged => Ok(Step::Unchanged(live)),
                Verdict::Apply(apply) => Ok(Step::Change { apply, live, dry_run }),
            },
            Err(error) if self.may_recreate(desired, &live, &error).await => Ok(Step::Recreate { live }),
            Err(error) => Err(self.refuse_change(&error, Attempt::DryRun, desired, Some(&live))),
        }
    }

    /// Applies, and again where a conflict says that somebody else was faster: another writer, or one who counts for the
    /// same quota. Fields cannot be it, as ours are forced.
    pub(super) async fn carry_out(&self, payload: &Object, options: &ApplyOptions) -> Result<Object, ApiError> {
        let gvk = payload.gvk();
        let mut pause = FIRST_POLL;
        let mut attempt = 1;
        loop {
            match self.once_served(&gvk, || self.applier.cluster.apply(payload, options)).await {
                Err(error) if error.is_conflict() && !error.says_immutable() && attempt < MOST_RACES => {
                    tracing::debug!(object = %payload.object_ref(), %error, "somebody else was faster");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                applied => return applied,
            }
        }
    }

    async fn try_create(&self, desired: &Object) -> Result<(), Failure> {
        let options = self.options().dry();
        let tried = self.carry_out(desired, &options).await;
        tried.map(|_| ()).map_err(|error| self.refuse(&error, Attempt::DryRun, desired))
    }

    /// Says whether an object is to be made anew after a refusal.
    ///
    /// Flux takes every invalid object for an immutable one and deletes it, to find that the new one is
    /// invalid too. Unless the server says "immutable", we try first whether the new one would be accepted,
    /// and do nothing if we cannot tell.
    pub(super) async fn may_recreate(&self, desired: &Object, live: &Object, error: &ApiError) -> bool {
        if !error.is_immutable() || !soll_plan::may_recreate(desired, live, self.settings) {
            return false;
        }
        if error.says_immutable() {
            return true;
        }
        let mut namesake = desired.clone();
        let metadata = namesake.value_mut().get_mut("metadata").expect("objects have metadata").make_map();
        // Labels of a Job's pods and the like are derived from the name: short enough for all.
        metadata.insert("name", "soll-probe".into());
        let probe = self.applier.cluster.create(&namesake, &self.settings.managers.ours, Mode::DryRun).await;
        // A namesake that exists was looked for after all checks were passed.
        probe.map_or_else(|error| error.is_already_exists(), |_| true)
    }

    /// Repeats a request while the server does not serve a kind whose CRD is part of this run.
    pub(super) async fn once_served<T, F>(&self, gvk: &Gvk, request: impl Fn() -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let deadline = Instant::now() + SERVED_WITHIN;
        let mut poll = FIRST_POLL;
        loop {
            let answered = request().await;
            let is_expected = self.expected.contains(&(gvk.group.clone(), gvk.kind.clone()));
            match answered {
                Err(ApiError::NotServed(_)) if is_expected && Instant::now() < deadline => {
                    tokio::time::sleep(poll).await;
                    poll = (poll * 2).min(LONGEST_POLL);
                    self.applier.cluster.forget_resource(gvk);
                }
                answered => return answered,
            }
        }
    }

    pub(super) fn options(&self) -> ApplyOptions {
        ApplyOptions::forced(&self.settings.managers.ours)
    }
}

/// The type of an object, if it is a builtin one.
fn known(object: &Object) -> Option<TypeRef<'static>> {
    Schemas::builtin().type_of(object.group(), object.version(), object.kind())
}

/// How many failures are told besides the first.
const MOST_COMPANY: usize = 9;

/// The results, or the first failure with the others as its company.
fn all_or_failures<'o, T>(
    objects: impl IntoIterator<Item = &'o Object>,
    results: Vec<Option<Result<T, Failure>>>,
) -> Result<Vec<T>, Failure> {
    let mut fine = Vec::with_capacity(results.len());
    let mut failures = Vec::new();
    for (object, result) in objects.into_iter().zip(results) {
        match result {
            Some(Ok(value)) => fine.push(value),
            Some(Err(failure)) => failures.push((object.object_ref(), failure)),
            // Not done, because of the failures before it.
            None => {}
        }
    }
    let mut failures = failures.into_iter();
    let Some((_, mut first)) = failures.next() else { return Ok(fine) };
    let untold = failures.len().saturating_sub(MOST_COMPANY);
    for (object, failure) in failures.take(MOST_COMPANY) {
        let place = failure.origins.first().map(|origin| format!("{}: ", origin.place())).unwrap_or_default();
        first = first.of(&object, format!("{place}{}", failure.message));
    }
    if untold > 0 {
        first.message = format!("{} (and {untold} objects more)", first.message);
    }
    Err(first)
}
