//! What kube-apiserver answered, kept beside the scripts and compared with where it does not run.
//!
//! `cargo xtask differential apiserver --record` writes a file for each file of scripts: what each request was answered, as it
//! is compared. Values that stand there several times are kept once, under a name that follows from what they are, so that a
//! new record differs where answers do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::PathBuf;

use futures::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use soll_apiserver::store::Limits;

use super::known::Rules;
use super::script::{self, Script, digest};
use super::side::Side;
use super::{AT_ONCE, compared, runtime, shown};

/// The variable of the environment that asks for a record.
pub(super) const RECORD: &str = "SOLL_RECORD";
/// Values of fewer letters are not worth a name.
const WORTH_A_NAME: usize = 60;
/// Answers to a script with more letters are not kept: documents and lists of all that is served.
const LARGEST: usize = 100_000;
/// As many exchanges must be kept.
const FEWEST: usize = 1500;
/// How to bring the record up to date.
const HOW: &str = "`cargo xtask differential apiserver --record`\n";
/// The key that stands for a value kept elsewhere.
const KEPT: &str = "$";

/// The answers to scripts, by file and name.
#[derive(Debug, Default)]
pub(super) struct Record {
    files: BTreeMap<String, Recorded>,
}

/// A file of answers.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Recorded {
    /// Values that stand in several places.
    values: BTreeMap<String, Json>,
    scripts: BTreeMap<String, Transcript>,
}

/// The answers to a script.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Transcript {
    /// What follows from what was asked: another script is another.
    asked: String,
    /// None of what is too large.
    answers: Vec<Json>,
}

impl Record {
    /// Adds the answers of kube-apiserver to a script.
    pub(super) fn add(&mut self, script: &Script, mut answers: Vec<Json>, rules: &Rules) {
        answers.iter_mut().for_each(|answer| forget("", answer, rules));
        if Json::from(answers.clone()).to_string().len() > LARGEST {
            answers.clear();
        }
        for (answer, step) in answers.iter_mut().zip(&script.steps) {
            let step = step.filled(&script.names);
            if let (Some(request), Some(answer)) = (step.request(), answer.as_object_mut()) {
                answer.insert("to".to_owned(), format!("{} {}", request.verb, request.path).into());
            }
        }
        let (file, name) = parts(script);
        let transcript = Transcript { asked: asked(script), answers };
        self.files.entry(file.to_owned()).or_default().scripts.insert(name.to_owned(), transcript);
    }

    /// Writes the files.
    pub(super) fn write(self) {
        let folder = folder();
        std::fs::create_dir_all(&folder).unwrap();
        for (file, recorded) in self.files {
            std::fs::write(folder.join(format!("{file}.json")), recorded.folded().text()).unwrap();
        }
    }
}

impl Recorded {
    /// With what stands in several places kept once.
    fn folded(mut self) -> Self {
        let mut counts = HashMap::new();
        let answers = self.scripts.values().flat_map(|transcript| &transcript.answers);
        answers.for_each(|answer| count(answer, &mut counts));
        for answer in self.scripts.values_mut().flat_map(|transcript| &mut transcript.answers) {
            fold(answer, &counts, &mut self.values);
        }
        self
    }

    /// JSON with a line for each value and each answer.
    fn text(&self) -> String {
        let quoted = |text: &str| Json::from(text).to_string();
        let values = self.values.iter().map(|(name, value)| format!("{}:{value}", quoted(name)));
        let values: Vec<String> = values.collect();
        let mut text = format!("{{\"values\":{{\n{}\n}},\"scripts\":{{\n", values.join(",\n"));
        for (place, (name, transcript)) in self.scripts.iter().enumerate() {
            let answers: Vec<String> = transcript.answers.iter().map(Json::to_string).collect();
            let comma = if place > 0 { ",\n" } else { "" };
            let (name, asked) = (quoted(name), quoted(&transcript.asked));
            write!(text, "{comma}{name}:{{\"asked\":{asked},\"answers\":[\n{}\n]}}", answers.join(",\n")).unwrap();
        }
        text.push_str("\n}}\n");
        text
    }

    /// Puts the values that are kept once where they stand.
    fn unfold(&self, value: &Json) -> Json {
        match value {
            Json::Object(map) => match map.get(KEPT).and_then(Json::as_str) {
                Some(name) => self.unfold(&self.values[name]),
                None => map.iter().map(|(key, value)| (key.clone(), self.unfold(value))).collect::<Map<_, _>>().into(),
            },
            Json::Array(items) => items.iter().map(|item| self.unfold(item)).collect(),
            other => other.clone(),
        }
    }
}

/// Forgets what is not compared: prose, and addresses of the machine.
fn forget(path: &str, value: &mut Json, rules: &Rules) {
    match value {
        _ if rules.excuses_place(path) => *value = "<not compared>".into(),
        Json::Object(map) => map.iter_mut().for_each(|(key, value)| forget(&format!("{path}.{key}"), value, rules)),
        Json::Array(items) => {
            items.iter_mut().enumerate().for_each(|(index, item)| forget(&format!("{path}[{index}]"), item, rules));
        }
        _ => {}
    }
}

/// Counts the places of values; those within a value that is met again count once.
fn count(value: &Json, counts: &mut HashMap<String, usize>) {
    let text = value.to_string();
    if text.len() < WORTH_A_NAME {
        return;
    }
    let count_of = counts.entry(text).or_default();
    *count_of += 1;
    if *count_of == 1 {
        below(value).for_each(|value| count(value, counts));
    }
}

