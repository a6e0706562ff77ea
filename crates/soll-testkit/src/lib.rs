//! Real servers for the tests.
//!
//! [`ControlPlane`] is a kube-apiserver with its etcd and kube-controller-manager, [`tools`] the original
//! command lines to compare with, all built by `cargo xtask servers`; if one is missing the test fails with that
//! sentence, it is never skipped. [`GitServer`] is a Git host over smart HTTP, [`Webhook`] an
//! admission webhook, [`Keeper`] ends what a test has started, and
//! [`Proxy`] stands between an engine and its API server.
//! Only tests depend on this crate.
#![allow(clippy::missing_panics_doc, reason = "what cannot be set up ends the test, and says why")]

pub mod audit;
mod control_plane;
mod git;
mod keeper;
mod proxy;
mod tools;
pub mod usage;
mod webhook;

pub use control_plane::ControlPlane;
pub use git::{GitServer, GitTrouble, Repository};
pub use keeper::{Keeper, Kept};
pub use proxy::{Answered, Asked, Fault, Point, Proxy, When};
pub use soll_compare::binary;
pub use tools::{Tools, tools};
pub use webhook::Webhook;
