//! What the simulation writes.

use std::time::Duration;

use soll_api::{Gvk, Object};
use soll_cluster::{ApiError, Cluster, DeleteOptions, Mode};
use soll_yaml::Value;

use super::condition::{Said, event};
use super::kind::Kind;
use super::queue::Key;
use super::world::World;

/// The field manager of workload controllers.
pub(super) const CONTROLLER_MANAGER: &str = "kube-controller-manager";
/// The field manager of what happens on nodes.
pub(super) const KUBELET: &str = "kubelet";
/// The field manager of placement.
pub(super) const SCHEDULER: &str = "kube-scheduler";

/// One write.
#[derive(Debug)]
pub(super) enum Action {
    Create {
        kind: Kind,
        object: Object,
        manager: &'static str,
    },
    Update {
        kind: Kind,
        object: Object,
        manager: &'static str,
    },
    UpdateStatus {
        kind: Kind,
        object: Object,
        manager: &'static str,
    },
    Delete {
        kind: Kind,
        object: Object,
        grace: Option<u32>,
    },
    Bind {
        pod: Object,
        node: String,
    },
    /// Says that a node is alive.
    Renew {
        node: String,
    },
    /// Whoever misses it misses nothing: it is not repeated if it fails.
    Event(Value),
}

/// What is to be done for an object: writes in order, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) actions: Vec<Action>,
    pub(super) recheck: Option<Duration>,
}

impl Step {
    pub(super) fn nothing() -> Self {
        Self::default()
    }

    pub(super) fn act(action: Action) -> Self {
        Self { actions: vec![action], recheck: None }
    }

    pub(super) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Looks again after so much real time, or sooner.
    pub(super) fn again(&mut self, pause: Duration) {
        self.recheck = Some(self.recheck.map_or(pause, |known| known.min(pause)));
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.actions.extend(other.actions);
        if let Some(pause) = other.recheck {
            self.again(pause);
        }
    }

    /// Writes the status unless it is as it was.
    pub(super) fn set_status(&mut self, kind: Kind, object: &Object, status: Value, manager: &'static str) {
        if object.value().get("status") != Some(&status) {
            let object = super::fields::with_status(object, status);
            self.push(Action::UpdateStatus { kind, object, manager });
        }
    }

    /// Says something about an object, once for as long as it exists.
    pub(super) fn say(&mut self, world: &World, about: &Object, said: &Said<'_>) {
        if world.says_first(about.uid(), said.reason, said.message) {
            self.push(Action::Event(event(about, &world.clock.stamp(), said)));
        }
    }
}

/// What came of the writes for a key.
pub(super) struct Done {
    pub(super) key: Key,
    pub(super) written: Vec<(Kind, Object)>,
    pub(super) deleted: Vec<String>,
    /// Why the rest was not done.
    pub(super) error: Option<ApiError>,
}

/// Does the writes in order, up to the first that fails.
pub(super) async fn perform(cluster: &Cluster, key: Key, actions: Vec<Action>) -> Done {
    let mut done = Done { key, written: Vec::new(), deleted: Vec::new(), error: None };
    for action in actions {
        if let Err(error) = done.one(cluster, action).await {
            done.error = Some(error);
            break;
        }
    }
    done
}

impl Done {
    async fn one(&mut self, cluster: &Cluster, action: Action) -> Result<(), ApiError> {
        match action {
            Action::Create { kind, object, manager } => {
                self.written.push((kind, cluster.create(&object, manager, Mode::Real).await?));
            }
            Action::Update { kind, object, manager } => {
                self.written.push((kind, cluster.update(&object, manager, Mode::Real).await?));
            }
            Action::UpdateStatus { kind, object, manager } => {
                self.written.push((kind, cluster.update_status(&object, manager).await?));
            }
            Action::Delete { kind, object, grace } => {
                let options = DeleteOptions {
                    uid: Some(object.uid().to_owned()),
                    grace_seconds: grace,
                    ..DeleteOptions::default()
                };
                match cluster.delete(&kind.gvk(), object.namespace(), object.name(), &options).await {
                    // Gone is what was wanted; another uid means that a namesake is there.
                    Err(error) if !error.is_not_found() && !error.is_conflict() => return Err(error),
                    _ => self.deleted.push(object.uid().to_owned()),
                }
            }
            Action::Bind { pod, node } => {
                let binding = super::fields::value(&serde_json::json!({
                    "apiVersion": "v1",
                    "kind": "Binding",
                    "metadata": {"name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid()},
                    "target": {"apiVersion": "v1", "kind": "Node", "name": node},
                }));
                let gvk = Kind::Pod.gvk();
                cluster.create_subresource(&gvk, pod.namespace(), pod.name(), "binding", &binding).await?;
            }
            Action::Renew { node } => super::node::machine::renew(cluster, &node).await?,
            Action::Event(event) => {
                let component = event.lookup_str(&["source", "component"]).unwrap_or_default().to_owned();
                let event = Object::new(event).expect("an event has a name");
                debug_assert_eq!(event.gvk(), Gvk::new("v1", "Event"));
                if let Err(error) = cluster.create(&event, &component, Mode::Real).await
                    && !error.is_already_exists()
                {
                    tracing::debug!(%error, "a simulated event is lost");
                }
            }
        }
        Ok(())
    }
}
