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
    /// Names of scripts that must differ, and only there.
    #[serde(default)]
    scripts: Vec<String>,
}

/// What the file says, ready for use.
pub(super) struct Rules {
    messages: Vec<Regex>,
    paths: Vec<Regex>,
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
        let paths = known.difference.iter().flat_map(|difference| &difference.paths);
        Self {
            messages: messages.map(|text| Regex::new(text).unwrap()).collect(),
            paths: paths.map(|text| Regex::new(text).unwrap()).collect(),
            scripts: scripts.collect(),
        }
    }

    /// Whether a difference is there on purpose.
    pub(super) fn excuse(&self, path: &str, expected: &serde_json::Value) -> bool {
        let text = expected.as_str().unwrap_or_default();
        path.ends_with(".message") && self.messages.iter().any(|pattern| pattern.is_match(text))
            || self.paths.iter().any(|pattern| pattern.is_match(path))
    }
}
