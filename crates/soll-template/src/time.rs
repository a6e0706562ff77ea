//! `time.Time` and `time.Duration`: layouts, zones, arithmetic.

use std::rc::Rc;

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::environment::Environment;
use crate::layout;
use crate::object::{Object, Param};
use crate::value::{Kind, Value};

/// A moment, and the zone it is shown in.
#[derive(Clone, Debug)]
pub struct Time {
    moment: Timestamp,
    /// Seconds east of Greenwich.
    offset: i32,
    /// What the zone calls itself then; empty if it has no name.
    abbreviation: String,
}

impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        self.moment == other.moment && self.offset == other.offset
    }
}

impl Time {
    /// A moment in a zone.
    #[must_use]
    pub fn new(moment: Timestamp, zone: &TimeZone) -> Self {
        let info = zone.to_offset_info(moment);
        Self { moment, offset: info.offset().seconds(), abbreviation: info.abbreviation().to_owned() }
    }

    /// A moment at an offset that may have a name.
    pub(crate) fn fixed(moment: Timestamp, offset: i32, abbreviation: &str) -> Self {
        Self { moment, offset, abbreviation: abbreviation.to_owned() }
    }

    /// The first moment of the year 1, Go's zero.
    pub(crate) fn zero() -> Self {
        let moment = Timestamp::from_second(-62_135_596_800).expect("the year 1 is in range");
        Self::new(moment, &TimeZone::UTC)
    }

    /// The moment.
    #[must_use]
    pub fn moment(&self) -> Timestamp {
        self.moment
    }

    pub(crate) fn offset(&self) -> i32 {
        self.offset
    }

    pub(crate) fn abbreviation(&self) -> &str {
        &self.abbreviation
    }

    /// Date and time of day as a clock there shows them.
    pub(crate) fn civil(&self) -> DateTime {
        let offset = Offset::from_seconds(self.offset).unwrap_or(Offset::UTC);
        offset.to_datetime(self.moment)
    }

    pub(crate) fn format(&self, layout: &str) -> String {
        layout::format(self, layout)
    }

    /// Later, or earlier, by nanoseconds; beyond the range of dates it stays where it is.
    pub(crate) fn plus(&self, nanoseconds: i64) -> Self {
        let moment = self.moment.checked_add(SignedDuration::from_nanos(nanoseconds)).unwrap_or(self.moment);
        Self { moment, ..self.clone() }
    }

    /// As JSON and YAML write it.
    pub(crate) fn rfc3339(&self) -> Result<String, String> {
        let year = self.civil().year();
        if !(0..=9999).contains(&year) {
            return Err("year outside of range [0,9999]".into());
        }
        Ok(self.format("2006-01-02T15:04:05.999999999Z07:00"))
    }

    pub(crate) fn method(&self, name: &str) -> Option<&'static [Param]> {
        Some(match name {
            "Format" => &[Param::Str],
            "Before" | "After" | "Equal" => &[Param::Time],
            "AddDate" => &[Param::Int, Param::Int, Param::Int],
            "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" | "Year" | "Month" | "Day" | "Hour" | "Minute"
            | "Second" | "Nanosecond" | "YearDay" | "Weekday" | "UTC" | "Local" | "String" | "IsZero" => &[],
            _ => return None,
        })
    }

    pub(crate) fn call(&self, name: &str, arguments: &[Value], environment: &dyn Environment) -> Result<Value, String> {
        let civil = self.civil();
        let other = || match arguments.first() {
            Some(Value::Time(time)) => time.moment,
            _ => self.moment,
        };
        let moved = |zone: &TimeZone| Value::Time(Rc::new(Self::new(self.moment, zone)));
        Ok(match name {
            "Format" => Value::from(self.format(&crate::functions::text(&arguments[0]))),
            "Before" => Value::Bool(self.moment < other()),
            "After" => Value::Bool(self.moment > other()),
            "Equal" => Value::Bool(self.moment == other()),
            "AddDate" => self.add_date(arguments)?,
            "Unix" => Value::Int64(self.moment.as_second()),
            "UnixMilli" => Value::Int64(self.moment.as_millisecond()),
            "UnixMicro" => Value::Int64(self.moment.as_microsecond()),
            "UnixNano" => Value::Int64(self.moment.as_nanosecond() as i64),
            "Year" => Value::Int(civil.year().into()),
            "Month" => named("time.Month", civil.month().into(), MONTHS[usize::from(civil.month().unsigned_abs()) - 1]),
            "Day" => Value::Int(civil.day().into()),
            "Hour" => Value::Int(civil.hour().into()),
            "Minute" => Value::Int(civil.minute().into()),
            "Second" => Value::Int(civil.second().into()),
            "Nanosecond" => Value::Int(civil.subsec_nanosecond().into()),
            "YearDay" => Value::Int(civil.date().day_of_year().into()),
            "Weekday" => {
                let day = weekday(civil);
                named("time.Weekday", i64::try_from(day).unwrap_or(0), DAYS[day])
            }
            "UTC" => moved(&TimeZone::UTC),
            "Local" => moved(&environment.local_zone()),
            "IsZero" => Value::Bool(self.moment == Self::zero().moment),
            _ => Value::from(self.to_string()),
        })
    }

    /// Years, months and days further; a day that the month lacks runs over into the next.
    fn add_date(&self, arguments: &[Value]) -> Result<Value, String> {
        let [years, months, days] = [0, 1, 2].map(|index| match arguments.get(index) {
            Some(Value::Int(number)) => *number,
            _ => 0,
        });
        let out_of_range = || "the date is out of range".to_owned();
        let civil = self.civil();
        let month = i64::from(civil.month()) - 1 + months;
        let year = i64::from(civil.year()) + years + month.div_euclid(12);
        let year = i16::try_from(year).map_err(|_| out_of_range())?;
        let month = i8::try_from(month.rem_euclid(12) + 1).map_err(|_| out_of_range())?;
        let first = jiff::civil::Date::new(year, month, 1).map_err(|_| out_of_range())?;
        let day = i64::from(civil.day()) - 1 + days;
        let span = jiff::Span::new().try_days(day).map_err(|_| out_of_range())?;
        let date = first.checked_add(span).map_err(|_| out_of_range())?;
        let offset = Offset::from_seconds(self.offset).unwrap_or(Offset::UTC);
        let moment = offset.to_timestamp(date.to_datetime(civil.time())).map_err(|_| out_of_range())?;
        Ok(Value::Time(Rc::new(Self { moment, ..self.clone() })))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
pub(crate) const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// From 0, Sunday.
pub(crate) fn weekday(civil: DateTime) -> usize {
    usize::from(civil.weekday().to_sunday_zero_offset().unsigned_abs())
}

/// A whole number of a type that has names for its values.
struct Named {
    type_name: &'static str,
    number: i64,
    name: &'static str,
}

fn named(type_name: &'static str, number: i64, name: &'static str) -> Value {
    Value::Object(Rc::new(Named { type_name, number, name }))
}

impl Object for Named {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn kind(&self) -> Kind {
        Kind::Int
    }

    fn field(&self, _: &str) -> Option<Value> {
        None
    }

    fn method(&self, name: &str) -> Option<&'static [Param]> {
        (name == "String").then_some(&[])
    }

    fn call(&self, _: &str, _: &[Value]) -> Result<Value, String> {
        Ok(Value::text(self.name))
    }

    fn contents(&self) -> Value {
        Value::Int(self.number)
    }

    fn string(&self) -> Option<String> {
        Some(self.name.to_owned())
    }
}

