//! What a play left in the cluster, as lines that two plays can be compared by.

use std::collections::{BTreeMap, BTreeSet};

use soll_api::{Inventory, Object};
use soll_cluster::{Depth, Selection};
use soll_testkit::Answered;
use soll_yaml::{Value, from_value, to_json_sorted};

use crate::bed::{Bed, PATIENCE, Stage, condition, gvk, runtime};

/// The kinds of what scenarios apply.
const KINDS: [&str; 5] = ["ConfigMap", "Secret", "Service", "Deployment", "Job"];
const OWNER: &str = "kustomize.toolkit.fluxcd.io/name";

async fn list(bed: &Bed, kind: &str, namespace: &str) -> Vec<Object> {
    let (gvk, selection) = (gvk(kind), Selection::all().within(namespace));
    let listed = tokio::time::timeout(PATIENCE, bed.cluster.list(&gvk, &selection, Depth::Whole));
    listed.await.expect("the server answers").unwrap_or_else(|error| panic!("list {kind}: {error}")).items
}

/// The names of all objects of a kind.
pub(super) async fn names(bed: &Bed, kind: &str, namespace: &str) -> Vec<String> {
    list(bed, kind, namespace).await.iter().map(|object| object.name().to_owned()).collect()
}

/// The objects that carry our labels.
fn labelled(stage: &Stage<'_>) -> Vec<Object> {
    runtime().block_on(async {
        let mut all = Vec::new();
        for kind in KINDS {
            let objects = list(stage.bed, kind, &stage.namespace).await;
            all.extend(objects.into_iter().filter(|object| object.label(OWNER).is_some()));
        }
        all
    })
}

/// The uids of what is there, by the objects' names.
pub(super) fn uids(stage: &Stage<'_>) -> BTreeMap<String, String> {
    labelled(stage).iter().map(|object| (object.object_ref().to_string(), object.uid().to_owned())).collect()
}

/// What is there: each object that was applied with its generation, owner, managers and content, whether it is the one that
/// was there `before`, and whether an inventory holds it; each Kustomization with its inventory; and how often each object was
/// made and deleted.
pub(super) fn of(stage: &Stage<'_>, before: &BTreeMap<String, String>, asked: &[Answered]) -> Vec<String> {
    let kustomizations = runtime().block_on(list(stage.bed, "Kustomization", &stage.namespace));
    let inventories: Vec<Inventory> = kustomizations.iter().map(inventory).collect();
    let mut lines = Vec::new();
    for object in labelled(stage) {
        let reference = object.object_ref();
        let kept = match before.get(&reference.to_string()) {
            Some(uid) if uid == object.uid() => "kept",
            Some(_) => "made anew",
            None => "new",
        };
        let held = inventories.iter().filter(|inventory| inventory.contains(&reference.inventory_id())).count();
        lines.push(format!(
            "{reference} generation {:?}, {kept}, of {}, in {held} inventories, by {}, {}",
            object.generation(),
            object.label(OWNER).unwrap_or_default(),
            managers(&object),
            to_json_sorted(content(&object)),
        ));
    }
    for (kustomization, inventory) in kustomizations.iter().zip(&inventories) {
        let ids: BTreeSet<_> = inventory.entries.iter().map(|entry| entry.id.as_str()).collect();
        let (ready, reason, _) = condition(kustomization, "Ready");
        lines.push(format!("Kustomization {} {ready} {reason} has {ids:?}", kustomization.name()));
    }
    lines.extend(done(asked));
    lines.sort();
    lines
}

/// How often objects were made and deleted, by the API server's answers.
fn done(asked: &[Answered]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for Answered { point, status, .. } in asked {
        let asked = &point.asked;
        let ours = ["events", "leases.coordination.k8s.io"].contains(&asked.resource.as_str());
        let applied = !asked.resource.contains("fluxcd.io") && !ours;
        let done = match (asked.verb, status) {
            ("apply" | "create", Some(201)) => "made",
            ("delete", Some(200..=299)) => "deleted",
            _ => continue,
        };
        if applied && asked.writes() {
            *counts.entry(format!("{} {} {done}", asked.resource, asked.name)).or_default() += 1;
        }
    }
    counts.into_iter().map(|(what, count)| format!("{what} {count} times")).collect()
}

fn inventory(kustomization: &Object) -> Inventory {
    let inventory = kustomization.value().lookup(&["status", "inventory"]);
    inventory.map(|inventory| from_value(inventory).expect("an inventory")).unwrap_or_default()
}

/// Who has fields of the object, other than of its status.
fn managers(object: &Object) -> String {
    let entries = object.value().lookup(&["metadata", "managedFields"]).and_then(Value::as_list).unwrap_or_default();
    let others = entries.iter().filter(|entry| entry.get("subresource").is_none());
    // The controllers of the cluster annotate what they see, sooner or later.
    let named = others.filter_map(|entry| entry.lookup_str(&["manager"]));
    named
        .filter(|manager| *manager != "kube-controller-manager")
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(" and ")
}

/// What of an object is not given by the server.
fn content(object: &Object) -> &Value {
    static NOTHING: std::sync::LazyLock<Value> = std::sync::LazyLock::new(Value::map);
    let value = match object.kind() {
        "ConfigMap" | "Secret" => object.value().get("data"),
        "Deployment" => object.value().lookup(&["spec", "template", "spec", "containers"]),
        _ => None,
    };
    value.unwrap_or(&NOTHING)
}

/// What is not the same in the end; nothing if all is.
pub(super) fn difference(measure: &[String], left: &[String]) -> Option<String> {
    let lines = |sign: char, these: &[String], those: &[String]| {
        let only: Vec<_> =
            these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}")).collect();
        only
    };
    let all: Vec<_> = lines('-', measure, left).into_iter().chain(lines('+', left, measure)).collect();
    (!all.is_empty()).then(|| all.join("\n"))
}
