//! From values to text.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write as _;

use super::scalar::{is_word, stays_text};
use crate::json::{go_float, shortest_float};
use crate::{Data, Value};

/// Writes a value as `sigs.k8s.io/yaml` does: keys sorted, two spaces, lists flush with their key,
/// plain and quoted text folded past 80 columns, text of several lines as a block.
#[must_use]
pub fn emit_yaml(value: &Value) -> String {
    emit_documents(std::slice::from_ref(value))
}

/// Writes values as [`emit_yaml`] does, with a line of `---` between them.
#[must_use]
pub fn emit_documents(values: &[Value]) -> String {
    /// Fewer are in the processor's caches anyway.
    const MANY: usize = 1000;
    let mut writer = Writer::new(Style::V2);
    if values.len() < MANY {
        for (position, value) in values.iter().enumerate() {
            if position > 0 {
                writer.out.push_str("---\n");
            }
            writer.document(value);
        }
        return writer.out;
    }
    // Values that were read one after the other are neighbours in memory, and sorting has scattered them: to write them in
    // the order of reading and then put the texts in order costs less.
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|position| values[*position].at);
    let mut texts = vec![0..0; values.len()];
    for position in order {
        let start = writer.out.len();
        writer.document(&values[position]);
        texts[position] = start..writer.out.len();
    }
    let mut out = String::with_capacity(writer.out.len() + 4 * values.len());
    for (position, text) in texts.into_iter().enumerate() {
        if position > 0 {
            out.push_str("---\n");
        }
        out.push_str(&writer.out[text]);
    }
    out
}

/// Writes a value of any type as `yaml.v3` does with an indentation of two: lists stand indented under their key, and
/// lines are as long as they are.
#[must_use]
pub fn emit_yaml_v3<N: YamlNode>(value: &N) -> String {
    let mut writer = Writer::new(Style::V3);
    writer.node(value, Context::Root);
    writer.new_line();
    writer.out
}

/// A value as far as writing it goes.
pub trait YamlNode: Sized {
    /// A key of a map.
    type Key: AsRef<str>;

    /// What it is.
    fn shape(&self) -> YamlShape<'_, Self>;
}

