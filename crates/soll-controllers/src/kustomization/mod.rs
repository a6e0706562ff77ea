//! Kustomization: from a source's tree to healthy objects in a cluster.

mod status;
pub(crate) mod watches;
