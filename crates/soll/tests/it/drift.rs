//! Drift among many objects, and against somebody who fights back.

use std::time::{Duration, Instant};

use soll_api::Object;
use soll_cluster::{DeleteOptions, Depth, Patch, Selection, Watch, WatchEvent};
use soll_yaml::parse_json;
use tokio::time::timeout;

use crate::bed::{Bed, Ground, PATIENCE, Stage, gvk, objects, runtime};
use crate::on_both_grounds;

on_both_grounds!(each_drift_costs_one_write_among_many_objects, a_manager_that_fights_back_meets_patience);

const LABEL: &str = "kustomize.toolkit.fluxcd.io/name";
/// Objects of each of three kinds.
const OBJECTS: usize = 400;
const ROUNDS: usize = 45;

const UNLABELLED: &[u8] = br#"{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":null}}}"#;
const EDITED: &[u8] = br#"{"data":{"mode":"wrong"}}"#;

fn is_right(object: &Object) -> bool {
    let right = object.value().lookup_str(&["data", "mode"]) == Some("right");
    right && object.label(LABEL) == Some("app") && !object.is_terminating()
}

/// Everything that happens to the ConfigMaps of a namespace from now on.
async fn follow(stage: &Stage<'_>) -> Watch {
    let selection = Selection::all().within(&stage.namespace);
    let mut watch = stage.bed.cluster.watch(&gvk("ConfigMap"), selection, Depth::Whole).expect("a place in the budget");
    let started = timeout(PATIENCE, watch.next()).await.expect("the server answers");
    assert!(matches!(started, WatchEvent::Restarted(_)), "{started:?}");
    watch
}

/// The next thing that happens to one ConfigMap; counts what happens to any.
async fn next(watch: &mut Watch, name: &str, counted: &mut usize) -> Option<Object> {
    loop {
        let (object, deleted) = match timeout(PATIENCE, watch.next()).await.expect("something happens") {
            WatchEvent::Applied(object) => (object, false),
            WatchEvent::Deleted(object) => (object, true),
            other => panic!("the watch lost its place: {other:?}"),
        };
        *counted += 1;
        if object.name() == name {
            return (!deleted).then_some(object);
        }
    }
}

async fn patch(stage: &Stage<'_>, name: &str, patch: &[u8]) {
    let patch = Patch::Merge(parse_json(patch).expect("JSON"));
    let patched = stage.bed.cluster.patch(&gvk("ConfigMap"), &stage.namespace, name, &patch, "rival").await;
    patched.expect("it can be patched");
}

#[allow(clippy::print_stdout, reason = "a measurement, for people")]
fn each_drift_costs_one_write_among_many_objects(ground: Ground) {
    let stage = Bed::shared(ground).stage("drift-many");
    for (kind, content) in
        [("ConfigMap", "data: {mode: right}"), ("Secret", "stringData: {a: b}"), ("Service", SERVICE)]
    {
        let object = |number| format!("---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: o{number}}}\n{content}\n");
        stage.repository.write(&format!("{kind}.yaml"), &(0..OBJECTS).map(object).collect::<String>());
    }
    let commit = stage.repository.push("many");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: drift-many");
    stage.ready("app", &commit);

    let mut times = runtime().block_on(async {
        let (mut watch, mut happened, mut times) = (follow(&stage).await, 0, Vec::new());
        for round in 0..ROUNDS {
            let name = format!("o{}", round * (OBJECTS / ROUNDS));
            let begun = Instant::now();
            match round % 3 {
                0 => patch(&stage, &name, EDITED).await,
                1 => patch(&stage, &name, UNLABELLED).await,
                _ => {
                    let options = DeleteOptions::default();
                    let deleted = stage.bed.cluster.delete(&gvk("ConfigMap"), "drift-many", &name, &options).await;
                    deleted.expect("it can be deleted");
                }
            }
            while !next(&mut watch, &name, &mut happened).await.is_some_and(|object| is_right(&object)) {}
            times.push(begun.elapsed());
        }
        // What happens to this one happens after everything else.
        let last = objects("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: last, namespace: drift-many}\n");
        stage.bed.put(&last[0]).await;
        next(&mut watch, "last", &mut happened).await;
        assert_eq!(happened, 2 * ROUNDS + 1, "each drift and each correction is one write");
        times
    });
    times.sort();
    println!("corrected after {:?} in the median, {:?} at most, of {ROUNDS}", times[ROUNDS / 2], times[ROUNDS - 1]);
}

const SERVICE: &str = "spec: {ports: [{port: 80}]}";

fn a_manager_that_fights_back_meets_patience(ground: Ground) {
    let stage = Bed::shared(ground).stage("drift-fight");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {mode: right}\n";
    let commit = stage.repository.write("a.yaml", map).push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: drift-fight");
    stage.ready("app", &commit);

    let corrections = runtime().block_on(async {
        let (mut watch, mut corrections) = (follow(&stage).await, Vec::new());
        patch(&stage, "a", EDITED).await;
        while corrections.len() < 3 {
            if next(&mut watch, "a", &mut 0).await.is_some_and(|object| is_right(&object)) {
                corrections.push(Instant::now());
                patch(&stage, "a", EDITED).await;
            }
        }
        corrections
    });
    let pauses: Vec<Duration> = corrections.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Two seconds and four; what arrives late may make a pause look shorter.
    assert!(pauses[0] > Duration::from_secs(1) && pauses[1] > Duration::from_secs(3), "{pauses:?}");
    let events = stage.bed.kubectl(&["-n", "drift-fight", "events", "--for", "kustomization/app", "--types=Warning"]);
    let warned: Vec<&str> = events.lines().filter(|line| line.contains("DriftCorrectionUndone")).collect();
    assert_eq!(warned.len(), 1, "one warning: {events}");
    assert!(warned[0].contains("ConfigMap/drift-fight/a"), "{events}");
}
