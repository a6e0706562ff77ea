//! All objects, in memory: one revision counter, snapshots of any recent moment, and what changed since.
//!
//! A store is an ordinary value; [`Store::fork`] gives a second one that shares what is equal. Every
//! change goes through [`Store::commit`], the only place that assigns revisions. A store may be kept in a
//! directory ([`Keeping`]): then it outlives its process, and [`Store::kept`] says when a write is safe.

mod history;
mod journal;
mod shelf;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use soll_yaml::{Data, Str, Value};
use tokio::sync::watch;

pub use history::Change;
use history::History;
use journal::{Journal, Restore};
pub use journal::{KeepError, Keeping, NotKept, Promise, Recovery};
pub use shelf::{Key, Shelf};

/// One stored object.
#[derive(Debug)]
pub struct Entry {
    /// Where it stands.
    pub key: Key,
    /// The object, with its `metadata.resourceVersion`.
    pub value: Value,
    /// The revision of its last write.
    pub revision: u64,
    /// About how many bytes of JSON it is.
    pub bytes: usize,
}

impl Entry {
    /// An object as it was written at a revision.
    #[must_use]
    pub fn new(key: Key, value: Value, revision: u64) -> Self {
        let bytes = json_length(&value);
        Self { key, value, revision, bytes }
    }
}

/// About how many bytes of JSON a value is: escapes are not counted.
#[must_use]
pub fn json_length(value: &Value) -> usize {
    match &value.data {
        Data::Null | Data::Bool(_) => 5,
        Data::Int(number) => number.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 2,
        Data::Float(_) => 8,
        Data::Str(text) => text.len() + 2,
        Data::List(items) => items.iter().map(|item| json_length(item) + 1).sum::<usize>() + 2,
        Data::Map(map) => map.iter().map(|entry| entry.key.len() + 4 + json_length(&entry.value)).sum::<usize>() + 2,
    }
}

/// Storage of one resource: `apps/deployments`, `/pods`. Versions of a resource share it.
pub type Drawer = Str;

/// The objects and their recent past.
#[derive(Debug)]
pub struct Store {
    /// Guards the tree of snapshots for the few lines of a commit; readers clone a reference.
    state: RwLock<State>,
    limits: Limits,
    /// Keeps what is written; none for a store in memory only.
    journal: Option<Journal>,
}

/// What the revision of an empty store is.
const FIRST_REVISION: u64 = 1;

/// How much a store holds, and how much of the past it keeps.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Changes kept per resource; a watch from before them is answered with 410.
    pub changes: usize,
    /// Bytes of the changes kept per resource, as JSON: what is past them is forgotten, however few changes that are.
    pub past: usize,
    /// Bytes of one object as JSON. Writes that would make it larger are refused.
    pub object: usize,
    /// Bytes of all objects as JSON. Writes that would make it more are refused; deletes never are.
    pub objects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { changes: 10_000, past: 64 << 20, object: 3 << 19, objects: 512 << 20 }
    }
}

