//! The life of a pod on its node, as a function of its age.

use std::time::Duration;

use soll_api::Object;

use super::super::failure::{Failure, Mode};
use super::super::fields::{controller, text};

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// The image is pulled, the containers are made.
    Creating,
    /// The image cannot be pulled; after the first attempt, it is waited.
    PullFails {
        backing_off: bool,
    },
    /// Something that the containers refer to does not exist.
    ConfigError,
    Running {
        ready: bool,
    },
    /// The containers ended in error, so many times, and wait for their next start.
    CrashLoop {
        restarts: i64,
        out_of_memory: bool,
    },
    /// The containers have ended for good.
    Finished {
        success: bool,
    },
}

/// A point in a life, and when the next comes, in simulated time.
#[derive(Debug, PartialEq)]
pub(super) struct Point {
    pub(super) life: Life,
    pub(super) next: Option<Duration>,
}

/// How long an image is pulled and its container made.
const PULL: Duration = Duration::from_secs(1);
/// How long a container takes to become ready, its probe's initial delay aside.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the container of a Job works.
const WORK: Duration = Duration::from_secs(2);
const BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_secs(300);
const FLAKY_TURN: Duration = Duration::from_secs(10);

/// Where a pod is at an age, counted from its placement.
pub(super) fn at(pod: &Object, age: Duration, failure: Option<&Failure>, missing: bool) -> Point {
    let (age, pause, mode) = match failure {
        Some(failure) if failure.is_on(age) => (age, failure.next_change(age), Some(failure.mode)),
        // What failed to start starts over when the failure ends.
        Some(failure) if failure.end().is_some_and(|end| age >= end) => {
            (age.saturating_sub(failure.end().unwrap_or_default()), None, None)
        }
        Some(failure) => (age, failure.next_change(age), None),
        None => (age, None, None),
    };
    let mut point = healthy_or(pod, age, mode, missing);
    point.next = [point.next, pause].into_iter().flatten().min();
    point
}

fn healthy_or(pod: &Object, age: Duration, mode: Option<Mode>, missing: bool) -> Point {
    let still = |life| Point { life, next: None };
    let pulled = match mode {
        Some(Mode::Slow(extra)) => PULL + extra,
        _ => PULL,
    };
    match mode {
        Some(Mode::ImagePull) => {
            let backing_off = age >= PULL;
            return Point { life: Life::PullFails { backing_off }, next: (!backing_off).then(|| PULL - age) };
        }
        Some(Mode::ConfigError) => return still(Life::ConfigError),
        _ if missing => return still(Life::ConfigError),
        _ => {}
    }
    if age < pulled {
        return Point { life: Life::Creating, next: Some(pulled - age) };
    }
    let running = age - pulled;
    let ends = ends(pod);
    match mode {
        Some(Mode::CrashLoop | Mode::OutOfMemory) if !never_restarts(pod) => {
            let (restarts, next) = crashes(running);
            let out_of_memory = mode == Some(Mode::OutOfMemory);
            Point { life: Life::CrashLoop { restarts, out_of_memory }, next: Some(next) }
        }
        Some(Mode::CrashLoop | Mode::OutOfMemory) => still(Life::Finished { success: false }),
        Some(Mode::NotReady) => still(Life::Running { ready: false }),
        Some(Mode::Flaky) => {
            let turn = running.as_secs_f64() / FLAKY_TURN.as_secs_f64();
            let left = FLAKY_TURN.mul_f64(1.0 - turn.fract());
            Point { life: Life::Running { ready: (turn as u64).is_multiple_of(2) }, next: Some(left) }
        }
        _ if ends && running >= WORK => {
            let success = mode != Some(Mode::JobFail);
            if success || never_restarts(pod) {
                return still(Life::Finished { success });
            }
            let (restarts, next) = crashes(running - WORK);
            Point { life: Life::CrashLoop { restarts, out_of_memory: false }, next: Some(next) }
        }
        _ if ends => Point { life: Life::Running { ready: true }, next: Some(WORK - running) },
        _ => {
            let ready_at = WARM_UP + initial_delay(pod);
            if running < ready_at {
                Point { life: Life::Running { ready: false }, next: Some(ready_at - running) }
            } else {
                still(Life::Running { ready: true })
            }
        }
    }
}

