//! Strategic merge against the API server's own.
//!
//! `testdata/strategic.json` is recorded by `tests/oracles/apply` at random; `SOLL_STRATEGIC_PATCHES` names
//! a larger recording to replay instead.
#![allow(clippy::disallowed_methods, reason = "the recording to replay is named by the environment")]

use soll_patch::{Dialect, strategic_merge};
use soll_schema::Schemas;
use soll_yaml::{Map, Value, parse_json, to_json_sorted};

#[test]
fn merges_as_the_api_server_does() {
    let recording = match std::env::var("SOLL_STRATEGIC_PATCHES") {
        Ok(path) => std::fs::read(path).expect("the recording can be read"),
        Err(_) => include_bytes!("../../testdata/strategic.json").to_vec(),
    };
    let cases = parse_json(&recording).expect("valid JSON");
    let cases = cases.as_list().expect("a list of cases");
    assert!(cases.len() >= 60);
    let wrong: Vec<String> = cases.iter().filter_map(differs).collect();
    let shown = wrong.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} differ:\n{shown}", wrong.len(), cases.len());
}

fn differs(case: &Value) -> Option<String> {
    let [target, patch] = ["target", "patch"].map(|name| case.get(name).expect("a case has both"));
    let types = Schemas::builtin().of("apps/v1", "Deployment").map(|kind| kind.type_ref());
    let is = match strategic_merge(target, patch, types, Dialect::ApiServer, None) {
        Ok(merged) => to_json_sorted(&without_nulls(&merged.unwrap_or_default())),
        Err(error) => format!("error: {error}"),
    };
    // Of errors only that there is one is compared: the texts are ours.
    let (wants, agrees) = match case.lookup_str(&["error"]) {
        None => {
            let wants = to_json_sorted(&without_nulls(case.get("result").expect("a result or an error")));
            // New items of lists keep their directives there, and the object is refused or cleaned later.
            let agrees = wants == is || wants.contains("\"$");
            (wants, agrees)
        }
        Some(error) => (error.to_owned(), is.starts_with("error: ")),
    };
    let (target, patch) = (to_json_sorted(target), to_json_sorted(patch));
    (!agrees).then(|| format!("  with {target}\n patch {patch}\n    is {is}\n wants {wants}"))
}

/// Nulls in new items of lists are dropped when the API server decodes the result, or at once by us.
fn without_nulls(value: &Value) -> Value {
    if let Some(map) = value.as_map() {
        let kept = map.iter().filter(|entry| !entry.value.is_null());
        return kept.map(|entry| (entry.key.clone(), without_nulls(&entry.value))).collect::<Map>().into();
    }
    match value.as_list() {
        Some(items) => items.iter().map(without_nulls).collect::<Vec<_>>().into(),
        None => value.clone(),
    }
}
