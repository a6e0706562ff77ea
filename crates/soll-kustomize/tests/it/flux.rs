//! The build as Flux calls it.

use std::collections::BTreeMap;

use soll_api::{CommonMetadata, KustomizationSpec};
use soll_kustomize::flux::{Overrides, build, common_metadata};
use soll_kustomize::{Build, BuildErrors, Options};
use soll_yaml::{from_value, parse_json};

use crate::Files;

const MANIFESTS: &str = "
# file: apps/a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
# file: apps/b/c.yml
apiVersion: apps/v1
kind: Deployment
metadata: {name: b}
spec: {template: {spec: {containers: [{name: b, image: \"b:1\"}]}}}
# file: apps/k/kustomization.yaml
resources: [d.yaml]
namePrefix: k-
# file: apps/k/d.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: d}
# file: apps/notes.txt
no manifest
";

fn built(files: &str, root: &str, spec: &str) -> Result<Build, BuildErrors> {
    let text = format!(r#"{{"interval":"1m","prune":true,"sourceRef":{{"kind":"GitRepository","name":"x"}},{spec}}}"#);
    let spec: KustomizationSpec = from_value(&parse_json(text.as_bytes()).unwrap()).unwrap();
    build(&Files::of(files), &root.parse().unwrap(), &Overrides::of(&spec), &Options::default())
}

fn printed(build: &Build) -> String {
    build.objects.iter().map(|object| soll_yaml::emit_yaml(object.value())).collect()
}

fn names(build: &Build) -> Vec<String> {
    build.objects.iter().map(|object| object.object_ref().to_string()).collect()
}

#[test]
fn a_directory_without_kustomization_is_walked() {
    let build = built(MANIFESTS, "apps", r#""path":"./apps""#).unwrap();
    assert_eq!(names(&build), ["ConfigMap/a", "Deployment/b", "ConfigMap/k-d"]);
}

#[test]
fn the_spec_changes_the_root() {
    let spec = r#""targetNamespace":"prod","namePrefix":"p-","images":[{"name":"b","newTag":"2"}],
        "patches":[{"patch":"- op: add\n  path: /metadata/labels\n  value: {x: z}","target":{"kind":"Deployment"}}]"#;
    let build = built(MANIFESTS, "apps", spec).unwrap();
    assert_eq!(names(&build), ["ConfigMap/prod/p-a", "Deployment/prod/p-b", "ConfigMap/prod/p-k-d"]);
    let text = printed(&build);
    assert!(text.contains("image: b:2") && text.contains("x: z"), "{text}");
}

#[test]
fn tag_and_digest_of_an_image_are_one_unit() {
    let files = "
# file: kustomization.yaml
resources: [a.yaml]
images: [{name: b, newName: other, newTag: \"1\"}]
# file: a.yaml
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {containers: [{name: b, image: b}]}
";
    let build = built(files, "", r#""images":[{"name":"b","digest":"sha256:f"}]"#).unwrap();
    assert!(printed(&build).contains("image: other@sha256:f"), "{}", printed(&build));
}

#[test]
fn nothing_to_build_is_fine() {
    let files = "\n# file: kustomization.yaml\nresources: []\n";
    assert!(built(files, "", r#""wait":true"#).unwrap().objects.is_empty());
}

#[test]
fn unknown_fields_of_the_root_vanish_and_others_do_not() {
    let files = "\n# file: kustomization.yaml\nfoo: bar\nresources: [b]\n# file: b/kustomization.yaml\nfoo: bar\n";
    let errors = built(files, "", r#""wait":true"#).unwrap_err();
    assert_eq!(errors.to_string(), "b/kustomization.yaml:1:1: unknown field `foo` in a kustomization");
}

#[test]
fn missing_components_are_ignored_when_told() {
    let files = "\n# file: kustomization.yaml\nresources: []\n";
    let component = r#""components":["./missing"]"#;
    assert!(built(files, "", component).unwrap_err().to_string().contains("`missing` does not exist"));
    assert!(built(files, "", &format!(r#"{component},"ignoreMissingComponents":true"#)).is_ok());
    let remote = built(files, "", r#""components":["github.com/a/b"]"#).unwrap_err();
    assert!(remote.to_string().contains("must be local and relative"), "{remote}");
}

#[test]
fn common_metadata_reaches_every_object() {
    let mut build = built(MANIFESTS, "apps", r#""wait":true"#).unwrap();
    let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
    common_metadata(&mut build.objects, &CommonMetadata { labels, annotations: BTreeMap::new() });
    assert!(build.objects.iter().all(|object| object.label("team") == Some("a")));
}
