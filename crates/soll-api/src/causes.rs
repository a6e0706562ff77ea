//! What an error says with its causes.

/// The text of an error with its causes, each once: network libraries tell the useful part last, and some tell it twice.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Told {
        #[error("cannot open it")]
        Once(#[source] std::io::Error),
        #[error("cannot open it: {0}")]
        Twice(#[source] std::io::Error),
    }

    #[test]
    fn each_cause_is_told_once() {
        for tell in [Told::Once, Told::Twice] {
            assert_eq!(with_causes(&tell(std::io::Error::other("no such file"))), "cannot open it: no such file");
        }
    }
}
