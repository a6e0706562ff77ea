//! `time.Duration`, and the other whole numbers that have names: months and weekdays.

use std::rc::Rc;

use crate::object::{Object, Param};
use crate::time::{DAYS, MONTHS};
use crate::value::{Kind, Value};

pub(crate) const DURATION: Param = Param::Named("time.Duration");

/// A `time.Duration`, in nanoseconds.
pub(crate) fn duration(nanoseconds: i64) -> Value {
    Value::Object(Rc::new(Duration(nanoseconds)))
}

/// The nanoseconds of an argument that is declared as `time.Duration`.
pub(crate) fn nanoseconds(value: &Value) -> i64 {
    match value {
        Value::Object(object) => match object.contents() {
            Value::Int64(number) => number,
            _ => 0,
        },
        _ => 0,
    }
}

struct Duration(i64);

impl Object for Duration {
    fn type_name(&self) -> &str {
        "time.Duration"
    }

    fn kind(&self) -> Kind {
        Kind::Int64
    }

    fn method(&self, name: &str) -> Option<&'static [Param]> {
        Some(match name {
            "Round" | "Truncate" => &[DURATION],
            "Abs" | "Hours" | "Minutes" | "Seconds" | "Milliseconds" | "Microseconds" | "Nanoseconds" | "String" => &[],
            _ => return None,
        })
    }

    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        let by = arguments.first().map_or(0, nanoseconds);
        let units = |unit: i64| (self.0 / unit) as f64 + (self.0 % unit) as f64 / unit as f64;
        Ok(match name {
            "Round" => duration(rounded(self.0, by)),
            "Truncate" => duration(if by > 0 { self.0 - self.0 % by } else { self.0 }),
            "Abs" => duration(self.0.checked_abs().unwrap_or(i64::MAX)),
            "Hours" => Value::Float(units(3600 * SECOND as i64)),
            "Minutes" => Value::Float(units(60 * SECOND as i64)),
            "Seconds" => Value::Float(units(SECOND as i64)),
            "Milliseconds" => Value::Int64(self.0 / 1_000_000),
            "Microseconds" => Value::Int64(self.0 / 1_000),
            "Nanoseconds" => Value::Int64(self.0),
            _ => Value::from(duration_text(self.0)),
        })
    }

    fn contents(&self) -> Value {
        Value::Int64(self.0)
    }

    fn string(&self) -> Option<String> {
        Some(duration_text(self.0))
    }

    fn of_number(&self, number: i64) -> Option<Value> {
        Some(duration(number))
    }
}

/// The nearest multiple; halves go away from zero, and what does not fit stops at the end of the range.
fn rounded(number: i64, unit: i64) -> i64 {
    if unit <= 0 {
        return number;
    }
    let rest = number % unit;
    let down = number - rest;
    if rest.unsigned_abs() < unit.unsigned_abs() - rest.unsigned_abs() {
        return down;
    }
    down.saturating_add(if number < 0 { -unit } else { unit })
}

/// A month, from 1.
pub(crate) fn month(number: i64) -> Value {
    Value::Object(Rc::new(Named { type_name: "time.Month", number, names: &MONTHS, first: 1 }))
}

/// A day of the week, from 0, Sunday.
pub(crate) fn weekday(number: i64) -> Value {
    Value::Object(Rc::new(Named { type_name: "time.Weekday", number, names: &DAYS, first: 0 }))
}

/// A whole number of a type that has names for its values.
struct Named {
    type_name: &'static str,
    number: i64,
    names: &'static [&'static str],
    /// The number of the first name.
    first: i64,
}

impl Object for Named {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn kind(&self) -> Kind {
        Kind::Int
    }

    fn contents(&self) -> Value {
        Value::Int(self.number)
    }

    fn string(&self) -> Option<String> {
        let name = usize::try_from(self.number - self.first).ok().and_then(|index| self.names.get(index));
        let no_name = || format!("%!{}({})", self.type_name.trim_start_matches("time."), self.number);
        Some(name.map_or_else(no_name, |name| (*name).to_owned()))
    }

    fn of_number(&self, number: i64) -> Option<Value> {
        Some(Value::Object(Rc::new(Self { number, ..*self })))
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
