//! Dates among plain scalars.

/// Reads the four forms of date that Go's YAML packages know, and writes it as Go's JSON does.
///
/// `2001-01-02`, `2001-1-2 3:4:5.6`, and `2001-1-2T3:4:5Z` with either case of the `T`.
pub(super) fn normalized(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || bytes[4] != b'-' || !bytes[..4].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut scan = Scan(&text[5..]);
    let year: u32 = text[..4].parse().ok()?;
    let month = scan.number()?;
    scan.literal('-')?;
    let day = scan.number()?;
    if !(1..=12).contains(&month) || day == 0 || day > days(year, month) {
        return None;
    }
    let mut clock = (0, 0, 0);
    let mut fraction = "";
    let mut zone = "Z";
    if !scan.0.is_empty() {
        let separator = scan.any()?;
        clock.0 = scan.number()?;
        scan.literal(':')?;
        clock.1 = scan.number()?;
        scan.literal(':')?;
        clock.2 = scan.number()?;
        fraction = scan.fraction()?;
        match separator {
            'T' | 't' => zone = zone_of(scan.0)?,
            ' ' if scan.0.is_empty() => {}
            _ => return None,
        }
    }
    let (hour, minute, second) = clock;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{dot}{fraction}{zone}"))
}

/// What is left to read.
struct Scan<'t>(&'t str);

impl<'t> Scan<'t> {
    /// One or two digits.
    fn number(&mut self) -> Option<u32> {
        let digits = self.0.bytes().take(2).take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        number.parse().ok()
    }

    fn literal(&mut self, expected: char) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    fn any(&mut self) -> Option<char> {
        let first = self.0.chars().next()?;
        self.0 = &self.0[first.len_utf8()..];
        Some(first)
    }

    /// The digits after a point, at most nine; nothing if there is no point.
    fn fraction(&mut self) -> Option<&'t str> {
        let Some(rest) = self.0.strip_prefix('.') else { return Some("") };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (fraction, rest) = rest.split_at(digits);
        self.0 = rest;
        (1..=9).contains(&digits).then_some(fraction)
    }
}

fn zone_of(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    match bytes {
        b"Z" => Some("Z"),
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            let digits = [h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit);
            let sane = text[1..3].parse::<u32>().ok()? <= 24 && text[4..].parse::<u32>().ok()? < 60;
            (digits && sane).then_some(if &text[1..] == "00:00" { "Z" } else { text })
        }
        _ => None,
    }
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_forms_of_go() {
        for (text, expected) in [
            ("2001-01-02", Some("2001-01-02T00:00:00Z")),
            ("2001-1-2 3:4:5.60", Some("2001-01-02T03:04:05.6Z")),
            ("2001-01-02t03:04:05+02:00", Some("2001-01-02T03:04:05+02:00")),
            ("2001-02-29", None),
            ("2001-12-14 21:59:43.10 -5", None),
            ("2001-01-02T", None),
            ("2001-01-0é", None),
            ("12001-01-02", None),
        ] {
            assert_eq!(normalized(text).as_deref(), expected, "{text}");
        }
    }
}
