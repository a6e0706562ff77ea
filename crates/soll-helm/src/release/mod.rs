//! Releases: the records that Helm keeps them in, and what is to be done about them.
//!
//! Start with [`Release`], then [`Release::to_object`] and [`Release::from_object`], which are Helm's storage format.

mod chart_record;
mod record;
mod storage;

pub use record::{ApplyMethod, Execution, HookRecord, Info, Phase, Release, Status};
pub use storage::{RecordError, Stamp, Storage, prunable, record_name};

#[cfg(test)]
mod tests;