/// Replaces values that stand in several places by their names.
fn fold(value: &mut Json, counts: &HashMap<String, usize>, values: &mut BTreeMap<String, Json>) {
    let text = value.to_string();
    match value {
        Json::Object(map) => map.values_mut().for_each(|value| fold(value, counts, values)),
        Json::Array(items) => items.iter_mut().for_each(|item| fold(item, counts, values)),
        _ => return,
    }
    if counts.get(&text).is_some_and(|count| *count > 1) {
        let name = digest(&text);
        let kept = std::mem::replace(value, Map::from_iter([(KEPT.to_owned(), name.clone().into())]).into());
        let other = values.insert(name, kept.clone());
        assert!(other.is_none_or(|other| other == kept), "two values have one name");
    }
}

fn below(value: &Json) -> Box<dyn Iterator<Item = &Json> + '_> {
    match value {
        Json::Object(map) => Box::new(map.values()),
        Json::Array(items) => Box::new(items.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

/// The file of a script and its name there.
fn parts(script: &Script) -> (&str, &str) {
    script.name.split_once(": ").expect("the name of a script begins with its file")
}

/// A short name for what a script asks.
fn asked(script: &Script) -> String {
    let steps: Vec<Json> = script
        .steps
        .iter()
        .map(|step| {
            let mut step = serde_json::to_value(step.filled(&script.names)).unwrap();
            let said =
                |value: &Json| !matches!(value, Json::Null | Json::Bool(false)) && value != &Json::Object(Map::new());
            step.as_object_mut().unwrap().retain(|_, value| said(value));
            step
        })
        .collect();
    digest(&Json::from(steps).to_string())
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/recorded")
}

fn recorded() -> BTreeMap<String, Recorded> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let recorded = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_stem().unwrap().to_string_lossy().into_owned(), recorded)
    };
    files.map(read).collect()
}

#[test]
fn answers_are_those_that_kube_apiserver_once_gave() {
    let recorded = recorded();
    let transcript = |script: &Script| {
        let (file, name) = parts(script);
        let recorded = recorded.get(file)?;
        Some((recorded, recorded.scripts.get(name)?))
    };
    let scripts = script::all();
    let rules = Rules::read();
    let names: BTreeSet<(&str, &str)> = scripts.iter().map(parts).collect();
    let kept = recorded.iter().flat_map(|(file, of)| of.scripts.keys().map(|name| (file.as_str(), name.as_str())));
    let gone = kept.filter(|name| !names.contains(name)).map(|(file, name)| format!("no script {file}: {name}"));
    let mut wrong: Vec<String> = gone.collect();
    let new = scripts.iter().filter(|script| transcript(script).is_none() && !rules.scripts.contains(&script.name));
    wrong.extend(new.map(|script| format!("{}\n  is not recorded: {HOW}", script.name)));
    let mut exchanges = 0;
    runtime().block_on(async {
        for controllers in [false, true] {
            let some = scripts.iter().filter(|script| script.controllers == controllers);
            let some: Vec<_> = some.filter_map(|script| Some((script, transcript(script)?))).collect();
            let side = Side::embedded(controllers, Limits::default()).await;
            let answers = stream::iter(&some).map(|(script, _)| async {
                side.prepare(script.names["ns"].as_str().unwrap(), controllers).await;
                side.run(script).await
            });
            let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
            for ((script, (recorded, transcript)), answer) in some.iter().zip(answers) {
                let expected: Vec<Json> = transcript
                    .answers
                    .iter()
                    .map(|answer| {
                        let mut answer = recorded.unfold(answer);
                        answer.as_object_mut().unwrap().remove("to");
                        answer
                    })
                    .collect();
                let what = if transcript.asked == asked(script) {
                    answer.map_or_else(Some, |found| compared(script, &expected, &shown(script, &found), &rules).0)
                } else {
                    Some(format!("  asks otherwise than it did: {HOW}"))
                };
                exchanges += expected.len();
                wrong.extend(what.map(|what| format!("{}\n{what}", script.name)));
            }
        }
    });
    eprintln!("{exchanges} exchanges replayed");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(exchanges >= FEWEST, "only {exchanges} exchanges are kept");
}

#[test]
fn values_that_stand_twice_are_kept_once() {
    let long = serde_json::json!({"text": "x".repeat(WORTH_A_NAME)});
    let answer = serde_json::json!({"a": long, "b": [long, {"c": long}], "d": "once"});
    let recorded = |answers: Vec<Json>| {
        let transcript = Transcript { asked: String::new(), answers };
        let scripts = BTreeMap::from([("s".to_owned(), transcript)]);
        Recorded { values: BTreeMap::new(), scripts }.folded()
    };
    let folded = recorded(vec![answer.clone(), answer.clone()]);
    let read: Recorded = serde_json::from_str(&folded.text()).unwrap();
    let unfolded: Vec<Json> = read.scripts["s"].answers.iter().map(|answer| read.unfold(answer)).collect();
    assert_eq!(unfolded, [answer.clone(), answer]);
    assert_eq!(folded.text().matches(&"x".repeat(WORTH_A_NAME)).count(), 1, "{}", folded.text());
    assert_eq!(folded.values.len(), 2, "the answer, and what stands thrice in it");
    assert!(recorded(vec![serde_json::json!({"d": "once"})]).values.is_empty());
}
