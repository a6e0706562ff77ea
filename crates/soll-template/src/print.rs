//! Values as text: Go's `fmt`.

use crate::number::format_float;
use crate::quote::{push_quoted, quoted_char};
use crate::unicode::is_print;
use crate::value::{Element, Kind, Value};

/// Nesting past this is taken for a cycle.
pub(crate) const MAX_DEPTH: usize = 1_000;

/// `%v`, as text.
pub(crate) fn to_text(value: &Value) -> String {
    let mut out = Vec::new();
    write(&mut out, value);
    String::from_utf8(out).unwrap_or_else(|error| crate::functions::lossy(error.as_bytes()).into_owned())
}

/// `%v`. Values nested too deeply end in `…`; [`too_deep`] says which they are.
pub(crate) fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Str(text) => out.extend_from_slice(text.as_bytes()),
        Value::Raw(bytes) => out.extend_from_slice(bytes),
        _ => Printer { out, flags: Flags::default(), limit: usize::MAX }.value(value, 'v', 0),
    }
}

/// `fmt.Sprint`: spaces between operands of which neither is text.
pub(crate) fn sprint(args: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 && !arg.is_text() && !args[index - 1].is_text() {
            out.push(b' ');
        }
        write(&mut out, arg);
    }
    out
}

/// `fmt.Sprintln`.
pub(crate) fn sprintln(args: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, arg) in args.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        write(&mut out, arg);
    }
    out.push(b'\n');
    out
}

#[derive(Clone, Copy, Default)]
struct Flags {
    sharp: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    /// `%#v`
    go_syntax: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Widths and precisions past this are not taken.
const TOO_LARGE: usize = 1_000_000;

/// Prints values by a format of Go, for messages that quote what charts say.
#[must_use]
pub fn format(format: &str, args: &[Value]) -> String {
    String::from_utf8_lossy(&sprintf(format.as_bytes(), args, usize::MAX)).into_owned()
}

/// `fmt.Sprintf`. Once the text is longer than `limit`, the rest is left out.
pub(crate) fn sprintf(format: &[u8], args: &[Value], limit: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut scan = Scan { format, at: 0, next: 0, reordered: false, good_index: true, args, limit };
    while scan.at < format.len() && out.len() <= limit {
        let start = scan.at;
        while scan.at < format.len() && format[scan.at] != b'%' {
            scan.at += 1;
        }
        out.extend_from_slice(&format[start..scan.at]);
        if scan.at < format.len() {
            scan.at += 1;
            scan.verb(&mut out);
        }
    }
    if !scan.reordered && scan.next < args.len() {
        out.extend_from_slice(b"%!(EXTRA ");
        for (index, arg) in args[scan.next..].iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            if !matches!(arg, Value::Nil) {
                out.extend_from_slice(arg.type_name().as_bytes());
                out.push(b'=');
            }
            write(&mut out, arg);
        }
        out.push(b')');
    }
    out
}

