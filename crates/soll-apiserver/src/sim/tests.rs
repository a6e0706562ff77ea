//! The simulation against the embedded server: what clients see of it.

use std::time::Duration;

use serde_json::json;
use soll_api::{Gvk, Object};
use soll_cluster::{Cluster, ConnectOptions, DeleteOptions, Depth, Mode, Selection, WatchEvent};
use soll_yaml::Value;

use super::condition::holds;
use super::fields::{int, list, map_mut, text, value};
use super::kind::Kind;
use super::{Simulation, SimulationError, SimulationOptions};
use crate::{Server, ServerOptions};

const PATIENCE: Duration = Duration::from_secs(30);

struct Bed {
    cluster: Cluster,
    simulation: Simulation,
    _server: Server,
}

impl Bed {
    async fn start() -> Self {
        let server = Server::new(&ServerOptions::default()).expect("a server");
        let options = ConnectOptions { qps: 0.0, ..ConnectOptions::default() };
        let cluster = Cluster::from_service(server.service(), &options);
        // Fast, and still in order.
        let options = SimulationOptions { scale: 100.0, ..SimulationOptions::default() };
        let simulation = Simulation::start(cluster.clone(), options).await.expect("a simulation");
        Self { cluster, simulation, _server: server }
    }

    async fn create(&self, object: serde_json::Value) -> Object {
        let object = Object::new(value(&object)).expect("an object");
        self.cluster.create(&object, "test", Mode::Real).await.expect("it is created")
    }

    /// Waits until an object is as wanted; fails with its last state if that takes too long.
    async fn until(&self, kind: Kind, name: &str, wanted: impl Fn(&Value) -> bool) -> Object {
        self.until_some(kind, &Selection::named("default", name), wanted).await
    }

    async fn until_some(&self, kind: Kind, selection: &Selection, wanted: impl Fn(&Value) -> bool) -> Object {
        let mut watch = self.cluster.watch(&kind.gvk(), selection.clone(), Depth::Whole).expect("a watch");
        let mut last = None;
        let seen = tokio::time::timeout(PATIENCE, async {
            loop {
                let objects = match watch.next().await {
                    WatchEvent::Restarted(objects) => objects,
                    WatchEvent::Applied(object) => vec![object],
                    WatchEvent::Deleted(_) | WatchEvent::Interrupted(_) => Vec::new(),
                };
                for object in objects {
                    if wanted(object.value()) {
                        return object;
                    }
                    last = Some(object.into_value());
                }
            }
        });
        match seen.await {
            Ok(object) => object,
            Err(_) => panic!("{kind:?} did not become as wanted; last seen: {last:?}"),
        }
    }

    async fn all(&self, kind: Kind) -> Vec<Object> {
        let selection = Selection::all().within("default");
        self.cluster.list(&kind.gvk(), &selection, Depth::Whole).await.expect("a list").items
    }
}

fn deployment(name: &str, image: &str, replicas: i64) -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, image),
        },
    })
}

fn template(app: &str, image: &str) -> serde_json::Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": image}]}})
}

fn is_rolled_out(object: &Value) -> bool {
    let generation = int(object, &["metadata", "generation"]);
    let wanted = int(object, &["spec", "replicas"]);
    holds(object, "Available")
        && int(object, &["status", "observedGeneration"]) == generation
        && int(object, &["status", "updatedReplicas"]) == wanted
        && int(object, &["status", "replicas"]) == wanted
        && int(object, &["status", "availableReplicas"]) == wanted
}

#[tokio::test]
async fn a_deployment_becomes_available_and_rolls_out_a_new_image() {
    let bed = Bed::start().await;
    bed.create(deployment("web", "example.org/web:1", 3)).await;
    let first = bed.until(Kind::Deployment, "web", is_rolled_out).await;
    assert_eq!(first.annotation("deployment.kubernetes.io/revision"), Some("1"));

    let mut changed = first.clone();
    map_mut(changed.value_mut(), &["spec"]).insert("template", value(&template("web", "example.org/web:2")));
    bed.cluster.update(&changed, "test", Mode::Real).await.expect("it is updated");
    let second = bed
        .until(Kind::Deployment, "web", |object| is_rolled_out(object) && int(object, &["metadata", "generation"]) == 2)
        .await;
    assert_eq!(second.annotation("deployment.kubernetes.io/revision"), Some("2"));
    let sets = bed.all(Kind::ReplicaSet).await;
    let mut sizes: Vec<_> = sets.iter().map(|set| int(set.value(), &["spec", "replicas"])).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 3]);
}

