//! Git over real servers.
#![allow(clippy::unwrap_used)]

mod git;
mod support;
