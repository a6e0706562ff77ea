//! Simulated workloads: what kubelet, scheduler and kube-controller-manager would make of the objects,
//! without running a container.
//!
//! [`Simulation::start`] is an ordinary client of the Kubernetes API. One task follows the objects
//! ([`world`]); a change queues the keys of what may have to react, and for each key a function of the world
//! says what to do (`node` for pods, volumes and addresses, `workload` for Deployments and their like); [`action`]
//! writes it through the API, under the field managers of the originals. All is level triggered: what to do
//! follows from what is, so nothing is lost by a restart. Failures are ordered by annotation or image name
//! ([`failure`]).
//!
//! The node part works on a real API server too. The workload part is for the embedded one, since a real
//! one has a kube-controller-manager.

mod action;
mod clock;
mod condition;
mod failure;
mod fields;
mod kind;
mod node;
mod queue;
mod selector;
mod workload;
mod world;

#[cfg(test)]
mod tests;

use std::time::Duration;

use futures::stream::{SelectAll, StreamExt};
use futures::{FutureExt, Stream};
use soll_cluster::{ApiError, Cluster, Depth, Selection, WatchEvent};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use action::Step;
use kind::Kind;
use queue::{Key, Queue};
use world::World;

/// The annotation of an object or a pod template that orders a failure.
pub const FAIL_ANNOTATION: &str = failure::ANNOTATION;

/// How many keys are worked on at once: a real API server answers in milliseconds, and writes to different
/// objects need not wait for each other.
const WIDTH: usize = 16;

/// What can be chosen.
#[derive(Debug, Clone)]
pub struct SimulationOptions {
    /// How many simulated seconds pass in a second; 0 for as many as can be.
    pub scale: f64,
    /// Who turns Deployments into pods.
    pub controllers: Controllers,
    /// How many nodes there are.
    pub nodes: usize,
}

impl Default for SimulationOptions {
    fn default() -> Self {
        Self { scale: 20.0, controllers: Controllers::Simulated, nodes: 1 }
    }
}

/// Who turns Deployments into ReplicaSets and pods, Jobs into pods, Services into EndpointSlices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controllers {
    /// We do: nobody else is there.
    Simulated,
    /// The cluster's own kube-controller-manager does; only nodes and what happens on them is simulated.
    Real,
}

/// Why nothing is simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// Somebody's real node is here, and with it somebody's real pods.
    #[error("this cluster has a node `{0}` that is not simulated: the simulation would fight with its kubelet")]
    RealNode(String),
    /// The API server does not answer as it should.
    #[error("the simulation cannot start")]
    Api(#[from] ApiError),
}

/// A running simulation. Dropping it ends it.
#[derive(Debug)]
pub struct Simulation {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Simulation {
    /// Makes the nodes and begins to follow the cluster.
    ///
    /// # Errors
    /// If the cluster has a node that no simulation made, or cannot be reached.
    pub async fn start(cluster: Cluster, options: SimulationOptions) -> Result<Self, SimulationError> {
        node::machine::prepare(&cluster, options.nodes).await?;
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(cluster, options, stop.clone()));
        Ok(Self { stop, task: Some(task) })
    }

    /// Ends it and waits until its last write is done.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // A panic there was already reported by its task.
            let _ = task.await;
        }
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(cluster: Cluster, options: SimulationOptions, stop: CancellationToken) {
    let mut world = World::new(options.scale, options.controllers);
    let mut queue = Queue::default();
    let mut events = follow(&cluster);
    loop {
        let due = queue.next_due();
        tokio::select! {
            () = stop.cancelled() => return,
            Some((kind, event)) = events.next() => observe(&mut world, &mut queue, kind, event),
            () = sleep_until(due), if due.is_some() => {}
        }
        // All that has arrived is looked at before anything is done: ten changes of one object are one.
        while let Some(Some((kind, event))) = events.next().now_or_never() {
            observe(&mut world, &mut queue, kind, event);
        }
        work(&cluster, &mut world, &mut queue).await;
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// One watch per kind, merged.
fn follow(cluster: &Cluster) -> SelectAll<impl Stream<Item = (Kind, WatchEvent)> + Unpin + use<>> {
    let watches = Kind::ALL.iter().filter_map(|kind| {
        let depth = if kind.by_name_only() { Depth::Metadata } else { Depth::Whole };
        let Some(watch) = cluster.watch(&kind.gvk(), Selection::all(), depth) else {
            tracing::warn!(?kind, "no watch is left for the simulation");
            return None;
        };
        Some(watch.into_stream().map(move |event| (*kind, event)).boxed())
    });
    watches.collect()
}

fn observe(world: &mut World, queue: &mut Queue, kind: Kind, event: WatchEvent) {
    match event {
        WatchEvent::Restarted(objects) => world.restart(kind, &objects, queue),
        WatchEvent::Applied(object) => world.insert(kind, &object, queue),
        WatchEvent::Deleted(object) => world.remove(kind, &object, queue),
        // A kind that is not served is not simulated.
        WatchEvent::Interrupted(error) => tracing::debug!(?kind, %error, "the simulation's watch is interrupted"),
    }
}

/// Decides for all keys that are due, then writes, then notes what came of it.
async fn work(cluster: &Cluster, world: &mut World, queue: &mut Queue) {
    world.clock.tick();
    let mut writes = Vec::new();
    for key in queue.take_due(world.clock.instant()) {
        let Step { actions, recheck } = decide(world, &key);
        if let Some(pause) = recheck {
            queue.at(key.clone(), world.clock.instant() + pause.max(Duration::from_millis(1)));
        }
        if actions.is_empty() {
            queue.succeeded(&key);
        } else {
            writes.push(action::perform(cluster, key, actions));
        }
    }
    let mut writes = futures::stream::iter(writes).buffer_unordered(WIDTH);
    while let Some(done) = writes.next().await {
        for (kind, object) in done.written {
            world.insert(kind, &object, queue);
        }
        for uid in done.deleted {
            world.doom(uid, &done.key, queue);
        }
        match done.error {
            None => queue.succeeded(&done.key),
            Some(error) => {
                // Somebody else was faster, or has deleted it: news of that is on the way.
                if error.is_conflict() || error.is_not_found() || error.is_namespace_missing() {
                    tracing::debug!(key = ?done.key, %error, "a simulated write came too late");
                } else {
                    tracing::warn!(key = ?done.key, %error, "a simulated write failed");
                }
                queue.failed(done.key, world.clock.instant());
            }
        }
    }
}

/// What is to be done for one object, as the world is.
fn decide(world: &World, key: &Key) -> Step {
    let Some(object) = world.get(key.kind, &key.name) else {
        return Step::nothing();
    };
    let mut step = node::step(world, key.kind, object);
    if world.controllers == Controllers::Simulated {
        step.extend(workload::step(world, key.kind, object));
    }
    step
}
