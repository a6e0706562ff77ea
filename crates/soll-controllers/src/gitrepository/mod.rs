//! GitRepository: from a Git remote to a stored artifact and a tree. Start with `reconcile.rs`.

mod reconcile;
mod remote;
mod status;
pub(crate) mod watches;

pub(crate) use reconcile::{panicked, reconcile};
pub(crate) use remote::Remotes;
