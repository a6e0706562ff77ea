//! What goes wrong: in Git, in the cluster, on the way.

use crate::bed::{Bed, Ground, condition};
use crate::on_both_grounds;

on_both_grounds!(
    names_the_place_of_broken_yaml,
    names_the_field_that_the_server_refuses,
    an_immutable_change_fails_and_force_recreates,
    a_rollout_that_fails_names_the_pod,
    a_git_server_that_is_away_leaves_the_last_good_artifact,
    an_api_server_that_was_away_finds_everything_reconciled,
    a_field_that_is_not_built_is_refused_by_name,
    an_object_that_cannot_exist_leaves_no_trace,
);

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: example.com/web:1
";

fn names_the_place_of_broken_yaml(ground: Ground) {
    let stage = Bed::shared(ground).stage("trouble-yaml");
    stage
        .repository
        .write("app/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n data: {}\n")
        .push("broken");
    stage.source();
    stage.kustomization("app", "./app", "prune: true");
    let message = stage.failed("app", "BuildFailed");
    assert!(message.contains("app/a.yaml:5:2"), "{message}");
}

fn names_the_field_that_the_server_refuses(ground: Ground) {
    let stage = Bed::shared(ground).stage("trouble-field");
    stage.repository.write("app/web.yaml", &DEPLOYMENT.replace("image:", "imagge:")).push("typo");
    stage.source();
    stage.kustomization("app", "./app", "prune: true\ntargetNamespace: trouble-field");
    let message = stage.failed("app", "ReconciliationFailed");
    assert!(message.contains("Deployment/trouble-field/web"), "{message}");
    assert!(message.contains("imagge"), "{message}");
    assert!(message.contains("app/web.yaml:14:11"), "{message}");
}

fn an_immutable_change_fails_and_force_recreates(ground: Ground) {
    let stage = Bed::shared(ground).stage("trouble-immutable");
    let first = stage.repository.write("app/web.yaml", DEPLOYMENT).push("one");
    stage.source();
    stage.kustomization("app", "./app", "prune: true\ntargetNamespace: trouble-immutable");
    stage.ready("app", &first);
    let uid = stage.find("Deployment", "web").expect("web").uid().to_owned();
    let second = stage.repository.write("app/web.yaml", &DEPLOYMENT.replace("{app: web}", "{app: other}")).push("two");
    let message = stage.failed("app", "ReconciliationFailed");
    assert!(message.contains("Deployment/trouble-immutable/web") && message.contains("immutable"), "{message}");
    assert_eq!(stage.find("Deployment", "web").expect("web").uid(), uid);
    stage.kustomization("app", "./app", "prune: true\ntargetNamespace: trouble-immutable\nforce: true");
    stage.ready("app", &second);
    assert_ne!(stage.find("Deployment", "web").expect("web").uid(), uid);
}

fn a_rollout_that_fails_names_the_pod(ground: Ground) {
    let stage = Bed::shared(ground).stage("trouble-rollout");
    stage.repository.write("app/web.yaml", &DEPLOYMENT.replace("web:1", "web:sim-fail-crash")).push("crash");
    stage.source();
    stage.kustomization("app", "./app", "prune: true\nwait: true\ntimeout: 30s\ntargetNamespace: trouble-rollout");
    let message = stage.failed("app", "HealthCheckFailed");
    assert!(message.contains("Deployment/trouble-rollout/web"), "{message}");
    assert!(message.contains("CrashLoopBackOff"), "{message}");
}

fn a_git_server_that_is_away_leaves_the_last_good_artifact(ground: Ground) {
    let stage = Bed::shared(ground).stage("trouble-git");
    let mut server = soll_testkit::GitServer::start();
    let repository = server.repository("away");
    let first = repository.write("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").push("one");
    let url = repository.url();
    stage.bed.apply(&format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: source, namespace: trouble-git}}
