//! Two processes for one cluster: by their leases, one of them works at a time.

use std::time::Instant;

use soll_api::{Gvk, Object};

use super::config_maps;
use super::process::{DURATION, Process, free_port, time};
use crate::bed::{Bed, Ground, Stage, await_line, runtime, until};
use crate::on_both_grounds;

on_both_grounds!(
    the_second_process_goes_on_when_the_first_is_killed,
    a_process_that_stood_still_writes_nothing_when_it_goes_on,
    artifacts_are_asked_of_who_has_the_sources,
);

const LEASE: &str = "kustomize-controller-leader-election";
const OBJECTS: usize = 12;

fn lease(stage: &Stage<'_>) -> Object {
    let kind = Gvk::new("coordination.k8s.io/v1", "Lease");
    let found = runtime().block_on(stage.bed.cluster.find(&kind, &stage.namespace, LEASE));
    found.expect("it can be read").expect("there is a lease")
}

#[allow(clippy::print_stdout, reason = "a measurement, for people")]
fn the_second_process_goes_on_when_the_first_is_killed(ground: Ground) {
    let bed = Bed::without_engine(ground);
    let stage = bed.stage("two");
    let first = config_maps(&stage.repository, OBJECTS, "one");
    let one = Process::start(&stage, &[]);
    one.leads();
    let two = Process::start(&stage, &[]);
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
    let mut one = Process::start(&stage, &[]);
    one.leads();
    let two = Process::start(&stage, &[]);
    two.waits();

    // It stands still in the middle of a pass: the answer to its first apply is under way.
    one.hears_late_of(&stage, "m00");
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

fn artifacts_are_asked_of_who_has_the_sources(ground: Ground) {
    let bed = Bed::without_engine(ground);
    let stage = bed.stage("shared");
    let commit = config_maps(&stage.repository, OBJECTS, "one");
    // Both say one address, as behind a Service: that of the first.
    let port = free_port();
    let advertised = format!("--storage-adv-addr=127.0.0.1:{port}");
    let one = Process::start_at(&stage, port, &["--controllers=source", &advertised]);
    await_line(&one.log, 1, &["became leader"]);
    let two = Process::start(&stage, &[&advertised]);
    await_line(&two.log, 1, &["waiting for the lease"]);
    await_line(&two.log, 1, &["became leader"]);
    until("the first has the sources and is ready", || one.is_ready());
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: shared");
    stage.ready("app", &commit);
    assert!(!two.is_ready(), "who has no artifacts is asked for none");
    assert_eq!((one.applies(), two.applies()), (0, OBJECTS), "each does its part");

    drop(one.running);
    until("the second has the sources and is ready", || two.is_ready());
}
