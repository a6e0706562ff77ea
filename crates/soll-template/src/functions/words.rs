//! Case, words and lines.

use super::{Function, bytes, int, pure, text};
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
    pure("snakecase", &[Str], |args| Ok(Value::from(lower_words(&text(&args[0]), '_')))),
    pure("kebabcase", &[Str], |args| Ok(Value::from(lower_words(&text(&args[0]), '-')))),
    pure("wrap", &[Int, Str], |args| wrap(bytes(&args[1]), int(&args[0]), b"", false)),
    pure("wrapWith", &[Int, Str, Str], |args| wrap(bytes(&args[2]), int(&args[0]), bytes(&args[1]), true)),
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

fn alphabetic(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_uppercase() || !c.is_ascii() && is_letter(c)
}

/// The word at the start, and the rest.
fn next_word(text: &str) -> (Word, &str, &str) {
    let Some(first) = text.chars().next() else { return (Word::None, "", "") };
    let run =
        |from: usize, take: &dyn Fn(char) -> bool| from + text[from..].find(|c| !take(c)).unwrap_or(text.len() - from);
    let start = first.len_utf8();
    let (word, end) = if connects(first) {
        (Word::Connector, run(start, &connects))
    } else if is_punct(first) {
        (Word::Punctuation, run(start, &is_punct))
    } else if is_upper(first) {
        (Word::Upper, upper_word_end(text, start))
    } else if alphabetic(first) {
        (Word::Letters, run(start, &|c| alphabetic(c) && !is_upper(c)))
    } else if is_number(first) {
        (Word::Number, run(start, &is_number))
    } else {
        let other = |c| !(connects(c) || alphabetic(c) || is_number(c) || is_punct(c));
        (Word::Other, run(start, &other))
    };
    (word, &text[..end], &text[end..])
}

/// `HTTPStatus` is `HTTP` and `Status`, `Status` is one.
fn upper_word_end(text: &str, start: usize) -> usize {
    let Some(second) = text[start..].chars().next() else { return start };
    if is_upper(second) {
        let end = start + text[start..].find(|c| !is_upper(c)).unwrap_or(text.len() - start);
        if text[end..].chars().next().is_some_and(alphabetic) {
            let last = text[..end].chars().next_back().map_or(0, char::len_utf8);
            return end - last;
        }
        return end;
    }
    if alphabetic(second) {
        return start + text[start..].find(|c| !alphabetic(c) || is_upper(c)).unwrap_or(text.len() - start);
    }
    start
}

/// `FirstName` to `first_name`, with rules of its own for numbers.
fn lower_words(text: &str, connector: char) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let push = |out: &mut String, word: Word, text: &str| match word {
        Word::Upper | Word::Connector => {
            out.extend(text.chars().map(|c| if connects(c) { connector } else { to_lower(c) }));
        }
        _ => out.push_str(text),
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
    out
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
