//! How long to wait after failures in a row.

use std::time::Duration;

/// A delay that doubles with each failure in a row, between two bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// From the first delay to the longest.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest: longest.max(first) }
    }

    /// The delay after so many failures in a row, counted from one.
    pub(crate) fn after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

/// The delays of Flux: 750 ms to 15 minutes.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(750), Duration::from_secs(900))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest() {
        let backoff = Backoff::default();
        let delays: Vec<u128> = [1, 2, 3, 11, 12, 4_000_000].iter().map(|n| backoff.after(*n).as_millis()).collect();
        assert_eq!(delays, [750, 1500, 3000, 768_000, 900_000, 900_000]);
    }
}
