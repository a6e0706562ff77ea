//! Every field of the API alone: it works, or it is refused by name. Generated from the table that makes the CRDs.

use soll_api::{Object, Sample};
use soll_yaml::Value;

use crate::bed::{Bed, Ground, Stage, condition};
use crate::on_both_grounds;

on_both_grounds!(each_field_of_a_kustomization_works_or_is_refused, each_field_of_a_gitrepository_works_or_is_refused);

fn each_field_of_a_kustomization_works_or_is_refused(ground: Ground) {
    let stage = Bed::shared(ground).stage("fields-ks");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: fields-ks\n";
    stage.repository.write("a.yaml", map).push("one");
    stage.source();
    check(&stage, "Kustomization", |spec| {
        let source = spec.make_map().get_or_insert_with("sourceRef", Value::map).make_map();
        if source.get("kind").and_then(Value::as_str) == Some("GitRepository") {
            source.insert("name", Value::str("source"));
        }
    });
}

fn each_field_of_a_gitrepository_works_or_is_refused(ground: Ground) {
    let stage = Bed::shared(ground).stage("fields-git");
    stage.repository.write("a.yaml", "a: 1\n").push("one");
    let url = stage.repository.url().to_owned();
    check(&stage, "GitRepository", |spec| {
        // What the sample says about the scheme of the URL is for the API server; here something must answer.
        spec.make_map().insert("url", Value::str(&url));
        // A rule of the CRD: the one needs the other.
        if spec.get("serviceAccountName").is_some() {
            spec.make_map().insert("provider", Value::str("azure"));
        }
    });
}

/// Creates an object for each sample, all at once, and sees each of them refused by name or come to a verdict.
fn check(stage: &Stage<'_>, kind: &str, fit: impl Fn(&mut Value)) {
    let samples = soll_api::samples(kind);
    assert!(samples.len() > 20, "the table has the fields");
    for (position, sample) in samples.iter().enumerate() {
        let mut value = sample.object.clone();
        let metadata = value.make_map().get_or_insert_with("metadata", Value::map).make_map();
        metadata.insert("name", Value::from(format!("field-{position}")));
        metadata.insert("namespace", Value::str(&stage.namespace));
        fit(value.make_map().get_or_insert_with("spec", Value::map));
        stage.bed.apply(&soll_yaml::emit_yaml(&value));
    }
    for (position, sample) in samples.iter().enumerate() {
        let name = format!("field-{position}");
        if is_suspended(sample) {
            continue;
        }
        let object = stage.wait(kind, &name, |object| object.is_some_and(is_decided)).expect("it is there");
        let (status, reason, message) = condition(&object, "Ready");
        if sample.built {
            assert_ne!(reason, "UnsupportedField", "{}: {message}", sample.path);
        } else {
            assert_eq!((status.as_str(), reason.as_str()), ("False", "UnsupportedField"), "{}: {message}", sample.path);
            let root = sample.path.split(['[', '.']).take(2).collect::<Vec<_>>().join(".");
            assert!(message.contains(&root), "{}: {message}", sample.path);
            assert!(object.value().lookup(&["status", "inventory"]).is_none(), "{}: nothing was applied", sample.path);
        }
    }
    for position in 0..samples.len() {
        stage.bed.delete(kind, &stage.namespace, &format!("field-{position}"));
    }
}

fn is_suspended(sample: &Sample) -> bool {
    sample.object.lookup(&["spec", "suspend"]).and_then(Value::as_bool) == Some(true)
}

/// Ready one way or the other, or waiting for something that only time or others can bring.
fn is_decided(object: &Object) -> bool {
    let (status, _, _) = condition(object, "Ready");
    let checks_health = condition(object, "Healthy").0 == "Unknown";
    status == "True" || status == "False" || checks_health
}
