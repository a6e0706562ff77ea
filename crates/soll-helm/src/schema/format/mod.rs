//! `format`, which drafts before 2019 check, by the rules of the library that Helm checks schemas with.

mod address;
mod moment;

use std::borrow::Cow;

use soll_template::go::{pattern, quoted_char};
use soll_yaml::Value;

/// Why a text is not of a format.
type Verdict = Result<(), Cow<'static, str>>;

/// Why a text is not of a format. Formats that nobody knows fit everything, and so does what is no text.
pub(super) fn misfit(name: &str, value: &Value) -> Option<String> {
    let check: fn(&str) -> Verdict = match name {
        "ipv4" => address::ipv4,
        "ipv6" => address::ipv6,
        "hostname" => address::hostname,
        "email" => address::email,
        "uri" | "iri" => address::uri,
        "uri-reference" | "iri-reference" => address::uri_reference,
        "uri-template" => address::uri_template,
        "date" => moment::date,
        "time" => moment::time,
        "date-time" => moment::date_time,
        "duration" => moment::duration,
        "period" => moment::period,
        "regex" => |text| pattern(text).map(drop).map_err(Cow::from),
        "uuid" => uuid,
        "semver" => semver,
        "json-pointer" => json_pointer,
        "relative-json-pointer" => relative_json_pointer,
        _ => return None,
    };
    check(value.as_str()?).err().map(Cow::into_owned)
}

/// The reason if the condition does not hold.
fn ensure(holds: bool, reason: &'static str) -> Verdict {
    if holds { Ok(()) } else { Err(reason.into()) }
}

/// The verdict with words before its reason.
fn within(what: &str, verdict: Verdict) -> Verdict {
    verdict.map_err(|reason| format!("{what}: {reason}").into())
}

fn uuid(text: &str) -> Verdict {
    const LENGTHS: [usize; 5] = [8, 4, 4, 4, 12];
    let groups: Vec<&str> = text.split('-').collect();
    ensure(groups.len() == LENGTHS.len(), "must have 5 elements")?;
    for (index, (group, length)) in groups.iter().zip(LENGTHS).enumerate() {
        if group.len() != length {
            return Err(format!("element {} must be {length} characters long", index + 1).into());
        }
        if let Some(letter) = group.chars().find(|letter| !letter.is_ascii_hexdigit()) {
            return Err(format!("non-hex character {}", quoted_char(letter)).into());
        }
    }
    Ok(())
}

/// The characters of an identifier behind `-` or `+`.
fn check_identifier(identifier: &str, what: &str) -> Verdict {
    if identifier.is_empty() {
        return Err(format!("{what} identifier is empty").into());
    }
    match identifier.chars().find(|letter| !letter.is_ascii_alphanumeric() && *letter != '-') {
        Some(letter) => Err(format!("invalid character {} in {what} identifier", quoted_char(letter)).into()),
        None => Ok(()),
    }
}

fn semver(text: &str) -> Verdict {
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    if let Some(build) = build {
        ensure(!build.is_empty(), "build is empty")?;
        build.split('.').try_for_each(|identifier| check_identifier(identifier, "build"))?;
    }
    let (core, before) = text.split_once('-').map_or((text, None), |(core, before)| (core, Some(before)));
    for identifier in before.into_iter().flat_map(|before| before.split('.')) {
        check_identifier(identifier, "pre-release")?;
        let is_number = identifier.bytes().all(|byte| byte.is_ascii_digit());
        let padded = is_number && identifier.len() > 1 && identifier.starts_with('0');
        ensure(!padded, "pre-release numeric identifier starts with zero")?;
    }
    let numbers: Vec<&str> = core.split('.').collect();
    ensure(numbers.len() == 3, "versionCore must have 3 numbers separated by dot")?;
    for (number, name) in numbers.iter().zip(["major", "minor", "patch"]) {
        let wrong = if number.is_empty() {
            "is empty"
        } else if number.len() > 1 && number.starts_with('0') {
            "starts with zero"
        } else if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            "contains non-digit"
        } else {
            continue;
        };
        return Err(format!("{name} {wrong}").into());
    }
    Ok(())
}

