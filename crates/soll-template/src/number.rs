//! Numbers read and written as Go's `strconv` does.

use soll_yaml::shortest_float;

/// Why a number was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumError {
    Syntax,
    Range,
}

/// Sign, digits without prefix and underscores, base.
fn integer_parts(text: &str, base: u32) -> Result<(bool, String, u32), NumError> {
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if unsigned.is_empty() {
        return Err(NumError::Syntax);
    }
    if base != 0 {
        return Ok((negative, unsigned.to_owned(), base));
    }
    let lower = unsigned.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', _, ..] => (16, &lower[2..]),
        [b'0', b'b', _, ..] => (2, &lower[2..]),
        [b'0', b'o', _, ..] => (8, &lower[2..]),
        [b'0', ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.contains('_') && !underscores_allowed(unsigned) {
        return Err(NumError::Syntax);
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    // A lone `0` leaves no digits.
    Ok((negative, if digits.is_empty() && base == 8 { "0".to_owned() } else { digits }, base))
}

/// Underscores stand between digits, or between the prefix and a digit.
fn underscores_allowed(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut rest = bytes;
    let mut last = b'^';
    let mut hex = false;
    if let [b'0', prefix, tail @ ..] = bytes {
        let prefix = prefix.to_ascii_lowercase();
        if matches!(prefix, b'b' | b'o' | b'x') {
            hex = prefix == b'x';
            last = b'0';
            rest = tail;
        }
    }
    for byte in rest {
        let digit = byte.is_ascii_digit() || hex && byte.is_ascii_hexdigit();
        last = match (digit, byte, last) {
            (true, _, _) => b'0',
            (false, b'_', b'0') => b'_',
            (false, b'_', _) => return false,
            (false, _, b'_') => return false,
            _ => b'!',
        };
    }
    last != b'_'
}

/// `strconv.ParseInt(text, base, 64)`; base 0 reads prefixes and underscores.
pub(crate) fn parse_int(text: &str, base: u32) -> Result<i64, NumError> {
    let (negative, digits, base) = integer_parts(text, base)?;
    let magnitude = magnitude(&digits, base)?;
    if negative {
        0i64.checked_sub_unsigned(magnitude).ok_or(NumError::Range)
    } else {
        i64::try_from(magnitude).map_err(|_| NumError::Range)
    }
}

/// `strconv.ParseUint(text, 0, 64)`.
pub(crate) fn parse_uint(text: &str) -> Result<u64, NumError> {
    if text.starts_with(['+', '-']) {
        return Err(NumError::Syntax);
    }
    let (_, digits, base) = integer_parts(text, 0)?;
    magnitude(&digits, base)
}

/// Whatever is wrong first decides: a number that is too large may be followed by anything.
fn magnitude(digits: &str, base: u32) -> Result<u64, NumError> {
    if digits.is_empty() {
        return Err(NumError::Syntax);
    }
    digits.chars().try_fold(0_u64, |number, c| {
        let digit = c.to_digit(base).ok_or(NumError::Syntax)?;
        number.checked_mul(base.into()).and_then(|number| number.checked_add(digit.into())).ok_or(NumError::Range)
    })
}

/// `strconv.ParseFloat(text, 64)`.
pub(crate) fn parse_float(text: &str) -> Result<f64, NumError> {
    let (sign, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (-1.0, &text[1..]),
        Some(b'+') => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let lower = unsigned.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Ok(sign * f64::INFINITY),
        "nan" if unsigned.len() == text.len() => return Ok(f64::NAN),
        _ => {}
    }
    if lower.contains('_') && !underscores_allowed(unsigned) {
        return Err(NumError::Syntax);
    }
    let plain: String = lower.chars().filter(|c| *c != '_').collect();
    if let Some(hex) = plain.strip_prefix("0x") {
        return hex_float(hex).map(|value| sign * value);
    }
    let well_formed = plain.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && plain.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-'));
    if !well_formed {
        return Err(NumError::Syntax);
    }
    let value: f64 = plain.parse().map_err(|_| NumError::Syntax)?;
    if value.is_infinite() { Err(NumError::Range) } else { Ok(sign * value) }
}

/// `h.hhhp±d`, after the `0x`.
fn hex_float(text: &str) -> Result<f64, NumError> {
    let (mantissa, exponent) = text.split_once('p').ok_or(NumError::Syntax)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().map_err(|_| NumError::Syntax)?;
    if whole.is_empty() && fraction.is_empty() {
        return Err(NumError::Syntax);
    }
    let mut value = 0.0f64;
    for c in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16).ok_or(NumError::Syntax)?);
    }
    let shift = exponent.saturating_sub(i32::try_from(fraction.len() * 4).map_err(|_| NumError::Range)?);
    let value = value * 2f64.powi(shift);
    if value.is_infinite() { Err(NumError::Range) } else { Ok(value) }
}

/// Decimal digits and the position of the point before which they stand: `0.d₁d₂… × 10^point`.
struct Decimal {
    digits: Vec<u8>,
    point: i32,
}

fn decimal(scientific: &str) -> Decimal {
    let (mantissa, exponent) = scientific.split_once('e').expect("the format was asked for");
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let exponent: i32 = exponent.parse().expect("Rust wrote it");
    Decimal { digits, point: exponent + 1 }
}

