//! Git: which commit a reference names, and its tree.
//!
//! Read [`ls_remote`] and [`fetch`] first. The conversation with servers is our own and asynchronous, so that time
//! limits and cancellation work at every byte; packs, indexes and objects are gix's.
//!
//! Built: http and https with basic authentication, token, own authorities, client certificate and proxy; ssh with a
//! private key or an agent, and `known_hosts`; branch, tag, version range, full name, commit. Not built, and to be refused by name
//! by whoever offers the fields: submodules (they become empty directories), signatures, the identities of clouds and
//! of GitHub Apps, a proxy for ssh, host certificates, repositories with SHA-256 ids.

mod cache;
mod derivation;
mod error;
mod http;
mod known_hosts;
mod local;
mod pack;
mod pkt;
mod reference;
mod remote;
mod session;
mod snapshot;
mod ssh;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use soll_tree::{Limits, Tree};

pub use cache::GitCache;
pub use error::GitError;
pub use local::{local, local_branch, local_git_dir, local_revision};
pub use reference::{CommitId, Reference, Revision};
pub use remote::{Credentials, Proxy, Remote, Tls, redacted};
pub use snapshot::Commit;

use cache::Generation;
use reference::Candidate;
use remote::Access;
use session::{Session, Wanted};
use snapshot::OdbBlobs;

/// A commit and its files.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The commit under the name it was asked by.
    pub revision: Revision,
    /// What it says of itself.
    pub commit: Commit,
    /// Its files. Contents are read from the cache or repository when asked for.
    pub tree: Tree,
}

/// Finds the commit that a reference names now: one round trip over http to a server that is known.
///
/// A commit names itself without any. For a range of tags that differ in build metadata only, the first is given.
///
/// # Errors
/// See [`GitError`].
pub async fn ls_remote(remote: &Remote, reference: &Reference, timeout: Duration) -> Result<Revision, GitError> {
    within(remote, timeout, async {
        let mut candidates = match reference {
            Reference::Commit { .. } => reference.resolve(remote.url(), &[])?,
            _ => resolve(remote, &mut Session::open(remote).await?, reference).await?,
        };
        Ok(candidates.swap_remove(0).revision)
    })
    .await
}

/// Brings the commit that a reference names, without its history, and gives its tree.
///
/// Objects that the cache has already are not transferred again.
///
/// # Errors
/// See [`GitError`]. What failed leaves the cache as it was.
///
/// # Cancel safety
/// May be dropped at any time; work on a blocking thread stops soon after.
pub async fn fetch(
    remote: &Remote,
    reference: &Reference,
    cache: &GitCache,
    limits: &Limits,
    timeout: Duration,
) -> Result<Fetched, GitError> {
    within(remote, timeout, async {
        let result = attempt(remote, reference, cache, limits).await;
        if makes_room(cache, &result)? { attempt(remote, reference, cache, limits).await } else { result }
    })
    .await
}

/// Whether to try once more: on a full disk, what is kept for later fetches makes room for this one. What a tree reads from
/// stays on the disk however: to leave it behind would free nothing, and the next fetch would have to bring all of it again.
fn makes_room<T>(cache: &GitCache, result: &Result<T, GitError>) -> Result<bool, GitError> {
    let full = matches!(result, Err(GitError::Full(_)));
    let renews = full && cache.is_free() && !cache.current().is_empty()?;
    if renews {
        cache.renew()?;
    }
    Ok(renews)
}

async fn attempt(
    remote: &Remote,
    reference: &Reference,
    cache: &GitCache,
    limits: &Limits,
) -> Result<Fetched, GitError> {
    cache.mend()?;
    let known = match reference {
        Reference::Commit { id, .. } => cache.current().tips().contains(&id.0),
        _ => false,
    };
    if known {
        let candidates = reference.resolve(remote.url(), &[])?;
        match read(remote, cache.current(), candidates, limits).await {
            Err(GitError::Protocol { .. } | GitError::Storage(_)) => {
                cache.renew()?;
            }
            result => return result,
        }
    }
    let mut session = Session::open(remote).await?;
    let candidates = match reference {
        Reference::Commit { .. } => reference.resolve(remote.url(), &[])?,
        _ => resolve(remote, &mut session, reference).await?,
    };
    let Received { generation, pack } = match reference {
        Reference::Commit { id, branch } => {
            fetch_commit(remote, &mut session, *id, branch.as_deref(), cache, limits).await?
        }
        _ => fetch_tips(remote, &mut session, &candidates, cache, limits).await?,
    };
    let result = read(remote, generation.clone(), candidates, limits).await;
    match (&result, pack) {
        // What is missing now would be missing again: the next attempt starts from nothing.
        (Err(GitError::Protocol { .. } | GitError::Storage(_)), _) => {
            cache.renew()?;
        }
        // Nobody will read it.
        (Err(GitError::Limit { .. }), Some(pack)) => generation.remove(&pack)?,
        _ => {}
    }
    result
}

/// Where objects are now.
struct Received {
    generation: Arc<Generation>,
    /// The pack that has come.
    pack: Option<PathBuf>,
}

