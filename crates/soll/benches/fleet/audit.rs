//! What the engine asked of the API server, by the server's own account.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// How often each thing was asked, leases and events aside.
#[derive(Default)]
pub(crate) struct Requests(BTreeMap<String, u64>);

impl Requests {
    /// All so far. The log holds the engine's user only.
    pub(crate) fn read(log: &Path) -> Self {
        let mut requests = Self::default();
        let Ok(file) = std::fs::File::open(log) else { return requests };
        for line in BufReader::new(file).lines() {
            let line = line.expect("the log can be read");
            // The last line may be half written.
            let Ok(entry) = serde_json::from_str::<serde_json::Value>(&line) else { continue };
            if let Some(asked) = asked(&entry) {
                *requests.0.entry(asked).or_default() += 1;
            }
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

/// What a line of the log tells of; nothing if it does not count.
fn asked(entry: &serde_json::Value) -> Option<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let reference = &entry["objectRef"];
    let resource = text(&reference["resource"]);
    // A watch is told at its beginning and at its end.
    if matches!(resource.as_str(), "leases" | "events") || entry["stage"] == "ResponseStarted" {
        return None;
    }
    if resource.is_empty() {
        return Some("discovery".to_owned());
    }
    let dry = if text(&entry["requestURI"]).contains("dryRun=All") { "dry-run " } else { "" };
    let part = match text(&reference["subresource"]) {
        part if part.is_empty() => part,
        part => format!(" {part}"),
    };
    Some(format!("{dry}{}{part}", text(&entry["verb"])))
}
