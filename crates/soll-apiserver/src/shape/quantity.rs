//! Quantities: `1000m` is stored as `1`, `0.5` as `500m`, `1024Mi` as `1Gi`.

/// Powers of ten, in steps of three from nano.
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const NANOS: i128 = 1_000_000_000;

enum Format {
    Decimal,
    Binary,
    Exponent,
}

/// The normal form of a quantity; none if it is no quantity.
///
/// What is finer than a nano is rounded up, away from zero.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (format, nanos) = parse(text)?;
    Some(match format {
        Format::Binary if nanos.abs() >= 1024 * NANOS => binary(nanos),
        Format::Exponent => exponential(nanos),
        Format::Binary | Format::Decimal => decimal(nanos),
    })
}

/// How much a quantity is, in billionths.
pub(crate) fn nanos(text: &str) -> Option<i128> {
    parse(text).map(|(_, nanos)| nanos)
}

fn parse(text: &str) -> Option<(Format, i128)> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let digits = format!("{whole}{}", fraction.trim_end_matches('0'));
    let scale = i32::try_from(fraction.trim_end_matches('0').len()).ok()?;
    let mantissa: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let (format, nanos) = if let Some(step) = BINARY.iter().skip(1).position(|name| *name == suffix) {
        let factor = 1024_i128.checked_pow(u32::try_from(step).ok()? + 1)?;
        (Format::Binary, divide_up(mantissa.checked_mul(factor)?.checked_mul(NANOS)?, scale)?)
    } else if let Some(step) = DECIMAL.iter().position(|name| *name == suffix) {
        (Format::Decimal, scaled(mantissa, i32::try_from(step).ok()? * 3 - scale)?)
    } else {
        let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
        (Format::Exponent, scaled(mantissa, exponent.checked_add(9)?.checked_sub(scale)?)?)
    };
    Some((format, if negative { -nanos } else { nanos }))
}

/// `mantissa` times ten to the power, rounded up.
fn scaled(mantissa: i128, power: i32) -> Option<i128> {
    match u32::try_from(power) {
        Ok(_) if mantissa == 0 => Some(0),
        Ok(power) => mantissa.checked_mul(10_i128.checked_pow(power)?),
        Err(_) => divide_up(mantissa, power.checked_neg()?),
    }
}

fn divide_up(value: i128, power: i32) -> Option<i128> {
    match 10_i128.checked_pow(u32::try_from(power).ok()?) {
        Some(divisor) => Some((value + divisor - 1) / divisor),
        None => Some(i128::from(value > 0)),
    }
}

fn binary(nanos: i128) -> String {
    let away = |value: i128| (value.abs() + NANOS - 1) / NANOS * value.signum();
    let mut value = away(nanos);
    let mut step = 0;
    while value % 1024 == 0 && step + 1 < BINARY.len() {
        value /= 1024;
        step += 1;
    }
    format!("{value}{}", BINARY[step])
}

/// The largest power of a thousand that leaves a whole number.
fn thousands(nanos: i128) -> (i128, usize) {
    let (mut value, mut step) = (nanos, 0);
    while value % 1000 == 0 && step + 1 < DECIMAL.len() {
        value /= 1000;
        step += 1;
    }
    (value, step)
}

fn decimal(nanos: i128) -> String {
    if nanos == 0 {
        return "0".to_owned();
    }
    let (value, step) = thousands(nanos);
    format!("{value}{}", DECIMAL[step])
}

fn exponential(nanos: i128) -> String {
    if nanos == 0 {
        return "0".to_owned();
    }
    let (value, step) = thousands(nanos);
    match i64::try_from(step).unwrap_or(0) * 3 - 9 {
        0 => value.to_string(),
        exponent => format!("{value}e{exponent}"),
    }
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn equal_quantities_have_one_form() {
        let cases = [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("1024Mi", "1Gi"),
            ("0.5Gi", "512Mi"),
            ("1500Mi", "1500Mi"),
            ("1000", "1k"),
            ("1", "1"),
            ("0", "0"),
            ("0.0", "0"),
            ("100Mi", "100Mi"),
            ("1e3", "1e3"),
            ("1E6", "1e6"),
            ("12e1", "120"),
            ("-1000m", "-1"),
            ("1.5Gi", "1536Mi"),
            ("0.1n", "1n"),
            ("512Ki", "512Ki"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("5.", "5"),
            ("2000000k", "2G"),
        ];
        for (given, expected) in cases {
            assert_eq!(canonical(given).as_deref(), Some(expected), "{given}");
        }
        for bad in ["", "m", "1x", "1..2", "1 Gi", "-", "1e", "0x1"] {
            assert_eq!(canonical(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_normal_form_is_its_own() {
        for text in ["1", "500m", "512Mi", "1e3", "-1", "7Ei"] {
            assert_eq!(canonical(text).as_deref(), Some(text));
        }
    }
}
