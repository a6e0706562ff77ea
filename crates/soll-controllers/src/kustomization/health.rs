//! Waiting for health without holding a worker: what is waited for, and one look at it.
//!
//! What the server showed of an object when it was applied is the first look at it. A later one reads the objects that changed, as the identity that applies, at most once a second each, and returns. The
//! watches of applied objects, or the clock, lead to the next look.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use soll_api::{Failure, Gvk, Kustomization, Object, ObjectRef, Secrets};
use soll_cluster::{ApiError, Applied, Cluster, Memory};
use soll_plan::{Assessment, ContainerPlace, Health, HealthExpressions, HealthStatus};
use soll_yaml::{At, Sources};

use super::run::{Moved, Success};
use super::status;

/// A wait for the health of what was applied.
pub(crate) struct Wait {
    /// What was applied, for the status at the end.
    pub(super) applied: status::Applied,
    /// What the pass will be remembered by, if it succeeds and nobody interfered.
    pub(super) success: Option<Success>,
    /// What the pass was about: a change of any of these ends the wait.
    pub(super) subject: Subject,
    since: Waiting,
    /// Before this moment a wait is not worth telling: most are over by then.
    quiet_until: Instant,
    timeout: soll_api::Duration,
    expressions: HealthExpressions,
    /// What tells where the objects were written.
    pub(super) background: Background,
    checks: Vec<Check>,
    /// Where each object stands among the checks.
    positions: HashMap<ObjectRef, usize>,
}

/// How long a wait has gone on, by a clock that nobody sets: that of the host may jump.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// Before this process began to count.
    before: Duration,
    from: Instant,
}

impl Waiting {
    /// A wait that began at a time by the host's clock; not in the future, whatever that clock was then.
    fn since(started: Timestamp, now: Timestamp) -> Self {
        let before = now.duration_since(started).try_into().unwrap_or(Duration::ZERO);
        Self { before, from: Instant::now() }
    }

    fn so_far(self) -> Duration {
        self.before + self.from.elapsed()
    }
}

/// What is kept of a build to tell of a failure.
pub(super) struct Background {
    /// Explains the places of what was applied.
    pub(super) sources: Arc<Sources>,
    /// What no message may hold.
    pub(super) secrets: Secrets,
}

/// What a wait is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(super) generation: i64,
    pub(super) requested_at: Option<String>,
    /// Of the artifact.
    pub(super) digest: String,
    /// Of what else goes into the build.
    pub(super) inputs: [u8; 32],
}

/// What a look found.
pub(crate) enum Look {
    /// All is as wanted, after this time.
    Healthy(Duration),
    /// Not yet: look again when something moves, or at this time.
    Waiting(Instant),
    /// It will not get there any more.
    Failed(Box<Failure>),
}

struct Check {
    object: ObjectRef,
    gvk: Gvk,
    /// What was applied, if it was us and it is a Job: tells one that deletes itself from a missing one.
    desired: Option<Object>,
    places: Places,
    /// Whether a watch tells when it changes; else it is asked every few seconds.
    watched: bool,
    health: Option<Health>,
    /// The version that was judged; nothing if it was not there.
    version: Option<String>,
    /// Whether it changed since it was read.
    moved: bool,
    read_at: Option<Instant>,
    reads: u32,
}

/// An object is read no more often than this in the long run.
const READ_PAUSE: Duration = Duration::from_secs(1);
/// The pause after the first read; it doubles with each.
const FIRST_READ_PAUSE: Duration = Duration::from_millis(60);
/// Objects that nobody watches for us are asked this often; as Flux polls.
const POLL: Duration = Duration::from_secs(5);
/// Watched objects are asked again after this long without news, in case the watch was too late or is over the budget.
const DOUBT: Duration = Duration::from_secs(10);
/// Waits that are over before this cost no status of their own.
const QUIET: Duration = Duration::from_secs(1);
const CONCURRENCY: usize = 8;

