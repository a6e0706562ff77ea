//! What is watched, what is not, and what goes by itself.

use std::process::Command;

use soll_api::{Gvk, Object};
use soll_cluster::{Patch, Selection, WatchEvent};
use soll_testkit::Keeper;
use soll_yaml::parse_json;
use tokio::time::timeout;

use crate::bed::{Bed, FLEETING_JOB, Ground, PATIENCE, config_map, runtime};
use crate::on_both_grounds;

on_both_grounds!(more_kinds_than_watches_converge_all_the_same, a_job_that_removes_itself_runs_once_for_each_revision,);

const KINDS: usize = 60;
const WATCHES: usize = 20;

fn kind(number: usize) -> Gvk {
    Gvk::new("many.example.com/v1", &format!("Kind{number:02}"))
}

fn definition(number: usize) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: kind{number:02}s.many.example.com}}
spec:
  group: many.example.com
  names: {{kind: Kind{number:02}, plural: kind{number:02}s}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"
    )
}

fn mode(object: &Object) -> Option<&str> {
    object.value().lookup_str(&["spec", "mode"])
}

fn more_kinds_than_watches_converge_all_the_same(ground: Ground) {
    let bed = Bed::without_engine(ground);
    bed.apply(&(0..KINDS).map(|number| format!("---\n{}", definition(number))).collect::<String>());
    let stage = bed.stage("many");
    let write = |value: &str| {
        for number in 0..KINDS {
            let object = format!(
                "apiVersion: many.example.com/v1\nkind: Kind{number:02}\nmetadata: {{name: one}}\nspec: {{mode: {value}}}\n"
            );
            stage.repository.write(&format!("k{number:02}.yaml"), &object);
        }
        stage.repository.push(value)
    };
    let first = write("right");
    let folder = tempfile::Builder::new().prefix("soll-watching-").tempdir().expect("a temporary folder").keep();
    let keeper = Keeper::of(folder).expect("a shell can be started");
    let mut command = Command::new(env!("CARGO_BIN_EXE_soll"));
    command.args(["controller", "--storage-addr=127.0.0.1:0", "--health-addr=0", "--metrics-addr=0"]);
    command.arg("--kubeconfig").arg(&bed.kubeconfig).arg("--storage-path").arg(keeper.folder().join("data"));
    command.arg(format!("--max-watches={WATCHES}"));
    let _engine = keeper.start("engine", &mut command).expect("the engine starts");
    stage.source();
    stage.kustomization("app", "./", "prune: true\nwait: true\ntimeout: 1m\ntargetNamespace: many");
    bed.patch("Kustomization", "many", "app", r#"{"spec":{"interval":"5s"}}"#);
    stage.ready("app", &first);

    // Drift of what is not watched is found at the interval.
    let wrong = Patch::Merge(parse_json(br#"{"spec":{"mode":"wrong"}}"#).expect("JSON"));
    runtime().block_on(async {
        for number in 0..KINDS {
            let patched = bed.cluster.patch(&kind(number), "many", "one", &wrong, "rival").await;
            patched.unwrap_or_else(|error| panic!("patch {}: {error}", kind(number)));
        }
        for number in 0..KINDS {
            let selection = Selection::named("many", "one");
            let watch = bed.cluster.watch(&kind(number), selection, soll_cluster::Depth::Whole);
            let mut watch = watch.expect("a place in the budget");
            let corrected = timeout(PATIENCE, async {
                loop {
                    let object = match watch.next().await {
                        WatchEvent::Restarted(objects) => objects.into_iter().next(),
                        WatchEvent::Applied(object) => Some(object),
                        WatchEvent::Deleted(_) | WatchEvent::Interrupted(_) => None,
                    };
                    if object.as_ref().and_then(mode) == Some("right") {
                        return;
                    }
                }
            });
            assert!(corrected.await.is_ok(), "{} stays as it was drifted to", kind(number));
        }
    });
    let second = write("left");
    stage.ready("app", &second);
    let log = std::fs::read_to_string(keeper.folder().join("engine.log")).expect("it logs");
    assert!(log.contains("the budget of watches is used up"), "there are fewer watches than kinds");
}

fn a_job_that_removes_itself_runs_once_for_each_revision(ground: Ground) {
    let stage = Bed::shared(ground).stage("ttl");
    let first = stage.repository.write("job.yaml", FLEETING_JOB).write("a.yaml", &config_map("a", "one")).push("one");

    let (namespace, all) = (stage.namespace.clone(), Selection::all());
    let mut jobs =
        stage.bed.cluster.watch(&Gvk::new("batch/v1", "Job"), all.within(&namespace), soll_cluster::Depth::Metadata);
    let jobs = jobs.as_mut().expect("a place in the budget");
    let mut next = |wanted: &str| {
        let next = runtime().block_on(async { timeout(PATIENCE, jobs.next()).await });
        match next.unwrap_or_else(|_| panic!("{wanted}, but nothing happens")) {
            WatchEvent::Restarted(objects) => assert!(objects.is_empty(), "{wanted}"),
            WatchEvent::Applied(object) => return Some((object.uid().to_owned(), true)),
            WatchEvent::Deleted(object) => return Some((object.uid().to_owned(), false)),
            WatchEvent::Interrupted(error) => panic!("{wanted}: {error}"),
        }
        None
    };
    assert!(next("nothing is there yet").is_none());
    // Until it is gone; all that is told is of the same one.
    let mut run = || {
        let (uid, _) = next("it is made").expect("it is told of");
        loop {
            let (same, there) = next("it goes").expect("it is told of");
            assert_eq!(same, uid, "it runs once");
            if !there {
                return uid;
            }
        }
    };
    stage.source();
    stage.kustomization("app", "./", "prune: true\nwait: true\ntimeout: 1m\ntargetNamespace: ttl");
    let once = run();
    stage.ready("app", &first);
    // A pass for something else leaves it alone.
    stage.bed.patch("ConfigMap", "ttl", "a", r#"{"data":{"key":"wrong"}}"#);
    let key = |a: Option<&Object>| a.and_then(|a| a.value().lookup_str(&["data", "key"]).map(str::to_owned));
    stage.wait("ConfigMap", "a", |a| key(a).as_deref() == Some("one"));
    assert!(stage.find("Job", "once").is_none());
    // Another revision runs it again, as with Flux.
    let second = stage.repository.write("a.yaml", &config_map("a", "two")).push("two");
    assert_ne!(run(), once);
    stage.ready("app", &second);
}
