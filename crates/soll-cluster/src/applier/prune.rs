//! Removing what left the build.

use std::collections::HashSet;

use soll_api::{Class, Failure, Inventory, InventoryEntry, ObjectRef, Retry};
use soll_plan::{Action, ChangeSet, Owner, Prune};

use super::Applier;
use super::whereabouts::Whereabouts;
use crate::{ApiError, DeleteOptions};

/// What a prune did.
#[derive(Debug, Clone, Default)]
pub struct Pruned {
    /// What became of each object, in the order of acting.
    pub changes: ChangeSet,
    /// The entries of which it is not known that they are gone: they stay in the inventory.
    pub unconfirmed: Inventory,
    /// The entries whose objects are on their way out, and were there until now.
    pub leaving: Inventory,
    /// Why, if any.
    pub failure: Option<Failure>,
}

/// What of an inventory is still an owner's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StillOwned {
    /// The entries whose objects are there and still carry the owner's labels, or may. Those that ask to be left alone are
    /// not among them: nobody else's labels will come.
    pub entries: Vec<InventoryEntry>,
    /// Whether it is worth asking again soon: the server did not answer for some.
    pub unsure: bool,
}

/// What became of the object of one entry.
enum Fate {
    /// It is gone, or was never there.
    Gone,
    /// It is on its way out.
    Leaving,
    /// It stays as it is.
    Stays,
    /// It is one that was just applied, under another name.
    Applied,
}

/// Group, kind and name of objects that were just applied.
type Names<'r> = HashSet<(&'r str, &'r str, &'r str)>;

impl Applier {
    /// Deletes the objects of stale inventory entries that still carry our owner's labels and do not ask to stay.
    ///
    /// Every entry is tried, in the reverse of the order of applying. Returns without waiting for objects to go.
    ///
    /// Manifests of cluster-scoped kinds may name a namespace, and so do their entries: what is stale under one may have
    /// been `applied` just now under another, and is left alone without a word.
    pub async fn prune(&self, stale: &Inventory, applied: &[ObjectRef], owner: &Owner) -> Pruned {
        let mut pruned = Pruned::default();
        let mut problems: Vec<Failure> = Vec::new();
        let mut targets = Vec::with_capacity(stale.len());
        for entry in &stale.entries {
            match entry.object_ref() {
                Ok(reference) => targets.push((reference, entry)),
                Err(error) => {
                    pruned.unconfirmed.entries.push(entry.clone());
                    let class = Class::Configuration;
                    problems.push(Failure::new(class, "PruneFailed", error.to_string(), Retry::AtRetryInterval));
                }
            }
        }
        targets.sort_by(|(a, _), (b, _)| soll_plan::apply_order(b, a));
        let applied: Names<'_> = applied.iter().map(name).collect();
        let mut kinds = Whereabouts::default();
        let mut gone = false;
        for (reference, entry) in targets {
            // A server that does not answer will not answer the next question either.
            let tried = match gone {
                true => None,
                false => Some(self.prune_one(&reference, entry, &applied, owner, &mut kinds).await),
            };
            let action = match tried {
                Some(Ok(Fate::Applied)) => continue,
                Some(Ok(Fate::Gone)) => Action::Deleted,
                Some(Ok(Fate::Leaving)) => {
                    pruned.leaving.entries.push(entry.clone());
                    Action::Deleted
                }
                Some(Ok(Fate::Stays)) => Action::Skipped,
                Some(Err(error)) => {
                    gone = error.is_unreachable() && error.status().is_none();
                    problems.push(refused(&error, &reference));
                    Action::Unknown
                }
                None => Action::Unknown,
            };
            if action == Action::Unknown {
                pruned.unconfirmed.entries.push(entry.clone());
            }
            pruned.changes.push(reference, &entry.v, action);
        }
        pruned.failure = joined(problems);
        pruned
    }

    /// What of an inventory is still an owner's.
    pub async fn still_owned(&self, inventory: &Inventory, owner: &Owner) -> StillOwned {
        let mut still = StillOwned::default();
        let mut kinds = Whereabouts::default();
        for entry in &inventory.entries {
            let Ok(reference) = entry.object_ref() else { continue };
            let is_owned = match self.find_entry(&reference, &entry.v, &mut kinds).await {
                Ok(live) => soll_plan::is_to_be_taken(live.as_ref(), owner),
                // It is not known: as if.
                Err(error) => {
                    still.unsure |= error.class() == Class::Internal;
                    true
                }
            };
            if is_owned {
                still.entries.push(entry.clone());
            }
        }
        still
    }

    /// The first object of an inventory that is still there; for `WaitForTermination`.
    ///
    /// # Errors
    /// The first that could not be asked for.
    pub async fn remaining(&self, inventory: &Inventory) -> Result<Option<ObjectRef>, ApiError> {
        let mut kinds = Whereabouts::default();
        for entry in &inventory.entries {
            let Ok(reference) = entry.object_ref() else { continue };
            if self.find_entry(&reference, &entry.v, &mut kinds).await?.is_some() {
                return Ok(Some(reference));
            }
        }
        Ok(None)
    }

    async fn prune_one(
        &self,
        reference: &ObjectRef,
        entry: &InventoryEntry,
        applied: &Names<'_>,
        owner: &Owner,
        kinds: &mut Whereabouts,
    ) -> Result<Fate, ApiError> {
        let live = self.find_entry(reference, &entry.v, kinds).await?;
        let in_no_namespace = live.as_ref().is_some_and(|live| live.namespace().is_empty());
        if in_no_namespace && applied.contains(&name(reference)) {
            return Ok(Fate::Applied);
        }
        let (live, uid) = match (soll_plan::prune(live.as_ref(), owner), live) {
            (Prune::Delete { uid }, Some(live)) => (live, uid),
            (Prune::Skip(_), _) => return Ok(Fate::Stays),
            (decided, live) => {
                self.memory.forget(reference);
                return Ok(if live.is_some() && decided == Prune::Terminating { Fate::Leaving } else { Fate::Gone });
            }
        };
        let options = DeleteOptions { uid: Some(uid), ..DeleteOptions::default() };
        self.memory.forget(reference);
        match self.cluster.delete(&live.gvk(), live.namespace(), live.name(), &options).await {
            Ok(()) => Ok(Fate::Leaving),
            Err(error) if error.is_not_found() => Ok(Fate::Gone),
            Err(error) => Err(error),
        }
    }
}

fn name(reference: &ObjectRef) -> (&str, &str, &str) {
    (&reference.group, &reference.kind, &reference.name)
}

fn refused(error: &ApiError, reference: &ObjectRef) -> Failure {
    let message = format!("{reference} delete failed: {error}");
    Failure::new(error.class(), "PruneFailed", message, Retry::AtRetryInterval)
}

/// One failure for all: messages joined as Flux joins them, the class of the first.
fn joined(problems: Vec<Failure>) -> Option<Failure> {
    let message = problems.iter().map(|problem| problem.message.as_str()).collect::<Vec<_>>().join("; ");
    let mut first = problems.into_iter().next()?;
    first.message = message;
    Some(first)
}
