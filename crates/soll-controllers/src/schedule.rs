//! When an object is reconciled again: pure functions over what the last pass found.

use std::time::Duration;

use soll_api::{Failure, Retry};

use crate::runner::Next;

/// Spreads intervals, so that objects created together are not reconciled together for ever.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Jitter {
    percent: u8,
}

impl Jitter {
    /// Up to so many percent to either side.
    pub(crate) fn new(percent: u8) -> Self {
        Self { percent: percent.min(100) }
    }

    /// After the interval, moved by `random` (0 to 1). An interval of nothing is never over.
    pub(crate) fn after(self, interval: Duration, random: f64) -> Next {
        // Asked before: what jitter leaves of an interval may be nothing.
        if interval.is_zero() { Next::Await } else { Next::After(self.spread(interval, random)) }
    }

    /// The interval, moved by `random` (0 to 1) within the percentage to either side.
    fn spread(self, interval: Duration, random: f64) -> Duration {
        let share = f64::from(self.percent) / 100.0;
        interval.mul_f64(1.0 - share + 2.0 * share * random.clamp(0.0, 1.0))
    }
}

/// After a time that somebody wrote down. None at all means never by the clock, as in Flux: the pattern of the definitions lets
/// `interval: 0s` pass, and who writes it does not ask for passes without end.
fn after(delay: Duration) -> Next {
    if delay.is_zero() { Next::Await } else { Next::After(delay) }
}

/// When a failed pass is tried again.
pub(crate) fn after_failure(failure: &Failure, retry_interval: Duration) -> Next {
    match failure.retry {
        Retry::OnChange => Next::Await,
        Retry::AtRetryInterval => after(retry_interval),
        Retry::After(delay) => after(delay),
        Retry::Backoff => Next::Backoff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_api::Class;

    #[test]
    fn jitter_stays_within_its_percentage() {
        let spread = |percent, random| Jitter::new(percent).spread(Duration::from_secs(100), random).as_secs();
        assert_eq!([spread(5, 0.0), spread(5, 0.5), spread(5, 1.0)], [95, 100, 105]);
        assert_eq!([spread(0, 0.0), spread(0, 1.0)], [100, 100]);
        assert_eq!(spread(200, 0.0), 0, "more than all of it cannot be taken away");
    }

    #[test]
    fn no_time_at_all_means_that_the_clock_wakes_nobody() {
        let interval = |seconds, random| Jitter::new(5).after(Duration::from_secs(seconds), random);
        assert_eq!([interval(0, 0.0), interval(0, 1.0)], [Next::Await, Next::Await]);
        assert_eq!(interval(100, 1.0), Next::After(Duration::from_secs(105)));
        let next = |retry| after_failure(&Failure::new(Class::Internal, "A", "a", retry), Duration::ZERO);
        assert_eq!(next(Retry::AtRetryInterval), Next::Await);
        assert_eq!(next(Retry::After(Duration::ZERO)), Next::Await);
        assert_eq!(next(Retry::Backoff), Next::Backoff);
    }

    #[test]
    fn a_failure_says_itself_when_to_try_again() {
        let next = |retry| after_failure(&Failure::new(Class::Internal, "A", "a", retry), Duration::from_secs(60));
        assert_eq!(next(Retry::OnChange), Next::Await);
        assert_eq!(next(Retry::AtRetryInterval), Next::After(Duration::from_secs(60)));
        assert_eq!(next(Retry::After(Duration::from_secs(30))), Next::After(Duration::from_secs(30)));
        assert_eq!(next(Retry::Backoff), Next::Backoff);
    }
}
