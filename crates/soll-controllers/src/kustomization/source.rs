//! The source of a Kustomization: its artifact, and the tree of it.

use std::time::{Duration, Instant};

use soll_api::{Artifact, Class, Failure, Kustomization, Object, Retry};
use soll_tree::Tree;
use soll_yaml::{DecodeError, from_value};

use super::reconcile::Stop;
use super::status::{Outcome, Revision};
use crate::context::Context;
use crate::seekers::Lack;
use crate::{Key, Kind};

/// What a source offers.
pub(super) struct Offer {
    pub(super) source: Key,
    pub(super) artifact: Artifact,
    /// To whom.
    seeker: Key,
}

impl Offer {
    pub(super) fn revision(&self) -> Revision {
        Revision { name: self.artifact.revision.clone(), origin: self.artifact.origin_revision().map(str::to_owned) }
    }
}

/// What the source of a Kustomization offers now. If [`tree`] has just found that nobody has it, the pass ends with that.
pub(super) fn offer(ks: &Kustomization, ctx: &Context) -> Result<Offer, Stop> {
    let source = ks.source();
    if ctx.config.no_cross_namespace_refs && source.namespace != ks.metadata.namespace {
        let message = format!("can't access '{source}', cross-namespace references have been blocked");
        let failure = Failure::new(Class::Forbidden, "AccessDenied", message, Retry::OnChange);
        return Err(Outcome::Refused(failure).into());
    }
    let key = Key::new(Kind::GitRepository, &source.namespace, &source.name);
    let Some(object) = ctx.object(&key) else {
        let message = format!("Source '{source}' not found");
        return Err(not_ready(message, Retry::AtRetryInterval).into());
    };
    let artifact = artifact_of(&object).map_err(|error| {
        let message = format!("Source '{source}' cannot be read: status.artifact: {error}");
        Stop::from(not_ready(message, Retry::AtRetryInterval))
    })?;
    let Some(artifact) = artifact else {
        let wait = ctx.config.requeue_dependency;
        let message = format!("Source artifact not found, retrying in {}", soll_api::Duration::from(wait));
        return Err(not_ready(message, Retry::After(wait)).into());
    };
    let offer = Offer {
        source: key,
        artifact,
        seeker: Key::new(Kind::Kustomization, &ks.metadata.namespace, &ks.metadata.name),
    };
    match ctx.artifacts.seekers.take_lack(&offer.source, &offer.artifact, &offer.seeker) {
        Some(lack) => Err(lacking(lack, Instant::now(), ctx.config.requeue_dependency).into()),
        None => Ok(offer),
    }
}

/// The artifact in the status of a source. Nothing else is read: every pass of every Kustomization looks here.
fn artifact_of(source: &Object) -> Result<Option<Artifact>, DecodeError> {
    source.value().lookup(&["status", "artifact"]).map_or(Ok(None), from_value)
}

/// How long our own source may take to make an artifact anew that it has lost: as long as a download is tried.
const REMADE_WITHIN: Duration = Duration::from_secs(30);
/// How soon to look for it again, should nothing wake us.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The tree of the artifact: as its source handed it over, else from where artifacts are stored or served.
///
/// Nothing if the pass has to begin anew: the source offers something else before it is there, or the same elsewhere or anew,
/// for who served it may be gone, or its disk; or nobody has it, as the next look at the offer will say. Who does not get it is
/// woken when the source offers something.
pub(super) async fn tree(offer: &Offer, ctx: &Context) -> Result<Option<Tree>, Failure> {
    let Offer { source, artifact, seeker } = offer;
    let handed_over = || ctx.trees.get(source, &artifact.digest);
    if let Some(tree) = handed_over() {
        return Ok(Some(tree));
    }
    let seekers = &ctx.artifacts.seekers;
    seekers.seek(source, artifact, seeker);
    if is_ours_to_make(ctx) && ctx.artifacts.is_lost(artifact).await {
        // It may have come before we were known to seek it. A source hands its tree over first, and then offers it.
        let tree = handed_over();
        match tree {
            Some(_) => seekers.find(source, seeker),
            None => seekers.lack(source, artifact, seeker, Lack::Lost { since: Instant::now() }),
        }
        return Ok(tree);
    }
    let opened = tokio::select! {
        biased;
        () = overtaken(offer, ctx) => return Ok(None),
        opened = ctx.artifacts.open(artifact) => opened,
    };
    let tree = match opened {
        Ok(tree) => tree,
        Err(failure) if failure.class == Class::Dependency => {
            seekers.lack(source, artifact, seeker, Lack::NotServed);
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    seekers.find(source, seeker);
    ctx.trees.put(source.clone(), &artifact.digest, tree.clone());
    if ctx.object(source).is_none() {
        // What was told of its end came before there was a tree to let go of.
        ctx.trees.forget(source);
    }
    Ok(Some(tree))
}

/// Whether it is we who make artifacts, so that one that we lost will be made anew.
fn is_ours_to_make(ctx: &Context) -> bool {
    ctx.config.controllers.contains(&Kind::GitRepository) && ctx.leadership.leads(Kind::GitRepository)
}

/// What comes of a pass whose artifact nobody has: of one that our own source has lost, at first nothing. After a start with
/// an empty disk this befalls every object for a moment.
fn lacking(lack: Lack, now: Instant, requeue: Duration) -> Outcome {
    let quiet = match lack {
        Lack::Lost { since } => REMADE_WITHIN.checked_sub(now.saturating_duration_since(since)).unwrap_or_default(),
        Lack::NotServed => Duration::ZERO,
    };
    if !quiet.is_zero() {
        return Outcome::Settling(now + quiet.min(LOOK_AGAIN));
    }
    let wait = soll_api::Duration::from(requeue);
    not_ready(format!("Source is not ready, artifact not found, retrying in {wait}"), Retry::After(requeue))
}

/// Whether the source offers something else, or the same elsewhere or anew.
fn has_moved_on(offer: &Offer, ctx: &Context) -> bool {
    let artifact = ctx.object(&offer.source).and_then(|object| artifact_of(&object).ok()?);
    artifact.is_some_and(|artifact| artifact != offer.artifact)
}

/// Returns when the source offers something else, or the same elsewhere or anew.
async fn overtaken(offer: &Offer, ctx: &Context) {
    let mut changes = ctx.objects.changes();
    loop {
        if has_moved_on(offer, ctx) {
            return;
        }
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

fn not_ready(message: String, retry: Retry) -> Outcome {
    Outcome::SourceNotReady(Failure::new(Class::Dependency, "ArtifactFailed", message, retry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_artifact_is_nothing_to_tell_before_it_had_time_to_be_made_anew() {
        let (now, requeue) = (Instant::now(), Duration::from_secs(20));
        let outcome = |seconds| lacking(Lack::Lost { since: now }, now + Duration::from_secs(seconds), requeue);
        for (waited, again) in [(0, 10), (15, 10), (25, 5)] {
            let Outcome::Settling(at) = outcome(waited) else { panic!("nothing is said after {waited}s") };
            assert_eq!(at - now, Duration::from_secs(waited + again));
        }
        for outcome in [outcome(30), outcome(100), lacking(Lack::NotServed, now, requeue)] {
            let Outcome::SourceNotReady(failure) = outcome else { panic!("the status says it, and no event") };
            assert_eq!((failure.reason.as_str(), failure.retry), ("ArtifactFailed", Retry::After(requeue)));
            assert_eq!(failure.message, "Source is not ready, artifact not found, retrying in 20s");
        }
    }
}
