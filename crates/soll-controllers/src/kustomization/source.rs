//! The source of a Kustomization: its artifact, and the tree of it.

use std::time::{Duration, Instant};

use soll_api::{Artifact, Class, Failure, Kustomization, Object, Retry};
use soll_tree::Tree;
use soll_yaml::{DecodeError, from_value};

use super::reconcile::Stop;
use super::status::{Failed, Outcome, Revision, Step};
use crate::context::Context;
use crate::gitrepository::Checkout;
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

/// What the source of a Kustomization offers now.
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
    let seeker = Key::new(Kind::Kustomization, &ks.metadata.namespace, &ks.metadata.name);
    Ok(Offer { source: key, artifact, seeker })
}

/// The artifact in the status of a source. Nothing else is read: every pass of every Kustomization looks here.
fn artifact_of(source: &Object) -> Result<Option<Artifact>, DecodeError> {
    source.value().lookup(&["status", "artifact"]).map_or(Ok(None), from_value)
}

/// How long our own source may take to make an artifact anew that it has lost: as long as a download is tried.
const REMADE_WITHIN: Duration = Duration::from_secs(30);
/// How soon to look for it again, should nothing wake us.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The tree of the artifact: as its source handed it over, or would hand it over; else from where artifacts are stored or served.
///
/// Who does not get it is woken when the source offers something else, or the same elsewhere or anew: who served it may be gone, or
/// its disk.
pub(super) async fn tree(offer: &Offer, ctx: &Context) -> Result<Tree, Stop> {
    let Offer { source, artifact, seeker } = offer;
    let handed_over = || ctx.trees.get(source, &artifact.digest);
    if let Some(tree) = handed_over() {
        return Ok(tree);
    }
    let seekers = &ctx.artifacts.seekers;
    seekers.seek(source, artifact, seeker);
    if is_ours_to_make(ctx) && ctx.artifacts.is_lost(artifact).await {
        // It may have come before we were known to seek it. A source hands its tree over first, and then offers it.
        if let Some(tree) = handed_over() {
            seekers.find(source, seeker);
            return Ok(tree);
        }
        let now = Instant::now();
        let since = seekers.lost(source, artifact, now).ok_or(Stop::Overtaken)?;
        return Err(lost(now.saturating_duration_since(since), now, ctx.config.requeue_dependency).into());
    }
    let opened = tokio::select! {
        biased;
        () = overtaken(offer, ctx) => return Err(Stop::Overtaken),
        opened = open(offer, ctx) => opened,
    };
    let tree = opened.map_err(|failure| match failure.class {
        Class::Dependency => Stop::from(not_found(ctx.config.requeue_dependency)),
        _ => Failed::at(Step::Fetching, &offer.revision(), failure).into(),
    })?;
    seekers.find(source, seeker);
    if ctx.object(source).is_none() {
        // What was told of its end came before there was a tree to let go of.
        ctx.trees.forget(source);
    }
    Ok(tree)
}

/// Opens the artifact, once for all that want it at this moment. After a start we may come before the source that will hand its
/// tree over: then the tree is made from the same objects, as an archive would stay in memory as a whole.
async fn open(offer: &Offer, ctx: &Context) -> Result<Tree, Failure> {
    let Offer { source, artifact, .. } = offer;
    let begin = || {
        let checkout = Checkout::of(source, artifact, ctx);
        let (artifacts, trees) = (ctx.artifacts.clone(), ctx.trees.clone());
        let (source, artifact) = (source.clone(), artifact.clone());
        async move {
            let made = match checkout {
                Some(checkout) => checkout.tree().await,
                None => None,
            };
            let tree = match made {
                Some(tree) => tree,
                None => artifacts.open(&artifact).await?,
            };
            trees.put(source, &artifact.digest, tree.clone());
            Ok(tree)
        }
    };
    ctx.artifacts.openings.join(source, artifact, begin).await
}

/// Whether it is we who make artifacts, so that one that we lost will be made anew.
fn is_ours_to_make(ctx: &Context) -> bool {
    ctx.config.controllers.contains(&Kind::GitRepository) && ctx.leadership.leads(Kind::GitRepository)
}

