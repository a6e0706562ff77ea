//! What was asked of the API server: counts for metrics and tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What a request does, in the words of Kubernetes' audit log; a dry run is told from the real thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Which kinds are served.
    Discover,
    /// Read one object.
    Get,
    /// Read many.
    List,
    /// Follow changes.
    Watch,
    /// Make an object.
    Create,
    /// Replace an object.
    Update,
    /// Change an object by a JSON, merge or strategic merge patch.
    Patch,
    /// Server-side apply.
    Apply,
    /// A write that changes nothing: `dryRun=All`.
    DryRun,
    /// Remove an object.
    Delete,
}

impl Verb {
    /// The HTTP method as metrics name it.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Discover | Self::Get | Self::List | Self::Watch => "GET",
            Self::Create => "POST",
            Self::Update => "PUT",
            Self::Patch | Self::Apply | Self::DryRun => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Says whether the request changes the cluster.
    #[must_use]
    pub fn writes(self) -> bool {
        match self {
            Self::Create | Self::Update | Self::Patch | Self::Apply | Self::Delete => true,
            Self::Discover | Self::Get | Self::List | Self::Watch | Self::DryRun => false,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Discover => "discover",
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Apply => "apply",
            Self::DryRun => "dry-run",
            Self::Delete => "delete",
        })
    }
}

/// How often each verb got each code, since the connection was made. Code 0: no answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// By verb and code.
    pub by_code: BTreeMap<(Verb, u16), u64>,
    /// Time spent waiting for our own rate limit.
    pub throttled: Duration,
}

impl RequestCounts {
    /// Requests of one verb, whatever came of them.
    #[must_use]
    pub fn of(&self, verb: Verb) -> u64 {
        self.by_code.iter().filter(|((counted, _), _)| *counted == verb).map(|(_, count)| count).sum()
    }

    /// Requests that change the cluster.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.by_code.iter().filter(|((verb, _), _)| verb.writes()).map(|(_, count)| count).sum()
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_code.values().sum()
    }

    /// What came on top since an earlier count.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let more = self.by_code.iter().map(|(key, count)| (*key, count - earlier.by_code.get(key).unwrap_or(&0)));
        Self {
            by_code: more.filter(|(_, count)| *count > 0).collect(),
            throttled: self.throttled.saturating_sub(earlier.throttled),
        }
    }
}

/// The running count. The mutex guards one addition.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<RequestCounts>);

impl Ledger {
    pub(crate) fn count(&self, verb: Verb, code: u16) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).by_code.entry((verb, code)).or_default() += 1;
    }

    pub(crate) fn throttled(&self, wait: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).throttled += wait;
    }

    pub(crate) fn counts(&self) -> RequestCounts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_came_on_top() {
        let ledger = Ledger::default();
        ledger.count(Verb::Get, 200);
        let before = ledger.counts();
        ledger.count(Verb::Get, 200);
        ledger.count(Verb::Apply, 409);
        ledger.count(Verb::DryRun, 200);
        let after = ledger.counts().since(&before);
        assert_eq!((after.of(Verb::Get), after.writes(), after.total()), (1, 1, 3));
    }
}
