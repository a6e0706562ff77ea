//! Quantities: `100m`, `1.5Gi`, `1e3`, compared by what they mean.

/// A quantity in billionths, which is as fine as the API server keeps them; finer ones are rounded up, as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity(i128);

const NANO: i128 = 1_000_000_000;

impl Quantity {
    /// Reads a quantity; nothing for text that is none, or that is past what can be told apart.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let digits = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(digits);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return None;
        }
        let (numerator, denominator) = scale(suffix)?;
        let mantissa: i128 = [whole, fraction].concat().parse().ok()?;
        let denominator = denominator.checked_mul(power(10, fraction.len())?)?;
        let nanos = mantissa.checked_mul(numerator)?.checked_mul(NANO)?;
        let nanos = nanos / denominator + i128::from(nanos % denominator > 0);
        Some(Self(if negative { -nanos } else { nanos }))
    }
}

/// What a suffix multiplies by, as a fraction.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const DECIMAL: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    const SMALL: [&str; 3] = ["m", "u", "n"];
    let place = |list: &[&str]| list.iter().position(|other| *other == suffix);
    if suffix.is_empty() {
        return Some((1, 1));
    }
    if let Some(place) = place(&BINARY) {
        return Some((power(1024, place + 1)?, 1));
    }
    if let Some(place) = place(&DECIMAL) {
        return Some((power(1000, place + 1)?, 1));
    }
    if let Some(place) = place(&SMALL) {
        return Some((1, power(1000, place + 1)?));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = power(10, usize::try_from(exponent.unsigned_abs()).ok()?)?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

fn power(base: i128, exponent: usize) -> Option<i128> {
    base.checked_pow(u32::try_from(exponent).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_amounts_are_equal() {
        for (a, b) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("1e-3", "1m"),
            ("-1", "-1000m"),
            ("+1", "1"),
            ("0", "0Gi"),
            ("100n", "0.1u"),
            ("0.1n", "1n"),
            ("1E", "1000P"),
        ] {
            let quantity = Quantity::parse(a);
            assert!(quantity.is_some(), "{a}");
            assert_eq!(quantity, Quantity::parse(b), "{a} {b}");
        }
        assert_ne!(Quantity::parse("1M"), Quantity::parse("1Mi"));
    }

    #[test]
    fn other_text_is_no_quantity() {
        for text in ["", "m", "1 m", "1.1.1", "1kb", "e3", "1e", "--1", ".", "one", "1e999"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }
}
