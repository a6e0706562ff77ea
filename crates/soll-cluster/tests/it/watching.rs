use soll_api::{Gvk, Object};
use soll_cluster::{ConnectOptions, Credentials, DeleteOptions, Depth, Mode, Patch, Selection, Watch, WatchEvent};
use soll_testkit::ControlPlane;
use soll_yaml::parse_json;

use crate::support::{Bed, config_map, object, on_both};

async fn next(watch: &mut Watch) -> WatchEvent {
    let event = tokio::time::timeout(std::time::Duration::from_secs(30), watch.next()).await;
    event.expect("an event within 30 s")
}

async fn changed(watch: &mut Watch) -> Object {
    match next(watch).await {
        WatchEvent::Applied(object) => object,
        other => panic!("expected a change, got {other:?}"),
    }
}

on_both! {
async fn a_watch_shows_what_is_there_and_then_what_changes(kind) {
    let bed = Bed::new(kind, "watch").await;
    let gvk = Gvk::new("v1", "ConfigMap");
    bed.cluster.create(&bed.object(&config_map("a", "{}")), "tests", Mode::Real).await.unwrap();
    let selection = Selection { fields: Some("metadata.name!=kube-root-ca.crt".to_owned()), ..Selection::all() };
    let mut watch = bed.cluster.watch(&gvk, selection.within(&bed.namespace), Depth::Metadata).unwrap();
    assert_eq!(bed.cluster.watch_budget().open(), 1);

    let WatchEvent::Restarted(there) = next(&mut watch).await else { panic!("a watch starts with all objects") };
    let names: Vec<_> = there.iter().map(|object| object.object_ref().to_string()).collect();
    assert_eq!(names, [format!("ConfigMap/{}/a", bed.namespace)], "metadata stands for the kind it is of");
    assert_eq!(there[0].value().get("data"), None);

    bed.cluster.create(&bed.object(&config_map("b", "{}")), "tests", Mode::Real).await.unwrap();
    assert_eq!(changed(&mut watch).await.name(), "b");
    let patch = Patch::Merge(parse_json(br#"{"metadata":{"labels":{"x":"y"}}}"#).unwrap());
    bed.cluster.patch(&gvk, &bed.namespace, "a", &patch, "tests").await.unwrap();
    assert_eq!(changed(&mut watch).await.label("x"), Some("y"));
    bed.cluster.delete(&gvk, &bed.namespace, "b", &DeleteOptions::default()).await.unwrap();
    let WatchEvent::Deleted(gone) = next(&mut watch).await else { panic!("expected a deletion") };
    assert_eq!(gone.name(), "b");
    drop(watch);
    assert_eq!(bed.cluster.watch_budget().open(), 0);
}
}

on_both! {
async fn a_label_that_is_removed_looks_like_a_deletion(kind) {
    let bed = Bed::new(kind, "watch-label").await;
    let gvk = Gvk::new("v1", "ConfigMap");
    bed.apply(&[&config_map("a", "{}")]).await.unwrap();
    let mut watch = bed.cluster.watch(&gvk, Selection::labelled(&bed.owner.selector()), Depth::Metadata).unwrap();
    let WatchEvent::Restarted(objects) = next(&mut watch).await else { panic!("a watch starts with all objects") };
    bed.memory.restart("", "ConfigMap", &objects, watch.told_up_to());
    let patch =
        Patch::Merge(parse_json(br#"{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":null}}}"#).unwrap());
    bed.cluster.patch(&gvk, &bed.namespace, "a", &patch, "lens").await.unwrap();
    let WatchEvent::Deleted(gone) = next(&mut watch).await else { panic!("expected a deletion") };
    assert_eq!(bed.memory.lose(&gone), soll_cluster::Observed::Disturbed);
    let applied = bed.apply(&[&config_map("a", "{}")]).await.unwrap();
    assert_eq!(bed.lines(&applied), ["ConfigMap/NS/a configured"]);
}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_outlives_the_api_server() {
    let mut plane = tokio::task::spawn_blocking(ControlPlane::start).await.unwrap();
    let credentials = Credentials::Kubeconfig(plane.kubeconfig());
    let options = ConnectOptions { credentials, ..ConnectOptions::default() };
    let cluster = soll_cluster::Cluster::connect(&options).await.unwrap();
    let gvk = Gvk::new("v1", "Namespace");
    let mut watch = cluster.watch(&gvk, Selection::all(), Depth::Whole).unwrap();
    assert!(matches!(next(&mut watch).await, WatchEvent::Restarted(_)));

    plane.stop_apiserver();
    // It notices the end of the connection, then that there is nobody.
    loop {
        if let WatchEvent::Interrupted(error) = next(&mut watch).await {
            assert!(error.is_unreachable(), "{error}");
            break;
        }
    }
    let _plane = tokio::task::spawn_blocking(move || {
        plane.restart_apiserver();
        plane
    })
    .await
    .unwrap();
    let namespace = object(r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"later"}}"#);
    cluster.create(&namespace, "tests", Mode::Real).await.unwrap();
    loop {
        match next(&mut watch).await {
            WatchEvent::Applied(object) if object.name() == "later" => break,
            WatchEvent::Restarted(objects) if objects.iter().any(|object| object.name() == "later") => break,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_starts_anew_when_the_cluster_is_restored_from_a_backup() {
    let mut plane = tokio::task::spawn_blocking(|| {
        let mut plane = ControlPlane::start_bare();
        plane.back_up();
        plane
    })
    .await
    .unwrap();
    let credentials = Credentials::Kubeconfig(plane.kubeconfig());
    let options = ConnectOptions { credentials, ..ConnectOptions::default() };
    let cluster = soll_cluster::Cluster::connect(&options).await.unwrap();
    let mut watch = cluster.watch(&Gvk::new("v1", "Namespace"), Selection::all(), Depth::Whole).unwrap();
    assert!(matches!(next(&mut watch).await, WatchEvent::Restarted(_)));
    // Far ahead of what the restored cluster counts while the test lasts.
    for number in 0..300 {
        let text = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"lost-{number}"}}}}"#);
        cluster.create(&object(&text), "tests", Mode::Real).await.unwrap();
    }
    while changed(&mut watch).await.name() != "lost-299" {}

    let _plane = tokio::task::spawn_blocking(move || {
        plane.restore();
        plane
    })
    .await
    .unwrap();
    let there = loop {
        match next(&mut watch).await {
            WatchEvent::Restarted(objects) => break objects,
            WatchEvent::Interrupted(_) => {}
            event => panic!("{event:?}"),
        }
    };
    assert!(there.iter().any(|namespace| namespace.name() == "default"));
    assert!(!there.iter().any(|namespace| namespace.name().starts_with("lost-")));
}

on_both! {
async fn a_full_budget_refuses_one_more_watch(kind) {
    let bed = Bed::new(kind, "budget").await;
    let gvk = Gvk::new("v1", "ConfigMap");
    let most = bed.cluster.watch_budget().most();
    let watches: Vec<_> = (0..most).map(|_| bed.cluster.watch(&gvk, Selection::all(), Depth::Whole)).collect();
    assert!(watches.iter().all(Option::is_some));
    assert!(bed.cluster.watch(&gvk, Selection::all(), Depth::Whole).is_none());
}
}
