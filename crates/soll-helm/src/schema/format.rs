//! `format`, which drafts before 2019 check.

use std::net::{Ipv4Addr, Ipv6Addr};

use soll_yaml::Value;

/// Why a text is not of a format. Formats that nobody knows fit everything, and so does what is no text.
pub(super) fn misfit(name: &str, value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let (fits, reason) = match name {
        "ipv4" => (text.parse::<Ipv4Addr>().is_ok(), "expected four decimals"),
        "ipv6" => (text.parse::<Ipv6Addr>().is_ok(), "no IPv6 address"),
        "hostname" => (is_hostname(text), "no host name"),
        "email" => (text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()), "missing @"),
        "uri" => (is_uri(text), "relative url"),
        "uri-reference" | "iri-reference" => (!text.contains([' ', '\\']), "invalid character in url"),
        "regex" => (regex::Regex::new(text).is_ok(), "no regular expression"),
        "date" => (is_date(text), "no date"),
        "time" => (is_time(text), "no time"),
        "date-time" => {
            (text.split_once(['T', 't']).is_some_and(|(date, time)| is_date(date) && is_time(time)), "no date and time")
        }
        "uuid" => (is_uuid(text), "must have 5 elements"),
        "json-pointer" => (text.is_empty() || text.starts_with('/'), "not starting with /"),
        _ => return None,
    };
    (!fits).then(|| reason.to_owned())
}

fn is_hostname(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_uri(text: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    text.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme)) && !text.contains([' ', '\\'])
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let (Some(year), Some(month), Some(day)) = (digits(year, 4), digits(month, 2), digits(day, 2)) else {
        return false;
    };
    let is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

fn is_time(text: &str) -> bool {
    let (clock, zone) = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => text.split_at(at),
        None => return false,
    };
    let clock = clock.split_once('.').map_or(Some(clock), |(clock, fraction)| {
        (!fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit())).then_some(clock)
    });
    let Some(clock) = clock else { return false };
    let parts: Vec<_> = clock.split(':').map(|part| digits(part, 2)).collect();
    let [Some(hour), Some(minute), Some(second)] = parts[..] else { return false };
    let zone_fits = match zone.as_bytes() {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', ..] => zone[1..].split_once(':').is_some_and(|(hour, minute)| {
            digits(hour, 2).is_some_and(|hour| hour < 24) && digits(minute, 2).is_some_and(|minute| minute < 60)
        }),
        _ => false,
    };
    hour < 24 && minute < 60 && second < 61 && zone_fits
}

fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == 5
        && groups
            .iter()
            .zip([8, 4, 4, 4, 12])
            .all(|(group, length)| group.len() == length && group.bytes().all(|b| b.is_ascii_hexdigit()))
}
