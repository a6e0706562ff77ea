//! The Kubernetes client side: connection, discovery, verbs, watches, leases, and the one applier.
//!
//! Start with [`Cluster`]: one cluster seen by one identity. Objects are [`soll_api::Object`]s, parsed
//! and printed by `soll-yaml`; `kube` is used for kubeconfig, authentication and TLS only, and no type of
//! it appears but in [`Cluster::from_service`]. What ought to happen is decided elsewhere.

mod applier;
mod cluster;
mod error;
mod fork;
mod group;
mod lease;
mod limit;
mod memory;
mod objects;
mod requests;
mod resource;
mod transport;
mod watch;

#[cfg(test)]
mod testing;

pub use applier::{
    Applied, AppliedObject, Applier, ApplierOptions, ApplyFailure, Creation, Outcome, Preview, Pruned, StillOwned,
    Trust, defined_kind,
};
pub use cluster::{Cluster, ConnectError, ConnectOptions, Credentials, Identity};
pub use error::{ApiError, Cause, Details, Status};
pub use fork::Fork;
pub use group::{Group, GroupEnd, GroupOptions, Misfit, MisfitReason, Standing, Work, group_label};
pub use lease::{Contender, LeaseEnd, LeaseOptions, LeaseState};
pub use memory::{Memory, Observed};
pub use objects::{ApplyOptions, DeleteOptions, Depth, Mode, ObjectList, Ownership, Patch, Propagation, Selection};
pub use requests::{RequestCounts, Verb};
pub use resource::Resource;
pub use watch::{Watch, WatchBudget, WatchEvent};