/// What comes of a pass whose artifact our own source has lost, so long ago: at first nothing. After a start with an empty disk
/// this befalls every object for a moment.
fn lost(so_long: Duration, now: Instant, requeue: Duration) -> Outcome {
    match REMADE_WITHIN.checked_sub(so_long).filter(|quiet| !quiet.is_zero()) {
        Some(quiet) => Outcome::Settling(now + quiet.min(LOOK_AGAIN)),
        None => not_found(requeue),
    }
}

/// Nobody has the artifact.
fn not_found(requeue: Duration) -> Outcome {
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
    use std::sync::Arc;

    use soll_api::Resource as _;
    use soll_tree::FileTree as _;

    use super::*;
    use crate::gitrepository::tests::{Bed, lies_in_git};

    /// The trees that so many Kustomizations of a source get at once.
    async fn trees(bed: &Bed, ctx: &Arc<Context>, many: usize) -> Vec<Tree> {
        let text = r#"{"apiVersion":"kustomize.toolkit.fluxcd.io/v1","kind":"Kustomization",
            "metadata":{"name":"k","namespace":"apps"},
            "spec":{"interval":"1m","prune":true,"sourceRef":{"kind":"GitRepository","name":"s"}}}"#;
        let object = Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object");
        let ks = Kustomization::from_object(&object).expect("a Kustomization");
        let Ok(offer) = offer(&ks, ctx) else { panic!("{} offers something", bed.source) };
        let trees = futures::future::join_all((0..many).map(|_| tree(&offer, ctx))).await;
        trees.into_iter().map(|tree| tree.unwrap_or_else(|_| panic!("there is a tree"))).collect()
    }

    #[tokio::test]
    async fn who_comes_before_its_source_after_a_restart_reads_git_as_well() {
        let bed = Bed::start("").await;
        let before = bed.process().await;
        let artifact = bed.pass(&before).await;
        let handed_over = before.trees.get(&bed.source, &artifact.digest).expect("it was stored");

        let after = bed.process().await;
        for tree in trees(&bed, &after, 20).await {
            assert_eq!(tree, handed_over);
        }
        assert_eq!(after.trees.get(&bed.source, &artifact.digest), Some(handed_over));

        bed.lose_commits();
        let without = bed.process().await;
        let archived = trees(&bed, &without, 2).await;
        assert!(archived.iter().all(|tree| !lies_in_git(tree)));
    }

    #[tokio::test]
    async fn where_git_is_damaged_the_archive_serves() {
        let bed = Bed::start("").await;
        let noise: String = (0..50_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
        bed.repository.write("noise.yaml", &noise).push("noise");
        bed.pass(&*bed.process().await).await;
        bed.damage_commits();
        let ctx = bed.process().await;
        let read = async || trees(&bed, &ctx, 1).await[0].read(&"noise.yaml".parse().expect("a path"));
        read().await.expect_err("the disk is damaged");
        bed.pass(&ctx).await;
        assert_eq!(read().await.expect("from the archive")[..], *noise.as_bytes());
    }

    #[test]
    fn a_lost_artifact_is_nothing_to_tell_before_it_had_time_to_be_made_anew() {
        let (now, requeue) = (Instant::now(), Duration::from_secs(20));
        let outcome = |seconds| lost(Duration::from_secs(seconds), now, requeue);
        for (waited, again) in [(0, 10), (15, 10), (25, 5)] {
            let Outcome::Settling(at) = outcome(waited) else { panic!("nothing is said after {waited}s") };
            assert_eq!(at - now, Duration::from_secs(again));
        }
        for outcome in [outcome(30), outcome(100)] {
            let Outcome::SourceNotReady(failure) = outcome else { panic!("the status says it, and no event") };
            assert_eq!((failure.reason.as_str(), failure.retry), ("ArtifactFailed", Retry::After(requeue)));
            assert_eq!(failure.message, "Source is not ready, artifact not found, retrying in 20s");
        }
    }
}
