//! Go's layouts of dates: written by the example of `Mon Jan 2 15:04:05 MST 2006`.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time as Clock};
use jiff::tz::{Offset, TimeZone};

use crate::time::{DAYS, MONTHS, Time, weekday};

/// A part of a layout that stands for part of a date.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekDay,
    WeekDay,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    /// An offset: `Z` for none, colons, and down to hours, minutes or seconds.
    Zone {
        z: bool,
        colons: bool,
        parts: u8,
    },
    /// Decimals of the second: how many, and whether trailing zeros go.
    Fraction {
        digits: usize,
        trim: bool,
        comma: bool,
    },
}

fn starts_lower(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
}

/// The text before the first part, the part, and what follows.
fn next_part(layout: &str) -> Option<(&str, Part, &str, &str)> {
    let bytes = layout.as_bytes();
    for at in 0..bytes.len() {
        if !layout.is_char_boundary(at) {
            continue;
        }
        let rest = &layout[at..];
        let found = match bytes[at] {
            b'J' if rest.starts_with("January") => Some((Part::LongMonth, 7)),
            b'J' if rest.starts_with("Jan") && !starts_lower(&rest[3..]) => Some((Part::Month, 3)),
            b'M' if rest.starts_with("Monday") => Some((Part::LongWeekDay, 6)),
            b'M' if rest.starts_with("Mon") && !starts_lower(&rest[3..]) => Some((Part::WeekDay, 3)),
            b'M' if rest.starts_with("MST") => Some((Part::ZoneName, 3)),
            b'0' => match bytes.get(at + 1) {
                Some(b'1') => Some((Part::ZeroMonth, 2)),
                Some(b'2') => Some((Part::ZeroDay, 2)),
                Some(b'3') => Some((Part::ZeroHour12, 2)),
                Some(b'4') => Some((Part::ZeroMinute, 2)),
                Some(b'5') => Some((Part::ZeroSecond, 2)),
                Some(b'6') => Some((Part::Year, 2)),
                Some(b'0') if rest.starts_with("002") => Some((Part::ZeroYearDay, 3)),
                _ => None,
            },
            b'1' if rest.starts_with("15") => Some((Part::Hour, 2)),
            b'1' => Some((Part::NumMonth, 1)),
            b'2' if rest.starts_with("2006") => Some((Part::LongYear, 4)),
            b'2' => Some((Part::Day, 1)),
            b'_' if rest.starts_with("_2006") => {
                return Some((&layout[..=at], Part::LongYear, &rest[1..5], &rest[5..]));
            }
            b'_' if rest.starts_with("_2") => Some((Part::UnderDay, 2)),
            b'_' if rest.starts_with("__2") => Some((Part::UnderYearDay, 3)),
            b'3' => Some((Part::Hour12, 1)),
            b'4' => Some((Part::Minute, 1)),
            b'5' => Some((Part::Second, 1)),
            b'P' if rest.starts_with("PM") => Some((Part::UpperPm, 2)),
            b'p' if rest.starts_with("pm") => Some((Part::LowerPm, 2)),
            b'-' | b'Z' => zone_part(rest),
            b'.' | b',' => fraction_part(rest),
            _ => None,
        };
        if let Some((part, length)) = found {
            return Some((&layout[..at], part, &rest[..length], &rest[length..]));
        }
    }
    None
}

fn zone_part(rest: &str) -> Option<(Part, usize)> {
    let z = rest.starts_with('Z');
    let zone = |colons, parts| Part::Zone { z, colons, parts };
    let tail = &rest[1..];
    if tail.starts_with("070000") {
        Some((zone(false, 3), 7))
    } else if tail.starts_with("07:00:00") {
        Some((zone(true, 3), 9))
    } else if tail.starts_with("0700") {
        Some((zone(false, 2), 5))
    } else if tail.starts_with("07:00") {
        Some((zone(true, 2), 6))
    } else if tail.starts_with("07") {
        Some((zone(false, 1), 3))
    } else {
        None
    }
}