/// A format being read.
struct Scan<'a> {
    format: &'a [u8],
    at: usize,
    /// The argument that comes next.
    next: usize,
    reordered: bool,
    good_index: bool,
    args: &'a [Value],
    limit: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn verb(&mut self, out: &mut Vec<u8>) {
        self.good_index = true;
        let mut flags = Flags::default();
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut after_index = self.index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.int_arg() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => out.extend_from_slice(b"%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            flags.width = self.number();
            if after_index && flags.width.is_some() {
                self.good_index = false;
            }
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if after_index {
                self.good_index = false;
            }
            after_index = self.index();
            if self.peek() == Some(b'*') {
                self.at += 1;
                let precision = self.int_arg();
                flags.precision = precision.and_then(|precision| usize::try_from(precision).ok());
                if flags.precision.is_none() {
                    out.extend_from_slice(b"%!(BADPREC)");
                }
                after_index = false;
            } else {
                flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let Some(verb) = self.character() else {
            out.extend_from_slice(b"%!(NOVERB)");
            return;
        };
        let complaint = |out: &mut Vec<u8>, what: &str| out.extend_from_slice(format!("%!{verb}({what})").as_bytes());
        if verb == '%' {
            out.push(b'%');
        } else if !self.good_index {
            complaint(out, "BADINDEX");
        } else if self.next >= self.args.len() {
            complaint(out, "MISSING");
        } else {
            if verb == 'v' {
                flags.go_syntax = std::mem::take(&mut flags.sharp);
                flags.plus = false;
            }
            let arg = &self.args[self.next];
            Printer { out, flags, limit: self.limit }.argument(arg, verb);
            self.next += 1;
        }
    }

    fn character(&mut self) -> Option<char> {
        let rest = &self.format[self.at.min(self.format.len())..];
        let first = rest.utf8_chunks().next()?;
        let (c, length) = match first.valid().chars().next() {
            Some(c) => (c, c.len_utf8()),
            None => (char::REPLACEMENT_CHARACTER, 1),
        };
        self.at += length;
        Some(c)
    }

    fn number(&mut self) -> Option<usize> {
        let start = self.at;
        let mut number = 0usize;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number * 10 + usize::from(digit - b'0');
            if number > TOO_LARGE {
                self.at = self.format.len();
                return None;
            }
            self.at += 1;
        }
        (self.at > start).then_some(number)
    }

    fn int_arg(&mut self) -> Option<i64> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        let number = match arg {
            Value::Int(number) | Value::Int64(number) => *number,
            Value::Byte(byte) => i64::from(*byte),
            _ => return None,
        };
        (number.unsigned_abs() <= TOO_LARGE as u64).then_some(number)
    }

    /// `[n]` names the argument to come. Says whether there was one.
    fn index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = &self.format[self.at..];
        let Some(length) = rest.iter().position(|byte| *byte == b']') else {
            self.good_index = false;
            self.at += 1;
            return false;
        };
        let digits = std::str::from_utf8(&rest[1..length]).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        self.at += length + 1;
        match digits.and_then(|digits| digits.parse::<usize>().ok()) {
            Some(index) if (1..=self.args.len()).contains(&index) => {
                self.next = index - 1;
                true
            }
            Some(_) => {
                self.good_index = false;
                true
            }
            None => {
                self.good_index = false;
                false
            }
        }
    }
}

struct Printer<'o> {
    out: &'o mut Vec<u8>,
    flags: Flags,
    limit: usize,
}

