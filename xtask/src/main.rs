//! Repository automation: what `./x` hands over to.
//!
//! Each subcommand is a module. [`servers`] builds the real Kubernetes servers and reference tools that the
//! tests use, [`suite`] runs the whole test suite, [`bench`] measures, [`differential`] compares at length, [`faults`] tries
//! what the comparisons are worth, [`gates`] the checks around it, [`image`] makes the
//! container image, [`layout`] the order of functions in the binary, [`schema_table`] the table of builtin kinds, [`crds`] our own definitions. Nothing here ends up in the product.
#![allow(clippy::print_stderr, reason = "progress of a developer's tool goes to the terminal as it is")]

mod bench;
mod crds;
mod differential;
mod faults;
mod gates;
mod image;
mod layout;
mod repository;
mod schema_table;
mod servers;
mod suite;

use anyhow::Result;
use clap::{Parser, Subcommand};
use repository::Repository;
use std::path::PathBuf;

/// Repository automation of Soll.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the real servers and reference tools that are missing or out of date
    Servers {
        /// Only these (etcd, kube-apiserver, kube-controller-manager, kubectl, kustomize, kustomize-oracle, template-oracle, flux, helm, helm3, client-python, client-node)
        names: Vec<String>,
    },
    /// Run the whole suite, real servers included; the last line says how many tests passed
    Test {
        /// Only the faults: kill the engine at every request of every scenario, and have the API server fail it
        #[arg(long)]
        faults: bool,
    },
    /// Check format, lints, and what we depend on
    Check,
    /// Measure
    #[command(subcommand)]
    Bench(Bench),
    /// Compare many generated cases with the original
    Differential {
        /// What is compared (kustomize, template)
        name: String,
        /// How many cases
        #[arg(long, default_value_t = 100_000)]
        cases: u64,
        /// Repeats an earlier run
        #[arg(long)]
        seed: Option<u64>,
        /// Keep what the original answers to the scripts, to be compared with where it does not run (apiserver)
        #[arg(long, conflicts_with_all = ["cases", "seed"])]
        record: bool,
    },
    /// Put faults into an engine, one at a time, and see whether the comparison with the original notices
    Faults {
        /// Whose faults (kustomize, template)
        name: String,
        /// How many cases are compared with each
        #[arg(long, default_value_t = 40_000)]
        cases: u64,
        /// Only faults whose title or file contains this; may be given several times
        #[arg(long)]
        only: Vec<String>,
    },
    /// Build the container image as an OCI layout tarball
    Image {
        /// Where to write the tarballs
        #[arg(long, default_value = "target/image")]
        out: PathBuf,
        /// The cargo profile of the binary
        #[arg(long, default_value = "dist")]
        profile: String,
    },
    /// Write which functions stand together in the binary to crates/soll/layout.ld
    Layout {
        /// This binary instead of a release build
        #[arg(long)]
        binary: Option<PathBuf>,
    },
    /// Write the custom resource definitions to config/crd
    Crds,
    /// Write the table of builtin Kubernetes kinds that soll-schema compiles in
    SchemaTable(schema_table::SchemaTable),
}

/// What can be measured; each part is a module of [`bench`].
#[derive(Subcommand)]
enum Bench {
    /// How fast `soll up` answers and how fast its sample is Ready, each run with fresh data
    Up {
        /// This binary instead of a release build
        #[arg(long)]
        binary: Option<PathBuf>,
        /// How often
        #[arg(long, default_value_t = 20)]
        runs: usize,
    },
    /// A fleet of Kustomizations on the real API server, beside what the server itself takes for their objects
    Fleet {
        /// This binary instead of a release build
        #[arg(long)]
        binary: Option<PathBuf>,
        /// For the measurement: --apps N, --rest SECONDS, --interval DURATION, --trouble, --soak MINUTES, --engine FLAGS
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// The embedded API server beside kube-apiserver with etcd: one program of requests against each
    Apiserver {
        /// For the measurement: --listed N, --lists N, --applies N, --watchers N, --changes N, --objects N
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// `soll kustomize` against `kustomize build`: a small overlay, the corpus, thousands of objects
    Kustomize {
        /// This binary instead of a release build
        #[arg(long)]
        binary: Option<PathBuf>,
        /// How often the small overlay is built
        #[arg(long, default_value_t = 40)]
        runs: usize,
        /// Objects of the large overlay; kustomize takes 40 s for 3,000
        #[arg(long, default_value_t = 3000)]
        objects: usize,
    },
    /// `soll template` beside `helm template`, every case of the corpus
    Helm {
        /// This binary instead of a release build
        #[arg(long)]
        binary: Option<PathBuf>,
        /// How often
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
}

fn main() -> Result<()> {
    let repository = Repository::here()?;
    match Arguments::parse().task {
        Task::Servers { names } => servers::ensure(&repository, &names),
        Task::Test { faults: false } => suite::run(&repository),
        Task::Test { faults: true } => suite::all_faults(&repository),
        Task::Check => gates::check(&repository),
        Task::Bench(Bench::Up { binary, runs }) => bench::up::measure(&repository, binary, runs),
        Task::Bench(Bench::Fleet { binary, arguments }) => bench::fleet::measure(&repository, binary, &arguments),
        Task::Bench(Bench::Apiserver { arguments }) => bench::apiserver::measure(&repository, &arguments),
        Task::Bench(Bench::Kustomize { binary, runs, objects }) => {
            bench::kustomize::measure(&repository, binary, runs, objects)
        }
        Task::Bench(Bench::Helm { binary, runs }) => bench::helm::measure(&repository, binary, runs),
        Task::Differential { name, record: true, .. } => differential::record(&repository, &name),
        Task::Differential { name, cases, seed, .. } => differential::compare(&repository, &name, cases, seed),
        Task::Faults { name, cases, only } => faults::seed(&repository, &name, cases, &only),
        Task::Image { out, profile } => image::build(&repository, &out, &profile),
        Task::Layout { binary } => layout::write(&repository, binary),
        Task::Crds => crds::write(repository.root()),
        Task::SchemaTable(task) => task.run(repository.root()),
    }
}
