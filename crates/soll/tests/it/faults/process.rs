//! One of several processes for one cluster.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use soll_api::Object;
use soll_testkit::{Answered, Asked, Fault, Keeper, Kept, Point, Proxy};

use crate::bed::{Stage, await_line, runtime};

/// How long a lease counts after its last renewal.
pub(super) const DURATION: Duration = Duration::from_secs(6);

/// A process that contends for the leases, and what it asks for.
pub(super) struct Process {
    pub(super) running: Kept,
    pub(super) proxy: Proxy,
    pub(super) log: PathBuf,
    health: u16,
    // Last, so that the process is killed before its folder is removed.
    _keeper: Keeper,
}

impl Process {
    /// Starts one for the namespace of a stage, with more arguments.
    pub(super) fn start(stage: &Stage<'_>, more: &[&str]) -> Self {
        Self::start_at(stage, 0, more)
    }

    /// The same, with its artifacts at a port of our choice.
    pub(super) fn start_at(stage: &Stage<'_>, artifacts: u16, more: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("soll-process-").tempdir().expect("a temporary folder").keep();
        let keeper = Keeper::of(folder).expect("a shell can be started");
        let kubeconfig = keeper.folder().join("kubeconfig");
        let proxy = Proxy::start(&stage.bed.kubeconfig, || panic!("nobody asked for its death"));
        std::fs::write(&kubeconfig, proxy.kubeconfig()).expect("the temporary folder can be written");
        let health = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_soll"));
        command.arg("controller").arg(format!("--storage-addr=127.0.0.1:{artifacts}")).args(more);
        command.arg(format!("--health-addr=127.0.0.1:{health}"));
        command.args(["--metrics-addr=0", "--requeue-dependency=1s", "--log-level=debug"]);
        command.args(["--watch-all-namespaces=false", "--runtime-namespace", &stage.namespace]);
        command.args(["--enable-leader-election", "--leader-election-renew-deadline=4s"]);
        command.arg(format!("--leader-election-lease-duration={}s", DURATION.as_secs()));
        command.args(["--leader-election-retry-period=500ms", "--concurrent-ssa=1"]);
        command.arg("--kubeconfig").arg(&kubeconfig).arg("--storage-path").arg(keeper.folder().join("data"));
        let running = keeper.start("engine", &mut command).expect("the engine starts");
        Self { running, proxy, log: keeper.folder().join("engine.log"), health, _keeper: keeper }
    }

    /// Waits until it has both leases.
    pub(super) fn leads(&self) {
        await_line(&self.log, 2, &["became leader"]);
    }

    /// Waits until it knows that somebody else has both.
    pub(super) fn waits(&self) {
        await_line(&self.log, 2, &["waiting for the lease"]);
    }

    /// Whether a Service would lead to it.
    pub(super) fn is_ready(&self) -> bool {
        let url = format!("http://127.0.0.1:{}/readyz", self.health);
        let answer = runtime().block_on(reqwest::get(&url));
        answer.expect("it listens before it contends").status().is_success()
    }

    /// Has the answer to its first apply of a ConfigMap take some seconds.
    pub(super) fn hears_late_of(&self, stage: &Stage<'_>, config_map: &str) {
        let asked = Asked {
            verb: "apply",
            dry: false,
            resource: "configmaps".to_owned(),
            part: String::new(),
            namespace: stage.namespace.clone(),
            name: config_map.to_owned(),
        };
        self.proxy.arm(Some((Point { asked, nth: 0 }, Fault::Late(Duration::from_secs(3)))));
    }

    /// What it has asked to be changed, leases and events aside.
    pub(super) fn writes(&self) -> Vec<Asked> {
        self.timed_writes().into_iter().map(|answered| answered.point.asked).collect()
    }

    pub(super) fn applies(&self) -> usize {
        self.writes().iter().filter(|asked| asked.resource == "configmaps").count()
    }

    /// What it has asked to be changed, with the times, leases and events aside.
    pub(super) fn timed_writes(&self) -> Vec<Answered> {
        let other = |asked: &Asked| matches!(asked.resource.as_str(), "leases.coordination.k8s.io" | "events");
        let log = self.proxy.log().into_iter();
        log.filter(|answered| answered.point.asked.writes() && !other(&answered.point.asked)).collect()
    }
}

/// A port that was free just now.
pub(super) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
    listener.local_addr().expect("it is bound").port()
}

/// A time in the spec of a lease.
pub(super) fn time(lease: &Object, field: &str) -> Timestamp {
    lease.value().lookup_str(&["spec", field]).expect("it has times").parse().expect("a time")
}
