//! Several processes that divide the objects: each object has one of them at a time, whoever comes, ends, dies or stands still.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::time::Instant;

use soll_api::{Gvk, Object};
use soll_cluster::{Depth, Selection};
use soll_testkit::Answered;

use super::config_maps;
use super::process::{DURATION, Process, time};
use crate::bed::{Bed, Ground, Stage, await_line, runtime, until};
use crate::on_both_grounds;

on_both_grounds!(
    each_object_has_one_process_at_a_time,
    a_member_that_stood_still_writes_nothing_when_it_goes_on,
    a_process_that_divides_otherwise_is_refused,
);

const SHARDS: &str = "--shards=8";
const APPS: usize = 16;
const SOURCES: usize = 3;
const MAPS: usize = 3;

/// The leases of the group: members by their holders, shards by their numbers.
struct Leases {
    members: BTreeMap<String, Object>,
    shards: BTreeMap<usize, Object>,
}

impl Leases {
    fn of(stage: &Stage<'_>) -> Self {
        let kind = Gvk::new("coordination.k8s.io/v1", "Lease");
        let within = Selection::all().within(&stage.namespace);
        let listed = runtime().block_on(stage.bed.cluster.list(&kind, &within, Depth::Whole)).expect("leases");
        let (mut members, mut shards) = (BTreeMap::new(), BTreeMap::new());
        for lease in listed.items {
            if lease.name().contains("-member-") {
                members.insert(holder(&lease), lease);
            } else if let Some((_, number)) = lease.name().rsplit_once("-shard-") {
                shards.insert(number.parse().expect("a number"), lease);
            }
        }
        Self { members, shards }
    }

    /// How many shards each process has, the least first.
    fn shares(&self) -> Vec<usize> {
        let mut counts: BTreeMap<String, usize> = self.members.keys().map(|member| (member.clone(), 0)).collect();
        for lease in self.shards.values() {
            *counts.entry(holder(lease)).or_default() += 1;
        }
        let mut counts: Vec<usize> = counts.into_values().collect();
        counts.sort_unstable();
        counts
    }
}

fn holder(lease: &Object) -> String {
    lease.value().lookup_str(&["spec", "holderIdentity"]).unwrap_or_default().to_owned()
}

fn divided(stage: &Stage<'_>, shares: &[usize]) {
    until("the shards are divided", || Leases::of(stage).shares() == shares);
}

fn app(number: usize) -> String {
    format!("app-{number:02}")
}

fn source(number: usize) -> String {
    format!("source-{number}")
}

/// Several sources, each with Kustomizations of several objects.
fn install(stage: &Stage<'_>) {
    for number in 0..SOURCES {
        stage.source_named(&source(number));
    }
    let spec = format!("prune: true\ntargetNamespace: {}", stage.namespace);
    for number in 0..APPS {
        let name = app(number);
        stage.kustomization_of(&source(number % SOURCES), &name, &format!("./{name}"), &spec);
    }
}

fn push(stage: &Stage<'_>, value: &str) -> String {
    for number in 0..APPS {
        let name = app(number);
        for map in 0..MAPS {
            let text =
                format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}-{map}}}\ndata: {{key: {value}}}\n");
            stage.repository.write(&format!("{name}/m{map}.yaml"), &text);
        }
    }
    stage.repository.push(value)
}

fn all_ready(stage: &Stage<'_>, commit: &str) {
    (0..APPS).for_each(|number| drop(stage.ready(&app(number), commit)));
}

#[allow(clippy::print_stdout, reason = "a measurement, for people")]
fn each_object_has_one_process_at_a_time(ground: Ground) {
    let bed = Bed::without_engine(ground);
    let stage = bed.stage("shards");
    let first = push(&stage, "one");
    let mut all: Vec<Process> = (0..3).map(|_| Process::start(&stage, &[SHARDS])).collect();
    divided(&stage, &[2, 3, 3]);
    install(&stage);
    all_ready(&stage, &first);
    let written: Vec<usize> = all.iter().map(Process::applies).collect();
    assert_eq!(written.iter().sum::<usize>(), APPS * MAPS, "each object is written once: {written:?}");

    // One is killed at work.
    let victim = written.iter().position(|count| *count > 0).expect("somebody has written");
    let second = push(&stage, "two");
    until("the victim is at work", || all[victim].applies() > written[victim]);
    let before = Leases::of(&stage);
    let mut dead = all.remove(victim);
    let pid = dead.running.id();
    dead.running.signal("KILL").expect("it runs");
    until("it is dead", || dead.running.ended());
    let killed = Instant::now();
    all_ready(&stage, &second);
    println!("{ground:?}: process {pid} killed; {:?} later all is at the next commit", killed.elapsed());
    divided(&stage, &[4, 4]);
    let after = Leases::of(&stage);
    for (shard, lease) in &after.shards {
        let had = holder(&before.shards[shard]);
        if had != holder(lease) {
            let pause = time(lease, "acquireTime").duration_since(time(&before.members[&had], "renewTime"));
            assert!(
                pause.unsigned_abs() >= DURATION,
                "shard {shard} is taken when its holder's lease has run out: {pause}"
            );
        }
    }
    serves(&stage);

    // One comes, and is given its share.
    all.push(Process::start(&stage, &[SHARDS]));
    divided(&stage, &[2, 3, 3]);
    let third = push(&stage, "three");
    all_ready(&stage, &third);

    // One ends in order.
    let fourth = push(&stage, "four");
    let mut last = all.remove(0);
    last.running.stop().expect("it runs");
    let ended = Instant::now();
    all_ready(&stage, &fourth);
    println!("{ground:?}: one ended; {:?} later all is at the next commit", ended.elapsed());
    divided(&stage, &[4, 4]);
    serves(&stage);

    all.extend([dead, last]);
    let hands = one_at_a_time(&all);
    println!("{ground:?}: {hands:?} objects by how many processes wrote to them");
}