/// `strconv.FormatFloat(value, format, precision, 64)` for the formats `b`, `e`, `f`, `g`, `x` and capitals; a negative
/// precision is the shortest that reads back.
pub(crate) fn format_float(value: f64, format: char, precision: i32) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let shortest = precision < 0;
    let wanted = usize::try_from(precision).unwrap_or(0);
    let magnitude = value.abs();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let lower = format.to_ascii_lowercase();
    let text = match lower {
        'x' => hex_form(magnitude, precision),
        'b' => binary_form(magnitude),
        'e' if shortest => exponent_form(&shortest_digits(magnitude), -1),
        'e' => exponent_form(&decimal(&format!("{magnitude:.wanted$e}")), precision),
        'f' => {
            if shortest {
                plain_form(&shortest_digits(magnitude))
            } else {
                format!("{magnitude:.wanted$}")
            }
        }
        _ => {
            let significant = wanted.max(1);
            let mut number = if shortest {
                shortest_digits(magnitude)
            } else {
                decimal(&format!("{magnitude:.*e}", significant - 1))
            };
            // Trailing zeros do not count as digits.
            while number.digits.len() > 1 && number.digits.last() == Some(&b'0') {
                number.digits.pop();
            }
            let mut limit = i32::try_from(significant).unwrap_or(i32::MAX);
            let count = i32::try_from(number.digits.len()).unwrap_or(i32::MAX);
            if limit > count && count >= number.point {
                limit = count;
            }
            if shortest {
                limit = 6;
            }
            let exponent = if magnitude == 0.0 { 0 } else { number.point - 1 };
            if exponent < -4 || exponent >= limit { exponent_form(&number, count - 1) } else { plain_form(&number) }
        }
    };
    let text = if format.is_ascii_uppercase() { text.to_ascii_uppercase() } else { text };
    format!("{sign}{text}")
}

/// The fewest digits that read back.
fn shortest_digits(magnitude: f64) -> Decimal {
    decimal(&shortest_float(magnitude))
}

/// `0x1.8p+01`: hexadecimal digits of the significand, the exponent of 2 in decimal.
fn hex_form(magnitude: f64, precision: i32) -> String {
    let bits = magnitude.to_bits();
    let mut exponent = i32::try_from(bits >> 52).unwrap_or(0);
    let mut mantissa = bits & ((1 << 52) - 1);
    if magnitude == 0.0 {
        exponent = 0;
    } else if exponent == 0 {
        let shift = mantissa.leading_zeros() - 11;
        mantissa <<= shift;
        exponent = -1022 - i32::try_from(shift).unwrap_or(0);
    } else {
        mantissa |= 1 << 52;
        exponent -= 1023;
    }
    let mut digits = 13usize;
    if let Ok(wanted) = usize::try_from(precision)
        && wanted < 13
    {
        let drop = (13 - wanted) * 4;
        let half = 1u64 << (drop - 1);
        let rest = mantissa & ((1 << drop) - 1);
        mantissa >>= drop;
        if rest > half || rest == half && mantissa & 1 == 1 {
            mantissa += 1;
        }
        if mantissa >> (52 - drop) > 1 {
            mantissa >>= 1;
            exponent += 1;
        }
        digits = wanted;
    }
    let lead = mantissa >> (digits * 4);
    let fraction = mantissa & ((1u64 << (digits * 4)) - 1);
    let mut fraction = if digits == 0 { String::new() } else { format!("{fraction:0digits$x}") };
    if precision < 0 {
        fraction.truncate(fraction.trim_end_matches('0').len());
    } else {
        let wanted = usize::try_from(precision).unwrap_or(0);
        fraction.push_str(&"0".repeat(wanted.saturating_sub(fraction.len())));
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("0x{lead}{point}{fraction}p{sign}{:02}", exponent.abs())
}

/// `4503599627370496p-52`: the significand as a whole number, the exponent of 2.
fn binary_form(magnitude: f64) -> String {
    let bits = magnitude.to_bits();
    let exponent = i32::try_from(bits >> 52).unwrap_or(0);
    let mantissa = bits & ((1 << 52) - 1);
    match exponent {
        0 => format!("{mantissa}p-1074"),
        _ => format!("{}p{:+}", mantissa | 1 << 52, exponent - 1075),
    }
}

fn exponent_form(number: &Decimal, precision: i32) -> String {
    let mut out = String::new();
    let digit = |index: usize| number.digits.get(index).map_or('0', |byte| char::from(*byte));
    out.push(digit(0));
    let count = if precision < 0 { number.digits.len() - 1 } else { usize::try_from(precision).unwrap_or(0) };
    if count > 0 {
        out.push('.');
        out.extend((1..=count).map(digit));
    }
    let zero = number.digits.iter().all(|byte| *byte == b'0');
    let exponent = if zero { 0 } else { number.point - 1 };
    out.push('e');
    out.push(if exponent < 0 { '-' } else { '+' });
    out.push_str(&format!("{:02}", exponent.abs()));
    out
}

fn plain_form(number: &Decimal) -> String {
    let mut out = String::new();
    let count = i32::try_from(number.digits.len()).unwrap_or(i32::MAX);
    if number.point <= 0 {
        out.push_str("0.");
        (number.point..0).for_each(|_| out.push('0'));
        out.extend(number.digits.iter().map(|byte| char::from(*byte)));
    } else {
        for index in 0..number.point.max(count) {
            if index == number.point {
                out.push('.');
            }
            let digit = usize::try_from(index).ok().and_then(|index| number.digits.get(index));
            out.push(digit.map_or('0', |byte| char::from(*byte)));
        }
    }
    if number.digits.iter().all(|byte| *byte == b'0') { "0".into() } else { out }
}

/// How a float prints: `%v`.
pub(crate) fn float_text(value: f64) -> String {
    format_float(value, 'g', -1)
}

/// A float cut to a whole number, as Go does it on amd64: what does not fit becomes the smallest.
pub(crate) fn float_to_int(value: f64) -> i64 {
    if value.is_nan() || !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        i64::MIN
    } else {
        value as i64
    }
}
