//! What the engine asked of the API server, by the server's own account.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use soll_testkit::audit::{self, Request};

/// How often each thing was asked, leases and events aside.
#[derive(Default)]
pub(crate) struct Requests(BTreeMap<String, u64>);

impl Requests {
    /// All so far. Only the engine's user is in the log of this benchmark.
    pub(crate) fn read(log: &Path) -> Self {
        let mut requests = Self::default();
        for asked in audit::read(log).iter().filter_map(asked) {
            *requests.0.entry(asked).or_default() += 1;
        }
        requests
    }

    /// What came on top since an earlier look.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let more = self.0.iter().map(|(asked, count)| (asked.clone(), count - before.0.get(asked).unwrap_or(&0)));
        Self(more.filter(|(_, count)| *count > 0).collect())
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<_> = self.0.iter().map(|(asked, count)| format!("{asked} {count}")).collect();
        f.write_str(&each.join(", "))
    }
}

/// What was asked, whatever the object; nothing if it does not count.
fn asked(request: &Request) -> Option<String> {
    if matches!(request.resource.as_str(), "leases.coordination.k8s.io" | "events" | "events.events.k8s.io") {
        return None;
    }
    if request.resource.is_empty() {
        return Some("discovery".to_owned());
    }
    let kind = Request { namespace: String::new(), name: String::new(), ..request.clone() };
    Some(kind.to_string())
}