impl Wait {
    /// Says what to wait for; nothing if there is nothing. `objects` are what was applied, before applying.
    pub(super) fn checks(ks: &Kustomization, applied: &Applied, objects: &[Object], live: &Memory) -> Vec<WaitFor> {
        // Watches tell of objects by the names that the server knows.
        let named = |wait_for: WaitFor| WaitFor { object: live.resolve(wait_for.object), ..wait_for };
        let own = |object: &ObjectRef| {
            (object.kind.as_str(), object.namespace.as_str(), object.name.as_str())
                == ("Kustomization", ks.metadata.namespace.as_str(), ks.metadata.name.as_str())
                && object.group == super::GROUP
        };
        let by_reference: HashMap<ObjectRef, &Object> =
            objects.iter().map(|object| (object.object_ref(), object)).collect();
        let desired = |reference: &ObjectRef| {
            let desired = by_reference.get(reference).filter(|_| reference.kind == "Job");
            desired.map(|desired| (*desired).clone())
        };
        let places = |reference: &ObjectRef| by_reference.get(reference).map(|desired| Places::of(desired));
        if ks.spec.wait {
            let checked = applied.checked.iter().filter(|left| !own(&left.object));
            return checked
                .map(|left| WaitFor {
                    gvk: Gvk {
                        group: left.object.group.clone(),
                        version: left.version.clone(),
                        kind: left.object.kind.clone(),
                    },
                    desired: desired(&left.object),
                    places: places(&left.object).unwrap_or_default(),
                    object: left.object.clone(),
                    live: left.live.clone(),
                    listed: left.listed.clone(),
                    watched: true,
                })
                .map(named)
                .collect();
        }
        let listed = ks.spec.health_checks.iter().map(|check| {
            let gvk = Gvk::new(check.api_version.as_deref().unwrap_or("apps/v1"), &check.kind);
            let object = ObjectRef {
                group: gvk.group.clone(),
                kind: check.kind.clone(),
                namespace: check.namespace.clone().unwrap_or_default(),
                name: check.name.clone(),
            };
            let left = applied.checked.iter().find(|left| left.object == object);
            let live = left.and_then(|left| left.live.clone());
            let listed = left.and_then(|left| left.listed.clone());
            let places = places(&object).unwrap_or_default();
            WaitFor { gvk, desired: desired(&object), places, object, live, listed, watched: left.is_some() }
        });
        listed.filter(|check| !own(&check.object)).map(named).collect()
    }

    pub(super) fn new(
        wait_for: Vec<WaitFor>,
        expressions: HealthExpressions,
        timeout: soll_api::Duration,
        started: Timestamp,
        (applied, success, subject): (status::Applied, Option<Success>, Subject),
        background: Background,
    ) -> Self {
        let now = Timestamp::now();
        let check = |WaitFor { object, gvk, desired, places, live, listed, watched }| {
            let mut check = Check {
                object,
                gvk,
                desired,
                places,
                watched,
                health: None,
                version: None,
                moved: false,
                read_at: None,
                reads: 0,
            };
            if let Some(live) = live.or_else(|| listed.filter(|listed| is_plainly_current(listed, &expressions, now))) {
                check.judge(Ok(Some(live)), &expressions, now);
            }
            check
        };
        let checks: Vec<_> = wait_for.into_iter().map(check).collect();
        let positions = checks.iter().enumerate().map(|(position, check)| (check.object.clone(), position)).collect();
        let quiet_until = Instant::now() + QUIET;
        let since = Waiting::since(started, now);
        Self { applied, success, subject, since, quiet_until, timeout, expressions, background, checks, positions }
    }

    /// Says whether a version of an object is not the one that was judged. Watches also tell of our own writes.
    pub(super) fn is_news(&self, (object, version): (&ObjectRef, &str)) -> bool {
        let check = self.positions.get(object).map(|position| &self.checks[*position]);
        check.is_some_and(|check| check.version.as_deref() != Some(version))
    }

