//! Go's `unicode` predicates, where Rust's differ or have none.

use std::sync::LazyLock;

use regex::Regex;

/// A class of characters by its Unicode category; ASCII is answered without the table.
struct Class {
    ascii: fn(u8) -> bool,
    rest: LazyLock<Regex>,
}

impl Class {
    fn has(&self, c: char) -> bool {
        match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => (self.ascii)(byte),
            _ => self.rest.is_match(c.encode_utf8(&mut [0; 4])),
        }
    }
}

macro_rules! class {
    ($name:ident, $function:ident, $ascii:expr, $pattern:literal, $doc:literal) => {
        static $name: Class = Class {
            ascii: $ascii,
            rest: LazyLock::new(|| Regex::new(concat!("^", $pattern, "$")).expect("the pattern is a constant")),
        };
        #[doc = $doc]
        pub(crate) fn $function(c: char) -> bool {
            $name.has(c)
        }
    };
}

class!(LETTER, is_letter, |b| b.is_ascii_alphabetic(), r"\p{L}", "`unicode.IsLetter`");
class!(DIGIT, is_digit, |b| b.is_ascii_digit(), r"\p{Nd}", "`unicode.IsDigit`");
class!(NUMBER, is_number, |b| b.is_ascii_digit(), r"\p{N}", "`unicode.IsNumber`");
class!(UPPER, is_upper, |b| b.is_ascii_uppercase(), r"\p{Lu}", "`unicode.IsUpper`");
class!(LOWER, is_lower, |b| b.is_ascii_lowercase(), r"\p{Ll}", "`unicode.IsLower`");
class!(TITLE, is_title, |_| false, r"\p{Lt}", "`unicode.IsTitle`");
class!(
    PUNCT,
    is_punct,
    |b| b.is_ascii_punctuation() && !matches!(b, b'$' | b'+' | b'<' | b'=' | b'>' | b'^' | b'`' | b'|' | b'~'),
    r"\p{P}",
    "`unicode.IsPunct`"
);
class!(
    PRINT,
    is_print,
    |b| b.is_ascii_graphic() || b == b' ',
    r"[\p{L}\p{M}\p{N}\p{P}\p{S}]",
    "`unicode.IsPrint`, and `strconv.IsPrint`, which has the same table"
);

/// `unicode.IsSpace`
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace()
}

/// `unicode.ToUpper`: one character for one.
pub(crate) fn to_upper(c: char) -> char {
    one(c, c.to_uppercase())
}

/// `unicode.ToLower`: one character for one.
pub(crate) fn to_lower(c: char) -> char {
    match c {
        'İ' => 'i',
        _ => one(c, c.to_lowercase()),
    }
}

/// `unicode.ToTitle`: one character for one.
pub(crate) fn to_title(c: char) -> char {
    match c {
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        // Georgian has capitals but no title case.
        'ა'..='ჺ' | 'ჽ'..='ჿ' => c,
        _ => to_upper(c),
    }
}

/// What a full case mapping says, if it is one character; Go has no others.
fn one(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}
