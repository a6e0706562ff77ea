//! `soll up`: everything on this machine.
//!
//! Starts the embedded API server and the engine in this process, has a repository reconciled, and shows how it
//! goes. [`up`] reads from top to bottom.

mod home;
mod progress;
mod refs;
mod repository;
mod sample;
mod takeover;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use soll_api::{Gvk, Object};
use soll_apiserver::sim::{Simulation, SimulationOptions};
use soll_apiserver::store::{Keeping, Recovery};
use soll_apiserver::{Reach, Running, ServeError, Server, ServerOptions};
use soll_cluster::{ApplyOptions, Cluster, ConnectOptions};
use soll_controllers::{Engine, EngineConfig, EngineHandle, LeaderElection};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::arguments::{Output, Up};
use crate::controller::identity;
use crate::remote::FIELD_MANAGER;
use crate::terminal::{self, Palette, Tone};
use crate::{logging, signals};
use home::Home;
use progress::{Overall, Progress, overall};
use repository::{NAMESPACE, Repository};

/// Where the embedded API server listens unless told otherwise.
const PORT: u16 = 7654;

/// Runs until interrupted, or with `--once` until all is Ready or something failed for good.
pub(crate) async fn up(arguments: &Up) -> anyhow::Result<u8> {
    let started = Instant::now();
    logging::start("error", false)?;
    let home = Home::open(arguments.home.as_deref())?;
    let repository = Repository::find(arguments, &home)?;
    let shutdown = CancellationToken::new();
    let interrupted = tokio::spawn(signals::cancel(shutdown.clone()));

    let ground = match &arguments.context {
        Some(context) => Ground::real(context, arguments, &repository).await?,
        None => Ground::embedded(arguments, &home).await?,
    };
    install(&ground.cluster).await?;
    let mut config = EngineConfig::new(home.cache());
    config.leader_election = arguments.context.as_ref().map(|_| LeaderElection::new(NAMESPACE, &identity()));
    let engine = Engine::new(config, ground.cluster.clone());
    let handle = engine.handle();
    if let Some(socket) = repository.ssh_agent() {
        handle.use_ssh_agent(socket, NAMESPACE, &repository.name);
    }
    let _refs = match repository.directory() {
        Some(directory) => {
            handle.add_local_repository(&repository.name, directory, NAMESPACE, &repository.name);
            Some(refs::watch(directory, &repository.name, &handle)?)
        }
        None => None,
    };
    for object in repository.objects()? {
        let applied = ground.cluster.apply(&object, &ApplyOptions::forced(FIELD_MANAGER)).await;
        applied.with_context(|| format!("cannot apply {}", object.object_ref()))?;
    }
    introduce(arguments, &ground, &home, &repository);

    let mut running = tokio::spawn(engine.run(shutdown.clone()));
    let code = tokio::select! {
        code = follow(&handle, arguments, started, &repository) => code,
        ended = &mut running => {
            ended.context("the engine panicked")??;
            return Ok(0);
        }
        () = shutdown.cancelled() => 0,
    };
    shutdown.cancel();
    running.await.context("the engine panicked")??;
    interrupted.abort();
    ground.close().await;
    Ok(code)
}

/// An API server that keeps its objects in a directory, if one is named, and says what it found there.
fn embedded_server(arguments: &Up) -> anyhow::Result<Server> {
    let mut options = ServerOptions::default();
    if !arguments.insecure_expose.is_empty() {
        options.reach = Reach::Network { names: arguments.insecure_expose.clone() };
    }
    let Some(data) = arguments.data.as_deref() else { return Ok(Server::new(&options)?) };
    options.keeping = Some(Keeping::new(data));
    let server = Server::new(&options)?;
    if let Some(Recovery { revision, cut, .. }) = server.recovery().filter(|found| !found.is_new()) {
        terminal::say(&format!("going on from revision {revision} in {}", data.display()));
        if let Some(bytes) = cut {
            terminal::say(&format!(
                "the last write there was not finished and never answered: its {bytes} bytes are kept beside the log, in a \
                 file that ends in .torn"
            ));
        }
    }
    Ok(server)
}

/// The cluster that is reconciled, and what must be ended with it.
struct Ground {
    cluster: Cluster,
    embedded: Option<Embedded>,
}

struct Embedded {
    server: Server,
    running: Running,
    simulation: Simulation,
}

impl Ground {
    async fn embedded(arguments: &Up, home: &Home) -> anyhow::Result<Self> {
        let server = embedded_server(arguments)?;
        let ip = if arguments.insecure_expose.is_empty() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let address = |port| SocketAddr::from((ip, port));
        let running = match (server.serve(address(arguments.port.unwrap_or(PORT))).await, arguments.port) {
            (Ok(running), _) => running,
            (Err(error), None) if is_port_taken(&error) => {
                let running = server.serve(address(0)).await?;
                terminal::say(&format!("port {PORT} is taken: using {}", running.address().port()));
                running
            }
            (Err(error), Some(port)) if is_port_taken(&error) => {
                return Err(error)
                    .context(format!("port {port} is taken: choose another one with --port, or leave it out"));
            }
            (Err(error), _) => return Err(error.into()),
        };
        running.write_kubeconfig(&home.kubeconfig()).context("cannot write the kubeconfig")?;
        // Nobody but us to be polite to.
        let options = ConnectOptions { qps: 0.0, max_watches: 10_000, ..ConnectOptions::default() };
        let cluster = Cluster::from_service(server.service(), &options);
        let simulation = Simulation::start(cluster.clone(), SimulationOptions::default()).await?;
        Ok(Self { cluster, embedded: Some(Embedded { server, running, simulation }) })
    }

