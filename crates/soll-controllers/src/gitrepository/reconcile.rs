//! One pass over a GitRepository: ask the remote, fetch what is new, store it, hand its tree over.

use soll_api::{Class, Failure, GitRepository, Object, Resource, Retry, types};
use soll_source::blocking;
use soll_source::git::{self, Fetched, Reference};
use soll_tree::Limits;
use tracing::{info, warn};

use super::checkout::{self, Checkout, Selection};
use super::remote::{self, Origin};
use super::status::{self, Failed, Outcome, Part, Stored};
use crate::Key;
use crate::context::{Context, WriteError};
use crate::runner::Next;
use crate::schedule;

/// Brings the artifact of one GitRepository up to date; safe to call at any time, any number of times.
pub(crate) async fn reconcile(key: &Key, ctx: &Context) -> Result<Next, WriteError> {
    let Some(object) = ctx.object(key) else {
        forget(key, ctx).await;
        ctx.waker.forget(key);
        return Ok(Next::Await);
    };
    let repository = match GitRepository::from_object(&object) {
        Ok(repository) => repository,
        Err(error) => return ctx.refuse_misfit(key, object, &error).await,
    };
    if repository.metadata.is_deleting() {
        forget(key, ctx).await;
        if repository.metadata.has_finalizer() {
            ctx.remove_finalizer(key, &object).await?;
        }
        return Ok(Next::Await);
    }
    let object = if repository.metadata.has_finalizer() { object } else { ctx.add_finalizer(key, &object).await? };
    if repository.spec.suspend {
        ctx.write_status(key, object, &repository.status, &status::answered(&repository)).await?;
        return Ok(Next::Await);
    }

    let mut pass = Pass { key, ctx, object, repository };
    let outcome = match pass.sync().await {
        Ok(outcome) => outcome,
        Err(Stop::Failed(failed)) => Outcome::Failed(*failed),
        Err(Stop::Write(error)) => return Err(error),
    };
    pass.report(&outcome).await
}

/// Makes a panic that object's failure.
pub(crate) async fn panicked(key: &Key, message: &str, ctx: &Context) -> Result<(), WriteError> {
    let Some(object) = ctx.object(key) else { return Ok(()) };
    let Ok(repository) = GitRepository::from_object(&object) else { return Ok(()) };
    let text = format!("this is a defect of soll, please report it: {message}");
    let failure = Failure::new(Class::Internal, "Failed", text, Retry::Backoff);
    let outcome = Outcome::Failed(Failed { part: Part::Spec, failure, newer: None });
    let report = status::summarize(&repository, &outcome, ctx.now());
    let object = ctx.write_status(key, object, &repository.status, &report.status).await?;
    ctx.say(key, &object, report.said);
    Ok(())
}

/// Lets go of everything that is kept of an object.
async fn forget(key: &Key, ctx: &Context) {
    ctx.trees.forget(key);
    ctx.metrics.forget(key);
    ctx.artifacts.remove(key).await;
    ctx.remotes.forget(key, &ctx.config.data_dir).await;
}

/// Why a pass ends before its end.
enum Stop {
    Failed(Box<Failed>),
    Write(WriteError),
}

impl Stop {
    fn at(part: Part) -> impl FnOnce(Failure) -> Self {
        move |failure| Self::Failed(Box::new(Failed { part, failure, newer: None }))
    }
}

/// One pass over one GitRepository.
struct Pass<'c> {
    key: &'c Key,
    ctx: &'c Context,
    object: Object,
    repository: GitRepository,
}

