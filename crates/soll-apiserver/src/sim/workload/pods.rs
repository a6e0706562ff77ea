//! The pods of a workload, counted.

use std::time::Duration;

use soll_api::Object;

use super::super::condition::holds;
use super::super::fields::text;
use super::super::kind::Kind;
use super::super::world::World;

/// The pods that a workload controls and that count: neither finished nor on their way out.
pub(super) fn active<'w>(world: &'w World, owner: &Object) -> Vec<&'w Object> {
    let pods = world.controlled_by(owner, Kind::Pod).into_iter();
    pods.filter(|pod| !world.is_leaving(pod) && !is_finished(pod)).collect()
}

pub(super) fn is_finished(pod: &Object) -> bool {
    matches!(text(pod.value(), &["status", "phase"]), "Succeeded" | "Failed")
}

pub(super) fn is_ready(pod: &Object) -> bool {
    holds(pod.value(), "Ready")
}

/// Whether a pod has been ready for so many seconds, and if not, how long it takes in real time.
pub(super) fn is_available(world: &World, pod: &Object, min_ready_seconds: i64) -> Result<(), Option<Duration>> {
    let ready = is_ready(pod);
    let lasted = world.clock.lasted(pod.uid(), "ready", u64::from(ready));
    if !ready {
        return Err(None);
    }
    let wanted = Duration::from_secs(u64::try_from(min_ready_seconds).unwrap_or(0));
    if lasted >= wanted { Ok(()) } else { Err(Some(world.clock.really(wanted - lasted))) }
}

/// How many of some pods are ready and available, and when that may change by itself.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) ready: i64,
    pub(super) available: i64,
    pub(super) next: Option<Duration>,
}

impl Count {
    pub(super) fn of<'p>(world: &World, pods: impl IntoIterator<Item = &'p Object>, min_ready_seconds: i64) -> Self {
        let mut count = Self::default();
        for pod in pods {
            count.ready += i64::from(is_ready(pod));
            match is_available(world, pod, min_ready_seconds) {
                Ok(()) => count.available += 1,
                Err(Some(pause)) => count.next = Some(count.next.map_or(pause, |next| next.min(pause))),
                Err(None) => {}
            }
        }
        count
    }
}

/// Sorts pods so that the first is the one to lose: without a node, not running, not ready, youngest.
pub(super) fn by_worth(pods: &mut [&Object]) {
    pods.sort_by_cached_key(|pod| {
        let placed = !text(pod.value(), &["spec", "nodeName"]).is_empty();
        let running = text(pod.value(), &["status", "phase"]) == "Running";
        let age = std::cmp::Reverse(text(pod.value(), &["metadata", "creationTimestamp"]).to_owned());
        (placed, running, is_ready(pod), age, pod.name().to_owned())
    });
}
