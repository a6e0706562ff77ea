//! The sum of the health of many objects.

use jiff::Timestamp;
use soll_api::{Class, Failure, ObjectRef, Retry};

use super::{Health, HealthStatus};

/// Where a health check stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Assessment {
    /// Every object is current.
    Healthy,
    /// Some are on their way: look again when one changes, or at this time.
    Waiting(Option<Timestamp>),
    /// It will not succeed any more.
    Failed(Box<Failure>),
}

/// Sums up the health of the objects that are waited for, `waited` after the wait began.
///
/// Fails once the deadline has passed. Fails early if an object has failed and `fail_fast` is set, or if only failed
/// and current objects remain.
#[must_use]
pub fn assess(
    checks: &[(ObjectRef, Health)],
    waited: soll_api::Duration,
    timeout: soll_api::Duration,
    fail_fast: bool,
) -> Assessment {
    let is = |status: HealthStatus| move |(_, health): &&(ObjectRef, Health)| health.status == status;
    let open: Vec<_> = checks.iter().filter(|check| !is(HealthStatus::Current)(check)).collect();
    if open.is_empty() {
        return Assessment::Healthy;
    }
    let failed: Vec<_> = open.iter().copied().filter(is(HealthStatus::Failed)).collect();
    if !failed.is_empty() && (fail_fast || failed.len() == open.len()) {
        return failure("failed early due to stalled resources", &failed, waited);
    }
    if waited >= timeout {
        return failure("timeout waiting for", &open, timeout);
    }
    Assessment::Waiting(open.iter().filter_map(|(_, health)| health.recheck_at).min())
}

fn failure(what: &str, checks: &[&(ObjectRef, Health)], after: soll_api::Duration) -> Assessment {
    let list: Vec<_> = checks.iter().map(|(object, health)| format!("{object} status: '{}'", health.status)).collect();
    let after = after.in_millis();
    let message = format!("health check failed after {after}: {what}: [{}]", list.join(", "));
    let failure = Failure::new(Class::Rollout, "HealthCheckFailed", message, Retry::AtRetryInterval);
    let told = checks.iter().filter(|(_, health)| !health.message.is_empty());
    Assessment::Failed(Box::new(told.fold(failure, |failure, (object, health)| failure.of(object, &health.message))))
}