#[tokio::test]
async fn a_rollout_keeps_enough_pods_available_and_makes_no_more_than_allowed() {
    let bed = Bed::start().await;
    let mut web = deployment("web", "example.org/web:1", 4);
    web["spec"]["strategy"] = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}});
    bed.create(web).await;
    let first = bed.until(Kind::Deployment, "web", is_rolled_out).await;
    let mut changed = first.clone();
    map_mut(changed.value_mut(), &["spec"]).insert("template", value(&template("web", "example.org/web:2")));
    // Opened before the change, so that no state in between is missed.
    let mut watch =
        bed.cluster.watch(&Kind::Deployment.gvk(), Selection::named("default", "web"), Depth::Whole).expect("a watch");
    assert!(matches!(watch.next().await, WatchEvent::Restarted(_)));
    bed.cluster.update(&changed, "test", Mode::Real).await.expect("it is updated");
    let (mut fewest, mut most, mut partly) = (i64::MAX, 0, 0);
    let rolled_out = tokio::time::timeout(PATIENCE, async {
        loop {
            let WatchEvent::Applied(object) = watch.next().await else { continue };
            let object = object.value();
            fewest = fewest.min(int(object, &["status", "availableReplicas"]));
            most = most.max(int(object, &["status", "replicas"]));
            partly += i32::from((1..4).contains(&int(object, &["status", "updatedReplicas"])));
            if is_rolled_out(object) && int(object, &["metadata", "generation"]) == 2 {
                return;
            }
        }
    });
    rolled_out.await.expect("the rollout comes to its end");
    assert!(partly > 0, "the pods were replaced all at once");
    assert!(fewest >= 3 && most <= 5, "{fewest} available at least, {most} in all at most");
}

#[tokio::test]
async fn a_template_that_comes_back_brings_its_replica_set_back() {
    let bed = Bed::start().await;
    bed.create(deployment("web", "example.org/web:1", 1)).await;
    for (generation, image) in [(1, "example.org/web:1"), (2, "example.org/web:2"), (3, "example.org/web:1")] {
        let live = bed.cluster.get(&Kind::Deployment.gvk(), "default", "web").await.expect("it exists");
        if generation > 1 {
            let mut changed = live.clone();
            map_mut(changed.value_mut(), &["spec"]).insert("template", value(&template("web", image)));
            bed.until(Kind::Deployment, "web", is_rolled_out).await;
            let live = bed.cluster.get(&Kind::Deployment.gvk(), "default", "web").await.expect("it exists");
            map_mut(changed.value_mut(), &["metadata"]).insert("resourceVersion", Value::from(live.resource_version()));
            bed.cluster.update(&changed, "test", Mode::Real).await.expect("it is updated");
        }
        bed.until(Kind::Deployment, "web", |object| {
            is_rolled_out(object) && int(object, &["metadata", "generation"]) == generation
        })
        .await;
    }
    let sets = bed.all(Kind::ReplicaSet).await;
    assert_eq!(sets.len(), 2);
    let current = sets.iter().find(|set| int(set.value(), &["spec", "replicas"]) == 1).expect("one has the pod");
    assert_eq!(current.annotation("deployment.kubernetes.io/revision"), Some("3"));
}

#[tokio::test]
async fn a_pod_is_placed_runs_and_has_an_address() {
    let bed = Bed::start().await;
    bed.create(deployment("web", "example.org/web:1", 1)).await;
    bed.until(Kind::Deployment, "web", is_rolled_out).await;
    let pod = bed.all(Kind::Pod).await.pop().expect("a pod");
    assert!(holds(pod.value(), "Ready") && holds(pod.value(), "PodScheduled"));
    assert!(!text(pod.value(), &["status", "podIP"]).is_empty());
    let managers: Vec<_> =
        list(pod.value(), &["metadata", "managedFields"]).iter().map(|entry| text(entry, &["manager"])).collect();
    assert!(managers.contains(&"kube-controller-manager") && managers.contains(&"kubelet"), "{managers:?}");
}

