//! A cluster that Flux's own programs left, recorded, is taken over.

use std::path::Path;
use std::process::Command;

use soll_testkit::{ControlPlane, Keeper};

use super::cluster::{Since, difference, snapshot};
use crate::bed::{Bed, await_line, condition};

const NAMESPACE: &str = "flux-system";
const KUSTOMIZATIONS: [&str; 3] = ["infra", "staging", "production"];
/// What kubectl had set on two objects of `staging`, and nobody has undone yet: each is taken from it, then applied.
const UNDONE: [&str; 4] = [
    "patch deployments.apps staging/podinfo",
    "patch deployments.apps staging/podinfo",
    "patch services staging/podinfo",
    "patch services staging/podinfo",
];

#[test]
#[allow(clippy::print_stdout, reason = "an account of what was counted")]
fn a_recorded_cluster_of_flux_is_taken_over() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/flux-cluster");
    let bed = Bed::recorded(&recorded.join("etcd.tar.gz"));
    let repository = bed.git.repository("fleet");
    let commit = repository.take(&recorded.join("fleet.bundle"));
    bed.patch("GitRepository", NAMESPACE, "fleet", &format!(r#"{{"spec":{{"url":"{}"}}}}"#, repository.url()));

    let (engine, log) =
        bed.with_control_plane(|servers: &ControlPlane| (servers.engine_kubeconfig(), servers.audit_log()));
    let folder = tempfile::Builder::new().prefix("soll-recorded-").tempdir().expect("a temporary folder").keep();
    let keeper = Keeper::of(folder).expect("a shell can be started");
    let since = Since::now(&log);
    let mut command = Command::new(env!("CARGO_BIN_EXE_soll"));
    command.args(["controller", "--storage-addr=127.0.0.1:0", "--health-addr=0", "--metrics-addr=0"]);
    command.arg("--kubeconfig").arg(engine).arg("--storage-path").arg(keeper.folder().join("data"));
    command.args(["--enable-leader-election", "--leader-election-retry-period=1s", "--log-level=debug"]);
    let _engine = keeper.start("engine", &mut command).expect("the engine starts");
    // Flux's controllers are dead; nobody knows before their leases have run out.
    await_line(&keeper.folder().join("engine.log"), 2, &["waiting for the lease"]);
    let before = snapshot(&bed, &[("helm.toolkit.fluxcd.io/v2", "HelmRelease")]);
    await_line(&keeper.folder().join("engine.log"), 2, &["every object had its first pass"]);
    for name in KUSTOMIZATIONS {
        bed.ready(NAMESPACE, name, &commit);
    }
    let source = bed.find("GitRepository", NAMESPACE, "fleet").expect("it is there");
    assert_eq!(condition(&source, "Ready").0, "True", "{:?}", condition(&source, "Ready"));

    let mut writes = since.writes(&log, "engine");
    writes.sort();
    assert_eq!(writes, UNDONE, "what kubectl did is undone, as Flux does, and nothing else is written");
    let after = snapshot(&bed, &[("helm.toolkit.fluxcd.io/v2", "HelmRelease")]);
    let changed = difference(&before, &after);
    let objects: Vec<_> = changed.iter().map(|changed| changed.split(' ').next().unwrap_or_default()).collect();
    assert_eq!(objects, ["Deployment/staging/podinfo", "Service/staging/podinfo"], "{changed:#?}");
    let count = |what: &str, which: &dyn Fn(&soll_testkit::audit::Request) -> bool| {
        println!("taking over: {what}: {}", since.count(&log, "engine", which));
    };
    count("dry runs", &|request| request.dry);
    let is_lease = |request: &soll_testkit::audit::Request| request.resource.starts_with("leases.");
    count("objects read", &|request| request.verb == "get" && !request.name.is_empty() && !is_lease(request));
    count("statuses written", &|request| request.part == "status" && request.writes());
}
