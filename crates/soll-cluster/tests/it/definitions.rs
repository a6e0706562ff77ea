//! Our own definitions: the installation can be applied, and the API server takes and refuses what it should.

use soll_api::{InstallOptions, Object, install, samples};
use soll_cluster::Mode;
use soll_yaml::{Sources, Value, parse_json};

use crate::support::{Bed, on_both};

/// A namespace with the definitions in place.
async fn installed(kind: crate::support::Kind, name: &str) -> Bed {
    let bed = Bed::new(kind, name).await;
    let options = InstallOptions { namespace: bed.namespace.clone(), ..InstallOptions::new("soll:v0", "v0") };
    let objects = install(&options);
    let count = objects.len();
    let applied = bed.apply_objects(&bed.applier(), objects, &Sources::new()).await.unwrap();
    assert_eq!(applied.changes.iter().count(), count);
    bed
}

fn kind_of(kind: &str, namespace: &str, spec: &str) -> Object {
    let group = if kind == "GitRepository" { "source" } else { "kustomize" };
    let text = format!(
        r#"{{"apiVersion":"{group}.toolkit.fluxcd.io/v1","kind":"{kind}",
            "metadata":{{"name":"x","namespace":"{namespace}"}},"spec":{}}}"#,
        spec.replace('\'', "\"")
    );
    Object::new(parse_json(text.as_bytes()).unwrap()).unwrap()
}

/// Specs that are refused, with a part of the reason.
const REFUSED: &[(&str, &str, &str)] = &[
    ("GitRepository", "{'interval': '1m'}", "spec.url: Required value"),
    ("GitRepository", "{'url': 'https://x'}", "spec.interval: Required value"),
    ("GitRepository", "{'url': 'git@x:y', 'interval': '1m'}", "spec.url: Invalid value"),
    ("GitRepository", "{'url': 'https://x', 'interval': '1d'}", "spec.interval: Invalid value"),
    ("GitRepository", "{'url': 'https://x', 'interval': '1h', 'timeout': '1h'}", "spec.timeout: Invalid value"),
    ("GitRepository", "{'url': 'https://x', 'interval': '1m', 'provider': 'gcp'}", "spec.provider: Unsupported value"),
    (
        "GitRepository",
        "{'url': 'https://x', 'interval': '1m', 'serviceAccountName': 'a'}",
        "serviceAccountName can only be set when provider is 'azure' or 'aws'",
    ),
    ("GitRepository", "{'url': 'https://x', 'interval': '1m', 'verify': {}}", "spec.verify.secretRef: Required value"),
    (
        "GitRepository",
        "{'url': 'https://x', 'interval': '1m', 'verify': {'mode': 'tag', 'secretRef': {'name': 'a'}}}",
        "spec.verify.mode: Unsupported value",
    ),
    ("Kustomization", "{'prune': true, 'interval': '1m'}", "spec.sourceRef: Required value"),
    (
        "Kustomization",
        "{'sourceRef': {'kind': 'GitRepository', 'name': 'a'}, 'interval': '1m'}",
        "spec.prune: Required value",
    ),
    (
        "Kustomization",
        "{'prune': true, 'interval': '1m', 'sourceRef': {'kind': 'HelmChart', 'name': 'a'}}",
        "spec.sourceRef.kind: Unsupported value",
    ),
    (
        "Kustomization",
        "{'prune': true, 'interval': '1m', 'sourceRef': {'kind': 'Bucket', 'name': 'a'}, 'targetNamespace': ''}",
        "spec.targetNamespace: Invalid value",
    ),
    (
        "Kustomization",
        "{'prune': true, 'interval': '1m', 'sourceRef': {'kind': 'Bucket', 'name': 'a'}, 'deletionPolicy': 'Keep'}",
        "spec.deletionPolicy: Unsupported value",
    ),
    (
        "Kustomization",
        "{'prune': true, 'interval': '1m', 'sourceRef': {'kind': 'Bucket', 'name': 'a'}, 'kubeConfig': {}}",
        "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified",
    ),
    (
        "Kustomization",
        "{'prune': true, 'interval': '1m', 'sourceRef': {'kind': 'Bucket', 'name': 'a'},
          'kubeConfig': {'secretRef': {'name': 'a'}, 'configMapRef': {'name': 'a'}}}",
        "exactly one of spec.kubeConfig.configMapRef or spec.kubeConfig.secretRef must be specified",
    ),
    (
        "Kustomization",
        "{'prune': true, 'interval': '1m', 'sourceRef': {'kind': 'Bucket', 'name': 'a'},
          'postBuild': {'substituteFrom': [{'kind': 'Deployment', 'name': 'a'}]}}",
        "spec.postBuild.substituteFrom[0].kind: Unsupported value",
    ),
    (
        "Kustomization",
        "{'prune': true, 'interval': '1m', 'sourceRef': {'kind': 'Bucket', 'name': 'a'}, 'healthCheckExprs': [{'kind': 'A'}]}",
        "spec.healthCheckExprs[0].apiVersion: Required value",
    ),
    (
        "Kustomization",
        "{'prune': 'yes', 'interval': '1m', 'sourceRef': {'kind': 'Bucket', 'name': 'a'}}",
        "spec.prune: Invalid value",
    ),
];

