//! Arguments: from the pools, from the values, or made up.

use super::Generator;
use super::pools::*;

const WORDS: &[&str] = &[
    "foo",
    "Bar",
    "hello world",
    "a",
    "x1",
    "v1.2.3",
    "日本",
    "é",
    "ß",
    "☃",
    "😀",
    "İ",
    "ǆ",
    "HTTPServer",
    "my_var",
    "it's",
    "e\u{301}",
    "\u{200b}",
];
const MARKS: &[&str] = &[
    "-", "_", ".", "/", ":", " ", ",", ": ", "=", "#", " #", "%", "&", "<", ">", "'", "\"", "\\", "`", "$", "@", "!",
    "*", "|", "{", "}", "[", "]", "~", "?", "+", "(", ")", ";", "^", "%20", "${x}", "$1",
];
const BLANKS: &[&str] = &["\n", "\t", " ", "\r\n", "  ", "\n\n", "\u{a0}", "\u{2028}", "\u{85}"];
const CONTROLS: &[&str] = &["\0", "\u{7}", "\u{1b}", "\u{7f}", "\u{85}", "\u{feff}", "\u{9f}", "\u{fffe}", "\u{fffd}"];
const YAMLISH: &[&str] = &[
    "true",
    "null",
    "~",
    "yes",
    "No",
    "0x1F",
    "1e3",
    "-1",
    "1_000",
    "0o7",
    ".inf",
    "2020-01-01",
    "1:30",
    "- a",
    "a: b",
    "# c",
    "---",
    "<<",
    "=",
    "!!str x",
    "|\n x",
    " lead",
    "trail ",
    "&a x",
    "*a",
    "? k",
    "@x",
    "`x",
    "%x",
    "[1, 2]",
    "{a: 1}",
    "off",
    "Y",
    "0b11",
    "+.5",
    "08",
    "\"q\"",
    "'q'",
    "a #b",
    "key:",
    "...",
];
const FIGURES: &[&str] = &["1", "0", "42", "-7", "3.14", "007", "1e400", "9223372036854775808", "12h", "1.5.0", "+1"];

impl Generator {
    /// A text, made up.
    pub(super) fn made_up_text(&mut self) -> String {
        let mut text = String::new();
        if self.chance.percent(25) {
            let pool = if self.chance.percent(30) { FIGURES } else { YAMLISH };
            return self.chance.pick(pool).to_owned();
        }
        for _ in 0..self.chance.below(6) {
            let pool = match self.chance.below(20) {
                0..=7 => WORDS,
                8..=12 => MARKS,
                13..=15 => BLANKS,
                16..=17 => FIGURES,
                18 => YAMLISH,
                _ => CONTROLS,
            };
            text.push_str(self.chance.pick(pool));
        }
        if self.chance.percent(4) {
            text = text.repeat(1 + self.chance.below(40));
        }
        text
    }

    /// A literal of a text, now and then of bytes that are none.
    pub(super) fn text_literal(&mut self) -> String {
        let text = self.made_up_text();
        if self.chance.percent(15) && !text.contains(['`', '\r']) {
            return format!("`{text}`");
        }
        let mut literal = go_quoted(&text);
        if self.chance.percent(5) && !self.utf8 {
            let bytes = self.chance.pick(&["\\xff", "\\xe6\\x97", "\\x80a", "\\xc3\\x28", "\\xed\\xa0\\x80"]);
            literal.insert_str(if self.chance.percent(50) { 1 } else { literal.len() - 1 }, bytes);
        }
        literal
    }

    pub(super) fn string(&mut self) -> String {
        if self.chance.percent(35) { self.text_literal() } else { self.chance.pick(STRINGS).to_owned() }
    }