impl Printer<'_> {
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.padded(b"<nil>"),
            (_, 'T') => self.text(value.type_name().as_bytes(), 's'),
            (Value::Nil, _) => self.bad_verb(value, verb),
            _ => self.value(value, verb, 0),
        }
    }

    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.push(&format!("%!{verb}("));
        if matches!(value, Value::Nil) {
            self.push("<nil>");
        } else {
            self.push(value.type_name());
            self.push("=");
            let flags = std::mem::take(&mut self.flags);
            // The width and the signs stay in force, as in Go.
            self.flags = Flags { go_syntax: false, ..flags };
            self.value(value, 'v', 0);
            self.flags = flags;
        }
        self.push(")");
    }

    fn value(&mut self, value: &Value, verb: char, depth: usize) {
        if depth > MAX_DEPTH {
            return self.push("…");
        }
        // A width may make a page of every item.
        if self.out.len() > self.limit {
            return;
        }
        match value {
            Value::Nil if self.flags.go_syntax => self.push("interface {}(nil)"),
            Value::Nil if depth > 0 => self.push("<nil>"),
            Value::Nil => self.padded(b"<nil>"),
            Value::Bool(truth) => match verb {
                't' | 'v' => self.padded(if *truth { b"true" } else { b"false" }),
                _ => self.bad_verb(value, verb),
            },
            Value::Int(number) | Value::Int64(number) => self.integer(value, i128::from(*number), verb),
            Value::Byte(byte) if self.flags.go_syntax => self.push(&format!("{byte:#x}")),
            Value::Byte(byte) => self.integer(value, i128::from(*byte), verb),
            Value::Uint64(number) if self.flags.go_syntax => self.push(&format!("{number:#x}")),
            Value::Uint64(number) => self.integer(value, i128::from(*number), verb),
            Value::Float(number) => self.float_verb(value, *number, verb),
            Value::Complex(..) if !"vbgGxXfFeE".contains(verb) => self.bad_verb(value, verb),
            Value::Complex(real, imaginary) => {
                let flags = self.flags;
                self.push("(");
                self.float_verb(value, *real, verb);
                self.flags.plus = true;
                self.float_verb(value, *imaginary, verb);
                self.push("i)");
                self.flags = flags;
            }
            Value::Str(_) | Value::Raw(_) => {
                let bytes = value.as_bytes().expect("it is text");
                match verb {
                    'v' if self.flags.go_syntax => self.text(bytes, 'q'),
                    'v' => self.text(bytes, 's'),
                    's' | 'q' | 'x' | 'X' => self.text(bytes, verb),
                    _ => self.bad_verb(value, verb),
                }
            }
            Value::List(list) => {
                if list.element() == Element::Byte && matches!(verb, 's' | 'q' | 'x' | 'X') {
                    let bytes: Vec<u8> = bytes_of(value);
                    return self.text(&bytes, verb);
                }
                let go_syntax = self.flags.go_syntax;
                if go_syntax {
                    self.push(list.element().list_type());
                    if list.is_nil() {
                        return self.push("(nil)");
                    }
                }
                self.push(if go_syntax { "{" } else { "[" });
                for (index, item) in list.items().iter().enumerate() {
                    if index > 0 {
                        self.push(if go_syntax { ", " } else { " " });
                    }
                    self.value(item, verb, depth + 1);
                }
                self.push(if go_syntax { "}" } else { "]" });
            }
            Value::Map(map) => {
                let go_syntax = self.flags.go_syntax;
                if go_syntax {
                    self.push(map.kind().name());
                    if map.is_nil() {
                        return self.push("(nil)");
                    }
                    self.push("{");
                } else {
                    self.push("map[");
                }
                for (index, (key, item)) in map.entries().iter().enumerate() {
                    if index > 0 {
                        self.push(if go_syntax { ", " } else { " " });
                    }
                    self.value(&Value::Str(key.clone()), verb, depth + 1);
                    self.push(":");
                    self.value(item, verb, depth + 1);
                }
                self.push(if go_syntax { "}" } else { "]" });
            }
            Value::Time(time) => match verb {
                'v' | 's' | 'x' | 'X' | 'q' => {
                    let text = time.to_string();
                    self.text(text.as_bytes(), if verb == 'v' { 's' } else { verb });
                }
                _ => self.bad_verb(value, verb),
            },
            Value::Object(object) => {
                let go_syntax = self.flags.go_syntax;
                if let Some(text) = object.string()
                    && matches!(verb, 'v' | 's' | 'x' | 'X' | 'q')
                    && !go_syntax
                {
                    return self.text(text.as_bytes(), if verb == 'v' { 's' } else { verb });
                }
                match object.kind() {
                    Kind::Struct | Kind::Ptr => {
                        if object.kind() == Kind::Ptr {
                            self.push("&");
                        }
                        if go_syntax {
                            self.push(object.type_name().trim_start_matches('*'));
                        }
                        self.push("{");
                        for (index, (name, item)) in object.fields().iter().enumerate() {
                            if index > 0 {
                                self.push(if go_syntax { ", " } else { " " });
                            }
                            if go_syntax {
                                self.push(&format!("{name}:"));
                            }
                            self.value(item, verb, depth + 1);
                        }
                        self.push("}");
                    }
                    _ => self.value(&object.contents(), verb, depth + 1),
                }
            }
        }
    }

    /// Pads to the width, in characters.
    fn padded(&mut self, bytes: &[u8]) {
        let count = bytes.utf8_chunks().map(|chunk| chunk.valid().chars().count() + chunk.invalid().len()).sum();
        let missing = self.flags.width.unwrap_or(0).saturating_sub(count);
        if self.flags.minus {
            self.out.extend_from_slice(bytes);
            self.out.extend(std::iter::repeat_n(b' ', missing));
        } else {
            let pad = if self.flags.zero { b'0' } else { b' ' };
            self.out.extend(std::iter::repeat_n(pad, missing));
            self.out.extend_from_slice(bytes);
        }
    }

    fn text(&mut self, bytes: &[u8], verb: char) {
        let hex = matches!(verb, 'x' | 'X');
        let bytes = match self.flags.precision {
            Some(precision) if hex => &bytes[..precision.min(bytes.len())],
            Some(precision) => first_chars(bytes, precision),
            None => bytes,
        };
        match verb {
            'q' => {
                let mut quoted = String::new();
                if self.flags.sharp && can_backquote(bytes) {
                    quoted = format!("`{}`", String::from_utf8_lossy(bytes));
                } else {
                    push_quoted(&mut quoted, bytes, self.flags.plus);
                }
                self.padded(quoted.as_bytes());
            }
            'x' | 'X' => {
                let mut out = String::new();
                for (index, byte) in bytes.iter().enumerate() {
                    if self.flags.space && index > 0 {
                        out.push(' ');
                    }
                    if self.flags.sharp && (index == 0 || self.flags.space) {
                        out.push('0');
                        out.push(verb);
                    }
                    out.push_str(&if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
                }
                self.padded(out.as_bytes());
            }
            _ => self.padded(bytes),
        }
    }

    fn integer(&mut self, value: &Value, number: i128, verb: char) {
        match verb {
            'v' | 'd' => self.digits(number, 10, false, ""),
            'b' => self.digits(number, 2, false, "0b"),
            'o' => self.digits(number, 8, false, "0"),
            'O' => {
                let flags = self.flags;
                self.flags.sharp = true;
                self.digits(number, 8, false, "0o");
                self.flags = flags;
            }
            'x' => self.digits(number, 16, false, "0x"),
            'X' => self.digits(number, 16, true, "0X"),
            'c' => {
                let c = character_of(number);
                self.padded(c.to_string().as_bytes());
            }
            'q' => {
                let quoted = quoted_char(character_of(number), self.flags.plus);
                self.padded(quoted.as_bytes());
            }
            'U' => {
                // A negative number shows its 64 bits.
                let code = number as u64;
                let mut text = format!("U+{code:04X}");
                if let Some(precision) = self.flags.precision
                    && precision > 4
                {
                    text = format!("U+{code:0precision$X}");
                }
                if self.flags.sharp
                    && let Some(c) = u32::try_from(number).ok().and_then(char::from_u32)
                    && is_print(c)
                {
                    text.push_str(&format!(" '{c}'"));
                }
                let zero = std::mem::take(&mut self.flags.zero);
                self.padded(text.as_bytes());
                self.flags.zero = zero;
            }
            _ => self.bad_verb(value, verb),
        }
    }

    fn digits(&mut self, number: i128, base: u32, upper: bool, prefix: &str) {
        let flags = self.flags;
        let negative = number < 0;
        let mut precision = flags.precision.unwrap_or(0);
        if flags.precision == Some(0) && number == 0 {
            let zero = std::mem::take(&mut self.flags.zero);
            self.padded(b"");
            self.flags.zero = zero;
            return;
        }
        if flags.precision.is_none() && flags.zero && !flags.minus && flags.width.is_some() {
            precision = flags.width.unwrap_or(0);
            if negative || flags.plus || flags.space {
                precision = precision.saturating_sub(1);
            }
        }
        let magnitude = number.unsigned_abs();
        let mut digits = match base {
            2 => format!("{magnitude:b}"),
            8 => format!("{magnitude:o}"),
            16 if upper => format!("{magnitude:X}"),
            16 => format!("{magnitude:x}"),
            _ => magnitude.to_string(),
        };
        if digits.len() < precision {
            digits.insert_str(0, &"0".repeat(precision - digits.len()));
        }
        if flags.sharp && base != 10 && !(prefix == "0" && digits.starts_with('0')) {
            digits.insert_str(0, prefix);
        }
        if negative {
            digits.insert(0, '-');
        } else if flags.plus {
            digits.insert(0, '+');
        } else if flags.space {
            digits.insert(0, ' ');
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.padded(digits.as_bytes());
        self.flags.zero = zero;
    }

    fn float_verb(&mut self, value: &Value, number: f64, verb: char) {
        match verb {
            'v' => self.float(number, 'g', None),
            'g' | 'G' | 'x' | 'X' | 'b' => self.float(number, verb, None),
            'e' | 'E' | 'f' | 'F' => self.float(number, if verb == 'F' { 'f' } else { verb }, Some(6)),
            _ => self.bad_verb(value, verb),
        }
    }

    fn float(&mut self, number: f64, format: char, default: Option<usize>) {
        let flags = self.flags;
        let precision = flags.precision.or(default);
        let precision = precision.map_or(-1, |precision| i32::try_from(precision).unwrap_or(i32::MAX));
        let mut text = format_float(number, format, precision);
        if !text.starts_with(['+', '-']) {
            text.insert(0, '+');
        }
        if flags.space && text.starts_with('+') && !flags.plus {
            text.replace_range(..1, " ");
        }
        if !number.is_finite() {
            let zero = std::mem::take(&mut self.flags.zero);
            let shown = if number.is_nan() && !flags.space && !flags.plus { &text[1..] } else { &text };
            self.padded(shown.as_bytes());
            self.flags.zero = zero;
            return;
        }
        if flags.sharp && format != 'b' {
            text = keep_point(&text, format, precision);
        }
        if flags.plus || !text.starts_with('+') {
            let missing = flags.width.unwrap_or(0).saturating_sub(text.len());
            if flags.zero && !flags.minus && missing > 0 {
                self.push(&text[..1]);
                self.push(&"0".repeat(missing));
                self.push(&text[1..]);
            } else {
                self.padded(text.as_bytes());
            }
            return;
        }
        self.padded(&text.as_bytes()[1..]);
    }
}

/// What `#` asks of a float: always a point, and for `%g` all the digits.
fn keep_point(text: &str, format: char, precision: i32) -> String {
    let split = if matches!(format, 'x' | 'X') { text.find(['p', 'P']) } else { text.find(['e', 'E']) };
    let (number, tail) = text.split_at(split.unwrap_or(text.len()));
    let mut missing = match format {
        'g' | 'G' | 'x' | 'X' => {
            if precision < 0 {
                6
            } else {
                i64::from(precision)
            }
        }
        _ => 0,
    };
    let mut out = number.to_owned();
    // Digits count from the first that is not zero, after the sign; the `x` of a prefix counts as one.
    let digits = number[1..].chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    missing -= i64::try_from(digits).unwrap_or(0);
    if !out.contains('.') {
        if &out[1..] == "0" {
            missing -= 1;
        }
        out.push('.');
    }
    out.push_str(&"0".repeat(usize::try_from(missing).unwrap_or(0)));
    out + tail
}

fn character_of(number: i128) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Whether Go writes a text between backquotes.
pub(crate) fn can_backquote(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| !text.chars().any(|c| c == '\u{feff}' || c != '\t' && c.is_ascii_control() || c == '`'))
}

/// The first characters, counting a byte that is not UTF-8 as one.
fn first_chars(bytes: &[u8], count: usize) -> &[u8] {
    let mut left = count;
    let mut length = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if left == 0 {
                return &bytes[..length];
            }
            left -= 1;
            length += c.len_utf8();
        }
        for _ in chunk.invalid() {
            if left == 0 {
                return &bytes[..length];
            }
            left -= 1;
            length += 1;
        }
    }
    bytes
}

/// The bytes of a `[]uint8`.
pub(crate) fn bytes_of(value: &Value) -> Vec<u8> {
    match value {
        Value::List(list) => list
            .items()
            .iter()
            .filter_map(|item| match item {
                Value::Byte(byte) => Some(*byte),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}