fn fraction_part(rest: &str) -> Option<(Part, usize)> {
    let digit = *rest.as_bytes().get(1).filter(|byte| matches!(byte, b'0' | b'9'))?;
    let digits = rest.bytes().skip(1).take_while(|byte| *byte == digit).count();
    if rest.as_bytes().get(1 + digits).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    Some((Part::Fraction { digits, trim: digit == b'9', comma: rest.starts_with(',') }, 1 + digits))
}

fn hour12(hour: i8) -> i8 {
    match hour % 12 {
        0 => 12,
        hour => hour,
    }
}

/// Writes a time by a layout.
pub(crate) fn format(time: &Time, layout: &str) -> String {
    let civil = time.civil();
    let mut out = String::with_capacity(layout.len() + 10);
    let mut rest = layout;
    while let Some((before, part, _, after)) = next_part(rest) {
        out.push_str(before);
        out.push_str(&shown(time, civil, part));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn shown(time: &Time, civil: DateTime, part: Part) -> String {
    let month = MONTHS[usize::from(civil.month().unsigned_abs()) - 1];
    let day = DAYS[weekday(civil)];
    match part {
        Part::LongMonth => month.into(),
        Part::Month => month[..3].into(),
        Part::NumMonth => civil.month().to_string(),
        Part::ZeroMonth => format!("{:02}", civil.month()),
        Part::LongWeekDay => day.into(),
        Part::WeekDay => day[..3].into(),
        Part::Day => civil.day().to_string(),
        Part::UnderDay => format!("{:2}", civil.day()),
        Part::ZeroDay => format!("{:02}", civil.day()),
        Part::UnderYearDay => format!("{:3}", civil.date().day_of_year()),
        Part::ZeroYearDay => format!("{:03}", civil.date().day_of_year()),
        Part::Hour => format!("{:02}", civil.hour()),
        Part::Hour12 => hour12(civil.hour()).to_string(),
        Part::ZeroHour12 => format!("{:02}", hour12(civil.hour())),
        Part::Minute => civil.minute().to_string(),
        Part::ZeroMinute => format!("{:02}", civil.minute()),
        Part::Second => civil.second().to_string(),
        Part::ZeroSecond => format!("{:02}", civil.second()),
        Part::LongYear => match civil.year() {
            year @ ..0 => format!("-{:04}", year.unsigned_abs()),
            year => format!("{year:04}"),
        },
        Part::Year => format!("{:02}", civil.year().rem_euclid(100)),
        Part::UpperPm => if civil.hour() >= 12 { "PM" } else { "AM" }.into(),
        Part::LowerPm => if civil.hour() >= 12 { "pm" } else { "am" }.into(),
        Part::ZoneName if !time.abbreviation().is_empty() => time.abbreviation().into(),
        Part::ZoneName => {
            // A zone without a name shows its offset.
            let minutes = time.offset() / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.abs();
            format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
        }
        Part::Zone { z: true, .. } if time.offset() == 0 => "Z".into(),
        Part::Zone { colons, parts, .. } => {
            let sign = if time.offset() < 0 { '-' } else { '+' };
            let offset = time.offset().abs();
            let colon = if colons { ":" } else { "" };
            let mut out = format!("{sign}{:02}", offset / 3600);
            if parts > 1 {
                out += &format!("{colon}{:02}", offset / 60 % 60);
            }
            if parts > 2 {
                out += &format!("{colon}{:02}", offset % 60);
            }
            out
        }
        Part::Fraction { digits, trim, comma } => {
            let nanos = format!("{:09}", civil.subsec_nanosecond());
            let kept = &nanos[..digits.min(9)];
            let kept = if trim { kept.trim_end_matches('0') } else { kept };
            match kept {
                "" => String::new(),
                kept => format!("{}{kept}", if comma { ',' } else { '.' }),
            }
        }
    }
}

/// What a layout finds in a text.
struct Found {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    pm: Option<bool>,
    offset: Option<i32>,
    utc: bool,
    zone_name: Option<String>,
}

/// Why a part did not fit.
enum Misfit {
    /// It is not what the layout says.
    Form,
    /// It is no date: which part is out of its range.
    Range(&'static str),
}

fn digits(text: &str, least: usize, most: usize) -> Result<(i16, &str), Misfit> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return Err(Misfit::Form);
    }
    let number = text[..length].parse().map_err(|_| Misfit::Form)?;
    Ok((number, &text[length..]))
}

fn small(text: &str, least: usize, most: usize) -> Result<(i8, &str), Misfit> {
    let (number, rest) = digits(text, least, most)?;
    Ok((i8::try_from(number).map_err(|_| Misfit::Form)?, rest))
}

fn name<'t>(names: &[&str], length: Option<usize>, text: &'t str) -> Result<(usize, &'t str), Misfit> {
    for (index, name) in names.iter().enumerate() {
        let name = length.map_or(*name, |length| &name[..length]);
        if text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)) {
            return Ok((index, &text[name.len()..]));
        }
    }
    Err(Misfit::Form)
}

