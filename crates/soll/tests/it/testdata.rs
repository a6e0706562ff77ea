//! The objects that Flux's own tests apply, with their URLs pointing to our Git server.
//!
//! What needs SOPS, an OCI registry or remote bases is left out.

use crate::bed::{Bed, Ground, Stage, condition};
use crate::corpus::{Reference, compare, reference_build, repos};
use crate::on_both_grounds;

on_both_grounds!(
    dependencies_come_up_in_order,
    overlays_of_one_source_live_side_by_side,
    objects_are_applied_as_the_account,
    defaults_are_those_of_the_definition,
    definitions_and_their_objects_come_in_one_commit,
    an_object_of_no_kind_fails_alone,
);

const PODINFO: &str = "https://github.com/stefanprodan/podinfo";

/// Programs of podinfo, which the corpus has not: any text will do in a ConfigMap.
const SCRIPTS: &[&str] = &[
    "deploy/bases/frontend/scripts/warm-cache.sh",
    "deploy/bases/frontend/scripts/warm-cache-init.sh",
    "deploy/bases/database/scripts/rollup.sh",
    "deploy/bases/database/scripts/backup.sh",
];

/// A stage whose repository is podinfo, with the tag that the tests ask for.
fn stage(ground: Ground, name: &str) -> (Stage<'static>, String) {
    let stage = Bed::shared(ground).stage(name);
    stage.repository.copy(&repos().join("podinfo"), ".");
    for script in SCRIPTS {
        stage.repository.write(script, "#!/bin/sh\nexec true\n");
    }
    let commit = stage.repository.push("podinfo");
    stage.repository.git(&["push", "--quiet", "origin", "HEAD:refs/heads/master", "HEAD:refs/tags/6.3.5"]);
    (stage, commit)
}

fn testdata() -> std::path::PathBuf {
    repos().join("kustomize-controller-testdata")
}

/// Applies a file of the test data, as somebody would by kubectl: in a namespace, or in those that its objects name.
fn apply(stage: &Stage<'_>, namespace: Option<&str>, file: &str) {
    let text = std::fs::read_to_string(testdata().join("config/testdata").join(file)).expect("the corpus has it");
    let copy = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(copy.path(), text.replace(PODINFO, stage.repository.url())).expect("writable");
    let copy = copy.path().to_string_lossy();
    let namespace: Vec<&str> = namespace.into_iter().flat_map(|namespace| ["-n", namespace]).collect();
    let ran = stage.bed.run(&soll_testkit::tools().kubectl, &[&namespace[..], &["apply", "-f", &copy]].concat());
    assert_eq!(ran.code, Some(0), "{file}: {}", ran.text);
}

fn dependencies_come_up_in_order(ground: Ground) {
    let (stage, commit) = stage(ground, "testdata-dependencies");
    let namespace = Some("testdata-dependencies");
    for file in ["source", "frontend", "backend"] {
        apply(&stage, namespace, &format!("dependencies/{file}.yaml"));
    }
    stage.failed("backend", "DependencyNotReady");
    assert!(stage.bed.find("Namespace", "", "webapp").is_none(), "nothing may come before `common`");
    apply(&stage, namespace, "dependencies/common.yaml");
    let names = ["common", "backend", "frontend"];
    for name in names {
        stage.ready(name, &commit);
    }
    let references = names.map(|name| Reference {
        kustomization: name,
        manifest: reference_build(&stage.repository.work().join("deploy/webapp").join(name)),
        namespace: "webapp",
    });
    compare(&stage, &references);
}

fn overlays_of_one_source_live_side_by_side(ground: Ground) {
    let (stage, commit) = stage(ground, "testdata-overlays");
    for name in ["staging", "production"] {
        apply(&stage, Some("testdata-overlays"), &format!("overlays/{name}.yaml"));
    }
    for name in ["staging", "production"] {
        stage.ready(&format!("webapp-{name}"), &commit);
    }
    let reference = |kustomization, path| Reference {
        kustomization,
        manifest: reference_build(&stage.repository.work().join("deploy/overlays").join(path)),
        namespace: path,
    };
    compare(&stage, &[reference("webapp-staging", "staging"), reference("webapp-production", "production")]);
}

