//! Scripts: what is asked, as data.
//!
//! A file has `let` (names for texts), `tables` (rows of names), and `scripts`. A script with `each` stands for one script
//! per row, or per combination of rows if it names several tables. `$name` in a text stands for what the name was given;
//! `+` as a key puts the entries of its value in its place. `$ns` is a namespace of the script's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use soll_yaml::{ParseOptions, SourceId};

/// Names and what they stand for.
pub(super) type Names = BTreeMap<String, Json>;

/// What stands for any value that a condition may wait for.
pub(super) const ANYTHING: &str = "<anything>";

/// Requests that are sent one after the other.
#[derive(Debug, Clone)]
pub(super) struct Script {
    /// `file: name (row)`.
    pub(super) name: String,
    /// Whether kube-controller-manager runs beside the real server.
    pub(super) controllers: bool,
    /// Whether nobody has thought of it.
    pub(super) is_made_up: bool,
    pub(super) names: Names,
    pub(super) steps: Vec<Step>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    controllers: bool,
    #[serde(default, rename = "let")]
    names: Names,
    #[serde(default)]
    tables: BTreeMap<String, Vec<Names>>,
    scripts: Vec<Entry>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    /// Names of tables.
    #[serde(default)]
    each: Vec<String>,
    #[serde(default)]
    rows: Vec<Names>,
    steps: Vec<Step>,
}

/// One step: a request, or a piece of a watch.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Step {
    #[serde(rename = "GET")]
    pub(super) get: Option<String>,
    #[serde(rename = "POST")]
    pub(super) post: Option<String>,
    #[serde(rename = "PUT")]
    pub(super) put: Option<String>,
    #[serde(rename = "DELETE")]
    pub(super) delete: Option<String>,
    /// The four kinds of patches.
    #[serde(rename = "APPLY")]
    pub(super) apply: Option<String>,
    #[serde(rename = "MERGE")]
    pub(super) merge: Option<String>,
    #[serde(rename = "JSON")]
    pub(super) json: Option<String>,
    #[serde(rename = "STRATEGIC")]
    pub(super) strategic: Option<String>,
    /// A request that begins with its method: `PATCH /path`.
    pub(super) send: Option<String>,
    pub(super) headers: BTreeMap<String, Json>,
    /// Who asks; the operator if nobody is named.
    #[serde(rename = "as")]
    pub(super) user: Option<String>,
    /// A text is sent as it is.
    pub(super) body: Option<Json>,
    /// `409 Conflict`; any success if it is left out.
    pub(super) expect: Option<Json>,
    /// Whether of the answer only the code is compared: the rest comes about a moment later on one of the servers.
    pub(super) loosely: bool,
    /// Names for what is found at a path of the answer.
    pub(super) capture: BTreeMap<String, String>,
    /// Asks again until the answer has these values at these paths; `code` is that of the answer.
    pub(super) until: Option<Names>,
    /// Opens a watch under a name; the path is that of `GET`.
    pub(super) watch: Option<String>,
    /// Reads events of the watch of this name until there are so many, or one is of a type, or it ends.
    pub(super) collect: Option<String>,
    pub(super) count: Option<usize>,
    pub(super) event: Option<String>,
    pub(super) end: bool,
}

/// How a request is sent.
pub(super) struct Request<'s> {
    pub(super) verb: &'static str,
    pub(super) method: &'s str,
    pub(super) path: &'s str,
    pub(super) content_type: Option<&'static str>,
}

impl Step {
    /// The request of a step; none if it reads a watch.
    pub(super) fn request(&self) -> Option<Request<'_>> {
        let sent = [
            (&self.get, "get", "GET", None),
            (&self.post, "create", "POST", Some("application/json")),
            (&self.put, "update", "PUT", Some("application/json")),
            (&self.delete, "delete", "DELETE", Some("application/json")),
            (&self.apply, "apply", "PATCH", Some("application/apply-patch+yaml")),
            (&self.merge, "merge", "PATCH", Some("application/merge-patch+json")),
            (&self.json, "json-patch", "PATCH", Some("application/json-patch+json")),
            (&self.strategic, "strategic", "PATCH", Some("application/strategic-merge-patch+json")),
        ];
        let plain = sent.into_iter().find_map(|(path, verb, method, content_type)| {
            Some(Request { verb, method, path: path.as_deref()?, content_type })
        });
        plain.or_else(|| {
            let (method, path) = self.send.as_deref()?.split_once(' ').expect("a method and a path");
            Some(Request { verb: "send", method, path, content_type: None })
        })
    }

    /// The step with its names replaced by what they stand for.
    pub(super) fn filled(&self, names: &Names) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(|text| fill_text(text, names));
        let values = |map: &BTreeMap<String, Json>| {
            map.iter().map(|(key, value)| (fill_text(key, names), fill(value, names))).collect()
        };
        Self {
            get: text(&self.get),
            post: text(&self.post),
            put: text(&self.put),
            delete: text(&self.delete),
            apply: text(&self.apply),
            merge: text(&self.merge),
            json: text(&self.json),
            strategic: text(&self.strategic),
            send: text(&self.send),
            user: text(&self.user),
            headers: values(&self.headers),
            body: self.body.as_ref().map(|body| fill(body, names)),
            expect: self.expect.as_ref().map(|expect| fill(expect, names)),
            until: self.until.as_ref().map(values),
            ..self.clone()
        }
    }
}

