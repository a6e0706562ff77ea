//! The server as its clients see it, through the in-process service.

mod apply;
mod custom;
mod differential;
mod forking;
mod keeping;
mod killing;
mod lifecycle;
mod reading;
mod real_nodes;
mod safety;
mod support;
