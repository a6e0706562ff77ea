//! Soll's own commands, for people without the other command lines.

use std::path::Path;

use soll_yaml::Value;

use crate::bed::{Bed, Ground, Ran, Stage, config_map, until};
use crate::on_both_grounds;

on_both_grounds!(
    commands_show_and_steer_what_is_reconciled,
    diff_shows_what_an_apply_would_change,
    diff_shows_what_an_apply_would_make_in_what_it_makes_first,
    an_installation_goes_and_leaves_what_it_applied,
);

fn soll(stage: &Stage<'_>, arguments: &[&str]) -> Ran {
    stage.bed.run(Path::new(env!("CARGO_BIN_EXE_soll")), arguments)
}

/// Runs it, expects it to end with 0 and to print each of some texts.
fn shows(stage: &Stage<'_>, arguments: &[&str], wanted: &[&str]) {
    let ran = soll(stage, arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.text);
    for wanted in wanted {
        assert!(ran.text.contains(wanted), "{arguments:?} shows no {wanted:?}:\n{}", ran.text);
    }
}

fn commands_show_and_steer_what_is_reconciled(ground: Ground) {
    let stage = Bed::shared(ground).stage("commands");
    let first = stage.repository.write("a.yaml", &config_map("a", "one")).push("one");
    stage.bed.apply(&format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: source, namespace: commands}}
spec: {{url: {}, interval: 10m, ref: {{branch: main}}}}
",
        stage.repository.url()
    ));
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: commands");
    stage.ready("app", &first);
    let in_namespace = |arguments: &[&'static str]| -> Vec<&'static str> { [arguments, &["-n", "commands"]].concat() };

    shows(&stage, &in_namespace(&["get"]), &["source", "app", "Applied revision", &first[..8]]);
    shows(&stage, &["get", "-A"], &["commands", "source", "app"]);
    shows(&stage, &in_namespace(&["get", "kustomizations", "app", "-o", "json"]), &["\"name\":\"app\"", &first]);
    shows(&stage, &in_namespace(&["events", "--for", "Kustomization/app"]), &["ReconciliationSucceeded"]);
    shows(&stage, &in_namespace(&["tree", "kustomization", "app"]), &["ConfigMap/commands/a"]);

    let second = stage.repository.write("a.yaml", &config_map("a", "two")).push("two");
    shows(&stage, &in_namespace(&["reconcile", "kustomization", "app", "--with-source"]), &[&second[..8]]);
    stage.ready("app", &second);
    shows(&stage, &in_namespace(&["suspend", "kustomization", "app"]), &["suspended"]);
    shows(&stage, &in_namespace(&["get", "kustomizations"]), &["True        True"]);
    shows(&stage, &in_namespace(&["resume", "kustomization", "app"]), &["resumed"]);

    let missing = soll(&stage, &in_namespace(&["reconcile", "kustomization", "nobody"]));
    assert_ne!(missing.code, Some(0));
    assert!(missing.text.contains("no Kustomization nobody in namespace commands"), "{}", missing.text);
}

fn diff_shows_what_an_apply_would_change(ground: Ground) {
    let stage = Bed::shared(ground).stage("commands-diff");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().to_str().expect("UTF-8");
    let secret =
        |value: &str| format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: {value}\n");
    let write = |map: &str, password: &str| {
        std::fs::write(folder.path().join("a.yaml"), config_map("a", map)).expect("writable");
        std::fs::write(folder.path().join("s.yaml"), secret(password)).expect("writable");
    };
    write("one", "hunter1");
    let built = soll(&stage, &["build", place]);
    assert_eq!(built.code, Some(0), "{}", built.text);
    let manifest = folder.path().join("../commands-diff-built.yaml");
    std::fs::write(&manifest, &built.text).expect("writable");
    let applied = stage.bed.kubectl(&[
        "-n",
        "commands-diff",
        "apply",
        "--server-side",
        "--field-manager=kustomize-controller",
        "-f",
        &manifest.to_string_lossy(),
    ]);
    std::fs::remove_file(&manifest).expect("it was written");
    assert!(applied.contains("configmap/a serverside-applied"), "{applied}");

    let same = soll(&stage, &["diff", place, "-n", "commands-diff"]);
    assert_eq!(same.code, Some(0), "{}", same.text);
    write("two", "hunter2");
    let changed = soll(&stage, &["diff", place, "-n", "commands-diff"]);
    assert_eq!(changed.code, Some(1), "{}", changed.text);
    for wanted in ["ConfigMap/commands-diff/a", "Secret/commands-diff/s", "-   key: one", "+   key: two"] {
        assert!(changed.text.contains(wanted), "no {wanted:?} in\n{}", changed.text);
    }
    for secret in ["hunter1", "hunter2", "aHVudGVyMQ", "aHVudGVyMg"] {
        assert!(!changed.text.contains(secret), "a secret is shown:\n{}", changed.text);
    }
}

fn diff_shows_what_an_apply_would_make_in_what_it_makes_first(ground: Ground) {
    let stage = Bed::shared(ground).stage("commands-first");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let definition = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: buoys.commands.soll.dev}
