//! GitOps for Kubernetes.
fn main() {}
