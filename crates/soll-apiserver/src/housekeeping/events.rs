//! Events are forgotten after an hour.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::rest::Api;

const LIFE: SignedDuration = SignedDuration::from_hours(1);

/// Removes the events that nobody touched for an hour.
pub(super) fn forget_old(api: &Arc<Api>, now: Timestamp) {
    let (events, _) = api.store.snapshot("/events");
    for event in events.iter() {
        let fields: [&[&str]; 5] = [
            &["series", "lastObservedTime"],
            &["lastTimestamp"],
            &["deprecatedLastTimestamp"],
            &["eventTime"],
            &["metadata", "creationTimestamp"],
        ];
        let last = fields.iter().find_map(|field| event.value.lookup_str(field)?.parse::<Timestamp>().ok());
        if last.is_none_or(|last| now.duration_since(last) > LIFE) {
            // Somebody who changes it just now keeps it for another hour.
            let _ = api.store.remove("/events", &event.key, event.revision);
        }
    }
}
