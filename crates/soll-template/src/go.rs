//! What else of Go's library other engines read by: patterns, dates, JSON, URLs.

use jiff::tz::TimeZone;
use regex::Regex;

/// A pattern in the syntax of RE2.
///
/// # Errors
/// What is wrong with it, in Go's words.
pub fn pattern(text: &str) -> Result<Regex, String> {
    crate::functions::compile_pattern(text)
}

/// Says whether a text is a date in a layout of Go.
///
/// # Errors
/// Where it parts from the layout, in Go's words.
pub fn check_date(layout: &str, text: &str) -> Result<(), String> {
    crate::layout::parse(layout, text, &TimeZone::UTC).map(drop)
}

/// Says whether a text is one value of JSON.
///
/// # Errors
/// In the words of Go's stream decoder.
pub fn check_json(text: &[u8]) -> Result<(), String> {
    crate::functions::check_json(text)
}

/// Where a URL leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// In lower case; empty if it is relative.
    pub scheme: String,
    /// With the port.
    pub host: String,
    /// Without port and brackets.
    pub host_name: String,
    /// As it was written, if it was not written as Go writes it.
    pub raw_path: String,
}

/// Reads a URL, or what may stand in its place.
///
/// # Errors
/// What is wrong with it, in Go's words.
pub fn url(text: &str) -> Result<Url, String> {
    crate::functions::parse_url(text)
}

/// A character as `%q` shows it: `'é'`.
#[must_use]
pub fn quoted_char(letter: char) -> String {
    crate::quote::quoted_char(letter, false)
}
