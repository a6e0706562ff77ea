use soll_api::Gvk;
use soll_cluster::{DeleteOptions, Mode};

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
    let pruned = bed.applier().prune(&stale, &bed.owner).await;
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
    assert_eq!(bed.applier().remaining(&stale).await.unwrap().len(), 2);
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
    let pruned = bed.applier().prune(&stale, &bed.owner).await;
    assert_eq!(pruned.changes.event().replace(&bed.namespace, "NS"), "Spoke/NS/s deleted");
    assert_eq!(pruned.unconfirmed.entries, [broken], "what cannot be read is not forgotten");
    assert!(pruned.failure.is_some());
}
}
