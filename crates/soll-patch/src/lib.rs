//! Patches of Kubernetes objects: strategic merge, JSON merge, JSON patch, and server-side apply.
//!
//! [`strategic_merge`], [`json_merge`] and [`json_patch`] take a value and a patch and give the patched
//! value; [`structured`] is the merge of server-side apply with its bookkeeping of who owns which field.
//! Everything is a pure function of its arguments: no clock, no files, no network.

mod json_merge;
mod json_patch;
pub mod strategic;
pub mod structured;

use soll_yaml::{At, FieldPath, Sources, Str, Value};

pub use json_merge::json_merge;
pub use json_patch::json_patch;
pub use strategic::{Dialect, strategic_merge};

/// A patch that does not fit what it is applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatchError {
    /// What is wrong, where in the object, and what would be right.
    pub message: String,
    /// The place in the object.
    pub path: FieldPath,
    /// Where the offending part of the patch was written.
    pub at: At,
}

/// Remembers through what a value came: replaced values point back to what they replaced.
#[derive(Clone, Copy)]
pub struct Trace<'s> {
    /// The table of sources of the build.
    pub sources: &'s Sources,
    /// What does it, in the words of its configuration: `patches`.
    pub by: &'static str,
    /// How scalars were written, if that is to count: kustomize lets a scalar keep the quotes of the one it replaces.
    pub written: Option<&'s dyn Written>,
}

/// How scalars were written.
pub trait Written {
    /// The text of a scalar as it was written: `1.10`.
    fn text(&self, value: &Value) -> Str;
    /// Whether a scalar was written in quotes or as a block.
    fn is_quoted(&self, value: &Value) -> bool;
}

impl Trace<'_> {
    /// A value of the patch, marked as having replaced one that was written at `before`.
    fn mark(trace: Option<Self>, value: &Value, before: At) -> Value {
        match trace {
            Some(trace) => value.clone().at(trace.sources.through(value.at, trace.by, before)),
            None => value.clone(),
        }
    }
}