    /// Reads what moved and is not too fresh, and sums up.
    pub(super) async fn look(&mut self, cluster: &Cluster, moved: &Moved, now: Timestamp) -> Look {
        for (object, version) in moved {
            // Kept until it is read: the news may be about an object that was read a moment ago.
            if self.is_news((object, version)) {
                self.checks[self.positions[object]].moved = true;
            }
        }
        let due: Vec<usize> = (0..self.checks.len()).filter(|index| self.checks[*index].is_due(now)).collect();
        let reads = due.into_iter().map(|index| {
            let Check { gvk, object, .. } = &self.checks[index];
            async move { (index, cluster.find(gvk, &object.namespace, &object.name).await) }
        });
        let answers: Vec<_> = futures::stream::iter(reads).buffer_unordered(CONCURRENCY).collect().await;
        for (index, answer) in answers {
            self.checks[index].judge(answer, &self.expressions, now);
        }
        self.sum_up(now)
    }

    fn sum_up(&self, now: Timestamp) -> Look {
        let waited = self.since.so_far();
        let unread = || Health { status: HealthStatus::Unknown, message: String::new(), recheck_at: None };
        let healths: Vec<_> = self
            .checks
            .iter()
            .map(|check| (check.object.clone(), check.health.clone().unwrap_or_else(unread)))
            .collect();
        let fail_fast = true;
        match soll_plan::assess(&healths, waited.into(), self.timeout, fail_fast) {
            Assessment::Healthy => Look::Healthy(waited),
            Assessment::Failed(failure) => Look::Failed(failure),
            Assessment::Waiting(recheck_at) => {
                // A moment that has passed is no reason to look before the object may be read again.
                let clock =
                    recheck_at.map(|at| at.duration_since(now).try_into().unwrap_or(Duration::ZERO).max(READ_PAUSE));
                let left = self.timeout.std().saturating_sub(waited);
                let pending = self.checks.iter().filter(|check| !check.is_current());
                let poll = pending.map(|check| if check.watched { DOUBT } else { POLL }).min();
                let pause = [clock, Some(left), poll].into_iter().flatten().min().unwrap_or(POLL);
                Look::Waiting(Instant::now() + pause.max(Duration::from_millis(10)))
            }
        }
    }

    /// The objects that keep the wait from ending well, with their kinds and where they were written.
    pub(super) fn not_current(&self) -> impl Iterator<Item = (&Gvk, &ObjectRef, &Places)> {
        let open = self.checks.iter().filter(|check| !check.is_current());
        open.map(|check| (&check.gvk, &check.object, &check.places))
    }

    /// What was found, to be made sure of later.
    pub(super) fn verdicts(self) -> (Option<Success>, Vec<Verdict>) {
        let verdict = |Check { object, gvk, desired, version, .. }| Verdict { object, gvk, desired, version };
        (self.success, self.checks.into_iter().map(verdict).collect())
    }

    /// Until when nobody need be told of this wait; nothing if that time is over.
    pub(super) fn quiet_until(&self) -> Option<Instant> {
        let is_young = !self.applied.told && Instant::now() < self.quiet_until;
        is_young.then_some(self.quiet_until)
    }

    /// When the first of the objects that moved, but were read a moment ago, may be read again.
    pub(super) fn next_read(&self) -> Option<Instant> {
        self.checks.iter().filter(|check| check.moved).filter_map(|check| Some(check.read_at? + check.pause())).min()
    }
}

/// An object that was found healthy in a version.
pub(crate) struct Verdict {
    object: ObjectRef,
    gvk: Gvk,
    desired: Option<Object>,
    /// Nothing if it was not there, as it ought to be.
    version: Option<String>,
}

impl Verdict {
    /// Whether a watch tells that nothing has changed since.
    fn holds(&self, live: &Memory) -> bool {
        self.version.as_ref().is_some_and(|version| live.shows(&self.object, version))
    }
}

