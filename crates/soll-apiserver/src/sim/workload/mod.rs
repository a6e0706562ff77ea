//! What kube-controller-manager would do: from Deployments to pods, from Services to Endpoints and EndpointSlices.

mod cron_job;
mod daemon_set;
mod deployment;
mod disruption;
mod endpoints;
mod job;
mod mirror;
mod pods;
mod replica_set;
mod stateful_set;
mod subsets;

use soll_api::Object;

use super::action::Step;
use super::kind::Kind;
use super::world::World;

/// What is to be done for an object.
pub(super) fn step(world: &World, kind: Kind, object: &Object) -> Step {
    // What an object being deleted owns is the business of the garbage collector.
    if world.is_leaving(object) {
        return Step::nothing();
    }
    match kind {
        Kind::Deployment => deployment::step(world, object),
        Kind::ReplicaSet => replica_set::step(world, object),
        Kind::StatefulSet => stateful_set::step(world, object),
        Kind::DaemonSet => daemon_set::step(world, object),
        Kind::Job => job::step(world, object),
        Kind::CronJob => cron_job::step(world, object),
        Kind::Service => {
            let mut step = endpoints::step(world, object);
            step.extend(subsets::step(world, object));
            step
        }
        Kind::Endpoints => {
            let mut step = mirror::step(world, object);
            step.extend(subsets::without_service(world, object));
            step
        }
        Kind::PodDisruptionBudget => disruption::of_budget(world, object),
        Kind::HorizontalPodAutoscaler => disruption::of_autoscaler(world, object),
        Kind::Node
        | Kind::Pod
        | Kind::ConfigMap
        | Kind::Secret
        | Kind::PersistentVolume
        | Kind::PersistentVolumeClaim
        | Kind::StorageClass
        | Kind::Ingress
        | Kind::IngressClass
        | Kind::EndpointSlice => Step::nothing(),
    }
}
