//! One play of a scenario: a namespace, a repository, a proxy, and an engine that is started again whenever it dies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use soll_cluster::{DeleteOptions, Patch};
use soll_testkit::{Answered, Fault, Keeper, Kept, Point, Proxy};

use super::outcome;
use super::scenarios::Scenario;
use crate::bed::{Bed, PATIENCE, Stage, await_line, gvk, runtime};

/// What stands for the namespace of a play wherever it is told of.
const HERE: &str = "HERE";

/// What a scenario plays on.
pub(super) struct Play<'b> {
    pub(super) stage: Stage<'b>,
    pub(super) proxy: Proxy,
    pub(super) engine: Arc<Supervisor>,
    /// Another engine for the same namespace, which nothing befalls.
    companion: Mutex<Option<(Arc<Supervisor>, Proxy)>>,
    fault: Mutex<Option<(Point, Fault)>>,
    uids: Mutex<BTreeMap<String, String>>,
}

/// What came of a play.
pub(super) struct Played {
    /// What was asked since the faults began to threaten.
    pub(super) asked: Vec<Answered>,
    pub(super) reached: bool,
    pub(super) left: Vec<String>,
    /// How it failed to come to its end.
    pub(super) panicked: Option<String>,
    /// The end of the engine's log.
    pub(super) told: String,
}

impl<'b> Play<'b> {
    /// Sets a play up; the engine is started by the scenario.
    pub(super) fn new(bed: &'b Bed) -> Self {
        static PLAYS: AtomicUsize = AtomicUsize::new(0);
        let stage = bed.stage(&format!("fault-{:04}", PLAYS.fetch_add(1, Ordering::Relaxed)));
        let engine = Supervisor::of(&stage.namespace);
        let supervisor = Arc::clone(&engine);
        let proxy = Proxy::start(&bed.kubeconfig, move || supervisor.restart());
        engine.connect(&proxy);
        Self { stage, proxy, engine, companion: Mutex::default(), fault: Mutex::default(), uids: Mutex::default() }
    }

    /// Starts another engine beside the first, with more arguments.
    pub(super) fn accompany(&self, more: &'static [&'static str]) {
        let companion = Supervisor::of(&self.stage.namespace);
        let proxy = Proxy::start(&self.stage.bed.kubeconfig, || panic!("nobody asked for its death"));
        companion.connect(&proxy);
        companion.start_with(more);
        *self.companion.lock().expect("nobody panics here") = Some((companion, proxy));
    }

    /// Plays a scenario, with a fault or without.
    pub(super) fn of(bed: &'b Bed, scenario: &Scenario, fault: Option<(Point, Fault)>) -> Played {
        let play = Self::new(bed);
        *play.fault.lock().expect("nobody panics here") =
            fault.map(|(point, fault)| (renamed(&point, HERE, &play.stage.namespace), fault));
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (scenario.act)(&play)));
        let panicked = acted.err().map(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
        });
        let log = |proxy: &Proxy| {
            let log = proxy.log().into_iter();
            log.map(|answered| Answered { point: renamed(&answered.point, &play.stage.namespace, HERE), ..answered })
        };
        let asked: Vec<_> = log(&play.proxy).collect();
        let companion = play.companion.lock().expect("nobody panics here").take();
        let by_all: Vec<_> = asked.iter().cloned().chain(companion.iter().flat_map(|(_, proxy)| log(proxy))).collect();
        let left = outcome::of(&play.stage, &play.uids.lock().expect("nobody panics here"), &by_all);
        let left = left.into_iter().map(|line| line.replace(&play.stage.namespace, HERE)).collect();
        let told = companion.iter().map(|(companion, _)| companion.told()).collect::<String>();
        let told = format!("{}\n{told}", play.engine.told());
        let played = Played { asked, reached: play.proxy.reached(), left, panicked, told };
        drop(companion);
        play.clear();
        played
    }

    /// From here on the fault threatens, and what there is counts as what was there before.
    pub(super) fn threaten(&self) {
        *self.uids.lock().expect("nobody panics here") = outcome::uids(&self.stage);
        self.proxy.arm(self.fault.lock().expect("nobody panics here").take());
    }

    /// Removes what would be in the way of later plays.
    fn clear(self) {
        self.engine.stop();
        let (bed, namespace) = (self.stage.bed, self.stage.namespace.as_str());
        let free = br#"{"metadata":{"finalizers":null}}"#;
        let free = Patch::Merge(soll_yaml::parse_json(free).expect("JSON"));
        runtime().block_on(async {
            for kind in ["Kustomization", "GitRepository"] {
                for name in outcome::names(bed, kind, namespace).await {
                    let freed = bed.cluster.patch(&gvk(kind), namespace, &name, &free, "test").await;
                    freed.unwrap_or_else(|error| panic!("free {kind}/{name}: {error}"));
                }
            }
            let deleted = bed.cluster.delete(&gvk("Namespace"), "", namespace, &DeleteOptions::default()).await;
            deleted.unwrap_or_else(|error| panic!("delete {namespace}: {error}"));
        });
    }
}