spec:
  group: commands.soll.dev
  scope: Namespaced
  names: {plural: buoys, kind: Buoy}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {
      color: {type: string, default: red}, depth: {type: integer}}}}}}
";
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: commands-first-made}\n";
    let buoy = "apiVersion: commands.soll.dev/v1\nkind: Buoy\nmetadata: {name: b}\nspec: {depth: 3}\n";
    let map = format!(
        "{}---\n{namespace}",
        config_map("a", "one").replace("name: a", "name: a\n  namespace: commands-first-made")
    );
    for (name, text) in [("crd.yaml", definition), ("b.yaml", buoy), ("a.yaml", &map)] {
        std::fs::write(folder.path().join(name), text).expect("writable");
    }
    let place = folder.path().to_str().expect("UTF-8");
    let told = soll(&stage, &["diff", place, "-n", "commands-first"]);
    assert_eq!(told.code, Some(1), "{}", told.text);
    // No real server can be forked.
    let wanted: &[&str] = match ground {
        Ground::Embedded => &[
            "ConfigMap/commands-first-made/a created",
            "+   key: one",
            "Buoy/commands-first/b created",
            "+   color: red",
        ],
        Ground::Real => &[
            "ConfigMap/commands-first-made/a unknown until Namespace/commands-first-made is there",
            "Buoy/commands-first/b unknown until CustomResourceDefinition/buoys.commands.soll.dev is there",
        ],
    };
    for wanted in wanted {
        assert!(told.text.contains(wanted), "no {wanted:?} in\n{}", told.text);
    }

    // All that is refused is told, each where it stands.
    let bad = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: p}\nspec: {minAvailable: 1, maxUnavailable: 1}\n---\n\
               apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: []}\n";
    std::fs::write(folder.path().join("bad.yaml"), bad).expect("writable");
    let told = soll(&stage, &["diff", place, "-n", "commands-first"]);
    assert_eq!(told.code, Some(2), "{}", told.text);
    for wanted in ["cannot be both set", "spec.ports: Required value", "bad.yaml:4", "bad.yaml:9"] {
        assert!(told.text.contains(wanted), "no {wanted:?} in\n{}", told.text);
    }
}

fn an_installation_goes_and_leaves_what_it_applied(ground: Ground) {
    let bed = Bed::without_engine(ground);
    let soll = |arguments: &[&str]| bed.run(Path::new(env!("CARGO_BIN_EXE_soll")), arguments);
    let installed = soll(&["install", "--replicas", "2"]);
    assert_eq!(installed.code, Some(0), "{}", installed.text);
    let deployment = bed.find("Deployment", "flux-system", "soll").expect("it was installed");
    assert_eq!(deployment.value().lookup(&["spec", "replicas"]).and_then(Value::as_i64), Some(2));
    let lease = |name: &str, labels: &str, holder: &str| {
        format!(
            "---\napiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata:\n  name: {name}\n  namespace: flux-system\n  \
             labels: {{{labels}}}\nspec: {{holderIdentity: \"{holder}\"}}\n"
        )
    };
    let ours = ["soll-shard-3", "soll-member-a", "soll-1f2e3d4c-shard-0", "kustomize-controller-leader-election"];
    let others = ["source-controller-leader-election", "soll-sisters", "shop-shard-1"];
    let of_group = format!("{}: soll", soll_cluster::group_label());
    bed.apply(&ours[..2].iter().map(|name| lease(name, &of_group, "")).collect::<String>());
    bed.apply(&lease(ours[2], &of_group, "one that was killed"));
    bed.apply(&lease(ours[3], "", ""));
    bed.apply(&others.map(|name| lease(name, "", "somebody")).concat());
    bed.apply(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: applied
  namespace: flux-system
  labels: {kustomize.toolkit.fluxcd.io/name: app, kustomize.toolkit.fluxcd.io/namespace: flux-system}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: app, namespace: flux-system, finalizers: [finalizers.fluxcd.io]}
spec: {prune: true, interval: 10m, sourceRef: {kind: GitRepository, name: app}}
",
    );

    let unsure = soll(&["uninstall"]);
    assert_ne!(unsure.code, Some(0), "{}", unsure.text);
    assert!(unsure.text.contains("add --yes"), "{}", unsure.text);
    assert!(bed.find("Deployment", "flux-system", "soll").is_some());

    let gone = soll(&["uninstall", "--yes"]);
    assert_eq!(gone.code, Some(0), "{}", gone.text);
    assert!(bed.find("Deployment", "flux-system", "soll").is_none());
    assert!(bed.find("Namespace", "", "flux-system").is_some());
    assert!(bed.find("ConfigMap", "flux-system", "applied").is_some(), "what was applied stays");
    for name in ours {
        assert!(bed.find("Lease", "flux-system", name).is_none(), "{name} stays");
    }
    for name in others {
        assert!(bed.find("Lease", "flux-system", name).is_some(), "{name} is gone");
    }
    let crd = "kustomizations.kustomize.toolkit.fluxcd.io";
    until("the CRDs are gone", || bed.find("CustomResourceDefinition", "", crd).is_none());
}