/// How often a container that ends at once was restarted, and when it will be again: after ten seconds,
/// doubling up to five minutes.
fn crashes(running: Duration) -> (i64, Duration) {
    let (mut restarts, mut back_off, mut next) = (1, BACK_OFF, BACK_OFF);
    while running >= next {
        restarts += 1;
        back_off = (back_off * 2).min(LONGEST_BACK_OFF);
        next += back_off;
    }
    (restarts, next - running)
}

/// The time to wait that a crash looping container is at.
pub(super) fn back_off(restarts: i64) -> Duration {
    let doublings = u32::try_from(restarts - 1).unwrap_or(0).min(5);
    (BACK_OFF * 2_u32.pow(doublings)).min(LONGEST_BACK_OFF)
}

/// Whether the containers are meant to end.
fn ends(pod: &Object) -> bool {
    let of_job = controller(pod.value()).is_some_and(|owner| text(owner, &["kind"]) == "Job");
    of_job || matches!(text(pod.value(), &["spec", "restartPolicy"]), "Never" | "OnFailure")
}

fn never_restarts(pod: &Object) -> bool {
    text(pod.value(), &["spec", "restartPolicy"]) == "Never"
}

/// The longest initial delay of the readiness probes.
fn initial_delay(pod: &Object) -> Duration {
    let containers = super::super::fields::list(pod.value(), &["spec", "containers"]);
    let delays = containers.iter().map(|c| super::super::fields::int(c, &["readinessProbe", "initialDelaySeconds"]));
    Duration::from_secs(delays.max().and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::super::fields::value;
    use super::*;
    use serde_json::json;

    fn pod(restart_policy: &str) -> Object {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "uid": "u"},
            "spec": {"restartPolicy": restart_policy, "containers": [{"name": "c", "image": "i"}]}});
        Object::new(value(&pod)).expect("a pod")
    }

    /// All points of a life up to an age.
    fn lived(restart_policy: &str, failure: Option<&str>, until: u64) -> Vec<(u64, Life)> {
        let failure = failure.map(|annotation| annotation.parse().expect("a failure"));
        let (mut age, mut points) = (Duration::ZERO, Vec::new());
        loop {
            let point = at(&pod(restart_policy), age, failure.as_ref(), false);
            points.push((age.as_secs(), point.life));
            match point.next {
                Some(next) if age + next <= Duration::from_secs(until) => age += next,
                _ => return points,
            }
        }
    }

    #[test]
    fn a_healthy_pod_becomes_ready_and_stays_so() {
        let ready = |ready| Life::Running { ready };
        assert_eq!(lived("Always", None, 100), [(0, Life::Creating), (1, ready(false)), (2, ready(true))]);
    }

    #[test]
    fn a_crash_loop_backs_off() {
        let crash = |restarts| Life::CrashLoop { restarts, out_of_memory: false };
        let expected = [(0, Life::Creating), (1, crash(1)), (11, crash(2)), (31, crash(3)), (71, crash(4))];
        assert_eq!(lived("Always", Some("crash-loop"), 100), expected);
        assert_eq!(back_off(4), Duration::from_secs(80));
    }

    #[test]
    fn a_failure_that_ends_lets_the_pod_start() {
        let expected = [
            (0, Life::PullFails { backing_off: false }),
            (1, Life::PullFails { backing_off: true }),
            (30, Life::Creating),
            (31, Life::Running { ready: false }),
            (32, Life::Running { ready: true }),
        ];
        assert_eq!(lived("Always", Some("image-pull,for=30s"), 100), expected);
    }

    #[test]
    fn a_failure_can_come_later() {
        let points = lived("Always", Some("not-ready,after=50s"), 100);
        assert_eq!(points[2..], [(2, Life::Running { ready: true }), (50, Life::Running { ready: false })]);
    }

    #[test]
    fn a_pod_that_is_meant_to_end_ends() {
        let last = |failure| lived("Never", failure, 100).pop().expect("a point").1;
        assert_eq!(last(None), Life::Finished { success: true });
        assert_eq!(last(Some("job-fail")), Life::Finished { success: false });
    }
}
