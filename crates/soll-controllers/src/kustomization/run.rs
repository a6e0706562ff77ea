//! What is remembered of one Kustomization between two passes, in memory only: after a restart a pass finds out anew.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use soll_api::{Inventory, ObjectRef};
use soll_cluster::Memory;
use soll_tree::Reads;

use super::drift::Corrections;
use super::health::{Verdict, Wait};
use crate::Key;

/// What is remembered of one Kustomization.
#[derive(Default)]
pub(crate) struct Run {
    /// The last pass that reached its end with success.
    pub(super) success: Option<Success>,
    /// A wait for health that is not over.
    pub(super) wait: Option<Wait>,
    /// The revision, and when Jobs that remove themselves were last due in it.
    pub(super) renewed: Option<(String, Instant)>,
}

/// A pass that reached its end with success, and all that went into it.
pub(crate) struct Success {
    /// Of everything that goes into a build but the files.
    pub(super) inputs: [u8; 32],
    /// The files that were read, listed and looked for in vain.
    pub(super) reads: Reads,
    /// Groups and kinds of what was applied.
    pub(super) kinds: BTreeSet<(String, String)>,
    pub(super) at: Instant,
    /// Whether some of the objects were left alone: no watch is told of them.
    pub(super) skipped: bool,
    /// What was found healthy, and in which versions, if that was asked.
    pub(super) verdicts: Vec<Verdict>,
    /// When it was last made sure that they hold.
    pub(super) judged: Instant,
}

/// What is remembered of all Kustomizations, and what the watches of applied objects have to tell them.
#[derive(Clone, Default)]
pub(crate) struct Runs {
    /// Guards the tables for the few lines of each operation. The runs themselves are taken out while a pass works with
    /// them: the runner sees to it that there is one pass at a time.
    tables: Arc<Mutex<Tables>>,
}

#[derive(Default)]
struct Tables {
    runs: HashMap<Key, Run>,
    owners: HashMap<ObjectRef, Key>,
    /// The objects of each Kustomization, as it applied them last; somebody else may own some of them since.
    owned: HashMap<Key, Vec<ObjectRef>>,
    signals: HashMap<Key, Signals>,
    corrections: HashMap<Key, Corrections>,
    /// Kustomizations that have what others are about to take.
    handing_over: HashMap<Key, HandingOver>,
    /// Since when Kustomizations at their end do not know what others build.
    unsure: HashMap<Key, Instant>,
}

/// What others are about to take from a Kustomization, as far as it found out.
#[derive(Default)]
struct HandingOver {
    held: Inventory,
    /// Who was asked to take it.
    asked: BTreeSet<Key>,
}

/// Objects that changed, each with the resource version that a watch showed.
pub(super) type Moved = BTreeMap<ObjectRef, String>;

/// What the watches saw of the objects of one Kustomization since its last pass.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Signals {
    /// Objects that changed somehow, and their versions: their health may have changed.
    pub(super) moved: Moved,
    /// Objects that are not as we left them.
    pub(super) drifted: BTreeSet<ObjectRef>,
    /// Whether somebody waits for it to take what it builds: then nothing counts as unchanged.
    pub(super) awaited: bool,
}

