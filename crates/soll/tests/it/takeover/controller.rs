//! The real kustomize-controller hands its cluster over to us, and gets it back.

use std::path::{Path, PathBuf};
use std::process::Command;

use soll_testkit::{ControlPlane, Keeper, Kept, Repository};

use super::cluster::{Since, difference, snapshot};
use crate::bed::{Bed, Ground, Stage, await_line, condition};

const NAMESPACE: &str = "flux-system";
const LEASE: &str = "kustomize-controller-leader-election";
/// Not in the table of kinds that every cluster has.
const WIDGETS: &[(&str, &str)] = &[("takeover.example.com/v1", "Widget")];

/// Both controllers hold the lease at the same pace, faster than usual.
const PACE: [&str; 4] = [
    "--enable-leader-election",
    "--leader-election-lease-duration=8s",
    "--leader-election-renew-deadline=6s",
    "--leader-election-retry-period=1s",
];

/// Who is on stage, and where they write their logs.
struct Cast<'b> {
    bed: &'b Bed,
    engine: PathBuf,
    rival: PathBuf,
    audit: PathBuf,
    keeper: Keeper,
}

impl<'b> Cast<'b> {
    fn new(bed: &'b Bed) -> Self {
        let folder = tempfile::Builder::new().prefix("soll-takeover-").tempdir().expect("a temporary folder").keep();
        let keeper = Keeper::of(folder).expect("a shell can be started");
        let [engine, rival, audit] = bed.with_control_plane(|servers: &ControlPlane| {
            [servers.engine_kubeconfig(), servers.rival_kubeconfig(), servers.audit_log()]
        });
        Self { bed, engine, rival, audit, keeper }
    }

    /// Ours, as one of Flux's controllers.
    fn soll(&self, name: &str, role: &str, kubeconfig: &Path) -> Kept {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soll"));
        command.args(["controller", "--storage-addr=127.0.0.1:0", "--health-addr=0", "--metrics-addr=0"]);
        command.arg("--controllers").arg(role).arg("--kubeconfig").arg(kubeconfig);
        command.arg("--storage-path").arg(self.keeper.folder().join(name));
        command.args(["--requeue-dependency=1s", "--log-level=debug"]).args(PACE);
        self.keeper.start(name, &mut command).expect("the engine starts")
    }

    /// The real one.
    fn controller(&self) -> Kept {
        let mut command = Command::new(soll_testkit::binary("kustomize-controller"));
        command.env("KUBECONFIG", &self.rival).env("RUNTIME_NAMESPACE", NAMESPACE);
        command.env("TMPDIR", self.keeper.folder()).env("HOME", self.keeper.folder());
        command.args(["--metrics-addr=0", "--health-addr=0", "--requeue-dependency=1s"]).args(PACE);
        self.keeper.start("controller", &mut command).expect("the controller starts")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.keeper.folder().join(format!("{name}.log"))
    }

    /// Asks for a pass over every Kustomization, and waits until whoever is there has made it.
    fn ask_for_a_pass(&self, stage: &Stage<'_>, token: &str) {
        for name in KUSTOMIZATIONS {
            let asked = format!("reconcile.fluxcd.io/requestedAt={token}");
            self.bed.kubectl(&["-n", NAMESPACE, "annotate", "--overwrite", "ks", name, &asked]);
        }
        for name in KUSTOMIZATIONS {
            stage.wait("Kustomization", name, |ks| {
                ks.is_some_and(|ks| {
                    let handled = ks.value().lookup_str(&["status", "lastHandledReconcileAt"]) == Some(token);
                    handled && condition(ks, "Ready").0 == "True"
                })
            });
        }
    }
}

const KUSTOMIZATIONS: [&str; 2] = ["infra", "apps"];

/// The Kustomizations, in the words that a user has for them.
fn kustomizations(stage: &Stage<'_>) {
    stage.kustomization("infra", "./infra", "prune: true\nwait: true\ntimeout: 2m");
    stage.kustomization(
        "apps",
        "./apps",
        "prune: true\ntimeout: 2m\ntargetNamespace: shop\ndependsOn: [{name: infra}]\n\
         commonMetadata: {labels: {stage: production}, annotations: {owner: shop}}\n\
         images: [{name: example.com/web, newTag: '7'}]\n\
         healthChecks: [{apiVersion: apps/v1, kind: Deployment, name: web, namespace: shop}, \
         {apiVersion: apps/v1, kind: StatefulSet, name: store, namespace: shop}, \
         {apiVersion: batch/v1, kind: Job, name: migrate, namespace: shop}]\n\
         postBuild: {substitute: {colour: green}}",
    );
}

/// Has a ConfigMap changed in Git, and another one come or go.
fn change(repository: &Repository, mode: &str, extra: bool) -> String {
    let path = repository.work().join("apps/data.yaml");
    let text = std::fs::read_to_string(path).expect("it was copied");
    let changed = text.lines().map(|line| match line.strip_prefix("  mode: ") {
        Some(_) => format!("  mode: {mode}\n"),
        None => format!("{line}\n"),
    });
    repository.write("apps/data.yaml", &changed.collect::<String>());
    let list = |extra: &str| format!("resources: [web.yaml, data.yaml, batch.yaml, network.yaml, kept.yaml{extra}]");
    let path = repository.work().join("apps/kustomization.yaml");
    let text = std::fs::read_to_string(path).expect("it was copied");
    let (old, new) = if extra { (list(""), list(", extra.yaml")) } else { (list(", extra.yaml"), list("")) };
    repository.write("apps/kustomization.yaml", &text.replace(&old, &new));
    repository.write("apps/extra.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\ndata: {a: b}\n");
    repository.push(mode)
}

