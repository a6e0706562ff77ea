//! What runs when: a pure state machine, told the time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Backoff, Key, Kind};

/// Objects that wait, that run and that are due later.
///
/// An object is in here once, however often it is woken, so the queue is bounded by the number of objects. Each kind has
/// its own lane, so that fetches from dead hosts hold up no apply; within a lane the namespaces take turns, so that a
/// namespace with a thousand objects delays one with a single object by one reconcile only.
pub(crate) struct Queue {
    lanes: BTreeMap<Kind, Lane>,
    objects: HashMap<Key, Entry>,
    /// Entries whose object has moved meanwhile are dropped when they come up, or when they are more than the objects.
    later: BinaryHeap<Reverse<(Instant, Key)>>,
    backoff: Backoff,
}

/// How many objects of each kind are reconciled at once.
#[derive(Debug, Clone)]
pub(crate) struct Lanes(BTreeMap<Kind, usize>);

/// When an object is reconciled again, if nothing wakes it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// When something wakes it.
    Await,
    /// After this time.
    After(Duration),
    /// After a failure, in a time that doubles with each failure in a row.
    Backoff,
}

/// How many objects wait and run, and how many retries there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Objects that could run now.
    pub waiting: usize,
    /// Objects that run now.
    pub running: usize,
    /// Objects that were put in since the start.
    pub added: u64,
    /// Failures that are retried with backoff, since the start.
    pub retries: u64,
}

struct Lane {
    limit: usize,
    depth: Depth,
    /// Namespaces that have objects waiting, in the order of their turns.
    turns: VecDeque<Arc<str>>,
    waiting: HashMap<Arc<str>, VecDeque<Key>>,
}

#[derive(Default)]
struct Entry {
    state: State,
    /// Failures in a row.
    failures: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Later(Instant),
    Waiting,
    Running,
    /// Runs, and was woken meanwhile for this time.
    RunningAndWoken(Instant),
    /// Runs, and the object is gone.
    RunningAndForgotten,
}

/// So many timers are kept, however few the objects are.
const FEW_TIMERS: usize = 256;

impl Lanes {
    /// The same number for every kind.
    pub(crate) fn of(limit: usize) -> Self {
        Self(Kind::ALL.into_iter().map(|kind| (kind, limit.max(1))).collect())
    }
}

impl Queue {
    pub(crate) fn new(lanes: Lanes, backoff: Backoff) -> Self {
        let lane = |limit| Lane { limit, depth: Depth::default(), turns: VecDeque::new(), waiting: HashMap::new() };
        let lanes = lanes.0.into_iter().map(|(kind, limit)| (kind, lane(limit))).collect();
        Self { lanes, objects: HashMap::new(), later: BinaryHeap::new(), backoff }
    }

    /// Puts an object in line.
    pub(crate) fn wake(&mut self, key: Key, now: Instant) {
        self.wake_at(key, now);
        self.promote(now);
    }

    /// Has an object in line at a time, unless it is due earlier.
    pub(crate) fn wake_at(&mut self, key: Key, at: Instant) {
        let entry = self.objects.entry(key.clone()).or_default();
        match entry.state {
            State::Waiting => {}
            State::Running | State::RunningAndForgotten => entry.state = State::RunningAndWoken(at),
            State::RunningAndWoken(before) => entry.state = State::RunningAndWoken(before.min(at)),
            State::Later(due) if due <= at => {}
            State::Idle | State::Later(_) => {
                entry.state = State::Later(at);
                self.later.push(Reverse((at, key)));
                self.drop_overtaken();
            }
        }
    }

    /// Drops timers that were overtaken once they outnumber the objects: those of long intervals would pile up for a day.
    fn drop_overtaken(&mut self) {
        if self.later.len() > FEW_TIMERS.max(2 * self.objects.len()) {
            let objects = &self.objects;
            self.later
                .retain(|Reverse((at, key))| objects.get(key).is_some_and(|entry| entry.state == State::Later(*at)));
        }
    }

