//! What the watches know: the newest state of every toolkit object, for all to read without a request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use soll_api::Object;
use soll_yaml::Value;
use tokio::sync::watch;

use crate::references::{Reference, References};
use crate::{Key, Kind};

/// The toolkit objects as the watches, and our own writes, last saw them. Cheap to clone.
///
/// Holds objects without their `managedFields`, which nothing here reads.
#[derive(Clone)]
pub(crate) struct Objects {
    /// Guards the table for single look-ups and inserts; readers take a snapshot of one object.
    table: Arc<RwLock<Table>>,
    changes: watch::Sender<u64>,
    /// How many kinds were told of as a whole.
    complete: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Table {
    by_key: BTreeMap<Key, Known>,
    /// Of the newest states.
    references: References,
}

/// One object.
struct Known {
    /// The newest state: what passes act on.
    newest: Object,
    /// What the watch last told: changes are told against this, so that those we made ourselves are told, too.
    told: Object,
}

/// What a watch's word about an object is.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    /// It was not told of before.
    New,
    /// It was told of like this.
    From(Object),
    /// The same, or something newer, was told of already.
    Stale,
}

/// What a list of all settles.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ListedUpTo {
    /// Everything up to this version.
    Version(u64),
    /// Everything: the cluster went back to an older state.
    Restored,
}

impl Objects {
    pub(crate) fn new() -> Self {
        Self { table: Arc::default(), changes: watch::Sender::new(0), complete: Arc::default() }
    }

    /// Notes that a kind was told of as a whole, for the first time. Says whether all are now.
    pub(crate) fn complete_kind(&self) -> bool {
        self.complete.fetch_add(1, Ordering::AcqRel) + 1 == Kind::ALL.len()
    }

    /// Whether every kind was told of as a whole: before, nothing that is not here can be said to be missing.
    pub(crate) fn are_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire) >= Kind::ALL.len()
    }

    /// Counts up with each change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The newest known state.
    pub(crate) fn get(&self, key: &Key) -> Option<Object> {
        self.read().by_key.get(key).map(|known| known.newest.clone())
    }

    /// Takes in what a watch tells.
    pub(crate) fn put(&self, key: Key, object: Object) -> Change {
        let object = slim(object);
        let mut table = self.write();
        let (newest, change) = match table.by_key.get(&key) {
            Some(known) if is_as_new(&known.told, &object) => return Change::Stale,
            // Our own write may have returned before the watch shows what was before it.
            Some(known) if is_newer(&known.newest, &object) => (known.newest.clone(), Change::From(known.told.clone())),
            Some(known) => (object.clone(), Change::From(known.told.clone())),
            None => (object.clone(), Change::New),
        };
        table.set(key, Known { newest, told: object });
        drop(table);
        self.count();
        change
    }

    /// Takes in what a list of all tells, which is true whatever was known before: a cluster that was restored from a backup
    /// counts its versions again from there. Only what we wrote after `up_to`, the version of the list, stays; if the watch had
    /// told of later ones already, nothing does.
    pub(crate) fn put_listed(&self, key: Key, object: Object, up_to: ListedUpTo) -> Change {
        let object = slim(object);
        let mut table = self.write();
        let (newest, change) = match table.by_key.get(&key) {
            Some(known) => {
                let ours_is_later = is_newer(&known.newest, &object) && up_to.is_before(version(&known.newest));
                let newest = if ours_is_later { known.newest.clone() } else { object.clone() };
                if is_same(&known.told, &object) && is_same(&known.newest, &newest) {
                    return Change::Stale;
                }
                (newest, Change::From(known.told.clone()))
            }
            None => (object.clone(), Change::New),
        };
        table.set(key, Known { newest, told: object });
        drop(table);
        self.count();
        change
    }

    /// Takes in what a write of ours returned, if the object is still known and this is news.
    pub(crate) fn update(&self, key: &Key, object: &Object) {
        let mut table = self.write();
        let Some(known) = table.by_key.get(key) else { return };
        if known.newest.uid() == object.uid() && !is_as_new(&known.newest, object) {
            let known = Known { newest: slim(object.clone()), told: known.told.clone() };
            table.set(key.clone(), known);
            drop(table);
            self.count();
        }
    }

    /// Drops an object that is gone.
    pub(crate) fn remove(&self, key: &Key) {
        self.write().remove(key);
        self.count();
    }

    /// The newest states of all objects of a kind, by namespace and name.
    pub(crate) fn of_kind(&self, kind: Kind) -> Vec<(Key, Object)> {
        let table = self.read();
        let all = table.by_key.iter().filter(|(key, _)| key.kind == kind);
        all.map(|(key, known)| (key.clone(), known.newest.clone())).collect()
    }

    /// The Kustomizations that refer to something, by namespace and name.
    pub(crate) fn referring_to(&self, target: &Reference) -> Vec<Key> {
        self.read().references.to(target)
    }

    fn count(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().expect("no line that holds this lock panics")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().expect("no line that holds this lock panics")
    }
}

impl Table {
    fn set(&mut self, key: Key, known: Known) {
        let before = self.by_key.get(&key).map(|known| &known.newest);
        self.references.change(&key, before, Some(&known.newest));
        self.by_key.insert(key, known);
    }

