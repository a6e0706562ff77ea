//! Watches of what was applied: the metadata of all objects with owner labels, one watch per kind.
//!
//! They tell of drift and of progress, and after a start their first lists of what is there. They decide one thing only:
//! that nothing needs doing. Verdicts come from objects
//! that are read as the identity that applies.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use soll_api::{Gvk, Object, ObjectRef, names};
use soll_cluster::{ApiError, Depth, Observed, Selection, Watch, WatchEvent};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::context::Context;
use crate::events::Severity;
use crate::status::Said;
use crate::{Key, Kind};

/// Asks for watches. Cheap to clone.
#[derive(Clone)]
pub(crate) struct LiveWatches {
    wanted: mpsc::Sender<Request>,
}

/// Asks for a watch.
struct Request {
    gvk: Gvk,
    /// Whoever waits for its first list; nobody hears of it if there is no place for the watch.
    asker: Option<oneshot::Sender<watch::Receiver<FirstList>>>,
}

/// Whether a watch has listed its kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstList {
    UnderWay,
    /// Its objects are known, or it has failed.
    Over,
}

/// What opens the watches that are asked for.
pub(crate) struct LiveWatcher {
    wanted: mpsc::Receiver<Request>,
}

/// How many requests may wait. A request that finds no room is made again by the next pass.
const REQUESTS: usize = 1024;

/// The two ends.
pub(crate) fn live_watches() -> (LiveWatches, LiveWatcher) {
    let (sender, wanted) = mpsc::channel(REQUESTS);
    (LiveWatches { wanted: sender }, LiveWatcher { wanted })
}

impl LiveWatches {
    /// Has the kinds watched from now on, if the budget allows.
    pub(super) fn ensure(&self, kinds: impl IntoIterator<Item = Gvk>) {
        let kinds: HashSet<Gvk> = kinds.into_iter().collect();
        for gvk in kinds {
            if self.wanted.try_send(Request { gvk, asker: None }).is_err() {
                debug!("no room for another request for a watch; the next pass asks again");
            }
        }
    }

    /// Has the kinds watched, and waits until what is there of them is in memory. A kind that cannot be listed is not
    /// waited for: its objects are read one by one.
    pub(super) async fn recall(&self, kinds: impl IntoIterator<Item = Gvk>) {
        let kinds: HashSet<Gvk> = kinds.into_iter().collect();
        let lists = kinds.into_iter().map(|gvk| async {
            let (asker, answer) = oneshot::channel();
            let asked = self.wanted.send(Request { gvk, asker: Some(asker) }).await;
            if asked.is_ok()
                && let Ok(mut list) = answer.await
            {
                // The watch may end before that.
                let _ = list.wait_for(|list| *list == FirstList::Over).await;
            }
        });
        futures::future::join_all(lists).await;
    }
}

impl LiveWatcher {
    /// Opens watches as they are asked for, until `shutdown`.
    pub(crate) async fn run(mut self, ctx: Arc<Context>, shutdown: CancellationToken) {
        let mut open: HashMap<(String, String), watch::Receiver<FirstList>> = HashMap::new();
        let (mut watches, mut kinds) = (JoinSet::new(), HashMap::new());
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return watches.shutdown().await,
                Some(Request { gvk, asker }) = self.wanted.recv() => {
                    let first = match open.entry((gvk.group.clone(), gvk.kind.clone())) {
                        Entry::Occupied(open) => open.into_mut(),
                        Entry::Vacant(place) => {
                            let selection = Selection::labelled(names::kustomize::OWNER_NAME);
                            let Some(watch) = ctx.cluster.watch(&gvk, selection, Depth::Metadata) else {
                                warn!(%gvk, "the budget of watches is used up: drift of this kind is corrected at intervals");
                                continue;
                            };
                            let (first, told) = watch::channel(FirstList::UnderWay);
                            let following = follow(Arc::clone(&ctx), gvk.clone(), watch.whole_at_first(), first);
                            kinds.insert(watches.spawn(following).id(), gvk);
                            place.insert(told)
                        }
                    };
                    if let Some(asker) = asker {
                        // It may have given up.
                        let _ = asker.send(first.clone());
                    }
                }
                Some(ended) = watches.join_next_with_id() => {
                    // Nobody vouches for a kind whose watch is gone, whatever it went by.
                    let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                    if let Some(gvk) = kinds.remove(&id) {
                        ctx.live.unwatch(&gvk.group, &gvk.kind);
                        open.remove(&(gvk.group, gvk.kind));
                    }
                }
            }
        }
    }
}

/// How long a list that was taken at the start is kept for passes that have not come to it.
const RECALLED_FOR: Duration = Duration::from_secs(300);

