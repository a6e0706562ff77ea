//! What is wrong is said with its place, all at once.

use crate::Files;

fn check(files: &str, expected: &str) {
    let errors = Files::of(files).build("").unwrap_err().to_string();
    assert_eq!(errors, expected.trim());
}

#[test]
fn all_problems_of_a_build_are_told() {
    // But for the patch: what it is for may be in the file that is missing.
    check(
        "
# file: kustomization.yaml
resources:
- missing.yaml
- broken.yaml
- a.yaml
namePrfix: x-
patches:
- path: a.yaml
  target: {kind: (}
- patch: |-
    apiVersion: v1
    kind: Service
    metadata: {name: nobody}
# file: broken.yaml
a: b: c
# file: a.yaml
kind: ConfigMap
metadata: {nam: a}
",
        "
kustomization.yaml:8:18: `kind` is no regular expression: unclosed group
kustomization.yaml:5:1: unknown field `namePrfix` in a kustomization; did you mean `namePrefix`?
kustomization.yaml:2:3: `missing.yaml` does not exist
broken.yaml:1:5: mapping values are not allowed in this context
a.yaml:1:1: the ConfigMap has no `metadata.name`
",
    );
}

#[test]
fn kustomizations_that_load_each_other_end() {
    check(
        "\n# file: kustomization.yaml\nresources: [a]\n# file: a/kustomization.yaml\nresources:\n- ../\n",
        "a/kustomization.yaml:2:3: cycle detected: `.` is loaded while it is being built",
    );
}

#[test]
fn what_is_not_built_is_refused_by_name() {
    check(
        "
# file: kustomization.yaml
resources:
- https://example.com/a.yaml
- github.com/a/b//c?ref=main
- ftp://example.com/b
helmCharts:
- name: a
transformers: [t.yaml]
# file: t.yaml
apiVersion: example.com/v1
kind: Magic
metadata: {name: m}
",
        "
kustomization.yaml:2:3: needs `https://example.com/a.yaml`: nothing is fetched here; copy it into the source
kustomization.yaml:3:3: needs `github.com/a/b//c?ref=main`: nothing is fetched here; copy it into the source
kustomization.yaml:4:3: `ftp://example.com/b` is no URL that can be fetched: https, http, ssh, file, or git@HOST:PATH
kustomization.yaml:6:3: charts are rendered by `soll kustomize --enable-helm` only: Flux renders none either
t.yaml:1:1: external plugins disabled; `Magic` is not builtin (`apiVersion: builtin`)
",
    );
}

#[test]
fn paths_stay_in_the_tree() {
    check(
        "\n# file: kustomization.yaml\nresources: [../../etc, /etc/passwd]\n",
        "
kustomization.yaml:1:13: `../../etc` leads out of the source
kustomization.yaml:1:24: `/etc/passwd` is absolute; paths are relative to the root of the source
",
    );
}

#[test]
fn objects_that_clash_are_named() {
    check(
        "
# file: kustomization.yaml
resources: [a.yaml, b.yaml]
# file: a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
# file: b.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
",
        "b.yaml:1:1: ConfigMap/a: may not add resource with an already registered id; the object at a.yaml:1:1 has it",
    );
    check(
        "
# file: kustomization.yaml
namespace: prod
resources: [a.yaml, b.yaml]
# file: a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: one}
# file: b.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a, namespace: two}
",
        "kustomization.yaml:1:12: ConfigMap/prod/a: namespace transformation produces ID conflict: the object at a.yaml:1:1 and the \
         object at b.yaml:1:1 have one name now",
    );
}

#[test]
fn patches_that_do_not_fit_name_object_and_field() {
    check(
        "
# file: kustomization.yaml
resources: [a.yaml]
patches:
- target: {kind: ConfigMap}
  patch: |-
    - op: remove
      path: /data/missing
# file: a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data: {k: v}
",
        "kustomization.yaml:5:7: ConfigMap/a: operation 1 of the JSON patch (remove /data/missing): there is no `missing` to remove",
    );
}

#[test]
fn an_item_that_would_cost_the_others_their_place_is_refused() {
    check(
        "
# file: kustomization.yaml
resources: [a.yaml]
patches:
- patch: |-
    apiVersion: v1
    kind: Pod
    metadata: {name: a}
    spec:
      containers:
      - name: main
        env:
        - name: A
        - {}
# file: a.yaml
apiVersion: v1
kind: Pod
metadata: {name: a}
",
        "kustomization.yaml:12:11: Pod/a: spec.containers[0].env: the item has no `name`, by which the list is merged",
    );
}

#[test]
fn a_replacement_that_does_nothing_is_told() {
    let files = "
# file: kustomization.yaml
resources: [a.yaml]
replacements:
- sourceValue: x
  targets:
  - select: {kind: ConfigMap}
    fieldPaths: [metadata.labels.app]
    options: {create: true}
# file: a.yaml
apiVersion: v1
kind: ConfigMap
metadata: {name: a, labels: null}
";
    let built = Files::of(files).build("").unwrap();
    let told: Vec<_> = built.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(told, ["`metadata.labels.app` leads into null, where nothing is replaced; remove the null"]);
}
