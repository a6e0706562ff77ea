//! The engine as a process: listeners, watches, the runner, and an orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use soll_api::{Gvk, ObjectRef};
use soll_cluster::{Cluster, Depth, Memory, Misfit, Selection, WatchEvent, Work};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::artifacts::Artifacts;
use crate::config::EngineConfig;
use crate::context::{Context, Trees, WriteError};
use crate::events::{EventBus, publish_to_cluster};
use crate::first_pass::FirstPass;
use crate::gitrepository::Remotes;
use crate::handle::{EngineHandle, LocalRepositories, SshAgents};
use crate::kustomization::{Builds, LiveWatcher, Runs};
use crate::leadership::{self, Contenders};
use crate::memory::Objects;
use crate::metrics::Metrics;
use crate::runner::{Backoff, Lanes, Next, Reconcile, Runner};
use crate::watches::{Follow, Seen};
use crate::{Key, Kind, gitrepository, kustomization, probes};

/// The controllers of one cluster, ready to run.
pub struct Engine {
    ctx: Arc<Context>,
    runner: Runner,
    live: LiveWatcher,
    contenders: Contenders,
}

/// Why the engine cannot run, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {what}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What would be served there.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// The cluster allows too few watches.
    #[error("the budget of watches is too small to follow the toolkit objects")]
    Watches,
    /// Somebody else reconciles our kinds now.
    #[error("the lease of the {} was lost", .0.controller())]
    LeaseLost(Kind),
    /// Somebody else may do our share of the work now.
    #[error("the lease {0} was lost")]
    ShardLost(String),
    /// Another process divides the work otherwise.
    #[error(transparent)]
    Misfit(Misfit),
    /// A part that must run for ever ended.
    #[error("the {0} ended unexpectedly")]
    Ended(&'static str),
}

/// How long what is being answered when the engine ends may take. A client that stalls holds up nobody: who lost its lease has to
/// go, so that it can come back.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

impl Engine {
    /// Prepares the engine; nothing is sent yet.
    #[must_use]
    pub fn new(config: EngineConfig, cluster: Cluster) -> Self {
        let (live_watches, live) = kustomization::live_watches();
        let (leadership, contenders) = leadership::contend(&config, &cluster);
        let backoff = Backoff::new(config.min_retry_delay, config.max_retry_delay);
        let runner = Runner::new(Lanes::of(config.concurrent), backoff);
        let first_pass = Arc::new(FirstPass::new());
        let ctx = Context {
            objects: Objects::new(),
            trees: Trees::default(),
            artifacts: Artifacts::new(&config),
            remotes: Remotes::default(),
            live: Arc::new(Memory::new()),
            live_watches,
            runs: Runs::default(),
            builds: Builds::default(),
            local: LocalRepositories::default(),
            agents: SshAgents::default(),
            waker: runner.waker(),
            events: EventBus::new(),
            metrics: Metrics::new(runner.waker(), cluster.clone(), Arc::clone(&first_pass), leadership.clone()),
            first_pass,
            leadership,
            config,
            cluster,
        };
        Self { ctx: Arc::new(ctx), runner, live, contenders }
    }

    /// The engine from outside.
    #[must_use]
    pub fn handle(&self) -> EngineHandle {
        EngineHandle {
            objects: self.ctx.objects.clone(),
            events: self.ctx.events.clone(),
            local: self.ctx.local.clone(),
            agents: self.ctx.agents.clone(),
            waker: self.ctx.waker.clone(),
        }
    }

    /// What its parts share.
    #[cfg(test)]
    pub(crate) fn context(&self) -> Arc<Context> {
        Arc::clone(&self.ctx)
    }

    /// Runs until `shutdown`, then lets what runs end within the grace period.
    ///
    /// # Errors
    /// If an address is taken, the watches are too few, or a part of it ends by itself.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), EngineError> {
        let Self { ctx, runner, live, contenders } = self;
        let mut parts: JoinSet<Result<&'static str, EngineError>> = JoinSet::new();
        let stop = shutdown.child_token();