    fn remove(&mut self, key: &Key) {
        if let Some(known) = self.by_key.remove(key) {
            self.references.change(key, Some(&known.newest), None);
        }
    }
}

impl ListedUpTo {
    /// Of a list at a version, after the watch had told up to another one.
    pub(crate) fn new(list: &str, told: &str) -> Self {
        let number = |version: &str| version.parse::<u64>().unwrap_or_default();
        if number(list) < number(told) { Self::Restored } else { Self::Version(number(list)) }
    }

    fn is_before(self, version: u64) -> bool {
        match self {
            Self::Version(listed) => listed < version,
            Self::Restored => false,
        }
    }
}

/// Whether what is known of an object is newer than another state of the same object.
fn is_newer(known: &Object, object: &Object) -> bool {
    known.uid() == object.uid() && version(known) > version(object)
}

/// Whether two states of an object are one.
fn is_same(one: &Object, other: &Object) -> bool {
    one.uid() == other.uid() && one.resource_version() == other.resource_version()
}

/// Whether what is known of an object is as new as another state of the same object.
fn is_as_new(known: &Object, object: &Object) -> bool {
    known.uid() == object.uid() && version(known) >= version(object)
}

/// The object without what nothing here reads.
fn slim(mut object: Object) -> Object {
    if let Some(metadata) = object.value_mut().get_mut("metadata").and_then(Value::as_map_mut) {
        metadata.remove("managedFields");
    }
    object
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
        objects.update(&key, &object("1", "12"));
        assert!(matches!(objects.put(key.clone(), object("1", "10")), Change::From(_)));
        assert_eq!(objects.get(&key).unwrap().resource_version(), "12");
        assert!(matches!(objects.put(key.clone(), object("2", "3")), Change::From(_)), "a namesake is another object");
        assert_eq!(objects.get(&key).unwrap().uid(), "2");
        assert!(objects.get(&key).unwrap().value().lookup(&["metadata", "managedFields"]).is_none());
    }

    #[test]
    fn a_list_takes_back_what_it_must_know_of_and_nothing_later() {
        let key = Key::new(Kind::Kustomization, "b", "a");
        let newest_after = |up_to: ListedUpTo| {
            let objects = Objects::new();
            objects.put(key.clone(), object("1", "9"));
            objects.update(&key, &object("1", "12"));
            let change = objects.put_listed(key.clone(), object("1", "9"), up_to);
            (objects.get(&key).unwrap().resource_version().to_owned(), change == Change::Stale)
        };
        assert_eq!(newest_after(ListedUpTo::new("10", "9")), ("12".to_owned(), true), "written since");
        assert_eq!(newest_after(ListedUpTo::new("15", "9")), ("9".to_owned(), false), "the write came to nothing");
        assert_eq!(newest_after(ListedUpTo::new("10", "11")), ("9".to_owned(), false), "all counts anew");
    }

    #[test]
    fn who_refers_to_what_follows_the_newest_state() {
        let objects = Objects::new();
        let user = |name: &str, version: u64, spec: &str| {
            let text = format!(
                r#"{{"apiVersion":"a/v1","kind":"Kustomization","metadata":{{"name":"{name}","namespace":"b","uid":"{name}",
                    "resourceVersion":"{version}"}},"spec":{spec}}}"#
            );
            Object::new(soll_yaml::parse_json(text.as_bytes()).unwrap()).unwrap()
        };
        let key = |name: &str| Key::new(Kind::Kustomization, "b", name);
        let users = |name: &str| {
            let target = Reference::Source(Key::new(Kind::GitRepository, "b", name));
            objects.referring_to(&target).iter().map(|key| key.name.to_string()).collect::<Vec<_>>()
        };
        let of = |name: &str| format!(r#"{{"sourceRef":{{"kind":"GitRepository","name":"{name}"}}}}"#);
        for name in ["y", "x"] {
            objects.put(key(name), user(name, 1, &of("one")));
        }
        assert_eq!((users("one"), users("two")), (vec!["x".to_owned(), "y".to_owned()], Vec::new()));
        objects.update(&key("x"), &user("x", 3, &of("two")));
        objects.put(key("x"), user("x", 2, &of("one")));
        assert_eq!((users("one"), users("two")), (vec!["y".to_owned()], vec!["x".to_owned()]));
        objects.put_listed(key("x"), user("x", 1, &of("one")), ListedUpTo::new("9", "2"));
        objects.remove(&key("y"));
        assert_eq!((users("one"), users("two")), (vec!["x".to_owned()], Vec::new()));
        objects.remove(&key("x"));
        assert!(users("one").is_empty());
    }

    #[test]
    fn what_we_wrote_ourselves_is_told_as_a_change_all_the_same() {
        let objects = Objects::new();
        let key = Key::new(Kind::GitRepository, "b", "a");
        objects.put(key.clone(), object("1", "1"));
        objects.update(&key, &object("1", "2"));
        let Change::From(before) = objects.put(key.clone(), object("1", "2")) else { panic!("it is a change") };
        assert_eq!(before.resource_version(), "1");
        assert_eq!(objects.put(key, object("1", "2")), Change::Stale);
    }
}
