//! What happened to one resource lately: what watches are served from.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Entry, Limits, OutOfReach};

/// One write: what was there, and what is there now.
#[derive(Debug)]
pub struct Change {
    /// What was stored before.
    pub before: Option<Arc<Entry>>,
    /// What is stored now; for a removal the last state, at the revision of the removal.
    pub entry: Arc<Entry>,
    /// Whether the object is gone.
    pub removed: bool,
}

impl Change {
    pub(super) fn new(before: Option<Arc<Entry>>, entry: Arc<Entry>, removed: bool) -> Self {
        Self { before, entry, removed }
    }

    /// An object that is there, as if it had just been written.
    pub(crate) fn present(entry: Arc<Entry>) -> Self {
        Self { before: None, entry, removed: false }
    }

    /// The revision of the write.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.entry.revision
    }
}

/// The last changes of one resource, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    changes: VecDeque<Arc<Change>>,
    /// The bytes of what was written, as JSON.
    bytes: usize,
    /// The revision of the newest change that was dropped; everything after it is known.
    forgotten: u64,
}

impl History {
    /// Nothing yet, and nothing known up to a revision.
    pub(super) fn after(revision: u64) -> Self {
        Self { forgotten: revision, ..Self::default() }
    }

    pub(super) fn push(&mut self, change: Arc<Change>, limits: Limits) {
        self.bytes += change.entry.bytes;
        self.changes.push_back(change);
        while self.changes.len() > limits.changes || self.bytes > limits.past {
            let Some(dropped) = self.changes.pop_front() else { break };
            self.bytes -= dropped.entry.bytes;
            self.forgotten = dropped.revision();
        }
    }

    pub(super) fn since(&self, revision: u64) -> Result<Vec<Arc<Change>>, OutOfReach> {
        if revision < self.forgotten {
            return Err(OutOfReach::Expired { asked: revision, oldest: self.forgotten });
        }
        let first = self.changes.partition_point(|change| change.revision() <= revision);
        Ok(self.changes.range(first..).cloned().collect())
    }
}
