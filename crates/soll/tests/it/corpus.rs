//! Real repositories: what reaches the cluster is what `kubectl apply --server-side` of `kustomize build` gives.

use std::collections::{BTreeMap, BTreeSet};
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
        stage.ready("app", &commit);
        let manifest = reference_build(&repos().join(repo).join(path));
        compare(
            &stage,
            &[Reference { kustomization: "app", manifest, namespace: namespace.unwrap_or(&stage.namespace) }],
        );
    }
}

/// What a Kustomization of the stage's namespace ought to have made.
pub(crate) struct Reference<'a> {
    pub(crate) kustomization: &'a str,
    pub(crate) manifest: Vec<u8>,
    /// Of objects that name none.
    pub(crate) namespace: &'a str,
}

/// Holds the objects of Kustomizations against those that `kubectl apply --server-side` makes of the references.
///
/// Deletes the Kustomizations, and with them their objects, and in the end what kubectl has made.
pub(crate) fn compare(stage: &Stage<'_>, references: &[Reference<'_>]) {
    let inventory = |reference: &Reference<'_>| -> Inventory {
        let object = stage.find("Kustomization", reference.kustomization).expect("it is there");
        let inventory = object.value().lookup(&["status", "inventory"]).expect("it has an inventory");
        soll_yaml::from_value(inventory).expect("an inventory")
    };
    let inventories: Vec<Inventory> = references.iter().map(inventory).collect();
    let ours: Vec<_> = inventories.iter().map(|inventory| snapshot(stage, inventory)).collect();
    for reference in references.iter().rev() {
        stage.bed.delete("Kustomization", &stage.namespace, reference.kustomization);
        stage.wait("Kustomization", reference.kustomization, |object| object.is_none());
    }
    for entry in inventories.iter().flat_map(|inventory| &inventory.entries) {
        stage.bed.wait_gone(&entry.object_ref().expect("an id"), &entry.v);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (position, (reference, inventory)) in references.iter().zip(&inventories).enumerate() {
        let file = folder.path().join(format!("{position}.yaml"));
        std::fs::write(&file, &reference.manifest).expect("writable");
        let file = file.to_string_lossy();
        let applied = stage.bed.kubectl(&["-n", reference.namespace, "apply", "--server-side", "-f", &file]);
        assert!(!applied.contains("rror"), "{}: {applied}", reference.kustomization);
        let theirs = snapshot(stage, inventory);
        for (object, text) in &ours[position] {
            assert_eq!(Some(text), theirs.get(object), "{}: {object}", reference.kustomization);
        }
        assert_eq!(ours[position].len(), theirs.len());
    }
    for (position, reference) in references.iter().enumerate().rev() {
        let file = folder.path().join(format!("{position}.yaml"));
        stage.bed.kubectl(&["-n", reference.namespace, "delete", "-f", &file.to_string_lossy(), "--wait=false"]);
    }
}

/// What the original kustomize builds of a folder, or the plain files of a folder without a kustomization.
pub(crate) fn reference_build(path: &Path) -> Vec<u8> {
    if !path.join("kustomization.yaml").exists() {
        let mut all = Vec::new();
        let entries = std::fs::read_dir(path).expect("readable");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
        files.sort();
        for file in files {
            all.extend_from_slice(b"---\n");
            all.extend(std::fs::read(file).expect("readable"));
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
        (reference, found.expect("it exists"))
    };
    let objects: Vec<(ObjectRef, Object)> = inventory.entries.iter().map(read).collect();
    let autoscalers = objects.iter().filter(|(reference, _)| reference.kind == "HorizontalPodAutoscaler");
    let scaled: BTreeSet<_> = autoscalers
        .map(|(reference, object)| {
            let target = |field| object.value().lookup_str(&["spec", "scaleTargetRef", field]).unwrap_or_default();
            (reference.namespace.clone(), target("kind").to_owned(), target("name").to_owned())
        })
        .collect();
    let normalize = |(reference, object): (ObjectRef, Object)| {
        let target = (reference.namespace.clone(), reference.kind.clone(), reference.name.clone());
        let also = if scaled.contains(&target) { SCALED } else { &[] };
        (reference, normalized(&object, also))
    };
    objects.into_iter().map(normalize).collect()
}

/// What an autoscaler writes to its target some time after either was made.
const SCALED: &[&[&str]] = &[&["spec", "replicas"], &["metadata", "generation"]];

/// Fields that the server or a controller fills in, differently each time: the whole of what may differ, beside the
/// status and the owner's labels.
const ALLOCATED: &[&[&str]] = &[
    &["metadata", "uid"],
    &["metadata", "creationTimestamp"],
    &["metadata", "resourceVersion"],
    &["metadata", "managedFields"],
    // Written by the controllers of Deployments and of volumes some time after the object was made.
    &["metadata", "annotations", "deployment.kubernetes.io/revision"],
    &["metadata", "annotations", "pv.kubernetes.io/bind-completed"],
    &["metadata", "annotations", "pv.kubernetes.io/bound-by-controller"],
    &["metadata", "labels", "kustomize.toolkit.fluxcd.io/name"],
    &["metadata", "labels", "kustomize.toolkit.fluxcd.io/namespace"],
    &["spec", "clusterIP"],
    &["spec", "clusterIPs"],
    &["spec", "volumeName"],
    &["status"],
];

fn normalized(object: &Object, also: &[&[&str]]) -> String {
    let mut value = object.value().clone();
    for path in ALLOCATED.iter().chain(also) {
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

pub(crate) fn repos() -> PathBuf {
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
