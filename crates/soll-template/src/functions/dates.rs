//! Dates and durations.

use std::rc::Rc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::conversion::clamped;
use super::{Function, bytes, pure, text, world};
use crate::duration::{duration_text, parse_duration};
use crate::layout;
use crate::object::Param::{Any, Str};
use crate::render::{Fault, World, fault};
use crate::time::{MOMENT, Time};
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    world("now", &[], |world, _| Ok(now(world))),
    world("date", &[Str, Any], |world, args| Ok(in_zone(world, bytes(&args[0]), &args[1], "Local"))),
    world("dateInZone", &[Str, Any, Str], date_in_zone),
    world("date_in_zone", &[Str, Any, Str], date_in_zone),
    world("htmlDate", &[Any], |world, args| Ok(in_zone(world, HTML, &args[0], "Local"))),
    world("htmlDateInZone", &[Any, Str], |world, args| Ok(in_zone(world, HTML, &args[0], &text(&args[1])))),
    pure("dateModify", &[Str, MOMENT], date_modify),
    pure("date_modify", &[Str, MOMENT], date_modify),
    pure("mustDateModify", &[Str, MOMENT], must_date_modify),
    pure("must_date_modify", &[Str, MOMENT], must_date_modify),
    world("toDate", &[Str, Str], |world, args| {
        let zone = world.environment.local_zone();
        Ok(time(layout::parse(&text(&args[0]), &text(&args[1]), &zone).unwrap_or_else(|_| Time::zero())))
    }),
    world("mustToDate", &[Str, Str], |world, args| {
        let zone = world.environment.local_zone();
        layout::parse(&text(&args[0]), &text(&args[1]), &zone).map(time).map_err(fault)
    }),
    pure("unixEpoch", &[MOMENT], |args| match &args[0] {
        Value::Time(time) => Ok(Value::from(time.moment().as_second().to_string())),
        other => Err(fault(format!("not a time: {}", other.type_name()))),
    }),
    world("ago", &[Any], |world, args| {
        let elapsed = since(world, moment(world, &args[0]));
        Ok(Value::from(duration_text(to_whole_seconds(elapsed))))
    }),
    pure("duration", &[Any], |args| {
        let seconds = match &args[0] {
            Value::Int64(seconds) => *seconds,
            Value::Str(text) => clamped(text, 10),
            _ => 0,
        };
        Ok(Value::from(duration_text(seconds.wrapping_mul(1_000_000_000))))
    }),
    world("durationRound", &[Any], |world, args| {
        let nanoseconds = match &args[0] {
            Value::Str(text) => parse_duration(text).unwrap_or(0),
            Value::Int64(nanoseconds) => *nanoseconds,
            Value::Time(time) => since(world, time.moment()),
            _ => 0,
        };
        Ok(Value::from(rounded(nanoseconds)))
    }),
];

const HTML: &[u8] = b"2006-01-02";

fn time(time: Time) -> Value {
    Value::Time(Rc::new(time))
}

fn now(world: &World<'_>) -> Value {
    time(Time::local(world.environment.now(), &world.environment.local_zone()))
}

/// The moment that a date argument means: what is neither a time nor seconds is now.
fn moment(world: &World<'_>, value: &Value) -> Timestamp {
    match value {
        Value::Time(time) => time.moment(),
        Value::Int(seconds) | Value::Int64(seconds) => {
            Timestamp::from_second(*seconds).unwrap_or(if *seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
        }
        _ => world.environment.now(),
    }
}

fn in_zone(world: &World<'_>, layout: &[u8], value: &Value, zone: &str) -> Value {
    let zone = match zone {
        "" | "UTC" => TimeZone::UTC,
        "Local" => world.environment.local_zone(),
        name => world.environment.zone(name).unwrap_or(TimeZone::UTC),
    };
    let time = Time::local(moment(world, value), &zone);
    let mut out = Vec::new();
    for chunk in layout.utf8_chunks() {
        out.extend_from_slice(time.format(chunk.valid()).as_bytes());
        out.extend_from_slice(chunk.invalid());
    }
    Value::bytes_text(&out)
}

fn date_in_zone(world: &mut World<'_>, args: &[Value]) -> Result<Value, Fault> {
    Ok(in_zone(world, bytes(&args[0]), &args[1], &text(&args[2])))
}

fn date_modify(args: &[Value]) -> Result<Value, Fault> {
    Ok(must_date_modify(args).unwrap_or_else(|_| args[1].clone()))
}

fn must_date_modify(args: &[Value]) -> Result<Value, Fault> {
    let by = parse_duration(&text(&args[0])).map_err(fault)?;
    match &args[1] {
        Value::Time(from) => Ok(time(from.plus(by))),
        other => Err(fault(format!("not a time: {}", other.type_name()))),
    }
}

/// Nanoseconds from then to now; what does not fit stops at the end of the range.
fn since(world: &World<'_>, then: Timestamp) -> i64 {
    let elapsed = world.environment.now().as_nanosecond() - then.as_nanosecond();
    i64::try_from(elapsed).unwrap_or(if elapsed < 0 { i64::MIN } else { i64::MAX })
}

/// Half seconds go away from zero.
fn to_whole_seconds(nanoseconds: i64) -> i64 {
    const SECOND: i64 = 1_000_000_000;
    let rest = nanoseconds % SECOND;
    let whole = nanoseconds - rest;
    if rest.abs() * 2 < SECOND { whole } else { whole.saturating_add(rest.signum() * SECOND) }
}

/// The largest unit of which there is more than one.
fn rounded(nanoseconds: i64) -> String {
    const SECOND: u64 = 1_000_000_000;
    const DAY: u64 = 24 * 3600 * SECOND;
    let span = nanoseconds.unsigned_abs();
    let units =
        [(365 * DAY, "y"), (30 * DAY, "mo"), (DAY, "d"), (3600 * SECOND, "h"), (60 * SECOND, "m"), (SECOND, "s")];
    let found = units.iter().find(|(size, _)| span > *size);
    found.map_or_else(|| "0s".into(), |(size, unit)| format!("{}{unit}", span / size))
}
