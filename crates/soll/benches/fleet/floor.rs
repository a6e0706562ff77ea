//! The floor: a bare client applies what the fleet builds to, and waits until every Deployment is Current.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use soll_api::{Gvk, Object};
use soll_cluster::{ApplyOptions, Cluster, Depth, Selection};
use soll_yaml::Value;

use crate::apps::{name, object};

const NAMESPACE: &str = "floor";
/// How many requests at a time.
const CONNECTIONS: usize = 8;
/// How often the Deployments are looked at.
const PACE: Duration = Duration::from_millis(100);

/// What the API server takes.
pub(crate) struct Floor {
    pub(crate) created: Duration,
    /// From the first write until every Deployment is Current.
    pub(crate) current: Duration,
    /// For applying all again, which changes nothing.
    pub(crate) again: Duration,
}

/// Applies the objects of so many apps, waits, and applies them again.
pub(crate) async fn measure(cluster: &Cluster, apps: usize) -> Floor {
    let namespace = object(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
    cluster.apply(&namespace, &ApplyOptions::forced("floor")).await.expect("a namespace");
    let objects: Arc<Vec<Object>> = Arc::new((0..apps).flat_map(objects).collect());
    let start = Instant::now();
    apply_all(cluster, &objects).await;
    let created = start.elapsed();
    while !all_current(cluster).await {
        tokio::time::sleep(PACE).await;
    }
    let current = start.elapsed();
    let start = Instant::now();
    apply_all(cluster, &objects).await;
    Floor { created, current, again: start.elapsed() }
}

async fn apply_all(cluster: &Cluster, objects: &Arc<Vec<Object>>) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (cluster, objects, next) = (cluster.clone(), Arc::clone(objects), Arc::clone(&next));
        workers.spawn(async move {
            while let Some(object) = objects.get(next.fetch_add(1, Ordering::Relaxed)) {
                cluster.apply(object, &ApplyOptions::forced("floor")).await.expect("applied");
            }
        });
    }
    workers.join_all().await;
}

async fn all_current(cluster: &Cluster) -> bool {
    let selection = Selection::all().within(NAMESPACE);
    let deployments = cluster.list(&Gvk::new("apps/v1", "Deployment"), &selection, Depth::Whole).await.expect("a list");
    deployments.items.iter().all(|deployment| {
        let observed = deployment.value().lookup(&["status", "observedGeneration"]).and_then(Value::as_i64);
        observed == deployment.generation()
    })
}

fn objects(number: usize) -> [Object; 4] {
    let app = name(number);
    let metadata =
        |name: &str| json!({"name": format!("{app}-{name}"), "namespace": NAMESPACE, "labels": {"app": app}});
    let selected = json!({"role": "web", "app": app});
    [
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("app")}),
        json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("settings"),
            "data": {"LEVEL": "info", "APP": app},
        }),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata("app"),
            "spec": {"ports": [{"port": 80, "targetPort": 8080}], "selector": selected},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata("app"),
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": selected},
                "template": {
                    "metadata": {"labels": selected},
                    "spec": {
                        "serviceAccountName": format!("{app}-app"),
                        "containers": [{
                            "name": "web",
                            "image": "ghcr.io/example/web:1.0.0",
                            "envFrom": [{"configMapRef": {"name": format!("{app}-settings")}}],
                            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                        }],
                    },
                },
            },
        }),
    ]
    .each_ref()
    .map(object)
}
