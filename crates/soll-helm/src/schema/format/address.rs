//! Where something is to be reached.

use std::net::Ipv6Addr;

use soll_template::go::{Url, quoted_char, url};

use super::{Verdict, atoi, ensure, within};

pub(super) fn ipv4(text: &str) -> Verdict {
    let groups: Vec<&str> = text.split('.').collect();
    ensure(groups.len() == 4, "expected four decimals")?;
    for group in groups {
        ensure(group.len() == 1 || !group.starts_with('0'), "leading zeros")?;
        ensure((0..=255).contains(&atoi(group)?), "decimal must be between 0 and 255")?;
    }
    Ok(())
}

pub(super) fn ipv6(text: &str) -> Verdict {
    ensure(text.contains(':'), "missing colon")?;
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    ensure(address.parse::<Ipv6Addr>().is_ok() && zone != Some(""), "no IPv6 address")?;
    ensure(zone.is_none(), "zone id is not a part of ipv6 address")
}

/// Refuses the first character that is not allowed.
fn check_letters(text: &str, allowed: impl Fn(char) -> bool) -> Verdict {
    match text.chars().find(|letter| !allowed(*letter)) {
        Some(letter) => Err(format!("invalid character {}", quoted_char(letter)).into()),
        None => Ok(()),
    }
}

pub(super) fn hostname(text: &str) -> Verdict {
    let text = text.strip_suffix('.').unwrap_or(text);
    ensure(text.len() <= 253, "more than 253 characters long")?;
    for label in text.split('.') {
        ensure((1..=63).contains(&label.len()), "label must be 1 to 63 characters long")?;
        ensure(!label.starts_with('-'), "label starts with hyphen")?;
        ensure(!label.ends_with('-'), "label ends with hyphen")?;
        check_letters(label, |letter| letter.is_ascii_alphanumeric() || letter == '-')?;
    }
    Ok(())
}

pub(super) fn email(text: &str) -> Verdict {
    ensure(text.len() <= 254, "more than 255 characters long")?;
    let Some((local, domain)) = text.rsplit_once('@') else { return Err("missing @".into()) };
    ensure(local.len() <= 64, "local part more than 64 characters long")?;
    if local.len() > 1 && local.starts_with('"') {
        let mut inner = local.chars().skip(1).collect::<Vec<_>>();
        inner.pop();
        let plain = !inner.iter().any(|letter| matches!(letter, '\\' | '"'));
        ensure(plain, "backslash and quote are not allowed within quoted local part")?;
    } else {
        ensure(!local.starts_with('.'), "starts with dot")?;
        ensure(!local.ends_with('.'), "ends with dot")?;
        ensure(!local.contains(".."), "consecutive dots")?;
        check_letters(local, |letter| letter.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(letter))?;
    }
    match domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']')) {
        Some(address) => match address.strip_prefix("IPv6:") {
            Some(address) => within("invalid ipv6 address", ipv6(address)),
            None => within("invalid ipv4 address", ipv4(address)),
        },
        None => within("invalid domain", hostname(domain)),
    }
}

/// A URL whose host, if it is an IPv6 address, stands in brackets.
fn checked_url(text: &str) -> Result<Url, std::borrow::Cow<'static, str>> {
    let url = url(text)?;
    if url.host_name.contains(':') {
        ensure(url.host.contains('[') && url.host.contains(']'), "ipv6 address not enclosed in brackets")?;
        within("invalid ipv6 address", ipv6(&url.host_name))?;
    }
    Ok(url)
}

pub(super) fn uri(text: &str) -> Verdict {
    ensure(!checked_url(text)?.scheme.is_empty(), "relative url")
}

pub(super) fn uri_reference(text: &str) -> Verdict {
    ensure(!text.contains('\\'), "contains \\")?;
    checked_url(text).map(drop)
}

pub(super) fn uri_template(text: &str) -> Verdict {
    for part in checked_url(text)?.raw_path.split('/') {
        let mut is_open = false;
        for brace in part.chars().filter(|letter| matches!(letter, '{' | '}')) {
            ensure((brace == '{') != is_open, "nested curly braces")?;
            is_open = !is_open;
        }
        ensure(!is_open, "no matching closing brace")?;
    }
    Ok(())
}
