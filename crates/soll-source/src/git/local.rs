//! Repositories on this machine, read in place.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use soll_tree::Limits;

use super::reference::ListedRef;
use super::snapshot::{self, OdbBlobs};
use super::{Commit, Fetched, GitError, Reference, Revision};

/// Reads a commit of the repository in a directory (a work tree or a bare repository). Only what is committed counts.
///
/// # Errors
/// If there is no repository, no such reference, or a limit is passed.
pub fn local(path: &Path, reference: &Reference, limits: &Limits) -> Result<Fetched, GitError> {
    let shown = path.display().to_string();
    let (odb, revision, commit) = find(path, &shown, reference)?;
    let blobs = Arc::new(OdbBlobs::new(odb.clone(), None));
    let tree = snapshot::tree(&odb, &shown, revision.commit, limits, blobs, &AtomicBool::new(false))?;
    Ok(Fetched { revision, commit, tree })
}

/// The commit that a reference names in the repository in a directory, without reading its files.
///
/// # Errors
/// If there is no repository or no such reference.
pub fn local_revision(path: &Path, reference: &Reference) -> Result<Revision, GitError> {
    find(path, &path.display().to_string(), reference).map(|(_, revision, _)| revision)
}

/// The branch that is checked out in the repository of a directory; none if no branch is.
///
/// # Errors
/// If there is no repository.
pub fn local_branch(path: &Path) -> Result<Option<String>, GitError> {
    let repository = open(path)?;
    let head = repository.head_name().map_err(|error| GitError::Storage(error.to_string()))?;
    Ok(head.map(|name| name.shorten().to_string()))
}

/// The directory that holds the references and objects of the repository: what to watch for new commits.
///
/// # Errors
/// If there is no repository.
pub fn local_git_dir(path: &Path) -> Result<std::path::PathBuf, GitError> {
    Ok(open(path)?.common_dir().to_owned())
}

fn find(path: &Path, shown: &str, reference: &Reference) -> Result<(gix::odb::Handle, Revision, Commit), GitError> {
    let repository = open(path)?;
    let listed = list(&repository, shown)?;
    if listed.is_empty() && !matches!(reference, Reference::Commit { .. }) {
        return Err(GitError::Empty { url: shown.to_owned() });
    }
    let candidates = reference.resolve(shown, &listed)?;
    let objects = repository.common_dir().join("objects");
    let odb = gix::odb::at(objects, gix::hash::Kind::Sha1).map_err(GitError::storage)?;
    let (revision, commit) = super::newest(&odb, shown, candidates, &AtomicBool::new(false))?;
    Ok((odb, revision, commit))
}

fn open(path: &Path) -> Result<gix::Repository, GitError> {
    let repository = gix::open_opts(path, gix::open::Options::isolated());
    let repository = repository.map_err(|_| GitError::NotFound { url: path.display().to_string() })?;
    if repository.object_hash() != gix::hash::Kind::Sha1 {
        let what = format!("a repository with {} object ids", repository.object_hash());
        return Err(GitError::Unsupported { url: path.display().to_string(), what });
    }
    Ok(repository)
}

fn list(repository: &gix::Repository, shown: &str) -> Result<Vec<ListedRef>, GitError> {
    let bad = |error: &dyn std::fmt::Display| GitError::protocol(shown, error.to_string());
    let mut listed = Vec::new();
    let references = repository.references().map_err(|error| bad(&error))?;
    for reference in references.all().map_err(|error| bad(&error))? {
        let mut reference = reference.map_err(|error| bad(&error))?;
        let name = reference.name().as_bstr().to_string();
        // A reference to nothing is no reason to refuse the others.
        let Ok(id) = reference.peel_to_id() else { continue };
        listed.push(ListedRef { name, id: id.detach(), peeled: None });
    }
    Ok(listed)
}
