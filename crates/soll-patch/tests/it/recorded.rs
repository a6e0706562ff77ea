//! Server-side apply against Kubernetes' own field manager.
//!
//! `testdata/apply.json` is recorded by `tests/oracles/apply` at random; `SOLL_APPLY_SEQUENCES` names a
//! larger recording to replay instead.
#![allow(clippy::disallowed_methods, reason = "the recording to replay is named by the environment")]

use soll_patch::structured::{ApplyError, Types, Write, apply, track_update};
use soll_schema::{CrdSchema, Schemas, TypeRef};
use soll_yaml::{Value, parse_json, to_json_sorted};

struct Widgets(CrdSchema);

impl Types for Widgets {
    fn at(&self, _: &str) -> Option<TypeRef<'_>> {
        Some(self.0.root())
    }
}

fn deployments(version: &str) -> Option<TypeRef<'static>> {
    Schemas::builtin().of(version, "Deployment").map(|kind| kind.type_ref())
}

fn anything(_: &str) -> Option<TypeRef<'static>> {
    Some(TypeRef::ANY)
}

#[test]
fn applies_as_kubernetes_does() {
    let recording = match std::env::var("SOLL_APPLY_SEQUENCES") {
        Ok(path) => std::fs::read(path).expect("the recording can be read"),
        Err(_) => include_bytes!("../../testdata/apply.json").to_vec(),
    };
    let widget = parse_json(include_bytes!("../../../../tests/oracles/apply/widget.json")).expect("valid JSON");
    let widgets = Widgets(CrdSchema::from_openapi_v3(&widget).expect("a schema"));
    let sequences = parse_json(&recording).expect("valid JSON");
    let sequences = sequences.as_list().expect("a list");
    assert!(sequences.len() >= 30);
    let mut wrong = Vec::new();
    for (number, sequence) in sequences.iter().enumerate() {
        let types: &dyn Types = match sequence.lookup_str(&["types"]) {
            Some("Deployment") => &deployments,
            Some("Widget") => &widgets,
            _ => &anything,
        };
        let steps = sequence.get("steps").and_then(Value::as_list).expect("a list");
        if let Err(difference) = replay(steps, types) {
            wrong.push(format!("sequence {number} of {:?}, {difference}", sequence.lookup_str(&["types"])));
        }
    }
    let shown = wrong.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} sequences differ:\n{shown}", wrong.len(), sequences.len());
}

fn replay(steps: &[Value], types: &dyn Types) -> Result<(), String> {
    let first = steps[0].get("object").expect("an object");
    let mut live = Value::map();
    for key in ["apiVersion", "kind"] {
        live.make_map().insert(key, first.get(key).expect("an object").clone());
    }
    let api_version = first.lookup_str(&["apiVersion"]).expect("an object");
    for (number, step) in steps.iter().enumerate() {
        let object = step.get("object").expect("an object");
        let manager = step.lookup_str(&["manager"]).unwrap_or_default();
        let write = Write { manager, api_version, subresource: "", now: "now", types, ignored: None };
        let result = match step.lookup_str(&["op"]) {
            Some("untracked") => {
                live = object.clone();
                continue;
            }
            Some("update") => Ok(track_update(Some(&live), object, &write)),
            _ => {
                let force = step.get("force").and_then(Value::as_bool).unwrap_or(false);
                apply(Some(&live), object, force, &write).map(|applied| applied.object)
            }
        };
        let (is, wants) = (outcome(&result), recorded(step));
        if is != wants && !same_kind_of_error(&is, &wants) {
            let (live, step) = (to_json_sorted(&live), to_json_sorted(object));
            return Err(format!("step {number}:\n   live {live}\n  write {step}\n     is {is}\n  wants {wants}"));
        }
        if let Some(result) = step.get("result") {
            live = past(result);
        }
    }
    Ok(())
}

fn outcome(result: &Result<Value, ApplyError>) -> String {
    match result {
        Ok(object) => to_json_sorted(object),
        Err(ApplyError::Conflicts(conflicts)) => {
            let mut list: Vec<_> =
                conflicts.iter().map(|conflict| format!("{}: {}", conflict.message(), conflict.field)).collect();
            list.sort();
            list.join("\n")
        }
        Err(error) => error.to_string(),
    }
}

fn recorded(step: &Value) -> String {
    match (step.get("result"), step.get("conflicts").and_then(Value::as_list)) {
        (Some(result), _) => to_json_sorted(result),
        (None, Some(conflicts)) => {
            let mut list: Vec<_> = conflicts.iter().filter_map(Value::as_str).collect();
            list.sort_unstable();
            list.join("\n")
        }
        (None, None) => step.lookup_str(&["error"]).expect("a result or an error").to_owned(),
    }
}

/// Of several errors Kubernetes reports some, in the order of Go's maps: then the texts cannot be compared.
fn same_kind_of_error(is: &str, wants: &str) -> bool {
    let head = |message: &str| message.split("): ").next().map(str::to_owned);
    (is.contains("errors:") || wants.contains("errors:")) && head(is) == head(wants)
}

/// What was written now is past for the next step.
fn past(object: &Value) -> Value {
    let mut object = object.clone();
    let entries = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("managedFields"));
    for entry in entries.and_then(Value::as_list_mut).into_iter().flatten() {
        if entry.get("time").is_some() {
            entry.make_map().insert("time", Value::str("2020-01-01T00:00:00Z"));
        }
    }
    object
}
