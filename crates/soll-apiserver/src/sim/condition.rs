//! Conditions, and the times in them.

use serde_json::json;
use soll_yaml::{Map, Value};

use super::fields::{list, text, value};

/// The conditions of a new status: those given, with the time of their last transition kept from the live
/// object where the status of the condition is the same.
#[derive(Debug)]
pub(super) struct Conditions<'l> {
    live: &'l [Value],
    now: &'l str,
    made: Vec<Value>,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown,
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// A time that some conditions have beside that of their last transition; it moves whenever anything of them changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// `lastUpdateTime`.
    Updated,
    /// `lastProbeTime`.
    Probed,
    /// `lastProbeTime`, as null.
    NeverProbed,
}

impl<'l> Conditions<'l> {
    /// Starts with none.
    pub(super) fn new(live: &'l Value, now: &'l str) -> Self {
        Self { live: list(live, &["status", "conditions"]), now, made: Vec::new() }
    }

    /// Starts with those of the live object.
    pub(super) fn keeping(live: &'l Value, now: &'l str) -> Self {
        let mut conditions = Self::new(live, now);
        conditions.made = conditions.live.to_vec();
        conditions
    }

    /// Sets a condition. Empty texts are left out.
    pub(super) fn set(&mut self, kind: &str, holds: bool, reason: &str, message: &str) -> &mut Self {
        self.set_with(kind, holds.into(), reason, message, None)
    }

    /// Sets a condition that has a further time.
    pub(super) fn set_with(
        &mut self,
        kind: &str,
        truth: Truth,
        reason: &str,
        message: &str,
        more: Option<Time>,
    ) -> &mut Self {
        let status = match truth {
            Truth::Yes => "True",
            Truth::No => "False",
            Truth::Unknown => "Unknown",
        };
        let live = self.live.iter().find(|condition| text(condition, &["type"]) == kind);
        let kept = live.filter(|condition| text(condition, &["status"]) == status);
        let same = kept.filter(|c| text(c, &["reason"]) == reason && text(c, &["message"]) == message);
        let mut condition = Map::from_iter([("type", Value::str(kind)), ("status", Value::str(status))]);
        for (key, said) in [("reason", reason), ("message", message)] {
            if !said.is_empty() {
                condition.insert(key, Value::str(said));
            }
        }
        let time = |of: Option<&Value>, key: &str| {
            of.and_then(|condition| condition.get(key)).cloned().unwrap_or_else(|| Value::str(self.now))
        };
        condition.insert("lastTransitionTime", time(kept, "lastTransitionTime"));
        if let Some(more) = more {
            let (key, moment) = match more {
                Time::Updated => ("lastUpdateTime", time(same, "lastUpdateTime")),
                Time::Probed => ("lastProbeTime", time(same, "lastProbeTime")),
                Time::NeverProbed => ("lastProbeTime", Value::null()),
            };
            condition.insert(key, moment);
        }
        self.made.retain(|condition| text(condition, &["type"]) != kind);
        self.made.push(condition.into());
        self
    }

    pub(super) fn into_value(self) -> Value {
        Value::list(self.made)
    }
}

/// A condition of a live object.
pub(super) fn find<'o>(object: &'o Value, kind: &str) -> Option<&'o Value> {
    list(object, &["status", "conditions"]).iter().find(|condition| text(condition, &["type"]) == kind)
}

/// Whether a condition of a live object holds.
pub(super) fn holds(object: &Value, kind: &str) -> bool {
    find(object, kind).is_some_and(|condition| text(condition, &["status"]) == "True")
}

/// An event about an object, as its component would write it.
pub(super) fn event(about: &soll_api::Object, now: &str, said: &Said<'_>) -> Value {
    let name = format!("{}.{:016x}", about.name(), super::fields::fingerprint(&format!("{}{said:?}", about.uid())));
    // Events about objects without a namespace are kept in this one.
    let namespace = if about.namespace().is_empty() { "default" } else { about.namespace() };
    value(&json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": about.api_version(),
            "kind": about.kind(),
            "namespace": about.namespace(),
            "name": about.name(),
            "uid": about.uid(),
        },
        "type": if said.warning { "Warning" } else { "Normal" },
        "reason": said.reason,
        "message": said.message,
        "source": {"component": said.component},
        "reportingComponent": said.component,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }))
}

/// What an event says.
#[derive(Debug)]
pub(super) struct Said<'s> {
    pub(super) component: &'s str,
    pub(super) warning: bool,
    pub(super) reason: &'s str,
    pub(super) message: &'s str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_is_when_the_status_changed_not_the_reason() {
        let live = value(&json!({"status": {"conditions": [
            {"type": "Ready", "status": "False", "reason": "A", "lastTransitionTime": "then", "lastUpdateTime": "then"}]}}));
        let mut conditions = Conditions::new(&live, "now");
        conditions.set_with("Ready", Truth::No, "B", "", Some(Time::Updated)).set("Other", true, "", "");
        let made = conditions.into_value();
        let made = made.as_list().expect("a list");
        assert_eq!(text(&made[0], &["lastTransitionTime"]), "then");
        assert_eq!(text(&made[0], &["lastUpdateTime"]), "now");
        assert_eq!(text(&made[1], &["lastTransitionTime"]), "now");
    }
}
