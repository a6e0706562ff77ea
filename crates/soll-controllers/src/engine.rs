//! The engine as a process: listeners, watches, the runner, and an orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use soll_cluster::{Cluster, Selection};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::EngineConfig;
use crate::context::{Context, Trees};
use crate::events::{EventBus, publish_to_cluster};
use crate::handle::{EngineHandle, LocalRepositories};
use crate::memory::Objects;
use crate::metrics::Metrics;
use crate::runner::{Backoff, Lanes, Next, Reconcile, Runner};
use crate::watches::{Follow, Seen};
use crate::{Key, Kind, gitrepository, kustomization, probes};

/// The controllers of one cluster, ready to run.
pub struct Engine {
    ctx: Arc<Context>,
    runner: Runner,
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
    /// A part that must run for ever ended.
    #[error("the {0} ended unexpectedly")]
    Ended(&'static str),
}

impl Engine {
    /// Prepares the engine; nothing is sent yet.
    #[must_use]
    pub fn new(config: EngineConfig, cluster: Cluster) -> Self {
        let backoff = Backoff::new(config.min_retry_delay, config.max_retry_delay);
        let runner = Runner::new(Lanes::of(config.concurrent), backoff);
        let ctx = Context {
            objects: Objects::new(),
            trees: Trees::default(),
            local: LocalRepositories::default(),
            waker: runner.waker(),
            events: EventBus::new(),
            metrics: Metrics::new(runner.waker(), cluster.clone()),
            config,
            cluster,
        };
        Self { ctx: Arc::new(ctx), runner }
    }

    /// The engine from outside.
    #[must_use]
    pub fn handle(&self) -> EngineHandle {
        EngineHandle {
            objects: self.ctx.objects.clone(),
            events: self.ctx.events.clone(),
            local: self.ctx.local.clone(),
            waker: self.ctx.waker.clone(),
        }
    }

    /// Runs until `shutdown`, then lets what runs end within the grace period.
    ///
    /// # Errors
    /// If an address is taken, the watches are too few, or a part of it ends by itself.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), EngineError> {
        let Self { ctx, runner } = self;
        let mut parts: JoinSet<Result<&'static str, EngineError>> = JoinSet::new();
        let stop = shutdown.child_token();
        let ready = Arc::new(AtomicUsize::new(0));

        self::listen(&ctx, &ready, &mut parts, &stop).await?;
        let events = publish_to_cluster(ctx.events.subscribe(), ctx.cluster.clone(), stop.clone());
        parts.spawn(async move {
            events.await;
            Ok("event writer")
        });
        for kind in Kind::ALL {
            parts.spawn(follow(Arc::clone(&ctx), kind, Arc::clone(&ready), stop.clone()));
        }
        let (grace, controllers) = (ctx.config.grace, Arc::new(Controllers { ctx: Arc::clone(&ctx) }));
        let running = runner.run(controllers, grace, stop.clone());
        parts.spawn(async move {
            running.await;
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
    ready: &Arc<AtomicUsize>,
    parts: &mut JoinSet<Result<&'static str, EngineError>>,
    stop: &CancellationToken,
) -> Result<(), EngineError> {
    let watched = Kind::ALL.len();
    let health = {
        let ready = Arc::clone(ready);
        probes::health(move || ready.load(Ordering::Relaxed) >= watched)
    };
    let metrics = {
        let ctx = Arc::clone(ctx);
        probes::metrics(move || ctx.metrics.print())
    };
    for (address, what, router) in
        [(ctx.config.health_listen, "health", health), (ctx.config.metrics_listen, "metrics", metrics)]
    {
        let Some(address) = address else { continue };
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| EngineError::Listen { address, what, source })?;
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        parts.spawn(async move { serving.await.map(|()| what).map_err(|_| EngineError::Ended(what)) });
    }
    Ok(())
}

/// Follows one kind of toolkit objects and wakes what each change concerns.
async fn follow(
    ctx: Arc<Context>,
    kind: Kind,
    ready: Arc<AtomicUsize>,
    stop: CancellationToken,
) -> Result<&'static str, EngineError> {
    let selection = Selection {
        namespace: ctx.config.watch_namespace.clone(),
        labels: ctx.config.watch_label_selector.clone(),
        fields: None,
    };
    let mut told = false;
    let on = |seen: Seen| {
        if matches!(seen, Seen::Complete) && !told {
            told = true;
            ready.fetch_add(1, Ordering::Relaxed);
        }
        wake(&ctx, kind, &seen);
    };
    let follow = Follow { kind, objects: ctx.objects.clone() };
    match follow.run(&ctx.cluster, selection, on, stop).await {
        Ok(()) => Ok("watch"),
        Err(_) => Err(EngineError::Watches),
    }
}

/// Wakes what a change concerns, of the kinds that we reconcile.
fn wake(ctx: &Context, kind: Kind, seen: &Seen) {
    let ours = |kind| ctx.config.controllers.contains(&kind);
    match kind {
        Kind::GitRepository => {
            if ours(Kind::GitRepository) {
                gitrepository::watches::seen(seen, &ctx.waker);
            }
            if ours(Kind::Kustomization) {
                kustomization::watches::source_seen(seen, &ctx.objects, &ctx.waker);
            }
        }
        Kind::Kustomization if ours(Kind::Kustomization) => {
            let push = ctx.config.behaviours.push_dependents;
            kustomization::watches::seen(seen, &ctx.objects, push, &ctx.waker);
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
        let _ = (&self.ctx, key);
        Box::pin(async { Next::Await })
    }

    fn panicked(&self, _: Key, _: String) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {})
    }
}
