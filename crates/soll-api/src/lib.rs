//! The API types that every layer shares: objects and references to them, the custom resources of
//! `*.toolkit.fluxcd.io`, conditions, durations, and the one failure type.
//!
//! Start with [`Object`] and [`Failure`], then [`GitRepository`] and [`Kustomization`]. This crate talks to nobody.

mod artifact;
mod causes;
mod condition;
mod crd;
mod duration;
mod failure;
mod gitrepository;
mod install;
mod inventory;
mod kustomization;
mod metadata;
pub mod names;
mod object;
mod secrets;
mod suggestion;
mod text;

pub use artifact::Artifact;
pub use causes::with_causes;
pub use condition::{Condition, Conditions, MESSAGE_LIMIT, Status, types};
pub use crd::{Sample, crds, samples, unsupported_fields};
pub use duration::{Duration, DurationError, Time};
pub use failure::{Class, Culprit, Failure, Origin, Retry};
pub use gitrepository::{
    GitInclude, GitProvider, GitReference, GitRepository, GitRepositorySpec, GitRepositoryStatus, GitVerification,
};
pub use install::{ALLOCATION, InstallOptions, install};
pub use inventory::{Inventory, InventoryEntry, InventoryIdError};
pub use kustomization::{
    CommonMetadata, Decryption, DeletionPolicy, Dependency, HISTORY_LIMIT, HealthCheck, HealthCheckExpr, History,
    HistoryEntry, Ignore, Image, KubeConfig, Kustomization, KustomizationSpec, KustomizationStatus, Patch, PostBuild,
    SecretKey, SecretName, Selector, SourceRef, SubstituteFrom, SubstituteStrategy, VariableSource,
};
pub use metadata::{LocalRef, Metadata, Resource};
pub use object::{Gvk, Object, ObjectError, ObjectRef};
pub use secrets::Secrets;
pub use suggestion::did_you_mean;

/// The domain of our own annotations, labels and groups.
pub const DOMAIN: &str = "soll.dev";
