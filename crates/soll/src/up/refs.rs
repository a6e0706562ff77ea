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
        if event.as_ref().map_or(true, changes_refs) {
            handle.local_repository_changed(&alias);
        }
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

/// Whether refs, packed or not, were written. Reading them is no news: we do it ourselves.
/// Lock files come and go before the real thing.
fn changes_refs(event: &Event) -> bool {
    !event.kind.is_access()
        && event.paths.iter().any(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let in_refs = path.components().any(|part| part.as_os_str() == "refs");
            !name.ends_with(".lock") && (in_refs || name == "packed-refs")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::EventKind;
    use notify::event::{AccessKind, CreateKind};

    #[test]
    fn only_written_refs_are_news() {
        let event = |kind, path: &str| changes_refs(&Event::new(kind).add_path(path.into()));
        let created = EventKind::Create(CreateKind::File);
        assert!(event(created, "/repo/.git/refs/heads/main"));
        assert!(event(created, "/repo/.git/packed-refs"));
        assert!(!event(created, "/repo/.git/refs/heads/main.lock"));
        assert!(!event(created, "/repo/.git/index"));
        assert!(!event(EventKind::Access(AccessKind::Read), "/repo/.git/refs/heads/main"));
    }
}
