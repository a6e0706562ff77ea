//! Durations as Go writes them, and times as Kubernetes writes them.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};

/// A span of time in Go's notation: reads `1h30m`, `1.5s`, prints `1m0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Duration(std::time::Duration);

/// Text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration: expected numbers with units, such as 1h30m, 5m or 1.5s")]
pub struct DurationError {
    text: String,
}

/// The units, longest first where one starts with another.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl Duration {
    /// Whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// The standard library's form.
    #[must_use]
    pub const fn std(self) -> std::time::Duration {
        self.0
    }

    /// The same, in whole milliseconds: how durations stand in messages.
    #[must_use]
    pub fn in_millis(self) -> Self {
        Self(std::time::Duration::from_millis(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text).map(|nanos| Self(std::time::Duration::from_nanos(nanos))).ok_or(DurationError { text: text.into() })
    }
}

/// Nanoseconds; nothing if the text is no duration or passes Go's 292 years.
fn parse(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    let mut nanos = 0u64;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (whole, after) = rest.split_at(digits);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (name, unit) = UNITS.iter().find(|(name, _)| after.starts_with(name))?;
        let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
        nanos = nanos.checked_add(whole.checked_mul(*unit)?)?.checked_add(part_of(fraction, *unit))?;
        rest = &after[name.len()..];
        if rest.is_empty() {
            return i64::try_from(nanos).is_ok().then_some(nanos);
        }
    }
}

/// The nanoseconds of a decimal fraction of a unit, rounded down.
fn part_of(fraction: &str, unit: u64) -> u64 {
    let (mut sum, mut scale) = (0u128, 1u128);
    // Twenty digits are past the nanoseconds of an hour.
    for digit in fraction.bytes().take(20) {
        sum = sum * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    u64::try_from(sum * u128::from(unit) / scale).expect("a part of a unit is less than the unit")
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (unit, size) = match nanos {
            0 => return f.write_str("0s"),
            1..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            1_000_000..1_000_000_000 => ("ms", 1_000_000),
            _ => ("s", 1_000_000_000),
        };
        let (mut whole, rest) = (nanos / size, nanos % size);
        if unit == "s" {
            let minutes = whole / 60;
            whole %= 60;
            if minutes >= 60 {
                write!(f, "{}h", minutes / 60)?;
            }
            if minutes > 0 {
                write!(f, "{}m", minutes % 60)?;
            }
        }
        write!(f, "{whole}")?;
        if rest > 0 {
            let digits = size.ilog10() as usize;
            write!(f, ".{}", format!("{rest:0digits$}").trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A moment, to the second, as Kubernetes writes it: `2026-11-21T10:12:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(jiff::Timestamp);

impl Time {
    /// Cuts a timestamp to the second.
    #[must_use]
    pub fn new(timestamp: jiff::Timestamp) -> Self {
        Self(jiff::Timestamp::from_second(timestamp.as_second()).expect("the seconds of a timestamp are one"))
    }

    /// The timestamp.
    #[must_use]
    pub fn timestamp(self) -> jiff::Timestamp {
        self.0
    }
}

impl From<jiff::Timestamp> for Time {
    fn from(timestamp: jiff::Timestamp) -> Self {
        Self::new(timestamp)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let timestamp: jiff::Timestamp = text
            .parse()
            .map_err(|_| D::Error::custom(format!("`{text}` is no time: expected 2006-01-02T15:04:05Z")))?;
        Ok(Self::new(timestamp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go_does() {
        for (text, printed) in [
            ("60s", "1m0s"),
            ("5m", "5m0s"),
            ("1h", "1h0m0s"),
            ("1h30m", "1h30m0s"),
            ("90m", "1h30m0s"),
            ("1.5s", "1.5s"),
            ("1500ms", "1.5s"),
            ("0.5h", "30m0s"),
            ("100ms", "100ms"),
            ("1.25ms", "1.25ms"),
            ("1500us", "1.5ms"),
            ("10ns", "10ns"),
            (".5s", "500ms"),
            ("1.s", "1s"),
            ("0", "0s"),
            ("0s", "0s"),
            ("1h0m0.000000001s", "1h0m0.000000001s"),
            ("0.1s", "100ms"),
            ("0.3s", "300ms"),
        ] {
            assert_eq!(text.parse::<Duration>().map(|d| d.to_string()), Ok(printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in ["", "5", "m", "5 m", "5d", "1h5", ".s", "-5m", "9999999999h", "1m s"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_seconds_only() {
        let stamp: jiff::Timestamp = "2026-11-21T10:12:00.987Z".parse().expect("a timestamp");
        assert_eq!(Time::new(stamp).to_string(), "2026-11-21T10:12:00Z");
    }
}