#[tokio::test]
async fn an_ordered_failure_shows_in_the_pod_and_holds_up_the_rollout() {
    let bed = Bed::start().await;
    bed.create(deployment("good", "example.org/web:1", 1)).await;
    let mut bad = deployment("bad", "example.org/web:sim-fail-pull", 1);
    bad["spec"]["progressDeadlineSeconds"] = 30.into();
    bed.create(bad).await;
    let mut crashing = deployment("crashing", "example.org/web:1", 1);
    crashing["metadata"]["annotations"] = json!({"sim.soll.dev/fail": "crash-loop"});
    bed.create(crashing).await;

    bed.until(Kind::Deployment, "good", is_rolled_out).await;
    let waits_for = |pod: &Value, reason: &str| {
        let statuses = list(pod, &["status", "containerStatuses"]);
        statuses.iter().any(|status| text(status, &["state", "waiting", "reason"]) == reason)
    };
    let of = |app: &str| Selection::labelled(&format!("app={app}")).within("default");
    let pod = bed.until_some(Kind::Pod, &of("bad"), |pod| waits_for(pod, "ImagePullBackOff")).await;
    assert_eq!(text(pod.value(), &["status", "phase"]), "Pending");
    let pod = bed.until_some(Kind::Pod, &of("crashing"), |pod| waits_for(pod, "CrashLoopBackOff")).await;
    assert_eq!(text(pod.value(), &["status", "phase"]), "Running");
    bed.until(Kind::Deployment, "bad", is_overdue).await;
}

fn is_overdue(object: &Value) -> bool {
    let progress = super::condition::find(object, "Progressing");
    progress.is_some_and(|progress| text(progress, &["reason"]) == "ProgressDeadlineExceeded")
}

#[tokio::test]
async fn a_pod_waits_for_a_config_map_that_does_not_exist() {
    let bed = Bed::start().await;
    let mut web = deployment("web", "example.org/web:1", 1);
    web["spec"]["template"]["spec"]["containers"][0]["envFrom"] = json!([{"configMapRef": {"name": "settings"}}]);
    bed.create(web).await;
    let message = |pod: &Value| {
        let status = list(pod, &["status", "containerStatuses"]).first().cloned().unwrap_or_default();
        text(&status, &["state", "waiting", "message"]).to_owned()
    };
    let of_web = Selection::labelled("app=web").within("default");
    bed.until_some(Kind::Pod, &of_web, |pod| message(pod) == "configmap \"settings\" not found").await;
    bed.create(json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default"}}))
        .await;
    bed.until(Kind::Deployment, "web", is_rolled_out).await;
}

#[tokio::test]
async fn a_stateful_set_makes_its_pods_in_order_each_with_its_volume() {
    let bed = Bed::start().await;
    bed.create(json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "default"},
        "spec": {
            "replicas": 2, "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
            "template": template("db", "example.org/db:1"),
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                "resources": {"requests": {"storage": "1Gi"}}}}],
        },
    }))
    .await;
    let set = bed.until(Kind::StatefulSet, "db", |set| int(set, &["status", "readyReplicas"]) == 2).await;
    assert_eq!(text(set.value(), &["status", "currentRevision"]), text(set.value(), &["status", "updateRevision"]));
    let claims = bed.all(Kind::PersistentVolumeClaim).await;
    let bound: Vec<_> = claims.iter().map(|claim| (claim.name(), text(claim.value(), &["status", "phase"]))).collect();
    assert_eq!(bound, [("data-db-0", "Bound"), ("data-db-1", "Bound")]);
}

#[tokio::test]
async fn a_job_completes_or_fails_as_ordered() {
    let bed = Bed::start().await;
    let job = |name: &str, fail: &str| {
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": "default", "annotations": {"sim.soll.dev/fail": fail}},
            "spec": {"backoffLimit": 1, "template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "c", "image": "example.org/migrate:1"}]}}},
        })
    };
    bed.create(job("good", "slow=1s")).await;
    bed.create(job("bad", "job-fail")).await;
    let good = bed.until(Kind::Job, "good", |job| holds(job, "Complete")).await;
    assert_eq!(int(good.value(), &["status", "succeeded"]), 1);
    let bad = bed.until(Kind::Job, "bad", |job| holds(job, "Failed")).await;
    assert_eq!(int(bad.value(), &["status", "failed"]), 2);
}

