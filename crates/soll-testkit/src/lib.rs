//! Real servers for the tests.
//!
//! [`ControlPlane`] is a kube-apiserver with its etcd and kube-controller-manager, [`tools`] the original
//! command lines to compare with, [`GitServer`] a Git host over smart HTTP. All are built by `cargo xtask servers`; if one is missing the test fails
//! with that sentence, it is never skipped. Only tests depend on this crate.
#![allow(clippy::missing_panics_doc, reason = "what cannot be set up ends the test, and says why")]

mod control_plane;
mod git;
mod keeper;
mod tools;

pub use control_plane::ControlPlane;
pub use git::{GitServer, Repository};
pub use tools::{Tools, binary, tools};
