//! Notices commits: a repository on this machine is watched, not polled.

use std::path::Path;

use anyhow::Context as _;
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use soll_controllers::EngineHandle;

use super::repository::git_directory;

/// Watches the refs of a repository for as long as the returned value lives.
pub(super) fn watch(directory: &Path, alias: &str, handle: &EngineHandle) -> anyhow::Result<RecommendedWatcher> {
    let (handle, alias) = (handle.clone(), alias.to_owned());
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        // An error means that events may be lost: looking costs little.
        if event.is_ok_and(|event| !event.kind.is_access() && !concerns_refs(&event)) {
            return;
        }
        handle.local_repository_changed(&alias);
    })
    .context("cannot watch the repository")?;
    let git = git_directory(directory)?;
    // A linked working tree keeps its refs in the repository that it belongs to.
    let common = std::fs::read_to_string(git.join("commondir")).map(|text| git.join(text.trim())).unwrap_or(git);
    for (path, mode) in [(common.clone(), RecursiveMode::NonRecursive), (common.join("refs"), RecursiveMode::Recursive)]
    {
        watcher.watch(&path, mode).with_context(|| format!("cannot watch {}", path.display()))?;
    }
    Ok(watcher)
}

/// Refs, packed or not; lock files come and go before the real thing.
fn concerns_refs(event: &Event) -> bool {
    event.paths.iter().any(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let in_refs = path.components().any(|part| part.as_os_str() == "refs");
        !name.ends_with(".lock") && (in_refs || name == "packed-refs")
    })
}
