//! The client side against real servers.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod applying;
mod comparing;
mod definitions;
mod faults;
mod leasing;
mod pruning;
mod refusing;
mod support;
mod watching;
