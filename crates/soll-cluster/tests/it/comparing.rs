//! `as_applied` against dry runs: where it says that an apply would change nothing, the server must agree.

use soll_api::Object;
use soll_cluster::{ApplyOptions, Patch};
use soll_plan::{Verdict, as_applied, judge};
use soll_schema::{Schemas, Scope};
use soll_yaml::{Data, Map, ParseOptions, Sources, Value, parse_yaml};

use crate::support::{Bed, on_both};

/// Every namespaced builtin object of the corpus, in the bed's namespace, each under a name of its own.
fn corpus(bed: &Bed) -> Vec<Object> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/kustomize");
    let mut cases: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let texts = cases.iter().filter_map(|case| std::fs::read_to_string(case.join("expected.yaml")).ok());
    let values: Vec<_> = texts
        .flat_map(|text| parse_yaml(&text, Sources::new().add("a.yaml"), &ParseOptions::go_v2()).unwrap())
        .collect();
    let mut objects = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        let Ok(mut object) = Object::new(value) else { continue };
        let known = Schemas::builtin().of(object.api_version(), object.kind()).and_then(|kind| kind.resource());
        let encrypted = object.value().get("sops").is_some();
        if encrypted || known.is_none_or(|resource| resource.scope() != Scope::Namespaced) {
            continue;
        }
        let name = Value::from(format!("x{index}"));
        let metadata = object.value_mut().get_mut("metadata").unwrap().make_map();
        metadata.insert("name", name);
        metadata.insert("namespace", Value::str(&bed.namespace));
        objects.push(object);
    }
    objects
}

/// A JSON patch for each leaf below the fields that people edit: another value, and none.
fn edits(live: &Object) -> Vec<Value> {
    let mut edits = Vec::new();
    for field in ["spec", "data", "rules", "subjects"] {
        if let Some(value) = live.value().get(field) {
            edit(value, &format!("/{field}"), &mut edits);
        }
    }
    for field in ["labels", "annotations"] {
        if let Some(value) = live.value().lookup(&["metadata", field]) {
            edit(value, &format!("/metadata/{field}"), &mut edits);
        }
    }
    edits
}

fn edit(value: &Value, path: &str, edits: &mut Vec<Value>) {
    let operation = |op: &str, value: Option<Value>| {
        let fields = [("op", Value::str(op)), ("path", Value::str(path))].into_iter();
        Value::list(vec![fields.chain(value.map(|value| ("value", value))).collect::<Map>().into()])
    };
    edits.push(operation("remove", None));
    let other = match &value.data {
        Data::Map(map) => {
            for entry in map.iter() {
                let key = entry.key.replace('~', "~0").replace('/', "~1");
                edit(&entry.value, &format!("{path}/{key}"), edits);
            }
            return;
        }
        Data::List(items) => {
            for (index, item) in items.iter().enumerate() {
                edit(item, &format!("{path}/{index}"), edits);
            }
            // The first item once more, changed, at the end.
            let mut longer = items.to_vec();
            let Some(mut item) = items.first().cloned() else { return };
            match item.get("name").and_then(Value::as_str).map(str::to_owned) {
                Some(name) => drop(item.make_map().insert("name", Value::from(format!("{name}2")))),
                None if item.as_str().is_some() => item = Value::str("more"),
                None => {}
            }
            longer.push(item);
            Value::list(longer)
        }
        Data::Bool(value) => (!value).into(),
        Data::Int(value) => (value + 1).into(),
        Data::Str(text) => Value::from(format!("{text}2")),
        Data::Float(_) | Data::Null => return,
    };
    edits.push(operation("replace", Some(other)));
}

/// Edits per object.
const EDITS: usize = 12;

on_both! {
async fn what_compares_equal_needs_no_apply(kind) {
    let bed = Bed::new(kind, "comparing").await;
    let managers = &bed.settings.managers;
    let forced = ApplyOptions::forced(&managers.ours);
    let (mut equal, mut edited, mut drifted, mut told, mut wrong) = (0, 0, 0, 0, Vec::new());
    let desired = soll_plan::prepare(corpus(&bed), &bed.owner, &Sources::new()).unwrap();
    let mut applied = 0;
    for (seed, desired) in desired.iter().enumerate() {
        // What the server refuses, such as foreign enums of newer versions, is not what this is about.
        let Ok(live) = bed.cluster.apply(desired, &forced).await else { continue };
        applied += 1;
        let r#type = Schemas::builtin().of(desired.api_version(), desired.kind()).map(|kind| kind.type_ref());
        equal += usize::from(as_applied(desired, &live, managers, r#type));
        let all = edits(&live);
        // Spread over the object, the same ones in each run.
        let some = (0..EDITS.min(all.len())).map(|n| &all[(n * 7919 + seed * 31) % all.len()]);
        for patch in some {
            let patch = Patch::Json(patch.clone());
            let (gvk, name) = (desired.gvk(), desired.name());
            if bed.cluster.patch(&gvk, &bed.namespace, name, &patch, "somebody").await.is_err() {
                continue;
            }
            edited += 1;
            // Controllers write as well: both must be of one state.
            let (live, dry_run) = loop {
                let live = bed.cluster.get(&gvk, &bed.namespace, name).await.unwrap();
                let dry_run = bed.cluster.apply(desired, &forced.clone().dry()).await;
                if dry_run.as_ref().map_or(true, |dry_run| dry_run.resource_version() == live.resource_version()) {
                    break (live, dry_run);
                }
            };
            // A merge of both may be refused; that is for the dry run to say as well.
            let unchanged = dry_run
                .is_ok_and(|dry_run| judge(desired, Some(&live), &dry_run, &bed.settings) == Verdict::Unchanged);
            let same = as_applied(desired, &live, managers, r#type);
            drifted += usize::from(!unchanged);
            told += usize::from(unchanged && same);
            if same && !unchanged {
                wrong.push(format!("{desired:?}: {patch:?}"));
            }
            if bed.cluster.apply(desired, &forced).await.is_err() {
                break;
            }
        }
    }
    eprintln!("{applied} applied, {equal} equal at once; {edited} edits: {drifted} drifted, {told} told without a call");
    assert!(applied > 100 && drifted > 100, "{applied} applied, {drifted} drifted");
    assert!(equal * 100 > applied * 95, "{equal} of {applied}");
    assert_eq!(wrong, Vec::<String>::new());
}
}
