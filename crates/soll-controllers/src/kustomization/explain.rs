//! Why something does not become healthy: from the object to the pod to the container. Pods are read for this only.

use soll_api::{Failure, Gvk, Object};
use soll_cluster::{Cluster, Depth, Selection};
use soll_plan::Related;

use super::health::Wait;

/// Objects that are explained; more would only make the text longer.
const EXPLAINED: usize = 3;

/// Adds the links of the chain below the objects that are not healthy, as far as the identity that applies may read them.
pub(super) async fn explain(mut failure: Failure, wait: &Wait, cluster: &Cluster) -> Failure {
    for (gvk, reference) in wait.not_current().take(EXPLAINED) {
        let Ok(Some(object)) = cluster.find(gvk, &reference.namespace, &reference.name).await else { continue };
        let pods = match soll_plan::pod_selector(&object) {
            Some(labels) => list(cluster, "Pod", Selection::labelled(&labels), object.namespace()).await,
            None => Vec::new(),
        };
        let events = list(cluster, "Event", Selection::all(), object.namespace()).await;
        failure.culprits.extend(soll_plan::explain(&object, &Related { pods: &pods, events: &events }));
    }
    failure
}

/// What cannot be read explains nothing; the failure itself is told all the same.
async fn list(cluster: &Cluster, kind: &str, selection: Selection, namespace: &str) -> Vec<Object> {
    let selection = if namespace.is_empty() { selection } else { selection.within(namespace) };
    let listed = cluster.list(&Gvk::new("v1", kind), &selection, Depth::Whole).await;
    listed.map(|list| list.items).unwrap_or_default()
}
