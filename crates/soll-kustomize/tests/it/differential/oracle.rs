//! Kustomize itself, as a process that answers case after case.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Case;

/// The oracle of `tests/oracles/kustomize`.
pub(crate) struct Oracle {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(soll_compare::binary("kustomize-oracle"));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it can be run");
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, questions, answers }
    }

    /// What kustomize prints for a case, or its error.
    pub(super) fn build(&mut self, case: &Case) -> Result<String, String> {
        self.ask(&case.bytes(), &case.root, case.legacy_order, case.root_only)
    }

    /// What kustomize prints for some files, or its error.
    pub(crate) fn ask(
        &mut self,
        files: &BTreeMap<String, Vec<u8>>,
        root: &str,
        legacy_order: bool,
        root_only: bool,
    ) -> Result<String, String> {
        let reorder = if legacy_order { "legacy" } else { "none" };
        let (mut texts, mut binary) = (BTreeMap::new(), BTreeMap::new());
        for (path, bytes) in files {
            match std::str::from_utf8(bytes) {
                Ok(text) => drop(texts.insert(path, text)),
                Err(_) => drop(binary.insert(path, STANDARD.encode(bytes))),
            }
        }
        let question =
            json!({"files": texts, "binary": binary, "root": root, "reorder": reorder, "rootOnly": root_only});
        writeln!(self.questions, "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["yaml"].as_str().unwrap().to_owned()),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