/// The tree of a commit that an earlier fetch brought; none if the cache does not have it. No network. Blocks.
///
/// May be called while a fetch is under way: the list of what is here stays as it is.
///
/// # Errors
/// If the cache is damaged or a limit is passed.
pub fn cached(cache: &GitCache, revision: &Revision, limits: &Limits) -> Result<Option<Fetched>, GitError> {
    cache.mend()?;
    let generation = cache.current();
    if !generation.tips().contains(&revision.commit.0) {
        return Ok(None);
    }
    let candidate = Candidate { revision: revision.clone(), want: revision.commit.0 };
    read_blocking("the cache", &generation, vec![candidate], limits, &AtomicBool::new(false)).map(Some)
}

async fn within<T>(
    remote: &Remote,
    timeout: Duration,
    work: impl Future<Output = Result<T, GitError>>,
) -> Result<T, GitError> {
    let result = tokio::time::timeout(timeout, Box::pin(work)).await;
    result.unwrap_or_else(|_| {
        if let Access::Http(access) = remote.access() {
            // A server that is silent may be one that a redirect led to once.
            access.forget_redirect();
        }
        Err(GitError::Timeout { url: remote.url().to_owned(), after: timeout })
    })
}

/// Finds the commits that a reference may mean; if there are none, looks for what there is instead.
async fn resolve(
    remote: &Remote,
    session: &mut Session<'_>,
    reference: &Reference,
) -> Result<Vec<Candidate>, GitError> {
    let url = remote.url();
    let listed = session.list(reference).await?;
    match reference.resolve(url, &listed) {
        Err(GitError::NoSuchReference { .. }) => {
            let all = session.list_all(None).await?;
            if all.is_empty() && listed.is_empty() {
                return Err(GitError::Empty { url: url.to_owned() });
            }
            reference.resolve(url, &all)
        }
        result => result,
    }
}

/// Fetches what the names point at, unless it is here.
async fn fetch_tips(
    remote: &Remote,
    session: &mut Session<'_>,
    candidates: &[Candidate],
    cache: &GitCache,
    limits: &Limits,
) -> Result<Received, GitError> {
    let current = cache.current();
    let tips = current.tips();
    if candidates.iter().all(|candidate| tips.contains(&candidate.revision.commit.0)) {
        return Ok(Received { generation: current, pack: None });
    }
    let wants: Vec<_> = candidates.iter().map(|candidate| candidate.want).collect();
    let generation = cache.for_fetch()?;
    let tips = generation.tips();
    let haves = tips.last().map(std::slice::from_ref).unwrap_or_default();
    let wanted = Wanted { wants: &wants, haves, shallow: true };
    receive(remote, session, &wanted, generation, limits).await
}

/// Asks for one commit; a server that gives out only what it lists is asked for everything.
async fn fetch_commit(
    remote: &Remote,
    session: &mut Session<'_>,
    id: CommitId,
    branch: Option<&str>,
    cache: &GitCache,
    limits: &Limits,
) -> Result<Received, GitError> {
    let generation = cache.for_fetch()?;
    let alone = Wanted { wants: &[id.0], haves: &[], shallow: true };
    let mut result = receive(remote, session, &alone, generation.clone(), limits).await;
    if let Err(error) = &result
        && session.is_outdated(error)
    {
        session.greet_anew().await?;
        result = receive(remote, session, &alone, generation, limits).await;
    }
    match result {
        // Servers have many words for that they do not give out what they do not list. Whom the server does not let in
        // hears so again with the list.
        Err(
            GitError::NoSuchReference { .. }
            | GitError::NotFound { .. }
            | GitError::Denied { .. }
            | GitError::Protocol { .. }
            | GitError::Unreachable { .. },
        ) => {}
        result => return result,
    }
    let mut session = Session::open(remote).await?;
    let listed = session.list_all(branch).await?;
    let wants: Vec<_> = listed.iter().map(|listed| listed.id).collect();
    let missing = || GitError::NoSuchReference {
        url: remote.url().to_owned(),
        reference: Reference::Commit { id, branch: None }.to_string(),
        hint: branch.map(|branch| format!("looked for in branch `{branch}`")),
    };
    if wants.is_empty() {
        return Err(missing());
    }
    // The whole history, in a place of its own: what is shallow here would make gaps there.
    let generation = cache.renew()?;
    let everything = Wanted { wants: &wants, haves: &[], shallow: false };
    let received = receive(remote, &mut session, &everything, generation, limits).await?;
    let odb = received.generation.odb()?;
    if gix::objs::Exists::exists(&odb, &id.0) { Ok(received) } else { Err(missing()) }
}