/// A value with names replaced; a text that is one name becomes the name's value, of whatever type.
pub(super) fn fill(value: &Json, names: &Names) -> Json {
    match value {
        Json::String(text) => match text.strip_prefix('$').and_then(|name| names.get(name)) {
            Some(value) => fill(value, names),
            None => fill_text(text, names).into(),
        },
        Json::Array(items) => items.iter().map(|item| fill(item, names)).collect(),
        Json::Object(map) => {
            let mut filled = match map.get("+").map(|more| fill(more, names)) {
                Some(Json::Object(more)) => more,
                _ => Map::new(),
            };
            for (key, value) in map.iter().filter(|(key, _)| *key != "+") {
                filled.insert(fill_text(key, names), fill(value, names));
            }
            filled.into()
        }
        other => other.clone(),
    }
}

fn fill_text(text: &str, names: &Names) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let braced = rest.starts_with('{');
        let word: &str = rest.trim_start_matches('{');
        let word = &word[..word.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(word.len())];
        match names.get(word) {
            Some(value) => {
                let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                filled.push_str(&fill_text(&shown, names));
                rest = &rest[word.len() + if braced { 2 } else { 0 }..];
            }
            None => filled.push('$'),
        }
    }
    filled.push_str(rest);
    filled
}

/// Reads YAML into JSON.
pub(super) fn read_yaml<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap();
    let parsed = soll_yaml::parse_yaml(&text, SourceId::default(), &ParseOptions::go_v3());
    let documents = parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    soll_yaml::from_value(&documents[0]).unwrap_or_else(|error| panic!("{}: {error} ({:?})", path.display(), error.at))
}

/// YAML that a server writes, as JSON.
pub(super) fn yaml(text: &str) -> Json {
    let documents = soll_yaml::parse_yaml(text, SourceId::default(), &ParseOptions::go_v2()).unwrap();
    soll_yaml::from_value(&documents[0]).unwrap()
}

/// All scripts of the folder beside the tests.
pub(super) fn all() -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scripts");
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    let mut scripts: Vec<Script> = paths.iter().flat_map(|path| of_file(path)).collect();
    for script in &mut scripts {
        // The same in each run, whatever other scripts there are: it stands in what is recorded.
        script.names.insert("ns".to_owned(), format!("t{}", digest(&script.name)).into());
    }
    let names: BTreeSet<_> = scripts.iter().map(|script| script.names["ns"].as_str()).collect();
    assert_eq!(names.len(), scripts.len(), "each script has a name of its own");
    scripts
}

/// A short name for a text.
pub(super) fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(5).fold(String::new(), |name, byte| format!("{name}{byte:02x}"))
}

fn of_file(path: &Path) -> Vec<Script> {
    let file: File = read_yaml(path);
    let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut scripts = Vec::new();
    for entry in &file.scripts {
        let mut rows = if entry.rows.is_empty() { vec![Names::new()] } else { entry.rows.clone() };
        for table in &entry.each {
            let table = file.tables.get(table).unwrap_or_else(|| panic!("{stem}: there is no table {table}"));
            rows = rows.iter().flat_map(|row| table.iter().map(|other| join(row, other))).collect();
        }
        for row in rows {
            let names = join(&file.names, &row);
            let what = fill_text(&entry.name, &names);
            scripts.push(Script {
                name: format!("{stem}: {what}"),
                controllers: file.controllers,
                is_made_up: false,
                names,
                steps: entry.steps.clone(),
            });
        }
    }
    scripts
}

fn join(first: &Names, second: &Names) -> Names {
    first.iter().chain(second).map(|(name, value)| (name.clone(), value.clone())).collect()
}
