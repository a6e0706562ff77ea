//! Releases: the records that Helm keeps them in, and what is to be done about them.
//!
//! Start with [`Release`] and [`Release::to_object`], which is Helm's storage format; then [`next`], which decides, and
//! [`steps`], which says how.

mod chart_record;
mod machine;
mod record;
mod steps;
mod storage;

pub use machine::{
    Act, Attempts, Next, Observed, OnFailure, Policy, ReleaseAction, Remedy, RollbackTarget, Situation, Stall, State,
    Tests, after, next,
};
pub use record::{ApplyMethod, Execution, HookRecord, Info, Phase, Release, Status, is_release_name};
pub use steps::{Action, History, Refused, Step, StepOptions, steps, steps_after_failure, unlock_steps};
pub use storage::{RecordError, Stamp, Storage, prunable, record_name};

#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod tests;
