//! What the watches know: the newest state of every toolkit object, for all to read without a request.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use soll_api::Object;
use soll_yaml::Value;
use tokio::sync::watch;

use crate::{Key, Kind};

/// The toolkit objects as the watches, and our own writes, last saw them. Cheap to clone.
///
/// Holds objects without their `managedFields`, which nothing here reads.
#[derive(Clone)]
pub(crate) struct Objects {
    /// Guards the map for single look-ups and inserts; readers take a snapshot of one object.
    by_key: Arc<RwLock<BTreeMap<Key, Object>>>,
    changes: watch::Sender<u64>,
}

/// What an object's arrival changed.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    /// It was not known.
    New,
    /// It was known like this.
    From(Object),
    /// What is known is as new, or newer.
    Stale,
}

impl Objects {
    pub(crate) fn new() -> Self {
        Self { by_key: Arc::default(), changes: watch::Sender::new(0) }
    }

    /// Counts up with each change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The newest known state.
    pub(crate) fn get(&self, key: &Key) -> Option<Object> {
        self.by_key.read().expect("no line that holds this lock panics").get(key).cloned()
    }

    /// Takes in a state, unless a newer one is known: our own writes return before the watch shows what was before them.
    pub(crate) fn put(&self, key: Key, mut object: Object) -> Change {
        if let Some(metadata) = object.value_mut().get_mut("metadata").and_then(Value::as_map_mut) {
            metadata.remove("managedFields");
        }
        let mut by_key = self.by_key.write().expect("no line that holds this lock panics");
        let known = by_key.get(&key);
        if known.is_some_and(|known| known.uid() == object.uid() && version(known) >= version(&object)) {
            return Change::Stale;
        }
        let change = by_key.insert(key, object).map_or(Change::New, Change::From);
        self.changes.send_modify(|count| *count += 1);
        change
    }

    /// Takes in what a write of ours returned, if the object is still known.
    pub(crate) fn update(&self, key: &Key, object: &Object) {
        if self.get(key).is_some_and(|known| known.uid() == object.uid()) {
            self.put(key.clone(), object.clone());
        }
    }

    /// Drops an object that is gone.
    pub(crate) fn remove(&self, key: &Key) {
        self.by_key.write().expect("no line that holds this lock panics").remove(key);
        self.changes.send_modify(|count| *count += 1);
    }

    /// The states of all objects of a kind, by namespace and name.
    pub(crate) fn of_kind(&self, kind: Kind) -> Vec<(Key, Object)> {
        let by_key = self.by_key.read().expect("no line that holds this lock panics");
        let all = by_key.iter().filter(|(key, _)| key.kind == kind);
        all.map(|(key, object)| (key.clone(), object.clone())).collect()
    }
}

/// Resource versions are opaque to most, but Kubernetes promises since 1.35 that they compare as numbers.
fn version(object: &Object) -> u64 {
    object.resource_version().parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn object(uid: &str, version: &str) -> Object {
        let text = format!(
            r#"{{"apiVersion":"a/v1","kind":"Kustomization","metadata":{{"name":"a","uid":"{uid}",
                "resourceVersion":"{version}","managedFields":[{{}}]}}}}"#
        );
        Object::new(soll_yaml::parse_json(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_late_watch_does_not_undo_what_we_know_already() {
        let objects = Objects::new();
        let key = Key::new(Kind::Kustomization, "b", "a");
        assert_eq!(objects.put(key.clone(), object("1", "9")), Change::New);
        assert_eq!(objects.put(key.clone(), object("1", "8")), Change::Stale);
        assert_eq!(objects.put(key.clone(), object("1", "9")), Change::Stale);
        assert!(matches!(objects.put(key.clone(), object("1", "10")), Change::From(_)));
        assert_eq!(objects.get(&key).unwrap().resource_version(), "10");
        assert!(matches!(objects.put(key.clone(), object("2", "3")), Change::From(_)), "a namesake is another object");
        assert!(objects.get(&key).unwrap().value().lookup(&["metadata", "managedFields"]).is_none());
    }
}
