//! Two processes for one cluster: by their leases, one of them works at a time.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use soll_api::{Gvk, Object};
use soll_testkit::{Asked, Fault, Keeper, Kept, Point, Proxy};

use super::config_maps;
use crate::bed::{Bed, Ground, Stage, await_line, runtime, until};
use crate::on_both_grounds;

on_both_grounds!(
    the_second_process_goes_on_when_the_first_is_killed,
    a_process_that_stood_still_writes_nothing_when_it_goes_on,
);

const LEASE: &str = "kustomize-controller-leader-election";
const DURATION: Duration = Duration::from_secs(6);
const OBJECTS: usize = 12;

/// A process that contends for the leases, and what it asks for.
struct Process {
    running: Kept,
    proxy: Proxy,
    log: PathBuf,
    // Last, so that the process is killed before its folder is removed.
    _keeper: Keeper,
}

impl Process {
    fn start(stage: &Stage<'_>) -> Self {
        let folder = tempfile::Builder::new().prefix("soll-process-").tempdir().expect("a temporary folder").keep();
        let keeper = Keeper::of(folder).expect("a shell can be started");
        let kubeconfig = keeper.folder().join("kubeconfig");
        let proxy = Proxy::start(&stage.bed.kubeconfig, || panic!("nobody asked for its death"));
        std::fs::write(&kubeconfig, proxy.kubeconfig()).expect("the temporary folder can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_soll"));
        command.args(["controller", "--storage-addr=127.0.0.1:0", "--storage-adv-addr=artifacts.invalid"]);
        command.args(["--health-addr=0", "--metrics-addr=0", "--requeue-dependency=1s", "--log-level=debug"]);
        command.args(["--watch-all-namespaces=false", "--runtime-namespace", &stage.namespace]);
        command.args(["--enable-leader-election", "--leader-election-renew-deadline=4s"]);
        command.arg(format!("--leader-election-lease-duration={}s", DURATION.as_secs()));
        command.args(["--leader-election-retry-period=500ms", "--concurrent-ssa=1"]);
        command.arg("--kubeconfig").arg(&kubeconfig).arg("--storage-path").arg(keeper.folder().join("data"));
        let running = keeper.start("engine", &mut command).expect("the engine starts");
        Self { running, proxy, log: keeper.folder().join("engine.log"), _keeper: keeper }
    }

    /// Waits until it has both leases.
    fn leads(&self) {
        await_line(&self.log, 2, &["became leader"]);
    }

    /// Waits until it knows that somebody else has both.
    fn waits(&self) {
        await_line(&self.log, 2, &["waiting for the lease"]);
    }

    /// What it has asked to be changed, leases and events aside.
    fn writes(&self) -> Vec<Asked> {
        let asked = self.proxy.log().into_iter().map(|answered| answered.point.asked);
        let other = |asked: &Asked| matches!(asked.resource.as_str(), "leases.coordination.k8s.io" | "events");
        asked.filter(|asked| asked.writes() && !other(asked)).collect()
    }

    fn applies(&self) -> usize {
        self.writes().iter().filter(|asked| asked.resource == "configmaps").count()
    }
}

fn lease(stage: &Stage<'_>) -> Object {
    let kind = Gvk::new("coordination.k8s.io/v1", "Lease");
    let found = runtime().block_on(stage.bed.cluster.find(&kind, &stage.namespace, LEASE));
    found.expect("it can be read").expect("there is a lease")
}

fn time(lease: &Object, field: &str) -> Timestamp {
    lease.value().lookup_str(&["spec", field]).expect("it has times").parse().expect("a time")
}

#[allow(clippy::print_stdout, reason = "a measurement, for people")]
fn the_second_process_goes_on_when_the_first_is_killed(ground: Ground) {
    let bed = Bed::without_engine(ground);
    let stage = bed.stage("two");
    let first = config_maps(&stage.repository, OBJECTS, "one");
    let one = Process::start(&stage);
    one.leads();
    let two = Process::start(&stage);
    two.waits();
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: two");
    stage.ready("app", &first);
    assert_eq!((one.applies(), two.writes()), (OBJECTS, Vec::new()), "one works, the other waits");

    drop(one.running);
    let killed = Instant::now();
    let last = lease(&stage);
    let second = config_maps(&stage.repository, OBJECTS, "two");
    two.leads();
    println!("{ground:?}: {:?} after the first was killed the second has the leases", killed.elapsed());
    stage.ready("app", &second);
    let taken = lease(&stage);
    let pause = time(&taken, "acquireTime").duration_since(time(&last, "renewTime"));
    assert!(pause.unsigned_abs() >= DURATION, "not before it ran out: {pause}");
    assert_eq!(two.applies(), OBJECTS, "each object is written once");
}

fn a_process_that_stood_still_writes_nothing_when_it_goes_on(ground: Ground) {
    let bed = Bed::without_engine(ground);
    let stage = bed.stage("stood");
    let commit = config_maps(&stage.repository, OBJECTS, "one");
    let mut one = Process::start(&stage);
    one.leads();
    let two = Process::start(&stage);
    two.waits();

    // It stands still in the middle of a pass: the answer to its first apply is under way.
    let asked = Asked {
        verb: "apply",
        dry: false,
        resource: "configmaps".to_owned(),
        part: String::new(),
        namespace: stage.namespace.clone(),
        name: "m00".to_owned(),
    };
    one.proxy.arm(Some((Point { asked, nth: 0 }, Fault::Late(Duration::from_secs(3)))));
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: stood");
    until("the first apply is asked for", || one.proxy.reached());
    one.running.signal("STOP").expect("it runs");
    let before = one.applies();
    assert!(before < OBJECTS, "it stands still in the middle");
    two.leads();
    stage.ready("app", &commit);

    // It goes on, and finds that its lease is gone.
    let already = one.writes().len();
    one.running.signal("CONT").expect("it stands still");
    until("it notices", || one.running.ended());
    assert_eq!(one.writes()[already..], [], "nothing is written by who has no lease");
    assert_eq!(two.applies(), OBJECTS - before, "the other one has written what was not there yet");
}