impl Runs {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("no line that holds this lock panics")
    }

    /// Takes out what is remembered of a Kustomization; nothing is there until it is put back.
    pub(super) fn take(&self, key: &Key) -> (Run, Signals) {
        let mut tables = self.tables();
        (tables.runs.remove(key).unwrap_or_default(), tables.signals.remove(key).unwrap_or_default())
    }

    /// Puts back what a pass had in hand. Says whether it waits for news that came meanwhile.
    pub(super) fn put(&self, key: &Key, run: Run) -> bool {
        let mut tables = self.tables();
        let moved = tables.signals.get(key).map(|signals| &signals.moved);
        let news = run
            .wait
            .as_ref()
            .zip(moved)
            .is_some_and(|(wait, moved)| moved.iter().any(|(object, version)| wait.is_news((object, version))));
        tables.runs.insert(key.clone(), run);
        news
    }

    /// Notes which objects a Kustomization has in the cluster, in place of those before.
    pub(super) fn own(&self, key: &Key, objects: impl IntoIterator<Item = ObjectRef>) {
        let objects: Vec<ObjectRef> = objects.into_iter().collect();
        let mut tables = self.tables();
        tables.disown(key);
        tables.owners.extend(objects.iter().map(|object| (object.clone(), key.clone())));
        tables.owned.insert(key.clone(), objects);
    }

    /// The objects of a Kustomization, as it applied them last.
    pub(super) fn owned(&self, key: &Key) -> Vec<ObjectRef> {
        self.tables().owned.get(key).cloned().unwrap_or_default()
    }

    /// Whether one of the objects of a Kustomization is known not to be as we left it.
    pub(super) fn has_disturbed(&self, key: &Key, live: &Memory) -> bool {
        self.tables().owned.get(key).is_some_and(|objects| live.any_disturbed(objects))
    }

    /// The Kustomization that has an object in its inventory.
    pub(super) fn owner(&self, object: &ObjectRef) -> Option<Key> {
        self.tables().owners.get(object).cloned()
    }

    /// Notes that an object changed somehow. Says whether its owner waits for such news; if a pass is at work, that is seen
    /// when it puts its run back.
    pub(super) fn moved(&self, owner: &Key, object: &ObjectRef, version: &str) -> bool {
        let mut tables = self.tables();
        let waits = tables.runs.get(owner).map(|run| {
            let wait = run.wait.as_ref();
            wait.is_some_and(|wait| wait.is_news((object, version)))
        });
        if waits != Some(false) {
            let signals = tables.signals.entry(owner.clone()).or_default();
            signals.moved.insert(object.clone(), version.to_owned());
        }
        waits == Some(true)
    }

    /// Notes that an object is not as we left it. Returns when it is to be corrected, and whether a correction before
    /// came undone for the first time.
    pub(super) fn drifted(&self, owner: &Key, object: &ObjectRef, now: Instant) -> (Instant, bool) {
        let mut tables = self.tables();
        tables.signals.entry(owner.clone()).or_default().drifted.insert(object.clone());
        tables.corrections.entry(owner.clone()).or_default().note(object, now)
    }

    /// Notes that somebody wrote to an object while it was applied. Returns when to look at it again, `soon` or later, and
    /// whether a correction before came undone for the first time.
    pub(super) fn overtaken(&self, owner: &Key, object: &ObjectRef, soon: Instant) -> (Instant, bool) {
        let mut tables = self.tables();
        tables.signals.entry(owner.clone()).or_default().drifted.insert(object.clone());
        tables.corrections.entry(owner.clone()).or_default().note_overtaken(object, soon)
    }

    /// Has a Kustomization woken from now on when others may have taken something from it.
    pub(super) fn await_takers(&self, key: &Key) {
        self.tables().handing_over.entry(key.clone()).or_default();
    }

    /// Notes what others are about to take from a Kustomization. Returns who is to be asked to take it, each once for the same.
    pub(super) fn hand_over(&self, key: &Key, held: &Inventory, takers: BTreeSet<Key>) -> BTreeSet<Key> {
        let mut tables = self.tables();
        if held.is_empty() {
            tables.handing_over.remove(key);
            return BTreeSet::new();
        }
        let known = tables.handing_over.entry(key.clone()).or_default();
        if known.held != *held {
            *known = HandingOver { held: held.clone(), asked: BTreeSet::new() };
        }
        let news = takers.difference(&known.asked).cloned().collect();
        known.asked.extend(takers);
        news
    }

    /// Since when a Kustomization at its end does not know what others build; since now if it is the first time.
    pub(super) fn unsure_since(&self, key: &Key) -> Instant {
        *self.tables().unsure.entry(key.clone()).or_insert_with(Instant::now)
    }

    /// The Kustomizations that have objects which others are about to take.
    pub(crate) fn handing_over(&self) -> Vec<Key> {
        self.tables().handing_over.keys().cloned().collect()
    }

    /// Has the next pass of a Kustomization apply what it builds, whether that changed or not.
    pub(super) fn ask(&self, key: &Key) {
        self.tables().signals.entry(key.clone()).or_default().awaited = true;
    }

    /// Forgets a Kustomization that is gone. Returns the objects that were its own, and nobody else's since.
    pub(super) fn forget(&self, key: &Key) -> Vec<ObjectRef> {
        let mut tables = self.tables();
        tables.handing_over.remove(key);
        tables.unsure.remove(key);
        drop(tables);
        self.end(key)
    }

    /// Forgets a Kustomization that is about to go, but for what others are about to take from it. Returns what
    /// [`Runs::forget`] returns.
    pub(super) fn end(&self, key: &Key) -> Vec<ObjectRef> {
        let mut tables = self.tables();
        tables.runs.remove(key);
        tables.signals.remove(key);
        tables.corrections.remove(key);
        tables.disown(key)
    }
}

