//! The engine is killed, and its API server fails it, at each request of a scenario: in the end everything is as if
//! nothing had happened.
//!
//! A scenario is played once without a fault. What it asked of the API server are the points, what it left is the
//! measure. Then it is played once for each point and fault, each time in a namespace of its own, by an engine that starts
//! again whenever it dies. The suite plays a sample that a seed decides; `SOLL_FAULTS=all` plays all of them,
//! `SOLL_FAULTS_ONLY=prune` those of one scenario, `SOLL_FAULTS_SEED` repeats a sample.
//!
//! What befalls more than one request has tests of its own: [`git`], [`refusals`], [`servers`], [`processes`], [`shards`], [`restart`],
//! [`illness`].

mod git;
mod illness;
mod outcome;
mod play;
mod process;
mod processes;
mod refusals;
mod restart;
mod scenarios;
mod servers;
mod shards;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use soll_compare::Random;
use soll_testkit::{Answered, Asked, Fault, Point, Repository, When};

use crate::bed::{Bed, Ground};
use crate::on_both_grounds;
use play::Play;
use scenarios::{SCENARIOS, Scenario};

on_both_grounds!(whatever_happens_the_end_is_the_same);

/// How many plays the sample has, besides one of each of its scenarios without a fault.
const SAMPLE: usize = 12;
const SAMPLED_SCENARIOS: usize = 3;

#[allow(clippy::print_stdout, reason = "an account of what was tried")]
fn whatever_happens_the_end_is_the_same(ground: Ground) {
    let setting = |name: &str| std::env::var(name).ok();
    let exhaustive = setting("SOLL_FAULTS").is_some_and(|which| which == "all");
    let seed = setting("SOLL_FAULTS_SEED").map(|seed| seed.parse().expect("SOLL_FAULTS_SEED is a number"));
    let seed: u64 = seed.unwrap_or_else(|| jiff::Timestamp::now().as_second().unsigned_abs());
    let only = setting("SOLL_FAULTS_ONLY");
    println!("SOLL_FAULTS_SEED={seed}");
    let mut random = Random::new(seed);
    let mut scenarios: Vec<&Scenario> =
        SCENARIOS.iter().filter(|scenario| only.as_deref().is_none_or(|only| scenario.name.contains(only))).collect();
    while !exhaustive && scenarios.len() > SAMPLED_SCENARIOS {
        scenarios.swap_remove(random.below(scenarios.len()));
    }

    let bed = Bed::without_engine(ground);
    let mut wrong = Vec::new();
    let (mut seen, mut reached, start) = (0, 0, Instant::now());
    for scenario in &scenarios {
        let measure = Play::of(&bed, scenario, None);
        assert_eq!(measure.panicked, None, "{} without a fault", scenario.name);
        let mut faults = faults(&measure.asked);
        seen += faults.len();
        while !exhaustive && faults.len() > SAMPLE / scenarios.len() {
            faults.swap_remove(random.below(faults.len()));
        }
        for tried in at_once(faults, |(point, fault)| {
            let played = Play::of(&bed, scenario, Some((point.clone(), *fault)));
            let end = played.panicked.map_or_else(|| outcome::difference(&measure.left, &played.left), Some);
            let wrong = end.map(|difference| format!("{}: {fault:?} at {point}:\n{difference}", scenario.name));
            if let Some(wrong) = &wrong {
                println!("{wrong}\n{}", played.told);
            }
            (played.reached, wrong)
        }) {
            reached += usize::from(tried.0);
            wrong.extend(tried.1);
        }
        println!("{ground:?} {}: {seen} faults so far, {reached} reached, {:?}", scenario.name, start.elapsed());
    }
    assert!(wrong.is_empty(), "{} of {reached} ended otherwise, seed {seed}:\n{}", wrong.len(), wrong.join("\n"));
    // What a play asks depends a little on when events arrive.
    assert!(reached > 0, "no point was reached");
}

/// How many plays go on at a time: most of what they do is wait.
const AT_ONCE: usize = 4;

/// Does the same for all, some at a time.
fn at_once<T: Send, R: Send>(all: Vec<T>, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (queue, results) = (Mutex::new(all), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("nobody panics here").pop();
                    let Some(next) = next else { return };
                    let result = work(&next);
                    results.lock().expect("nobody panics here").push(result);
                }
            });
        }
    });
    results.into_inner().expect("nobody panics here")
}

/// Writes so many ConfigMaps, all with this value, and pushes them.
fn config_maps(repository: &Repository, count: usize, value: &str) -> String {
    for number in 0..count {
        let map =
            format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{number:02}}}\ndata: {{key: {value}}}\n");
        repository.write(&format!("m{number:02}.yaml"), &map);
    }
    repository.push(value)
}

/// What can befall the requests of a play: death at each; anything else at the first and the last of each kind.
fn faults(asked: &[Answered]) -> Vec<(Point, Fault)> {
    let points: Vec<&Point> = asked.iter().map(|answered| &answered.point).filter(|point| is_spoilt(point)).collect();
    let mut kinds: BTreeMap<_, Vec<&Point>> = BTreeMap::new();
    for point in &points {
        let Asked { verb, dry, resource, part, .. } = &point.asked;
        kinds.entry((verb, dry, resource, part)).or_default().push(point);
    }
    let deaths =
        points.iter().flat_map(|point| [When::Before, When::After].map(|when| ((*point).clone(), Fault::Death(when))));
    let others = kinds.values().flat_map(|points| {
        let (first, last) = (points[0], points[points.len() - 1]);
        let ends = if first == last { vec![first] } else { vec![first, last] };
        ends.into_iter().flat_map(|point| others(&point.asked).into_iter().map(|fault| (point.clone(), fault)))
    });
    deaths.chain(others).collect()
}

/// Which kinds of objects exist is asked once, and in whatever order.
fn is_spoilt(point: &Point) -> bool {
    point.asked.verb != "discover"
}

const LATE: Duration = Duration::from_secs(2);

fn others(asked: &Asked) -> Vec<Fault> {
    let refusals: &[u16] = match asked.verb {
        "watch" | "list" => &[410, 429, 500, 504],
        "get" => &[429, 500, 504],
        _ => &[409, 429, 500, 504],
    };
    let streams = [Fault::BrokenStream, Fault::SlowStream(LATE)].into_iter().filter(|_| asked.verb == "watch");
    let cuts = [Fault::Cut(When::Before), Fault::Cut(When::After), Fault::Late(LATE)];
    refusals.iter().map(|code| Fault::Refusal(*code)).chain(cuts).chain(streams).collect()
}
