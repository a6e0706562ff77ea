//! Whether a live object is as it was asked to be: the rules of kstatus.

mod assessment;
mod cost;
mod explain;
mod expressions;
mod kinds;
mod optionals;

use jiff::Timestamp;
use soll_api::Object;
use soll_yaml::Value;

pub use assessment::{Assessment, assess};
pub use explain::{ContainerFault, ContainerPlace, Explanation, Related, container_places, explain, pod_selector};
pub use expressions::{HealthExpressions, ReadyExpression};

/// What is known of the health of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Why.
    pub message: String,
    /// When to look again even if the object does not change.
    pub recheck_at: Option<Timestamp>,
}

/// The verdict on an object. Displays as kstatus writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HealthStatus {
    /// It is as asked for.
    Current,
    /// It is on its way.
    InProgress,
    /// It will not get there by itself.
    Failed,
    /// It is being deleted.
    Terminating,
    /// It does not exist.
    NotFound,
    /// It cannot be told.
    Unknown,
}

impl std::fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Current => "Current",
            Self::InProgress => "InProgress",
            Self::Failed => "Failed",
            Self::Terminating => "Terminating",
            Self::NotFound => "NotFound",
            Self::Unknown => "Unknown",
        })
    }
}

impl Health {
    pub(crate) fn new(status: HealthStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), recheck_at: None }
    }

    fn current(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Current, message)
    }

    fn in_progress(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::InProgress, message)
    }

    fn failed(message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Failed, message)
    }
}

/// The health of a live object, by what its kind is known to say.
///
/// Pure: the same object and time give the same answer. Where the answer depends on the time alone,
/// [`Health::recheck_at`] says when to ask again.
#[must_use]
pub fn health(live: &Object, now: Timestamp) -> Health {
    generic(live).or_else(|| kinds::health(live, now)).or_else(|| ready_condition(live)).unwrap_or_else(|| {
        // Nothing is known that says otherwise: a ConfigMap, a custom resource without status.
        Health::current("Resource is current")
    })
}

/// The health of an object that is not there. A Job that deletes itself when done is done.
#[must_use]
pub fn missing(desired: Option<&Object>) -> Health {
    let vanishes = desired.is_some_and(|desired| {
        (desired.group(), desired.kind()) == ("batch", "Job")
            && desired.value().lookup(&["spec", "ttlSecondsAfterFinished"]).and_then(Value::as_i64).is_some()
    });
    if vanishes {
        Health::current("Job finished and was removed after its time to live")
    } else {
        Health::new(HealthStatus::NotFound, "Resource not found")
    }
}

/// What holds for objects of every kind.
fn generic(live: &Object) -> Option<Health> {
    if live.is_terminating() {
        return Some(Health::new(HealthStatus::Terminating, "Resource scheduled for deletion"));
    }
    let observed = live.value().lookup(&["status", "observedGeneration"]).and_then(Value::as_i64);
    if let (Some(observed), Some(generation)) = (observed, live.generation())
        && observed != generation
    {
        let kind = live.kind();
        let message = format!("{kind} generation is {generation}, but latest observed generation is {observed}");
        return Some(Health::in_progress(message));
    }
    let is_true = |r#type| condition(live, r#type).filter(|condition| condition.status == "True");
    if let Some(reconciling) = is_true("Reconciling") {
        return Some(Health::in_progress(reconciling.message));
    }
    is_true("Stalled").map(|stalled| Health::failed(stalled.message))
}

/// What a custom resource says of itself.
fn ready_condition(live: &Object) -> Option<Health> {
    let ready = condition(live, "Ready")?;
    Some(match ready.status {
        "True" => Health::current("Resource is Ready"),
        _ => Health::in_progress(ready.message),
    })
}

/// A condition of a live object.
#[derive(Clone, Copy)]
struct Condition<'o> {
    status: &'o str,
    reason: &'o str,
    message: &'o str,
}

fn condition<'o>(live: &'o Object, r#type: &str) -> Option<Condition<'o>> {
    let conditions = live.value().lookup(&["status", "conditions"])?.as_list()?;
    let found = conditions.iter().find(|condition| condition.lookup_str(&["type"]) == Some(r#type))?;
    let text = |key| found.lookup_str(&[key]).unwrap_or_default();
    Some(Condition { status: text("status"), reason: text("reason"), message: text("message") })
}

#[cfg(test)]
mod tests;
