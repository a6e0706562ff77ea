//! How many requests a second we allow ourselves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: `burst` requests at once, then `qps` a second, in the order of asking.
///
/// Falls silent once the server shows that it has flow control of its own, as client-go does.
#[derive(Debug)]
pub(crate) struct RateLimit {
    interval: Duration,
    burst: u32,
    off: AtomicBool,
    /// When the bucket would be full again. Guards two lines of arithmetic; there is nothing to wait for.
    full_at: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// `qps` of zero or less means no limit.
    pub(crate) fn new(qps: f32, burst: u32) -> Self {
        let limited = qps > 0.0 && burst > 0;
        let interval = if limited { Duration::from_secs_f32(1.0 / qps) } else { Duration::ZERO };
        Self { interval, burst, off: AtomicBool::new(!limited), full_at: Mutex::new(None) }
    }

    /// The server limits us fairly by itself.
    pub(crate) fn switch_off(&self) {
        self.off.store(true, Ordering::Relaxed);
    }

    /// Waits for this request's turn.
    pub(crate) async fn turn(&self) {
        if self.off.load(Ordering::Relaxed) {
            return;
        }
        let now = Instant::now();
        let wait = self.reserve(now);
        if !wait.is_zero() {
            tokio::time::sleep_until(now + wait).await;
        }
    }

    /// Takes one token and says how long to wait until it exists.
    fn reserve(&self, now: Instant) -> Duration {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full_at.unwrap_or(now).max(now) + self.interval;
        *full_at = Some(next);
        (next - now).saturating_sub(self.interval * self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_the_rest_is_spaced() {
        let limit = RateLimit::new(10.0, 3);
        let now = Instant::now();
        let waits: Vec<_> = (0..5).map(|_| limit.reserve(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200]);
        assert_eq!(limit.reserve(now + Duration::from_secs(2)).as_millis(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_once_the_server_has_flow_control() {
        let limit = RateLimit::new(1.0, 1);
        let start = Instant::now();
        limit.turn().await;
        limit.switch_off();
        limit.turn().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
