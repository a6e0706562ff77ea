//! The engine against the embedded API server, in one process.

mod bench;

use std::time::{Duration, Instant};

use bench::Bench;
use soll_api::{Gvk, Object};
use soll_cluster::{Patch, Verb};
use soll_controllers::{Kind, Readiness, Severity};

const MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {mode: fast}}\n";
const THIRD: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: third}}\n";
const OTHER: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: other}, data: {a: b}}\n";

fn data<'o>(object: Option<&'o Object>, key: &str) -> Option<&'o str> {
    object?.value().lookup_str(&["data", key])
}

fn status<'o>(object: &'o Object, field: &str) -> Option<&'o str> {
    object.value().lookup_str(&["status", field])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_becomes_objects_and_what_leaves_it_is_pruned() {
    let bench = Bench::start().await;
    let revision = bench.commit(&[("app/settings.yaml", MAP), ("app/other.yaml", OTHER)]);
    bench.kustomization("app", "./app", "").await;
    bench.ready("app", &revision).await;
    let live = bench.config_map("settings").await.expect("applied");
    assert_eq!(data(Some(&live), "mode"), Some("fast"));
    assert_eq!(live.label("kustomize.toolkit.fluxcd.io/name"), Some("app"));
    assert!(bench.config_map("other").await.is_some());

    let revision = bench.commit(&[("app/settings.yaml", &MAP.replace("fast", "slow")), ("app/other.yaml", "")]);
    bench.ready("app", &revision).await;
    assert_eq!(data(bench.config_map("settings").await.as_ref(), "mode"), Some("slow"));
    assert!(bench.config_map("other").await.is_none(), "it left the build");

    bench.delete("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "app").await;
    bench.live("settings", "pruned with its Kustomization", |live| live.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_corrected_when_it_happens() {
    let bench = Bench::start().await;
    let revision = bench.commit(&[("app/settings.yaml", MAP)]);
    bench.kustomization("app", "app", "").await;
    bench.ready("app", &revision).await;

    bench.apply(&MAP.replace("fast", "broken").replace("settings}", "settings, namespace: apps}")).await;
    bench.live("settings", "corrected", |live| data(live, "mode") == Some("fast")).await;
    bench.delete("v1", "ConfigMap", "settings").await;
    bench.live("settings", "back", |live| data(live, "mode") == Some("fast")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_elsewhere_only_notes_the_revision() {
    let bench = Bench::start().await;
    let revision = bench.commit(&[("app/settings.yaml", MAP)]);
    bench.kustomization("app", "app", "").await;
    bench.ready("app", &revision).await;
    let before = (bench.requests().await, bench.config_map("settings").await.expect("applied"));

    let revision = bench.commit(&[("elsewhere/notes.txt", "nothing to apply")]);
    bench.ready("app", &revision).await;
    let after = bench.config_map("settings").await.expect("still there");
    assert_eq!(before.1.resource_version(), after.resource_version());
    // Events are written when there is time, so those of before may come in between; they are no patches.
    let requests = bench.requests().await.since(&before.0);
    assert_eq!(requests.of(Verb::Patch), 2, "two statuses");
    assert_eq!((requests.of(Verb::Apply), requests.of(Verb::Delete)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn dependents_follow_as_soon_as_their_dependency_is_ready() {
    let bench = Bench::start().await;
    bench.kustomization("second", "second", ", dependsOn: [{name: first}]").await;
    let revision = bench.commit(&[("first/a.yaml", MAP), ("second/b.yaml", OTHER)]);
    bench.until("second", "blocked", |state| state.readiness == Readiness::Blocked).await;
    bench.kustomization("first", "first", "").await;
    // Polling would take half a minute.
    bench.ready("second", &revision).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_not_built_is_refused_by_name_and_prunes_nothing() {
    let bench = Bench::start().await;
    let revision = bench.commit(&[("app/settings.yaml", MAP)]);
    bench.kustomization("app", "app", "").await;
    bench.ready("app", &revision).await;

    bench.kustomization("app", "app", ", decryption: {provider: sops}").await;
    let state = bench.until("app", "stalled", |state| state.readiness == Readiness::Stalled).await;
    assert!(state.message.contains("spec.decryption"), "{}", state.message);
    bench.commit(&[("app/settings.yaml", ""), ("app/other.yaml", OTHER)]);
    bench.kustomization("app", "app", ", suspend: true, decryption: {provider: sops}").await;
    bench.until("app", "suspended", |state| state.readiness == Readiness::Suspended).await;
    assert!(bench.config_map("settings").await.is_some());
    assert!(bench.config_map("other").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_where_the_cause_is_written() {
    let bench = Bench::start().await;
    bench.commit(&[("app/broken.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [oops\n")]);
    bench.kustomization("app", "app", "").await;
    let state = bench.until("app", "a failed build", |state| state.reason == "BuildFailed").await;
    assert_eq!(state.readiness, Readiness::Failing);
    assert!(state.message.contains("app/broken.yaml:"), "{}", state.message);
    let object = bench.find("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "app").await.expect("there");
    assert!(status(&object, "lastAppliedRevision").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_and_a_restart_writes_nothing() {
    let mut bench = Bench::start().await;
    let revision = bench.commit(&[("app/settings.yaml", MAP)]);
    bench.kustomization("app", "app", "").await;
    bench.ready("app", &revision).await;
    let annotated = "{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: app,
        namespace: apps, annotations: {reconcile.fluxcd.io/requestedAt: now}}, spec: {interval: 1h, prune: true,
        path: app, targetNamespace: apps, sourceRef: {kind: GitRepository, name: sample}}}";
    bench.apply(annotated).await;
    let mut changes = bench.handle.changes();
    while status(
        &bench.find("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "app").await.expect("it is there"),
        "lastHandledReconcileAt",
    ) != Some("now")
    {
        changes.changed().await.expect("the engine runs");
    }

    let before = bench.config_map("settings").await.expect("applied");
    let counted = bench.cluster.requests();
    bench.restart().await;
    let revision = bench.commit(&[("app/settings.yaml", &MAP.replace("fast", "slow"))]);
    bench.ready("app", &revision).await;
    let after = bench.config_map("settings").await.expect("still there");
    assert_eq!(before.uid(), after.uid());
    assert!(bench.cluster.requests().since(&counted).writes() < 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn artifacts_that_went_with_the_disk_hold_up_nobody_and_come_back_without_a_word() {
    let mut bench = Bench::start().await;
    // More than there are workers.
    let names: Vec<String> = (0..8).map(|number| format!("app-{number}")).collect();
    let map = |name: &str| MAP.replace("settings", name);
    let files: Vec<_> = names.iter().map(|name| (format!("{name}/map.yaml"), map(name))).collect();
    let mut files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let moved = map("moved");
    files.extend([("other/other.yaml", OTHER), ("moved/map.yaml", &moved)]);
    let revision = bench.commit(&files);
    for name in &names {
        bench.kustomization(name, name, "").await;
        bench.ready(name, &revision).await;
    }

    bench.restart_with_nothing().await;
    let mut events = bench.handle.events();
    bench.until("sample", "fail", |state| state.readiness == Readiness::Failing).await;
    bench.register_as("free");
    for object in [
        "{apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, metadata: {name: free, namespace: apps},
          spec: {url: 'http://localhost/free', interval: 1h, ref: {branch: main}}}",
        "{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: free-app, namespace: apps},
          spec: {interval: 1h, prune: true, path: other, targetNamespace: apps, sourceRef: {kind: GitRepository, name: free}}}",
    ] {
        bench.apply(object).await;
    }
    bench.ready("free-app", &revision).await;
    for name in &names {
        bench.until(name, "stay Ready", |state| state.readiness == Readiness::Ready).await;
    }

    // The same revision is told nobody but those that could not get it; one of them has something to do with it.
    bench.kustomization("app-0", "moved", "").await;
    let began = Instant::now();
    bench.register_as("sample");
    bench.live("moved", "applied", |live| live.is_some()).await;
    assert!(began.elapsed() < Duration::from_secs(8), "it was woken, and did not look by itself");
    bench.ready("app-0", &revision).await;
    while let Ok(event) = events.try_recv() {
        let is_of_an_app = event.object.kind == Kind::Kustomization;
        assert!(!is_of_an_app || event.severity == Severity::Info, "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_revision_ends_the_wait_for_health() {
    const NEVER_READY: &str =
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: app}, spec: {selector: {matchLabels:
        {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: i}]}}}}\n";
    let bench = Bench::start().await;
    let first = bench.commit(&[("app/settings.yaml", MAP), ("app/deployment.yaml", NEVER_READY)]);
    bench.kustomization("app", "app", ", wait: true, timeout: 1h").await;
    bench.live("settings", "applied", |live| live.is_some()).await;
    let second = bench.commit(&[("app/deployment.yaml", "")]);
    bench.ready("app", &second).await;
    assert_ne!(first, second);
    assert!(bench.find("apps/v1", "Deployment", "app").await.is_none(), "it left the build");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphaned_inventory_stays() {
    let bench = Bench::start().await;
    let revision = bench.commit(&[("app/settings.yaml", MAP)]);
    bench.kustomization("app", "app", ", deletionPolicy: Orphan").await;
    bench.ready("app", &revision).await;
    bench.delete("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "app").await;
    let mut changes = bench.handle.changes();
    while bench.handle.states().iter().any(|state| &*state.key.name == "app") {
        changes.changed().await.expect("the engine runs");
    }
    assert!(bench.config_map("settings").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_waits_for_what_was_deleted_and_not_for_what_stays() {
    const KEPT: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: other,
        annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}}}\n";
    let bench = Bench::start().await;
    let revision = bench.commit(&[("app/settings.yaml", MAP), ("app/other.yaml", KEPT), ("app/third.yaml", THIRD)]);
    bench.kustomization("app", "app", ", deletionPolicy: WaitForTermination, timeout: 1h").await;
    bench.ready("app", &revision).await;
    let hold = async |finalizers: &str| {
        let patch = format!(r#"{{"metadata":{{"finalizers":{finalizers}}}}}"#);
        let patch = Patch::Merge(soll_yaml::parse_json(patch.as_bytes()).expect("JSON"));
        let gvk = Gvk::new("v1", "ConfigMap");
        bench.cluster.patch(&gvk, "apps", "settings", &patch, "somebody").await.expect("patched");
    };
    hold(r#"["tests.soll.dev/hold"]"#).await;
    bench.delete("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "app").await;
    // The inventory is what is waited for.
    bench
        .stored("app", "waiting for the one that is held", |app| {
            let entries = app.value().lookup(&["status", "inventory", "entries"]).and_then(soll_yaml::Value::as_list);
            let ids = entries.into_iter().flatten().filter_map(|entry| entry.lookup_str(&["id"]));
            ids.eq(["apps_settings__ConfigMap"])
        })
        .await;
    hold("null").await;
    let mut changes = bench.handle.changes();
    while bench.handle.states().iter().any(|state| &*state.key.name == "app") {
        changes.changed().await.expect("the engine runs");
    }
    assert!(bench.config_map("settings").await.is_none() && bench.config_map("third").await.is_none());
    assert!(bench.config_map("other").await.is_some());
}
