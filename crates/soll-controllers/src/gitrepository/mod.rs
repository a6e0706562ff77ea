//! GitRepository: from a Git remote to a stored artifact and a tree.

mod status;
pub(crate) mod watches;
