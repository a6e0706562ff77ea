//! What a scalar means.

use std::borrow::Cow;

use super::timestamp;
use crate::json::go_float;
use crate::{Data, Interner};

/// Whose rules say what a plain scalar means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// `yaml.v2`, which `sigs.k8s.io/yaml` decodes with: YAML 1.1, `yes`, `on` and `y` are booleans.
    GoV2,
    /// `yaml.v3`, which kyaml decodes with: of the booleans only `true` and `false` are left.
    GoV3,
}

/// A scalar after resolution.
#[derive(Debug, PartialEq)]
pub(super) enum Scalar<'t> {
    Null,
    Bool(bool),
    Int(i64),
    /// Past an `i64`, but still exact in Go.
    Unsigned(u64),
    Float(f64),
    Text(Cow<'t, str>),
}

/// The prefix of the tags that YAML itself defines.
const CORE: &str = "tag:yaml.org,2002:";

/// Resolves a scalar as the flavor does.
///
/// `plain` says whether it was written without quotes and is not a block.
pub(super) fn resolve<'t>(flavor: Flavor, tag: Option<&str>, plain: bool, text: &'t str) -> Result<Scalar<'t>, String> {
    let Some(tag) = tag else {
        return Ok(if plain { of_plain(flavor, text) } else { Scalar::Text(text.into()) });
    };
    let Some(core) = tag.strip_prefix(CORE) else { return Ok(Scalar::Text(text.into())) };
    match core {
        "str" => return Ok(Scalar::Text(text.into())),
        "binary" => return of_base64(text),
        "bool" | "int" | "float" | "null" | "timestamp" => {}
        _ => return Ok(Scalar::Text(text.into())),
    }
    let scalar = of_plain(flavor, text);
    let is_date = timestamp::normalized(text).is_some();
    match (core, scalar) {
        ("bool", scalar @ Scalar::Bool(_)) | ("null", scalar @ Scalar::Null) => Ok(scalar),
        ("int", scalar @ (Scalar::Int(_) | Scalar::Unsigned(_))) => Ok(scalar),
        ("float", scalar @ Scalar::Float(_)) => Ok(scalar),
        ("float", Scalar::Int(number)) => Ok(Scalar::Float(number as f64)),
        ("timestamp", scalar @ Scalar::Text(_)) if is_date => Ok(scalar),
        (_, scalar) => {
            let found = if is_date { "timestamp" } else { scalar.tag() };
            Err(format!("cannot decode !!{found} `{text}` as a !!{core}"))
        }
    }
}

/// Says whether a text would stay text if it were written without quotes and read by `yaml.v2`.
pub(super) fn stays_text(text: &str) -> bool {
    matches!(of_plain(Flavor::GoV2, text), Scalar::Text(_))
        && timestamp::normalized(text).is_none()
        && !is_base_60(text)
}

/// Says whether a text is a word that stays text without quotes: most keys, names and values are. A cheap answer; no means
/// that one has to look closer.
pub(super) fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'/' | b'_'))
        // Words that mean something else are short.
        && (bytes.len() > "false".len() || matches!(of_plain(Flavor::GoV2, text), Scalar::Text(_)))
}

impl<'t> Scalar<'t> {
    fn tag(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Unsigned(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
        }
    }

    /// The scalar as a key of a JSON object.
    pub(super) fn into_key(self) -> Cow<'t, str> {
        match self {
            Self::Null => "null".into(),
            Self::Bool(true) => "true".into(),
            Self::Bool(false) => "false".into(),
            Self::Int(number) => number.to_string().into(),
            Self::Unsigned(number) => number.to_string().into(),
            Self::Float(number) => go_float(number).into(),
            Self::Text(text) => text,
        }
    }

    /// The scalar as a value; nothing for numbers that JSON cannot hold.
    pub(super) fn into_data(self, interner: &mut Interner) -> Option<Data> {
        Some(match self {
            Self::Null => Data::Null,
            Self::Bool(value) => Data::Bool(value),
            Self::Int(number) => Data::Int(number),
            Self::Unsigned(number) => Data::Float(number as f64),
            Self::Float(number) if number.is_finite() => Data::Float(number),
            Self::Float(_) => return None,
            Self::Text(text) => Data::Str(interner.intern(&text)),
        })
    }
}

