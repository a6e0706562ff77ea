//! Corrections of drift: at once, but not in a hot loop against somebody who keeps changing things back.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use soll_api::ObjectRef;

/// When the objects of one Kustomization were corrected.
#[derive(Debug, Default)]
pub(crate) struct Corrections {
    by_object: HashMap<ObjectRef, Correction>,
}

#[derive(Debug, Clone, Copy)]
struct Correction {
    /// When it was, or will be.
    at: Instant,
    /// How long after it the next one may be.
    pause: Duration,
    /// How often in a row it came undone.
    undone: u32,
}

const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause; whoever fights longer waits for the interval anyway.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

impl Corrections {
    /// Notes that an object was found changed. Returns when to correct it, and whether this is the moment to warn: a
    /// correction came undone, for the first time in a row.
    pub(super) fn note(&mut self, object: &ObjectRef, now: Instant) -> (Instant, bool) {
        let Some(last) = self.by_object.get_mut(object) else {
            self.by_object.insert(object.clone(), Correction { at: now, pause: FIRST_PAUSE, undone: 0 });
            return (now, false);
        };
        if now < last.at {
            return (last.at, false);
        }
        // What held for a good while did not come undone.
        if now.duration_since(last.at) > last.pause * 4 {
            *last = Correction { at: now, pause: FIRST_PAUSE, undone: 0 };
            return (now, false);
        }
        last.undone += 1;
        last.at = now.max(last.at + last.pause);
        last.pause = (last.pause * 2).min(LONGEST_PAUSE);
        (last.at, last.undone == 1)
    }

    /// As [`Corrections::note`], for an object that somebody wrote to while it was applied. That alone is no fight: controllers
    /// write to what was just created.
    pub(super) fn note_overtaken(&mut self, object: &ObjectRef, at: Instant) -> (Instant, bool) {
        if self.by_object.contains_key(object) { self.note(object, at) } else { (at, false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_overtaken_without_a_correction_before_is_no_fight() {
        let object =
            ObjectRef { group: String::new(), kind: "Service".into(), namespace: "a".into(), name: "b".into() };
        let (start, mut corrections) = (Instant::now(), Corrections::default());
        let second = |seconds: u64| start + Duration::from_secs(seconds);
        for now in [1, 2] {
            assert_eq!(corrections.note_overtaken(&object, second(now)), (second(now), false));
        }
        corrections.note(&object, second(3));
        assert_eq!(corrections.note_overtaken(&object, second(4)), (second(5), true));
    }

    #[test]
    fn a_fight_slows_down_and_is_told_once() {
        let object =
            ObjectRef { group: String::new(), kind: "Service".into(), namespace: "a".into(), name: "b".into() };
        let (start, mut corrections) = (Instant::now(), Corrections::default());
        let mut note = |after: u64| {
            let (at, warn) = corrections.note(&object, start + Duration::from_secs(after));
            (at.duration_since(start).as_secs(), warn)
        };
        assert_eq!(note(0), (0, false), "the first correction is at once");
        assert_eq!(note(1), (2, true), "it came undone: two seconds after the first");
        assert_eq!(note(1), (2, false), "more changes before that are corrected by it too");
        assert_eq!(note(3), (6, false), "four seconds after the second");
        assert_eq!(note(7), (14, false));
        assert_eq!(note(1000), (1000, false), "peace held");
    }
}
