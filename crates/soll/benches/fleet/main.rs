//! A fleet of small Kustomizations on a real API server, beside the floor: what the server itself takes for their objects.
//!
//! Phases: the floor; all from nothing to Ready; a commit that touches one app, until all are at its revision; the engine
//! stopped and started again with nothing changed; rest. Of each: seconds, CPU seconds and peak memory of the engine, and
//! its own requests, by its user in the audit log. Leases and events are not counted.
//!
//! With `--trouble` something else is measured: two thirds of the apps alone from nothing to Ready and through a commit that
//! touches each of them, and the same beside a third that never becomes Ready: no YAML, pods that nobody runs, a source that
//! cannot be reached. With `--soak` it is a commit a minute, each for another app, and what the engine holds after each.
//!
//! `cargo xtask bench fleet` builds what it needs and runs it.
#![allow(clippy::print_stdout, reason = "figures are what it is for")]
#![allow(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "a measurement that fails has nobody to tell but its terminal"
)]

mod apps;
mod audit;
mod engine;
mod floor;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use soll_api::Object;
use soll_cluster::{ApplyOptions, Cluster, ConnectOptions, Credentials, Depth, Mode, Patch, Selection, WatchEvent};
use soll_testkit::{ControlPlane, GitServer, Repository};
use soll_yaml::Value;

use apps::{NAMESPACE, object};
use audit::Requests;
use engine::Engine;

#[derive(Parser)]
struct Arguments {
    /// The engine: a `soll` binary
    #[arg(long)]
    binary: PathBuf,
    /// How many Kustomizations
    #[arg(long, default_value_t = 300)]
    apps: usize,
    /// How many seconds the engine is left alone
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// How often the source is looked at, and every Kustomization
    #[arg(long, default_value = "60m")]
    interval: String,
    /// Whether a third of the apps, which never becomes Ready, slows down the others
    #[arg(long)]
    trouble: bool,
    /// Instead of all that: so many minutes with a commit in each
    #[arg(long, value_name = "MINUTES", conflicts_with = "trouble")]
    soak: Option<u32>,
    /// How many seconds such a minute has
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "soak")]
    every: u64,
    /// Flags for the engine
    #[arg(long, value_delimiter = ' ', allow_hyphen_values = true)]
    engine: Vec<String>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(1800);

#[tokio::main]
async fn main() {
    let mut arguments = Arguments::parse();
    // The engine runs in a folder of its own.
    arguments.binary = std::path::absolute(&arguments.binary).expect("a current directory");
    rustls::crypto::aws_lc_rs::default_provider().install_default().expect("nobody was before us");
    if arguments.trouble {
        for third in [Third::Absent, Third::Troubled] {
            trouble(&arguments, third).await;
        }
        return;
    }
    if let Some(minutes) = arguments.soak {
        return soak(&arguments, minutes).await;
    }
    let (servers, cluster) = start().await;

    let count = arguments.apps;
    let floor = floor::measure(&cluster, count).await;
    println!(
        "floor: {count} apps, {} objects: created {:.2} s, all Current {:.2} s, applied again {:.2} s",
        4 * count,
        floor.created.as_secs_f64(),
        floor.current.as_secs_f64(),
        floor.again.as_secs_f64(),
    );

    let git = GitServer::start();
    let mut fleet = Fleet::start(servers, cluster, &git, &arguments, count);
    fleet.floor = floor.current;
    fleet.make_source(&arguments.interval).await;

    fleet.install(&arguments.interval).await;
    fleet.change_one().await;
    fleet.restart(&arguments.binary, &arguments.engine).await;
    fleet.rest(Duration::from_secs(arguments.rest)).await;
}

/// What there is beside the apps that become Ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Third {
    Absent,
    Troubled,
}

