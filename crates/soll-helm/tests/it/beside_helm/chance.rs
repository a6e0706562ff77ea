//! Comparing what is random in part.

use std::sync::LazyLock;

use regex::Regex;

/// Certificates, keys, bcrypt hashes: of other lengths each time. As text and in base64.
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?s)-----BEGIN ([A-Z ]+)-----.*?-----END [A-Z ]+-----|LS0tLS1CRUdJTi[A-Za-z0-9+/=]+|\$2a\$\d\d\$[./A-Za-z0-9]{53}",
    )
    .unwrap()
});

/// What is random by design has the same form: where the reference says two things in two runs, a line has to have the
/// same key and, but for secrets, as many characters. Every other line has to be the same.
pub(super) fn difference(
    got: &Result<String, String>,
    expected: &Result<String, String>,
    again: &Result<String, String>,
) -> Option<String> {
    let (got, expected, again) = match (got, expected, again) {
        (Ok(got), Ok(expected), Ok(again)) | (Err(got), Err(expected), Err(again)) => (got, expected, again),
        _ => return Some(format!("{got:?}\nshould be\n{expected:?}")),
    };
    let mask = |text: &str| {
        // What is no YAML is refused, but Go's reader and ours do not always stop at the same line.
        let text = text.split(": yaml: line ").next().unwrap_or_default();
        SECRETS.replace_all(text, "<secret $1>").into_owned()
    };
    let [got, expected, again] = [got, expected, again].map(|text| mask(text));
    for (number, line) in expected.lines().enumerate() {
        let other = got.lines().nth(number).unwrap_or_default();
        let is_random = again.lines().nth(number) != Some(line);
        if line != other && !(is_random && form(line) == form(other)) && words(line) != words(other) {
            return Some(format!("line {}:\n  {other}\nshould be\n  {line}", number + 1));
        }
    }
    let (lines, wanted) = (got.lines().count(), expected.lines().count());
    (lines != wanted).then(|| format!("{lines} lines should be {wanted}"))
}

/// Keys of a map that a message lists come in any order.
fn words(line: &str) -> Vec<&str> {
    let mut words: Vec<&str> = line.split([' ', ',']).collect();
    words.sort_unstable();
    words
}

fn form(line: &str) -> (&str, usize) {
    (line.split_once(": ").map_or("", |(key, _)| key), line.chars().count())
}
