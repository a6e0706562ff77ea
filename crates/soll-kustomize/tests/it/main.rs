//! The engine against what kustomize itself printed for the same inputs.
#![allow(clippy::unwrap_used)]

mod corpus;