/// How long two thirds of the apps take, beside what a third does.
async fn trouble(arguments: &Arguments, third: Third) {
    let (servers, cluster) = start().await;
    let git = GitServer::start();
    let count = arguments.apps * 2 / 3;
    let mut fleet = Fleet::start(servers, cluster, &git, arguments, count);
    let troubled = || (count..arguments.apps).map(|number| (number, apps::Trouble::of(number)));
    troubled().for_each(|(number, trouble)| apps::write_troubled(&fleet.repository, number, trouble));
    fleet.make_source(&arguments.interval).await;
    println!("{count} apps, the third beside them {third:?}:");
    if third == Third::Troubled {
        for (number, trouble) in troubled() {
            for object in apps::troubled(number, trouble, &arguments.interval) {
                fleet.put(&object).await;
            }
        }
    }
    fleet.install(&arguments.interval).await;
    fleet.change_all().await;
}

/// A commit a minute, each for another app.
async fn soak(arguments: &Arguments, minutes: u32) {
    let (servers, cluster) = start().await;
    let git = GitServer::start();
    let mut fleet = Fleet::start(servers, cluster, &git, arguments, arguments.apps);
    fleet.make_source(&arguments.interval).await;
    fleet.install(&arguments.interval).await;
    let mut ticks = tokio::time::interval(Duration::from_secs(arguments.every));
    for minute in 0..minutes {
        ticks.tick().await;
        apps::change(&fleet.repository, minute as usize % fleet.count, &format!("minute-{minute}"));
        fleet.follow_commit(&format!("minute {minute}")).await;
        println!("  holds {:.1} MiB, {} objects in line", fleet.engine.held_mebibytes(), fleet.engine.waiting());
    }
}

/// A control plane with our definitions, and a way in for its operator.
async fn start() -> (ControlPlane, Cluster) {
    let servers = ControlPlane::start();
    let credentials = Credentials::Kubeconfig(servers.kubeconfig());
    let options = ConnectOptions { credentials, qps: 0.0, ..ConnectOptions::default() };
    let cluster = Cluster::connect(&options).await.expect("the operator gets in");
    for crd in soll_api::crds() {
        let crd = Object::new(crd).expect("an object");
        cluster.apply(&crd, &ApplyOptions::forced("operator")).await.expect("a definition");
    }
    (servers, cluster)
}

/// The apps, who keeps them, and what is measured against.
struct Fleet {
    servers: ControlPlane,
    cluster: Cluster,
    repository: Repository,
    engine: Engine,
    floor: Duration,
    count: usize,
}

impl Fleet {
    /// An engine, and a repository with so many apps for it.
    fn start(servers: ControlPlane, cluster: Cluster, git: &GitServer, arguments: &Arguments, count: usize) -> Self {
        let repository = git.repository("fleet");
        apps::write(&repository, count);
        let engine = Engine::start(&arguments.binary, &servers.engine_kubeconfig(), &arguments.engine);
        Self { servers, cluster, repository, engine, floor: Duration::ZERO, count }
    }