/// What a value is to the writer.
pub enum YamlShape<'n, N: YamlNode> {
    /// A number, a truth, a time: written as it is.
    Plain(Cow<'n, str>),
    /// Text, quoted where it would be read as something else.
    Text(Cow<'n, str>),
    /// Base64, marked as such.
    Binary(String),
    /// A list.
    List(Vec<N>),
    /// A map, in any order.
    Map(Vec<(N::Key, N)>),
    /// A map in this order.
    Fields(Vec<(N::Key, N)>),
}

impl<'v> YamlNode for &'v Value {
    type Key = &'v str;

    fn shape(&self) -> YamlShape<'_, Self> {
        match &self.data {
            Data::Null => YamlShape::Plain("null".into()),
            Data::Bool(true) => YamlShape::Plain("true".into()),
            Data::Bool(false) => YamlShape::Plain("false".into()),
            Data::Int(number) => YamlShape::Plain(number.to_string().into()),
            Data::Float(number) => YamlShape::Plain(float(*number).into()),
            Data::Str(text) => YamlShape::Text(text.as_str().into()),
            Data::List(items) => YamlShape::List(items.iter().collect()),
            Data::Map(map) => YamlShape::Map(map.iter().map(|entry| (entry.key.as_str(), &entry.value)).collect()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    V2,
    V3,
}

/// Lines longer than this are folded at the next space, in v2.
const BEST_WIDTH: usize = 80;
/// Longer keys are written with a leading `?`.
const LONGEST_SIMPLE_KEY: usize = 128;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Context {
    Root,
    Item,
    /// The value of a key; `indented` says whether it stands on a line of its own after `: `.
    Entry {
        indented: bool,
    },
    Key,
}

/// Writes tokens and knows where on the line it is.
struct Writer {
    style: Style,
    out: String,
    /// In characters.
    column: usize,
    /// Spaces of the current level; none at the root.
    indent: Option<usize>,
    /// The last thing written was white space, or what counts as it.
    at_space: bool,
    /// Nothing but indentation and indicators is on this line yet.
    at_indent: bool,
}

impl Writer {
    fn new(style: Style) -> Self {
        Self { style, out: String::new(), column: 0, indent: None, at_space: true, at_indent: true }
    }

    fn document(&mut self, value: &Value) {
        self.node(&value, Context::Root);
        self.new_line();
    }

    fn node<N: YamlNode>(&mut self, value: &N, context: Context) {
        match value.shape() {
            YamlShape::Plain(text) => self.plain(&text, context),
            YamlShape::Text(text) => self.text(&text, context),
            YamlShape::Binary(text) => {
                self.indicator("!!binary", true, false, false);
                if text.contains('\n') {
                    self.text(&text, context);
                } else {
                    self.plain(&text, context);
                }
            }
            YamlShape::List(items) if items.is_empty() => self.empty("[", "]"),
            YamlShape::Map(entries) | YamlShape::Fields(entries) if entries.is_empty() => self.empty("{", "}"),
            YamlShape::List(items) => self.list(&items, context),
            YamlShape::Fields(entries) => self.map(&entries),
            YamlShape::Map(mut entries) => {
                sort(&mut entries, self.style);
                self.map(&entries);
            }
        }
    }

    fn list<N: YamlNode>(&mut self, items: &[N], context: Context) {
        let flush = self.style == Style::V2 && matches!(context, Context::Entry { indented: false });
        let outer = self.enter(flush);
        for item in items {
            self.new_line();
            self.indicator("-", true, false, true);
            self.node(item, Context::Item);
        }
        self.indent = outer;
    }

    fn map<N: YamlNode>(&mut self, entries: &[(N::Key, N)]) {
        let outer = self.enter(false);
        for (key, value) in entries {
            let key = key.as_ref();
            self.new_line();
            if is_simple_key(key) {
                self.text(key, Context::Key);
                self.indicator(":", false, false, false);
                self.node(value, Context::Entry { indented: false });
            } else {
                self.indicator("?", true, false, true);
                self.text(key, Context::Entry { indented: true });
                self.new_line();
                self.indicator(":", true, false, true);
                self.node(value, Context::Entry { indented: true });
            }
        }
        self.indent = outer;
    }

    /// Whether the line is to be folded here.
    fn is_wide(&self) -> bool {
        self.style == Style::V2 && self.column > BEST_WIDTH
    }

    /// Goes one level down and returns the level to come back to.
    fn enter(&mut self, flush: bool) -> Option<usize> {
        let outer = self.indent;
        self.indent = Some(match outer {
            None => 0,
            Some(indent) if flush => indent,
            Some(indent) => indent + 2,
        });
        outer
    }

    fn empty(&mut self, open: &str, close: &str) {
        self.indicator(open, true, true, false);
        self.indicator(close, false, false, false);
    }

    fn text(&mut self, text: &str, context: Context) {
        // Lines after the first stand one level deeper.
        let outer = self.indent;
        self.indent = Some(outer.map_or(2, |indent| indent + 2));
        self.styled(text, context);
        self.indent = outer;
    }

    fn styled(&mut self, text: &str, context: Context) {
        if is_word(text) {
            return self.plain(text, context);
        }
        let shape = Shape::of(text, self.style);
        let multiline_key = context == Context::Key && shape.breaks;
        if text.contains('\n') && !multiline_key {
            if shape.block_allowed && context != Context::Key {
                self.literal(text);
            } else {
                self.double_quoted(text, context);
            }
        } else if multiline_key || !stays_text(text) {
            self.double_quoted(text, context);
        } else if shape.plain_allowed {
            self.plain(text, context);
        } else if shape.single_allowed {
            self.single_quoted(text, context);
        } else {
            self.double_quoted(text, context);
        }
    }

    fn plain(&mut self, text: &str, context: Context) {
        if !self.at_space {
            self.put(' ');
        }
        if self.column + text.len() <= BEST_WIDTH && text.is_ascii() {
            self.out.push_str(text);
            self.column += text.len();
        } else {
            self.folded(text, context);
        }
        self.at_space = false;
        self.at_indent = false;
    }

    fn single_quoted(&mut self, text: &str, context: Context) {
        self.indicator("'", true, false, false);
        let last = text.len() - 1;
        let mut previous_space = false;
        let mut previous_break = false;
        for (position, letter) in text.char_indices() {
            if letter == ' ' {
                let inside = position > 0 && position < last && text.as_bytes()[position + 1] != b' ';
                if context != Context::Key && !previous_space && self.is_wide() && inside {
                    self.new_line();
                } else {
                    self.put(' ');
                }
                previous_space = true;
            } else if is_break(letter) {
                self.put_break(letter);
                previous_break = true;
            } else {
                if previous_break {
                    self.new_line();
                }
                if letter == '\'' {
                    self.put('\'');
                }
                self.put(letter);
                self.at_indent = false;
                previous_space = false;
                previous_break = false;
            }
        }
        self.indicator("'", false, false, false);
        self.at_space = false;
        self.at_indent = false;
    }

    fn double_quoted(&mut self, text: &str, context: Context) {
        self.indicator("\"", true, false, false);
        let mut previous_space = false;
        // Go's writer takes every letter for a byte order mark if the first one is.
        let escapes_all = text.starts_with('\u{feff}');
        for (position, letter) in text.char_indices() {
            if letter == ' ' && !escapes_all {
                let inside = position > 0 && position + 1 < text.len();
                if context != Context::Key && !previous_space && self.is_wide() && inside {
                    self.new_line();
                    if text.as_bytes()[position + 1] == b' ' {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                previous_space = true;
                continue;
            }
            previous_space = false;
            if escapes_all || !is_printable(letter) || is_break(letter) || matches!(letter, '"' | '\\') {
                self.escaped(letter);
            } else {
                self.put(letter);
            }
        }
        self.indicator("\"", false, false, false);
        self.at_space = false;
        self.at_indent = false;
    }

    fn escaped(&mut self, letter: char) {
        let before = self.out.len();
        let short = match letter {
            '\0' => '0',
            '\u{7}' => 'a',
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{b}' => 'v',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\u{1b}' => 'e',
            '"' => '"',
            '\\' => '\\',
            '\u{85}' => 'N',
            '\u{a0}' => '_',
            '\u{2028}' => 'L',
            '\u{2029}' => 'P',
            _ => ' ',
        };
        let code = u32::from(letter);
        let written = match (short, code) {
            (' ', 0..=0xff) => write!(self.out, "\\x{code:02X}"),
            (' ', 0..=0xffff) => write!(self.out, "\\u{code:04X}"),
            (' ', _) => write!(self.out, "\\U{code:08X}"),
            (short, _) => write!(self.out, "\\{short}"),
        };
        written.expect("a string takes every write");
        self.column += self.out.len() - before;
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        if text.starts_with(' ') || text.starts_with(is_break) {
            self.indicator("2", false, false, false);
        }
        let mut from_end = text.chars().rev();
        match (from_end.next().is_some_and(is_break), from_end.next()) {
            (false, _) => self.indicator("-", false, false, false),
            (true, None) => self.indicator("+", false, false, false),
            (true, Some(letter)) if is_break(letter) => self.indicator("+", false, false, false),
            (true, Some(_)) => {}
        }
        self.put_break('\n');
        self.at_space = true;
        for line in text.split_inclusive(is_break) {
            let (content, end) = match line.chars().next_back() {
                Some(end) if is_break(end) => (&line[..line.len() - end.len_utf8()], Some(end)),
                _ => (line, None),
            };
            if !content.is_empty() {
                self.new_line();
                self.out.push_str(content);
                self.column += content.chars().count();
                self.at_indent = false;
            }
            if let Some(end) = end {
                self.put_break(end);
            }
        }
    }

    /// Writes text and breaks its line at the first lone space past the width.
    fn folded(&mut self, text: &str, context: Context) {
        let is_ascii = text.is_ascii();
        let mut previous_space = false;
        let mut position = 0;
        while position < text.len() {
            let rest = &text[position..];
            let length = memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len());
            if length > 0 {
                self.out.push_str(&rest[..length]);
                self.column += if is_ascii { length } else { rest[..length].chars().count() };
                self.at_indent = false;
                previous_space = false;
                position += length;
                continue;
            }
            let next_is_space = rest.as_bytes().get(1) == Some(&b' ');
            if context != Context::Key && !previous_space && self.is_wide() && !next_is_space {
                self.new_line();
            } else {
                self.put(' ');
            }
            previous_space = true;
            position += 1;
        }
    }

    fn indicator(&mut self, text: &str, needs_space: bool, is_space: bool, is_indent: bool) {
        if needs_space && !self.at_space {
            self.put(' ');
        }
        self.out.push_str(text);
        self.column += text.len();
        self.at_space = is_space;
        self.at_indent = self.at_indent && is_indent;
    }

    /// Moves to the indentation of this level: on the same line while only indicators stand there.
    fn new_line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.at_indent || self.column > indent || (self.column == indent && !self.at_space) {
            self.out.push('\n');
            self.column = 0;
        }
        while self.column < indent {
            self.put(' ');
        }
        self.at_space = true;
        self.at_indent = true;
    }

    fn put(&mut self, letter: char) {
        self.out.push(letter);
        self.column += 1;
    }

    fn put_break(&mut self, letter: char) {
        self.out.push(letter);
        self.column = 0;
        self.at_indent = true;
    }
}

/// Which ways of writing keep a text as it is.
#[derive(Debug, PartialEq)]
struct Shape {
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
    breaks: bool,
}

impl Shape {
    fn of(text: &str, style: Style) -> Self {
        let (Some(first), Some(last)) = (text.chars().next(), text.chars().next_back()) else {
            return Self { plain_allowed: true, single_allowed: true, block_allowed: false, breaks: false };
        };
        if is_printable_ascii(text) {
            let indicators = is_marker(text) || is_leading_indicator(first, text) || has_indicator(text);
            let plain_allowed = !indicators && first != ' ' && last != ' ';
            return Self { plain_allowed, single_allowed: true, block_allowed: last != ' ', breaks: false };
        }
        Self::by_letters(text, (first, last), style)
    }

    fn by_letters(text: &str, (first, last): (char, char), style: Style) -> Self {
        let mut indicators = is_marker(text) || is_leading_indicator(first, text);
        let (mut special, mut tabs) = (false, false);
        let (mut breaks, mut break_space, mut space_break) = (false, false, false);
        let mut previous = ' ';
        let mut letters = text.chars().peekable();
        let mut at_start = true;
        while let Some(letter) = letters.next() {
            match letter {
                ':' => indicators |= letters.peek().is_none_or(|next| matches!(next, ' ' | '\t')),
                '#' => indicators |= !at_start && (matches!(previous, ' ' | '\t') || is_break(previous)),
                ' ' => break_space |= !at_start && is_break(previous),
                _ => {}
            }
            // v3 leaves tabs in blocks.
            let tab = letter == '\t' && style == Style::V3;
            tabs |= tab;
            special |= !tab && !is_printable(letter);
            if is_break(letter) {
                breaks = true;
                space_break |= !at_start && previous == ' ';
            }
            previous = letter;
            at_start = false;
        }
        let ends_blank = first == ' ' || last == ' ' || is_break(first) || is_break(last);
        Self {
            plain_allowed: !(ends_blank || indicators || special || tabs || breaks || break_space || space_break),
            single_allowed: !(special || tabs || break_space || space_break),
            block_allowed: !(special || space_break || last == ' '),
            breaks,
        }
    }
}

/// Whether a text begins as the mark of a document does.
fn is_marker(text: &str) -> bool {
    text.starts_with("---") || text.starts_with("...")
}

/// Whether a text consists of what most texts do. Looks at every byte, which the processor does many at a time.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'))
}

/// Whether a line has a colon before a space or at its end, or a hash behind a space.
fn has_indicator(line: &str) -> bool {
    let bytes = line.as_bytes();
    memchr::memchr2_iter(b':', b'#', bytes).any(|position| match bytes[position] {
        b':' => matches!(bytes.get(position + 1), None | Some(b' ')),
        _ => position > 0 && bytes[position - 1] == b' ',
    })
}

fn is_leading_indicator(first: char, text: &str) -> bool {
    match first {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => true,
        '?' | '-' => matches!(text.as_bytes().get(1), None | Some(b' ' | b'\t')),
        _ => false,
    }
}

fn is_simple_key(key: &str) -> bool {
    key.len() <= LONGEST_SIMPLE_KEY && (is_printable_ascii(key) || !key.contains(is_break))
}

fn is_break(letter: char) -> bool {
    matches!(letter, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What `yaml.v2` writes as it is: nothing past the basic plane, no tab.
fn is_printable(letter: char) -> bool {
    matches!(letter, '\n' | ' '..='~' | '\u{a0}'..='\u{fffd}') && letter != '\u{feff}'
}

/// A number as it comes out after Go's detour over JSON.
fn float(number: f64) -> String {
    let json = go_float(number);
    let whole = json.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if whole && (json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok()) {
        return if json == "-0" { "0".to_owned() } else { json };
    }
    // Go's shortest `%g` turns to exponents below 1e-4 and from 1e6 on.
    if (1e-4..1e6).contains(&number.abs()) { json } else { exponential(number) }
}

/// `1.5e+21`, `1e-05`: at least two digits of exponent, as Go prints.
fn exponential(number: f64) -> String {
    let scientific = shortest_float(number);
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Brings entries into the order that yaml sorts keys in: letters after the rest, numbers by value.
fn sort<K: AsRef<str>, N>(entries: &mut Vec<(K, N)>, style: Style) {
    if is_sorted(entries, style) {
        return;
    }
    // Byte order first: it is close to the result, and makes the result independent of the writing.
    entries.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
    merge_sort(entries, style);
}

fn is_sorted<K: AsRef<str>, N>(entries: &[(K, N)], style: Style) -> bool {
    entries.is_sorted_by(|(a, _), (b, _)| natural(a.as_ref(), b.as_ref(), style) != Ordering::Greater)
}

/// A stable sort that is at ease with an order that is not quite transitive, as the natural one.
fn merge_sort<K: AsRef<str>, N>(entries: &mut Vec<(K, N)>, style: Style) {
    if is_sorted(entries, style) {
        return;
    }
    let mut right = entries.split_off(entries.len() / 2);
    merge_sort(entries, style);
    merge_sort(&mut right, style);
    let left = std::mem::take(entries);
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let from = if natural(a.as_ref(), b.as_ref(), style) == Ordering::Greater { &mut right } else { &mut left };
        entries.extend(from.next());
    }
    entries.extend(left);
    entries.extend(right);
}

fn natural(a: &str, b: &str, style: Style) -> Ordering {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    if same == a.len() || same == b.len() {
        return a.len().cmp(&b.len());
    }
    // Back to the start of the character that differs.
    let start = (0..=same).rev().find(|at| a.is_char_boundary(*at)).unwrap_or(0);
    let (Some(first_a), Some(first_b)) = (a[start..].chars().next(), b[start..].chars().next()) else {
        return a.len().cmp(&b.len());
    };
    let mut digits_before = a.as_bytes()[..start].iter().rev().take_while(|byte| byte.is_ascii_digit()).peekable();
    // To `yaml.v3` a letter right after a number comes first: `1b` before `10`.
    let letters_last = style == Style::V2 || digits_before.peek().is_none();
    match (first_a.is_alphabetic(), first_b.is_alphabetic()) {
        (true, true) => return first_a.cmp(&first_b),
        (true, false) => return if letters_last { Ordering::Greater } else { Ordering::Less },
        (false, true) => return if letters_last { Ordering::Less } else { Ordering::Greater },
        (false, false) => {}
    }
    // A zero in the middle of a number is a digit like any other.
    let inside = (first_a == '0' || first_b == '0') && digits_before.any(|digit| *digit != b'0');
    let (number_a, length_a) = number(&a[start..], inside);
    let (number_b, length_b) = number(&b[start..], inside);
    number_a.cmp(&number_b).then(length_a.cmp(&length_b)).then(first_a.cmp(&first_b))
}

fn number(text: &str, inside: bool) -> (i64, usize) {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let value = text.as_bytes()[..length]
        .iter()
        .fold(i64::from(inside), |value, digit| value.wrapping_mul(10).wrapping_add(i64::from(digit - b'0')));
    (value, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{At, ParseOptions, SourceId, parse_json, parse_yaml};

    fn emitted(json: &str) -> String {
        emit_yaml(&parse_json(json.as_bytes()).expect("valid"))
    }

    #[test]
    fn documents_are_written_as_each_alone() {
        let texts = [r#"{"a":1}"#, r#""text\n""#, r#"["a",{"b":"c"}]"#, "{}", "null", r#"{"x":"two\nlines"}"#];
        let values: Vec<Value> = texts.iter().map(|text| parse_json(text.as_bytes()).expect("valid")).collect();
        let alone: Vec<String> = values.iter().map(emit_yaml).collect();
        assert_eq!(emit_documents(&values), alone.join("---\n"));
        // Many are written in another order than they stand in.
        let many: Vec<Value> = (0..2000)
            .map(|number| values[number % values.len()].clone().at(At::new(SourceId::default(), 7 * number % 2000, 1)))
            .collect();
        let alone: Vec<String> = many.iter().map(emit_yaml).collect();
        assert_eq!(emit_documents(&many), alone.join("---\n"));
    }

    #[test]
    fn common_texts_have_the_shape_that_their_letters_say() {
        const PIECES: [&str; 14] = ["a", "Z", "0", "-", ".", ":", "#", " ", "'", "[", "?", "~", "--", ".."];
        let length = PIECES.len();
        for number in 0..length.pow(4) {
            let text: String = (0..4).map(|place| PIECES[number / length.pow(place) % length]).collect();
            let text = &text[number % 3..];
            let ends = (text.chars().next().expect("not empty"), text.chars().next_back().expect("not empty"));
            let shape = Shape::by_letters(text, ends, Style::V3);
            assert!(!is_word(text) || (shape.plain_allowed && stays_text(text)), "{text:?}");
            assert_eq!(Shape::of(text, Style::V3), shape, "{text:?}");
        }
    }

    #[test]
    fn writes_blocks() {
        let text = emitted(r#"{"b":[{"x":1,"y":[[1,2],[]]},"z"],"a":{},"c":null}"#);
        assert_eq!(text, "a: {}\nb:\n- x: 1\n  \"y\":\n  - - 1\n    - 2\n  - []\n- z\nc: null\n");
    }

    #[test]
    fn quotes_as_go_does() {
        for (json, expected) in [
            (r#""yes""#, "\"yes\"\n"),
            (r#""""#, "\"\"\n"),
            (r#""*a""#, "'*a'\n"),
            (r#""it's: x""#, "'it''s: x'\n"),
            (r#""a: b""#, "'a: b'\n"),
            (r#""a:b""#, "a:b\n"),
            (r##""a #b""##, "'a #b'\n"),
            (r#""a\tb""#, "\"a\\tb\"\n"),
            (r#""- a""#, "'- a'\n"),
            (r#""-a""#, "-a\n"),
            (r#""1.0""#, "\"1.0\"\n"),
            ("1.0", "1\n"),
            ("1.5e-7", "1.5e-07\n"),
            ("1e21", "1e+21\n"),
            ("1000000.0", "1000000\n"),
            (r#""😀""#, "\"\\U0001F600\"\n"),
            (r#"" a""#, "' a'\n"),
            (r#""\ufeffa b""#, "\"\\uFEFF\\x61\\x20\\x62\"\n"),
            ("1234567.5", "1.2345675e+06\n"),
            ("0.0001", "0.0001\n"),
        ] {
            assert_eq!(emitted(json), expected, "{json}");
        }
    }

    #[test]
    fn writes_lines_as_blocks() {
        assert_eq!(emitted(r#"{"a":"x\ny"}"#), "a: |-\n  x\n  y\n");
        assert_eq!(emitted(r#"{"a":"x\n\n  y\n"}"#), "a: |\n  x\n\n    y\n");
        assert_eq!(emitted(r#"{"a":"x\n\n"}"#), "a: |+\n  x\n\n");
        assert_eq!(emitted(r#"{"a":" x\ny\n"}"#), "a: |2\n   x\n  y\n");
        assert_eq!(emitted(r#"{"a":"x \ny"}"#), "a: \"x \\ny\"\n");
        assert_eq!(emitted(r#"["x\ny"]"#), "- |-\n  x\n  y\n");
    }

    #[test]
    fn folds_past_eighty_columns() {
        let words = "word ".repeat(20);
        let text = emitted(&format!(r#"{{"a":"{}"}}"#, words.trim_end()));
        let first = format!("a: {}", "word ".repeat(16).trim_end());
        assert_eq!(text, format!("{first}\n  word word word word\n"));
    }

    #[test]
    fn long_keys_get_a_question_mark() {
        let key = "k".repeat(129);
        assert_eq!(emitted(&format!(r#"{{"{key}":{{"a":[1]}}}}"#)), format!("? {key}\n: a:\n  - 1\n"));
        assert_eq!(emitted(r#"{"a\nb":1}"#), "? |-\n  a\n  b\n: 1\n");
    }

    #[test]
    fn sorts_keys_naturally() {
        let keys: Vec<_> = emitted(r#"{"a10":0,"a9":0,"B":0,"a-b":0,"a.b":0,"ab":0,"10":0,"9":0,"A":0,"é":0,"a":0}"#)
            .lines()
            .map(|line| line.split(": ").next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(keys, ["\"9\"", "\"10\"", "A", "B", "a", "a-b", "a.b", "a9", "a10", "ab", "é"]);
    }

    #[test]
    fn reads_what_it_writes() {
        let nasty = ["", " ", "a\n", "\n", "\n\na", "a\n b", "\u{85}", "#", "a #", ":", "a:", "\r\n", "'", "\"", "\\n"];
        for text in nasty {
            let written = emit_yaml(&Value::from(crate::Map::from_iter([("k", Value::from(text))])));
            let read = parse_yaml(&written, SourceId::default(), &ParseOptions::go_v2()).expect("our own text");
            assert_eq!(read[0].lookup_str(&["k"]), Some(text), "{written}");
        }
    }
}
