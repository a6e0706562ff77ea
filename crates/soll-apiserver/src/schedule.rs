//! Cron schedules: minute, hour, day of month, month, day of week, or an interval.

use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

/// When something is due.
#[derive(Debug, PartialEq)]
pub(crate) enum Schedule {
    /// At the minutes of a calendar.
    Calendar(Calendar),
    /// Again after so many whole seconds.
    Every(Duration),
}

/// The minutes of a schedule, as bits.
#[derive(Debug, PartialEq)]
pub(crate) struct Calendar {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// If both are restricted, either will do; a classic of cron.
    either_day: bool,
}

/// A schedule that is due within this many days is found.
const HORIZON_DAYS: i32 = 366 * 5;

impl Schedule {
    /// The first time after a moment, or `None` if there is none within years (30 February).
    pub(crate) fn next_after(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Calendar(calendar) => calendar.next_after(moment, zone),
            Self::Every(interval) => Timestamp::from_second(moment.as_second()).ok()?.checked_add(*interval).ok(),
        }
    }

    /// The last time that has come since `start`, if any has.
    pub(crate) fn latest(&self, start: Timestamp, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let first = self.next_after(start, zone).filter(|first| *first <= now)?;
        let second = self.next_after(first, zone)?;
        // Regular schedules are not walked through from the beginning; of others the start is a guess.
        let gap = (second.as_second() - first.as_second()).max(1);
        let skipped = ((now.as_second() - first.as_second()) / gap - 1).max(0);
        let from = Timestamp::from_second(first.as_second() + skipped * gap).ok()?;
        let guess = if skipped > 0 { self.next_after(from, zone).filter(|time| *time <= now) } else { None };
        let mut latest = guess.unwrap_or(first);
        while let Some(next) = self.next_after(latest, zone).filter(|next| *next <= now) {
            latest = next;
        }
        Some(latest)
    }

    /// About how many times have come since `start`, if the first gap is like the others.
    pub(crate) fn times_between(&self, start: Timestamp, now: Timestamp, zone: &TimeZone) -> i64 {
        let Some(first) = self.next_after(start, zone).filter(|first| *first <= now) else { return 0 };
        let Some(second) = self.next_after(first, zone) else { return 1 };
        (now.as_second() - first.as_second()) / (second.as_second() - first.as_second()).max(1) + 1
    }
}

impl Calendar {
    /// Any minute counts that a clock of the zone shows: none that it leaves out when summer begins, and both that it shows when
    /// winter does.
    fn next_after(&self, moment: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut day = zone.to_datetime(moment).date();
        for _ in 0..HORIZON_DAYS {
            if self.on_day(day) {
                let times = self.minutes_of(day).flat_map(|time| instants(time, zone));
                if let Some(due) = times.filter(|time| *time > moment).min() {
                    return Some(due);
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn minutes_of(&self, day: Date) -> impl Iterator<Item = DateTime> {
        let hours = (0..24_i8).filter(|hour| has(self.hours, *hour));
        hours.flat_map(move |hour| {
            let minutes = (0..60_i8).filter(|minute| has(self.minutes, *minute));
            minutes.map(move |minute| day.at(hour, minute, 0, 0))
        })
    }

    fn on_day(&self, day: Date) -> bool {
        let of_month = has(self.days, day.day());
        let of_week = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        let fits = if self.either_day { of_month || of_week } else { of_month && of_week };
        fits && has(self.months, day.month())
    }
}

/// The moments at which the clocks of a zone show a time.
fn instants(time: DateTime, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
    let offsets = match zone.to_ambiguous_timestamp(time).offset() {
        AmbiguousOffset::Unambiguous { offset } => [Some(offset), None],
        AmbiguousOffset::Gap { .. } => [None, None],
        AmbiguousOffset::Fold { before, after } => [Some(before), Some(after)],
    };
    offsets.into_iter().flatten().filter_map(move |offset| offset.to_timestamp(time).ok())
}

/// The time zone of a name, as the IANA writes it.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name))
}

fn has(set: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| set & (1 << number) != 0)
}

impl FromStr for Schedule {
    type Err = String;

    /// The mistakes are told in the words of the library that Kubernetes uses.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = match text {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        if let Some(interval) = text.strip_prefix("@every ") {
            let parsed: soll_api::Duration = interval
                .parse()
                .map_err(|_| format!("failed to parse duration {text}: time: invalid duration {interval:?}"))?;
            let seconds = parsed.std().as_secs().max(1);
            return Ok(Self::Every(Duration::from_secs(seconds)));
        }
        if text.starts_with('@') {
            return Err(format!("unrecognized descriptor: {text}"));
        }
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
        };
        let (minutes, _) = set(minutes, 0, 59, &[])?;
        let (hours, _) = set(hours, 0, 23, &[])?;
        let (days, any_day) = set(days, 1, 31, &[])?;
        let (months, _) = set(months, 1, 12, MONTHS)?;
        let (weekdays, any_weekday) = set(weekdays, 0, 6, WEEKDAYS)?;
        Ok(Self::Calendar(Calendar { minutes, hours, days, months, weekdays, either_day: !any_day && !any_weekday }))
    }
}