/// kustomize-controller watches these kinds of sources, too, and does not start without them.
const OTHER_SOURCES: [(&str, &str); 2] = [("OCIRepository", "ocirepositories"), ("Bucket", "buckets")];

fn other_sources(bed: &Bed) {
    for (kind, plural) in OTHER_SOURCES {
        bed.apply(&format!(
            "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {plural}.source.toolkit.fluxcd.io}}
spec:
  group: source.toolkit.fluxcd.io
  names: {{kind: {kind}, plural: {plural}}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"
        ));
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "an account of what was counted")]
fn the_real_controller_is_taken_over_and_takes_over_again() {
    let bed = Bed::without_engine(Ground::Real);
    other_sources(&bed);
    let (cast, stage) = (Cast::new(&bed), bed.stage(NAMESPACE));
    let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/takeover/fleet");
    let first = stage.repository.copy(&fleet, "").push("all");
    // The sources stay with one process all the time.
    let _sources = cast.soll("sources", "source", &bed.kubeconfig);
    stage.source();
    let controller = cast.controller();
    kustomizations(&stage);
    KUSTOMIZATIONS.iter().for_each(|name| drop(stage.ready(name, &first)));
    let second = change(&stage.repository, "middling", true);
    stage.ready("apps", &second);
    let third = change(&stage.repository, "quick", false);
    stage.ready("apps", &third);
    bed.wait("ConfigMap", "shop", "extra", |extra| extra.is_none());
    // Somebody else has a word in what is merged, and in what nobody minds.
    bed.patch("ConfigMap", "shop", "merged", r#"{"data":{"theirs":"yes"}}"#);
    bed.patch("Deployment", "shop", "web", r#"{"metadata":{"annotations":{"somebody":"else"}}}"#);
    cast.ask_for_a_pass(&stage, "before");

    // We wait while the other one is there.
    let since = Since::now(&cast.audit);
    let mut soll = cast.soll("engine", "kustomize", &cast.engine);
    await_line(&cast.log("engine"), 1, &["waiting for the lease", LEASE]);
    let before = snapshot(&bed, WIDGETS);

    // It is gone without a word: its lease runs out.
    drop(controller);
    await_line(&cast.log("engine"), 1, &["every object had its first pass", "Kustomization"]);
    assert_eq!(difference(&before, &snapshot(&bed, WIDGETS)), Vec::<String>::new(), "taking over touches nothing");
    assert_eq!(since.writes(&cast.audit, "engine"), Vec::<String>::new(), "and writes nothing");
    for name in KUSTOMIZATIONS {
        let ready = condition(&stage.find("Kustomization", name).expect("it is there"), "Ready");
        assert_eq!(ready.0, "True", "{name}: {}", ready.2);
    }
    let count = |what: &str, which: &dyn Fn(&soll_testkit::audit::Request) -> bool| {
        println!("taking over: {what}: {}", since.count(&cast.audit, "engine", which));
    };
    count("dry runs", &|request| request.dry);
    count("objects read", &|request| request.verb == "get" && !request.name.is_empty());
    count("statuses written", &|request| request.part == "status" && request.writes());

    // A pass that takes nothing for granted finds nothing either.
    cast.ask_for_a_pass(&stage, "ours");
    let ours = snapshot(&bed, WIDGETS);
    assert_eq!(workloads(&difference(&before, &ours)), Vec::<String>::new(), "nothing is found to be done");
    assert_eq!(since.writes(&cast.audit, "engine"), Vec::<String>::new());

    // The cluster is ours: we go on where the other one stopped.
    let fourth = change(&stage.repository, "rapid", true);
    stage.ready("apps", &fourth);
    bed.wait("ConfigMap", "shop", "extra", |extra| extra.is_some());

    // And back, by an orderly end of ours.
    let since = Since::now(&cast.audit);
    let controller = cast.controller();
    let before = snapshot(&bed, WIDGETS);
    soll.stop().expect("it ends");
    cast.ask_for_a_pass(&stage, "theirs");
    let theirs = snapshot(&bed, WIDGETS);
    assert_eq!(
        workloads(&difference(&before, &theirs)),
        Vec::<String>::new(),
        "the other one finds nothing to be done"
    );
    assert_eq!(since.writes(&cast.audit, "rival"), Vec::<String>::new());
    // What we have applied is in an inventory that it can read.
    let fifth = change(&stage.repository, "swift", false);
    stage.ready("apps", &fifth);
    bed.wait("ConfigMap", "shop", "extra", |extra| extra.is_none());
    drop(controller);
}

/// What is not a request for a pass.
fn workloads(differences: &[String]) -> Vec<String> {
    differences.iter().filter(|difference| !difference.starts_with("Kustomization/")).cloned().collect()
}
