//! The watches of toolkit objects: they keep the memory fresh and wake what a change concerns.

use soll_api::{Gvk, Object, names};
use soll_cluster::{Cluster, Depth, Selection, WatchEvent};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::memory::{Change, ListedUpTo, Objects};
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
        let mut told_up_to = String::new();
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                event = watch.next() => event,
            };
            match event {
                WatchEvent::Restarted(listed) => {
                    let up_to = ListedUpTo::new(watch.told_up_to(), &told_up_to);
                    for seen in self.replace(listed, up_to) {
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
            if !watch.told_up_to().is_empty() {
                watch.told_up_to().clone_into(&mut told_up_to);
            }
        }
    }

    /// Takes in a list of all there is: what is not in it is gone.
    fn replace(&self, listed: Vec<Object>, up_to: ListedUpTo) -> Vec<Seen> {
        let present: std::collections::HashSet<Key> = listed.iter().map(|object| self.key(object)).collect();
        let gone = self.objects.of_kind(self.kind).into_iter().filter(|(key, _)| !present.contains(key));
        let mut seen: Vec<Seen> = gone.map(|(key, _)| self.remove(key)).collect();
        seen.extend(listed.into_iter().filter_map(|object| {
            let key = self.key(&object);
            self.seen(self.objects.put_listed(key.clone(), object, up_to), key)
        }));
        seen
    }

    fn put(&self, object: Object) -> Option<Seen> {
        let key = self.key(&object);
        self.seen(self.objects.put(key.clone(), object), key)
    }

    fn seen(&self, change: Change, key: Key) -> Option<Seen> {
        let before = match change {
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
        let seen = follow.replace(vec![first], ListedUpTo::new("1", ""));
        assert!(matches!(&seen[..], [Seen::Present { before: None, .. }]));
        let seen = follow.replace(Vec::new(), ListedUpTo::new("2", "1"));
        assert!(matches!(&seen[..], [Seen::Gone { key }] if key.to_string() == "Kustomization/b/a"));
    }

    #[test]
    fn a_cluster_that_was_restored_is_seen_as_it_is_now() {
        let follow = Follow { kind: Kind::Kustomization, objects: Objects::new() };
        let state = |version: u64, generation: u64| {
            object(&format!(r#""uid":"1","resourceVersion":"{version}","generation":{generation}"#), "{}")
        };
        follow.replace(vec![state(10, 1)], ListedUpTo::new("10", ""));
        follow.put(state(20, 2)).unwrap();
        let key = follow.key(&state(20, 2));
        let versions = |seen: &[Seen]| match seen {
            [Seen::Present { before: Some(before), now, .. }] => {
                assert_eq!(follow.objects.get(&key).unwrap(), *now);
                assert!(asks(Some(before), now), "its spec is another one");
                format!("{} {}", before.resource_version(), now.resource_version())
            }
            other => format!("{other:?}"),
        };
        // The server counts on from where the backup was made, and has or has not passed the old version by now.
        assert_eq!(versions(&follow.replace(vec![state(10, 1)], ListedUpTo::new("12", "20"))), "20 10");
        follow.put(state(20, 2)).unwrap();
        assert_eq!(versions(&follow.replace(vec![state(10, 1)], ListedUpTo::new("25", "20"))), "20 10");
    }
}
