//! The embedded server beside kube-apiserver: `crates/soll-apiserver/benches/beside`.

use crate::repository::{Repository, run};
use crate::servers;
use anyhow::Result;

/// Builds the servers if need be, and measures with these arguments.
pub(crate) fn measure(repository: &Repository, arguments: &[String]) -> Result<()> {
    servers::ensure(repository, &["etcd", "kube-apiserver", "kubectl"].map(str::to_owned))?;
    let mut bench = repository.cargo();
    bench.args(["bench", "--quiet", "--package", "soll-apiserver", "--bench", "beside", "--"]).args(arguments);
    run(bench.env("SOLL_CACHE", repository.cache()))
}
