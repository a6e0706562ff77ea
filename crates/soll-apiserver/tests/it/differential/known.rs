//! The differences that are there on purpose.

use std::path::Path;

use regex::Regex;
use serde::Deserialize;

/// `KNOWN_DIFFERENCES.toml`.
#[derive(Debug, Deserialize)]
pub(super) struct Known {
    difference: Vec<Difference>,
}

/// One difference; those that scripts meet say how to know them.
#[derive(Debug, Deserialize)]
struct Difference {
    what: String,
    why: String,
    /// Patterns of messages of kube-apiserver that are said in other words.
    #[serde(default)]
    messages: Vec<String>,
    /// Patterns of paths of answers that are not compared.
    #[serde(default)]
    paths: Vec<String>,
    /// Patterns of warnings that are not given.
    #[serde(default)]
    warnings: Vec<String>,
    /// Whether it is that objects are accepted which kube-apiserver finds invalid. Made-up sequences end there.
    #[serde(default)]
    accepts_more: bool,
    /// Names of scripts that must differ, and only there.
    #[serde(default)]
    scripts: Vec<String>,
}

/// What the file says, ready for use.
pub(super) struct Rules {
    messages: Vec<Regex>,
    paths: Vec<Regex>,
    warnings: Vec<Regex>,
    /// Whether some objects are accepted that kube-apiserver finds invalid.
    pub(super) accepts_more: bool,
    /// Scripts that are known to differ.
    pub(super) scripts: Vec<String>,
}

impl Rules {
    pub(super) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("KNOWN_DIFFERENCES.toml");
        let known: Known = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for difference in &known.difference {
            assert!(!difference.what.is_empty() && !difference.why.is_empty(), "{difference:?}");
        }
        let messages = known.difference.iter().flat_map(|difference| &difference.messages);
        let scripts = known.difference.iter().flat_map(|difference| difference.scripts.clone());
        let warnings = known.difference.iter().flat_map(|difference| &difference.warnings);
        let paths = known.difference.iter().flat_map(|difference| &difference.paths);
        Self {
            messages: messages.map(|text| Regex::new(text).unwrap()).collect(),
            paths: paths.map(|text| Regex::new(text).unwrap()).collect(),
            warnings: warnings.map(|text| Regex::new(text).unwrap()).collect(),
            accepts_more: known.difference.iter().any(|difference| difference.accepts_more),
            scripts: scripts.collect(),
        }
    }

    /// Takes warnings away that are not given here.
    pub(super) fn without_warnings(&self, seen: &mut serde_json::Value) {
        if let Some(warnings) = seen.pointer_mut("/headers/warning").and_then(serde_json::Value::as_array_mut) {
            let given = |text: &str| !self.warnings.iter().any(|pattern| pattern.is_match(text));
            warnings.retain(|warning| warning.as_str().is_none_or(given));
        }
    }

    /// Whether a difference is there on purpose.
    pub(super) fn excuse(&self, path: &str, expected: &serde_json::Value) -> bool {
        let text = expected.as_str().unwrap_or_default();
        path.ends_with(".message") && self.messages.iter().any(|pattern| pattern.is_match(text))
            || self.excuses_place(path)
    }

    /// Whether what stands at a path is not compared.
    pub(super) fn excuses_place(&self, path: &str) -> bool {
        self.paths.iter().any(|pattern| pattern.is_match(path))
    }
}