        self::listen(&ctx, &mut parts, &stop).await?;
        let events = publish_to_cluster(ctx.events.subscribe(), ctx.cluster.clone(), stop.clone());
        parts.spawn(async move {
            events.await;
            Ok("event writer")
        });
        // The leases are given back when nothing runs any more.
        let (at_work, work) = (CancellationToken::new(), Shards { ctx: Arc::clone(&ctx) });
        let nothing_runs = at_work.clone();
        parts.spawn(async move { contenders.run(&work, nothing_runs).await.map_or(Ok("leases"), Err) });
        parts.spawn(start_won_kinds(Arc::clone(&ctx), stop.clone()));
        parts.spawn(follow_variables(Arc::clone(&ctx), "ConfigMap", stop.clone()));
        parts.spawn(follow_variables(Arc::clone(&ctx), "Secret", stop.clone()));
        let watching = live.run(Arc::clone(&ctx), stop.clone());
        parts.spawn(async move {
            watching.await;
            Ok("watches of applied objects")
        });
        for kind in Kind::ALL {
            parts.spawn(follow(Arc::clone(&ctx), kind, stop.clone()));
        }
        let (grace, controllers) = (ctx.config.grace, Arc::new(Controllers { ctx: Arc::clone(&ctx) }));
        let running = runner.run(controllers, grace, stop.clone());
        parts.spawn(async move {
            running.await;
            at_work.cancel();
            Ok("runner")
        });
        info!(controllers = ?ctx.config.controllers, cluster = ctx.cluster.url(), "the engine runs");

        let mut outcome = Ok(());
        while let Some(ended) = parts.join_next().await {
            let ended = ended.unwrap_or(Err(EngineError::Ended("engine")));
            if outcome.is_ok() && !shutdown.is_cancelled() {
                outcome = Err(ended.map_or_else(|error| error, EngineError::Ended));
            }
            // All parts go together.
            stop.cancel();
        }
        outcome
    }
}

/// Opens what is listened on, before anything else starts: a taken port is an error of the start.
async fn listen(
    ctx: &Arc<Context>,
    parts: &mut JoinSet<Result<&'static str, EngineError>>,
    stop: &CancellationToken,
) -> Result<(), EngineError> {
    let health = {
        let ctx = Arc::clone(ctx);
        probes::health(move || is_ready(&ctx))
    };
    let metrics = {
        let ctx = Arc::clone(ctx);
        probes::metrics(move || ctx.metrics.print())
    };
    for (address, what, router) in [
        (ctx.config.artifact_listen, "artifacts", ctx.artifacts.router()),
        (ctx.config.health_listen, "health", health),
        (ctx.config.metrics_listen, "metrics", metrics),
    ] {
        let Some(address) = address else { continue };
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| EngineError::Listen { address, what, source })?;
        if what == "artifacts"
            && let Ok(bound) = listener.local_addr()
        {
            ctx.artifacts.serve_at(bound);
        }
        let serving = soll_source::serve(listener, router, stop.clone(), ANSWERED_WITHIN);
        parts.spawn(async move { serving.await.map(|()| what).map_err(|_| EngineError::Ended(what)) });
    }
    Ok(())
}

/// Whether all objects are known and, of processes that contend for the sources, whether we have them: a Service then leads
/// to who has the artifacts, as with Flux's source-controller.
fn is_ready(ctx: &Context) -> bool {
    let contends = ctx.config.controllers.contains(&Kind::GitRepository);
    ctx.objects.are_complete() && (!contends || ctx.leadership.leads(Kind::GitRepository))
}

/// Follows one kind of toolkit objects and wakes what each change concerns.
async fn follow(ctx: Arc<Context>, kind: Kind, stop: CancellationToken) -> Result<&'static str, EngineError> {
    let selection = Selection {
        namespace: ctx.config.watch_namespace.clone(),
        labels: ctx.config.watch_label_selector.clone(),
        fields: None,
    };
    let mut told = false;
    let on = |seen: Seen| {
        // Before all objects are known nothing is reconciled, and then all are woken.
        if ctx.objects.are_complete() {
            wake(&ctx, kind, &seen);
        }
        if matches!(seen, Seen::Complete) && !std::mem::replace(&mut told, true) && ctx.objects.complete_kind() {
            ctx.config.controllers.iter().for_each(|kind| wake_all(&ctx, *kind));
        }
    };
    let follow = Follow { kind, objects: ctx.objects.clone() };
    match follow.run(&ctx.cluster, selection, on, stop).await {
        Ok(()) => Ok("watch"),
        Err(_) => Err(EngineError::Watches),
    }
}

