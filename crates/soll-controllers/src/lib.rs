//! The controllers: they watch toolkit objects, bring the cluster in line with them, and say what happened.
//!
//! One folder per kind; start with `kustomization/reconcile.rs`, which reads from top to bottom. [`Engine`] is the whole
//! as a process, `runner` decides what runs when. What ought to be done is decided by the engines (`soll-kustomize`,
//! `soll-plan`); nothing here parses YAML, compares objects or knows what a healthy Deployment looks like.

mod gitrepository;
mod kustomization;

mod artifacts;
mod context;
mod memory;
mod openings;
mod references;
mod schedule;
mod seekers;
mod status;
mod watches;

pub mod behaviours;
mod config;
mod engine;
mod events;
mod first_pass;
mod handle;
mod leadership;
mod metrics;
mod probes;
mod runner;

pub use config::{EngineConfig, LeaderElection};
pub use engine::{Engine, EngineError};
pub use events::{Event, Involved, Severity};
pub use handle::{EngineHandle, ObjectState, Readiness};
pub use kustomization::{Built, build_objects, set_inline, variables};
pub use runner::{Depth, Key, Kind};
