//! What a cluster does by itself so that the API keeps its promises: one task, driven by changes.
//!
//! After each change it brings to rest: dependents whose owners are gone, namespaces (what they need to
//! have, and those on their way out), custom resources whose definition is deleted, volumes, and certificates.
//! Events that are old go by the clock.

mod certificates;
mod definitions;
mod events;
mod garbage;
mod namespaces;
mod volumes;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::rest::Api;
use crate::store::{Change, Drawer};

/// How often old events are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Runs until the server closes. Without `controllers` it does only what kube-apiserver does alone: custom resources
/// go with their definitions, and old events go.
pub(crate) async fn run(api: Arc<Api>, controllers: bool) {
    let mut news = api.store.subscribe_all();
    let mut seen = Seen::default();
    let mut garbage = garbage::Graph::default();
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        news.borrow_and_update();
        loop {
            let changes = seen.news(&api);
            if changes.is_empty() {
                break;
            }
            if controllers {
                for (drawer, change) in &changes {
                    garbage.note(drawer, change);
                    namespaces::note(&api, drawer, change);
                }
                garbage.collect(&api);
                namespaces::finish(&api);
                volumes::finish(&api);
                certificates::finish(&api);
            }
            definitions::finish(&api);
            // Requests are answered between rounds.
            tokio::task::yield_now().await;
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            _ = sweep.tick() => events::forget_old(&api, jiff::Timestamp::now()),
            () = api.closing.cancelled() => return,
        }
    }
}

/// Up to where the changes of each resource were looked at.
#[derive(Debug, Default)]
struct Seen {
    cursors: HashMap<Drawer, u64>,
}

impl Seen {
    /// What is new, resource by resource.
    fn news(&mut self, api: &Api) -> Vec<(Drawer, Arc<Change>)> {
        let mut news = Vec::new();
        for drawer in api.store.drawers() {
            let cursor = self.cursors.entry(drawer.clone()).or_default();
            let changes = match api.store.changes_since(&drawer, *cursor) {
                Ok(changes) => changes,
                // More happened than is kept: what is there now counts as new.
                Err(_) => {
                    let (shelf, revision) = api.store.snapshot(&drawer);
                    *cursor = revision;
                    shelf.iter().map(|entry| Arc::new(Change::present(entry.clone()))).collect()
                }
            };
            if let Some(last) = changes.last() {
                *cursor = last.revision().max(*cursor);
            }
            news.extend(changes.into_iter().map(|change| (drawer.clone(), change)));
        }
        news
    }
}