const SECOND: u64 = 1_000_000_000;

/// `time.Duration.String`: `1h2m3.5s`, from nanoseconds.
pub(crate) fn duration_text(nanoseconds: i64) -> String {
    let mut rest = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    if rest == 0 {
        return "0s".into();
    }
    if rest < SECOND {
        let (unit, size) = match rest {
            0..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            _ => ("ms", 1_000_000),
        };
        return format!("{sign}{}{unit}", fraction(rest, size));
    }
    let seconds = rest / SECOND;
    rest %= SECOND;
    let last = fraction((seconds % 60) * SECOND + rest, SECOND);
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3600);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{last}s"),
        (0, _) => format!("{sign}{minutes}m{last}s"),
        _ => format!("{sign}{hours}h{minutes}m{last}s"),
    }
}

/// A number of units with decimals as far as they say something.
fn fraction(count: u64, unit: u64) -> String {
    let (whole, rest) = (count / unit, count % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{rest:0digits$}").trim_end_matches('0'))
}

/// `time.ParseDuration`, in nanoseconds.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let quoted = || crate::quote::time_quoted(text);
    let invalid = || format!("time: invalid duration {}", quoted());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u64 = 0;
    const LARGEST: u64 = 1 << 63;
    while !rest.is_empty() {
        let whole_length = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (whole, tail) = rest.split_at(whole_length);
        let (decimals, tail) = match tail.strip_prefix('.') {
            Some(tail) => tail.split_at(tail.bytes().take_while(u8::is_ascii_digit).count()),
            None => ("", tail),
        };
        if whole.is_empty() && decimals.is_empty() {
            return Err(invalid());
        }
        let number: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
        if number > LARGEST {
            return Err(invalid());
        }
        let unit_length = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        let size: u64 = match unit {
            "" => return Err(format!("time: missing unit in duration {}", quoted())),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            _ => {
                let unit = crate::quote::time_quoted(unit);
                return Err(format!("time: unknown unit {unit} in duration {}", quoted()));
            }
        };
        let mut value = number.checked_mul(size).filter(|value| *value <= LARGEST).ok_or_else(invalid)?;
        if !decimals.is_empty() {
            let kept = &decimals[..decimals.len().min(18)];
            let part: f64 = kept.parse().unwrap_or(0.0);
            value += (part * (size as f64 / 10f64.powi(i32::try_from(kept.len()).unwrap_or(0)))) as u64;
        }
        total = total.checked_add(value).filter(|total| *total <= LARGEST).ok_or_else(invalid)?;
        rest = tail;
    }
    match (negative, i64::try_from(total)) {
        (false, Ok(total)) => Ok(total),
        (false, Err(_)) => Err(invalid()),
        (true, _) => Ok((total as i64).wrapping_neg()),
    }
}
