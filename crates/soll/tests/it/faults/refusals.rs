//! A cluster that says no for a while: in the end everything is there, and nothing else.

use serde_json::json;
use soll_testkit::{Asked, Fault, Point, Webhook};

use super::play::Play;
use crate::bed::{Bed, Ground, Stage, condition, config_map, until};
use crate::on_both_grounds;

on_both_grounds!(
    a_namespace_that_is_stuck_is_waited_for,
    a_kind_that_vanishes_may_come_back,
    a_kind_that_vanishes_before_it_is_watched_is_noticed,
);

/// Waits until a Kustomization has failed for a reason that its message tells.
fn failed_for(stage: &Stage<'_>, name: &str, why: &str) -> String {
    let failed = stage.wait("Kustomization", name, |ks| {
        ks.is_some_and(|ks| {
            let (status, _, message) = condition(ks, "Ready");
            status == "False" && message.contains(why)
        })
    });
    condition(&failed.expect("it is there"), "Ready").2
}

/// What an inventory holds.
fn inventory(stage: &Stage<'_>, name: &str) -> usize {
    let ks = stage.find("Kustomization", name).expect("it is there");
    let entries = ks.value().lookup(&["status", "inventory", "entries"]).and_then(|entries| entries.as_list());
    entries.map_or(0, <[_]>::len)
}

fn a_namespace_that_is_stuck_is_waited_for(ground: Ground) {
    let stage = Bed::shared(ground).stage("stuck");
    stage.repository.write("namespace.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: stuck-inner}\n");
    let text = config_map("a", "one").replace("name: a", "name: a\n  namespace: stuck-inner");
    let commit = stage.repository.write("a.yaml", &text).push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true");
    stage.ready("app", &commit);
    let held = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, namespace: stuck-inner, finalizers: [example.com/hold]}\n";
    stage.bed.apply(held);

    stage.bed.delete("Namespace", "", "stuck-inner");
    failed_for(&stage, "app", "because it is being terminated");
    assert_eq!(inventory(&stage, "app"), 2, "nothing is forgotten");
    stage.bed.patch("ConfigMap", "stuck-inner", "held", r#"{"metadata":{"finalizers":null}}"#);
    stage.ready("app", &commit);
    let a = stage.bed.find("ConfigMap", "stuck-inner", "a").expect("it is back");
    assert!(!a.is_terminating());
    assert!(stage.bed.find("ConfigMap", "stuck-inner", "held").is_none());
}

const CRD: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gears.some.vanishing.example.com}
spec:
  group: some.vanishing.example.com
  names: {kind: Gear, plural: gears}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

fn a_kind_that_vanishes_may_come_back(ground: Ground) {
    let stage = Bed::shared(ground).stage("vanishing");
    stage.bed.apply(CRD);
    let gear = "apiVersion: some.vanishing.example.com/v1\nkind: Gear\nmetadata: {name: gear}\nspec: {teeth: 12}\n";
    let commit = stage.repository.write("gear.yaml", gear).write("a.yaml", &config_map("a", "one")).push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: vanishing");
    stage.ready("app", &commit);
    let gears = |verb: &str| {
        stage.bed.kubectl(&["-n", "vanishing", verb, "gears.some.vanishing.example.com", "gear", "-o", "name"])
    };
    let vanish = || {
        // What is deleted comes back as soon as the kind is watched; before that, nobody would hear that it vanishes.
        gears("delete");
        until("the gear is back", || gears("get").contains("/gear"));
        stage.bed.delete("CustomResourceDefinition", "", "gears.some.vanishing.example.com");
    };

    vanish();
    failed_for(&stage, "app", "no matches for kind \"Gear\"");
    assert_eq!(inventory(&stage, "app"), 2, "nothing is forgotten");
    stage.bed.apply(CRD);
    stage.ready("app", &commit);
    let output = stage.bed.kubectl(&["-n", "vanishing", "get", "gears.some.vanishing.example.com", "-o", "name"]);
    assert!(output.contains("/gear"), "{output}");

    // What is of a kind that nobody serves any more is gone: it may leave Git.
    vanish();
    failed_for(&stage, "app", "no matches for kind \"Gear\"");
    let without = stage.repository.remove("gear.yaml").push("two");
    stage.ready("app", &without);
    assert_eq!(inventory(&stage, "app"), 1);
}