/// Starts a kind when its lease is won: nothing of it was reconciled before.
async fn start_won_kinds(ctx: Arc<Context>, stop: CancellationToken) -> Result<&'static str, EngineError> {
    ctx.leadership.follow(|kind| wake_all(&ctx, kind), stop).await;
    Ok("leases")
}

fn wake_all(ctx: &Context, kind: Kind) {
    begin_first_pass(ctx, kind);
    ctx.objects.of_kind(kind).into_iter().for_each(|(key, _)| ctx.waker.wake(key));
}

/// Notes which objects have to be looked at first, once it is known which are ours.
fn begin_first_pass(ctx: &Context, kind: Kind) {
    if ctx.leadership.leads(kind) && ctx.leadership.has_shards() && ctx.objects.are_complete() {
        let keys = ctx.objects.of_kind(kind).into_iter().map(|(key, _)| key);
        ctx.first_pass.begin(kind, keys.filter(|key| ctx.leadership.may_begin(key)));
    }
}

/// The objects by shards, as the group of processes that divides them sees to it.
struct Shards {
    ctx: Arc<Context>,
}

impl Shards {
    fn keys(&self, shards: &[usize]) -> Vec<Key> {
        let kinds = self.ctx.config.controllers.iter();
        let all = kinds.flat_map(|kind| self.ctx.objects.of_kind(*kind)).map(|(key, _)| key);
        all.filter(|key| self.ctx.leadership.is_in(key, shards)).collect()
    }
}

impl Work for Shards {
    fn begin(&self, shards: &[usize]) {
        self.ctx.config.controllers.iter().for_each(|kind| begin_first_pass(&self.ctx, *kind));
        self.keys(shards).into_iter().for_each(|key| self.ctx.waker.wake(key));
    }

    fn is_idle(&self, shard: usize) -> bool {
        !self.ctx.waker.runs_any(|key| self.ctx.leadership.is_in(key, &[shard]))
    }

    fn end(&self, shard: usize) {
        for key in self.keys(&[shard]) {
            self.ctx.first_pass.note(&key);
            kustomization::let_go(&key, &self.ctx);
        }
    }
}

/// Follows the ConfigMaps or Secrets that are marked to wake the Kustomizations that use them.
async fn follow_variables(
    ctx: Arc<Context>,
    kind: &'static str,
    stop: CancellationToken,
) -> Result<&'static str, EngineError> {
    let mut selection = Selection::labelled(&ctx.config.watch_configs_label_selector);
    selection.namespace.clone_from(&ctx.config.watch_namespace);
    let watch = ctx.cluster.watch(&Gvk::new("v1", kind), selection, Depth::Metadata);
    let mut watch = watch.ok_or(EngineError::Watches)?;
    let changed = |giver: ObjectRef| kustomization::watches::variables_changed(&giver, &ctx.objects, &ctx.waker);
    let mut told = kustomization::watches::Told::default();
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return Ok("watch of variables"),
            event = watch.next() => event,
        };
        match event {
            WatchEvent::Restarted(objects) => told.replace(&objects).into_iter().for_each(changed),
            WatchEvent::Applied(object) => changed(told.put(&object)),
            WatchEvent::Deleted(object) => changed(told.remove(&object)),
            WatchEvent::Interrupted(error) => debug!(kind, %error, "a watch was interrupted"),
        }
    }
}

/// Wakes what a change concerns, of the kinds that we reconcile.
fn wake(ctx: &Context, kind: Kind, seen: &Seen) {
    let ours = |kind| ctx.config.controllers.contains(&kind);
    match kind {
        Kind::GitRepository => {
            if let Seen::Gone { key } = seen {
                // Of the sources of others, too, we have trees.
                ctx.trees.forget(key);
            }
            if ours(Kind::GitRepository) {
                gitrepository::watches::seen(seen, &ctx.waker);
            }
            if ours(Kind::Kustomization) {
                kustomization::watches::source_seen(seen, &ctx.objects, &ctx.artifacts.seekers, &ctx.waker);
            }
        }
        Kind::Kustomization if ours(Kind::Kustomization) => {
            let push = ctx.config.behaviours.push_dependents;
            kustomization::watches::seen(seen, &ctx.objects, push, &ctx.waker);
            let handing_over = ctx.runs.handing_over();
            if !handing_over.is_empty() && kustomization::watches::has_moved_on(seen) {
                handing_over.into_iter().for_each(|key| ctx.waker.wake(key));
            }
        }
        Kind::Kustomization => {}
    }
}