on_both! {
async fn the_definitions_take_each_field_and_refuse_what_flux_refuses(kind) {
    let bed = installed(kind, "definitions").await;
    for (kind, minimum) in [("GitRepository", 20), ("Kustomization", 60)] {
        let samples = samples(kind);
        assert!(samples.len() > minimum, "{kind}: {}", samples.len());
        for sample in samples {
            let mut object = Object::new(sample.object).unwrap();
            // A rule binds these two fields together.
            if sample.path == "spec.serviceAccountName" && kind == "GitRepository" {
                object.value_mut().get_mut("spec").unwrap().make_map().insert("provider", Value::str("aws"));
            }
            if sample.path.starts_with("spec.") {
                let namespace = Value::str(&bed.namespace);
                object.value_mut().get_mut("metadata").unwrap().make_map().insert("namespace", namespace);
            }
            let created = bed.cluster.create(&object, "tests", Mode::DryRun).await;
            let created = created.unwrap_or_else(|error| panic!("{kind} {}: {error}", sample.path));
            let path = soll_yaml::FieldPath::parse(&sample.path);
            assert_eq!(path.find(created.value()), path.find(object.value()), "{kind} {}", sample.path);
        }
    }
    for (kind, spec, reason) in REFUSED {
        let error = bed.cluster.create(&kind_of(kind, &bed.namespace, spec), "tests", Mode::DryRun).await;
        let error = error.expect_err(spec).to_string();
        assert!(error.contains(reason), "{kind} {spec}: {error}");
    }
}

async fn defaults_are_filled_in(kind) {
    let bed = installed(kind, "defaults").await;
    let create = async |kind: &str, spec: &str| {
        let created = bed.cluster.create(&kind_of(kind, &bed.namespace, spec), "tests", Mode::Real).await.unwrap();
        assert_eq!(created.value().lookup(&["status", "observedGeneration"]).and_then(Value::as_i64), Some(-1));
        created
    };
    let source = create("GitRepository", "{'url': 'https://x', 'interval': '1m', 'verify': {'secretRef': {'name': 'a'}}}").await;
    assert_eq!(source.value().lookup_str(&["spec", "timeout"]), Some("60s"));
    assert_eq!(source.value().lookup_str(&["spec", "verify", "mode"]), Some("HEAD"));
    let spec = "{'prune': true, 'interval': '1m', 'sourceRef': {'kind': 'Bucket', 'name': 'a'},
                 'postBuild': {'substituteFrom': [{'kind': 'Secret', 'name': 'a'}]}}";
    let ks = create("Kustomization", spec).await;
    assert_eq!(ks.value().lookup(&["spec", "force"]).and_then(Value::as_bool), Some(false));
    let from = soll_yaml::FieldPath::parse("spec.postBuild.substituteFrom[0].optional");
    assert_eq!(from.find(ks.value()).and_then(Value::as_bool), Some(false));
}
}