fn objects_are_applied_as_the_account(ground: Ground) {
    let (stage, commit) = stage(ground, "testdata-accounts");
    apply(&stage, None, "impersonation/test.yaml");
    let bed = stage.bed;
    bed.ready("impersonation", "podinfo", &commit);
    let replicas = bed.kubectl(&["-n", "impersonation", "get", "hpa", "podinfo", "-o", "jsonpath={.spec.minReplicas}"]);
    assert_eq!(replicas, "1", "its patch");

    // Its account may do everything in its namespace, and nothing outside.
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: escaped}\nrules: []\n";
    stage.repository.write("kustomize/escape.yaml", role);
    let kustomization = stage.repository.work().join("kustomize/kustomization.yaml");
    let text = std::fs::read_to_string(&kustomization).expect("podinfo has it");
    std::fs::write(&kustomization, text.replace("resources:", "resources:\n  - escape.yaml")).expect("writable");
    stage.repository.push("escape");
    stage.repository.git(&["push", "--quiet", "--force", "origin", "HEAD:refs/tags/6.3.5"]);
    bed.kubectl(&["-n", "impersonation", "annotate", "gitrepo", "podinfo", "reconcile.fluxcd.io/requestedAt=now"]);
    let message = bed.failed("impersonation", "podinfo", "ReconciliationFailed");
    assert!(message.contains("system:serviceaccount:impersonation:gotk-reconciler"), "{message}");
    assert!(message.contains("ClusterRole/escaped"), "{message}");
    assert!(!bed.kubectl(&["get", "clusterrole", "-o", "name"]).contains("escaped"));
}

fn defaults_are_those_of_the_definition(ground: Ground) {
    let stage = Bed::shared(ground).stage("testdata-defaults");
    let path = testdata().join("config/testdata/status-defaults/empty-kustomization.yaml");
    let path = path.to_string_lossy();
    let created = stage.bed.kubectl(&["-n", "testdata-defaults", "apply", "-f", &path, "-o", "jsonpath={.status}"]);
    assert_eq!(created, r#"{"observedGeneration":-1}"#);
    let object = stage.wait("Kustomization", "status-defaults", |object| {
        object.is_some_and(|object| condition(object, "Ready").0 == "False")
    });
    let (_, reason, message) = condition(&object.expect("it is there"), "Ready");
    assert_eq!(reason, "InvalidSpec");
    assert!(message.contains("spec"), "{message}");
    stage.bed.delete("Kustomization", "testdata-defaults", "status-defaults");
    stage.wait("Kustomization", "status-defaults", |object| object.is_none());
}

fn definitions_and_their_objects_come_in_one_commit(ground: Ground) {
    let stage = Bed::shared(ground).stage("testdata-crds");
    let from = testdata().join("internal/controller/testdata/restmapper");
    let commit = stage.repository.copy(&from, ".").push("a CRD and an object of it");
    stage.source();
    stage.kustomization("app", "./", "prune: true\nwait: true\ntimeout: 1m");
    stage.ready("app", &commit);
    let found = stage.bed.kubectl(&["get", "clustercleanuppolicies.kyverno.io", "-o", "name"]);
    assert!(found.contains("clustercleanuppolicy.kyverno.io/test-cluster-cleanup-policy"), "{found}");
    stage.bed.delete("Kustomization", "testdata-crds", "app");
    stage.wait("Kustomization", "app", |app| app.is_none());
    stage.bed.wait("CustomResourceDefinition", "", "clustercleanuppolicies.kyverno.io", |crd| crd.is_none());
}

fn an_object_of_no_kind_fails_alone(ground: Ground) {
    let stage = Bed::shared(ground).stage("testdata-invalid");
    stage.repository.copy(&testdata().join("internal/controller/testdata/invalid"), ".").push("invalid");
    stage.source();
    for path in ["overlay", "plain"] {
        stage.kustomization(path, &format!("./{path}"), "prune: true\ntargetNamespace: testdata-invalid");
        let message = stage.failed(path, "BuildFailed");
        assert!(message.contains("deployment.yaml:22"), "{path}: {message}");
        assert!(message.contains("apiVersion"), "{path}: {message}");
    }
    assert!(stage.find("Deployment", "podinfo").is_none(), "nothing of a broken build is applied");
}
