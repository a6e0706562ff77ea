//! How the engine stands a fleet: `crates/soll/benches/fleet` on the real API server.

use super::released;
use crate::repository::{Repository, run};
use crate::servers;
use anyhow::Result;
use std::path::PathBuf;

/// Builds the servers and the engine if need be, and measures with these arguments.
pub(crate) fn measure(repository: &Repository, binary: Option<PathBuf>, arguments: &[String]) -> Result<()> {
    servers::ensure(repository, &["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"].map(str::to_owned))?;
    let binary = released(repository, binary)?;
    let mut bench = repository.cargo();
    bench.args(["bench", "--quiet", "--package", "soll", "--bench", "fleet", "--", "--binary"]).arg(binary);
    run(bench.args(arguments))
}
