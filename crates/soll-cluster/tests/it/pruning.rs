use soll_api::{Gvk, Inventory};
use soll_cluster::{ApplyOptions, DeleteOptions, Mode, Patch, Verb};
use soll_plan::Action;
use soll_yaml::parse_json;

use crate::support::{Bed, config_map, on_both};

on_both! {
async fn only_what_is_ours_and_may_go_is_deleted(kind) {
    let bed = Bed::new(kind, "prune").await;
    let ours = config_map("ours", "{}");
    let kept = config_map("kept", "{}").replace(
        r#""namespace":"NS""#,
        r#""namespace":"NS","annotations":{"kustomize.toolkit.fluxcd.io/prune":"Disabled"}"#,
    );
    bed.apply(&[&ours, &kept]).await.unwrap();
    let foreign = config_map("foreign", "{}");
    bed.cluster.create(&bed.object(&foreign), "tests", Mode::Real).await.unwrap();
    let never = config_map("never", "{}");

    let stale = bed.inventory(&[&ours, &kept, &foreign, &never]);
    let pruned = bed.applier().prune(&stale, &[], &bed.owner).await;
    let mut lines: Vec<_> =
        pruned.changes.iter().map(|change| change.to_string().replace(&bed.namespace, "NS")).collect();
    lines.sort();
    let expected = [
        "ConfigMap/NS/foreign skipped",
        "ConfigMap/NS/kept skipped",
        "ConfigMap/NS/never deleted",
        "ConfigMap/NS/ours deleted",
    ];
    assert_eq!(lines, expected);
    assert!(pruned.failure.is_none() && pruned.unconfirmed.is_empty());
    assert!(bed.get("v1", "ConfigMap", "ours").await.is_none());
    assert!(bed.get("v1", "ConfigMap", "foreign").await.is_some());
    // What stays on purpose is not waited for.
    assert_eq!(pruned.leaving.len(), 1);
    assert_eq!(bed.applier().remaining(&pruned.leaving).await.unwrap(), None);
}
}

on_both! {
async fn an_object_whose_kind_is_gone_is_gone(kind) {
    let bed = Bed::new(kind, "prune-kind").await;
    let definition = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"spokes.tests.soll.dev"},
        "spec":{"group":"tests.soll.dev","scope":"Namespaced","names":{"plural":"spokes","kind":"Spoke"},
        "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object"}}}]}}"#;
    let spoke = r#"{"apiVersion":"tests.soll.dev/v1","kind":"Spoke","metadata":{"name":"s","namespace":"NS"}}"#;
    bed.apply(&[definition, spoke]).await.unwrap();
    let crds = Gvk::new("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    bed.cluster.delete(&crds, "", "spokes.tests.soll.dev", &DeleteOptions::default()).await.unwrap();
    while bed.cluster.find(&crds, "", "spokes.tests.soll.dev").await.unwrap().is_some() {
        tokio::task::yield_now().await;
    }
    let broken = soll_api::InventoryEntry { id: "nonsense".to_owned(), v: "v1".to_owned() };
    let mut stale = bed.inventory(&[spoke]);
    stale.entries.push(broken.clone());
    let pruned = bed.applier().prune(&stale, &[], &bed.owner).await;
    assert_eq!(pruned.changes.event().replace(&bed.namespace, "NS"), "Spoke/NS/s deleted");
    assert_eq!(pruned.unconfirmed.entries, [broken], "what cannot be read is not forgotten");
    assert!(pruned.failure.is_some());
}
}

/// A definition whose first version is served or not; the second one always is.
fn axles(plural: &str, kind: &str, first: bool) -> String {
    let version = |name: &str, served: bool, storage: bool| {
        format!(
            r#"{{"name":"{name}","served":{served},"storage":{storage},"schema":{{"openAPIV3Schema":{{"type":"object"}}}}}}"#
        )
    };
    format!(
        r#"{{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{{"name":"{plural}.tests.soll.dev"}},
        "spec":{{"group":"tests.soll.dev","scope":"Namespaced","names":{{"plural":"{plural}","kind":"{kind}"}},
        "versions":[{},{}]}}}}"#,
        version("v1beta1", first, false),
        version("v1", true, true)
    )
}

