//! What has to be looked at, and when.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use soll_api::Object;
use tokio::time::Instant;

use super::kind::Kind;

/// The name of an object within its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Name {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub(super) fn of(object: &Object) -> Self {
        Self::new(object.namespace(), object.name())
    }
}

/// An object that may have to be acted on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) name: Name,
}

/// The keys to look at, each at most once, and those to look at later.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: BTreeSet<Key>,
    /// By time; [`Queue::times`] has the same entries by key.
    timers: BTreeSet<(Instant, Key)>,
    times: HashMap<Key, Instant>,
    failures: HashMap<Key, u32>,
}

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

impl Queue {
    /// Looks at it now.
    pub(super) fn now(&mut self, key: Key) {
        self.ready.insert(key);
    }

    /// Looks at it then, or sooner if that was asked for already.
    pub(super) fn at(&mut self, key: Key, time: Instant) {
        if self.times.get(&key).is_some_and(|known| *known <= time) {
            return;
        }
        if let Some(later) = self.times.insert(key.clone(), time) {
            self.timers.remove(&(later, key.clone()));
        }
        self.timers.insert((time, key));
    }

    /// Looks at it again after a pause that doubles with each failure in a row.
    pub(super) fn failed(&mut self, key: Key, now: Instant) {
        let failures = self.failures.entry(key.clone()).or_default();
        let pause = (FIRST_PAUSE * (1 << (*failures).min(10))).min(LONGEST_PAUSE);
        *failures += 1;
        self.at(key, now + pause);
    }

    pub(super) fn succeeded(&mut self, key: &Key) {
        self.failures.remove(key);
    }

    /// When there is something to do; `None` if only an event can bring it.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if !self.ready.is_empty() {
            return Some(Instant::now());
        }
        self.timers.first().map(|(time, _)| *time)
    }

    /// Takes out all that is to be looked at by now.
    pub(super) fn take_due(&mut self, now: Instant) -> BTreeSet<Key> {
        while let Some((time, _)) = self.timers.first() {
            if *time > now {
                break;
            }
            let Some((_, key)) = self.timers.pop_first() else { break };
            self.times.remove(&key);
            self.ready.insert(key);
        }
        std::mem::take(&mut self.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { kind: Kind::Pod, name: Name::new("a", name) }
    }

    #[test]
    fn the_earlier_of_two_times_counts() {
        let start = Instant::now();
        let mut queue = Queue::default();
        queue.at(key("a"), start + Duration::from_secs(5));
        queue.at(key("a"), start + Duration::from_secs(2));
        queue.at(key("a"), start + Duration::from_secs(9));
        assert_eq!(queue.next_due(), Some(start + Duration::from_secs(2)));
        assert!(queue.take_due(start + Duration::from_secs(1)).is_empty());
        assert_eq!(queue.take_due(start + Duration::from_secs(3)), BTreeSet::from([key("a")]));
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn what_keeps_failing_is_looked_at_less_and_less() {
        let start = Instant::now();
        let mut queue = Queue::default();
        let mut pauses = Vec::new();
        for _ in 0..12 {
            queue.failed(key("a"), start);
            let due = queue.next_due().expect("a retry is due");
            pauses.push((due - start).as_millis());
            queue.take_due(due);
        }
        assert_eq!(pauses[..4], [20, 40, 80, 160]);
        assert_eq!(pauses.last(), Some(&10_000));
        queue.succeeded(&key("a"));
        queue.failed(key("a"), start);
        assert_eq!(queue.next_due(), Some(start + FIRST_PAUSE));
    }
}