/// `time.ParseInLocation`; the error is Go's.
pub(crate) fn parse(layout: &str, text: &str, local: &TimeZone) -> Result<Time, String> {
    let quote = crate::quote::time_quoted;
    let cannot = |rest: &str, element: &str| {
        format!("parsing time {} as {}: cannot parse {} as {}", quote(text), quote(layout), quote(rest), quote(element))
    };
    let mut found = Found {
        year: 0,
        month: None,
        day: None,
        year_day: None,
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        pm: None,
        offset: None,
        utc: false,
        zone_name: None,
    };
    let mut rest_layout = layout;
    let mut rest = text;
    loop {
        let (before, part, element, after) = match next_part(rest_layout) {
            Some((before, part, element, after)) => (before, Some(part), element, after),
            None => (rest_layout, None, "", ""),
        };
        rest = skip(rest, before).map_err(|rest| cannot(rest, before))?;
        let Some(part) = part else {
            if rest.is_empty() {
                break;
            }
            return Err(format!("parsing time {}: extra text: {}", quote(text), quote(rest)));
        };
        match take(&mut found, part, rest, after) {
            Ok(tail) => rest = tail,
            Err(Misfit::Form) => return Err(cannot(rest, element)),
            Err(Misfit::Range(what)) => return Err(format!("parsing time {}: {what} out of range", quote(text))),
        }
        rest_layout = after;
    }
    assemble(&found, local).map_err(|what| format!("parsing time {}: {what} out of range", quote(text)))
}

/// Text that both have; a run of spaces fits any other. The error is what is left where they part.
fn skip<'t>(mut text: &'t str, mut prefix: &str) -> Result<&'t str, &'t str> {
    while let Some(c) = prefix.chars().next() {
        if c == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return Err(text);
            }
            prefix = prefix.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
            continue;
        }
        text = text.strip_prefix(c).ok_or(text)?;
        prefix = &prefix[c.len_utf8()..];
    }
    Ok(text)
}

