//! Texts that nothing may print, and how they are taken out of what is printed.

use std::fmt;

/// What stands where a secret stood.
const MASK: &str = "***";

/// From this length on a text is taken out wherever it stands; shorter ones only where they stand for themselves.
const TELLING: usize = 4;

/// Texts that no message may hold. Printing this prints none of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text, without the blanks around it; a text of several lines also line by line. What messages quote is taken out as
    /// it stands between quotes, too.
    pub fn add(&mut self, text: &str) {
        self.extend([text]);
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with `***` for each secret in it.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| match secret.chars().count() >= TELLING {
            true => text.replace(secret.as_str(), MASK),
            false => hide_word(&text, secret),
        })
    }
}

/// A text as it stands between the quotes of JSON, and of Go's `%q`.
fn quoted(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// A text as it stands between the quotes of Go's JSON, which is safe to put into HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in quoted(text).chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => escaped.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Replaces a text where no letter or digit adjoins it.
fn hide_word(text: &str, word: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut rest = text;
    let adjoins = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    while let Some(start) = rest.find(word) {
        let (before, after) = (&rest[..start], &rest[start + word.len()..]);
        let previous = before.chars().next_back().or_else(|| hidden.chars().next_back());
        hidden.push_str(before);
        hidden.push_str(if adjoins(previous) || adjoins(after.chars().next()) { word } else { MASK });
        rest = after;
    }
    hidden.push_str(rest);
    hidden
}

/// Adds each as [`Secrets::add`] does.
impl<'t> Extend<&'t str> for Secrets {
    fn extend<T: IntoIterator<Item = &'t str>>(&mut self, texts: T) {
        for text in texts {
            let lines = text.lines().filter(|_| text.contains('\n'));
            let parts = std::iter::once(text).chain(lines).map(str::trim).filter(|part| !part.is_empty());
            self.0.extend(parts.flat_map(|part| [part.to_owned(), quoted(part), escaped(part)]));
        }
        // A text that holds another one is looked for first.
        self.0.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        self.0.dedup();
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(texts: &[&str]) -> Secrets {
        let mut secrets = Secrets::new();
        texts.iter().for_each(|text| secrets.add(text));
        secrets
    }

    #[test]
    fn secrets_are_taken_out_wherever_they_stand() {
        let secrets = secrets(&["hunter2", "hunter22", "7", "line one\nline two", ""]);
        assert_eq!(secrets.hide("xhunter22x hunter2"), "x***x ***");
        assert_eq!(secrets.hide("got 7 of 70, a7, 7"), "got *** of 70, a7, ***");
        assert_eq!(secrets.hide("\"line two\" is wrong"), "\"***\" is wrong");
        assert_eq!(secrets.hide(r#""line one\nline two" is wrong"#), r#""***" is wrong"#);
        assert_eq!(format!("{secrets:?}"), "7 secrets");
    }

    #[test]
    fn secrets_are_taken_out_as_they_are_quoted() {
        let secrets = secrets(&[r#"ab\cd"ef"#]);
        assert_eq!(secrets.hide(r#"Invalid value: "ab\\cd\"ef": no"#), r#"Invalid value: "***": no"#);
        assert_eq!(secrets.hide(r#"got ab\cd"ef"#), "got ***");
        assert_eq!(self::secrets(&["pa<ss&w>"]).hide(r#"{"Value":"pa\u003css\u0026w\u003e"}"#), r#"{"Value":"***"}"#);
    }
}
