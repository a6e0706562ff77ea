//! Cron schedules: minute, hour, day of month, month, day of week.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// When something is due, to the minute.
#[derive(Debug, PartialEq)]
pub(super) struct Schedule {
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
    pub(super) fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment = TimeZone::UTC.to_datetime(moment);
        let start = moment.with().second(0).subsec_nanosecond(0).build().ok()?.checked_add(1.minute()).ok()?;
        let mut day = start.date();
        for _ in 0..HORIZON_DAYS {
            if self.on_day(day.to_datetime(jiff::civil::Time::midnight())) {
                let minutes = (0..24_i8).flat_map(|hour| (0..60_i8).map(move |minute| day.at(hour, minute, 0, 0)));
                let due = minutes
                    .into_iter()
                    .find(|time| *time >= start && has(self.hours, time.hour()) && has(self.minutes, time.minute()));
                if let Some(due) = due {
                    return TimeZone::UTC.to_timestamp(due).ok();
                }
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn on_day(&self, day: DateTime) -> bool {
        let of_month = has(self.days, day.day());
        let of_week = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        let fits = if self.either_day { of_month || of_week } else { of_month && of_week };
        fits && has(self.months, day.month())
    }
}

fn has(set: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| set & (1 << number) != 0)
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = match text.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other => other,
        };
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("`{text}` has {} fields, a schedule has 5", fields.len()));
        };
        let weekday_set = set(weekdays, 0, 7, WEEKDAYS)?;
        Ok(Self {
            minutes: set(minutes, 0, 59, &[])?,
            hours: set(hours, 0, 23, &[])?,
            days: set(days, 1, 31, &[])?,
            months: set(months, 1, 12, MONTHS)?,
            // Sunday is 0 and 7.
            weekdays: weekday_set | weekday_set >> 7,
            either_day: !days.starts_with(['*', '?']) && !weekdays.starts_with(['*', '?']),
        })
    }
}

const MONTHS: &[&str] = &["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The numbers of a field such as `1,3-5,*/15`, as bits.
fn set(field: &str, least: u32, most: u32, names: &[&str]) -> Result<u64, String> {
    let wrong = || format!("`{field}` is no list of numbers from {least} to {most}");
    let number = |text: &str| -> Result<u32, String> {
        let named = names.iter().position(|name| !name.is_empty() && name.eq_ignore_ascii_case(text));
        let number = named.and_then(|position| u32::try_from(position).ok()).or_else(|| text.parse().ok());
        number.filter(|number| (least..=most).contains(number)).ok_or_else(wrong)
    };
    let mut bits = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0_usize).ok_or_else(wrong)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            Some((from, to)) => (number(from)?, number(to)?),
            None if matches!(range, "*" | "?") => (least, most),
            None if step > 1 => (number(range)?, most),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(wrong());
        }
        bits |= (from..=to).step_by(step).fold(0, |bits, number| bits | 1 << number);
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> Option<String> {
        let schedule: Schedule = schedule.parse().expect("a schedule");
        schedule.next_after(after.parse().expect("a time")).map(|time| time.to_string())
    }

    #[test]
    fn the_next_time_is_found() {
        let after = "2026-11-21T10:07:30Z"; // a Saturday
        assert_eq!(next("*/15 * * * *", after).as_deref(), Some("2026-11-21T10:15:00Z"));
        assert_eq!(next("7 10 * * *", after).as_deref(), Some("2026-11-22T10:07:00Z"));
        assert_eq!(next("0 9 * * MON-FRI", after).as_deref(), Some("2026-11-23T09:00:00Z"));
        assert_eq!(next("0 0 * * 7", after).as_deref(), Some("2026-11-22T00:00:00Z"));
        assert_eq!(next("0 0 29 2 *", after).as_deref(), Some("2028-02-29T00:00:00Z"));
        assert_eq!(next("@hourly", after).as_deref(), Some("2026-11-21T11:00:00Z"));
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
        assert_eq!(told("60 * * * *"), "`60` is no list of numbers from 0 to 59");
        assert_eq!(told("* * *"), "`* * *` has 3 fields, a schedule has 5");
        assert_eq!(told("*/0 * * * *"), "`*/0` is no list of numbers from 0 to 59");
    }
}
