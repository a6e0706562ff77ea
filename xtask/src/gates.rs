//! The checks around the tests: format, lints, what we depend on.

use crate::crds;
use crate::repository::{Repository, output, run, spoken};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// The version that reads our `deny.toml`.
const CARGO_DENY: &str = "0.20.2";

/// One check, with the name that a failure is reported under.
pub(crate) struct Gate {
    pub(crate) name: &'static str,
    pub(crate) check: fn(&Repository) -> Result<()>,
}

/// What each change has to pass besides its tests, the quick ones first.
pub(crate) const GATES: &[Gate] = &[
    Gate { name: "format", check: format },
    Gate { name: "one TLS provider", check: one_tls_provider },
    Gate { name: "definitions", check: |repository| crds::check(repository.root()) },
    Gate { name: "lints", check: lints },
];

/// Runs every gate and `cargo deny`, and reports all that fail.
pub(crate) fn check(repository: &Repository) -> Result<()> {
    let dependencies = Gate { name: "dependencies", check: dependencies };
    let mut failed = Vec::new();
    for gate in GATES.iter().chain([&dependencies]) {
        eprintln!("checking {}", gate.name);
        if let Err(error) = (gate.check)(repository) {
            eprintln!("{}: {error:#}", gate.name);
            failed.push(gate.name);
        }
    }
    if !failed.is_empty() {
        bail!("these checks failed: {}", failed.join(", "));
    }
    Ok(())
}

fn format(repository: &Repository) -> Result<()> {
    run(repository.cargo().args(["fmt", "--all", "--check"]))
}

fn lints(repository: &Repository) -> Result<()> {
    run(repository.cargo().args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// The ban of `deny.toml` that costs nothing to look at: one feature of one dependency brings a second
/// TLS provider in, and then rustls cannot choose.
fn one_tls_provider(repository: &Repository) -> Result<()> {
    let tree = output(repository.cargo().args([
        "tree",
        "--workspace",
        "--edges=normal,build",
        "--target=x86_64-unknown-linux-gnu",
        "--prefix=none",
        "--format={p}",
    ]))?;
    let banned = ["ring", "openssl-sys", "native-tls"];
    let found: Vec<_> =
        banned.into_iter().filter(|name| tree.lines().any(|line| line.starts_with(&format!("{name} ")))).collect();
    if !found.is_empty() {
        bail!("{} came in; `cargo tree -i {}` says by whom", found.join(", "), found[0]);
    }
    Ok(())
}

/// Bans, licences and sources. The advisories need a database from a Git host, and are not asked here.
fn dependencies(repository: &Repository) -> Result<()> {
    let deny = cargo_deny(repository)?;
    run(repository.command(&deny.to_string_lossy()).args(["check", "bans", "licenses", "sources"]))
}

/// `cargo-deny`, built into the cache once.
fn cargo_deny(repository: &Repository) -> Result<PathBuf> {
    let root = repository.cache().join(format!("cargo-deny-{CARGO_DENY}"));
    let binary = root.join("bin/cargo-deny");
    if !binary.exists() {
        eprintln!("building cargo-deny {CARGO_DENY} (once; about five minutes on two cores)");
        fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        let start = Instant::now();
        let mut install = repository.cargo();
        install.args(["install", "--quiet", "--locked", "--no-default-features", "--version", CARGO_DENY, "--root"]);
        run(install.arg(&root).arg("cargo-deny"))?;
        eprintln!("built cargo-deny in {}", spoken(start.elapsed()));
    }
    Ok(binary)
}
