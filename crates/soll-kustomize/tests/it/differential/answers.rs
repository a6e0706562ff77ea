//! Answers of the oracle, kept from one run to the next.

#![allow(clippy::disallowed_types, reason = "a test keeps them on disk")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;

use serde_json::{Value, json};

/// What kustomize makes of each seed's case, as far as a file has it.
#[derive(Default)]
pub(super) struct Answers {
    known: HashMap<u64, Result<String, String>>,
    file: Option<File>,
}

impl Answers {
    /// From the file that the environment names, if it names one. The file is only good for the generator that made it.
    pub(super) fn open() -> Self {
        let Some(path) = std::env::var_os("SOLL_DIFFERENTIAL_ANSWERS") else { return Self::default() };
        let mut answers = Self::default();
        for line in fs::read_to_string(&path).unwrap_or_default().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| line[name].as_str().map(str::to_owned);
            let answer = text("yaml").ok_or_else(|| text("error").unwrap());
            answers.known.insert(line["seed"].as_u64().unwrap(), answer);
        }
        answers.file = Some(File::options().create(true).append(true).open(path).unwrap());
        answers
    }

    /// The answer for a seed; asks only if it is not known.
    pub(super) fn get(&mut self, seed: u64, ask: impl FnOnce() -> Result<String, String>) -> Result<String, String> {
        if let Some(known) = self.known.remove(&seed) {
            return known;
        }
        let answer = ask();
        if let Some(file) = &mut self.file {
            let line = match &answer {
                Ok(yaml) => json!({"seed": seed, "yaml": yaml}),
                Err(error) => json!({"seed": seed, "error": error}),
            };
            writeln!(file, "{line}").unwrap();
        }
        answer
    }
}
