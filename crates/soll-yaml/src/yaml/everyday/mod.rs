//! The YAML that people and programs write every day, read in one pass over its bytes.
//!
//! Nearly every text consists of block mappings and lists, scalars of all styles, and small flow collections. For these a
//! grammar that looks at lines and columns suffices, and takes a fraction of libyaml's time, which is a large part of every
//! build. Everything else (anchors, tags, merge keys, directives, tabs between tokens, carriage returns, keys that are no
//! scalars) and everything that looks wrong is left to libyaml: what is read here is what libyaml would have read, and what
//! is wrong is said in libyaml's words.

use std::borrow::Cow;

use super::scalar::{Scalar, resolve};
use super::{DuplicateKeys, ParseOptions};
use crate::{At, Data, Entry, Interner, Map, SourceId, Value};

/// libyaml takes what is longer than 1,024 characters for no key.
const LONGEST_KEY: usize = 1000;

/// Reads every document of a text without byte order mark; nothing if it takes more than this to read it.
pub(super) fn parse(text: &str, source: SourceId, options: &ParseOptions) -> Option<Vec<Value>> {
    let ascii = text.is_ascii();
    if text.as_bytes().chunks(256).any(has_control) {
        return None;
    }
    if !ascii && text.chars().any(is_special) {
        return None;
    }
    let bytes = text.as_bytes();
    let reader = Reader {
        text,
        bytes,
        pos: 0,
        line: 1,
        line_start: 0,
        fresh: true,
        ascii,
        source,
        options,
        interner: Interner::default(),
        entries: Vec::new(),
        items: Vec::new(),
        nodes: 0,
    };
    reader.documents()
}

/// Looks at every byte, which the processor does many at a time.
fn has_control(bytes: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < b' ') & (byte != b'\n') & (byte != b'\t') | (byte == 0x7f);
    bytes.iter().fold(false, |found, byte| found | is_control(*byte))
}

/// Line breaks beyond ASCII, byte order marks, and what YAML does not allow.
fn is_special(letter: char) -> bool {
    matches!(letter, '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Every method returns nothing for what is not everyday; then the reader is of no further use.
struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    pos: usize,
    /// From 1.
    line: usize,
    /// Where the line starts.
    line_start: usize,
    /// Whether what stands at `pos` is the first on its line.
    fresh: bool,
    ascii: bool,
    source: SourceId,
    options: &'t ParseOptions,
    interner: Interner,
    /// The entries of the mappings that are being read, those of the innermost last: what is read takes no more memory than it
    /// needs, once its size is known.
    entries: Vec<Entry>,
    /// The items of the lists that are being read, likewise.
    items: Vec<Value>,
    nodes: u64,
}

/// A scalar that may be a key.
struct Word<'t> {
    text: Cow<'t, str>,
    plain: bool,
}

/// What ends a line of a plain scalar.
#[derive(PartialEq)]
enum Stop {
    Colon,
    Comment,
    Line,
}

