//! What to do, decided by pure functions: order, change sets, prune, drift, health.
//!
//! Read in the order in which a reconcile uses it: [`prepare()`] makes built objects ready to apply, [`stages()`] puts
//! them in order, [`look`] and [`judge`] decide for each of them, [`prune()`] for what left the build, [`Refusal`] says
//! why the API server would not. This crate never calls anybody, and knows the time only as an argument.

mod changes;
mod comparison;
mod controls;
mod decide;
mod ignore;
mod labels;
mod managers;
mod owner;
mod prepare;
mod prune;
mod quantity;

mod health;
mod refusal;
mod stages;
mod structs;
mod whole;

#[cfg(test)]
mod testing;

pub use changes::{Action, Change, ChangeSet};
pub use comparison::as_applied;
pub use decide::{
    Apply, ApplySettings, Look, Skip, Verdict, drifted, is_checked, is_merged, judge, look, may_recreate, takeover,
};
pub use health::{
    Assessment, ContainerFault, ContainerPlace, Explanation, Health, HealthExpressions, HealthStatus, ReadyExpression,
    Related, assess, container_places, explain, health, missing, pod_selector,
};
pub use ignore::IgnoreRules;
pub use managers::Managers;
pub use owner::Owner;
pub use prepare::{prepare, unowned};
pub use prune::{Prune, is_to_be_taken, prune};
pub use refusal::{Attempt, Refusal, RefusalCause};
pub use stages::{GroupKind, Stage, StageKind, apply_order, sort_for_deletion, stages};
pub use structs::with_empty_structs;