/// An object that the store has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// It is too large by itself.
    #[error("the object has {bytes} bytes as JSON, and at most {limit} are stored")]
    Object {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It is too much with all the others.
    #[error("all objects have {bytes} bytes as JSON, and at most {limit} are stored: delete some")]
    Objects {
        /// The size of all objects.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

#[derive(Debug)]
struct State {
    revision: u64,
    /// Nothing is known of what happened up to this revision: a store that was read back begins with a snapshot.
    floor: u64,
    drawers: BTreeMap<Drawer, Contents>,
    /// The bytes of all objects, as JSON.
    bytes: usize,
    /// The revision of the last change of anything.
    latest: watch::Sender<u64>,
}

impl State {
    fn new() -> Self {
        let latest = watch::Sender::new(FIRST_REVISION);
        Self { revision: FIRST_REVISION, floor: 0, drawers: BTreeMap::new(), bytes: 0, latest }
    }

    /// The contents of a resource, made if it has none yet.
    fn contents(&mut self, drawer: &str) -> &mut Contents {
        if !self.drawers.contains_key(drawer) {
            let contents = Contents { history: History::after(self.floor), ..Contents::default() };
            self.drawers.insert(Str::from(drawer), contents);
        }
        self.drawers.get_mut(drawer).expect("it was just made sure of")
    }

    /// Stores what was there `before` and is `entry` now, and tells.
    fn change(&mut self, drawer: &str, before: Option<Arc<Entry>>, entry: &Arc<Entry>, removed: bool, limits: Limits) {
        self.bytes -= before.as_ref().map_or(0, |before| before.bytes);
        self.bytes += if removed { 0 } else { entry.bytes };
        let contents = self.contents(drawer);
        if removed {
            contents.shelf.remove(&entry.key.namespace, &entry.key.name);
        } else {
            contents.shelf.insert(entry.clone());
        }
        contents.history.push(Arc::new(Change::new(before, entry.clone(), removed)), limits);
        contents.latest.send_replace(entry.revision);
        self.revision = entry.revision;
        self.latest.send_replace(entry.revision);
    }
}

/// A store that is being read back.
struct Restoring {
    state: State,
    limits: Limits,
}

impl Restore for Restoring {
    fn object(&mut self, drawer: &Drawer, entry: Entry) {
        self.state.bytes += entry.bytes;
        self.state.contents(drawer).shelf.insert(Arc::new(entry));
    }

    fn snapshot(&mut self, revision: u64) {
        (self.state.revision, self.state.floor) = (revision, revision);
        self.state.latest.send_replace(revision);
        for contents in self.state.drawers.values_mut() {
            contents.history = History::after(revision);
        }
    }

    fn write(&mut self, drawer: &Drawer, key: Key, value: Option<Value>, revision: u64) -> Option<Arc<Entry>> {
        let before = self.state.contents(drawer).shelf.get(&key.namespace, &key.name).cloned();
        let removed = value.is_none();
        let value = value.or_else(|| before.as_ref().map(|entry| at(entry.value.clone(), revision)))?;
        let entry = Arc::new(Entry::new(key, value, revision));
        self.state.change(drawer, before, &entry, removed, self.limits);
        Some(entry)
    }

    fn shelves(&self) -> BTreeMap<Drawer, Shelf> {
        self.state.drawers.iter().map(|(drawer, contents)| (drawer.clone(), contents.shelf.clone())).collect()
    }
}

/// The object with its revision in it.
fn at(mut value: Value, revision: u64) -> Value {
    let metadata = value.make_map().get_or_insert_with("metadata", Value::map);
    metadata.make_map().insert("resourceVersion", Value::from(revision.to_string()));
    value
}

#[derive(Debug)]
struct Contents {
    shelf: Shelf,
    history: History,
    /// The revision of the last change of this resource, for whoever waits for the next.
    latest: watch::Sender<u64>,
}

impl Default for Contents {
    fn default() -> Self {
        Self { shelf: Shelf::default(), history: History::default(), latest: watch::Sender::new(0) }
    }
}

/// What a writer believes to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Absent,
    /// The object that was written at this revision.
    Revision(u64),
}

/// Another writer was faster: read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the object was changed by another writer")]
pub struct Raced;

/// What is no longer, or not yet, known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfReach {
    /// The revision is older than what is kept.
    #[error("too old resource version: {asked} ({oldest})")]
    Expired {
        /// What was asked for.
        asked: u64,
        /// The oldest revision that can be served.
        oldest: u64,
    },
    /// The revision has not come yet.
    #[error("Timeout: Too large resource version: {asked}, current: {current}")]
    Future {
        /// What was asked for.
        asked: u64,
        /// The newest revision.
        current: u64,
    },
}

