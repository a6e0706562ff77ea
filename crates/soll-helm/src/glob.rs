//! The two kinds of patterns that Helm knows: Go's `path.Match`, and the globs of `.Files.Glob`.

use regex::Regex;

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern")]
pub struct PatternError;

/// A pattern of Go's `path.Match`: `*` and `?` stop at `/`, `[a-z]`, `\` escapes.
#[derive(Debug, Clone)]
pub struct PathPattern(Vec<Token>);

impl PathPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it is malformed anywhere.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        tokens(pattern).map(Self)
    }

    /// Says whether the whole name matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let rest = |at: usize| name[at..].chars().next();
        // The last star seen and where it may go on: one way back is enough, because stars are greedy.
        let (mut token, mut at) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        loop {
            let matched = match self.0.get(token) {
                None if at == name.len() => return true,
                None => None,
                Some(Token::Star) => {
                    back = Some((token, at));
                    token += 1;
                    continue;
                }
                Some(Token::One(one)) => rest(at).filter(|c| one.matches(*c)),
            };
            if let Some(c) = matched {
                (token, at) = (token + 1, at + c.len_utf8());
                continue;
            }
            match back.and_then(|(star, from)| Some((star, from, rest(from).filter(|c| *c != '/')?))) {
                Some((star, from, skipped)) => {
                    at = from + skipped.len_utf8();
                    back = Some((star, at));
                    token = star + 1;
                }
                None => return false,
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Token {
    Star,
    One(One),
}

#[derive(Debug, Clone)]
enum One {
    Char(char),
    AnyButSlash,
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl One {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::AnyButSlash => c != '/',
            Self::Class { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, PatternError> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::One(One::AnyButSlash),
            '\\' => Token::One(One::Char(chars.next().ok_or(PatternError)?)),
            '[' => Token::One(class(&mut chars)?),
            c => Token::One(One::Char(c)),
        });
    }
    Ok(tokens)
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<One, PatternError> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(One::Class { negated, ranges });
        }
        let low = class_char(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_char(chars)? } else { low };
        ranges.push((low, high));
    }
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, PatternError> {
    match chars.next() {
        None | Some('-' | ']') => Err(PatternError),
        Some('\\') => chars.next().ok_or(PatternError),
        Some(c) => Ok(c),
    }
}

/// A pattern of `.Files.Glob`: `*` stops at `/`, `**` does not, `?`, `[abc]`, `[!a-z]`, `{a,b}`, `\` escapes.
///
/// A pattern that cannot be read matches everything, as in Helm.
pub(crate) struct Glob(Option<Regex>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(regex_of(pattern).and_then(|text| Regex::new(&text).ok()))
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(name))
    }
}

fn regex_of(pattern: &str) -> Option<String> {
    let mut text = String::from("(?s)\\A");
    let mut chars = pattern.chars().peekable();
    let mut depth = 0;
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => text.push_str(".*"),
            '*' => text.push_str("[^/]*"),
            '?' => text.push_str("[^/]"),
            '{' => {
                depth += 1;
                text.push_str("(?:");
            }
            ',' if depth > 0 => text.push('|'),
            '}' if depth > 0 => {
                depth -= 1;
                text.push(')');
            }
            '[' => text.push_str(&bracket(&mut chars)?),
            // At the end it escapes nothing.
            '\\' => text.extend(chars.next().map(|c| regex::escape(&c.to_string()))),
            c => text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    text.extend(std::iter::repeat_n(')', depth));
    text.push_str("\\z");
    Some(text)
}

/// One range, or a list of characters in which `-` is one; nothing in it would be an error.
fn bracket(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let start = if chars.next_if_eq(&'!').is_some() { "[^" } else { "[" };
    let escaped = |c: char| regex::escape(&c.to_string());
    let first = chars.next()?;
    if chars.next_if_eq(&'-').is_some() {
        let last = chars.next()?;
        let is_whole = chars.next() == Some(']') && first <= last;
        return is_whole.then(|| format!("{start}{}-{}]", escaped(first), escaped(last)));
    }
    let (mut list, mut next) = (String::new(), first);
    while next != ']' {
        list.push_str(&escaped(if next == '\\' { chars.next()? } else { next }));
        next = chars.next()?;
    }
    (!list.is_empty()).then(|| format!("{start}{list}]"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_match_as_in_go() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("ab[c]", "abc", true),
            ("ab[^c]", "abc", false),
            ("a\\*b", "a*b", true),
            ("a?b", "a/b", false),
            ("*x", "xxx", true),
            ("templates/.?*", "templates/.x", true),
            ("templates/.?*", "templates/.", false),
        ] {
            assert_eq!(PathPattern::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        for pattern in ["[", "[^", "[]a]", "[-]", "[a-", "a\\", "[x-]"] {
            assert!(PathPattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn globs_know_double_stars_and_alternatives() {
        for (pattern, name, expected) in [
            ("files/*.txt", "files/a.txt", true),
            ("files/*.txt", "files/sub/a.txt", false),
            ("files/**", "files/sub/a.txt", true),
            ("**.yaml", "a/b.yaml", true),
            ("{a,b}/*.[jy]s", "b/x.js", true),
            ("{a,b}/*.[!jy]s", "b/x.js", false),
            ("a.b", "aXb", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(name), expected, "{pattern} {name}");
        }
    }
}