fn of_plain(flavor: Flavor, text: &str) -> Scalar<'_> {
    let as_text = Scalar::Text(Cow::Borrowed(text));
    let Some(first) = text.bytes().next() else { return Scalar::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => of_word(flavor, text),
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Scalar::Float(f64::INFINITY),
            _ => finite(text).map_or(as_text, Scalar::Float),
        },
        b'+' | b'-' | b'0'..=b'9' => match text {
            "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
            _ => of_date(flavor, text).or_else(|| of_number(text)).unwrap_or(as_text),
        },
        _ => as_text,
    }
}

fn of_word(flavor: Flavor, text: &str) -> Scalar<'_> {
    match text {
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        _ => {}
    }
    if flavor == Flavor::GoV2 {
        match text {
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Scalar::Bool(true),
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Scalar::Bool(false),
            _ => {}
        }
    }
    Scalar::Text(text.into())
}

/// A date is text in both flavors; `yaml.v3` decodes and prints it anew.
fn of_date(flavor: Flavor, text: &str) -> Option<Scalar<'_>> {
    let normalized = timestamp::normalized(text)?;
    Some(Scalar::Text(match flavor {
        Flavor::GoV2 => text.into(),
        Flavor::GoV3 => normalized.into(),
    }))
}

fn of_number(text: &str) -> Option<Scalar<'static>> {
    let plain: Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    let (negative, digits) = match plain.as_bytes().first()? {
        b'-' => (true, &plain[1..]),
        b'+' => (false, &plain[1..]),
        _ => (false, &*plain),
    };
    if let Some(magnitude) = of_digits(digits) {
        if negative {
            if magnitude <= i64::MIN.unsigned_abs() {
                return Some(Scalar::Int((magnitude as i64).wrapping_neg()));
            }
        } else if let Ok(number) = i64::try_from(magnitude) {
            return Some(Scalar::Int(number));
        } else if !plain.starts_with('+') {
            return Some(Scalar::Unsigned(magnitude));
        }
    }
    is_float(digits).then(|| finite(&plain)).flatten().map(Scalar::Float)
}

/// A whole number with Go's prefixes; a leading zero alone means octal.
fn of_digits(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let (digits, radix) = match bytes {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', b'o' | b'O', ..] => (&text[2..], 8),
        [b'0', b'b' | b'B', ..] => (&text[2..], 2),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// Digits with an optional point and exponent: what both flavors take for a float.
fn is_float(text: &str) -> bool {
    let bytes = text.as_bytes();
    let run = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = run(0);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = run(end + 1);
        if whole == 0 && fraction == 0 {
            return false;
        }
        end += 1 + fraction;
    } else if whole == 0 {
        return false;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        end += 1;
        if let Some(b'+' | b'-') = bytes.get(end) {
            end += 1;
        }
        let exponent = run(end);
        if exponent == 0 {
            return false;
        }
        end += exponent;
    }
    end == bytes.len()
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// `1:30:00`: a number to YAML 1.1, quoted on the way out for readers that still think so.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !unsigned.starts_with(|first: char| first.is_ascii_digit()) || !unsigned.contains(':') {
        return false;
    }
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut parts = whole.split(':');
    let head = parts.next().unwrap_or_default();
    is_digits(head)
        && is_digits(fraction)
        && parts.all(|part| match part.as_bytes() {
            [one] => one.is_ascii_digit(),
            [ten, one] => (b'0'..=b'5').contains(ten) && one.is_ascii_digit(),
            _ => false,
        })
}

