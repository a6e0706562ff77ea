//! The end of a Kustomization: its objects go first, if its policy says so.

use std::sync::Arc;
use std::time::Duration;

use soll_api::{
    Class, DeletionPolicy, Failure, Gvk, Inventory, InventoryEntry, Kustomization, KustomizationStatus, Object, Retry,
    Time,
};
use soll_cluster::{Applier, ApplierOptions};
use soll_plan::Owner;
use tracing::{debug, info, warn};

use super::handover::{self, Leaver, Sorted};
use super::reconcile::applying;
use super::source;
use super::status::{self, Outcome};
use crate::Key;
use crate::context::{Context, WriteError};
use crate::events::Severity;
use crate::runner::Next;
use crate::status::Said;

/// How often to look whether the objects are gone.
const TERMINATION_POLL: Duration = Duration::from_secs(2);

/// How often to look whether others have taken what they build, if no change of theirs tells, and they have not done so soon.
const TAKEN_POLL: Duration = Duration::from_secs(30);

/// For so long it is no news that the end of a Kustomization takes its time.
const QUIET: Duration = Duration::from_secs(30);

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
    ctx.runs.end(key).iter().for_each(|object| ctx.live.forget(object));
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
    let owner = Owner::of(ks);
    let Sorted { stale, awaited, takers, unsure } = sort(inventory, key, object, ks, ctx).await;
    if unsure {
        debug!(%key, "it is not known yet whether others build what it has");
        if waited(ks) >= QUIET {
            let why = "whether other Kustomizations build what this one has cannot be found out".to_owned();
            let status = status::summarize(ks, &Outcome::Refused(pending(why, ks)), ctx.now()).status;
            ctx.write_status(key, object.clone(), &ks.status, &status).await?;
        }
        return Ok(Next::After(handover::ASK_AGAIN));
    }
    if !awaited.is_empty() {
        // Who takes something while it is asked for tells us.
        ctx.runs.await_takers(key);
    }
    let held = Inventory { entries: handover::not_taken(&awaited, &applier, &owner).await.entries };
    let pruned = applier.prune(&stale, &[], &owner).await;
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
    if !deleted.is_empty() && !waited_before(ks) {
        ctx.say(key, object, vec![info_said(deleted)]);
    }
    handover::ask(&ctx.runs.hand_over(key, &held, takers), ctx);
    if !held.is_empty() && !is_over(ks) {
        debug!(%key, "others build what it has: it waits until they have taken it");
        let left = if waits_for_termination(ks) { held.union(&pruned.leaving) } else { held.clone() };
        let mut status = status::summarize(ks, &Outcome::Refused(pending(builders_of(&held), ks)), ctx.now()).status;
        status.inventory = Some(left);
        ctx.write_status(key, object.clone(), &ks.status, &status).await?;
        return Ok(Next::After(if waited(ks) < QUIET { TERMINATION_POLL } else { TAKEN_POLL }));
    }
    if !held.is_empty() {
        warn!(%key, "what others build is left to them, though they have not taken it");
    }
    if waits_for_termination(ks) {
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

/// Sorts what it has: what others build, as when it is renamed, is theirs to take. All is deleted, as by Flux, if it has no source
/// any more; if nobody will ever tell what they build, or did not in time, what they have is theirs.
async fn sort(inventory: Inventory, key: &Key, object: &Object, ks: &Kustomization, ctx: &Context) -> Sorted {
    let everything = |stale| Sorted { stale, ..Sorted::default() };
    if !ctx.config.behaviours.of_object(object).hand_over {
        return everything(inventory);
    }
    let Ok(offer) = source::offer(ks, ctx) else { return everything(inventory) };
    let Some(source) = ctx.object(&offer.source).filter(|source| !source.is_terminating()) else {
        return everything(inventory);
    };
    let sorted = match source::tree(&offer, ctx).await {
        Ok(tree) => {
            let leaver = Leaver { key, builds: None, offer: &offer, tree: &tree };
            handover::sort(&inventory, &leaver, ctx).await
        }
        // It will not make its artifact anew.
        Err(_) if handover::is_suspended(&source) => handover::sort_by_inventories(&inventory, key, ctx),
        // The source has moved on, or its artifact cannot be had for a while.
        Err(_) => Sorted { unsure: true, ..Sorted::default() },
    };
    // After a start everything may take a moment, whatever the deadline says.
    if sorted.unsure && ctx.runs.unsure_since(key).elapsed() >= QUIET && is_over(ks) {
        return handover::sort_by_inventories(&inventory, key, ctx);
    }
    sorted
}

/// What is told of objects that others build.
fn builders_of(held: &Inventory) -> String {
    let name =
        |entry: &InventoryEntry| entry.object_ref().map_or_else(|_| entry.id.clone(), |object| object.to_string());
    let names: Vec<String> = held.entries.iter().take(MOST_NAMES).map(name).collect();
    let more = match held.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("other Kustomizations build what this one has, and are waited for to take {}{more}", names.join(", "))
}

/// Why it is still there although it is deleted: what its status says of that.
fn pending(why: String, ks: &Kustomization) -> Failure {
    let deleted = ks.metadata.deletion_timestamp.map(|deleted| deleted.timestamp());
    let deadline = deleted.and_then(|deleted| deleted.checked_add(ks.timeout().std()).ok());
    let deadline = deadline.map(|at| format!("; until {} at most", Time::new(at))).unwrap_or_default();
    Failure::new(Class::Dependency, "HandOverPending", why + &deadline, Retry::Backoff)
}

/// As many objects are told by name.
const MOST_NAMES: usize = 5;

fn waits_for_termination(ks: &Kustomization) -> bool {
    ks.spec.deletion_policy == DeletionPolicy::WaitForTermination
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
    ks.metadata.deletion_timestamp.is_none() || waited(ks) >= ks.timeout().std()
}

/// How long ago it was deleted.
fn waited(ks: &Kustomization) -> Duration {
    let waited =
        ks.metadata.deletion_timestamp.map(|deleted| jiff::Timestamp::now().duration_since(deleted.timestamp()));
    waited.and_then(|waited| Duration::try_from(waited).ok()).unwrap_or_default()
}

/// Whether an earlier pass told of the deletions already: only waiting for termination comes here twice.
fn waited_before(ks: &Kustomization) -> bool {
    waits_for_termination(ks) && waited(ks) >= TERMINATION_POLL
}

fn info_said(message: String) -> Said {
    Said { severity: Severity::Info, reason: "ReconciliationSucceeded".to_owned(), message, metadata: Vec::new() }
}
