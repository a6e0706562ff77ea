//! The original clients, unchanged: `kubectl` and `flux` on the objects that the engine reconciles; Helm, kube-rs, and the
//! Python and the Node client on their own.

mod helm;
mod kube_rs;
mod programs;

use std::path::PathBuf;

use crate::bed::{Bed, Ground, Ran, Stage};
use crate::on_both_grounds;

on_both_grounds!(kubectl_finds_its_way, flux_finds_its_way);

const APP: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: example.com/web:1
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  key: one
";

/// One of the original tools, in the namespace of a stage.
struct Client<'a> {
    stage: &'a Stage<'a>,
    program: PathBuf,
}

impl Client<'_> {
    /// Runs it and expects it to end with 0.
    fn run(&self, arguments: &[&str]) -> String {
        let ran = self.try_run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}", ran.text);
        ran.text
    }

    fn try_run(&self, arguments: &[&str]) -> Ran {
        let namespaced: Vec<&str> = ["-n", &self.stage.namespace].iter().chain(arguments).copied().collect();
        self.stage.bed.run(&self.program, &namespaced)
    }

    /// Runs it and expects each of some texts in what it prints.
    fn shows(&self, arguments: &[&str], wanted: &[&str]) {
        let text = self.run(arguments);
        for wanted in wanted {
            assert!(text.contains(wanted), "{arguments:?} shows no {wanted:?}:\n{text}");
        }
    }
}

/// A GitRepository and a Kustomization as people write them into a file.
fn manifests(stage: &Stage<'_>, interval: &str) -> String {
    let (namespace, url) = (&stage.namespace, stage.repository.url());
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata:
  name: source
  namespace: {namespace}
spec:
  interval: 10m
  url: {url}
  ref:
    branch: main
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: app
  namespace: {namespace}
spec:
  interval: {interval}
  path: ./app
  prune: true
  wait: true
  targetNamespace: {namespace}
  sourceRef:
    kind: GitRepository
    name: source
"
    )
}

fn kubectl_finds_its_way(ground: Ground) {
    let stage = Bed::shared(ground).stage("clients-kubectl");
    let commit = stage.repository.write("app/app.yaml", APP).push("one");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("app.yaml");
    let file = path.to_str().expect("UTF-8");
    std::fs::write(&path, manifests(&stage, "10m")).expect("writable");
    let kubectl = Client { stage: &stage, program: soll_testkit::tools().kubectl };

    kubectl.shows(&["apply", "-f", file], &["gitrepository.source.toolkit.fluxcd.io/source created", "/app created"]);
    kubectl.shows(&["wait", "ks/app", "--for=condition=Ready", "--timeout=60s"], &["condition met"]);
    kubectl.shows(&["wait", "deployment/web", "--for=condition=Available", "--timeout=60s"], &["condition met"]);
    kubectl.shows(&["rollout", "status", "deployment/web", "--timeout=60s"], &["successfully rolled out"]);

    let applied = format!("Applied revision: main@sha1:{commit}");
    kubectl.shows(&["get", "ks"], &["NAME", "AGE", "READY", "STATUS", "app", "True", &applied]);
    kubectl.shows(&["get", "gitrepo", "-o", "wide"], &["URL", stage.repository.url(), "stored artifact for revision"]);
    kubectl.shows(&["get", "deploy,cm,ks", "-o", "name"], &["deployment.apps/web", "configmap/settings", "/app"]);
    kubectl.shows(&["get", "ks", "app", "-o", "jsonpath={.status.lastAppliedRevision}"], &[&commit]);
    kubectl.shows(&["get", "ks", "app", "-o", "yaml"], &["observedGeneration: 1", "entries:"]);
    kubectl.shows(&["get", "pods"], &["web-", "1/1", "Running"]);
    kubectl.shows(&["describe", "ks", "app"], &["Kind:         Kustomization", "Events:", "ReconciliationSucceeded"]);
    kubectl.shows(&["describe", "deployment", "web"], &["example.com/web:1", "kustomize.toolkit.fluxcd.io/name=app"]);
    kubectl.shows(&["events", "--for", "kustomization/app"], &["ReconciliationSucceeded", "Kustomization/app"]);
    kubectl.shows(&["explain", "ks.spec.prune"], &["FIELD: prune <boolean>"]);

    assert_eq!(kubectl.try_run(&["diff", "-f", file]).code, Some(0), "nothing changed");
    std::fs::write(&path, manifests(&stage, "20m")).expect("writable");
    let changed = kubectl.try_run(&["diff", "-f", file]);
    assert_eq!(changed.code, Some(1), "{}", changed.text);
    assert!(changed.text.contains("+  interval: 20m"), "{}", changed.text);
    kubectl.shows(&["apply", "-f", file], &["source unchanged", "/app configured"]);
    kubectl.shows(&["wait", "ks/app", "--for=jsonpath={.status.observedGeneration}=2", "--timeout=60s"], &["met"]);

    kubectl.shows(&["delete", "ks", "app", "--timeout=60s"], &["\"app\" deleted"]);
    kubectl.shows(&["wait", "--for=delete", "cm/settings", "deploy/web", "--timeout=60s"], &[]);
    let gone = kubectl.try_run(&["get", "ks", "app"]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.text.contains("kustomizations.kustomize.toolkit.fluxcd.io \"app\" not found"), "{}", gone.text);
}