spec: {{url: {url}, interval: 1s, timeout: 5s, ref: {{branch: main}}}}
"
    ));
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: trouble-git");
    stage.ready("app", &first);
    server.stop();
    let source = stage.wait("GitRepository", "source", |source| {
        source.is_some_and(|source| condition(source, "FetchFailed").0 == "True")
    });
    let source = source.expect("it is there");
    assert_eq!(condition(&source, "Ready").1, "GitOperationFailed");
    assert!(source.value().lookup_str(&["status", "artifact", "revision"]).is_some_and(|at| at.ends_with(&first)));
    assert!(stage.find("ConfigMap", "a").is_some());
    server.restart();
    let second = repository.write("b.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n").push("two");
    stage.ready("app", &second);
}

fn an_api_server_that_was_away_finds_everything_reconciled(ground: Ground) {
    let bed = Bed::start(ground);
    let stage = bed.stage("trouble-api");
    let config_map = |name: &str, value: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{key: {value}}}\n")
    };
    let value_of = |name: &str| stage.find("ConfigMap", name)?.value().lookup_str(&["data", "key"]).map(str::to_owned);
    let first = stage.repository.write("a.yaml", &config_map("a", "one")).write("b.yaml", &config_map("b", "one"));
    let first = first.push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: trouble-api");
    stage.ready("app", &first);
    let uid = stage.find("ConfigMap", "a").expect("a").uid().to_owned();

    bed.stop_api_server();
    let second = stage.repository.write("a.yaml", &config_map("a", "two")).remove("b.yaml").push("two");
    bed.restart_api_server();

    stage.ready("app", &second);
    assert_eq!(value_of("a").as_deref(), Some("two"));
    assert_eq!(stage.find("ConfigMap", "a").expect("a").uid(), uid, "nothing was made anew");
    stage.wait("ConfigMap", "b", |b| b.is_none());
    // The watches are back as well.
    bed.delete("ConfigMap", "trouble-api", "a");
    stage.wait("ConfigMap", "a", |a| a.is_some_and(|a| a.uid() != uid && !a.is_terminating()));
    assert!(!bed.engine_has_ended(), "the engine has waited");
}

fn a_field_that_is_not_built_is_refused_by_name(ground: Ground) {
    let stage = Bed::shared(ground).stage("trouble-unbuilt");
    let commit = stage.repository.write("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: trouble-unbuilt");
    stage.ready("app", &commit);
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: trouble-unbuilt\ndecryption: {provider: sops}");
    let object = stage.wait("Kustomization", "app", |app| app.is_some_and(|app| condition(app, "Ready").0 == "False"));
    let object = object.expect("it is there");
    assert!(condition(&object, "Ready").2.contains("spec.decryption"), "{:?}", condition(&object, "Ready"));
    let entries = object.value().lookup(&["status", "inventory", "entries"]).and_then(|entries| entries.as_list());
    assert_eq!(entries.map(<[_]>::len), Some(1), "the inventory is untouched");
    assert!(stage.find("ConfigMap", "a").is_some());
}

fn an_object_that_cannot_exist_leaves_no_trace(ground: Ground) {
    let stage = Bed::shared(ground).stage("trouble-nowhere");
    let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n";
    stage.repository.write("app/a.yaml", config_map).write("other/a.yaml", config_map).push("no namespace");
    stage.source();
    for name in ["app", "other"] {
        stage.kustomization(name, &format!("./{name}"), "prune: true");
        let message = stage.failed(name, "ReconciliationFailed");
        assert!(message.contains(&format!("{name}/a.yaml:3:1")), "{message}");
        assert!(message.contains("ConfigMap/a namespace not specified"), "{message}");
    }
    let mended = stage.repository.write("app/a.yaml", &format!("{config_map}  namespace: trouble-nowhere\n"));
    let mended = mended.push("a namespace");
    let app = stage.ready("app", &mended);
    let entries = app.value().lookup(&["status", "inventory", "entries"]).and_then(|entries| entries.as_list());
    assert_eq!(entries.map(<[_]>::len), Some(1));
    stage.bed.delete("Kustomization", "trouble-nowhere", "other");
    stage.wait("Kustomization", "other", |other| other.is_none());
}
