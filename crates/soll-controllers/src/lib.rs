//! The controllers: they watch toolkit objects, bring the cluster in line with them, and say what happened.
//!
//! One folder per kind; start with `kustomization/reconcile.rs`, which reads from top to bottom. [`runner`] decides what
//! runs when. What ought to be done is decided by the engines (`soll-kustomize`, `soll-plan`); nothing here parses YAML,
//! compares objects or knows what a healthy Deployment looks like.

pub mod behaviours;
mod runner;

pub use runner::{Depth, Key, Kind};
