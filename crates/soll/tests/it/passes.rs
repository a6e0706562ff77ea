//! What a pass must not overlook: news that come at a bad moment, and objects that go by more than one name.

use soll_api::Object;

use crate::bed::{Bed, FLEETING_JOB, Ground, Stage, condition, config_map, until};
use crate::on_both_grounds;

on_both_grounds!(
    what_changes_during_a_wait_is_applied_after_it,
    drift_is_corrected_at_the_interval_if_events_may_not,
    a_job_that_removed_itself_does_not_run_again_for_drift_during_a_wait,
    what_a_suspended_kustomization_once_had_is_pruned_by_who_has_it,
    what_moves_to_a_kustomization_of_the_same_commit_stays_what_it_is,
    what_moves_to_a_kustomization_that_its_own_one_makes_stays_what_it_is,
    what_a_renamed_kustomization_has_stays_what_it_is,
    what_two_kustomizations_build_goes_to_the_other_one_at_once_when_one_is_deleted,
    a_deleted_kustomization_whose_artifact_cannot_be_had_waits_and_says_so,
    variables_that_nobody_can_read_keep_nobody_else_from_pruning,
    what_lives_outside_of_namespaces_is_one_object_whatever_namespace_is_written,
);

/// Waits for the value of a ConfigMap.
fn await_value(stage: &Stage<'_>, name: &str, value: &str) {
    stage.wait("ConfigMap", name, |map| map.is_some_and(|map| map.value().lookup_str(&["data", "key"]) == Some(value)));
}

/// What keeps a Kustomization waiting until the test makes it.
const GATE: &str = "healthChecks: [{apiVersion: v1, kind: ConfigMap, name: gate, namespace: HERE}]\ntimeout: 3m";

fn gate(stage: &Stage<'_>) -> String {
    GATE.replace("HERE", &stage.namespace)
}

fn open_gate(stage: &Stage<'_>) {
    stage
        .bed
        .apply(&config_map("gate", "open").replace("gate\n", &format!("gate\n  namespace: {}\n", stage.namespace)));
}

fn what_changes_during_a_wait_is_applied_after_it(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-wait");
    let repository = &stage.repository;
    repository.write("waiting/a.yaml", &config_map("waiting", "${who}"));
    repository.write("plain/a.yaml", &config_map("plain", "${who}")).push("one");
    let variables = |who: &str| {
        stage.bed.apply(&format!(
            "apiVersion: v1
kind: ConfigMap
metadata: {{name: variables, namespace: pass-wait, labels: {{reconcile.fluxcd.io/watch: Enabled}}}}
data: {{who: {who}}}
"
        ));
    };
    variables("one");
    stage.source();
    let spec = "targetNamespace: pass-wait\npostBuild: {substituteFrom: [{kind: ConfigMap, name: variables}]}";
    stage.kustomization("waiting", "./waiting", &format!("prune: true\n{spec}\n{}", gate(&stage)));
    stage.kustomization("plain", "./plain", &format!("prune: true\n{spec}"));
    await_value(&stage, "waiting", "one");
    await_value(&stage, "plain", "one");

    variables("two");
    // Both are woken at once; the other one has to do more for it.
    await_value(&stage, "plain", "two");
    open_gate(&stage);
    await_value(&stage, "waiting", "two");
}