    /// Takes the object whose turn it is, if its lane has room.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Key> {
        self.promote(now);
        let key = self.lanes.values_mut().find_map(Lane::take)?;
        self.objects.entry(key.clone()).or_default().state = State::Running;
        Some(key)
    }

    /// Books that an object's reconcile ended.
    pub(crate) fn done(&mut self, key: &Key, next: Next, now: Instant) {
        self.lane(key.kind).depth.running -= 1;
        let Some(entry) = self.objects.get_mut(key) else { return };
        entry.failures = if next == Next::Backoff { entry.failures.saturating_add(1) } else { 0 };
        let failures = entry.failures;
        let woken = if let State::RunningAndWoken(at) = entry.state { Some(at) } else { None };
        if entry.state == State::RunningAndForgotten {
            self.objects.remove(key);
            return;
        }
        entry.state = State::Idle;
        if next == Next::Backoff {
            self.lane(key.kind).depth.retries += 1;
        }
        let next = match next {
            Next::Await => None,
            Next::After(delay) => Some(now + delay),
            Next::Backoff => Some(now + self.backoff.after(failures)),
        };
        if let Some(at) = woken.into_iter().chain(next).min() {
            self.wake_at(key.clone(), at);
        }
    }

    /// Drops an object that is gone. One that was woken since its run began may have been made anew: it runs once more.
    pub(crate) fn forget(&mut self, key: &Key) {
        let Some(entry) = self.objects.get_mut(key) else { return };
        match entry.state {
            State::Running => entry.state = State::RunningAndForgotten,
            State::RunningAndWoken(_) | State::RunningAndForgotten => {}
            State::Waiting => {
                self.objects.remove(key);
                self.lane(key.kind).drop_waiting(key);
            }
            State::Idle | State::Later(_) => {
                self.objects.remove(key);
            }
        }
    }

    /// When the next object comes into line by the clock.
    pub(crate) fn next_due(&mut self) -> Option<Instant> {
        while let Some(Reverse((at, key))) = self.later.peek() {
            if self.objects.get(key).is_some_and(|entry| entry.state == State::Later(*at)) {
                return Some(*at);
            }
            self.later.pop();
        }
        None
    }

    /// Whether such an object runs.
    pub(crate) fn runs_any(&self, such: impl Fn(&Key) -> bool) -> bool {
        let runs = |state| matches!(state, State::Running | State::RunningAndWoken(_) | State::RunningAndForgotten);
        self.objects.iter().any(|(key, entry)| runs(entry.state) && such(key))
    }

    pub(crate) fn depth(&self) -> HashMap<Kind, Depth> {
        self.lanes.iter().map(|(kind, lane)| (*kind, lane.depth)).collect()
    }

    /// Moves what is due into its lane.
    fn promote(&mut self, now: Instant) {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some(Reverse((_, key))) = self.later.pop() else { return };
            self.objects.entry(key.clone()).or_default().state = State::Waiting;
            self.lane(key.kind).add(key);
        }
    }

    fn lane(&mut self, kind: Kind) -> &mut Lane {
        self.lanes.get_mut(&kind).expect("every kind has a lane from the start")
    }
}

impl Lane {
    fn add(&mut self, key: Key) {
        let line = self.waiting.entry(Arc::clone(&key.namespace)).or_default();
        if line.is_empty() {
            self.turns.push_back(Arc::clone(&key.namespace));
        }
        line.push_back(key);
        self.depth.waiting += 1;
        self.depth.added += 1;
    }

    fn take(&mut self) -> Option<Key> {
        if self.depth.running >= self.limit {
            return None;
        }
        let namespace = self.turns.pop_front()?;
        let line = self.waiting.get_mut(&namespace)?;
        let key = line.pop_front()?;
        if line.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        self.depth.waiting -= 1;
        self.depth.running += 1;
        Some(key)
    }