#[tokio::test]
async fn a_daemon_set_has_a_pod_on_each_node_and_a_service_its_endpoints() {
    let bed = Bed::start().await;
    bed.create(json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "agent"}}, "template": template("agent", "example.org/agent:1")},
    }))
    .await;
    bed.create(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "agent", "namespace": "default"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "agent"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }))
    .await;
    bed.until(Kind::DaemonSet, "agent", |set| int(set, &["status", "numberAvailable"]) == 1).await;
    bed.until(Kind::Service, "agent", |service| !list(service, &["status", "loadBalancer", "ingress"]).is_empty())
        .await;
    let ready = |slice: &Value| {
        let ports = list(slice, &["ports"]).first().map_or(0, |port| int(port, &["port"]));
        ports == 8080
            && list(slice, &["endpoints"])
                .iter()
                .any(|endpoint| super::fields::flag(endpoint, &["conditions", "ready"]))
    };
    let of_agent = Selection::labelled("kubernetes.io/service-name=agent").within("default");
    bed.until_some(Kind::EndpointSlice, &of_agent, ready).await;
}

#[tokio::test]
async fn a_deleted_pod_goes_and_is_replaced() {
    let bed = Bed::start().await;
    bed.create(deployment("web", "example.org/web:1", 1)).await;
    bed.until(Kind::Deployment, "web", is_rolled_out).await;
    let first = bed.all(Kind::Pod).await.pop().expect("a pod");
    bed.cluster.delete(&Kind::Pod.gvk(), "default", first.name(), &DeleteOptions::default()).await.expect("accepted");
    let of_web = Selection::labelled("app=web").within("default");
    let another = |pod: &Value| text(pod, &["metadata", "uid"]) != first.uid() && holds(pod, "Ready");
    bed.until_some(Kind::Pod, &of_web, another).await;
    let left = tokio::time::timeout(PATIENCE, async {
        while bed.cluster.find(&Kind::Pod.gvk(), "default", first.name()).await.expect("an answer").is_some() {
            tokio::task::yield_now().await;
        }
    });
    left.await.expect("the pod is removed when its grace is over");
}

#[tokio::test]
async fn at_rest_nothing_is_written() {
    let bed = Bed::start().await;
    bed.create(deployment("web", "example.org/web:1", 2)).await;
    bed.until(Kind::Deployment, "web", is_rolled_out).await;
    bed.create(deployment("next", "example.org/web:1", 1)).await;
    bed.until(Kind::Deployment, "next", is_rolled_out).await;
    let pods = bed.all(Kind::Pod).await;
    let versions: Vec<_> =
        pods.iter().filter(|pod| pod.label("app") == Some("web")).map(Object::resource_version).collect();
    bed.create(deployment("last", "example.org/web:1", 1)).await;
    bed.until(Kind::Deployment, "last", is_rolled_out).await;
    let pods = bed.all(Kind::Pod).await;
    let later: Vec<_> =
        pods.iter().filter(|pod| pod.label("app") == Some("web")).map(Object::resource_version).collect();
    assert_eq!(versions, later);
}

#[tokio::test]
async fn a_cluster_with_a_real_node_is_left_alone() {
    let server = Server::new(&ServerOptions::default()).expect("a server");
    let cluster = Cluster::from_service(server.service(), &ConnectOptions::default());
    let node = Object::new(value(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "metal"}})));
    cluster.create(&node.expect("a node"), "kubelet", Mode::Real).await.expect("it is created");
    let refused = Simulation::start(cluster.clone(), SimulationOptions::default()).await.expect_err("no simulation");
    assert!(matches!(refused, SimulationError::RealNode(node) if node == "metal"));
    let nodes = cluster.list(&Gvk::new("v1", "Node"), &Selection::all(), Depth::Metadata).await.expect("a list");
    assert_eq!(nodes.items.len(), 1);
}

#[tokio::test]
async fn a_stopped_simulation_goes_on_where_it_was() {
    let bed = Bed::start().await;
    bed.create(deployment("web", "example.org/web:1", 1)).await;
    bed.simulation.stop().await;
    let again = Simulation::start(bed.cluster.clone(), SimulationOptions { scale: 100.0, ..Default::default() }).await;
    let bed = Bed { simulation: again.expect("a simulation"), cluster: bed.cluster, _server: bed._server };
    bed.until(Kind::Deployment, "web", is_rolled_out).await;
}
