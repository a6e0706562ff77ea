//! Change sets: what became of each object, in Flux's words.

use std::fmt;

use soll_api::{Inventory, InventoryEntry, ObjectRef};

/// What became of the objects of one run, in the order of acting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangeSet {
    entries: Vec<Change>,
}

/// What became of one object. Displays as `Deployment/apps/podinfo configured`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// API version without the group.
    pub version: String,
    /// What became of it.
    pub action: Action,
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It did not exist.
    Created,
    /// It was changed.
    Configured,
    /// It was as wanted.
    Unchanged,
    /// It was deleted, or already gone.
    Deleted,
    /// It asked to be left alone.
    Skipped,
    /// Nobody knows: the call failed.
    Unknown,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object, self.action)
    }
}

impl ChangeSet {
    /// Nothing happened yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes what became of an object.
    pub fn push(&mut self, object: ObjectRef, version: &str, action: Action) {
        self.entries.push(Change { object, version: version.to_owned(), action });
    }

    /// Notes all that another set has.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// What became of each object.
    pub fn iter(&self) -> std::slice::Iter<'_, Change> {
        self.entries.iter()
    }

    /// Says whether the cluster was changed.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.action, Action::Created | Action::Configured | Action::Deleted))
    }

    /// The text of the event: a line for each object that was created, configured or deleted.
    #[must_use]
    pub fn event(&self) -> String {
        let told = |change: &&Change| matches!(change.action, Action::Created | Action::Configured | Action::Deleted);
        self.entries.iter().filter(told).map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    /// The inventory after applying: all objects but those that were deleted.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let kept = self.entries.iter().filter(|entry| entry.action != Action::Deleted);
        let entries = kept.map(|entry| InventoryEntry { id: entry.object.inventory_id(), v: entry.version.clone() });
        Inventory::default().union(&Inventory { entries: entries.collect() })
    }
}

/// All lines, the unchanged included: what goes into the log.
impl fmt::Display for ChangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, entry) in self.entries.iter().enumerate() {
            write!(f, "{}{entry}", if position > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::objects;

    #[test]
    fn the_event_tells_only_changes() {
        let mut changes = ChangeSet::new();
        let actions = [Action::Created, Action::Unchanged, Action::Configured, Action::Skipped];
        let objects = objects("v1 Namespace a; v1 Secret a/s; apps/v1 Deployment a/d; v1 ConfigMap a/c");
        for (object, action) in objects.iter().zip(actions) {
            changes.push(object.object_ref(), object.version(), action);
        }
        assert_eq!(changes.event(), "Namespace/a created\nDeployment/a/d configured");
        let ids: Vec<_> = changes.inventory().entries.into_iter().map(|entry| entry.id).collect();
        assert_eq!(ids, ["_a__Namespace", "a_s__Secret", "a_d_apps_Deployment", "a_c__ConfigMap"]);
    }
}