/// Whether all is still healthy: what has changed since it was found so is read once.
pub(super) async fn still_holds(
    verdicts: &mut [Verdict],
    live: &Memory,
    cluster: &Cluster,
    expressions: &HealthExpressions,
    now: Timestamp,
) -> bool {
    let moved: Vec<usize> = (0..verdicts.len()).filter(|index| !verdicts[*index].holds(live)).collect();
    let reads = moved.into_iter().map(|index| {
        let Verdict { gvk, object, .. } = &verdicts[index];
        async move { (index, cluster.find(gvk, &object.namespace, &object.name).await) }
    });
    let answers: Vec<_> = futures::stream::iter(reads).buffer_unordered(CONCURRENCY).collect().await;
    let mut healthy = true;
    for (index, answer) in answers {
        let verdict = &mut verdicts[index];
        verdict.version = answer.as_ref().ok().and_then(|live| Some(live.as_ref()?.resource_version().to_owned()));
        let health = judge(answer, verdict.desired.as_ref(), expressions, now);
        healthy &= health.status == HealthStatus::Current;
    }
    healthy
}

/// Where an object and its containers were written; nowhere if somebody else applied it.
#[derive(Default)]
pub(super) struct Places {
    pub(super) object: At,
    pub(super) containers: Vec<ContainerPlace>,
}

impl Places {
    fn of(desired: &Object) -> Self {
        Self { object: desired.value().at, containers: soll_plan::container_places(desired) }
    }
}

/// One object to wait for.
pub(crate) struct WaitFor {
    object: ObjectRef,
    gvk: Gvk,
    desired: Option<Object>,
    places: Places,
    /// How the server showed it when it was applied.
    live: Option<Object>,
    /// How the server showed it to somebody who may read more than the identity that applies.
    listed: Option<Object>,
    watched: bool,
}

impl Check {
    /// Notes what a read answered.
    fn judge(&mut self, answer: Result<Option<Object>, ApiError>, expressions: &HealthExpressions, now: Timestamp) {
        self.version = answer.as_ref().ok().and_then(|live| Some(live.as_ref()?.resource_version().to_owned()));
        self.health = Some(judge(answer, self.desired.as_ref(), expressions, now));
        self.moved = false;
        self.read_at = Some(Instant::now());
        self.reads += 1;
    }

    fn is_current(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.status == HealthStatus::Current)
    }

    /// How long after a read the next one may follow.
    fn pause(&self) -> Duration {
        FIRST_READ_PAUSE.saturating_mul(1 << self.reads.saturating_sub(1).min(10)).min(READ_PAUSE)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let (Some(health), Some(read_at)) = (&self.health, self.read_at) else { return true };
        let age = read_at.elapsed();
        if age < self.pause() {
            return false;
        }
        let clock = health.recheck_at.is_some_and(|at| at <= now);
        let doubt = if self.watched { DOUBT } else { POLL };
        self.moved || clock || (!self.is_current() && age >= doubt)
    }
}

/// Whether an object needs no closer look. What an expression says of it would tell of what it reads.
fn is_plainly_current(listed: &Object, expressions: &HealthExpressions, now: Timestamp) -> bool {
    expressions.health(listed).is_none() && soll_plan::health(listed, now).status == HealthStatus::Current
}

/// The health of what a read answered.
fn judge(
    answer: Result<Option<Object>, ApiError>,
    desired: Option<&Object>,
    expressions: &HealthExpressions,
    now: Timestamp,
) -> Health {
    match answer {
        Ok(Some(live)) => expressions.health(&live).unwrap_or_else(|| soll_plan::health(&live, now)),
        Ok(None) => soll_plan::missing(desired),
        Err(error) => Health { status: HealthStatus::Unknown, message: error.to_string(), recheck_at: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_as_long_as_it_is_whatever_the_clock_says() {
        let (now, hour) = (Timestamp::now(), jiff::SignedDuration::from_hours(1));
        let so_far = |started| Waiting::since(started, now).so_far();
        let (long, none) = (so_far(now - hour), so_far(now + hour));
        assert!(long >= Duration::from_secs(3600) && long < Duration::from_secs(3660), "{long:?}");
        assert!(none < Duration::from_secs(60), "the clock was set back: {none:?}");
    }
}