fn a_kind_that_vanishes_before_it_is_watched_is_noticed(ground: Ground) {
    let bed = Bed::without_engine(ground);
    bed.apply(CRD);
    let play = Play::new(&bed);
    let stage = &play.stage;
    let gear = "apiVersion: some.vanishing.example.com/v1\nkind: Gear\nmetadata: {name: gear}\nspec: {teeth: 12}\n";
    let commit = stage.repository.write("gear.yaml", gear).push("one");
    let list = Asked {
        verb: "list",
        dry: false,
        resource: "gears.some.vanishing.example.com".to_owned(),
        part: String::new(),
        namespace: String::new(),
        name: String::new(),
    };
    play.proxy.arm(Some((Point { asked: list, nth: 0 }, Fault::Held)));
    play.engine.start();
    stage.source();
    stage.kustomization("app", "./", &format!("prune: true\ntargetNamespace: {}", stage.namespace));
    stage.ready("app", &commit);
    until("the gears are to be listed", || play.proxy.reached());
    let definition = "gears.some.vanishing.example.com";
    bed.delete("CustomResourceDefinition", "", definition);
    bed.wait("CustomResourceDefinition", "", definition, |definition| definition.is_none());
    play.proxy.let_pass();
    // The interval is ten minutes.
    failed_for(stage, "app", "no matches for kind \"Gear\"");
}

/// Only on real ground: the embedded server calls no webhooks.
#[test]
fn a_webhook_that_denies_is_told_of_and_obeyed() {
    let stage = Bed::shared(Ground::Real).stage("denied");
    let first = stage.repository.write("a.yaml", &config_map("a", "one")).write("b.yaml", &config_map("b", "one"));
    let first = first.push("one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: denied");
    stage.ready("app", &first);

    let webhook = Webhook::denying("not on a Friday");
    let configuration = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "denied"},
        "webhooks": [{
            "name": "fridays.example.com",
            "clientConfig": webhook.client_config(),
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "denied"}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
        }],
    });
    stage.bed.apply(&configuration.to_string());
    // It takes the API server a moment to know of it.
    until("the webhook is asked", || {
        let tried = stage.bed.kubectl(&["-n", "denied", "create", "configmap", "tried", "--dry-run=server"]);
        tried.contains("not on a Friday")
    });
    let second = stage.repository.write("a.yaml", &config_map("a", "two")).write("c.yaml", &config_map("c", "two"));
    let second = second.push("two");
    let message = failed_for(&stage, "app", "not on a Friday");
    assert!(message.contains("fridays.example.com") && message.contains("ConfigMap/denied/"), "{message}");
    assert!(message.contains(".yaml:1:1"), "it names the place: {message}");
    assert_eq!(stage.value_of("a").as_deref(), Some("one"));
    webhook.allow();
    stage.ready("app", &second);
    assert_eq!((stage.value_of("a").as_deref(), inventory(&stage, "app")), (Some("two"), 3));

    // A webhook that is away denies, too.
    drop(webhook);
    let third = stage.repository.write("a.yaml", &config_map("a", "three")).push("three");
    failed_for(&stage, "app", "failed calling webhook");
    let deleted = stage.bed.kubectl(&["delete", "validatingwebhookconfiguration", "denied"]);
    assert!(deleted.contains("deleted"), "{deleted}");
    stage.ready("app", &third);
}

/// Only on real ground: the embedded server keeps quotas and heeds none.
#[test]
fn a_quota_that_is_full_is_told_of_until_there_is_room() {
    let stage = Bed::shared(Ground::Real).stage("full");
    let quota = |most: u32| {
        format!(
            "apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: few, namespace: full}}\nspec: {{hard: {{count/secrets: {most}}}}}\n"
        )
    };
    stage.bed.apply(&quota(1));
    stage.wait("ResourceQuota", "few", |quota| {
        quota.is_some_and(|quota| quota.value().lookup(&["status", "used", "count/secrets"]).is_some())
    });
    for name in ["a", "b", "c"] {
        let secret = format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData: {{key: value}}\n");
        stage.repository.write(&format!("{name}.yaml"), &secret);
    }
    let commit = stage.repository.push("three");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: full");
    let message = failed_for(&stage, "app", "exceeded quota: few");
    assert!(message.contains("Secret/full/"), "it names one that found no room: {message}");
    stage.bed.apply(&quota(3));
    stage.ready("app", &commit);
    assert_eq!(inventory(&stage, "app"), 3);
    stage.bed.delete("Kustomization", "full", "app");
    for name in ["a", "b", "c"] {
        stage.wait("Secret", name, |secret| secret.is_none());
    }
}
