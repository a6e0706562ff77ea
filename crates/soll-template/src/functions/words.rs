//! Case, words and lines.

use super::strings::first_char;
use super::{Function, bytes, int, lossy, pure, text, world};
use crate::object::Param::{Int, Str};
use crate::render::{Fault, fault};
use crate::unicode::{
    is_digit, is_letter, is_lower, is_number, is_punct, is_space, is_title, is_upper, to_lower, to_title, to_upper,
};
use crate::value::Value;

pub(super) static TABLE: &[Function] = &[
    pure("upper", &[Str], |args| Ok(mapped(&args[0], to_upper))),
    pure("lower", &[Str], |args| Ok(mapped(&args[0], to_lower))),
    pure("title", &[Str], |args| Ok(Value::from(title(&text(&args[0]))))),
    pure("untitle", &[Str], |args| Ok(Value::from(untitle(&text(&args[0]))))),
    pure("swapcase", &[Str], |args| Ok(Value::from(swap_case(&text(&args[0]))))),
    pure("initials", &[Str], |args| Ok(Value::from(initials(&text(&args[0]))))),
    pure("nospace", &[Str], no_space),
    pure("camelcase", &[Str], |args| Ok(Value::from(pascal_case(&text(&args[0]))))),
    pure("snakecase", &[Str], |args| Ok(lower_words(bytes(&args[0]), b'_'))),
    pure("kebabcase", &[Str], |args| Ok(lower_words(bytes(&args[0]), b'-'))),
    pure("wrap", &[Int, Str], |args| wrap(bytes(&args[1]), int(&args[0]), b"", false)),
    world("wrapWith", &[Int, Str, Str], |world, args| {
        let (width, separator, text) = (int(&args[0]), bytes(&args[1]), bytes(&args[2]));
        let lines = text.len() / usize::try_from(width.max(1)).unwrap_or(usize::MAX);
        world.spend_bytes(separator.len().saturating_mul(lines))?;
        wrap(text, width, separator, true)
    }),
];

fn mapped(value: &Value, map: fn(char) -> char) -> Value {
    let text = text(value);
    if text.chars().all(|c| map(c) == c) && matches!(value, Value::Str(_)) {
        return value.clone();
    }
    Value::from(text.chars().map(map).collect::<String>())
}

/// The first letter of each word in title case, as the deprecated `strings.Title` sees words.
fn title(text: &str) -> String {
    let mut previous = ' ';
    text.chars()
        .map(|c| {
            let starts = separates(previous);
            previous = c;
            if starts { to_title(c) } else { c }
        })
        .collect()
}

fn separates(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !is_letter(c) && !is_digit(c) && is_space(c)
}

fn untitle(text: &str) -> String {
    let mut starts = true;
    text.chars()
        .map(|c| {
            if is_space(c) {
                starts = true;
                c
            } else if std::mem::take(&mut starts) {
                to_lower(c)
            } else {
                c
            }
        })
        .collect()
}

fn swap_case(text: &str) -> String {
    let mut after_space = true;
    text.chars()
        .map(|c| {
            if is_upper(c) || is_title(c) {
                after_space = false;
                to_lower(c)
            } else if is_lower(c) {
                if std::mem::take(&mut after_space) { to_title(c) } else { to_upper(c) }
            } else {
                after_space = is_space(c);
                c
            }
        })
        .collect()
}

/// The first letter of each word, byte by byte.
fn initials(text: &str) -> String {
    let mut starts = true;
    let mut out = String::new();
    for c in text.bytes().map(char::from) {
        if is_space(c) {
            starts = true;
        } else if std::mem::take(&mut starts) {
            out.push(c);
        }
    }
    out
}

/// Sprig's helper looks at bytes: one that is no space is taken for a character of its number.
fn no_space(args: &[Value]) -> Result<Value, Fault> {
    let bytes = bytes(&args[0]);
    let kept: String = bytes.iter().map(|byte| char::from(*byte)).filter(|c| !is_space(*c)).collect();
    Ok(if kept.chars().count() == bytes.len() { args[0].clone() } else { Value::from(kept) })
}

fn connects(c: char) -> bool {
    matches!(c, '-' | '_') || is_space(c)
}

