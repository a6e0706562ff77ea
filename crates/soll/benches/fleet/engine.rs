//! The engine as a process, and what it takes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use soll_testkit::usage::{self, Memory};
use soll_testkit::{Keeper, Kept};

const FIRST_PASS: &str = "soll_first_pass_seconds{name=\"kustomization\"}";

/// Where it answers: the same after a restart, as behind a Service.
#[derive(Clone, Copy)]
struct Ports {
    metrics: u16,
    artifacts: u16,
}

/// A running `soll controller`.
pub(crate) struct Engine {
    process: Kept,
    ports: Ports,
    keeper: Keeper,
}

impl Engine {
    /// Starts it as the user of a kubeconfig.
    pub(crate) fn start(binary: &Path, kubeconfig: &Path, flags: &[String]) -> Self {
        let folder = tempfile::Builder::new().prefix("soll-fleet-").tempdir().expect("a temporary folder").keep();
        let keeper = Keeper::of(folder).expect("a shell can be started");
        let listeners = [(); 2].map(|()| std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
        let [metrics, artifacts] = listeners.map(|listener| listener.local_addr().expect("it is bound").port());
        let ports = Ports { metrics, artifacts };
        Self { process: run(&keeper, ports, binary, kubeconfig, flags), ports, keeper }
    }

    /// Ends it and starts it again, with what it has on disk and nothing in memory.
    pub(crate) fn restart(&mut self, binary: &Path, kubeconfig: &Path, flags: &[String]) {
        self.process.stop().expect("it ends");
        self.process = run(&self.keeper, self.ports, binary, kubeconfig, flags);
    }

    /// Waits until every Kustomization was reconciled at least once; returns how long after its start it says that was.
    pub(crate) async fn first_pass(&self, patience: Duration) -> f64 {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(seconds) = self.first_pass_seconds() {
                return seconds;
            }
            assert!(Instant::now() < deadline, "not all objects had their first pass\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn first_pass_seconds(&self) -> Option<f64> {
        let metrics = self.metrics();
        let seconds = metrics.lines().find_map(|line| line.strip_prefix(FIRST_PASS))?;
        Some(seconds.trim().parse().expect("a number"))
    }

    /// How many objects wait for their turn.
    pub(crate) fn waiting(&self) -> u64 {
        let metrics = self.metrics();
        let depths = metrics.lines().filter(|line| line.starts_with("workqueue_depth{"));
        depths.filter_map(|line| line.rsplit_once(' ')).map(|(_, depth)| depth.parse::<u64>().expect("a number")).sum()
    }

    fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.ports.metrics);
        let curl = Command::new("curl").args(["--silent", "--max-time", "5", &url]).output().expect("curl is there");
        String::from_utf8_lossy(&curl.stdout).into_owned()
    }

    /// CPU time since it was started.
    pub(crate) fn cpu(&self) -> Duration {
        usage::cpu(self.process.id())
    }

    /// The most memory that it ever held, in MiB.
    pub(crate) fn peak_mebibytes(&self) -> f64 {
        usage::mebibytes(self.process.id(), Memory::Peak)
    }

    /// What it holds now, in MiB.
    pub(crate) fn held_mebibytes(&self) -> f64 {
        usage::mebibytes(self.process.id(), Memory::Held)
    }

    /// What it printed last.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.keeper.folder().join("engine.log")).unwrap_or_default();
        let last: Vec<_> = log.lines().rev().take(20).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

fn run(keeper: &Keeper, ports: Ports, binary: &Path, kubeconfig: &Path, flags: &[String]) -> Kept {
    let mut command = Command::new(binary);
    let (allocation, value) = soll_api::ALLOCATION;
    command.env(allocation, value).args(["controller", "--health-addr=0", "--log-level=warn"]);
    command.arg(format!("--metrics-addr=127.0.0.1:{}", ports.metrics));
    command.arg(format!("--storage-addr=127.0.0.1:{}", ports.artifacts));
    command.arg("--kubeconfig").arg(kubeconfig).arg("--storage-path").arg(keeper.folder().join("data")).args(flags);
    keeper.start("engine", &mut command).expect("the engine starts")
}
