//! The original: Go's templates with Helm's functions, in a process of its own.
#![allow(clippy::disallowed_methods, reason = "tests run the original beside us")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use soll_yaml::Value;

/// What came of a template.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    Output(Vec<u8>),
    Error(String),
}

impl Outcome {
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Output(bytes) => format!("output {:?}", String::from_utf8_lossy(bytes)),
            Self::Error(error) => format!("error  {error}"),
        }
    }
}

/// What a function takes and returns, in Go's words.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) params: Vec<String>,
    pub(crate) variadic: bool,
    pub(crate) result: String,
}

/// All that templates can call.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// Sprig's and Helm's.
    pub(crate) functions: BTreeMap<String, Signature>,
    /// By type, of what functions and methods return.
    pub(crate) methods: BTreeMap<String, BTreeMap<String, Signature>>,
}

/// What it answers to these lines, line by line.
fn ask(requests: &[String]) -> Vec<Value> {
    let mut command = Command::new(soll_compare::binary("template-oracle"));
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).env("TZ", "UTC");
    let mut child = command.spawn().expect("it can be run");
    let mut input = child.stdin.take().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let answers = std::thread::scope(|scope| {
        scope.spawn(move || {
            for request in requests {
                input.write_all(request.as_bytes()).unwrap();
                input.write_all(b"\n").unwrap();
            }
        });
        output.lines().map(|line| soll_yaml::parse_json(line.unwrap().as_bytes()).unwrap()).collect::<Vec<_>>()
    });
    child.wait().unwrap();
    assert_eq!(answers.len(), requests.len(), "the oracle died of a case");
    answers
}

fn quoted(text: &str) -> String {
    soll_yaml::to_json(&Value::str(text))
}

/// What it makes of templates with values, both beside another template.
pub(crate) fn render<'c>(beside: (&str, &str), cases: impl Iterator<Item = (&'c str, &'c str)>) -> Vec<Outcome> {
    let beside = format!(r#"{{"name":{},"text":{}}}"#, quoted(beside.0), quoted(beside.1));
    let requests: Vec<String> = cases
        .map(|(template, values)| {
            let (template, values) = (quoted(template), values.replace('\n', ""));
            format!(r#"{{"files":[{beside},{{"name":"t","text":{template}}}],"render":"t","values":{values}}}"#)
        })
        .collect();
    let outcome = |answer: &Value| match answer.lookup_str(&["error"]) {
        Some(error) => Outcome::Error(error.to_owned()),
        None => Outcome::Output(STANDARD.decode(answer.lookup_str(&["output"]).unwrap_or_default()).unwrap()),
    };
    ask(&requests).iter().map(outcome).collect()
}

/// What there is to be called.
pub(crate) fn inventory() -> Inventory {
    let answer = ask(&[r#"{"inventory":true}"#.to_owned()]).remove(0);
    let map = |value: &Value| value.as_map().cloned().unwrap();
    let signature = |value: &Value| Signature {
        params: value.get("params").and_then(Value::as_list).unwrap().iter().map(text).collect(),
        variadic: value.get("variadic").and_then(Value::as_bool).unwrap(),
        result: value.lookup_str(&["result"]).unwrap().to_owned(),
    };
    let signatures = |value: &Value| {
        map(value).iter().map(|entry| (entry.key.to_string(), signature(&entry.value))).collect::<BTreeMap<_, _>>()
    };
    Inventory {
        functions: signatures(answer.get("functions").unwrap()),
        methods: map(answer.get("methods").unwrap())
            .iter()
            .map(|entry| (entry.key.to_string(), signatures(&entry.value)))
            .collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
