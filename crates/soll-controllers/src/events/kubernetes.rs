//! Events as `kubectl get events` shows them: core/v1 Events, one per thing said, counted when it is said again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use soll_api::{Gvk, Object, Time};
use soll_cluster::{ApiError, Cluster, Mode, Patch};
use soll_yaml::to_value;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Event, Severity};

/// How many things said are remembered, to be counted when they are said again.
const REMEMBERED: usize = 4096;
/// Longest message; Flux cuts condition messages here, too.
const LONGEST_MESSAGE: usize = 32_768;

/// Writes what is said to the cluster, until `shutdown`. What cannot be written is lost, and logged.
pub(crate) async fn publish_to_cluster(
    mut events: broadcast::Receiver<Arc<Event>>,
    cluster: Cluster,
    shutdown: CancellationToken,
) {
    let mut written: HashMap<String, Written> = HashMap::new();
    loop {
        let received = tokio::select! {
            () = shutdown.cancelled() => return,
            received = events.recv() => received,
        };
        match received {
            Ok(event) if event.severity == Severity::Trace => {}
            Ok(event) => {
                if let Err(error) = write(&event, &cluster, &mut written).await {
                    debug!(object = %event.object.object_ref(), %error, "an event could not be written");
                }
            }
            Err(RecvError::Lagged(lost)) => warn!(lost, "events were lost: the API server is slow"),
            Err(RecvError::Closed) => return,
        }
    }
}

/// An Event object that we made.
struct Written {
    name: String,
    count: u64,
}

async fn write(event: &Event, cluster: &Cluster, written: &mut HashMap<String, Written>) -> Result<(), ApiError> {
    let gvk = Gvk::new("v1", "Event");
    let key = event.idempotency_key();
    if let Some(known) = written.get_mut(&key) {
        known.count += 1;
        let again = Again { count: known.count, last_timestamp: event.time };
        let patch = Patch::Merge(to_value(&again).expect("a plain structure"));
        let manager = event.object.kind.controller();
        match cluster.patch(&gvk, &event.object.namespace, &known.name, &patch, manager).await {
            // It lived as long as Events live.
            Err(error) if error.is_not_found() => {
                written.remove(&key);
            }
            other => return other.map(|_| ()),
        }
    }
    let name = format!("{}.{}", event.object.name, uuid::Uuid::new_v4().simple());
    let body = to_value(&Body::of(event, &name)).expect("a plain structure");
    let object = Object::new(body).expect("it has a name and a kind");
    cluster.create(&object, event.object.kind.controller(), Mode::Real).await?;
    if written.len() >= REMEMBERED {
        written.clear();
    }
    written.insert(key, Written { name, count: 1 });
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Again {
    count: u64,
    last_timestamp: Time,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: BodyMetadata<'a>,
    involved_object: InvolvedObject<'a>,
    reason: &'a str,
    message: &'a str,
    r#type: &'a str,
    source: Source<'a>,
    first_timestamp: Time,
    last_timestamp: Time,
    count: u64,
    reporting_component: &'a str,
    reporting_instance: &'a str,
}

#[derive(Serialize)]
struct BodyMetadata<'a> {
    name: &'a str,
    namespace: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InvolvedObject<'a> {
    api_version: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
    resource_version: &'a str,
}

#[derive(Serialize)]
struct Source<'a> {
    component: &'a str,
}

impl<'a> Body<'a> {
    fn of(event: &'a Event, name: &'a str) -> Self {
        let object = &event.object;
        let mut end = event.message.len().min(LONGEST_MESSAGE);
        while !event.message.is_char_boundary(end) {
            end -= 1;
        }
        Self {
            api_version: "v1",
            kind: "Event",
            metadata: BodyMetadata { name, namespace: &object.namespace, annotations: &event.metadata },
            involved_object: InvolvedObject {
                api_version: object.kind.api_version(),
                kind: object.kind.name(),
                namespace: &object.namespace,
                name: &object.name,
                uid: &object.uid,
                resource_version: &object.resource_version,
            },
            reason: &event.reason,
            message: &event.message[..end],
            r#type: event.severity.kubernetes_type(),
            source: Source { component: object.kind.controller() },
            first_timestamp: event.time,
            last_timestamp: event.time,
            count: 1,
            reporting_component: object.kind.controller(),
            reporting_instance: "",
        }
    }
}
