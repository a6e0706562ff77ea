//! The embedded server beside kube-apiserver with etcd: one program of requests over TLS, run against each in turn.
//!
//! Of each: start to the first answer, memory at rest; then requests per second, and CPU seconds of the server's processes,
//! for creates, applies, lists and a fan-out to watchers; and memory when it is full. A small object is a ConfigMap with 200
//! bytes of data. The real server is the tests': its etcd does not wait for the disk.
//!
//! `cargo xtask bench apiserver` builds what it needs and runs it.
#![allow(clippy::print_stdout, reason = "figures are what it is for")]
#![allow(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "a measurement that fails has nobody to tell but its terminal"
)]

mod load;
mod side;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use load::{Load, Measured};
use side::Side;

#[derive(Parser)]
struct Arguments {
    /// How many objects lie in the namespace that is listed
    #[arg(long, default_value_t = 10_000)]
    listed: usize,
    /// How often they are listed
    #[arg(long, default_value_t = 20)]
    lists: usize,
    /// How many objects are changed by applies
    #[arg(long, default_value_t = 4_000)]
    applies: usize,
    /// How many watch a namespace in which objects change
    #[arg(long, default_value_t = 200)]
    watchers: usize,
    /// How often an object changes there
    #[arg(long, default_value_t = 500)]
    changes: usize,
    /// How many objects lie on the server in the end
    #[arg(long, default_value_t = 100_000)]
    objects: usize,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// To be the embedded server: where its kubeconfig is written
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
}

/// What was measured of one server.
struct Figures {
    name: &'static str,
    started: Duration,
    at_rest: f64,
    full: f64,
    loads: Vec<(&'static str, Measured)>,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    // Two libraries offer themselves here.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    if let Some(kubeconfig) = &arguments.serve {
        return side::serve(kubeconfig).await;
    }
    // Each is gone before the next begins.
    let ours = measure(Side::embedded().await, &arguments).await;
    let theirs = measure(Side::real().await, &arguments).await;
    report(&ours, &theirs);
}

async fn measure(side: Side, arguments: &Arguments) -> Figures {
    let side = &side;
    let at_rest = side.mebibytes();
    let load = Load { side, namespace: "bench" };
    let mut loads = Vec::new();
    load.make_namespace().await;
    loads.push(("creates", load.creates(0..arguments.listed).await));
    loads.push(("lists", load.lists(arguments.lists, arguments.listed).await));
    loads.push(("applies", load.applies(arguments.applies).await));
    let watched = Load { side, namespace: "watched" };
    watched.make_namespace().await;
    loads.push(("events to watchers", watched.fan_out(arguments.watchers, arguments.changes).await));
    let more = Load { side, namespace: "more" };
    more.make_namespace().await;
    more.creates(arguments.listed..arguments.objects).await;
    Figures { name: side.name, started: side.started, at_rest, full: side.mebibytes(), loads }
}

fn report(ours: &Figures, theirs: &Figures) {
    for figures in [ours, theirs] {
        println!(
            "{}: start to the first answer {:.3} s, {:.1} MiB at rest, {:.1} MiB full",
            figures.name,
            figures.started.as_secs_f64(),
            figures.at_rest,
            figures.full
        );
    }
    for ((what, ours), (_, theirs)) in ours.loads.iter().zip(&theirs.loads) {
        println!(
            "{what}: {:.0}/s with {:.2} CPU s, kube-apiserver {:.0}/s with {:.2} CPU s; {:.1} times as fast, {:.1} times the work \
             for a CPU second",
            ours.per_second(),
            ours.cpu.as_secs_f64(),
            theirs.per_second(),
            theirs.cpu.as_secs_f64(),
            ours.per_second() / theirs.per_second(),
            ours.per_cpu_second() / theirs.per_cpu_second(),
        );
    }
}