fn json_pointer(text: &str) -> Verdict {
    if text.is_empty() {
        return Ok(());
    }
    ensure(text.starts_with('/'), "not starting with /")?;
    let escaped = text.split('/').flat_map(|part| part.split('~').skip(1));
    ensure(escaped.into_iter().all(|rest| rest.starts_with(['0', '1'])), "~ must be followed by 0 or 1")
}

fn relative_json_pointer(text: &str) -> Verdict {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    ensure(digits > 0, "must start with non-negative integer")?;
    ensure(digits == 1 || !text.starts_with('0'), "starts with zero")?;
    if &text[digits..] == "#" { Ok(()) } else { json_pointer(&text[digits..]) }
}

/// A whole number as Go's `Atoi` reads it; the error is Go's.
fn atoi(text: &str) -> Result<i64, Cow<'static, str>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let why = if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        "invalid syntax"
    } else {
        match text.parse() {
            Ok(number) => return Ok(number),
            Err(_) => "value out of range",
        }
    };
    Err(format!("strconv.Atoi: parsing \"{}\": {why}", text.escape_debug()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_refused_in_the_words_of_helm() {
        for (name, text, reason) in [
            ("uuid", "1-2", "must have 5 elements"),
            ("uuid", "00000000-0000-0000-0000-00000000000g", "non-hex character 'g'"),
            ("semver", "1.2", "versionCore must have 3 numbers separated by dot"),
            ("semver", "1.02.3", "minor starts with zero"),
            ("semver", "1.2.3-a..b", "pre-release identifier is empty"),
            ("semver", "1.2.3+é", "invalid character 'é' in build identifier"),
            ("json-pointer", "/a~2", "~ must be followed by 0 or 1"),
            ("relative-json-pointer", "01/a", "starts with zero"),
            ("regex", "a(", "error parsing regexp: missing closing ): `a(`"),
            ("ipv4", "1.2.3.256", "decimal must be between 0 and 255"),
            ("ipv4", "1.2.3.x", "strconv.Atoi: parsing \"x\": invalid syntax"),
            ("ipv4", "1.2.3", "expected four decimals"),
            ("hostname", "a..b", "label must be 1 to 63 characters long"),
            ("email", "a@-b", "invalid domain: label starts with hyphen"),
            ("email", ".a@b", "starts with dot"),
            ("uri", "/a", "relative url"),
            ("uri-reference", "a\\b", "contains \\"),
            ("uri-template", "/{a", "no matching closing brace"),
            ("date", "x", "parsing time \"x\" as \"2006-01-02\": cannot parse \"x\" as \"2006\""),
            ("time", "24:00:00Z", "hour/min/sec out of range"),
            ("time", "10:00:60Z", "invalid leap second"),
            ("date-time", "2024-01-01 10:00:00Z", "11th character must be t or T"),
            ("duration", "P1D2Y", "unit 'Y' out of order"),
            ("duration", "PT", "no time elements"),
            ("period", "P1D", "missing slash"),
        ] {
            assert_eq!(misfit(name, &Value::from(text)).as_deref(), Some(reason), "{name} {text}");
        }
        for (name, text) in [
            ("uuid", "00000000-0000-0000-0000-00000000000F"),
            ("semver", "1.2.3-rc.1+b.01"),
            ("ipv6", "::1"),
            ("email", "\"a b\"@[10.0.0.1]"),
            ("uri", "http://[::1]:8/a"),
            ("time", "23:59:60.5Z"),
            ("date-time", "2024-02-29t10:00:00+02:00"),
            ("duration", "P1Y2M3DT4H5S"),
            ("period", "2024-02-29T10:00:00Z/P1W"),
            ("nobody-knows", "?"),
        ] {
            assert_eq!(misfit(name, &Value::from(text)), None, "{name} {text}");
        }
        assert_eq!(misfit("ipv4", &Value::from(5)), None);
    }
}