    /// A count that nothing takes for ever with.
    pub(super) fn small(&mut self) -> String {
        let pool = [
            "0",
            "1",
            "2",
            "3",
            "5",
            "-1",
            "10",
            "(len .str)",
            "(int .int)",
            "4",
            "(int \"7\")",
            "'a'",
            "-3",
            "17",
            "40",
            "3.0",
            "1e1",
        ];
        self.chance.pick(&pool).to_owned()
    }

    pub(super) fn integer(&mut self) -> String {
        if self.chance.percent(60) {
            return self.chance.pick(INTEGERS).to_owned();
        }
        let number = self.any_integer();
        match self.chance.below(4) {
            0 => format!("(int64 {number})"),
            1 if number >= 0 => format!("{number:#x}"),
            _ => number.to_string(),
        }
    }

    pub(super) fn any_integer(&mut self) -> i64 {
        let bits = self.chance.below(64);
        let number = (self.chance.next() >> 1 >> bits.min(62)) as i64;
        match self.chance.below(6) {
            0 => -number,
            1 => (1_i64 << bits.min(62)) - 1,
            2 => self.chance.below(20) as i64,
            3 => 10_i64.pow(self.chance.below(18) as u32) - self.chance.below(2) as i64,
            _ => number,
        }
    }

    pub(super) fn real(&mut self) -> String {
        if self.chance.percent(60) { self.chance.pick(REALS).to_owned() } else { float_literal(self.any_float()) }
    }

    /// A number of any size, in few or many digits.
    pub(super) fn any_float(&mut self) -> f64 {
        let mantissa = match self.chance.below(4) {
            0 => self.chance.below(1000) as f64 / 8.0,
            1 => self.chance.below(100_000) as f64 / 100.0,
            2 => (self.chance.next() >> 11) as f64,
            _ => self.chance.below(1_000_000) as f64,
        };
        let exponent = match self.chance.below(5) {
            0 => self.chance.below(40) as i32 - 20,
            1 => self.chance.below(600) as i32 - 300,
            _ => 0,
        };
        let number = mantissa * 10_f64.powi(exponent);
        let number = if number.is_finite() { number } else { mantissa };
        if self.chance.percent(25) { -number } else { number }
    }

    pub(super) fn number(&mut self) -> String {
        if self.chance.percent(50) { self.integer() } else { self.real() }
    }

    pub(super) fn boolean(&mut self) -> String {
        self.chance.pick(BOOLS).to_owned()
    }

    pub(super) fn list(&mut self) -> String {
        if self.chance.percent(70) || self.depth > 2 {
            return self.chance.pick(LISTS).to_owned();
        }
        self.depth += 1;
        let count = self.chance.below(5);
        let one_kind = self.chance.percent(50).then(|| self.chance.below(3));
        let items: Vec<_> = (0..count)
            .map(|_| match one_kind {
                Some(0) => self.string(),
                Some(1) => self.number(),
                _ => self.anything(),
            })
            .collect();
        self.depth -= 1;
        format!("(list {})", items.join(" "))
    }

    pub(super) fn map(&mut self) -> String {
        if self.chance.percent(70) || self.depth > 2 {
            return self.chance.pick(MAPS).to_owned();
        }
        self.depth += 1;
        let mut text = "(dict".to_owned();
        for _ in 0..self.chance.below(5) {
            let key = if self.chance.percent(60) {
                self.chance.pick(&["\"a\"", "\"b\"", "\"k\"", "\"key1\"", "\"name\"", "\"x\""]).to_owned()
            } else {
                let text = self.made_up_text().replace('\u{85}', "");
                go_quoted(&text)
            };
            text = format!("{text} {key} {}", self.anything());
        }
        self.depth -= 1;
        text + ")"
    }
}

/// As Go writes a text within quotes.
pub(super) fn go_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c < ' ' || matches!(c, '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{feff}' | '\u{fffd}' | '\u{fffe}') => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

fn float_literal(number: f64) -> String {
    let text = format!("{number:?}");
    if text.contains(['.', 'e']) { text } else { text + ".0" }
}
