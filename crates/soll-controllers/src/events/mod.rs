//! The event bus: what happened, said once, to everybody who listens.
//!
//! Events go out as Kubernetes Events, to the terminal of `soll up`, and by POST to a notification controller. A slow
//! or dead listener never holds up a reconcile: each has a bounded queue and loses the oldest events when it is full.

mod kubernetes;

use std::collections::BTreeMap;
use std::sync::Arc;

use soll_api::{ObjectRef, Time};
use tokio::sync::broadcast;

use crate::Kind;

pub(crate) use kubernetes::publish_to_cluster;

/// Something that happened to a toolkit object.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The object it happened to.
    pub object: Involved,
    /// How bad it is.
    pub severity: Severity,
    /// One word for machines; a condition reason where there is one.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// Revision, digest and so on, under the keys that notification controllers know.
    pub metadata: BTreeMap<String, String>,
    /// When.
    pub time: Time,
}

/// The object of an [`Event`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Involved {
    /// Kind.
    pub kind: Kind,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// What tells it from its namesakes.
    pub uid: String,
    /// The version that it happened to.
    pub resource_version: String,
}

/// How bad an [`Event`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// For the curious; not sent to notification controllers.
    Trace,
    /// The cluster changed, or recovered.
    Info,
    /// Somebody should act.
    Error,
}

impl Severity {
    /// The type of the Kubernetes Event.
    #[must_use]
    pub fn kubernetes_type(self) -> &'static str {
        match self {
            Self::Trace | Self::Info => "Normal",
            Self::Error => "Warning",
        }
    }

    /// The word of notification payloads.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Info => "info",
            Self::Error => "error",
        }
    }
}

impl Involved {
    /// The object as others name it.
    #[must_use]
    pub fn object_ref(&self) -> ObjectRef {
        ObjectRef {
            group: self.kind.group().to_owned(),
            kind: self.kind.name().to_owned(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

impl Event {
    /// Equal for the same thing said twice: object, reason, revision and text. Listeners drop repetitions by it.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        let revision =
            self.metadata.iter().find(|(key, _)| key.ends_with("/revision")).map(|(_, value)| value.as_str());
        [self.object.uid.as_str(), &self.reason, revision.unwrap_or_default(), &self.message].join("\n")
    }
}

/// How many events a listener may lag behind before it loses the oldest.
const CAPACITY: usize = 4096;

/// Carries events from the controllers to the listeners. Cheap to clone.
#[derive(Clone)]
pub(crate) struct EventBus {
    sender: broadcast::Sender<Arc<Event>>,
}

impl EventBus {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY) }
    }

    /// Says it to all who listen now.
    pub(crate) fn publish(&self, event: Event) {
        // An error means that nobody listens, which is nobody's trouble.
        let _ = self.sender.send(Arc::new(event));
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_thing_said_twice_has_one_key() {
        let object = Involved {
            kind: Kind::Kustomization,
            namespace: "apps".into(),
            name: "a".into(),
            uid: "1".into(),
            resource_version: "7".into(),
        };
        let event = |message: &str, revision: &str, version: &str| Event {
            object: Involved { resource_version: version.into(), ..object.clone() },
            severity: Severity::Info,
            reason: "Progressing".into(),
            message: message.into(),
            metadata: [("kustomize.toolkit.fluxcd.io/revision".to_owned(), revision.to_owned())].into(),
            time: Time::new(jiff::Timestamp::UNIX_EPOCH),
        };
        let key = event("a", "r", "7").idempotency_key();
        assert_eq!(key, event("a", "r", "8").idempotency_key());
        assert_ne!(key, event("b", "r", "7").idempotency_key());
        assert_ne!(key, event("a", "s", "7").idempotency_key());
    }
}