fn of_base64(text: &str) -> Result<Scalar<'_>, String> {
    let clean: String = text.chars().filter(|letter| !matches!(letter, '\n' | '\r')).collect();
    let bytes = decode_base64(clean.as_bytes()).ok_or("!!binary value contains invalid base64 data")?;
    Ok(Scalar::Text(String::from_utf8_lossy(&bytes).into_owned().into()))
}

/// Standard base64 with padding.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let groups = text.len() / 4;
    for (position, group) in text.chunks_exact(4).enumerate() {
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && position + 1 < groups) {
            return None;
        }
        let mut bits = 0_u32;
        for byte in &group[..4 - padding] {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(digit);
        }
        bits <<= 6 * padding;
        out.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(flavor: Flavor, text: &str) -> Scalar<'_> {
        resolve(flavor, None, true, text).expect("plain scalars always resolve")
    }

    #[test]
    fn the_flavors_differ_in_booleans() {
        for word in ["yes", "On", "y", "NO", "off"] {
            assert!(matches!(plain(Flavor::GoV2, word), Scalar::Bool(_)), "{word}");
            assert_eq!(plain(Flavor::GoV3, word), Scalar::Text(word.into()));
        }
        assert_eq!(plain(Flavor::GoV3, "True"), Scalar::Bool(true));
    }

    #[test]
    fn numbers_are_those_of_go() {
        for (text, expected) in [
            ("0755", Scalar::Int(493)),
            ("0o755", Scalar::Int(493)),
            ("0x1F", Scalar::Int(31)),
            ("-0b11", Scalar::Int(-3)),
            ("1_000", Scalar::Int(1000)),
            ("08", Scalar::Float(8.0)),
            ("685.230_15e+03", Scalar::Float(685_230.15)),
            (".5", Scalar::Float(0.5)),
            ("1.", Scalar::Float(1.0)),
            ("-9223372036854775808", Scalar::Int(i64::MIN)),
            ("18446744073709551615", Scalar::Unsigned(u64::MAX)),
            ("123456789012345678901234567890", Scalar::Float(123_456_789_012_345_678_901_234_567_890.0)),
            ("1.2.3", Scalar::Text("1.2.3".into())),
            ("1e", Scalar::Text("1e".into())),
            ("0xg", Scalar::Text("0xg".into())),
            ("+-1", Scalar::Text("+-1".into())),
            ("-", Scalar::Text("-".into())),
            ("1e400", Scalar::Text("1e400".into())),
        ] {
            assert_eq!(plain(Flavor::GoV2, text), expected, "{text}");
            assert_eq!(plain(Flavor::GoV3, text), expected, "{text}");
        }
    }

    #[test]
    fn tags_decide_or_refuse() {
        let tagged = |tag: &str, text| resolve(Flavor::GoV3, Some(&format!("{CORE}{tag}")), true, text);
        assert_eq!(tagged("str", "12").map(Scalar::into_key).as_deref(), Ok("12"));
        assert_eq!(tagged("binary", "aGVsbG8=").map(Scalar::into_key).as_deref(), Ok("hello"));
        assert_eq!(tagged("float", "1").map(Scalar::into_key).as_deref(), Ok("1"));
        assert_eq!(tagged("int", "a"), Err("cannot decode !!str `a` as a !!int".to_owned()));
        assert_eq!(tagged("binary", "a"), Err("!!binary value contains invalid base64 data".to_owned()));
    }

    #[test]
    fn quotes_what_would_change_its_meaning() {
        for text in ["", "y", "Off", "1", "0x1", "1e3", "2001-01-02", "1:30", ".inf", "~"] {
            assert!(!stays_text(text), "{text}");
        }
        for text in ["yess", "v1", "1.2.3", "1:90", "10.0.0.1:80", "<", "<<"] {
            assert!(stays_text(text), "{text}");
        }
    }
}