impl<'t> Reader<'t> {
    fn documents(mut self) -> Option<Vec<Value>> {
        let mut documents = Vec::new();
        self.content()?;
        if self.is_end() {
            return Some(documents);
        }
        loop {
            if self.is_marker()? {
                self.pos += 3;
                self.content()?;
                if !self.fresh && !self.is_end() {
                    return None;
                }
            }
            if documents.len() == self.options.limits.documents {
                return None;
            }
            let root = if self.is_end() || self.is_marker()? {
                let at = if self.is_end() && self.pos > self.line_start {
                    At::new(self.source, self.line + 1, 1)
                } else {
                    self.at()
                };
                self.null(at)?
            } else {
                self.node(-1, true, 0)?
            };
            documents.push(root);
            self.content()?;
            if self.is_end() {
                return Some(documents);
            }
            if !self.is_marker()? {
                return None;
            }
        }
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.pos).copied()
    }

    fn is_end(&self) -> bool {
        self.pos == self.bytes.len()
    }

    /// Where `pos` is.
    fn at(&self) -> At {
        let column =
            if self.ascii { self.pos - self.line_start } else { self.text[self.line_start..self.pos].chars().count() };
        At::new(self.source, self.line, column + 1)
    }

    /// The column of what only spaces and dashes stand before, from 0.
    fn column(&self) -> isize {
        (self.pos - self.line_start) as isize
    }

    /// Whether here, at the margin, a document begins.
    fn is_marker(&self) -> Option<bool> {
        if self.pos != self.line_start {
            return Some(false);
        }
        match &self.bytes[self.pos..] {
            [b'%', ..] | [b'.', b'.', b'.', ..] => None,
            [b'-', b'-', b'-'] | [b'-', b'-', b'-', b' ' | b'\n', ..] => Some(true),
            [b'-', b'-', b'-', b'\t', ..] => None,
            _ => Some(false),
        }
    }

    fn next_line(&mut self) {
        self.pos += 1;
        self.line += 1;
        self.line_start = self.pos;
    }

    fn spaces(&mut self) {
        while self.byte() == Some(b' ') {
            self.pos += 1;
        }
    }

    /// Goes to the next token, past spaces, comments and line breaks.
    fn content(&mut self) -> Option<()> {
        self.fresh = self.bytes[self.line_start..self.pos].iter().all(|byte| *byte == b' ');
        loop {
            self.spaces();
            match self.byte() {
                Some(b'#') if self.pos == self.line_start || self.bytes[self.pos - 1] == b' ' => {
                    let rest = &self.bytes[self.pos..];
                    self.pos += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                Some(b'\n') => {
                    self.next_line();
                    self.fresh = true;
                }
                Some(b'\t' | b'#') => return None,
                _ => return Some(()),
            }
        }
    }

    fn count(&mut self) -> Option<()> {
        self.nodes += 1;
        (self.nodes <= self.options.limits.nodes).then_some(())
    }

    fn check_depth(&self, depth: usize) -> Option<()> {
        (depth < self.options.limits.depth).then_some(())
    }

    fn null(&mut self, at: At) -> Option<Value> {
        self.count()?;
        Some(Value { data: Data::Null, at })
    }

    /// What stands here, within a block that is indented so far; `starts` says whether a block may start on this line.
    fn node(&mut self, indent: isize, starts: bool, depth: usize) -> Option<Value> {
        self.count()?;
        let at = self.at();
        let column = self.column();
        let data = match self.byte()? {
            b'-' if self.is_blank(1) => {
                let list = if starts { self.list(column, depth)? } else { return None };
                return Some(Value::from(list).at(at));
            }
            b'[' | b'{' => return self.flow(at, depth),
            b'|' | b'>' => {
                let text = self.block(indent)?;
                Data::Str(self.interner.intern(&text))
            }
            b'"' | b'\'' => {
                let text = self.quoted()?;
                let word = Word { text, plain: false };
                if starts && self.is_key(at)? {
                    return self.mapping(word, at, column, depth);
                }
                self.scalar(&word)?
            }
            first => {
                if !may_start_plain(first) {
                    return None;
                }
                let start = self.pos;
                let stop = self.plain_line()?;
                let text = trimmed(&self.text[start..self.pos]);
                if stop == Stop::Colon {
                    let word = Word { text: Cow::Borrowed(text), plain: true };
                    return if starts && self.is_key(at)? { self.mapping(word, at, column, depth) } else { None };
                }
                let text = if stop == Stop::Line { self.plain_lines(text, indent)? } else { Cow::Borrowed(text) };
                self.scalar(&Word { text, plain: true })?
            }
        };
        Some(Value { data, at })
    }

    fn is_blank(&self, offset: usize) -> bool {
        matches!(self.bytes.get(self.pos + offset), None | Some(b' ' | b'\n'))
    }

    /// Goes past spaces and the colon of a key that began at `at`, if a colon follows.
    fn is_key(&mut self, at: At) -> Option<bool> {
        let before = self.pos;
        self.spaces();
        if self.byte() != Some(b':') || !self.is_blank(1) {
            self.pos = before;
            return Some(false);
        }
        if at.line() != self.line || self.pos - self.line_start > LONGEST_KEY {
            return None;
        }
        self.pos += 1;
        Some(true)
    }

    /// The entries of a block, the first key of which was read.
    fn mapping(&mut self, first: Word<'t>, first_at: At, column: isize, depth: usize) -> Option<Value> {
        self.check_depth(depth)?;
        let start = self.entries.len();
        let (mut key, mut key_at) = (first, first_at);
        loop {
            let name = self.key(&key)?;
            let after_colon = self.at();
            self.spaces();
            let value = match self.byte() {
                None | Some(b'\n' | b'#') => {
                    self.content()?;
                    let is_over = self.is_end() || self.is_marker()?;
                    if !is_over && (self.column() > column || (self.column() == column && self.is_dash())) {
                        self.node(column, true, depth + 1)?
                    } else {
                        self.null(after_colon)?
                    }
                }
                Some(b'\t') => return None,
                Some(_) => self.node(column, false, depth + 1)?,
            };
            self.entries.push(Entry { key: name, key_at, value });
            if !self.is_next(column)? || self.column() < column {
                return Some(Value::from(self.map_from(start)?).at(first_at));
            }
            key_at = self.at();
            key = match self.byte()? {
                b'"' | b'\'' => Word { text: self.quoted()?, plain: false },
                b'-' if self.is_blank(1) => return None,
                first if may_start_plain(first) => {
                    let start = self.pos;
                    if self.plain_line()? != Stop::Colon {
                        return None;
                    }
                    Word { text: Cow::Borrowed(trimmed(&self.text[start..self.pos])), plain: true }
                }
                _ => return None,
            };
            if !self.is_key(key_at)? {
                return None;
            }
        }
    }

    fn is_dash(&self) -> bool {
        self.byte() == Some(b'-') && self.is_blank(1)
    }

    /// Goes to what follows an entry of a block; false if the document ends. Nothing may stand deeper than the block.
    fn is_next(&mut self, column: isize) -> Option<bool> {
        self.content()?;
        if self.is_end() || self.is_marker()? {
            return Some(false);
        }
        (self.fresh && self.column() <= column).then_some(true)
    }

    fn list(&mut self, column: isize, depth: usize) -> Option<Vec<Value>> {
        self.check_depth(depth)?;
        let start = self.items.len();
        loop {
            self.pos += 1;
            let after_dash = self.at();
            self.spaces();
            let item = match self.byte() {
                None | Some(b'\n' | b'#') => {
                    self.content()?;
                    if self.is_end() || self.is_marker()? || self.column() <= column {
                        self.null(after_dash)?
                    } else {
                        self.node(column, true, depth + 1)?
                    }
                }
                Some(b'\t') => return None,
                Some(_) => self.node(column, true, depth + 1)?,
            };
            self.items.push(item);
            if !self.is_next(column)? || self.column() < column || !self.is_dash() {
                return Some(self.items.drain(start..).collect());
            }
        }
    }

    /// The map of the entries that were read last.
    fn map_from(&mut self, start: usize) -> Option<Map> {
        let refuse = self.options.duplicate_keys == DuplicateKeys::Refuse;
        let entries = self.entries.drain(start..);
        let mut map = Map::with_capacity(entries.len());
        for entry in entries {
            if map.insert_entry(entry).is_some() && refuse {
                return None;
            }
        }
        Some(map)
    }

    fn key(&mut self, word: &Word<'_>) -> Option<crate::Str> {
        self.count()?;
        if word.plain && word.text == "<<" {
            return None;
        }
        match resolve(self.options.flavor, None, word.plain, &word.text).ok()? {
            Scalar::Null => None,
            scalar => Some(self.interner.intern(&scalar.into_key())),
        }
    }

    fn scalar(&mut self, word: &Word<'_>) -> Option<Data> {
        resolve(self.options.flavor, None, word.plain, &word.text).ok()?.into_data(&mut self.interner)
    }

    /// Goes to what ends a plain scalar on this line.
    fn plain_line(&mut self) -> Option<Stop> {
        loop {
            match self.byte() {
                None | Some(b'\n') => return Some(Stop::Line),
                Some(b':') if self.is_blank(1) => return Some(Stop::Colon),
                Some(b'#') if self.bytes[self.pos - 1] == b' ' => return Some(Stop::Comment),
                Some(b'\t') => return None,
                Some(_) => self.pos += 1,
            }
        }
    }

    /// The further lines of a plain scalar, folded.
    fn plain_lines(&mut self, first: &'t str, indent: isize) -> Option<Cow<'t, str>> {
        let mut text = Cow::Borrowed(first);
        loop {
            let mut breaks = 0_usize;
            while self.byte() == Some(b'\n') {
                self.next_line();
                self.spaces();
                breaks += 1;
            }
            let is_over = match self.byte() {
                None | Some(b'#') => true,
                Some(b'\t') => return None,
                Some(_) => self.column() <= indent || self.is_marker()?,
            };
            if is_over {
                return Some(text);
            }
            let start = self.pos;
            let stop = self.plain_line()?;
            if stop == Stop::Colon {
                return None;
            }
            let folded = text.to_mut();
            match breaks {
                1 => folded.push(' '),
                _ => folded.extend(std::iter::repeat_n('\n', breaks - 1)),
            }
            folded.push_str(trimmed(&self.text[start..self.pos]));
            if stop == Stop::Comment {
                return Some(text);
            }
        }
    }

    /// A text in quotes; where it goes on in another line, the break and the blanks around it are a space.
    fn quoted(&mut self) -> Option<Cow<'t, str>> {
        let quote = self.byte()?;
        self.pos += 1;
        let start = self.pos;
        let mut text = Cow::Borrowed("");
        let mut copied = start;
        loop {
            let rest = &self.bytes[self.pos..];
            let length = match quote {
                b'"' => memchr::memchr3(b'"', b'\\', b'\n', rest),
                _ => memchr::memchr2(b'\'', b'\n', rest),
            };
            self.pos += length?;
            match (self.bytes[self.pos], self.bytes.get(self.pos + 1)) {
                (b'\n', _) => {
                    text.to_mut().push_str(self.text[copied..self.pos].trim_end_matches([' ', '\t']));
                    match self.quoted_breaks()? {
                        1 => text.to_mut().push(' '),
                        breaks => text.to_mut().extend(std::iter::repeat_n('\n', breaks - 1)),
                    }
                }
                (b'\'', Some(b'\'')) => {
                    text.to_mut().push_str(&self.text[copied..=self.pos]);
                    self.pos += 2;
                }
                (b'\\', Some(escape)) => {
                    text.to_mut().push_str(&self.text[copied..self.pos]);
                    self.pos += 2;
                    let letter = match escape {
                        b'n' => '\n',
                        b't' => '\t',
                        b'r' => '\r',
                        b'"' | b'\\' | b'/' => char::from(*escape),
                        b'u' => {
                            let digits = self.text.get(self.pos..self.pos + 4)?;
                            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                            self.pos += 4;
                            is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten().and_then(char::from_u32)?
                        }
                        _ => return None,
                    };
                    text.to_mut().push(letter);
                }
                (b'\\', None) => return None,
                _ => {
                    let last = &self.text[copied..self.pos];
                    self.pos += 1;
                    if copied == start {
                        return Some(Cow::Borrowed(last));
                    }
                    text.to_mut().push_str(last);
                    return Some(text);
                }
            }
            copied = self.pos;
        }
    }

    /// Goes to what a text in quotes has in its next line that is not blank; returns the number of line breaks before it.
    fn quoted_breaks(&mut self) -> Option<usize> {
        let mut breaks = 0;
        while self.byte()? == b'\n' {
            breaks += 1;
            self.next_line();
            // A document may begin or end at the margin, and a text in quotes does not go on beyond that.
            if matches!(self.bytes[self.pos..], [b'-', b'-', b'-', ..] | [b'.', b'.', b'.', ..]) {
                return None;
            }
            while matches!(self.byte(), Some(b' ' | b'\t')) {
                self.pos += 1;
            }
        }
        Some(breaks)
    }

    /// A literal or folded text within a block that is indented so far.
    fn block(&mut self, indent: isize) -> Option<String> {
        let is_folded = self.byte() == Some(b'>');
        self.pos += 1;
        let (mut chomping, mut explicit) = (None, None);
        while let Some(byte @ (b'+' | b'-' | b'1'..=b'9')) = self.byte() {
            let place = if byte.is_ascii_digit() { &mut explicit } else { &mut chomping };
            if place.replace(byte).is_some() {
                return None;
            }
            self.pos += 1;
        }
        self.spaces();
        match self.byte()? {
            b'#' if self.bytes[self.pos - 1] == b' ' => self.pos += memchr::memchr(b'\n', &self.bytes[self.pos..])?,
            b'\n' => {}
            _ => return None,
        }
        self.next_line();
        let mut blank_lines = 0_usize;
        let margin = match explicit {
            Some(digit) => indent.max(0) + (digit - b'0') as isize,
            None => {
                let mut widest = 0;
                loop {
                    self.spaces();
                    widest = widest.max(self.column());
                    match self.byte()? {
                        b'\n' => {
                            blank_lines += 1;
                            self.next_line();
                        }
                        b'\t' => return None,
                        _ => break,
                    }
                }
                if widest > self.column() {
                    return None;
                }
                self.pos = self.line_start;
                widest.max(indent + 1).max(1)
            }
        };
        let mut text = String::new();
        let (mut after_line, mut after_blank) = (false, false);
        loop {
            while self.column() < margin && self.byte() == Some(b' ') {
                self.pos += 1;
            }
            match self.byte() {
                Some(b'\n') => {
                    blank_lines += 1;
                    self.next_line();
                    continue;
                }
                Some(b'\t') if self.column() < margin => return None,
                Some(byte) if self.column() == margin => {
                    let is_blank = matches!(byte, b' ' | b'\t');
                    if after_line {
                        if !is_folded || after_blank || is_blank {
                            text.push('\n');
                        } else if blank_lines == 0 {
                            text.push(' ');
                        }
                    }
                    text.extend(std::iter::repeat_n('\n', blank_lines));
                    blank_lines = 0;
                    after_blank = is_blank;
                    let Some(length) = memchr::memchr(b'\n', &self.bytes[self.pos..]) else {
                        // The last line of all has no break, so the text has none at its end.
                        let rest = &self.text[self.pos..];
                        text.push_str(rest);
                        self.pos = self.bytes.len();
                        return (!rest.trim().is_empty()).then_some(text);
                    };
                    text.push_str(&self.text[self.pos..self.pos + length]);
                    self.pos += length;
                    self.next_line();
                    after_line = true;
                }
                None if self.pos > self.line_start => return None,
                _ => break,
            }
        }
        self.pos = self.line_start;
        if chomping != Some(b'-') && after_line {
            text.push('\n');
        }
        if chomping == Some(b'+') {
            text.extend(std::iter::repeat_n('\n', blank_lines));
        }
        Some(text)
    }

    /// A collection in brackets or braces, which may go over several lines.
    fn flow(&mut self, at: At, depth: usize) -> Option<Value> {
        self.check_depth(depth)?;
        let is_list = self.byte() == Some(b'[');
        let close = if is_list { b']' } else { b'}' };
        let (first_item, first_entry) = (self.items.len(), self.entries.len());
        self.pos += 1;
        self.content()?;
        if self.byte() != Some(close) {
            loop {
                if is_list {
                    let item = self.flow_node(depth + 1)?;
                    self.items.push(item);
                } else {
                    let entry = self.flow_entry(depth + 1)?;
                    self.entries.push(entry);
                }
                self.content()?;
                match self.byte()? {
                    b',' => self.pos += 1,
                    byte if byte == close => break,
                    _ => return None,
                }
                self.content()?;
            }
        }
        self.pos += 1;
        let value = match is_list {
            true => Value::from(self.items.drain(first_item..).collect::<Vec<_>>()),
            false => Value::from(self.map_from(first_entry)?),
        };
        Some(value.at(at))
    }

    fn flow_entry(&mut self, depth: usize) -> Option<Entry> {
        let key_at = self.at();
        let word = self.flow_word()?;
        let start = self.pos;
        self.spaces();
        let is_key = self.byte() == Some(b':') && (!word.plain || self.is_blank(1));
        if !is_key || start - self.line_start > LONGEST_KEY {
            return None;
        }
        self.pos += 1;
        let key = self.key(&word)?;
        self.content()?;
        let value = self.flow_node(depth)?;
        Some(Entry { key, key_at, value })
    }

    fn flow_node(&mut self, depth: usize) -> Option<Value> {
        self.count()?;
        let at = self.at();
        if matches!(self.byte()?, b'[' | b'{') {
            return self.flow(at, depth);
        }
        let word = self.flow_word()?;
        Some(Value { data: self.scalar(&word)?, at })
    }

    /// A scalar on one line within brackets or braces.
    fn flow_word(&mut self) -> Option<Word<'t>> {
        let first = self.byte()?;
        if matches!(first, b'"' | b'\'') {
            let line = self.line;
            let text = self.quoted()?;
            // It may be a key, which is on one line.
            return (self.line == line).then_some(Word { text, plain: false });
        }
        let may_start = match first {
            // At the margin it could be the marker of a document.
            b'.' => self.pos != self.line_start,
            b'-' => {
                let next = self.bytes.get(self.pos + 1)?;
                self.pos != self.line_start
                    && (next.is_ascii_alphanumeric() || matches!(next, b'-' | b'.' | b'/' | b'_'))
            }
            _ => first.is_ascii_alphanumeric() || matches!(first, b'/' | b'_' | b'$' | b'~'),
        };
        if !may_start {
            return None;
        }
        let start = self.pos;
        loop {
            match self.byte()? {
                b',' | b']' | b'}' | b'\n' => break,
                b':' if self.is_blank(1) => break,
                b':' if matches!(self.bytes[self.pos + 1], b',' | b'?' | b'[' | b']' | b'{' | b'}') => return None,
                b'#' if self.bytes[self.pos - 1] == b' ' => break,
                b'[' | b'{' | b'\t' => return None,
                _ => self.pos += 1,
            }
        }
        Some(Word { text: Cow::Borrowed(trimmed(&self.text[start..self.pos])), plain: true })
    }
}

/// Whether a plain scalar may start like this, its second character not being blank.
fn may_start_plain(first: u8) -> bool {
    !matches!(
        first,
        b'?' | b':'
            | b','
            | b'['
            | b']'
            | b'{'
            | b'}'
            | b'#'
            | b'&'
            | b'*'
            | b'!'
            | b'|'
            | b'>'
            | b'\''
            | b'"'
            | b'%'
            | b'@'
            | b'`'
    )
}

fn trimmed(text: &str) -> &str {
    text.trim_end_matches(' ')
}

#[cfg(test)]
mod tests;