/// Follows one kind until it is served no more.
async fn follow(ctx: Arc<Context>, gvk: Gvk, mut watch: Watch, first: watch::Sender<FirstList>) {
    let let_go = tokio::time::sleep(RECALLED_FOR);
    tokio::pin!(let_go);
    let mut listed = false;
    loop {
        let event = tokio::select! {
            event = watch.next() => event,
            () = &mut let_go, if !let_go.is_elapsed() => {
                ctx.live.let_go(&gvk.group, &gvk.kind);
                continue;
            }
        };
        match event {
            WatchEvent::Restarted(objects) => {
                if !std::mem::replace(&mut listed, true) {
                    ctx.live.recall(&objects);
                }
                for lost in ctx.live.restart(&gvk.group, &gvk.kind, &objects, watch.told_up_to()) {
                    drifted(&ctx, &lost, None);
                }
                for object in &objects {
                    moved(&ctx, object);
                }
            }
            WatchEvent::Applied(object) => {
                if ctx.live.observe(&object) == Observed::Disturbed {
                    drifted(&ctx, &object.object_ref(), Some(&object));
                }
                moved(&ctx, &object);
            }
            WatchEvent::Deleted(object) => {
                if ctx.live.lose(&object) == Observed::Disturbed {
                    drifted(&ctx, &object.object_ref(), Some(&object));
                }
                moved(&ctx, &object);
            }
            WatchEvent::Interrupted(ApiError::NotServed(_)) => {
                info!(%gvk, "the kind is served no more");
                // Nobody else tells of its objects if it went before they were listed.
                for lost in ctx.live.lose_kind(&gvk.group, &gvk.kind) {
                    drifted(&ctx, &lost, None);
                }
                return;
            }
            // It can be listed and not watched: its objects are looked at at their intervals.
            WatchEvent::Interrupted(error) if error.is_refused() && ctx.live.is_watched(&gvk.group, &gvk.kind) => {
                warn!(%gvk, %error, "the kind cannot be watched: drift of it is corrected at intervals");
                ctx.live.unwatch(&gvk.group, &gvk.kind);
            }
            WatchEvent::Interrupted(error) => debug!(%gvk, %error, "a watch was interrupted"),
        }
        first.send_if_modified(|list| std::mem::replace(list, FirstList::Over) == FirstList::UnderWay);
    }
}

/// When to look again at objects that somebody wrote to during a pass.
const SOON: Duration = Duration::from_secs(1);

/// Wakes the owner if it waits for the object to become healthy.
fn moved(ctx: &Context, object: &Object) {
    let reference = object.object_ref();
    if let Some(owner) = ctx.runs.owner(&reference)
        && ctx.runs.moved(&owner, &reference, object.resource_version())
    {
        ctx.waker.wake(owner);
    }
}

/// Has drift corrected, if events may do that, and tells of a fight.
fn drifted(ctx: &Context, object: &ObjectRef, seen: Option<&Object>) {
    let Some(owner) = ctx.runs.owner(object) else { return };
    let Some(owning) = ctx.object(&owner) else { return };
    let suspended = owning.value().lookup(&["spec", "suspend"]).and_then(soll_yaml::Value::as_bool) == Some(true);
    if suspended || !ctx.config.behaviours.of_object(&owning).drift_by_events {
        return;
    }
    let (at, undone) = ctx.runs.drifted(&owner, object, Instant::now());
    if undone {
        let manager = seen.and_then(|seen| ctx.live.other_manager(seen));
        tell_of_fight(ctx, &owner, &owning, object, manager.as_deref());
    }
    ctx.waker.wake_at(owner, at);
}

/// Has an object looked at again that somebody wrote to while it was applied: soon, or when a fight allows it.
pub(super) fn overtaken(ctx: &Context, owner: &Key, owning: &Object, object: &ObjectRef) {
    let (at, undone) = ctx.runs.overtaken(owner, object, Instant::now() + SOON);
    if undone {
        tell_of_fight(ctx, owner, owning, object, None);
    }
    ctx.waker.wake_at(owner.clone(), at);
}

fn tell_of_fight(ctx: &Context, owner: &Key, owning: &Object, object: &ObjectRef, manager: Option<&str>) {
    debug_assert_eq!(owner.kind, Kind::Kustomization);
    let who = manager.map_or_else(|| "somebody".to_owned(), |manager| format!("field manager {manager}"));
    let message = format!("{object} was corrected and changed again by {who}: corrections slow down until it stops");
    let said =
        Said { severity: Severity::Error, reason: "DriftCorrectionUndone".to_owned(), message, metadata: Vec::new() };
    ctx.say(owner, owning, vec![said]);
}