/// All artifacts are at the addresses of processes that run.
fn serves(stage: &Stage<'_>) {
    for number in 0..SOURCES {
        let found = stage.wait("GitRepository", &source(number), |source| {
            let url = source.and_then(|source| source.value().lookup_str(&["status", "artifact", "url"]));
            let address = url.and_then(|url| url.strip_prefix("http://")?.split('/').next());
            // Nobody tells when a process has ended: what is not served is served anew soon.
            address.is_some_and(|address| TcpStream::connect(address).is_ok())
        });
        assert!(found.is_some());
    }
}

/// Says of how many objects how many processes had them, one after another; fails if two had one at a time.
fn one_at_a_time(all: &[Process]) -> BTreeMap<usize, usize> {
    let mut writes: BTreeMap<String, Vec<(usize, Answered)>> = BTreeMap::new();
    for (process, log) in all.iter().map(Process::timed_writes).enumerate() {
        for answered in log {
            let asked = &answered.point.asked;
            // A map belongs to its app.
            let name = if asked.resource == "configmaps" { &asked.name[..app(0).len()] } else { &asked.name };
            writes.entry(name.to_owned()).or_default().push((process, answered));
        }
    }
    assert_eq!(writes.len(), APPS + SOURCES, "{:?}", writes.keys());
    let mut hands = BTreeMap::new();
    for (name, mut writes) in writes {
        writes.sort_by_key(|(_, write)| write.began);
        let mut changes = 0;
        for pair in writes.windows(2) {
            let ((one, earlier), (other, later)) = (&pair[0], &pair[1]);
            if one != other {
                changes += 1;
                let over = earlier.ended.is_some_and(|ended| ended <= later.began);
                assert!(
                    over,
                    "{name}: process {other} asks for {} during {} of process {one}",
                    later.point, earlier.point
                );
            }
        }
        // Once by the death, once by the one that came, once by the one that ended.
        assert!(
            changes <= 3,
            "{name} goes to and fro: {:?}",
            writes.iter().map(|(process, _)| process).collect::<Vec<_>>()
        );
        *hands.entry(changes + 1).or_default() += 1;
    }
    hands
}

fn a_member_that_stood_still_writes_nothing_when_it_goes_on(ground: Ground) {
    const OBJECTS: usize = 12;
    let bed = Bed::without_engine(ground);
    let stage = bed.stage("still");
    let first = config_maps(&stage.repository, OBJECTS, "one");
    let mut both: Vec<Process> = (0..2).map(|_| Process::start(&stage, &[SHARDS])).collect();
    divided(&stage, &[4, 4]);
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: still");
    stage.ready("app", &first);

    // It stands still in the middle of a pass: the answer to its first apply is under way.
    let holder = both.iter().position(|process| process.applies() > 0).expect("one has it");
    let mut one = both.remove(holder);
    let two = both.remove(0);
    assert_eq!((one.applies(), two.applies()), (OBJECTS, 0), "one has it");
    one.hears_late_of(&stage, "m00");
    let second = config_maps(&stage.repository, OBJECTS, "two");
    until("the first apply is asked for", || one.proxy.reached());
    one.running.signal("STOP").expect("it runs");
    let before = one.applies();
    assert!(before < OBJECTS, "it stands still in the middle");
    stage.ready("app", &second);
    divided(&stage, &[8]);

    // It goes on, and finds that it is taken for dead.
    let already = one.writes().len();
    one.running.signal("CONT").expect("it stands still");
    until("it notices", || one.running.ended());
    assert_eq!(one.writes()[already..], [], "nothing is written by who has no shard");
    assert_eq!(two.applies(), OBJECTS - before, "the other one has written what was not there yet");
}

fn a_process_that_divides_otherwise_is_refused(ground: Ground) {
    let bed = Bed::without_engine(ground);
    let stage = bed.stage("otherwise");
    let first = Process::start(&stage, &[SHARDS]);
    divided(&stage, &[8]);
    let mut other = Process::start(&stage, &["--shards=4"]);
    await_line(&other.log, 1, &["divides the objects into 8 shards, this one into 4"]);
    until("it ends", || other.running.ended());
    assert_eq!(Leases::of(&stage).shares(), [8], "it has left nothing");
    assert_eq!(Leases::of(&stage).members.keys().collect::<BTreeSet<_>>().len(), 1);
    let commit = config_maps(&stage.repository, 1, "one");
    stage.source();
    stage.kustomization("app", "./", "prune: true\ntargetNamespace: otherwise");
    stage.ready("app", &commit);
    assert_eq!((first.applies(), other.writes()), (1, Vec::new()), "who was first goes on");
}