    fn drop_waiting(&mut self, key: &Key) {
        let Some(line) = self.waiting.get_mut(&key.namespace) else { return };
        line.retain(|waiting| waiting != key);
        self.depth.waiting -= 1;
        if line.is_empty() {
            self.waiting.remove(&key.namespace);
            self.turns.retain(|namespace| *namespace != key.namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A queue with a clock that the test sets, in seconds since its start.
    struct Bench {
        queue: Queue,
        start: Instant,
    }

    impl Bench {
        fn new(limit: usize) -> Self {
            let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
            Self { queue: Queue::new(Lanes::of(limit), backoff), start: Instant::now() }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn wake(&mut self, name: &str, seconds: u64) {
            let now = self.at(seconds);
            self.queue.wake(key(name), now);
        }

        fn done(&mut self, name: &str, next: Next, seconds: u64) {
            let now = self.at(seconds);
            self.queue.done(&key(name), next, now);
        }

        /// All that may start at this time.
        fn started(&mut self, seconds: u64) -> String {
            let now = self.at(seconds);
            let keys = std::iter::from_fn(|| self.queue.next(now));
            keys.map(|key| format!("{}/{}", key.namespace, key.name)).collect::<Vec<_>>().join(" ")
        }
    }

    fn key(name: &str) -> Key {
        let (namespace, name) = name.split_once('/').unwrap();
        Key::new(Kind::Kustomization, namespace, name)
    }

    #[test]
    fn an_object_that_is_woken_often_runs_once() {
        let mut bench = Bench::new(4);
        for _ in 0..3 {
            bench.wake("a/1", 0);
        }
        assert_eq!(bench.started(0), "a/1");
    }

    #[test]
    fn a_wake_up_during_a_run_leads_to_one_more_run_and_never_to_two_at_once() {
        let mut bench = Bench::new(4);
        bench.wake("a/1", 0);
        assert_eq!(bench.started(0), "a/1");
        bench.wake("a/1", 1);
        bench.wake("a/1", 1);
        assert_eq!(bench.started(1), "");
        bench.done("a/1", Next::After(Duration::from_secs(60)), 2);
        assert_eq!(bench.started(2), "a/1");
        bench.done("a/1", Next::Await, 3);
        assert_eq!(bench.started(1000), "");
    }

    #[test]
    fn what_runs_is_told_until_it_is_done() {
        let mut bench = Bench::new(4);
        let runs = |bench: &Bench, name| bench.queue.runs_any(|running| *running == key(name));
        bench.wake("a/1", 0);
        assert!(!runs(&bench, "a/1"), "it waits");
        bench.started(0);
        bench.wake("a/1", 1);
        assert!(runs(&bench, "a/1") && !runs(&bench, "a/2"));
        bench.queue.forget(&key("a/1"));
        assert!(runs(&bench, "a/1"), "it runs, though it is gone");
        bench.done("a/1", Next::Await, 2);
        assert!(!runs(&bench, "a/1"));
    }

    #[test]
    fn a_wake_up_for_later_during_a_run_stays_one_for_later() {
        let mut bench = Bench::new(4);
        bench.wake("a/1", 0);
        assert_eq!(bench.started(0), "a/1");
        for seconds in [9, 5, 7] {
            let at = bench.at(seconds);
            bench.queue.wake_at(key("a/1"), at);
        }
        bench.done("a/1", Next::After(Duration::from_secs(60)), 1);
        assert_eq!(bench.started(4), "");
        assert_eq!(bench.started(5), "a/1");
    }

    #[test]
    fn namespaces_take_turns() {
        let mut bench = Bench::new(1);
        for name in ["big/1", "big/2", "big/3", "small/1"] {
            bench.wake(name, 0);
        }
        let mut order = Vec::new();
        for _ in 0..4 {
            let name = bench.started(0);
            bench.done(&name, Next::Await, 0);
            order.push(name);
        }
        assert_eq!(order, ["big/1", "small/1", "big/2", "big/3"]);
    }

    #[test]
    fn a_full_lane_holds_up_no_other_kind() {
        let mut bench = Bench::new(1);
        bench.wake("a/1", 0);
        bench.wake("a/2", 0);
        let now = bench.at(0);
        bench.queue.wake(Key::new(Kind::GitRepository, "a", "git"), now);
        assert_eq!(bench.started(0), "a/git a/1");
        assert_eq!(bench.queue.depth()[&Kind::Kustomization].waiting, 1);
    }

    #[test]
    fn delays_end_by_the_clock_or_by_a_wake_up() {
        let mut bench = Bench::new(4);
        bench.wake("a/1", 0);
        assert_eq!(bench.started(0), "a/1");
        bench.done("a/1", Next::After(Duration::from_secs(60)), 0);
        assert_eq!(bench.queue.next_due(), Some(bench.at(60)));
        assert_eq!(bench.started(59), "");
        bench.wake("a/1", 59);
        assert_eq!(bench.started(59), "a/1");
        bench.done("a/1", Next::Await, 59);
        assert_eq!(bench.started(61), "", "the timer that was overtaken is gone");
    }

    #[test]
    fn failures_in_a_row_wait_longer_and_a_success_starts_anew() {
        let mut bench = Bench::new(4);
        bench.wake("a/1", 0);
        let mut now = 0;
        for delay in [1, 2, 4] {
            assert_eq!(bench.started(now), "a/1");
            bench.done("a/1", Next::Backoff, now);
            assert_eq!(bench.queue.next_due(), Some(bench.at(now + delay)));
            now += delay;
        }
        assert_eq!(bench.started(now), "a/1");
        bench.done("a/1", Next::After(Duration::ZERO), now);
        assert_eq!(bench.started(now), "a/1");
        bench.done("a/1", Next::Backoff, now);
        assert_eq!(bench.queue.next_due(), Some(bench.at(now + 1)));
    }

    #[test]
    fn an_object_made_anew_while_its_end_is_noted_runs_once_more() {
        let mut bench = Bench::new(1);
        bench.wake("a/1", 0);
        assert_eq!(bench.started(0), "a/1");
        // The run has seen that the object is gone, and says so only now.
        bench.wake("a/1", 1);
        bench.queue.forget(&key("a/1"));
        bench.done("a/1", Next::Await, 2);
        assert_eq!(bench.started(2), "a/1");
        bench.queue.forget(&key("a/1"));
        bench.done("a/1", Next::Await, 3);
        assert!(bench.queue.objects.is_empty(), "a run that nothing interrupts ends it");
    }

    #[test]
    fn timers_that_were_overtaken_do_not_pile_up() {
        let mut bench = Bench::new(1);
        let names: Vec<String> = (1..FEW_TIMERS).map(|number| format!("a/{number}")).collect();
        let day = Next::After(Duration::from_secs(86_400));
        // What is due before the others hides them: only what comes up is looked at.
        let first = bench.at(1000);
        bench.queue.wake_at(key("a/first"), first);
        for round in 0..20 {
            for name in &names {
                bench.wake(name, round);
                assert_eq!(bench.started(round), *name);
                bench.done(name, day, round);
            }
        }
        assert!(bench.queue.later.len() <= 2 * FEW_TIMERS, "{} timers", bench.queue.later.len());
        assert_eq!(bench.queue.next_due(), Some(first));
        assert_eq!(bench.started(1000), "a/first");
        assert_eq!(bench.queue.next_due(), Some(bench.at(86_400 + 19)), "those that count are there");
    }

    #[test]
    fn a_forgotten_object_is_gone_from_every_state() {
        let mut bench = Bench::new(1);
        for name in ["a/runs", "a/waits", "b/waits"] {
            bench.wake(name, 0);
        }
        assert_eq!(bench.started(0), "a/runs");
        bench.queue.forget(&key("a/waits"));
        bench.queue.forget(&key("a/runs"));
        bench.done("a/runs", Next::After(Duration::ZERO), 1);
        assert_eq!(bench.started(1), "b/waits");
        bench.done("b/waits", Next::After(Duration::from_secs(5)), 1);
        bench.queue.forget(&key("b/waits"));
        assert_eq!(bench.started(100), "");
        assert_eq!(bench.queue.next_due(), None);
        assert!(bench.queue.objects.is_empty(), "nothing is kept of objects that are gone");
    }
}