impl Pass<'_> {
    async fn sync(&mut self) -> Result<Outcome, Stop> {
        // At the start, as Flux: who was told of an artifact finds it until the status says another one.
        self.ctx.artifacts.collect(self.key, self.repository.status.artifact.as_ref()).await;
        self.refuse_what_is_not_built()?;
        let origin = remote::origin(self.key, &self.repository, self.ctx).await.map_err(Stop::at(Part::Fetch))?;
        let reference = remote::reference(&self.repository.spec.r#ref).map_err(Stop::at(Part::Fetch))?;

        // The fast path: an unchanged remote costs one round trip.
        let current = self.current_revision().await;
        if let Some(current) = &current
            && self.found(&origin, &reference).await.map_err(Stop::at(Part::Fetch))? == *current
        {
            self.hand_over().await;
            return Ok(Outcome::Unchanged);
        }

        if let Some(began) = status::begin(&self.repository, self.ctx.now()) {
            self.write(began).await.map_err(Stop::Write)?;
        }
        let fetched = self.fetch(&origin, &reference).await.map_err(Stop::at(Part::Fetch))?;
        let revision = fetched.revision.to_string();
        if current.as_ref() == Some(&revision) {
            self.hand_over().await;
            return Ok(Outcome::Unchanged);
        }
        let newer = |part: Part| {
            let newer = Some(revision.clone());
            move |failure: Failure| Stop::Failed(Box::new(Failed { part, failure, newer }))
        };
        let selection = Selection::asked(&self.repository);
        let tree = selection.of(fetched.tree.clone()).await.map_err(newer(Part::Fetch))?;
        let artifact = self
            .ctx
            .artifacts
            .store(self.key, &fetched.revision, &tree, self.ctx.now())
            .await
            .map_err(newer(Part::Storage))?;
        self.ctx.trees.put(self.key.clone(), &artifact.digest, tree);
        // If it is the one that was lost, nothing in the status need say that it is there again: times count in seconds.
        self.ctx.artifacts.seekers.take(self.key).into_iter().for_each(|key| self.ctx.waker.wake(key));
        info!(key = %self.key, revision, digest = artifact.digest, "stored an artifact");
        Ok(Outcome::Stored(Stored { artifact, included: Vec::new(), subject: fetched.commit.subject }))
    }

    /// A field that is not built is refused by name; the last good artifact stays.
    fn refuse_what_is_not_built(&self) -> Result<(), Stop> {
        let fields = soll_api::unsupported_fields(self.key.kind.name(), self.object.value());
        if fields.is_empty() {
            return Ok(());
        }
        let message = format!("not supported yet, so nothing was fetched: {}", fields.join(", "));
        let failure = Failure::new(Class::Configuration, "UnsupportedField", message, Retry::OnChange);
        Err(Stop::at(Part::Spec)(failure))
    }

    /// The revision of the stored artifact, if it is still what the spec asks to make of that revision.
    async fn current_revision(&self) -> Option<String> {
        let GitRepository { spec, status, .. } = &self.repository;
        let artifact = status.artifact.as_ref()?;
        let same = status.conditions.is_true(types::ARTIFACT_IN_STORAGE)
            && status.observed_ignore == spec.ignore
            && status.observed_sparse_checkout == spec.sparse_checkout;
        (same && self.ctx.artifacts.is_intact(artifact).await).then(|| artifact.revision.clone())
    }

    /// The revision that the reference names now.
    async fn found(&self, origin: &Origin, reference: &Reference) -> Result<String, Failure> {
        match origin {
            Origin::Remote(remote) => {
                let timeout = self.repository.spec.timeout.std();
                let revision = git::ls_remote(remote, reference, timeout).await?;
                Ok(revision.to_string())
            }
            Origin::Local(path) => {
                let (path, reference) = (path.clone(), reference.clone());
                let found = blocking(move || git::local_revision(&path, &reference)).await?;
                Ok(found.to_string())
            }
        }
    }

    async fn fetch(&self, origin: &Origin, reference: &Reference) -> Result<Fetched, Failure> {
        let limits = Limits::default();
        match origin {
            Origin::Remote(remote) => {
                let cache = self.ctx.remotes.cache(self.key, &self.ctx.config.data_dir).await?;
                let timeout = self.repository.spec.timeout.std();
                Ok(git::fetch(remote, reference, &cache, &limits, timeout).await?)
            }
            Origin::Local(path) => {
                let (path, reference) = (path.clone(), reference.clone());
                Ok(blocking(move || git::local(&path, &reference, &limits)).await?)
            }
        }
    }

    /// Hands over the tree of the stored artifact, which a process before us may have stored: else every reader would have all of
    /// the archive in memory. Where a file of Git cannot be read any more, the archive serves.
    async fn hand_over(&self) {
        let Some(artifact) = &self.repository.status.artifact else { return };
        let Some(checkout) = Checkout::of(self.key, artifact, self.ctx) else { return };
        let at_hand = self.ctx.trees.get(self.key, &artifact.digest);
        let is_of_git = at_hand.is_some_and(|tree| checkout::is_of_git(&tree));
        if is_of_git && !checkout.is_damaged().await {
            return;
        }
        match checkout.tree().await {
            Some(tree) => self.ctx.trees.put(self.key.clone(), &artifact.digest, tree),
            None if is_of_git => self.ctx.trees.forget(self.key),
            None => {}
        }
    }

    /// Writes and says what the pass came to, and decides when the next one is.
    async fn report(&mut self, outcome: &Outcome) -> Result<Next, WriteError> {
        let report = status::summarize(&self.repository, outcome, self.ctx.now());
        self.write(report.status).await?;
        self.ctx.say(self.key, &self.object, report.said);
        Ok(match outcome {
            Outcome::Unchanged | Outcome::Stored(_) => self.ctx.at_interval(self.repository.spec.interval.std()),
            Outcome::Failed(failed) => {
                warn!(key = %self.key, reason = failed.failure.reason, error = %failed.failure, "failed");
                schedule::after_failure(&failed.failure, self.repository.spec.interval.std())
            }
        })
    }

    async fn write(&mut self, new: soll_api::GitRepositoryStatus) -> Result<(), WriteError> {
        self.object = self.ctx.write_status(self.key, self.object.clone(), &self.repository.status, &new).await?;
        self.repository.status = new;
        Ok(())
    }
}
