//! GitRepository: from a Git remote to a stored artifact and a tree. Start with `reconcile.rs`.

mod checkout;
mod reconcile;
mod remote;
mod status;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod watches;

pub(crate) use checkout::Checkout;
pub(crate) use reconcile::{panicked, reconcile};
pub(crate) use remote::Remotes;
