//! The API types that every layer shares: objects and references to them, the custom resources of
//! `*.toolkit.fluxcd.io`, conditions, durations, and the one failure type.
//!
//! Start with [`Object`] and [`Failure`]. This crate talks to nobody.

mod failure;
mod object;

pub use failure::{Class, Culprit, Failure, Origin, Retry};
pub use object::{Gvk, Object, ObjectError, ObjectRef};

/// The domain of our own annotations, labels and groups.
pub const DOMAIN: &str = "soll.dev";
