//! Patches against the recorded answers of the tools they mirror.

mod builtin;
mod kustomize;
mod recorded;
mod server;
mod structured;
