//! Kustomization: from a source's tree to healthy objects in a cluster. Start with `reconcile.rs`.

mod build;
mod dependencies;
mod drift;
mod explain;
mod finalize;
mod handover;
mod health;
mod inputs;
mod live;
mod reconcile;
mod run;
mod source;
mod status;
pub(crate) mod watches;

pub use build::{Built, build_objects};
pub(crate) use handover::Builds;
pub use inputs::{set_inline, variables};
pub(crate) use live::{LiveWatcher, LiveWatches, live_watches};
pub(crate) use reconcile::{panicked, reconcile};
pub(crate) use run::Runs;

use crate::Key;
use crate::context::Context;

/// Forgets what is remembered of a Kustomization that another process has from now on.
pub(crate) fn let_go(key: &Key, ctx: &Context) {
    ctx.runs.forget(key);
}

/// Forgets a Kustomization that is gone, and what it had in the cluster.
fn forget(key: &Key, ctx: &Context) {
    ctx.runs.forget(key).iter().for_each(|object| ctx.live.forget(object));
}

const GROUP: &str = "kustomize.toolkit.fluxcd.io";
