//! The flags that set values, in the order in which Helm takes them.

use soll_yaml::{At, Sources, Value};

use crate::values::{merge, parse_values};
use crate::{Assignment, set, set_json};

/// What `-f` and the kin of `--set` say, each in the order of the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueFlags {
    /// `-f`, `--values`: paths of files.
    pub files: Vec<String>,
    /// `--set-json`.
    pub json: Vec<String>,
    /// `--set`.
    pub set: Vec<String>,
    /// `--set-string`.
    pub string: Vec<String>,
    /// `--set-file`.
    pub file: Vec<String>,
    /// `--set-literal`.
    pub literal: Vec<String>,
}

impl ValueFlags {
    /// The values that the flags add up to, whatever the chart. Files are read by `read`.
    ///
    /// Each value knows the file, line and column it was written at, or the flag: a source named `--set a=b`.
    ///
    /// # Errors
    /// The first flag that cannot be read, in the words of Helm.
    pub fn values(
        &self,
        sources: &Sources,
        read: &mut dyn FnMut(&str) -> Result<String, String>,
    ) -> Result<Value, String> {
        let mut values = Value::map();
        for path in &self.files {
            let text = read(path)?;
            let file =
                parse_values(&text, sources.add(path)).map_err(|error| format!("failed to parse {path}: {error}"))?;
            merge(&mut values, file);
        }
        let at = |flag: &str, text: &str| At::new(sources.add(&format!("{flag} {text}")), 1, 1);
        for text in &self.json {
            set_json(&mut values, text, at("--set-json", text))?;
        }
        for text in &self.set {
            set(&mut values, text, Assignment::Typed, at("--set", text))
                .map_err(|error| format!("failed parsing --set data: {error}"))?;
        }
        for text in &self.string {
            set(&mut values, text, Assignment::Text, at("--set-string", text))
                .map_err(|error| format!("failed parsing --set-string data: {error}"))?;
        }
        for text in &self.file {
            set(&mut values, text, Assignment::File(read), at("--set-file", text))
                .map_err(|error| format!("failed parsing --set-file data: {error}"))?;
        }
        for text in &self.literal {
            set(&mut values, text, Assignment::Literal, at("--set-literal", text))
                .map_err(|error| format!("failed parsing --set-literal data: {error}"))?;
        }
        Ok(values)
    }
}