fn drift_is_corrected_at_the_interval_if_events_may_not(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-drift");
    let commit = stage.repository.write("a.yaml", &config_map("a", "right")).push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: pass-drift");
    let patch = r#"{"metadata":{"annotations":{"soll.dev/drift-by-events":"disabled"}},"spec":{"interval":"3s"}}"#;
    stage.bed.patch("Kustomization", "pass-drift", "app", patch);
    stage.ready("app", &commit);
    stage.bed.patch("ConfigMap", "pass-drift", "a", r#"{"data":{"key":"wrong"}}"#);
    await_value(&stage, "a", "right");
}

fn a_job_that_removed_itself_does_not_run_again_for_drift_during_a_wait(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-job");
    let repository = &stage.repository;
    let commit = repository.write("job.yaml", FLEETING_JOB).write("a.yaml", &config_map("a", "right")).push("one");
    stage.source();
    stage.kustomization("app", "./", &format!("prune: true\ntargetNamespace: pass-job\n{}", gate(&stage)));
    let made = stage.wait("Job", "once", |job| job.is_some()).expect("it is made");
    stage.wait("Job", "once", |job| job.is_none());
    stage.bed.patch("ConfigMap", "pass-job", "a", r#"{"data":{"key":"wrong"}}"#);
    await_value(&stage, "a", "right");
    open_gate(&stage);
    stage.ready("app", &commit);
    let told = stage.bed.kubectl(&["-n", "pass-job", "get", "events", "-o=jsonpath={.items[*].message}"]);
    assert_eq!(told.matches("Job/pass-job/once created").count(), 1, "made once ({}): {told}", made.uid());
}

fn what_a_suspended_kustomization_once_had_is_pruned_by_who_has_it(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-held");
    let repository = &stage.repository;
    repository.write("old/a.yaml", &config_map("a", "old")).write("old/x.yaml", &config_map("x", "old"));
    let commit = repository.write("new/b.yaml", &config_map("b", "new")).push("one");
    stage.source();
    stage.kustomization("old", "./old", "prune: true\ntargetNamespace: pass-held");
    stage.kustomization("new", "./new", "prune: true\ntargetNamespace: pass-held");
    stage.ready("old", &commit);
    stage.ready("new", &commit);
    stage.bed.patch("Kustomization", "pass-held", "old", r#"{"spec":{"suspend":true}}"#);
    repository.write("new/x.yaml", &config_map("x", "new")).push("two");
    await_value(&stage, "x", "new");

    let commit = repository.remove("new/x.yaml").push("three");
    stage.wait("ConfigMap", "x", |x| x.is_none());
    stage.ready("new", &commit);
    assert_eq!(stage.value_of("a").as_deref(), Some("old"), "what is suspended is left alone");
}

/// A Kustomization of `./path` in the namespace of a stage.
fn kustomization(stage: &Stage<'_>, name: &str, path: &str) -> String {
    let namespace = &stage.namespace;
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  interval: 10m
  prune: true
  path: ./{path}
  targetNamespace: {namespace}
  sourceRef: {{kind: GitRepository, name: source}}
"
    )
}

/// Has `all` make `old`, and this the ConfigMap `x`; returns the uid of that.
fn old_made_x(stage: &Stage<'_>, commit: &str) -> String {
    stage.source();
    stage.kustomization("all", "./all", "prune: true");
    stage.ready("all", commit);
    stage.ready("old", commit);
    stage.find("ConfigMap", "x").expect("x").uid().to_owned()
}

/// Waits until a ConfigMap has another owner, and sees that nobody has deleted it on the way.
fn await_owner(stage: &Stage<'_>, name: &str, uid: &str, owner: &str) {
    let label = "kustomize.toolkit.fluxcd.io/name";
    let taken = stage.wait("ConfigMap", name, |map| map.is_some_and(|map| map.label(label) == Some(owner)));
    assert_eq!(taken.expect("it is there").uid(), uid, "nobody has deleted it");
}

fn what_moves_to_a_kustomization_of_the_same_commit_stays_what_it_is(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-move");
    let repository = &stage.repository;
    repository.write("all/old.yaml", &kustomization(&stage, "old", "old")).write("old/a.yaml", &config_map("a", "one"));
    let commit = repository.write("old/x.yaml", &config_map("x", "one")).push("one");
    let uid = old_made_x(&stage, &commit);

    repository.write("all/new.yaml", &kustomization(&stage, "new", "new")).write("new/b.yaml", &config_map("b", "one"));
    repository.git(&["mv", "old/x.yaml", "new/x.yaml"]);
    let commit = repository.push("moved");
    stage.ready("new", &commit);
    await_owner(&stage, "x", &uid, "new");
    let entries = |ks: &Object| format!("{:?}", ks.value().lookup(&["status", "inventory"]));
    stage.wait("Kustomization", "old", |old| old.is_some_and(|old| !entries(old).contains("pass-move_x__ConfigMap")));
    stage.ready("old", &commit);
    await_owner(&stage, "x", &uid, "new");
}

fn what_moves_to_a_kustomization_that_its_own_one_makes_stays_what_it_is(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-child");
    let repository = &stage.repository;
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: pass-child}\ndata: {key: one}\n";
    repository.write("all/b.yaml", &config_map("b", "one").replace("b\n", "b\n  namespace: pass-child\n"));
    let commit = repository.write("all/x.yaml", map).push("one");
    stage.source();
    stage.kustomization("all", "./all", "prune: true");
    stage.ready("all", &commit);
    let uid = stage.find("ConfigMap", "x").expect("x").uid().to_owned();

    repository.write("all/new.yaml", &kustomization(&stage, "new", "new")).write("new/a.yaml", &config_map("a", "one"));
    repository.git(&["mv", "all/x.yaml", "new/x.yaml"]);
    let commit = repository.push("moved");
    await_owner(&stage, "x", &uid, "new");
    stage.ready("new", &commit);
    let entries = |ks: &Object| format!("{:?}", ks.value().lookup(&["status", "inventory"]));
    stage.wait("Kustomization", "all", |all| all.is_some_and(|all| !entries(all).contains("pass-child_x__ConfigMap")));
    await_owner(&stage, "x", &uid, "new");
}

fn what_a_renamed_kustomization_has_stays_what_it_is(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-rename");
    let repository = &stage.repository;
    repository.write("all/old.yaml", &kustomization(&stage, "old", "app"));
    // Whose labels it has is nothing to wait for.
    let once = "y\n  annotations: {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}\n";
    repository.write("app/y.yaml", &config_map("y", "one").replace("y\n", once));
    let commit = repository.write("app/x.yaml", &config_map("x", "one")).push("one");
    let uid = old_made_x(&stage, &commit);
    let uid_of_y = stage.find("ConfigMap", "y").expect("y").uid().to_owned();

    repository.write("all/new.yaml", &kustomization(&stage, "new", "app"));
    let commit = repository.remove("all/old.yaml").push("renamed");
    await_owner(&stage, "x", &uid, "new");
    stage.ready("new", &commit);
    stage.wait("Kustomization", "old", |old| old.is_none());
    await_owner(&stage, "x", &uid, "new");
    assert_eq!(stage.find("ConfigMap", "y").expect("y").uid(), uid_of_y);
}

fn what_two_kustomizations_build_goes_to_the_other_one_at_once_when_one_is_deleted(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-shared");
    let repository = &stage.repository;
    for folder in ["a", "b"] {
        repository.write(&format!("{folder}/x.yaml"), &config_map("x", "one"));
        repository.write(&format!("{folder}/own.yaml"), &config_map(folder, "one"));
    }
    let commit = repository.push("one");
    stage.source();
    for name in ["b", "a"] {
        stage.kustomization(name, &format!("./{name}"), "prune: true\ntargetNamespace: pass-shared");
        stage.ready(name, &commit);
    }
    let label = "kustomize.toolkit.fluxcd.io/name";
    let x = stage.find("ConfigMap", "x").expect("x");
    assert_eq!(x.label(label), Some("a"), "it has who applied it last");
    stage.bed.delete("Kustomization", "pass-shared", "a");
    stage.wait("ConfigMap", "a", |a| a.is_none());
    await_owner(&stage, "x", x.uid(), "b");
    stage.wait("Kustomization", "a", |a| a.is_none());
    stage.ready("b", &commit);
}

fn a_deleted_kustomization_whose_artifact_cannot_be_had_waits_and_says_so(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-lost");
    let commit = stage.repository.write("a.yaml", &config_map("a", "one")).push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntimeout: 10m\ntargetNamespace: pass-lost");
    stage.ready("app", &commit);
    let uid = stage.find("ConfigMap", "a").expect("a").uid().to_owned();
    stage.bed.patch("GitRepository", "pass-lost", "source", r#"{"spec":{"suspend":true}}"#);
    let lost = r#"{"status":{"artifact":{"path":"gitrepository/pass-lost/source/gone.tar.gz",
        "revision":"main@sha1:0000000000000000000000000000000000000000",
        "digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000"}}}"#;
    stage.bed.kubectl(&[
        "-n",
        "pass-lost",
        "patch",
        "gitrepository",
        "source",
        "--subresource=status",
        "--type=merge",
        "-p",
        lost,
    ]);
    let nowhere = r#"{"spec":{"suspend":false,"url":"http://127.0.0.1:1/nothing"}}"#;
    stage.bed.patch("GitRepository", "pass-lost", "source", nowhere);
    stage.bed.delete("Kustomization", "pass-lost", "app");
    // It may be moved to another one, for all that is known.
    let waiting = stage.failed("app", "HandOverPending");
    assert!(waiting.contains("cannot be found out; until "), "{waiting}");
    assert_eq!(stage.find("ConfigMap", "a").expect("it is there").uid(), uid);
    // A source that is suspended will not tell: it is deleted with all that nobody else has.
    stage.bed.patch("GitRepository", "pass-lost", "source", r#"{"spec":{"suspend":true}}"#);
    stage.wait("Kustomization", "app", |app| app.is_none());
    stage.wait("ConfigMap", "a", |a| a.is_none());
}

