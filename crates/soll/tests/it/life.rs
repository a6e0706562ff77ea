//! The life of a Kustomization: installed, upgraded, pruned, corrected, suspended, deleted.

use crate::bed::{Bed, Ground, condition, config_map};
use crate::on_both_grounds;

on_both_grounds!(
    installs_upgrades_and_prunes,
    corrects_drift,
    waits_for_dependencies,
    deletes_as_its_policy_says,
    does_nothing_while_suspended,
    answers_requests,
);

fn installs_upgrades_and_prunes(ground: Ground) {
    let stage = Bed::shared(ground).stage("life-install");
    let repository = &stage.repository;
    let first = repository
        .write("app/a.yaml", &config_map("a", "one"))
        .write("app/b.yaml", &config_map("b", "one"))
        .push("one");
    stage.source();
    stage.kustomization("app", "./app", "prune: true\ntargetNamespace: life-install");
    let object = stage.ready("app", &first);
    assert_eq!(stage.value_of("a").as_deref(), Some("one"));
    let inventory = object.value().lookup(&["status", "inventory", "entries"]).and_then(|entries| entries.as_list());
    assert_eq!(inventory.map(<[_]>::len), Some(2));
    assert_eq!(condition(&object, "Ready").2, format!("Applied revision: main@sha1:{first}"));
    let before = stage.find("ConfigMap", "b").expect("b").resource_version().to_owned();

    let second = repository.write("app/a.yaml", &config_map("a", "two")).push("two");
    stage.ready("app", &second);
    assert_eq!(stage.value_of("a").as_deref(), Some("two"));
    assert_eq!(stage.find("ConfigMap", "b").expect("b").resource_version(), before, "b did not change in Git");

    let third = repository.remove("app/a.yaml").push("three");
    stage.ready("app", &third);
    assert!(stage.find("ConfigMap", "a").is_none(), "a left Git");
    assert!(stage.find("ConfigMap", "b").is_some());
}

fn corrects_drift(ground: Ground) {
    let stage = Bed::shared(ground).stage("life-drift");
    let commit = stage.repository.write("a.yaml", &config_map("a", "right")).push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: life-drift");
    stage.ready("app", &commit);
    let uid = stage.find("ConfigMap", "a").expect("a").uid().to_owned();

    stage.bed.kubectl(&[
        "-n",
        "life-drift",
        "patch",
        "configmap",
        "a",
        "--type=merge",
        "-p",
        r#"{"data":{"key":"wrong"}}"#,
    ]);
    stage.wait("ConfigMap", "a", |a| a.is_some_and(|a| a.value().lookup_str(&["data", "key"]) == Some("right")));
    assert_eq!(stage.find("ConfigMap", "a").expect("a").uid(), uid, "an edit is corrected in place");

    stage.bed.delete("ConfigMap", "life-drift", "a");
    stage.wait("ConfigMap", "a", |a| a.is_some_and(|a| a.uid() != uid && !a.is_terminating()));

    let label = "kustomize.toolkit.fluxcd.io/name";
    stage.bed.kubectl(&["-n", "life-drift", "label", "configmap", "a", &format!("{label}-")]);
    stage.wait("ConfigMap", "a", |a| a.is_some_and(|a| a.label(label) == Some("app")));
}

fn waits_for_dependencies(ground: Ground) {
    let stage = Bed::shared(ground).stage("life-depends");
    let commit = stage
        .repository
        .write("base/a.yaml", &config_map("a", "1"))
        .write("app/b.yaml", &config_map("b", "1"))
        .push("one");
    stage.source();
    stage.kustomization("app", "./app", "prune: true\ntargetNamespace: life-depends\ndependsOn: [{name: base}]");
    let message = stage.failed("app", "DependencyNotReady");
    assert!(message.contains("dependency 'life-depends/base' not found"), "{message}");
    assert!(stage.find("ConfigMap", "b").is_none());
    stage.kustomization("base", "./base", "prune: true\ntargetNamespace: life-depends");
    stage.ready("base", &commit);
    stage.ready("app", &commit);
}

fn deletes_as_its_policy_says(ground: Ground) {
    let stage = Bed::shared(ground).stage("life-delete");
    let policies = [
        ("mirror", "prune: true", false),
        ("orphan", "prune: true\ndeletionPolicy: Orphan", true),
        ("keep", "prune: false", true),
    ];
    for (name, _, _) in policies {
        stage.repository.write(&format!("{name}/a.yaml"), &config_map(name, "1"));
    }
    let commit = stage.repository.push("one");
    stage.source();
    for (name, spec, _) in policies {
        stage.kustomization(name, &format!("./{name}"), &format!("{spec}\ntargetNamespace: life-delete"));
        stage.ready(name, &commit);
    }
    for (name, _, stays) in policies {
        stage.bed.delete("Kustomization", "life-delete", name);
        stage.wait("Kustomization", name, |object| object.is_none());
        if stays {
            assert!(stage.find("ConfigMap", name).is_some(), "{name} stays");
        } else {
            stage.wait("ConfigMap", name, |object| object.is_none());
        }
    }
}

fn does_nothing_while_suspended(ground: Ground) {
    let stage = Bed::shared(ground).stage("life-suspend");
    let first = stage.repository.write("a.yaml", &config_map("a", "one")).push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: life-suspend");
    stage.ready("app", &first);
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: life-suspend\nsuspend: true");
    let second = stage.repository.write("a.yaml", &config_map("a", "two")).push("two");
    stage.wait("GitRepository", "source", |source| {
        source
            .and_then(|source| source.value().lookup_str(&["status", "artifact", "revision"]))
            .is_some_and(|at| at.ends_with(&second))
    });
    // A request is noted even while suspended: once it is, the engine has seen the new revision and left it alone.
    stage.bed.kubectl(&["-n", "life-suspend", "annotate", "ks", "app", "reconcile.fluxcd.io/requestedAt=now"]);
    stage.wait("Kustomization", "app", |app| {
        app.and_then(|app| app.value().lookup_str(&["status", "lastHandledReconcileAt"])) == Some("now")
    });
    assert_eq!(stage.value_of("a").as_deref(), Some("one"));
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: life-suspend\nsuspend: false");
    stage.ready("app", &second);
    assert_eq!(stage.value_of("a").as_deref(), Some("two"));
}

fn answers_requests(ground: Ground) {
    let stage = Bed::shared(ground).stage("life-request");
    let commit = stage.repository.write("a.yaml", &config_map("a", "one")).push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: life-request");
    stage.ready("app", &commit);
    let output = stage.bed.kubectl(&[
        "-n",
        "life-request",
        "annotate",
        "ks",
        "app",
        "reconcile.fluxcd.io/requestedAt=2026-01-01",
    ]);
    assert!(output.contains("annotated"), "{output}");
    stage.wait("Kustomization", "app", |app| {
        app.and_then(|app| app.value().lookup_str(&["status", "lastHandledReconcileAt"])) == Some("2026-01-01")
    });
}
