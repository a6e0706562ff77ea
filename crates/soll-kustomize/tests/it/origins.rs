//! Every value knows where it came from, through all transformers.

use crate::Files;

const FILES: &str = "
# file: base/kustomization.yaml
resources: [web.yaml]
configMapGenerator:
- name: conf
  literals:
  - A=1
# file: base/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  template:
    spec:
      containers:
      - name: web
        image: web:1
        envFrom:
        - configMapRef:
            name: conf
# file: over/kustomization.yaml
resources: [../base]
namePrefix: my-
namespace: prod
images:
- name: web
  newTag: \"2\"
patches:
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
    spec:
      replicas: 3
";

fn check(object: usize, path: &str, expected: &[&str]) {
    let build = Files::of(FILES).build("over").unwrap();
    let field = soll_yaml::FieldPath::parse(path);
    let value = field.find(&build.values[object]).unwrap();
    let chain: Vec<_> = soll_api::Origin::chain(&build.sources, value.at).iter().map(ToString::to_string).collect();
    assert_eq!(chain, expected, "{path}");
}

#[test]
fn untouched_values_keep_their_line() {
    check(0, "spec.template.spec.containers[0].name", &["base/web.yaml:10:15"]);
}

#[test]
fn transformers_add_a_link() {
    check(0, "metadata.name", &["over/kustomization.yaml:2:13 (namePrefix)", "base/web.yaml:4:9"]);
    check(0, "metadata.namespace", &["over/kustomization.yaml:3:12 (namespace)"]);
    check(
        0,
        "spec.template.spec.containers[0].image",
        &["over/kustomization.yaml:5:3 (images)", "base/web.yaml:11:16"],
    );
}

#[test]
fn inline_patches_are_found_at_their_line() {
    check(0, "spec.replicas", &["over/kustomization.yaml:14:17 (patches)", "base/web.yaml:6:13"]);
}

#[test]
fn generated_values_lead_to_their_literal() {
    check(1, "data.A", &["base/kustomization.yaml:5:5 (configMapGenerator)"]);
}
