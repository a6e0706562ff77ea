//! Servers that misbehave when told to, and repositories made by the real git.

mod agent;
mod http;
mod repository;
mod ssh;
mod tls;

pub(crate) use agent::SshAgent;
pub(crate) use http::{Behaviour, GitServer};
pub(crate) use repository::Repository;
pub(crate) use ssh::SshServer;
pub(crate) use tls::Authority;
