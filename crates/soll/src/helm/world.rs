//! What templates ask of this machine.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use soll_keys::Keys;
use soll_template::{Crypto, Environment};

/// Where systems keep the rules of time zones.
const ZONES: &str = "/usr/share/zoneinfo";

/// This machine's clock, randomness and cryptography. No cluster: `lookup` finds nothing, as in `helm template`.
pub(super) struct World {
    now: Timestamp,
    keys: Keys,
}

impl World {
    pub(super) fn now() -> Self {
        let now = Timestamp::now();
        Self { now, keys: Keys { now: now.as_second() } }
    }
}

impl Environment for World {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn local_zone(&self) -> TimeZone {
        let named = std::env::var("TZ").ok().map(|name| name.trim_start_matches(':').to_owned());
        match named.as_deref() {
            Some("" | "UTC") => TimeZone::UTC,
            Some(name) => zone_of(&Path::new(ZONES).join(name), name).unwrap_or(TimeZone::UTC),
            None => zone_of(Path::new("/etc/localtime"), "Local").unwrap_or(TimeZone::UTC),
        }
    }

    fn zone(&self, name: &str) -> Option<TimeZone> {
        let is_inside = !name.split('/').any(|part| part.is_empty() || part.starts_with('.'));
        is_inside.then(|| zone_of(&Path::new(ZONES).join(name), name)).flatten()
    }

    fn random(&self, buffer: &mut [u8]) {
        soll_keys::random(buffer);
    }

    fn crypto(&self) -> Option<&dyn Crypto> {
        Some(&self.keys)
    }
}

fn zone_of(file: &Path, name: &str) -> Option<TimeZone> {
    TimeZone::tzif(name, &std::fs::read(file).ok()?).ok()
}