const MONTHS: &[&str] = &["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The numbers of a field such as `1,3-5,*/15`, as bits, and whether it says that any will do.
fn set(field: &str, least: u32, most: u32, names: &[&str]) -> Result<(u64, bool), String> {
    let (mut bits, mut any) = (0, false);
    for part in field.split(',').filter(|part| !part.is_empty()) {
        let pieces: Vec<&str> = part.split('/').collect();
        let ends: Vec<&str> = pieces[0].split('-').collect();
        let all = matches!(ends[0], "*" | "?");
        let (from, mut to) = match ends[..] {
            _ if all => (least, most),
            [one] => (number(one, names)?, number(one, names)?),
            [from, to] => (number(from, names)?, number(to, names)?),
            _ => return Err(format!("too many hyphens: {part}")),
        };
        let step = match pieces[..] {
            [_] => 1,
            [_, step] => {
                // A number and a step: from there on.
                to = if ends.len() == 1 { most } else { to };
                number(step, &[])?
            }
            _ => return Err(format!("too many slashes: {part}")),
        };
        if from < least {
            return Err(format!("beginning of range ({from}) below minimum ({least}): {part}"));
        }
        if to > most {
            return Err(format!("end of range ({to}) above maximum ({most}): {part}"));
        }
        if from > to {
            return Err(format!("beginning of range ({from}) beyond end of range ({to}): {part}"));
        }
        if step == 0 {
            return Err(format!("step of range should be a positive number: {part}"));
        }
        any |= all && step == 1;
        bits |= (from..=to).step_by(step as usize).fold(0, |bits, number| bits | 1 << number);
    }
    Ok((bits, any))
}

fn number(text: &str, names: &[&str]) -> Result<u32, String> {
    let named = names.iter().position(|name| !name.is_empty() && name.eq_ignore_ascii_case(text));
    let number = named.and_then(|position| u32::try_from(position).ok()).or_else(|| text.parse().ok());
    number.ok_or_else(|| format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> Option<String> {
        let schedule: Schedule = schedule.parse().expect("a schedule");
        schedule.next_after(after.parse().expect("a time"), &TimeZone::UTC).map(|time| time.to_string())
    }

    #[test]
    fn clocks_of_a_zone_leave_hours_out_and_repeat_them() {
        let next = |schedule: &str, after: &str| {
            let schedule: Schedule = schedule.parse().expect("a schedule");
            let berlin = zone("Europe/Berlin").expect("it is known");
            schedule.next_after(after.parse().expect("a time"), &berlin).expect("there is one").to_string()
        };
        assert_eq!(next("0 9 * * *", "2026-11-21T10:00:00Z"), "2026-11-22T08:00:00Z");
        assert_eq!(next("0 9 * * *", "2026-07-21T10:00:00Z"), "2026-07-22T07:00:00Z");
        // On 29 March there is no 02:30.
        assert_eq!(next("30 2 * * *", "2026-03-28T12:00:00Z"), "2026-03-30T00:30:00Z");
        // On 25 October there are two.
        assert_eq!(next("30 2 * * *", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(next("30 2 * * *", "2026-10-25T00:30:00Z"), "2026-10-25T01:30:00Z");
        assert_eq!(next("* * * * *", "2026-10-25T00:59:00Z"), "2026-10-25T01:00:00Z");
        assert!(zone("europe/berlin").is_none() && zone("Nowhere").is_none() && zone("UTC").is_some());
    }

    #[test]
    fn the_next_time_is_found() {
        let after = "2026-11-21T10:07:30Z"; // a Saturday
        assert_eq!(next("*/15 * * * *", after).as_deref(), Some("2026-11-21T10:15:00Z"));
        assert_eq!(next("7 10 * * *", after).as_deref(), Some("2026-11-22T10:07:00Z"));
        assert_eq!(next("0 9 * * MON-FRI", after).as_deref(), Some("2026-11-23T09:00:00Z"));
        assert_eq!(next("0 0 * * sun", after).as_deref(), Some("2026-11-22T00:00:00Z"));
        assert_eq!(next("0 0 29 2 *", after).as_deref(), Some("2028-02-29T00:00:00Z"));
        assert_eq!(next("@hourly", after).as_deref(), Some("2026-11-21T11:00:00Z"));
        assert_eq!(next("@every 90s", after).as_deref(), Some("2026-11-21T10:09:00Z"));
    }

    #[test]
    fn either_of_two_restricted_days_will_do() {
        assert_eq!(next("0 0 25 * SUN", "2026-11-21T00:00:00Z").as_deref(), Some("2026-11-22T00:00:00Z"));
        assert_eq!(next("0 0 25 * SUN", "2026-11-23T00:00:00Z").as_deref(), Some("2026-11-25T00:00:00Z"));
    }

    #[test]
    fn what_never_comes_is_not_waited_for() {
        assert_eq!(next("0 0 30 2 *", "2026-11-21T00:00:00Z"), None);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let told = |schedule: &str| schedule.parse::<Schedule>().expect_err("no schedule");
        assert_eq!(told("60 * * * *"), "end of range (60) above maximum (59): 60");
        assert_eq!(told("* * *"), "expected exactly 5 fields, found 3: [* * *]");
        assert_eq!(told("*/0 * * * *"), "step of range should be a positive number: */0");
    }

    #[test]
    fn of_what_was_missed_the_last_counts() {
        let latest = |schedule: &str, start: &str, now: &str| {
            let schedule: Schedule = schedule.parse().expect("a schedule");
            let time = |text: &str| text.parse().expect("a time");
            schedule.latest(time(start), time(now), &TimeZone::UTC).map(|time| time.to_string())
        };
        let start = "2026-11-20T10:07:30Z"; // a Friday
        assert_eq!(latest("*/5 * * * *", start, "2026-11-20T10:09:59Z"), None);
        assert_eq!(latest("*/5 * * * *", start, "2026-11-20T10:10:00Z").as_deref(), Some("2026-11-20T10:10:00Z"));
        assert_eq!(latest("*/5 * * * *", start, "2026-11-21T13:14:15Z").as_deref(), Some("2026-11-21T13:10:00Z"));
        assert_eq!(latest("30 6-16/4 * * 1-5", start, "2026-11-22T13:00:00Z").as_deref(), Some("2026-11-20T14:30:00Z"));
        assert_eq!(latest("@every 7s", start, "2026-11-20T10:08:00Z").as_deref(), Some("2026-11-20T10:07:58Z"));
    }
}