fn variables_that_nobody_can_read_keep_nobody_else_from_pruning(ground: Ground) {
    let stage = Bed::shared(ground).stage("pass-odd");
    let repository = &stage.repository;
    repository.write("a/x.yaml", &config_map("x", "one")).write("odd/b.yaml", &config_map("b", "one"));
    let commit = repository.write("a/own.yaml", &config_map("own", "one")).push("one");
    stage.source();
    let spec = "prune: true\ntargetNamespace: pass-odd";
    let odd = "postBuild: {substituteFrom: [{kind: ConfigMap, name: 'a%b'}]}";
    stage.kustomization("odd", "./odd", &format!("{spec}\n{odd}"));
    stage.failed("odd", "BuildFailed");
    stage.kustomization("a", "./a", spec);
    stage.ready("a", &commit);
    let commit = repository.remove("a/x.yaml").push("two");
    stage.ready("a", &commit);
    stage.wait("ConfigMap", "x", |x| x.is_none());
}

fn what_lives_outside_of_namespaces_is_one_object_whatever_namespace_is_written(ground: Ground) {
    let bed = Bed::shared(ground);
    bed.apply(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: seals.pass.example.com}
spec:
  group: pass.example.com
  names: {kind: Seal, plural: seals}
  scope: Cluster
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
",
    );
    let stage = bed.stage("pass-scope");
    let seal = "apiVersion: pass.example.com/v1\nkind: Seal\nmetadata: {name: great}\nspec: {mode: right}\n";
    let commit = stage.repository.write("seal.yaml", seal).push("one");
    stage.source();
    // kustomize takes a kind that it does not know for one that lives in namespaces.
    stage.kustomization("app", "./", "prune: true\nwait: true\ntargetNamespace: pass-scope");
    stage.ready("app", &commit);
    let read = || bed.kubectl(&["get", "seals.pass.example.com", "great", "-o=jsonpath={.metadata.uid} {.spec.mode}"]);
    let made = read();
    assert!(made.ends_with(" right"), "{made}");
    bed.kubectl(&["patch", "seals.pass.example.com", "great", "--type=merge", "-p", r#"{"spec":{"mode":"wrong"}}"#]);
    until("it is corrected", || read() == made);

    bed.patch("Kustomization", "pass-scope", "app", r#"{"spec":{"targetNamespace":"default"}}"#);
    let entries = |app: &Object| format!("{:?}", app.value().lookup(&["status", "inventory"]));
    stage.wait("Kustomization", "app", |app| app.is_some_and(|app| entries(app).contains("default_great_")));
    let app = stage.wait("Kustomization", "app", |app| {
        app.is_some_and(|app| condition(app, "Ready").0 == "True" && !entries(app).contains("pass-scope_great_"))
    });
    assert!(app.is_some());
    assert_eq!(read(), made, "it is the same object, and not deleted under its other name");
}
