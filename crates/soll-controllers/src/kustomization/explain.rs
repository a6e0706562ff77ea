//! Why something does not become healthy: from the line in Git to the object to the pod to the container. Pods are read
//! for this only.

use soll_api::{Failure, Gvk, Object, Origin};
use soll_cluster::{Cluster, Depth, Selection};
use soll_plan::{ContainerFault, Related};
use soll_yaml::At;

use super::health::{Places, Wait};

/// Objects that are explained; more would only make the text longer.
const EXPLAINED: usize = 3;

/// Adds the links of the chain below the objects that are not healthy, as far as the identity that applies may read
/// them, and where the first of them, or what of it is at fault, was written.
pub(super) async fn explain(mut failure: Failure, wait: &Wait, cluster: &Cluster) -> Failure {
    for (gvk, reference, places) in wait.not_current().take(EXPLAINED) {
        let live = cluster.find(gvk, &reference.namespace, &reference.name).await;
        let explanation = match &live {
            Ok(Some(object)) => {
                let pods = match soll_plan::pod_selector(object) {
                    Some(labels) => list(cluster, "Pod", Selection::labelled(&labels), object.namespace()).await,
                    None => Vec::new(),
                };
                let events = list(cluster, "Event", Selection::all(), object.namespace()).await;
                soll_plan::explain(object, &Related { pods: &pods, events: &events })
            }
            _ => soll_plan::Explanation::default(),
        };
        failure.culprits.extend(explanation.culprits);
        let (field, at) = fault(places, explanation.container.as_ref());
        let origins = Origin::chain(&wait.background.sources, at);
        if failure.object.is_none() {
            failure = failure.about(reference).from_origins(origins);
            failure.field = field;
        } else if let (Some(culprit), Some(origin)) = (failure.culprits.last_mut(), origins.first()) {
            culprit.why = format!("{} ({})", culprit.why, origin.place());
        }
    }
    failure
}

/// What of an object is at fault, and where that was written.
fn fault(places: &Places, container: Option<&ContainerFault>) -> (Option<String>, At) {
    let place = container.and_then(|fault| {
        let place = places.containers.iter().find(|place| place.name == fault.name)?;
        Some(match fault.is_image {
            true => (Some(format!("{}.image", place.path)), place.image_at),
            false => (Some(place.path.clone()), place.at),
        })
    });
    place.unwrap_or((None, places.object))
}

/// What cannot be read explains nothing; the failure itself is told all the same.
async fn list(cluster: &Cluster, kind: &str, selection: Selection, namespace: &str) -> Vec<Object> {
    let selection = if namespace.is_empty() { selection } else { selection.within(namespace) };
    let listed = cluster.list(&Gvk::new("v1", kind), &selection, Depth::Whole).await;
    listed.map(|list| list.items).unwrap_or_default()
}