impl Store {
    /// An empty store at revision 1.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { state: RwLock::new(State::new()), limits, journal: None }
    }

    /// The store that a directory holds, kept there from now on; an empty one if the directory is new.
    ///
    /// What happened since the last snapshot is known again, as far as the limits go, so watches go on where they were.
    ///
    /// # Errors
    /// If the directory is in use, cannot be read or written, or is damaged anywhere but at the end of its log.
    pub fn open(limits: Limits, keeping: &Keeping) -> Result<(Self, Recovery), KeepError> {
        let mut restoring = Restoring { state: State::new(), limits };
        let (journal, recovery) = Journal::open(keeping, &mut restoring)?;
        Ok((Self { state: RwLock::new(restoring.state), limits, journal: Some(journal) }, recovery))
    }

    /// Waits until everything up to a revision is kept; a store in memory keeps nothing, and does not wait.
    ///
    /// Who shows others what was written waits first, so that nothing that was seen is lost.
    ///
    /// # Errors
    /// If writes cannot be kept any more.
    ///
    /// # Cancel safety
    /// Nothing is lost when this is dropped.
    pub async fn kept(&self, revision: u64) -> Result<(), NotKept> {
        match &self.journal {
            Some(journal) => journal.kept(revision).await,
            None => Ok(()),
        }
    }

    /// Why nothing is kept any more, if so: then nothing should be written.
    #[must_use]
    pub fn failure(&self) -> Option<NotKept> {
        self.journal.as_ref().and_then(Journal::failure)
    }

    /// A second store with the same contents, in memory: writes to one are not seen in the other.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let copy = |contents: &Contents| Contents {
            shelf: contents.shelf.clone(),
            history: contents.history.clone(),
            latest: watch::Sender::new(*contents.latest.borrow()),
        };
        let drawers = state.drawers.iter().map(|(drawer, contents)| (drawer.clone(), copy(contents))).collect();
        let State { revision, floor, bytes, .. } = *state;
        let state = State { revision, floor, drawers, bytes, latest: watch::Sender::new(revision) };
        Self { state: RwLock::new(state), limits: self.limits, journal: None }
    }

    /// The newest revision of anything.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.read().revision
    }

    /// Says whether there is room for an object; it takes the place of `before`, if that is given.
    ///
    /// Two writers may be told so at once, and both write: the limit is passed by what is under way at most.
    ///
    /// # Errors
    /// If it would be too large, or too much.
    pub fn admit(&self, before: Option<&Entry>, value: &Value) -> Result<(), NoRoom> {
        let (bytes, held) = (json_length(value), before.map_or(0, |before| before.bytes));
        // What grew too large before there was a limit may still shrink.
        if bytes > self.limits.object && bytes > held {
            return Err(NoRoom::Object { bytes, limit: self.limits.object });
        }
        let all = self.read().bytes;
        if bytes > held && all - held + bytes > self.limits.objects {
            return Err(NoRoom::Objects { bytes: all, limit: self.limits.objects });
        }
        Ok(())
    }

    /// One object as it is now.
    #[must_use]
    pub fn get(&self, drawer: &str, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.read().drawers.get(drawer)?.shelf.get(namespace, name).cloned()
    }

    /// All objects of a resource as they are now, with the revision that "now" is. O(1).
    #[must_use]
    pub fn snapshot(&self, drawer: &str) -> (Shelf, u64) {
        let state = self.read();
        let shelf = state.drawers.get(drawer).map(|contents| contents.shelf.clone()).unwrap_or_default();
        (shelf, state.revision)
    }

    /// All objects of a resource as they were at a revision. O(changes since).
    ///
    /// # Errors
    /// If the revision is no longer, or not yet, known.
    pub fn snapshot_at(&self, drawer: &str, revision: u64) -> Result<Shelf, OutOfReach> {
        let (shelf, changes) = {
            let state = self.read();
            if revision > state.revision {
                return Err(OutOfReach::Future { asked: revision, current: state.revision });
            }
            let Some(contents) = state.drawers.get(drawer) else {
                return History::after(state.floor).since(revision).map(|_| Shelf::default());
            };
            (contents.shelf.clone(), contents.history.since(revision)?)
        };
        let mut shelf = shelf;
        for change in changes.iter().rev() {
            match &change.before {
                Some(before) => shelf.insert(before.clone()),
                None => drop(shelf.remove(&change.entry.key.namespace, &change.entry.key.name)),
            }
        }
        Ok(shelf)
    }

    /// The changes of a resource after a revision, oldest first.
    ///
    /// # Errors
    /// If they are no longer all kept, or the revision has not come yet.
    pub fn changes_since(&self, drawer: &str, revision: u64) -> Result<Vec<Arc<Change>>, OutOfReach> {
        let state = self.read();
        if revision > state.revision {
            return Err(OutOfReach::Future { asked: revision, current: state.revision });
        }
        match state.drawers.get(drawer) {
            Some(contents) => contents.history.since(revision),
            None => History::after(state.floor).since(revision),
        }
    }

    /// Tells of each new change of a resource by its revision; slow readers see the newest only.
    #[must_use]
    pub fn subscribe(&self, drawer: &str) -> watch::Receiver<u64> {
        if let Some(contents) = self.read().drawers.get(drawer) {
            return contents.latest.subscribe();
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.contents(drawer).latest.subscribe()
    }

    /// Tells of each change of anything by its revision; slow readers see the newest only.
    #[must_use]
    pub fn subscribe_all(&self) -> watch::Receiver<u64> {
        self.read().latest.subscribe()
    }

    /// The resources that have, or had, objects.
    #[must_use]
    pub fn drawers(&self) -> Vec<Drawer> {
        self.read().drawers.keys().cloned().collect()
    }

    /// Writes an object if what is stored is what the writer expects. The one place where anything changes.
    ///
    /// `value` gets its `metadata.resourceVersion` here.
    ///
    /// # Errors
    /// [`Raced`] if something else is stored.
    pub fn put(&self, drawer: &str, key: &Key, expected: Expected, value: Value) -> Result<Arc<Entry>, Raced> {
        self.commit(drawer, key, expected, Some(value))
    }

    /// Removes an object if it is the one the writer expects. The entry returned carries the revision of the removal.
    ///
    /// # Errors
    /// [`Raced`] if something else is stored.
    pub fn remove(&self, drawer: &str, key: &Key, revision: u64) -> Result<Arc<Entry>, Raced> {
        self.commit(drawer, key, Expected::Revision(revision), None)
    }

    fn commit(&self, drawer: &str, key: &Key, expected: Expected, value: Option<Value>) -> Result<Arc<Entry>, Raced> {
        // Before the lock, which is everybody's. The revision that is yet to come adds a few bytes.
        let written = value.map(|value| (json_length(&value), value));
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let next = state.revision + 1;
        let before = state.contents(drawer).shelf.get(&key.namespace, &key.name).cloned();
        let found = before.as_ref().map_or(Expected::Absent, |entry| Expected::Revision(entry.revision));
        if found != expected {
            return Err(Raced);
        }
        let removed = written.is_none();
        let Some((bytes, value)) = written.or_else(|| before.as_ref().map(|entry| (entry.bytes, entry.value.clone())))
        else {
            return Err(Raced);
        };
        let entry = Arc::new(Entry { key: key.clone(), value: at(value, next), revision: next, bytes });
        state.change(drawer, before, &entry, removed, self.limits);
        if let Some(journal) = &self.journal {
            // Within the lock, so that the log has them in order.
            journal.note(Str::from(drawer), entry.clone(), removed);
        }
        Ok(entry)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PODS: &str = "/pods";

    fn put(store: &Store, name: &str, expected: Expected) -> Result<u64, Raced> {
        store.put(PODS, &Key::new("a", name), expected, Value::map()).map(|entry| entry.revision)
    }

    fn of(key: &str, value: Value) -> Value {
        soll_yaml::Map::from_iter([(key, value)]).into()
    }

    fn names(shelf: &Shelf) -> Vec<&str> {
        shelf.iter().map(|entry| entry.key.name.as_str()).collect()
    }

    #[test]
    fn a_stale_writer_loses() {
        let store = Store::default();
        let first = put(&store, "x", Expected::Absent).expect("nothing is there");
        assert_eq!(put(&store, "x", Expected::Absent), Err(Raced));
        let second = put(&store, "x", Expected::Revision(first)).expect("it is as read");
        assert_eq!(put(&store, "x", Expected::Revision(first)), Err(Raced));
        assert!(second > first);
        let stored = store.get(PODS, "a", "x").expect("stored");
        assert_eq!(stored.value.lookup_str(&["metadata", "resourceVersion"]), Some(second.to_string().as_str()));
    }

    #[test]
    fn any_recent_moment_can_be_listed() {
        let store = Store::default();
        let first = put(&store, "x", Expected::Absent).expect("absent");
        let second = put(&store, "y", Expected::Absent).expect("absent");
        store.remove(PODS, &Key::new("a", "x"), first).expect("as read");
        assert_eq!(names(&store.snapshot(PODS).0), ["y"]);
        assert_eq!(names(&store.snapshot_at(PODS, second).expect("kept")), ["x", "y"]);
        assert_eq!(names(&store.snapshot_at(PODS, first).expect("kept")), ["x"]);
        let future = store.revision() + 1;
        let refused = store.snapshot_at(PODS, future).expect_err("it has not come");
        assert_eq!(refused, OutOfReach::Future { asked: future, current: future - 1 });
    }

    #[test]
    fn what_is_forgotten_is_said_to_be() {
        let store = Store::new(Limits { changes: 2, ..Limits::default() });
        let first = put(&store, "a", Expected::Absent).expect("absent");
        for name in ["b", "c", "d"] {
            put(&store, name, Expected::Absent).expect("absent");
        }
        assert_eq!(store.changes_since(PODS, first + 1).expect("kept").len(), 2);
        let refused = store.changes_since(PODS, first).expect_err("forgotten");
        assert_eq!(refused, OutOfReach::Expired { asked: first, oldest: first + 1 });
    }

    #[test]
    fn there_is_room_up_to_the_limits() {
        let object = |length: usize| of("data", Value::from("x".repeat(length)));
        let store = Store::new(Limits { object: 1000, objects: 1500, ..Limits::default() });
        assert_eq!(store.admit(None, &object(900)), Ok(()));
        let refused = store.admit(None, &object(1000)).expect_err("too large");
        assert!(matches!(refused, NoRoom::Object { limit: 1000, .. }), "{refused}");
        let key = Key::new("a", "x");
        let entry = store.put(PODS, &key, Expected::Absent, object(900)).expect("absent");
        let refused = store.admit(None, &object(700)).expect_err("too much");
        assert!(matches!(refused, NoRoom::Objects { limit: 1500, .. }), "{refused}");
        assert_eq!(store.admit(Some(&entry), &object(800)), Ok(()));
        store.remove(PODS, &key, entry.revision).expect("as read");
        assert_eq!(store.admit(None, &object(700)), Ok(()));
    }

    #[test]
    fn a_long_past_of_large_objects_is_forgotten_early() {
        let store = Store::new(Limits { past: 10_000, ..Limits::default() });
        let key = Key::new("a", "x");
        let large = |round: usize| of("data", Value::from(format!("{round}{}", "x".repeat(1000))));
        let mut held = store.put(PODS, &key, Expected::Absent, large(0)).expect("absent").revision;
        let first = held;
        for round in 1..100 {
            held = store.put(PODS, &key, Expected::Revision(held), large(round)).expect("as read").revision;
        }
        assert!(matches!(store.changes_since(PODS, first), Err(OutOfReach::Expired { .. })));
        assert_eq!(store.changes_since(PODS, held - 5).expect("kept").len(), 5);
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let store = Store::default();
        put(&store, "x", Expected::Absent).expect("absent");
        let fork = store.fork();
        put(&fork, "y", Expected::Absent).expect("absent");
        assert_eq!(names(&store.snapshot(PODS).0), ["x"]);
        assert_eq!(names(&fork.snapshot(PODS).0), ["x", "y"]);
    }

    #[tokio::test]
    async fn subscribers_hear_of_changes() {
        let store = Store::default();
        let mut news = store.subscribe(PODS);
        let revision = put(&store, "x", Expected::Absent).expect("absent");
        news.changed().await.expect("the store lives");
        assert_eq!(*news.borrow_and_update(), revision);
    }
}
