//! `testdata/kustomize-5.8.1.json` holds what `kustomize build` made of a resource and a patch;
//! `SOLL_KUSTOMIZE_PATCHES` names a larger recording to replay instead.
#![allow(clippy::disallowed_methods, reason = "the recording to replay is named by the environment")]

use soll_patch::{Dialect, strategic_merge};
use soll_schema::Schemas;
use soll_yaml::{Value, parse_json, to_json_sorted};

#[test]
fn merges_as_kustomize_does() {
    let recording = match std::env::var("SOLL_KUSTOMIZE_PATCHES") {
        Ok(path) => std::fs::read(path).expect("the recording can be read"),
        Err(_) => include_bytes!("../../testdata/kustomize-5.8.1.json").to_vec(),
    };
    let cases = parse_json(&recording).expect("valid JSON");
    let cases = cases.as_list().expect("a list of cases");
    assert!(cases.len() > 20);
    let wrong: Vec<String> = cases.iter().filter_map(differs).collect();
    let shown = wrong.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} of {} differ:\n{shown}", wrong.len(), cases.len());
}

fn differs(case: &Value) -> Option<String> {
    let part = |name| case.get(name).expect("a case has all parts");
    let of = |field| part("target").lookup_str(&[field]).expect("an object");
    let types = Schemas::builtin().of(of("apiVersion"), of("kind")).map(|kind| kind.type_ref());
    let merged = match strategic_merge(part("target"), part("patch"), types, Dialect::Kustomize, None) {
        Ok(None) => "null".to_owned(),
        Ok(Some(mut merged)) => {
            // Kustomize puts the name back, whatever the patch does to it.
            let metadata = merged.make_map().get_or_insert_with("metadata", Value::map).make_map();
            metadata.insert("name", Value::str(part("target").lookup_str(&["metadata", "name"]).expect("an object")));
            to_json_sorted(&merged)
        }
        Err(error) => error.to_string(),
    };
    let expected = to_json_sorted(part("expected"));
    (merged != expected)
        .then(|| format!("{}\n     is {merged}\n  wants {expected}", part("name").as_str().unwrap_or_default()))
}
