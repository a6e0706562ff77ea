//! `testdata/kustomize-5.8.1.json` holds what `kustomize build` made of a resource and a patch.

use soll_patch::{Dialect, strategic_merge};
use soll_schema::Schemas;
use soll_yaml::{Value, parse_json, to_json_sorted};

#[test]
fn merges_as_kustomize_does() {
    let cases = parse_json(include_bytes!("../../testdata/kustomize-5.8.1.json")).expect("valid JSON");
    let cases = cases.as_list().expect("a list of cases");
    assert!(cases.len() > 20);
    let wrong: Vec<String> = cases.iter().filter_map(differs).collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn differs(case: &Value) -> Option<String> {
    let part = |name| case.get(name).expect("a case has all parts");
    let of = |field| part("target").lookup_str(&[field]).expect("an object");
    let types = Schemas::builtin().of(of("apiVersion"), of("kind")).map(|kind| kind.type_ref());
    let merged = match strategic_merge(part("target"), part("patch"), types, Dialect::Kustomize, None) {
        Ok(merged) => to_json_sorted(&merged.unwrap_or_default()),
        Err(error) => error.to_string(),
    };
    let expected = to_json_sorted(part("expected"));
    (merged != expected)
        .then(|| format!("{}\n     is {merged}\n  wants {expected}", part("name").as_str().unwrap_or_default()))
}
