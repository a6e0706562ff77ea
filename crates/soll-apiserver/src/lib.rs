//! The embedded Kubernetes API server: the REST API of Kubernetes 1.35 from memory, in one process.
//!
//! Start with [`Server`]. A request goes through `rest::handle`: authenticate, find the row of the
//! resource ([`resources`]), do what the verb says on the [`store`], answer in the form the client wants.
//! Builtin kinds and custom resources are rows of one table and share that path; what a kind needs beyond
//! it stands in `kinds`. It never runs a container, and listens on loopback only unless it is told to reach further ([`Reach`]).

mod auth;
mod bootstrap;
mod crd;
mod discovery;
mod fields;
mod forks;
mod housekeeping;
mod identity;
mod kinds;
mod meta;
mod names;
mod openapi;
mod protobuf;
mod refusal;
pub mod resources;
mod rest;
mod reviews;
mod schedule;
mod selector;
mod serve;
mod server;
mod shape;
pub mod sim;
pub mod store;
mod table;
mod tls;
mod tokens;

pub use forks::Fork;
pub use rest::Body;
pub use serve::{Running, ServeError};
pub use server::{Reach, Server, ServerOptions, Service};
