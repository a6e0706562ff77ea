//! What happens on nodes: placement, pods, volumes, addresses. Drives a real API server too.

mod address;
mod life;
pub(super) mod machine;
mod placement;
mod pod;
mod pod_status;
mod volume;

use soll_api::Object;

use super::action::Step;
use super::kind::Kind;
use super::world::World;

pub(super) use pod::is_held_up;

/// What is to be done for an object.
pub(super) fn step(world: &World, kind: Kind, object: &Object) -> Step {
    match kind {
        Kind::Node => machine::step(world, object),
        Kind::Pod => pod::step(world, object),
        Kind::Service => address::of_service(world, object),
        Kind::Ingress => address::of_ingress(world, object),
        Kind::PersistentVolumeClaim => volume::of_claim(world, object),
        Kind::PersistentVolume => volume::of_volume(world, object),
        Kind::ConfigMap
        | Kind::Secret
        | Kind::StorageClass
        | Kind::IngressClass
        | Kind::Deployment
        | Kind::ReplicaSet
        | Kind::StatefulSet
        | Kind::DaemonSet
        | Kind::Job
        | Kind::CronJob
        | Kind::PodDisruptionBudget
        | Kind::HorizontalPodAutoscaler
        | Kind::Endpoints
        | Kind::EndpointSlice => Step::nothing(),
    }
}
