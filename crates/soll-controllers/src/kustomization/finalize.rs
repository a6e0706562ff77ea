//! The end of a Kustomization: its objects go first, if its policy says so.

use std::sync::Arc;
use std::time::Duration;

use soll_api::{Class, DeletionPolicy, Failure, Gvk, Inventory, Kustomization, KustomizationStatus, Object, Retry};
use soll_cluster::{Applier, ApplierOptions};
use soll_plan::Owner;
use tracing::{debug, info, warn};

use super::handover::{self, Sorted};
use super::reconcile::{Stop, applying};
use super::source;
use super::status::{self, Outcome};
use crate::Key;
use crate::context::{Context, WriteError};
use crate::events::Severity;
use crate::runner::Next;
use crate::status::Said;

/// How often to look whether the objects are gone.
const TERMINATION_POLL: Duration = Duration::from_secs(2);

/// How often to look whether others have taken what they build, if no change of theirs tells.
const TAKEN_POLL: Duration = Duration::from_secs(10);

/// Deletes what the Kustomization applied, if its policy says so, and lets it go. Returns without waiting.
pub(super) async fn finalize(
    key: &Key,
    object: &Object,
    ks: &Kustomization,
    ctx: &Context,
) -> Result<Next, WriteError> {
    if !ks.metadata.has_finalizer() {
        return Ok(Next::Await);
    }
    let inventory = ks.status.inventory.clone().unwrap_or_default();
    if ks.spec.suspend || inventory.entries.is_empty() || !ks.deletes_objects() {
        return release(key, object, ctx).await;
    }
    // Until the objects are gone nothing may bring them back.
    super::forget(key, ctx);
    let applier = Applier::new(applying(key, ks, ctx), Arc::clone(&ctx.live), ApplierOptions::default());
    if let Some(problem) = missing_identity(ks, ctx).await {
        let failure = Failure::new(
            Class::Forbidden,
            "PruneFailed",
            format!("unable to prune objects: {problem}"),
            Retry::OnChange,
        );
        ctx.say(key, object, status::summarize(ks, &Outcome::Refused(failure), ctx.now()).said);
        return release(key, object, ctx).await;
    }
    ctx.check_ownership(key)?;
    let Some(Sorted { stale: inventory, awaited }) = sort(inventory, key, object, ks, ctx).await else {
        debug!(%key, "it is not known yet whether others build what it has");
        return Ok(Next::After(TAKEN_POLL));
    };
    if !handover::not_taken(&awaited, &applier, &Owner::of(ks)).await.is_empty() {
        if !is_over(ks) {
            debug!(%key, "others build what it has: it waits until they have taken it");
            ctx.runs.hand_over(key, true);
            return Ok(Next::After(TAKEN_POLL));
        }
        warn!(%key, "what others build is left to them, though they have not taken it");
    }
    let pruned = applier.prune(&inventory, &[], &Owner::of(ks)).await;
    let deleted = pruned.changes.event();
    if let Some(failure) = pruned.failure {
        warn!(%key, error = %failure, "pruning for deleted resource failed");
        let message = format!("pruning for deleted resource failed: {}", failure.message);
        let failure = Failure { message, retry: Retry::Backoff, ..failure };
        let report = status::summarize(ks, &Outcome::Refused(failure), ctx.now());
        let object = ctx.write_status(key, object.clone(), &ks.status, &report.status).await?;
        ctx.say(key, &object, report.said);
        return Ok(Next::Backoff);
    }
    if !deleted.is_empty() && !waited_before(ks, ctx) {
        ctx.say(key, object, vec![info_said(deleted)]);
    }
    if ks.spec.deletion_policy == DeletionPolicy::WaitForTermination {
        // What stays on purpose is not waited for, and what is gone is not looked for again.
        match applier.remaining(&pruned.leaving).await {
            Ok(None) => {}
            _ if !is_over(ks) => {
                let status = KustomizationStatus { inventory: Some(pruned.leaving), ..ks.status.clone() };
                ctx.write_status(key, object.clone(), &ks.status, &status).await?;
                return Ok(Next::After(TERMINATION_POLL));
            }
            _ => {
                warn!(%key, "failed to wait for resources termination");
                ctx.say(key, object, vec![info_said("failed to wait for resources termination".to_owned())]);
            }
        }
    }
    release(key, object, ctx).await
}

/// Sorts what it has: what others build, as when it is renamed, is theirs to take. Nothing if it is worth asking again what they
/// build; if that cannot be found out for want of a source, or in time, all is deleted, as by Flux.
async fn sort(inventory: Inventory, key: &Key, object: &Object, ks: &Kustomization, ctx: &Context) -> Option<Sorted> {
    let everything = |stale| Some(Sorted { stale, ..Sorted::default() });
    if !ctx.config.behaviours.of_object(object).hand_over {
        return everything(inventory);
    }
    let Ok(offer) = source::offer(ks, ctx) else { return everything(inventory) };
    let sorted = match source::tree(&offer, ctx).await {
        Ok(tree) => handover::sort(&inventory, key, &offer, &tree, ctx).await,
        // The source has just moved on, or is about to make its artifact anew.
        Err(Stop::Overtaken) => None,
        Err(Stop::Outcome(outcome)) if matches!(*outcome, Outcome::Settling(_)) => None,
        Err(_) => return everything(inventory),
    };
    if sorted.is_none() && is_over(ks) { everything(inventory) } else { sorted }
}

async fn release(key: &Key, object: &Object, ctx: &Context) -> Result<Next, WriteError> {
    super::forget(key, ctx);
    ctx.remove_finalizer(key, object).await?;
    info!(%key, "released");
    Ok(Next::Await)
}

/// Why the identity that would delete the objects cannot, if its service account is gone.
async fn missing_identity(ks: &Kustomization, ctx: &Context) -> Option<String> {
    let name = ks.spec.service_account_name.as_ref().or(ctx.config.default_service_account.as_ref())?;
    let found = ctx.cluster.find(&Gvk::new("v1", "ServiceAccount"), &ks.metadata.namespace, name).await;
    matches!(found, Ok(None)).then(|| format!("serviceaccount {}/{name} not found", ks.metadata.namespace))
}

/// Whether the wait for the objects' end has taken as long as it may.
fn is_over(ks: &Kustomization) -> bool {
    let Some(deleted) = ks.metadata.deletion_timestamp else { return true };
    let waited = jiff::Timestamp::now().duration_since(deleted.timestamp());
    Duration::try_from(waited).unwrap_or(Duration::ZERO) >= ks.timeout().std()
}

/// Whether an earlier pass told of the deletions already: only waiting for termination comes here twice.
fn waited_before(ks: &Kustomization, ctx: &Context) -> bool {
    let Some(deleted) = ks.metadata.deletion_timestamp else { return false };
    let waited = ctx.now().timestamp().duration_since(deleted.timestamp());
    ks.spec.deletion_policy == DeletionPolicy::WaitForTermination
        && Duration::try_from(waited).unwrap_or(Duration::ZERO) >= TERMINATION_POLL
}

fn info_said(message: String) -> Said {
    Said { severity: Severity::Info, reason: "ReconciliationSucceeded".to_owned(), message, metadata: Vec::new() }
}
