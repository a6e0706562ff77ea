//! What people see: colours on a terminal only, tables, ages.

use std::io::{IsTerminal, Write};

/// Colours, if someone looks who can see them. `NO_COLOR` is honoured.
#[derive(Clone, Copy)]
pub(crate) struct Palette {
    colour: bool,
}

/// What a text means, which decides how it looks.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    /// Reached, ready, added.
    Good,
    /// Failed, removed.
    Bad,
    /// On its way.
    Waiting,
    /// Less important.
    Faint,
    /// More important.
    Strong,
}

impl Palette {
    /// For what goes to standard output.
    pub(crate) fn stdout() -> Self {
        Self::for_stream(&std::io::stdout())
    }

    /// For what goes to standard error.
    pub(crate) fn stderr() -> Self {
        Self::for_stream(&std::io::stderr())
    }

    fn for_stream(stream: &impl IsTerminal) -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: stream.is_terminal() && !unwanted && !dumb }
    }

    /// Without colours.
    pub(crate) fn plain() -> Self {
        Self { colour: false }
    }

    /// Says whether colours are wanted.
    pub(crate) fn is_coloured(self) -> bool {
        self.colour
    }

    /// The text, coloured.
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Waiting => "33",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// Prints data. A reader that went away (`| head`) ends the program quietly.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Tells the user something that is not data.
pub(crate) fn say(text: &str) {
    // Nobody to tell: nothing to do about it.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Rows in columns as wide as their widest cell. The first row is the header.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}   "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["NAME".into(), "READY".into()], vec!["infrastructure".into(), "True".into()]];
        assert_eq!(table(&rows), "NAME             READY\ninfrastructure   True\n");
    }
}