    /// The namespace and the source; returns when the source has its artifact.
    async fn make_source(&self, interval: &str) {
        let namespace =
            object(&serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}));
        self.put(&namespace).await;
        self.repository.push("the fleet");
        self.put(&apps::source(self.repository.url(), interval)).await;
        self.follow("source.toolkit.fluxcd.io/v1", "GitRepository", 1, |source| condition_holds(source, "Ready")).await;
    }

    async fn install(&mut self, interval: &str) {
        let before = self.requests();
        let start = Instant::now();
        for number in 0..self.count {
            let kustomization = apps::kustomization(number, interval);
            self.cluster.create(&kustomization, "operator", Mode::Real).await.expect("created");
        }
        self.all_at(&self.repository.git(&["rev-parse", "HEAD"])).await;
        self.report("install", start.elapsed(), &before, Duration::ZERO);
        if !self.floor.is_zero() {
            println!("  {:.2} times the floor", start.elapsed().as_secs_f64() / self.floor.as_secs_f64());
        }
    }

    async fn change_one(&mut self) {
        apps::change(&self.repository, 0, "debug");
        self.follow_commit("one app of them changed").await;
    }

    async fn change_all(&mut self) {
        (0..self.count).for_each(|number| apps::change(&self.repository, number, "debug"));
        self.follow_commit("all apps changed").await;
    }

    async fn follow_commit(&mut self, what: &str) {
        let (before, cpu, start) = (self.requests(), self.engine.cpu(), Instant::now());
        let commit = self.repository.push(what);
        let asked = serde_json::json!({"reconcile.fluxcd.io/requestedAt": commit});
        let patch = apps::value(&serde_json::json!({"metadata": {"annotations": asked}}));
        let source = apps::source("", "1h");
        let patched =
            self.cluster.patch(&source.gvk(), NAMESPACE, source.name(), &Patch::Merge(patch), "operator").await;
        patched.expect("the source is there");
        self.all_at(&commit).await;
        self.report(what, start.elapsed(), &before, cpu);
    }

    /// Nothing changed meanwhile: what a restart costs, until every object had its first pass.
    async fn restart(&mut self, binary: &std::path::Path, flags: &[String]) {
        let before = self.requests();
        let start = Instant::now();
        self.engine.restart(binary, &self.servers.engine_kubeconfig(), flags);
        let first_pass = self.engine.first_pass(PATIENCE).await;
        self.report("restart", start.elapsed(), &before, Duration::ZERO);
        println!("  first pass over all after {first_pass:.2} s, by its own account");
    }

    async fn rest(&mut self, time: Duration) {
        let (before, cpu, start) = (self.requests(), self.engine.cpu(), Instant::now());
        tokio::time::sleep(time).await;
        self.report("rest", start.elapsed(), &before, cpu);
        let share = (self.engine.cpu() - cpu).as_secs_f64() / time.as_secs_f64();
        println!("  {:.2} % of one core", 100.0 * share);
    }

    fn requests(&self) -> Requests {
        Requests::read(&self.servers.audit_log())
    }

    fn report(&self, phase: &str, took: Duration, before: &Requests, cpu: Duration) {
        let requests = self.requests().since(before);
        println!(
            "{phase}: {:.2} s, {:.2} CPU s, peak {:.1} MiB, {} requests, {:.2} for each app ({requests})",
            took.as_secs_f64(),
            self.engine.cpu().saturating_sub(cpu).as_secs_f64(),
            self.engine.peak_mebibytes(),
            requests.total(),
            requests.total() as f64 / self.count as f64,
        );
    }

    async fn put(&self, object: &Object) {
        self.cluster.apply(object, &ApplyOptions::forced("operator")).await.expect("applied");
    }

    /// Waits until every Kustomization is Ready at a commit.
    async fn all_at(&self, commit: &str) {
        let commit = commit.trim();
        self.follow("kustomize.toolkit.fluxcd.io/v1", "Kustomization", self.count, |kustomization| {
            let revision = kustomization.value().lookup_str(&["status", "lastAppliedRevision"]).unwrap_or_default();
            condition_holds(kustomization, "Ready") && revision.ends_with(commit)
        })
        .await;
    }

    /// Waits until so many objects are as wanted.
    async fn follow(&self, api_version: &str, kind: &str, count: usize, wanted: impl Fn(&Object) -> bool) {
        let gvk = soll_api::Gvk::new(api_version, kind);
        let selection = Selection::all().within(NAMESPACE);
        let mut watch = self.cluster.watch(&gvk, selection, Depth::Whole).expect("a place in the budget");
        let mut done = std::collections::BTreeSet::new();
        let following = async {
            while done.len() < count {
                let objects = match watch.next().await {
                    WatchEvent::Restarted(objects) => objects,
                    WatchEvent::Applied(object) => vec![object],
                    WatchEvent::Deleted(_) | WatchEvent::Interrupted(_) => Vec::new(),
                };
                for object in objects {
                    match wanted(&object) {
                        true => done.insert(object.name().to_owned()),
                        false => done.remove(object.name()),
                    };
                }
            }
        };
        let followed = tokio::time::timeout(PATIENCE, following).await;
        assert!(followed.is_ok(), "{} of {count} {kind} objects are as wanted\n{}", done.len(), self.engine.log());
    }
}

fn condition_holds(object: &Object, kind: &str) -> bool {
    let conditions = object.value().lookup(&["status", "conditions"]).and_then(Value::as_list).unwrap_or_default();
    let found = conditions.iter().find(|condition| condition.lookup_str(&["type"]) == Some(kind));
    found.and_then(|condition| condition.lookup_str(&["status"])) == Some("True")
}
