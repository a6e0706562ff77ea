//! The Kubernetes client side: discovery, apply, prune, watch, leases
