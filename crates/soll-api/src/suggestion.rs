//! What a mistyped word was meant to be.

/// The known word that is closest to a mistyped one: at most two letters away, ignoring case.
#[must_use]
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let near = known.into_iter().map(|name| (distance(word, name), name)).min()?;
    (near.0 <= 2).then_some(near.1)
}

/// Edits between two words, ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (line, letter) in a.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (column, other) in b.chars().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[b.chars().count()]
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn only_a_slip_of_the_pen_is_guessed() {
        let known = ["image", "imagePullPolicy", "name"];
        assert_eq!(did_you_mean("imagePulPolicy", known), Some("imagePullPolicy"));
        assert_eq!(did_you_mean("Imgae", known), Some("image"));
        assert_eq!(did_you_mean("replicas", known), None);
        assert_eq!(did_you_mean("x", []), None);
    }
}