/// `some_words` to `SomeWords`; connectors at the start stay, and of several in a row all but one.
fn pascal_case(text: &str) -> String {
    let mut chars = text.chars();
    let mut out = String::new();
    let Some(mut current) = chars.by_ref().find(|c| {
        let connector = connects(*c);
        if connector {
            out.push(*c);
        }
        !connector
    }) else {
        // Only connectors: the last is written once more.
        out.extend(text.chars().next_back());
        return out;
    };
    let mut upper_word = is_upper(current);
    current = to_upper(current);
    for c in chars {
        let previous = std::mem::replace(&mut current, c);
        if connects(current) && connects(previous) {
            out.push(previous);
            continue;
        }
        if connects(previous) {
            upper_word = is_upper(current);
            current = to_upper(current);
        } else {
            if upper_word {
                if is_upper(current) {
                    current = to_lower(current);
                } else {
                    upper_word = false;
                }
            }
            out.push(previous);
        }
    }
    out.push(current);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    None,
    Number,
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

/// A letter, but no Chinese one.
fn alphabetic(c: char) -> bool {
    is_letter(c) && !matches!(c, '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}')
}

/// The first character that is one, and the bytes up to its end: what is no character is passed over. Without any it
/// is like the one before.
fn next_valid(bytes: &[u8], before: char) -> (char, usize) {
    let mut size = 0;
    while let Some((c, length)) = first_char(&bytes[size..]) {
        size += length;
        if c != char::REPLACEMENT_CHARACTER {
            return (c, size);
        }
    }
    (before, size)
}

/// The word at the start, and the rest.
fn next_word(text: &[u8]) -> (Word, &[u8], &[u8]) {
    if text.is_empty() {
        return (Word::None, text, text);
    }
    let (first, start) = next_valid(text, char::REPLACEMENT_CHARACTER);
    let run = |takes: &dyn Fn(char) -> bool| run_end(text, start, first, takes);
    let (word, end) = if first == char::REPLACEMENT_CHARACTER {
        (Word::None, start)
    } else if connects(first) {
        (Word::Connector, run(&connects))
    } else if is_punct(first) {
        (Word::Punctuation, run(&is_punct))
    } else if is_upper(first) {
        (Word::Upper, upper_word_end(text, start, first))
    } else if alphabetic(first) {
        (Word::Letters, run(&|c| alphabetic(c) && !is_upper(c)))
    } else if is_number(first) {
        (Word::Number, run(&is_number))
    } else {
        let other = |c| !(connects(c) || alphabetic(c) || is_number(c) || is_punct(c));
        (Word::Other, run(&other))
    };
    (word, &text[..end], &text[end..])
}

/// Where the characters that belong to a word end.
fn run_end(text: &[u8], start: usize, first: char, takes: impl Fn(char) -> bool) -> usize {
    let (mut end, mut before) = (start, first);
    while end < text.len() {
        let (c, size) = next_valid(&text[end..], before);
        if !takes(c) {
            break;
        }
        before = c;
        end += size;
    }
    end
}

/// `HTTPStatus` is `HTTP` and `Status`, `Status` is one.
fn upper_word_end(text: &[u8], start: usize, first: char) -> usize {
    if start == text.len() {
        return start;
    }
    let (second, size) = next_valid(&text[start..], first);
    if is_upper(second) {
        let (mut end, mut last, mut before) = (start + size, size, second);
        while end < text.len() {
            let (c, size) = next_valid(&text[end..], before);
            if !is_upper(c) {
                return if alphabetic(c) { end - last } else { end };
            }
            end += size;
            (last, before) = (size, c);
        }
        return end;
    }
    if alphabetic(second) {
        return run_end(text, start + size, second, |c| alphabetic(c) && !is_upper(c));
    }
    start
}

/// `FirstName` to `first_name`, with rules of its own for numbers.
fn lower_words(text: &[u8], connector: u8) -> Value {
    let mut out = Vec::with_capacity(text.len() + 8);
    let push = |out: &mut Vec<u8>, word: Word, piece: &[u8]| match word {
        Word::Upper | Word::Connector => {
            let lower = |c| if connects(c) { char::from(connector) } else { to_lower(c) };
            out.extend_from_slice(lossy(piece).chars().map(lower).collect::<String>().as_bytes());
        }
        _ => out.extend_from_slice(piece),
    };
    let joins = |word: Word| !matches!(word, Word::None | Word::Connector | Word::Punctuation);
    let (mut word, mut piece, mut rest) = next_word(text);
    while !rest.is_empty() {
        if word != Word::Connector {
            push(&mut out, word, piece);
        }
        let (previous, last) = (word, piece);
        (word, piece, rest) = next_word(rest);
        match previous {
            Word::Number => {
                while matches!(word, Word::Letters | Word::Number) {
                    push(&mut out, word, piece);
                    (word, piece, rest) = next_word(rest);
                }
                if joins(word) {
                    out.push(connector);
                }
            }
            Word::Connector => push(&mut out, previous, last),
            Word::Punctuation => {}
            _ if word != Word::Number => {
                if !matches!(word, Word::Connector | Word::Punctuation) {
                    out.push(connector);
                }
            }
            _ if rest.is_empty() => {}
            _ => {
                let number = piece;
                (word, piece, rest) = next_word(rest);
                if word != Word::Letters {
                    push(&mut out, Word::Number, number);
                    if !matches!(word, Word::Connector | Word::Punctuation) {
                        out.push(connector);
                    }
                    continue;
                }
                // Letters follow the number: they belong together.
                out.push(connector);
                push(&mut out, Word::Number, number);
                while matches!(word, Word::Letters | Word::Number) {
                    push(&mut out, word, piece);
                    (word, piece, rest) = next_word(rest);
                }
                if joins(word) {
                    out.push(connector);
                }
            }
        }
    }
    push(&mut out, word, piece);
    Value::bytes_text(&out)
}

/// Breaks one line at spaces, counting bytes.
fn wrap(text: &[u8], width: i64, separator: &[u8], break_words: bool) -> Result<Value, Fault> {
    let separator = if separator.is_empty() { b"\n" } else { separator };
    let width = usize::try_from(width.max(1)).map_err(|_| fault("the width is out of range"))?;
    let mut out = Vec::with_capacity(text.len());
    let mut offset = 0;
    while text.len() - offset > width {
        if text[offset] == b' ' {
            offset += 1;
            continue;
        }
        let window = &text[offset..offset + width + 1];
        if let Some(space) = window.iter().rposition(|byte| *byte == b' ') {
            out.extend_from_slice(&window[..space]);
            out.extend_from_slice(separator);
            offset += space + 1;
        } else if break_words {
            out.extend_from_slice(&window[..width]);
            out.extend_from_slice(separator);
            offset += width;
        } else {
            let rest = &text[offset..];
            match rest[width..].iter().position(|byte| *byte == b' ') {
                Some(space) => {
                    out.extend_from_slice(&rest[..width + space]);
                    out.extend_from_slice(separator);
                    offset += width + space + 1;
                }
                None => {
                    out.extend_from_slice(rest);
                    offset = text.len();
                }
            }
        }
    }
    out.extend_from_slice(&text[offset..]);
    Ok(Value::bytes_text(&out))
}
