//! Git and artifacts over real servers.
#![allow(clippy::unwrap_used)]

mod artifacts;
mod git;
mod support;
