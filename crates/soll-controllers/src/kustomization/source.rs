//! The source of a Kustomization: its artifact, and the tree of it.

use std::time::Duration;

use soll_api::{Artifact, Class, Failure, Kustomization, Object, Retry};
use soll_tree::Tree;
use soll_yaml::{DecodeError, from_value};

use super::reconcile::Stop;
use super::status::{Outcome, Revision};
use crate::context::Context;
use crate::{Key, Kind};

/// What a source offers.
pub(super) struct Offer {
    pub(super) source: Key,
    pub(super) artifact: Artifact,
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
    Ok(Offer { source: key, artifact })
}

/// The artifact in the status of a source. Nothing else is read: every pass of every Kustomization looks here.
fn artifact_of(source: &Object) -> Result<Option<Artifact>, DecodeError> {
    source.value().lookup(&["status", "artifact"]).map_or(Ok(None), from_value)
}

/// How long our own source may take to make an artifact anew that it has lost: as long as a download is tried.
const REMADE_WITHIN: Duration = Duration::from_secs(30);

/// The tree of the artifact: as its source handed it over, else from where artifacts are stored or served. Nothing if the
/// source offers something else before it is there, or the same elsewhere or anew: who served it may be gone, or its disk.
pub(super) async fn tree(offer: &Offer, ctx: &Context) -> Result<Option<Tree>, Failure> {
    if let Some(tree) = ctx.trees.get(&offer.source, &offer.artifact.digest) {
        return Ok(Some(tree));
    }
    let opening = async {
        if ctx.leadership.leads(Kind::GitRepository) && ctx.artifacts.is_lost(&offer.artifact).await {
            tokio::time::sleep(REMADE_WITHIN).await;
        }
        ctx.artifacts.open(&offer.artifact).await
    };
    let tree = tokio::select! {
        opened = opening => opened?,
        () = overtaken(offer, ctx) => return Ok(None),
    };
    ctx.trees.put(offer.source.clone(), &offer.artifact.digest, tree.clone());
    Ok(Some(tree))
}

/// Returns when the source offers something else, or the same elsewhere or anew.
async fn overtaken(offer: &Offer, ctx: &Context) {
    let mut changes = ctx.objects.changes();
    loop {
        let artifact = ctx.object(&offer.source).and_then(|object| artifact_of(&object).ok()?);
        if artifact.is_some_and(|artifact| artifact != offer.artifact) {
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