    async fn real(context: &str, arguments: &Up, repository: &Repository) -> anyhow::Result<Self> {
        let options = ConnectOptions { context: Some(context.to_owned()), ..ConnectOptions::default() };
        let cluster = Cluster::connect(&options).await?;
        takeover::check(&cluster).await?;
        if !arguments.yes {
            takeover::ask(context, &cluster, repository)?;
        }
        Ok(Self { cluster, embedded: None })
    }

    async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.simulation.stop().await;
            embedded.server.close().await;
            embedded.running.closed().await;
        }
    }
}

fn is_port_taken(error: &ServeError) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
}

/// Brings in the namespace and the CRDs, where they are absent, and waits until the kinds are served.
async fn install(cluster: &Cluster) -> anyhow::Result<()> {
    let namespace = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    let mut objects = vec![Object::new(soll_yaml::to_value(&namespace)?)?];
    for crd in soll_api::crds() {
        objects.push(Object::new(crd)?);
    }
    for object in objects {
        if cluster.find(&object.gvk(), "", object.name()).await?.is_none() {
            let applied = cluster.apply(&object, &ApplyOptions::forced(FIELD_MANAGER)).await;
            applied.with_context(|| format!("cannot apply {}", object.object_ref()))?;
        }
    }
    cluster.expect_new_resources();
    for gvk in [crate::arguments::Kind::Source.gvk(), crate::arguments::Kind::Kustomization.gvk()] {
        timeout(Duration::from_secs(30), served(cluster, &gvk))
            .await
            .with_context(|| format!("the API server does not serve {gvk} after 30 s: see `kubectl get crds`"))?;
    }
    Ok(())
}

async fn served(cluster: &Cluster, gvk: &Gvk) {
    while cluster.resource(gvk).await.is_err() {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cluster.expect_new_resources();
    }
}

/// Shows progress. Ends with `--once` only: 0 if all became Ready, 1 if not.
async fn follow(handle: &EngineHandle, arguments: &Up, started: Instant, repository: &Repository) -> u8 {
    let mut progress = Progress::new(started, arguments.output, arguments.quiet);
    let mut changes = handle.changes();
    let deadline = tokio::time::sleep(arguments.timeout);
    tokio::pin!(deadline);
    let mut told = None;
    loop {
        let states = handle.states();
        progress.show(&states);
        let now = overall(&states);
        if arguments.once && now != Overall::Working {
            if now == Overall::Failed {
                progress.failures(&states);
            }
            return u8::from(now == Overall::Failed);
        }
        if told != Some(now) && now == Overall::Ready && !arguments.quiet && arguments.output == Output::Text {
            let text = format!("Ready: {} objects after {:.1} s", states.len(), started.elapsed().as_secs_f64());
            terminal::say(&Palette::stderr().paint(Tone::Good, &text));
            if told.is_none() {
                suggest(repository);
            }
        }
        if now != Overall::Working {
            told = Some(now);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return 1;
            },
            () = &mut deadline, if arguments.once => {
                terminal::say(&format!("not Ready after {}s:", arguments.timeout.as_secs()));
                progress.failures(&handle.states());
                return 1;
            }
        }
    }
}

fn introduce(arguments: &Up, ground: &Ground, home: &Home, repository: &Repository) {
    if arguments.quiet || arguments.output == Output::Json {
        return;
    }
    let palette = Palette::stderr();
    match &ground.embedded {
        Some(Embedded { running, .. }) => {
            terminal::say(&format!(
                "Embedded API server at {}. No container runs here: workloads are simulated.",
                running.url()
            ));
            if !arguments.insecure_expose.is_empty() {
                terminal::say("Others can reach it: whoever has the token of its kubeconfig has all that is in it.");
            }
            terminal::say(&format!(
                "  export KUBECONFIG={}",
                palette.paint(Tone::Strong, &home.kubeconfig().display().to_string())
            ));
        }
        None => terminal::say(&format!("Reconciling the cluster at {}.", ground.cluster.url())),
    }
    terminal::say(&format!("Repository {}, path {}", repository.place(), repository.path));
}

fn suggest(repository: &Repository) {
    let palette = Palette::stderr();
    let mut lines =
        vec!["Try: kubectl get pods -A".to_owned(), "     soll tree kustomization ".to_owned() + &repository.name];
    if let Some(directory) = repository.directory() {
        lines.push(format!("     edit a file in {}, commit, and see it converge", directory.display()));
    }
    lines.push("Ctrl-C ends it; the cluster is gone then, the repository stays.".to_owned());
    lines.iter().for_each(|line| terminal::say(&palette.paint(Tone::Faint, line)));
}
