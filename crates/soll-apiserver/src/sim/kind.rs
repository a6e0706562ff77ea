//! The kinds that are followed.

use soll_api::Gvk;

/// A kind that the simulation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Node,
    Pod,
    ConfigMap,
    Secret,
    Service,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageClass,
    Ingress,
    IngressClass,
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    CronJob,
    PodDisruptionBudget,
    HorizontalPodAutoscaler,
    Endpoints,
    EndpointSlice,
}

impl Kind {
    /// Nodes come first: without them no pod can be placed.
    pub(super) const ALL: [Self; 20] = [
        Self::Node,
        Self::Pod,
        Self::ConfigMap,
        Self::Secret,
        Self::Service,
        Self::PersistentVolume,
        Self::PersistentVolumeClaim,
        Self::StorageClass,
        Self::Ingress,
        Self::IngressClass,
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
        Self::PodDisruptionBudget,
        Self::HorizontalPodAutoscaler,
        Self::Endpoints,
        Self::EndpointSlice,
    ];

    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::Node
            | Self::Pod
            | Self::ConfigMap
            | Self::Secret
            | Self::Service
            | Self::PersistentVolume
            | Self::PersistentVolumeClaim
            | Self::Endpoints => "v1",
            Self::StorageClass => "storage.k8s.io/v1",
            Self::Ingress | Self::IngressClass => "networking.k8s.io/v1",
            Self::Deployment | Self::ReplicaSet | Self::StatefulSet | Self::DaemonSet => "apps/v1",
            Self::Job | Self::CronJob => "batch/v1",
            Self::PodDisruptionBudget => "policy/v1",
            Self::HorizontalPodAutoscaler => "autoscaling/v2",
            Self::EndpointSlice => "discovery.k8s.io/v1",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::Pod => "Pod",
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::Service => "Service",
            Self::PersistentVolume => "PersistentVolume",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::StorageClass => "StorageClass",
            Self::Ingress => "Ingress",
            Self::IngressClass => "IngressClass",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::HorizontalPodAutoscaler => "HorizontalPodAutoscaler",
            Self::Endpoints => "Endpoints",
            Self::EndpointSlice => "EndpointSlice",
        }
    }

    /// The kind of this name, as owner references have it.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn gvk(self) -> Gvk {
        Gvk::new(self.api_version(), self.name())
    }

    /// Whether it is enough to know that the object exists.
    pub(super) fn by_name_only(self) -> bool {
        matches!(self, Self::ConfigMap | Self::Secret)
    }
}
