//! Real repositories: what reaches the cluster is what `kubectl apply --server-side` of `kustomize build` gives.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use soll_api::{Inventory, Object, ObjectRef};
use soll_yaml::Value;

use crate::bed::{Bed, Ground, Stage, condition, runtime};
use crate::on_both_grounds;

on_both_grounds!(the_first_example_of_flux_works_word_for_word, objects_equal_those_of_kubectl);

/// Repository, path in it, and the namespace of its objects; `None` where the Kustomization's targetNamespace says it.
const OVERLAYS: &[(&str, &str, Option<&str>)] = &[
    ("podinfo", "kustomize", None),
    ("podinfo", "deploy/bases/backend", None),
    ("podinfo", "deploy/bases/cache", None),
    ("gitops101", "deploy/kubernetes", None),
    ("gitops101", "examples", None),
    ("kustomize-controller-testdata", "internal/controller/testdata/transformers", Some("transformers-inline")),
    ("kustomize-controller-testdata", "internal/controller/testdata/file-transformer", Some("transformer-files")),
];

fn objects_equal_those_of_kubectl(ground: Ground) {
    for (position, (repo, path, namespace)) in OVERLAYS.iter().enumerate() {
        let stage = Bed::shared(ground).stage(&format!("corpus-{position}"));
        if let Some(namespace) = namespace {
            stage.bed.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n"));
        }
        let commit = stage.repository.copy(&repos().join(repo), ".").push(repo);
        stage.source();
        let target = if namespace.is_none() { format!("targetNamespace: {}", stage.namespace) } else { String::new() };
        stage.kustomization("app", &format!("./{path}"), &format!("prune: true\n{target}"));
        let inventory = stage.ready("app", &commit).value().lookup(&["status", "inventory"]).cloned();
        let inventory: Inventory = soll_yaml::from_value(&inventory.expect("it has one")).expect("an inventory");
        let ours = snapshot(&stage, &inventory);
        stage.bed.delete("Kustomization", &stage.namespace, "app");
        stage.wait("Kustomization", "app", |object| object.is_none());
        for entry in &inventory.entries {
            let reference = entry.object_ref().expect("an id");
            stage.bed.wait_gone(&reference, &entry.v);
        }

        let manifest = reference_build(&repos().join(repo).join(path));
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), manifest).expect("writable");
        let (namespace, file) = (namespace.unwrap_or(&stage.namespace), file.path().to_string_lossy());
        let applied = stage.bed.kubectl(&["-n", namespace, "apply", "--server-side", "-f", &file]);
        assert!(!applied.contains("rror"), "{repo}/{path}: {applied}");
        let theirs = snapshot(&stage, &inventory);
        for (reference, object) in &ours {
            assert_eq!(Some(object), theirs.get(reference), "{repo}/{path}: {reference}");
        }
        assert_eq!(ours.len(), theirs.len());
        stage.bed.kubectl(&["-n", namespace, "delete", "-f", &file, "--wait=false"]);
    }
}

/// What the original kustomize builds, or the plain files of a folder without a kustomization.
fn reference_build(path: &Path) -> Vec<u8> {
    if !path.join("kustomization.yaml").exists() {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(path).expect("readable") {
            all.extend_from_slice(b"---\n");
            all.extend(std::fs::read(entry.expect("readable").path()).expect("readable"));
            all.push(b'\n');
        }
        return all;
    }
    let output = Command::new(soll_testkit::tools().kustomize).arg("build").arg(path).output().expect("kustomize runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The live objects of an inventory, normalised, as YAML.
fn snapshot(stage: &Stage<'_>, inventory: &Inventory) -> BTreeMap<ObjectRef, String> {
    let read = |entry: &soll_api::InventoryEntry| {
        let reference = entry.object_ref().expect("an id");
        let found = runtime().block_on(stage.bed.cluster.find_ref(&reference, &entry.v)).expect("readable");
        (reference, normalized(&found.expect("it exists")))
    };
    inventory.entries.iter().map(read).collect()
}

/// Fields that the server or a controller fills in, differently each time: the whole of what may differ, beside the
/// status and the owner's labels.
const ALLOCATED: &[&[&str]] = &[
    &["metadata", "uid"],
    &["metadata", "creationTimestamp"],
    &["metadata", "resourceVersion"],
    &["metadata", "managedFields"],
    // Written by the Deployment controller some time after the object was made.
    &["metadata", "annotations", "deployment.kubernetes.io/revision"],
    &["metadata", "labels", "kustomize.toolkit.fluxcd.io/name"],
    &["metadata", "labels", "kustomize.toolkit.fluxcd.io/namespace"],
    &["spec", "clusterIP"],
    &["spec", "clusterIPs"],
    &["spec", "volumeName"],
    &["status"],
];

fn normalized(object: &Object) -> String {
    let mut value = object.value().clone();
    for path in ALLOCATED {
        remove(&mut value, path);
    }
    soll_yaml::emit_yaml(&value)
}

/// Removes a field, and what becomes empty by that.
fn remove(value: &mut Value, path: &[&str]) {
    let [first, rest @ ..] = path else { return };
    let Some(map) = value.as_map_mut() else { return };
    if rest.is_empty() {
        map.remove(first);
    } else if let Some(inner) = map.get_mut(first) {
        remove(inner, rest);
        if inner.as_map().is_some_and(soll_yaml::Map::is_empty) {
            map.remove(first);
        }
    }
}

fn repos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/repos")
}

fn the_first_example_of_flux_works_word_for_word(ground: Ground) {
    let bed = Bed::shared(ground);
    let repository = bed.git.repository("podinfo");
    repository.copy(&repos().join("podinfo"), ".").push("podinfo");
    repository.git(&["push", "--quiet", "origin", "HEAD:refs/heads/master"]);
    let url = repository.url();
    let manifests = format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata:
  name: podinfo
  namespace: default
spec:
  interval: 5m
  url: {url}
  ref:
    branch: master
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: podinfo
  namespace: default
spec:
  interval: 10m
  targetNamespace: default
  sourceRef:
    kind: GitRepository
    name: podinfo
  path: \"./kustomize\"
  prune: true
  timeout: 1m
"
    );
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), manifests).expect("writable");
    let output = bed.kubectl(&["apply", "-f", &file.path().to_string_lossy()]);
    assert!(output.contains("kustomization.kustomize.toolkit.fluxcd.io/podinfo created"), "{output}");
    let waited = bed.kubectl(&["wait", "kustomization/podinfo", "--for=condition=Ready", "--timeout=60s"]);
    assert!(waited.contains("condition met"), "{waited}");
    let available = bed.kubectl(&["wait", "deployment/podinfo", "--for=condition=Available", "--timeout=60s"]);
    assert!(available.contains("condition met"), "{available}");
    let source = bed.find("GitRepository", "default", "podinfo").expect("it is there");
    assert!(condition(&source, "Ready").2.starts_with("stored artifact for revision 'master@sha1:"));

    let deleted = bed.kubectl(&["delete", "kustomization/podinfo", "--timeout=60s"]);
    assert!(deleted.contains("deleted"), "{deleted}");
    bed.wait("Deployment", "default", "podinfo", |deployment| deployment.is_none());
    bed.wait("Service", "default", "podinfo", |service| service.is_none());
}
