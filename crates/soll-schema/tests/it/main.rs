//! What the compiled-in table says, against what Kubernetes 1.35 is known to be.

mod builtin;
mod crd;
