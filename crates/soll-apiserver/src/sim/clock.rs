//! Simulated time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The time of a round, and since when things have been as they are.
///
/// Statuses carry the real time; only how long things take is simulated.
#[derive(Debug)]
pub(super) struct Clock {
    scale: f64,
    started: Instant,
    instant: Instant,
    wall: Timestamp,
    /// For each uid and aspect, a fingerprint of its state and when that was first seen. Decisions are
    /// functions of the world but for this, which they may start; no borrow outlives a call.
    since: RefCell<HashMap<String, Aspects>>,
}

/// So fast that nobody waits, and a back-off of minutes still is a pause.
const INSTANT: f64 = 1000.0;

/// For each aspect of an object, its state and the beginning of it.
type Aspects = HashMap<&'static str, (u64, Instant)>;

impl Clock {
    pub(super) fn new(scale: f64) -> Self {
        // Slower than a thousandth would only look like a hang; faster than a thousandfold, a crash loop
        // would be a hot loop.
        let scale = if scale > 0.0 { scale.clamp(0.001, INSTANT) } else { INSTANT };
        let now = Instant::now();
        Self { scale, started: now, instant: now, wall: Timestamp::now(), since: RefCell::default() }
    }

    /// Takes the time for the next round.
    pub(super) fn tick(&mut self) {
        self.instant = Instant::now();
        self.wall = Timestamp::now();
    }

    pub(super) fn instant(&self) -> Instant {
        self.instant
    }

    /// The time for statuses: whole seconds, as Kubernetes writes them.
    pub(super) fn stamp(&self) -> String {
        self.wall.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// The simulated time of day: it runs faster from the moment of the start.
    pub(super) fn time_of_day(&self) -> Timestamp {
        let ahead = (self.instant - self.started).mul_f64((self.scale - 1.0).max(0.0));
        self.wall.checked_add(ahead).unwrap_or(self.wall)
    }

    /// How long it really takes until so much simulated time has passed.
    pub(super) fn really(&self, simulated: Duration) -> Duration {
        simulated.div_f64(self.scale)
    }

    /// For how much simulated time an aspect of an object has been in this state.
    pub(super) fn lasted(&self, uid: &str, aspect: &'static str, state: u64) -> Duration {
        let mut since = self.since.borrow_mut();
        let aspects = since.entry(uid.to_owned()).or_default();
        let (known, start) = aspects.entry(aspect).or_insert((state, self.instant));
        if *known != state {
            (*known, *start) = (state, self.instant);
        }
        (self.instant - *start).mul_f64(self.scale)
    }

    /// For how much simulated time something has been going on that may have begun before we looked.
    ///
    /// Stamps are whole seconds, which is long in simulated time: one counts only if it is there when the
    /// object is first seen.
    pub(super) fn lasted_from(&self, uid: &str, aspect: &'static str, start: Option<Timestamp>) -> Duration {
        let mut since = self.since.borrow_mut();
        let (_, start) = since.entry(uid.to_owned()).or_default().entry(aspect).or_insert_with(|| {
            let passed = start.and_then(|start| Duration::try_from(self.wall.duration_since(start)).ok());
            (0, passed.and_then(|passed| self.instant.checked_sub(passed)).unwrap_or(self.instant))
        });
        (self.instant - *start).mul_f64(self.scale)
    }

    /// Forgets an object that is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.since.borrow_mut().remove(uid);
    }
}