/// The same request in another namespace.
fn renamed(point: &Point, from: &str, to: &str) -> Point {
    let rename = |text: &String| if text == from { to.to_owned() } else { text.clone() };
    let mut point = point.clone();
    point.asked.namespace = rename(&point.asked.namespace);
    point.asked.name = rename(&point.asked.name);
    point
}

/// How often it is looked whether an engine ended by itself.
const ROUND: Duration = Duration::from_millis(500);

/// Keeps an engine for one namespace running: one that ends by itself, as who loses a lease does, is started again, as a kubelet
/// would.
pub(super) struct Supervisor {
    running: Mutex<Option<Kept>>,
    /// Beside those of every engine.
    arguments: Mutex<&'static [&'static str]>,
    namespace: String,
    // Last, so that the engine is killed before its folder is removed.
    keeper: Keeper,
}

impl Supervisor {
    fn of(namespace: &str) -> Arc<Self> {
        let folder = tempfile::Builder::new().prefix("soll-play-").tempdir().expect("a temporary folder").keep();
        let keeper = Keeper::of(folder).expect("a shell can be started");
        let namespace = namespace.to_owned();
        let supervisor = Arc::new(Self { running: Mutex::default(), arguments: Mutex::default(), keeper, namespace });
        let weak = Arc::downgrade(&supervisor);
        std::thread::spawn(move || {
            while let Some(supervisor) = weak.upgrade() {
                supervisor.start_what_ended();
                drop(supervisor);
                std::thread::park_timeout(ROUND);
            }
        });
        supervisor
    }

    fn start_what_ended(&self) {
        let mut running = self.running();
        if running.as_mut().is_some_and(Kept::ended) {
            // What is left of the old one goes first: it goes by the same name.
            drop(running.take());
            *running = Some(self.begin());
        }
    }

    /// Says where its API server is.
    fn connect(&self, proxy: &Proxy) {
        std::fs::write(self.kubeconfig(), proxy.kubeconfig()).expect("the temporary folder can be written");
    }

    fn kubeconfig(&self) -> PathBuf {
        self.keeper.folder().join("kubeconfig")
    }

    /// Starts it with more arguments, which it keeps when it is started again.
    pub(super) fn start_with(&self, more: &'static [&'static str]) {
        *self.arguments.lock().expect("nobody panics here") = more;
        self.start();
    }

    pub(super) fn start(&self) {
        *self.running() = Some(self.begin());
    }

    fn begin(&self) -> Kept {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soll"));
        command.args(["controller", "--storage-addr=127.0.0.1:0"]);
        command.args(["--health-addr=0", "--metrics-addr=0", "--requeue-dependency=1s", "--log-level=debug"]);
        command.args(["--watch-all-namespaces=false", "--runtime-namespace", &self.namespace]);
        command.arg("--kubeconfig").arg(self.kubeconfig());
        command.arg("--storage-path").arg(self.keeper.folder().join("data"));
        let more = *self.arguments.lock().expect("nobody panics here");
        // The address that is advertised stays the same where nobody else asks for artifacts.
        command.args(if more.is_empty() { &["--storage-adv-addr=artifacts.invalid"] } else { more });
        self.keeper.start("engine", &mut command).expect("the engine starts")
    }

    /// Kills it.
    pub(super) fn stop(&self) {
        drop(self.running().take());
    }

    fn restart(&self) {
        self.stop();
        self.start();
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.running.lock().expect("nobody panics here")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until the log says something so often.
    pub(super) fn await_log(&self, times: usize, what: &str) {
        await_line(&self.log_path(), times, &[what]);
    }

    fn log_path(&self) -> PathBuf {
        Path::new(self.keeper.folder()).join("engine.log")
    }

    /// Waits until the engine that runs now has looked at every Kustomization there is.
    pub(super) fn first_passes(&self, engines: usize) {
        let deadline = Instant::now() + PATIENCE;
        let is_told = |line: &&str| line.contains("every object had its first pass") && line.contains("Kustomization");
        while self.log().lines().filter(is_told).count() < engines {
            assert!(Instant::now() < deadline, "no first pass over all\n{}", self.told());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The end of the log, without what libraries say of connections.
    fn told(&self) -> String {
        const LIBRARIES: [&str; 2] = [r#""target":"hyper_util"#, r#""target":"tower"#];
        let log = self.log();
        let own = log.lines().rev().filter(|line| !LIBRARIES.iter().any(|library| line.contains(library)));
        let last: Vec<_> = own.take(150).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
