//! Git sources and the artifact store.
//!
//! Read [`git::fetch`] first: it turns a URL and a reference into a revision and a tree.

pub mod git;
mod secret;

pub use secret::Secret;
