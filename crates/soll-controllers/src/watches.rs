//! The watches of toolkit objects: they keep the memory fresh and wake what a change concerns.

use soll_api::{Gvk, Object, names};
use soll_cluster::{Cluster, Depth, Selection, WatchEvent};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::memory::{Change, Objects};
use crate::{Key, Kind};

/// Follows the objects of one kind, for ever: keeps them in memory and tells what each change was.
pub(crate) struct Follow {
    pub(crate) kind: Kind,
    pub(crate) objects: Objects,
}

/// What a watch saw.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// The object is there as `now`; it was `before`, if it was known.
    Present { key: Key, before: Option<Object>, now: Object },
    /// The object is gone.
    Gone { key: Key },
    /// Everything that there is was told.
    Complete,
}

/// A watch cannot be opened: the budget is used up.
#[derive(Debug, thiserror::Error)]
#[error("the budget of watches is too small to follow {0}")]
pub(crate) struct NoWatch(String);

impl Follow {
    /// Tells `on` of every change until `shutdown`.
    pub(crate) async fn run(
        self,
        cluster: &Cluster,
        selection: Selection,
        mut on: impl FnMut(Seen),
        shutdown: CancellationToken,
    ) -> Result<(), NoWatch> {
        let gvk = Gvk::new(self.kind.api_version(), self.kind.name());
        let watch = cluster.watch(&gvk, selection, Depth::Whole);
        let mut watch = watch.ok_or_else(|| NoWatch(gvk.to_string()))?;
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                event = watch.next() => event,
            };
            match event {
                WatchEvent::Restarted(listed) => {
                    for seen in self.replace(listed) {
                        on(seen);
                    }
                    on(Seen::Complete);
                }
                WatchEvent::Applied(object) => self.put(object).into_iter().for_each(&mut on),
                WatchEvent::Deleted(object) => on(self.remove(self.key(&object))),
                WatchEvent::Interrupted(error) if error.is_unreachable() => {
                    info!(kind = %self.kind, %error, "a watch was interrupted");
                }
                WatchEvent::Interrupted(error) => warn!(kind = %self.kind, %error, "a watch was interrupted"),
            }
        }
    }

    /// Takes in a list of all there is: what is not in it is gone.
    fn replace(&self, listed: Vec<Object>) -> Vec<Seen> {
        let present: std::collections::HashSet<Key> = listed.iter().map(|object| self.key(object)).collect();
        let gone = self.objects.of_kind(self.kind).into_iter().filter(|(key, _)| !present.contains(key));
        let mut seen: Vec<Seen> = gone.map(|(key, _)| self.remove(key)).collect();
        seen.extend(listed.into_iter().filter_map(|object| self.put(object)));
        seen
    }

    fn put(&self, object: Object) -> Option<Seen> {
        let key = self.key(&object);
        let before = match self.objects.put(key.clone(), object) {
            Change::New => None,
            Change::From(before) => Some(before),
            Change::Stale => return None,
        };
        let now = self.objects.get(&key)?;
        Some(Seen::Present { key, before, now })
    }

    fn remove(&self, key: Key) -> Seen {
        self.objects.remove(&key);
        Seen::Gone { key }
    }

    fn key(&self, object: &Object) -> Key {
        Key::new(self.kind, object.namespace(), object.name())
    }
}

/// Whether a change of an object asks for a reconcile of it: a new spec, a request, a deletion, or the first sight.
/// Status, labels and other annotations ask for nothing.
pub(crate) fn asks(before: Option<&Object>, now: &Object) -> bool {
    let Some(before) = before else { return true };
    before.uid() != now.uid()
        || before.generation() != now.generation()
        || before.annotation(names::REQUESTED_AT) != now.annotation(names::REQUESTED_AT)
        || before.is_terminating() != now.is_terminating()
        || steering(before) != steering(now)
}

/// The annotations of our own domain, which choose behaviours.
fn steering(object: &Object) -> Vec<(&str, Option<&str>)> {
    let annotations = object.value().lookup(&["metadata", "annotations"]).and_then(soll_yaml::Value::as_map);
    let entries = annotations.into_iter().flat_map(soll_yaml::Map::iter);
    let ours = entries.filter(|entry| entry.key.split_once('/').is_some_and(|(domain, _)| domain == soll_api::DOMAIN));
    ours.map(|entry| (entry.key.as_str(), entry.value.as_str())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use soll_yaml::parse_json;

    fn object(metadata: &str, status: &str) -> Object {
        let text = format!(
            r#"{{"apiVersion":"kustomize.toolkit.fluxcd.io/v1","kind":"Kustomization",
                "metadata":{{"name":"a","namespace":"b",{metadata}}},"status":{status}}}"#
        );
        Object::new(parse_json(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn only_spec_requests_and_deletion_ask_for_a_reconcile() {
        let before = object(r#""uid":"1","generation":1"#, "{}");
        let asks = |metadata: &str, status: &str| asks(Some(&before), &object(metadata, status));
        assert!(super::asks(None, &before));
        assert!(!asks(r#""uid":"1","generation":1"#, r#"{"observedGeneration":1}"#));
        assert!(!asks(r#""uid":"1","generation":1,"labels":{"a":"b"},"annotations":{"c":"d"}"#, "{}"));
        assert!(asks(r#""uid":"1","generation":2"#, "{}"));
        assert!(asks(r#""uid":"2","generation":1"#, "{}"));
        assert!(asks(r#""uid":"1","generation":1,"annotations":{"reconcile.fluxcd.io/requestedAt":"now"}"#, "{}"));
        assert!(asks(r#""uid":"1","generation":1,"annotations":{"soll.dev/steady-ready":"disabled"}"#, "{}"));
        assert!(asks(r#""uid":"1","generation":1,"deletionTimestamp":"2026-01-01T00:00:00Z""#, "{}"));
    }

    #[test]
    fn a_list_tells_what_vanished_unseen() {
        let follow = Follow { kind: Kind::Kustomization, objects: Objects::new() };
        let first = object(r#""uid":"1","resourceVersion":"1""#, "{}");
        assert!(matches!(&follow.replace(vec![first])[..], [Seen::Present { before: None, .. }]));
        let seen = follow.replace(Vec::new());
        assert!(matches!(&seen[..], [Seen::Gone { key }] if key.to_string() == "Kustomization/b/a"));
    }
}
