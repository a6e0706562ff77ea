//! What the scripts cover: verb, kind, option and the class of the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use super::script::{Step, read_yaml};

/// Which cells were met, and how often.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By verb and option, then class: the kinds.
    cells: BTreeMap<(String, String), BTreeMap<String, BTreeMap<String, usize>>>,
}

/// A cell that must be met for each of some kinds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Must {
    verb: String,
    #[serde(default)]
    option: String,
    class: String,
    kinds: Vec<String>,
}

/// Options whose values are classes of their own.
const VALUED: &[&str] = &["dryRun", "fieldValidation", "force", "propagationPolicy", "resourceVersionMatch"];

impl Ledger {
    /// Notes an exchange: the request of a step, and code and reason of its answer.
    pub(super) fn note(&mut self, step: &Step, code: u16, reason: &str) {
        let Some(request) = step.request() else { return };
        let (path, query) = request.path.split_once('?').unwrap_or((request.path, ""));
        let Some((kind, named)) = kind(path) else { return };
        let mut options: Vec<String> = Vec::new();
        let mut verb = request.verb;
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match key.as_ref() {
                "watch" => verb = "watch",
                "fieldManager" => {}
                key if VALUED.contains(&key) => options.push(format!("{key}={value}")),
                key => options.push(key.to_owned()),
            }
        }
        verb = match (verb, named) {
            ("get", false) => "list",
            ("delete", false) => "deletecollection",
            (verb, _) => verb,
        };
        if let Some(accept) = step.headers.get("accept").and_then(|accept| accept.as_str())
            && let Some((_, shape)) = accept.split_once("as=")
        {
            options.push(shape.split(';').next().unwrap_or_default().to_owned());
        }
        let class = if code < 300 { "ok".to_owned() } else { format!("{code} {reason}").trim().to_owned() };
        if options.is_empty() {
            options.push(String::new());
        }
        for option in options {
            let classes = self.cells.entry((verb.to_owned(), option)).or_default();
            *classes.entry(class.clone()).or_default().entry(kind.clone()).or_default() += 1;
        }
    }

    /// The cells that must be met and are not.
    pub(super) fn missing(&self) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/differential/must.yaml");
        let must: Vec<Must> = read_yaml(&path);
        let mut missing = Vec::new();
        for Must { verb, option, class, kinds } in must {
            let met = self.cells.get(&(verb.clone(), option.clone())).and_then(|classes| classes.get(&class));
            let unmet = kinds.iter().filter(|kind| met.is_none_or(|kinds| !kinds.contains_key(*kind)));
            missing.extend(unmet.map(|kind| format!("{verb} {kind} {option} {class}")));
        }
        missing
    }

    /// A line per verb and option: how many kinds and exchanges each class has.
    pub(super) fn shown(&self) -> String {
        let mut shown = String::from("verb and option: class (kinds, exchanges)\n");
        let mut kinds: BTreeSet<&String> = BTreeSet::new();
        let (mut cells, mut exchanges) = (0, 0);
        for ((verb, option), classes) in &self.cells {
            write!(shown, "  {}:", format!("{verb} {option}").trim()).unwrap();
            for (class, of) in classes {
                let count: usize = of.values().sum();
                write!(shown, " {class} ({}, {count})", of.len()).unwrap();
                cells += of.len();
                exchanges += count;
                kinds.extend(of.keys());
            }
            shown.push('\n');
        }
        writeln!(shown, "{cells} cells, {} kinds, {exchanges} exchanges", kinds.len()).unwrap();
        shown
    }
}

/// The resource of a path, with its subresource, and whether an object is named.
fn kind(path: &str) -> Option<(String, bool)> {
    let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let group = match *parts.first()? {
        "api" if parts.len() > 2 => {
            parts.drain(..2);
            String::new()
        }
        "apis" if parts.len() > 3 => {
            let group = parts[1].to_owned();
            parts.drain(..3);
            group
        }
        _ => return None,
    };
    if parts.first() == Some(&"namespaces") && parts.len() > 2 && !matches!(parts[2], "status" | "finalize") {
        parts.drain(..2);
    }
    let qualified = |plural: &str| if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    match parts.as_slice() {
        [plural] => Some((qualified(plural), false)),
        [plural, _] => Some((qualified(plural), true)),
        [plural, _, subresource, ..] => Some((format!("{}/{subresource}", qualified(plural)), true)),
        [] => None,
    }
}