fn flux_finds_its_way(ground: Ground) {
    let stage = Bed::shared(ground).stage("clients-flux");
    let first = stage.repository.write("app/app.yaml", APP).push("one");
    stage.bed.apply(&manifests(&stage, "10m"));
    stage.ready("app", &first);
    let flux = Client { stage: &stage, program: soll_testkit::tools().flux };
    let short = |commit: &str| format!("main@sha1:{}", &commit[..8]);

    flux.shows(&["get", "kustomizations"], &["app", &short(&first), "True", "Applied revision"]);
    flux.shows(&["get", "sources", "git"], &["source", "stored artifact for revision"]);
    flux.shows(&["get", "all"], &["gitrepository/source", "kustomization/app"]);
    flux.shows(&["tree", "kustomization", "app"], &["Deployment/clients-flux/web", "ConfigMap/clients-flux/settings"]);
    let traced = ["Object:", "Deployment/web", "Kustomization:   app", "GitRepository:   source", &first];
    flux.shows(&["trace", "web", "--api-version=apps/v1", "--kind=Deployment"], &traced);
    flux.shows(&["events", "--for", "Kustomization/app"], &["ReconciliationSucceeded"]);
    flux.shows(&["export", "kustomization", "app"], &["kind: Kustomization", "path: ./app"]);
    flux.shows(&["export", "source", "git", "source"], &["kind: GitRepository", stage.repository.url()]);

    // The interval is ten minutes: what comes now comes by request.
    let second = stage.repository.write("app/app.yaml", &APP.replace("key: one", "key: two")).push("two");
    let applied = format!("applied revision main@sha1:{second}");
    flux.shows(&["reconcile", "kustomization", "app", "--with-source"], &["fetched revision", &applied]);
    let value = |stage: &Stage<'_>| {
        stage.find("ConfigMap", "settings")?.value().lookup_str(&["data", "key"]).map(str::to_owned)
    };
    assert_eq!(value(&stage).as_deref(), Some("two"));

    flux.shows(&["suspend", "kustomization", "app"], &["kustomization suspended"]);
    let third = stage.repository.write("app/app.yaml", &APP.replace("key: one", "key: three")).push("three");
    flux.shows(&["reconcile", "source", "git", "source"], &[&third]);
    let refused = flux.try_run(&["reconcile", "kustomization", "app"]);
    assert!(refused.code != Some(0) && refused.text.contains("suspended"), "{}", refused.text);
    assert_eq!(value(&stage).as_deref(), Some("two"));
    flux.shows(&["resume", "kustomization", "app"], &["kustomization resumed", &third]);
    assert_eq!(value(&stage).as_deref(), Some("three"));

    flux.shows(&["delete", "kustomization", "app", "--silent"], &["kustomization deleted"]);
    stage.wait("Deployment", "web", |deployment| deployment.is_none());
}
