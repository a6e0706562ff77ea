//! Objects that people have applied by hand become ours as a whole: what is not in Git leaves the cluster, what runs stays.

use soll_api::Object;
use soll_yaml::Value;

use crate::bed::{Bed, Ground, Stage};
use crate::on_both_grounds;

on_both_grounds!(
    what_kubectl_applied_becomes_ours,
    what_nobody_kept_track_of_becomes_ours,
    what_others_own_stays_theirs
);

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const OURS: &str = "kustomize-controller";

fn config_map(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{{data}}}\n")
}

fn deployment(env: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: 'example.com/web:1'{env}}}]}}
"
    )
}

/// Who has fields of an object, other than of its status.
fn managers(object: &Object) -> Vec<&str> {
    let entries = object.value().lookup(&["metadata", "managedFields"]).and_then(Value::as_list).unwrap_or_default();
    let all = entries.iter().filter(|entry| entry.get("subresource").is_none());
    let mut managers: Vec<&str> = all.filter_map(|entry| entry.lookup_str(&["manager"])).collect();
    // The controllers of the cluster annotate what they see.
    managers.retain(|manager| *manager != "kube-controller-manager");
    managers.sort_unstable();
    managers
}

fn data(object: &Object) -> Vec<&str> {
    let data = object.value().get("data").and_then(Value::as_map);
    let mut keys: Vec<&str> = data.into_iter().flat_map(soll_yaml::Map::iter).map(|entry| entry.key.as_str()).collect();
    keys.sort_unstable();
    keys
}

/// Has the original kubectl do something with a file of these manifests.
fn kubectl(stage: &Stage<'_>, arguments: &[&str], manifest: &str) {
    let path = stage.repository.work().with_extension("by-hand.yaml");
    std::fs::write(&path, manifest).expect("writable");
    let path = path.to_string_lossy();
    let ran = stage
        .bed
        .run(&soll_testkit::tools().kubectl, &[&["-n", &stage.namespace][..], arguments, &["-f", &path]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.text);
}

/// Has what is in Git reconciled into the namespace.
fn reconcile(stage: &Stage<'_>) {
    let commit = stage.repository.push("all");
    stage.source();
    stage.kustomization("app", "./", &format!("prune: true\ntargetNamespace: {}", stage.namespace));
    stage.ready("app", &commit);
}

fn what_kubectl_applied_becomes_ours(ground: Ground) {
    let stage = Bed::shared(ground).stage("migrate-kubectl");
    let names = ["by-client", "by-server"];
    let map = |name: &str, data: &str| config_map(data).replace("settings", name);
    kubectl(&stage, &["apply"], &map("by-client", "stays: a, goes: b"));
    kubectl(&stage, &["apply", "--server-side"], &map("by-server", "stays: a, goes: b"));
    kubectl(&stage, &["create"], &deployment(", env: [{name: STAYS, value: a}]"));
    stage.bed.kubectl(&["-n", &stage.namespace, "label", "deployment", "web", "by=hand"]);
    let find = |kind: &str, name: &str| stage.find(kind, name).expect("it is there");
    let (maps, web) = (names.map(|name| find("ConfigMap", name)), find("Deployment", "web"));
    assert!(maps[0].annotation(LAST_APPLIED).is_some());
    let by = maps.each_ref().map(managers);
    assert_eq!(by, [vec!["kubectl-client-side-apply"], vec!["kubectl"]]);
    assert_eq!(managers(&web), ["kubectl-create", "kubectl-label"]);

    for name in names {
        stage.repository.write(&format!("{name}.yaml"), &map(name, "stays: a"));
    }
    stage.repository.write("web.yaml", &deployment(", env: [{name: STAYS, value: a}]"));
    reconcile(&stage);

    for (name, before) in names.iter().zip(&maps) {
        let after = find("ConfigMap", name);
        assert_eq!((managers(&after), data(&after), after.uid()), (vec![OURS], vec!["stays"], before.uid()));
        assert_eq!(after.annotation(LAST_APPLIED), None);
    }
    let after = find("Deployment", "web");
    assert_eq!(managers(&after), [OURS]);
    assert_eq!(after.label("by"), None, "what kubectl has set is not in Git");
    assert_eq!((after.uid(), after.generation()), (web.uid(), web.generation()), "nothing is rolled out");
}

fn what_nobody_kept_track_of_becomes_ours(ground: Ground) {
    let stage = Bed::shared(ground).stage("migrate-untracked");
    kubectl(&stage, &["create"], &config_map("stays: a, goes: b"));
    // As an object that is older than managed fields.
    let untracked = r#"{"metadata":{"managedFields":[{}]}}"#;
    stage.bed.patch("ConfigMap", &stage.namespace, "settings", untracked);
    let before = stage.find("ConfigMap", "settings").expect("it");
    assert_eq!(managers(&before), Vec::<&str>::new());

    stage.repository.write("map.yaml", &config_map("stays: a"));
    reconcile(&stage);
    // The first apply gives what was there to `before-first-apply`; that becomes ours when it is seen.
    let map = stage
        .wait("ConfigMap", "settings", |map| map.is_some_and(|map| managers(map) == [OURS] && data(map) == ["stays"]));
    assert_eq!(map.expect("it is there").uid(), before.uid());
}

fn what_others_own_stays_theirs(ground: Ground) {
    let stage = Bed::shared(ground).stage("migrate-others");
    let apply = ["apply", "--server-side", "--field-manager"];
    kubectl(&stage, &[&apply[..], &["flux-client-side-apply"]].concat(), &config_map("stays: a, flux: b"));
    kubectl(&stage, &[&apply[..], &["operator"]].concat(), &config_map("operator: c"));
    stage.repository.write("map.yaml", &config_map("stays: a"));
    reconcile(&stage);
    let map = stage.find("ConfigMap", "settings").expect("it");
    assert_eq!(managers(&map), ["flux-client-side-apply", OURS, "operator"]);
    assert_eq!(data(&map), ["flux", "operator", "stays"]);
}
