//! Long runs of the comparisons with the originals. The suite runs a sample of each; the cases and the originals are
//! the tests' own.

use crate::repository::{Repository, run};
use crate::servers;
use anyhow::{Result, bail};
use std::process::Command;

/// A comparison: where its test is, and what it compares with.
pub(crate) struct Comparison {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    pub(crate) test: &'static str,
    pub(crate) oracles: &'static [&'static str],
}

const COMPARISONS: &[Comparison] = &[
    Comparison {
        name: "kustomize",
        package: "soll-kustomize",
        test: "differential::made_up_kustomizations_build_as_kustomize_builds_them",
        oracles: &["kustomize-oracle"],
    },
    Comparison {
        name: "template",
        package: "soll-template",
        test: "differential::templates_render_as_go_and_helm_render_them",
        oracles: &["template-oracle"],
    },
    Comparison {
        name: "helm",
        package: "soll-helm",
        test: "beside_helm::values_of_nested_charts_meet_as_in_helm",
        oracles: &["helm"],
    },
    Comparison {
        name: "helm-flags",
        package: "soll-helm",
        test: "beside_helm::flags::flags_set_what_they_set_in_helm",
        oracles: &["helm"],
    },
    Comparison {
        name: "helm-schemas",
        package: "soll-helm",
        test: "beside_helm::schemas::schemas_refuse_what_they_refuse_in_helm",
        oracles: &["helm"],
    },
    Comparison {
        name: "apiserver",
        package: "soll-apiserver",
        test: "differential::fuzz::made_up_writes_are_answered_as_kube_apiserver_answers_them",
        oracles: &["etcd", "kube-apiserver", "kubectl"],
    },
];

/// The comparison of a name.
pub(crate) fn find(name: &str) -> Result<&'static Comparison> {
    let Some(comparison) = COMPARISONS.iter().find(|comparison| comparison.name == name) else {
        let known = COMPARISONS.iter().map(|comparison| comparison.name).collect::<Vec<_>>().join(", ");
        bail!("nothing called `{name}` is compared; there are {known}");
    };
    Ok(comparison)
}

/// What is recorded: the answers of kube-apiserver to scripts, for where it does not run.
const RECORDED: Comparison = Comparison {
    name: "apiserver",
    package: "soll-apiserver",
    test: "differential::scripts_are_answered_as_kube_apiserver_answers_them",
    oracles: &["etcd", "kube-apiserver", "kube-controller-manager", "kubectl"],
};

/// Keeps what the original answers, if we answer the same.
pub(crate) fn record(repository: &Repository, name: &str) -> Result<()> {
    if name != RECORDED.name {
        bail!("nothing of `{name}` is recorded; there is {}", RECORDED.name);
    }
    run(prepared(repository, &RECORDED)?.env("SOLL_RECORD", "1"))
}

/// The test of a comparison, with its originals at hand.
fn prepared(repository: &Repository, comparison: &Comparison) -> Result<Command> {
    servers::ensure(repository, &names(comparison.oracles))?;
    let mut cargo = repository.cargo();
    cargo.args(["test", "-p", comparison.package, "--test", "it", "--", "--exact", "--nocapture", comparison.test]);
    cargo.env("SOLL_CACHE", repository.cache());
    Ok(cargo)
}

/// Compares many generated cases; the seed is printed and repeats them.
pub(crate) fn compare(repository: &Repository, name: &str, cases: u64, seed: Option<u64>) -> Result<()> {
    let mut cargo = prepared(repository, find(name)?)?;
    cargo.env("SOLL_DIFFERENTIAL_CASES", cases.to_string()).env("SOLL_DIFFERENTIAL_TALLY", "1");
    if let Some(seed) = seed {
        cargo.env("SOLL_DIFFERENTIAL_SEED", seed.to_string());
    }
    run(&mut cargo)
}

/// The names as the servers want them.
pub(crate) fn names(oracles: &[&str]) -> Vec<String> {
    oracles.iter().map(|&name| name.to_owned()).collect()
}
