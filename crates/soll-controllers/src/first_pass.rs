//! The first pass over all objects of a kind: when it is over, whatever changed while nobody looked is known.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tracing::info;

use crate::{Key, Kind};

/// How far the first passes are.
pub(crate) struct FirstPass {
    started: Instant,
    /// Guards the states for single look-ups and changes.
    kinds: Mutex<BTreeMap<Kind, State>>,
}

enum State {
    /// These objects have had none yet.
    Under(HashSet<Key>),
    /// All had one, so long after the start.
    Over(Duration),
}

impl FirstPass {
    /// Of a process that starts now.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), kinds: Mutex::default() }
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<Kind, State>> {
        self.kinds.lock().expect("no line that holds this lock panics")
    }

    /// Begins with all objects of a kind. Only the first call counts.
    pub(crate) fn begin(&self, kind: Kind, objects: impl IntoIterator<Item = Key>) {
        if let Entry::Vacant(place) = self.kinds().entry(kind) {
            place.insert(self.state(kind, objects.into_iter().collect()));
        }
    }

    /// Notes that an object had a pass, whatever came of it, or is gone.
    pub(crate) fn note(&self, key: &Key) {
        let mut kinds = self.kinds();
        let Some(State::Under(left)) = kinds.get_mut(&key.kind) else { return };
        if left.remove(key) {
            let left = std::mem::take(left);
            kinds.insert(key.kind, self.state(key.kind, left));
        }
    }

    /// How long after the start the first pass over a kind was over.
    pub(crate) fn over(&self) -> Vec<(Kind, Duration)> {
        let over = |(kind, state): (&Kind, &State)| match state {
            State::Under(_) => None,
            State::Over(took) => Some((*kind, *took)),
        };
        self.kinds().iter().filter_map(over).collect()
    }

    fn state(&self, kind: Kind, left: HashSet<Key>) -> State {
        if !left.is_empty() {
            return State::Under(left);
        }
        let took = self.started.elapsed();
        info!(%kind, ?took, "every object had its first pass");
        State::Over(took)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::new(Kind::Kustomization, "apps", name)
    }

    fn over(first: &FirstPass) -> Vec<Kind> {
        first.over().into_iter().map(|(kind, _)| kind).collect()
    }

    #[test]
    fn it_is_over_when_the_last_object_that_was_there_at_first_had_its_pass() {
        let first = FirstPass::new();
        first.note(&key("a"));
        first.begin(Kind::Kustomization, [key("a"), key("b")]);
        first.note(&key("a"));
        first.note(&key("new"));
        assert_eq!(over(&first), []);
        first.note(&key("b"));
        assert_eq!(over(&first), [Kind::Kustomization]);
        first.begin(Kind::Kustomization, [key("c")]);
        assert_eq!(over(&first), [Kind::Kustomization], "it does not begin again");
    }

    #[test]
    fn without_objects_it_is_over_at_once() {
        let first = FirstPass::new();
        first.begin(Kind::GitRepository, []);
        assert_eq!(over(&first), [Kind::GitRepository]);
    }
}