/// Lets a pack come in and takes it into the database.
async fn receive(
    remote: &Remote,
    session: &mut Session<'_>,
    wanted: &Wanted<'_>,
    generation: Arc<Generation>,
    limits: &Limits,
) -> Result<Received, GitError> {
    let incoming = tempfile::Builder::new().suffix(".pack").tempfile_in(generation.incoming());
    let incoming = incoming.map_err(GitError::disk)?.into_temp_path();
    let mut file = tokio::fs::File::create(&incoming).await.map_err(GitError::disk)?;
    session.fetch(wanted, &mut file, limits).await?;
    drop(file);
    let (url, limits) = (remote.url().to_owned(), *limits);
    blocking(move |stop| {
        let pack = generation.index(&url, &incoming, &limits, stop)?;
        Ok(Received { generation, pack })
    })
    .await
}

/// Decides between candidates and reads the tree.
async fn read(
    remote: &Remote,
    generation: Arc<Generation>,
    candidates: Vec<Candidate>,
    limits: &Limits,
) -> Result<Fetched, GitError> {
    let (url, limits) = (remote.url().to_owned(), *limits);
    blocking(move |stop| {
        let fetched = read_blocking(&url, &generation, candidates, &limits, stop)?;
        // Only now is it known that everything is here.
        generation.add_tips(&[fetched.revision.commit.0])?;
        Ok(fetched)
    })
    .await
}

fn read_blocking(
    url: &str,
    generation: &Arc<Generation>,
    candidates: Vec<Candidate>,
    limits: &Limits,
    stop: &AtomicBool,
) -> Result<Fetched, GitError> {
    let odb = generation.odb()?;
    for candidate in &candidates {
        snapshot::wanted(stop)?;
        // The list and the objects are two answers of the server.
        let found = snapshot::peel(&odb, url, candidate.want)?;
        if found != candidate.revision.commit {
            let why = format!("it listed {} and gave {found}", candidate.revision);
            return Err(GitError::protocol(url, why));
        }
    }
    let (revision, commit) = newest(&odb, url, candidates, stop)?;
    let blobs = Arc::new(OdbBlobs::new(odb.clone(), Some(generation.clone())));
    let tree = snapshot::tree(&odb, url, revision.commit, limits, blobs, stop)?;
    Ok(Fetched { revision, commit, tree })
}

/// The candidate that was committed last.
fn newest(
    odb: &gix::odb::Handle,
    url: &str,
    candidates: Vec<Candidate>,
    stop: &AtomicBool,
) -> Result<(Revision, Commit), GitError> {
    let mut newest: Option<(Revision, Commit)> = None;
    for candidate in candidates {
        snapshot::wanted(stop)?;
        let id = snapshot::peel(odb, url, candidate.want)?;
        let commit = snapshot::commit(odb, url, id)?;
        if newest.as_ref().is_none_or(|(_, newest)| commit.time > newest.time) {
            newest = Some((Revision { commit: id, ..candidate.revision }, commit));
        }
    }
    Ok(newest.expect("a reference resolves to one candidate at least"))
}

/// Runs work on a blocking thread; the flag is raised when nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T, GitError> + Send + 'static,
) -> Result<T, GitError> {
    struct RaiseOnDrop(Arc<AtomicBool>);
    impl Drop for RaiseOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let _raised = RaiseOnDrop(stop.clone());
    let result = tokio::task::spawn_blocking(move || work(&stop)).await;
    // A panic over a stranger's objects costs this fetch only.
    result.unwrap_or_else(|_| Err(GitError::Storage("reading the objects failed".to_owned())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn on_a_full_disk_what_is_kept_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let cache = GitCache::open(dir.path()).unwrap();
        let full = Err::<(), _>(GitError::disk(std::io::ErrorKind::StorageFull.into()));
        assert_eq!(makes_room(&cache, &full), Ok(false), "nothing is there to leave behind");
        std::fs::write(dir.path().join("0/objects/pack/pack-1.pack"), "old").unwrap();
        assert_eq!(makes_room(&cache, &Err::<(), _>(GitError::disk(std::io::ErrorKind::NotFound.into()))), Ok(false));
        assert_eq!(makes_room(&cache, &full), Ok(true));
        assert!(!dir.path().join("0").exists(), "the old objects are gone");
        assert_eq!(makes_room(&cache, &full), Ok(false));
    }

    #[test]
    fn what_a_tree_reads_from_makes_no_room_and_is_built_upon_by_the_next_fetch() {
        let dir = tempfile::tempdir().unwrap();
        let cache = GitCache::open(dir.path()).unwrap();
        let full = Err::<(), _>(GitError::disk(std::io::ErrorKind::StorageFull.into()));
        let pack = dir.path().join("0/objects/pack/pack-1.pack");
        std::fs::write(&pack, "old").unwrap();
        let tip = gix::ObjectId::from_hex(b"0123456789012345678901234567890123456789").unwrap();
        cache.current().add_tips(&[tip]).unwrap();
        let generation = cache.current();
        let tree = OdbBlobs::new(generation.odb().unwrap(), Some(generation));
        assert_eq!(makes_room(&cache, &full), Ok(false));
        assert!(pack.exists());
        assert_eq!(cache.for_fetch().unwrap().tips(), [tip], "the next fetch says what is here");
        drop(tree);
        assert_eq!(makes_room(&cache, &full), Ok(true));
        assert!(!pack.exists(), "nobody reads it any more");
    }
}
