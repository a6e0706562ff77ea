//! Patches against the recorded answers of the tools they mirror.

mod kustomize;
mod recorded;
mod server;
mod structured;