impl Tables {
    /// Takes from a Kustomization what is its own, and nobody else's since.
    fn disown(&mut self, key: &Key) -> Vec<ObjectRef> {
        let mut owned = self.owned.remove(key).unwrap_or_default();
        owned.retain(|object| match self.owners.entry(object.clone()) {
            Entry::Occupied(owner) if owner.get() == key => {
                owner.remove();
                true
            }
            _ => false,
        });
        owned
    }
}

#[cfg(test)]
mod tests {
    use soll_api::InventoryEntry;

    use super::*;
    use crate::Kind;

    fn object(name: &str) -> ObjectRef {
        ObjectRef { group: String::new(), kind: "ConfigMap".into(), namespace: "apps".into(), name: name.into() }
    }

    #[test]
    fn an_object_belongs_to_who_applied_it_last() {
        let (runs, a, b) = (Runs::default(), key("a"), key("b"));
        runs.own(&a, [object("1"), object("2")]);
        runs.own(&b, [object("2")]);
        assert_eq!((runs.owner(&object("1")), runs.owner(&object("2"))), (Some(a.clone()), Some(b)));
        runs.own(&a, [object("3")]);
        assert_eq!(runs.owner(&object("1")), None);
        assert_eq!(runs.owner(&object("2")), Some(key("b")), "what is another's by now stays its own");
        runs.own(&a, [object("2"), object("3")]);
        runs.own(&key("b"), [object("2")]);
        assert_eq!(runs.forget(&a), [object("3")], "what others have is not forgotten with it");
        assert_eq!(runs.owner(&object("3")), None);
    }

    #[test]
    fn who_takes_something_is_asked_once_for_the_same() {
        let (runs, a) = (Runs::default(), key("a"));
        let held = |ids: &[&str]| Inventory {
            entries: ids.iter().map(|id| InventoryEntry { id: (*id).to_owned(), v: "v1".to_owned() }).collect(),
        };
        let asked = |ids: &[&str], takers: &[&str]| {
            let takers = takers.iter().map(|name| key(name)).collect();
            runs.hand_over(&a, &held(ids), takers).iter().map(|key| key.name.to_string()).collect::<Vec<_>>().join(" ")
        };
        runs.await_takers(&a);
        assert_eq!(runs.handing_over(), std::slice::from_ref(&a), "it is woken though nothing is known yet");
        assert_eq!(asked(&["x"], &[]), "", "it could not be found out");
        assert_eq!((asked(&["x"], &["b"]), asked(&["x"], &["b", "c"])), ("b".to_owned(), "c".to_owned()));
        assert_eq!((asked(&["x"], &["b", "c"]), asked(&["y"], &["b"])), (String::new(), "b".to_owned()));
        assert_eq!((asked(&[], &["b"]), runs.handing_over().len()), (String::new(), 0));
    }

    #[test]
    fn news_reach_the_pass_that_takes_them_once() {
        let (runs, a) = (Runs::default(), key("a"));
        assert!(
            !runs.moved(&a, &object("1"), "1"),
            "nothing is known of this one: it may be at work, and will see the news"
        );
        runs.drifted(&a, &object("2"), Instant::now());
        let (run, signals) = runs.take(&a);
        assert_eq!((signals.moved.len(), signals.drifted.len()), (1, 1));
        runs.put(&a, run);
        assert!(!runs.moved(&a, &object("1"), "1"), "it waits for nothing");
        assert_eq!(runs.take(&a).1, Signals::default());
    }

    #[test]
    fn news_that_came_during_a_pass_matter_if_it_waits_in_the_end() {
        let (runs, a) = (Runs::default(), key("a"));
        let (run, _) = runs.take(&a);
        runs.moved(&a, &object("1"), "1");
        assert!(!runs.put(&a, run), "it does not wait: what it did not see is nothing to it");
    }

    fn key(name: &str) -> Key {
        Key::new(Kind::Kustomization, "apps", name)
    }
}