fn take<'t>(found: &mut Found, part: Part, text: &'t str, after: &str) -> Result<&'t str, Misfit> {
    let check = |ok: bool, what| if ok { Ok(()) } else { Err(Misfit::Range(what)) };
    Ok(match part {
        Part::Year => {
            let (number, rest) = digits(text, 2, 2)?;
            found.year = if number >= 69 { number + 1900 } else { number + 2000 };
            rest
        }
        Part::LongYear => {
            let (number, rest) = digits(text, 4, 4)?;
            found.year = number;
            rest
        }
        Part::LongMonth | Part::Month => {
            let length = if part == Part::Month { Some(3) } else { None };
            let (index, rest) = name(&MONTHS, length, text)?;
            found.month = i8::try_from(index + 1).ok();
            rest
        }
        Part::NumMonth | Part::ZeroMonth => {
            let (number, rest) = small(text, if part == Part::ZeroMonth { 2 } else { 1 }, 2)?;
            check((1..=12).contains(&number), "month")?;
            found.month = Some(number);
            rest
        }
        Part::LongWeekDay => name(&DAYS, None, text)?.1,
        Part::WeekDay => name(&DAYS, Some(3), text)?.1,
        Part::Day | Part::UnderDay | Part::ZeroDay => {
            let text = if part == Part::UnderDay { text.strip_prefix(' ').unwrap_or(text) } else { text };
            let (number, rest) = small(text, if part == Part::ZeroDay { 2 } else { 1 }, 2)?;
            found.day = Some(number);
            rest
        }
        Part::UnderYearDay | Part::ZeroYearDay => {
            let spaces = if part == Part::UnderYearDay {
                text.bytes().take(2).take_while(|byte| *byte == b' ').count()
            } else {
                0
            };
            let (number, rest) = digits(&text[spaces..], 3 - spaces, 3 - spaces)?;
            found.year_day = Some(number);
            rest
        }
        Part::Hour => {
            let (number, rest) = small(text, 1, 2)?;
            check(number < 24, "hour")?;
            found.hour = number;
            rest
        }
        Part::Hour12 | Part::ZeroHour12 => {
            let (number, rest) = small(text, if part == Part::ZeroHour12 { 2 } else { 1 }, 2)?;
            check(number <= 12, "hour")?;
            found.hour = number;
            rest
        }
        Part::Minute | Part::ZeroMinute => {
            let (number, rest) = small(text, if part == Part::ZeroMinute { 2 } else { 1 }, 2)?;
            check(number < 60, "minute")?;
            found.minute = number;
            rest
        }
        Part::Second | Part::ZeroSecond => {
            let (number, rest) = small(text, if part == Part::ZeroSecond { 2 } else { 1 }, 2)?;
            check(number < 60, "second")?;
            found.second = number;
            // Decimals are read even if the layout does not ask for them.
            let asked = matches!(next_part(after), Some((_, Part::Fraction { .. }, ..)));
            let decimals = rest.bytes().skip(1).take_while(u8::is_ascii_digit).count();
            if rest.starts_with(['.', ',']) && decimals > 0 && !asked {
                found.nanosecond = nanoseconds(&rest[1..=decimals]);
                &rest[1 + decimals..]
            } else {
                rest
            }
        }
        Part::UpperPm | Part::LowerPm => {
            let (am, pm) = if part == Part::UpperPm { ("AM", "PM") } else { ("am", "pm") };
            found.pm = Some(match text.get(..2) {
                Some(word) if word == pm => true,
                Some(word) if word == am => false,
                _ => return Err(Misfit::Form),
            });
            &text[2..]
        }
        Part::Zone { z, colons, parts } => {
            if z && let Some(rest) = text.strip_prefix('Z') {
                found.utc = true;
                return Ok(rest);
            }
            zone_offset(found, text, colons, parts)?
        }
        Part::ZoneName => {
            if let Some(rest) = text.strip_prefix("UTC") {
                found.utc = true;
                return Ok(rest);
            }
            let length = zone_name_length(text).ok_or(Misfit::Form)?;
            found.zone_name = Some(text[..length].to_owned());
            &text[length..]
        }
        Part::Fraction { digits: count, trim: false, .. } => {
            let decimals = text.get(1..=count).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            let Some(decimals) = decimals.filter(|_| text.starts_with(['.', ','])) else { return Err(Misfit::Form) };
            found.nanosecond = nanoseconds(decimals);
            &text[1 + count..]
        }
        Part::Fraction { .. } => {
            let decimals = text.bytes().skip(1).take_while(u8::is_ascii_digit).count();
            if !text.starts_with(['.', ',']) || decimals == 0 {
                return Ok(text);
            }
            found.nanosecond = nanoseconds(&text[1..=decimals]);
            &text[1 + decimals..]
        }
    })
}

fn nanoseconds(decimals: &str) -> i32 {
    format!("{:0<9}", &decimals[..decimals.len().min(9)]).parse().unwrap_or(0)
}

