//! When something is, and how long it takes.

use soll_template::go::{check_date, quoted_char};

use super::{Verdict, atoi, ensure, within};

pub(super) fn date(text: &str) -> Verdict {
    check_date("2006-01-02", text).map_err(Into::into)
}

/// Numbers with colons between them, two digits each.
fn clock<const N: usize>(text: &str, invalid: &'static str, negative: &'static str) -> Result<[i64; N], &'static str> {
    let mut numbers = [0; N];
    for (number, part) in numbers.iter_mut().zip(text.splitn(N, ':')) {
        *number = atoi(part).map_err(|_| invalid)?;
        if *number < 0 {
            return Err(negative);
        }
    }
    Ok(numbers)
}

pub(super) fn time(text: &str) -> Verdict {
    ensure(text.len() >= 9, "less than 9 characters long")?;
    ensure(text.as_bytes()[2] == b':' && text.as_bytes()[5] == b':', "missing colon in correct place")?;
    let (digits, rest) = text.split_at_checked(8).ok_or("invalid hour/min/sec")?;
    let [mut hour, mut minute, second] = clock::<3>(digits, "invalid hour/min/sec", "non-positive hour/min/sec")?;
    ensure(hour <= 23 && minute <= 59 && second <= 60, "hour/min/sec out of range")?;
    let mut zone = rest;
    if let Some(fraction) = rest.strip_prefix('.') {
        zone = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
        ensure(zone.len() < fraction.len(), "no digits in second fraction")?;
    }
    if !matches!(zone, "z" | "Z") {
        ensure(zone.len() == 6, "offset must be 6 characters long")?;
        let sign = match zone.as_bytes()[0] {
            b'+' => -1,
            b'-' => 1,
            _ => return Err("offset must begin with plus/minus".into()),
        };
        let offset = &zone[1..];
        ensure(offset.as_bytes()[2] == b':', "missing colon in offset in correct place")?;
        let [hours, minutes] = clock::<2>(offset, "invalid hour/min in offset", "non-positive hour/min in offset")?;
        ensure(hours <= 23 && minutes <= 59, "hour/min in offset out of range")?;
        let of_day = (hour * 60 + minute + sign * (hours * 60 + minutes)) % (24 * 60);
        let of_day = if of_day < 0 { of_day + 24 * 60 } else { of_day };
        (hour, minute) = (of_day / 60, of_day % 60);
    }
    // The last second of the day in UTC may be one too many.
    ensure(second < 60 || (hour, minute) == (23, 59), "invalid leap second")
}

pub(super) fn date_time(text: &str) -> Verdict {
    ensure(text.len() >= 20, "less than 20 characters long")?;
    ensure(matches!(text.as_bytes()[10], b't' | b'T'), "11th character must be t or T")?;
    within("invalid date element", date(&text[..10]))?;
    within("invalid time element", time(&text[11..]))
}

pub(super) fn duration(text: &str) -> Verdict {
    const UNITS: [&str; 2] = ["YMD", "HMS"];
    let Some(text) = text.strip_prefix('P') else { return Err("must start with P".into()) };
    ensure(!text.is_empty(), "nothing after P")?;
    if let Some(weeks) = text.strip_suffix('W') {
        ensure(!weeks.is_empty(), "no number in week")?;
        return ensure(weeks.bytes().all(|byte| byte.is_ascii_digit()), "invalid week");
    }
    for (index, part) in text.split('T').enumerate() {
        ensure(index == 0 || !part.is_empty(), "no time elements")?;
        let Some(all) = UNITS.get(index) else { return Err("more than one T".into()) };
        let (mut units, mut rest) = (*all, part);
        while !rest.is_empty() {
            let after = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            ensure(after.len() < rest.len(), "missing number")?;
            let Some(unit) = after.bytes().next().map(char::from) else { return Err("missing unit".into()) };
            match units.find(unit) {
                Some(at) => units = &units[at + 1..],
                None if all.contains(unit) => {
                    return Err(format!("unit {} out of order", quoted_char(unit)).into());
                }
                None => return Err(format!("invalid unit {}", quoted_char(unit)).into()),
            }
            rest = &after[1..];
        }
    }
    Ok(())
}

pub(super) fn period(text: &str) -> Verdict {
    let Some((start, end)) = text.split_once('/') else { return Err("missing slash".into()) };
    if start.starts_with('P') {
        within("invalid start duration", duration(start))?;
    } else {
        within("invalid start date-time", date_time(start))?;
        if end.starts_with('P') {
            return within("invalid end duration", duration(end));
        }
    }
    within("invalid end date-time", date_time(end))
}
