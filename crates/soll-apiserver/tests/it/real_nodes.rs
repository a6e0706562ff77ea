//! The node part of the simulation drives pods on a real API server, whose own controllers make them.

use std::time::Duration;

use serde_json::json;
use soll_api::{Gvk, Object};
use soll_apiserver::sim::{Controllers, Simulation, SimulationOptions};
use soll_cluster::{Cluster, ConnectOptions, Credentials, DeleteOptions, Depth, Mode, Selection, WatchEvent};
use soll_testkit::ControlPlane;
use soll_yaml::{Value, to_value};

const PATIENCE: Duration = Duration::from_secs(60);

async fn create(cluster: &Cluster, object: serde_json::Value) {
    let object = Object::new(to_value(&object).expect("a value")).expect("an object");
    cluster.create(&object, "test", Mode::Real).await.expect("it is created");
}

/// Waits until an object is as wanted.
async fn until(cluster: &Cluster, gvk: &Gvk, selection: &Selection, wanted: impl Fn(Option<&Value>) -> bool) {
    let mut watch = cluster.watch(gvk, selection.clone(), Depth::Whole).expect("a watch");
    let mut last = None;
    let seen = tokio::time::timeout(PATIENCE, async {
        loop {
            last = match watch.next().await {
                WatchEvent::Restarted(mut objects) => objects.pop(),
                WatchEvent::Applied(object) => Some(object),
                WatchEvent::Deleted(_) => None,
                WatchEvent::Interrupted(_) => continue,
            };
            if wanted(last.as_ref().map(Object::value)) {
                return;
            }
        }
    });
    if seen.await.is_err() {
        panic!("{gvk} did not become as wanted; last seen: {:?}", last.map(Object::into_value));
    }
}

fn number(object: Option<&Value>, field: &str) -> i64 {
    object.and_then(|object| object.lookup(&["status", field])?.as_i64()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pods_volumes_and_addresses_of_a_real_cluster_come_to_life() {
    let control_plane = ControlPlane::start();
    let credentials = Credentials::Kubeconfig(control_plane.kubeconfig());
    let options = ConnectOptions { credentials, qps: 0.0, ..ConnectOptions::default() };
    let cluster = Cluster::connect(&options).await.expect("the kubeconfig is good");
    let options = SimulationOptions { controllers: Controllers::Real, ..SimulationOptions::default() };
    let simulation = Simulation::start(cluster.clone(), options).await.expect("a simulation");

    create(
        &cluster,
        json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard"},
            "provisioner": "sim.soll.dev/volume", "volumeBindingMode": "WaitForFirstConsumer",
        }),
    )
    .await;
    let template = json!({"metadata": {"labels": {"app": "db"}}, "spec": {
        "containers": [{"name": "c", "image": "example.org/db:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}});
    create(
        &cluster,
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"},
            "spec": {
                "replicas": 1, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template,
                "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                    "accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                    "resources": {"requests": {"storage": "1Gi"}}}}],
            },
        }),
    )
    .await;
    create(
        &cluster,
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "example.org/web:1"}]}}},
        }),
    )
    .await;
    create(
        &cluster,
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80}]},
        }),
    )
    .await;

    let deployments = Gvk::new("apps/v1", "Deployment");
    let web = Selection::named("default", "web");
    until(&cluster, &deployments, &web, |object| number(object, "availableReplicas") == 3).await;
    let sets = Gvk::new("apps/v1", "StatefulSet");
    until(&cluster, &sets, &Selection::named("default", "db"), |object| number(object, "readyReplicas") == 1).await;
    let addressed = |object: Option<&Value>| {
        let addresses = object.and_then(|object| object.lookup(&["status", "loadBalancer", "ingress"])?.as_list());
        addresses.is_some_and(|addresses| !addresses.is_empty())
    };
    until(&cluster, &Gvk::new("v1", "Service"), &web, addressed).await;

    // The garbage collector deletes the pods; only a node can say that they have ended.
    cluster.delete(&deployments, "default", "web", &DeleteOptions::default()).await.expect("accepted");
    let gone = tokio::time::timeout(PATIENCE, async {
        let pods = Selection::labelled("app=web").within("default");
        let mut watch = cluster.watch(&Gvk::new("v1", "Pod"), pods.clone(), Depth::Metadata).expect("a watch");
        while !cluster.list(&Gvk::new("v1", "Pod"), &pods, Depth::Metadata).await.expect("a list").items.is_empty() {
            watch.next().await;
        }
    });
    gone.await.expect("the pods of the deleted Deployment are gone");
    simulation.stop().await;
}
