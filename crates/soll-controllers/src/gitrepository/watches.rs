//! What wakes a GitRepository: itself. A remote says nothing; it is asked at each interval.

use crate::runner::Waker;
use crate::watches::{Seen, asks};

/// Wakes what a change of a GitRepository concerns of its own kind.
pub(crate) fn seen(seen: &Seen, waker: &Waker) {
    match seen {
        Seen::Present { key, before, now } if asks(before.as_ref(), now) => waker.wake(key.clone()),
        Seen::Gone { key } => waker.wake(key.clone()),
        Seen::Present { .. } | Seen::Complete => {}
    }
}