fn zone_offset<'t>(found: &mut Found, text: &'t str, colons: bool, parts: u8) -> Result<&'t str, Misfit> {
    // The sign is looked at last.
    let sign = match text.as_bytes().first() {
        Some(b'+') => Some(1),
        Some(b'-') => Some(-1),
        _ => None,
    };
    let mut rest = text.get(1..).ok_or(Misfit::Form)?;
    let mut seconds = 0;
    for (index, (size, most)) in [(3600, 24), (60, 60), (1, 60)].into_iter().enumerate().take(usize::from(parts)) {
        if index > 0 && colons {
            rest = rest.strip_prefix(':').ok_or(Misfit::Form)?;
        }
        let (number, tail) = digits(rest, 2, 2)?;
        if number > most || index > 0 && number >= most {
            return Err(Misfit::Range(
                ["time zone offset hour", "time zone offset minute", "time zone offset second"][index],
            ));
        }
        seconds += i32::from(number) * size;
        rest = tail;
    }
    found.offset = Some(sign.ok_or(Misfit::Form)? * seconds);
    Ok(rest)
}

/// Three or four capitals, `GMT+3`, `+03`.
fn zone_name_length(text: &str) -> Option<usize> {
    if text.starts_with(['+', '-']) {
        return signed_hours(text);
    }
    for (name, length) in [("ChST", 4), ("MeST", 4)] {
        if text.starts_with(name) {
            return Some(length);
        }
    }
    if let Some(hours) = text.strip_prefix("GMT") {
        return Some(3 + signed_hours(hours).unwrap_or(0));
    }
    match text.bytes().take(6).take_while(u8::is_ascii_uppercase).count() {
        5 if text.as_bytes()[4] == b'T' => Some(5),
        4 if text.as_bytes()[3] == b'T' || text.starts_with("WITA") => Some(4),
        3 => Some(3),
        _ => None,
    }
}

fn signed_hours(text: &str) -> Option<usize> {
    text.strip_prefix(['+', '-'])?;
    let length = text.bytes().skip(1).take_while(u8::is_ascii_digit).count();
    let hours: i32 = text[1..=length].parse().ok()?;
    (hours <= 23).then_some(1 + length)
}

fn assemble(found: &Found, local: &TimeZone) -> Result<Time, &'static str> {
    let mut hour = found.hour;
    match found.pm {
        Some(true) if hour < 12 => hour += 12,
        Some(false) if hour == 12 => hour = 0,
        _ => {}
    }
    let date = match found.year_day {
        Some(day) => {
            let first = Date::new(found.year, 1, 1).map_err(|_| "day-of-year")?;
            if day < 1 || day > first.days_in_year() {
                return Err("day-of-year");
            }
            let date = first.checked_add(jiff::Span::new().days(day - 1)).map_err(|_| "day-of-year")?;
            if found.month.is_some_and(|month| month != date.month()) {
                return Err("day-of-year does not match month");
            }
            date
        }
        None => {
            let (month, day) = (found.month.unwrap_or(1), found.day.unwrap_or(1));
            Date::new(found.year, month, day).map_err(|_| "day")?
        }
    };
    let clock = Clock::new(hour, found.minute, found.second, found.nanosecond).map_err(|_| "hour")?;
    let civil = date.to_datetime(clock);
    let at = |offset: i32| -> Result<Timestamp, &'static str> {
        let offset = Offset::from_seconds(offset).map_err(|_| "time zone offset hour")?;
        offset.to_timestamp(civil).map_err(|_| "year")
    };
    if found.utc {
        return Ok(Time::utc(at(0)?));
    }
    let in_local = |civil: DateTime| local.to_ambiguous_zoned(civil).compatible().map(|zoned| zoned.timestamp());
    if let Some(offset) = found.offset {
        let moment = at(offset)?;
        let info = local.to_offset_info(moment);
        if info.offset().seconds() == offset {
            return Ok(Time::local(moment, local));
        }
        return Ok(Time::fixed(moment, offset, found.zone_name.as_deref().unwrap_or_default()));
    }
    if let Some(name) = &found.zone_name {
        let moment = in_local(civil).map_err(|_| "year")?;
        let time = Time::local(moment, local);
        if time.abbreviation() == name {
            return Ok(time);
        }
        let offset = name.strip_prefix("GMT").and_then(|hours| hours.parse::<i32>().ok()).unwrap_or(0) * 3600;
        return Ok(Time::fixed(at(offset)?, offset, name));
    }
    Ok(Time::local(in_local(civil).map_err(|_| "year")?, local))
}
