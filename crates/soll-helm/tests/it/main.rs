//! The engine beside the real helm.
#![allow(clippy::unwrap_used)]
// The corpus is read from disk, and helm is a program.
#![allow(clippy::disallowed_methods)]

mod beside_helm;
mod charts;
mod corpus;
mod records;
mod suites;