/// Waits until the server answers under an earlier version no more: it hears of definitions by a watch of its own.
async fn until_withdrawn(bed: &Bed, plural: &str) {
    let path = format!("/apis/tests.soll.dev/v1beta1/namespaces/{}/{plural}/a", bed.namespace);
    while bed.cluster.get_path(&path).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

on_both! {
/// One commit upgrades a definition and removes an object that was applied in a version that is served no more.
async fn an_object_is_found_in_the_version_that_is_left(kind) {
    let bed = Bed::new(kind, "prune-version").await;
    let axle = r#"{"apiVersion":"tests.soll.dev/v1beta1","kind":"Axle","metadata":{"name":"a","namespace":"NS"}}"#;
    let kept = axle.replace(r#""name":"a""#, r#""name":"b""#);
    bed.apply(&[&axles("axles", "Axle", true), axle, &kept]).await.unwrap();
    bed.apply(&[&axles("axles", "Axle", false)]).await.unwrap();
    until_withdrawn(&bed, "axles").await;

    let stale = bed.inventory(&[axle]);
    assert_eq!(bed.applier().still_owned(&bed.inventory(&[&kept]), &bed.owner).await.entries.len(), 1);
    let pruned = bed.applier().prune(&stale, &[], &bed.owner).await;
    assert_eq!(pruned.changes.event().replace(&bed.namespace, "NS"), "Axle/NS/a deleted", "{:?}", pruned.failure);
    assert!(bed.get("tests.soll.dev/v1", "Axle", "a").await.is_none());
    assert!(bed.applier().remaining(&bed.inventory(&[&kept])).await.unwrap().is_some());
}

/// While a definition is there, its objects may be, even if no version is served.
async fn what_is_defined_and_not_served_is_not_gone(kind) {
    let bed = Bed::new(kind, "prune-unserved").await;
    let axle = r#"{"apiVersion":"tests.soll.dev/v1beta1","kind":"Shaft","metadata":{"name":"a","namespace":"NS"}}"#;
    let none = axles("shafts", "Shaft", false).replace(r#""name":"v1","served":true"#, r#""name":"v1","served":false"#);
    bed.apply(&[&axles("shafts", "Shaft", true), axle]).await.unwrap();
    bed.cluster.apply(&bed.object(&none), &ApplyOptions::forced("kustomize-controller")).await.unwrap();
    until_withdrawn(&bed, "shafts").await;

    let stale = bed.inventory(&[axle]);
    let pruned = bed.applier().prune(&stale, &[], &bed.owner).await;
    assert_eq!(pruned.unconfirmed, stale, "{:?}", pruned.changes);
    assert!(pruned.failure.is_some());
    assert_eq!(bed.applier().still_owned(&stale, &bed.owner).await.entries, stale.entries);
    assert!(bed.applier().remaining(&stale).await.is_err());

    bed.apply(&[&axles("shafts", "Shaft", false)]).await.unwrap();
    let served = async || bed.cluster.find(&Gvk::new("tests.soll.dev/v1", "Shaft"), &bed.namespace, "a").await;
    while !matches!(served().await, Ok(Some(_))) {
        bed.cluster.expect_new_resources();
        tokio::task::yield_now().await;
    }
    let pruned = bed.applier().prune(&stale, &[], &bed.owner).await;
    assert_eq!(pruned.changes.event().replace(&bed.namespace, "NS"), "Shaft/NS/a deleted");
    assert!(matches!(served().await, Ok(None)));
}

/// Manifests of cluster-scoped kinds may name a namespace: when that changes, it is the same object still.
async fn what_was_applied_under_another_namespace_stays(kind) {
    let bed = Bed::new(kind, "prune-scope").await;
    let definition = axles("issuers", "Issuer", true).replace("Namespaced", "Cluster");
    let issuer = |version: &str, name: &str, namespace: &str| {
        format!(
            r#"{{"apiVersion":"tests.soll.dev/{version}","kind":"Issuer","metadata":{{"name":"{name}","namespace":"{namespace}"}}}}"#
        )
    };
    let old = [issuer("v1beta1", "a", "foo"), issuer("v1", "b", "foo"), config_map("b", "{}")];
    bed.apply(&[&definition, &old[0], &old[1], &old[2]]).await.unwrap();
    let new = issuer("v1", "a", "bar");
    let applied = bed.apply(&[&new]).await.unwrap();
    assert!(applied.changes.iter().all(|change| change.action != Action::Created), "{applied:?}");

    let stale = bed.inventory(&[&old[0], &old[1], &old[2]]);
    // A ConfigMap of the same name in another namespace is another object.
    let references = [&new, &config_map("b", "{}").replace("NS", "elsewhere")].map(|text| bed.object(text).object_ref());
    let pruned = bed.applier().prune(&stale, &references, &bed.owner).await;
    let event = pruned.changes.event().replace(&bed.namespace, "NS");
    assert_eq!(event, "Issuer/foo/b deleted\nConfigMap/NS/b deleted");
    assert_eq!(pruned.changes.iter().count(), 2, "{:?}", pruned.changes);
    assert!(pruned.unconfirmed.is_empty() && pruned.failure.is_none());
    let live = bed.cluster.find(&Gvk::new("tests.soll.dev/v1", "Issuer"), "", "a").await.unwrap();
    assert!(live.is_some_and(|live| !live.is_terminating()));
}

/// Only what is on its way out is waited for, and the first that is there ends the look.
async fn the_wait_for_the_end_is_for_what_was_deleted(kind) {
    let bed = Bed::new(kind, "prune-wait").await;
    let names = ["a", "b", "c", "d"];
    let maps: Vec<_> = names.iter().map(|name| config_map(name, "{}")).collect();
    bed.apply(&maps.iter().map(String::as_str).collect::<Vec<_>>()).await.unwrap();
    let gvk = Gvk::new("v1", "ConfigMap");
    let patch = async |name: &str, text: &str| {
        let patch = Patch::Merge(parse_json(text.as_bytes()).unwrap());
        bed.cluster.patch(&gvk, &bed.namespace, name, &patch, "somebody").await.unwrap()
    };
    patch("a", r#"{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"another"}}}"#).await;
    for name in ["c", "d"] {
        patch(name, r#"{"metadata":{"finalizers":["tests.soll.dev/hold"]}}"#).await;
    }
    let all = bed.inventory(&maps.iter().map(String::as_str).collect::<Vec<_>>());
    // The second time they are on their way already.
    for _ in 0..2 {
        let pruned = bed.applier().prune(&all, &[], &bed.owner).await;
        let (left, counts) = bed.counting(bed.applier().remaining(&pruned.leaving)).await;
        assert!(matches!(left.unwrap().unwrap().name.as_str(), "c" | "d"));
        assert!(counts.of(Verb::Get) <= 2, "{counts:?}");
    }
    let pruned = bed.applier().prune(&all, &[], &bed.owner).await;
    assert_eq!(pruned.leaving.len(), 2);
    for name in ["c", "d"] {
        patch(name, r#"{"metadata":{"finalizers":null}}"#).await;
    }
    assert_eq!(bed.applier().remaining(&pruned.leaving).await.unwrap(), None);
    let pruned = bed.applier().prune(&all, &[], &bed.owner).await;
    assert_eq!(pruned.leaving, Inventory::default());
    assert!(bed.get("v1", "ConfigMap", "a").await.is_some());
}
}
