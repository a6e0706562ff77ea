//! Managed fields of builtin kinds against a real API server.
//!
//! `testdata/kube-apiserver-1.35.4.json` holds, for one object of each kind: what a create stored, the same
//! after its managed fields were reset, a configuration with one more label, and what its apply stored.

use soll_patch::structured::{Set, Types, Write, apply, track_update};
use soll_schema::{Schemas, TypeRef};
use soll_yaml::{Value, parse_json, to_json_sorted};

struct Kind<'a>(&'a str);

impl Types for Kind<'_> {
    fn at(&self, api_version: &str) -> Option<TypeRef<'_>> {
        Schemas::builtin().of(api_version, self.0).map(|kind| kind.type_ref())
    }
}

#[test]
fn owns_what_a_real_api_server_says() {
    let cases = parse_json(include_bytes!("../../testdata/kube-apiserver-1.35.4.json")).expect("valid JSON");
    let cases = cases.as_list().expect("a list of cases");
    assert!(cases.len() >= 15);
    let wrong: Vec<String> = cases.iter().flat_map(differences).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The API server notes who owns what before it allocates addresses and runs its admission plugins.
const COMPLETED_LATER: [&str; 4] = ["Service", "Pod", "Namespace", "PersistentVolumeClaim"];

fn differences(case: &Value) -> Vec<String> {
    let part = |name: &str| case.get(name).expect("a case has all parts");
    let created = part("created");
    let text = |field| created.lookup_str(&[field]).expect("an object");
    let types = Kind(text("kind"));
    let status = Set::of_keys([["status"].as_slice()]);
    let api_version = text("apiVersion");
    let write = Write { manager: "m", api_version, subresource: "", now: "now", types: &types, ignored: Some(&status) };

    let mut stored = created.clone();
    stored.get_mut("metadata").expect("an object").make_map().remove("managedFields");
    let tracked = track_update(None, &stored, &write);
    let applied = apply(Some(part("bare")), part("config"), true, &Write { manager: "soll", ..write });
    let applied = applied.expect("force leaves no conflicts").object;
    let mut pairs = vec![("apply", applied, part("applied"))];
    if !COMPLETED_LATER.contains(&types.0) {
        pairs.push(("create", tracked, created));
    }
    let shown = pairs.iter().map(|(what, is, wants)| (what, managers(is), managers(wants)));
    let differing = shown.filter(|(_, is, wants)| is != wants);
    differing.map(|(what, is, wants)| format!("{what} of {}:\n     is {is}\n  wants {wants}", types.0)).collect()
}

/// The managed fields of an object without their times.
fn managers(object: &Value) -> String {
    let mut entries = object.lookup(&["metadata", "managedFields"]).cloned().unwrap_or_default();
    for entry in entries.as_list_mut().into_iter().flatten() {
        entry.make_map().remove("time");
    }
    to_json_sorted(&entries)
}