/// The controllers, as the runner calls them.
struct Controllers {
    ctx: Arc<Context>,
}

impl Reconcile for Controllers {
    fn reconcile(&self, key: Key) -> Pin<Box<dyn Future<Output = Next> + Send + '_>> {
        Box::pin(async move {
            // What is gone is forgotten, whoever had it.
            let ours = self.ctx.leadership.may_begin(&key) || self.ctx.object(&key).is_none();
            if !ours || !self.ctx.objects.are_complete() {
                // Winning the lease, or knowing all objects, wakes all of them.
                return Next::Await;
            }
            let began = Instant::now();
            let result = match key.kind {
                Kind::GitRepository => gitrepository::reconcile(&key, &self.ctx).await,
                Kind::Kustomization => kustomization::reconcile(&key, &self.ctx).await,
            };
            let (next, word) = match result {
                Ok(next @ Next::Backoff) => (next, "error"),
                Ok(next @ Next::Await) => (next, "success"),
                Ok(next @ Next::After(_)) => (next, "requeue_after"),
                Err(error) => {
                    log(&key, &error);
                    (Next::Backoff, "error")
                }
            };
            self.ctx.first_pass.note(&key);
            if self.ctx.object(&key).is_some() {
                self.ctx.metrics.reconciled(&key, began.elapsed(), word);
            } else {
                self.ctx.artifacts.seekers.forget(&key);
            }
            next
        })
    }

    fn panicked(&self, key: Key, message: String) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let reported = match key.kind {
                Kind::GitRepository => gitrepository::panicked(&key, &message, &self.ctx).await,
                Kind::Kustomization => kustomization::panicked(&key, &message, &self.ctx).await,
            };
            if let Err(error) = reported {
                log(&key, &error);
            }
        })
    }
}

/// Logs a write that did not come about. A conflict is nothing odd: somebody wrote first, and the next pass sees it.
fn log(key: &Key, error: &WriteError) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if error.is_conflict() {
        debug!(%key, %error, cause, "will be tried again");
    } else {
        warn!(%key, %error, cause, "will be tried again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_api::Object;
    use soll_apiserver::{Server, ServerOptions};
    use soll_cluster::ConnectOptions;
    use soll_tree::Tree;

    fn context(controllers: impl IntoIterator<Item = Kind>) -> (Arc<Context>, tempfile::TempDir) {
        let server = Server::new(&ServerOptions::default()).expect("a server");
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut config = EngineConfig::new(data.path().to_owned());
        config.controllers = controllers.into_iter().collect();
        let engine = Engine::new(config, Cluster::from_service(server.service(), &ConnectOptions::default()));
        Kind::ALL.iter().for_each(|_| _ = engine.ctx.objects.complete_kind());
        (engine.ctx, data)
    }

    fn object(key: &Key) -> Object {
        let text = format!(
            r#"{{"apiVersion":"{}","kind":"{}","metadata":{{"name":"{}","namespace":"{}","uid":"1","resourceVersion":"1"}},
                "spec":{{"suspend":true}}}}"#,
            key.kind.api_version(),
            key.kind,
            key.name,
            key.namespace,
        );
        Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
    }

    #[tokio::test]
    async fn nothing_is_booked_of_an_object_that_is_gone() {
        let (ctx, _data) = context(Kind::ALL);
        let controllers = Controllers { ctx: Arc::clone(&ctx) };
        for kind in Kind::ALL {
            let key = Key::new(kind, "apps", "short-lived");
            ctx.objects.put(key.clone(), object(&key));
            ctx.metrics.reconciled(&key, Duration::ZERO, "success");
            assert!(ctx.metrics.print().contains("short-lived"));
            ctx.objects.remove(&key);
            controllers.reconcile(key).await;
            assert!(!ctx.metrics.print().contains("short-lived"), "{}", ctx.metrics.print());
        }
    }

    #[tokio::test]
    async fn the_tree_of_a_source_goes_with_it_whoever_has_the_source() {
        for controllers in [vec![Kind::Kustomization], Kind::ALL.to_vec()] {
            let (ctx, _data) = context(controllers);
            let key = Key::new(Kind::GitRepository, "apps", "s");
            ctx.trees.put(key.clone(), "sha256:1", Tree::empty());
            wake(&ctx, Kind::GitRepository, &Seen::Gone { key: key.clone() });
            assert!(ctx.trees.get(&key, "sha256:1").is_none());
        }
    }
}
