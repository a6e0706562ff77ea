//! The engine against what kustomize itself printed for the same inputs.
#![allow(clippy::unwrap_used)]
// The corpus is read from disk.
#![allow(clippy::disallowed_methods)]

mod corpus;
