use super::*;
use soll_yaml::{DecodeError, FieldPath, Step, parse_json};

fn decode(kind: &str, object: &Value) -> Result<(), DecodeError> {
    match kind {
        "GitRepository" => GitRepository::decode(object).map(drop),
        _ => Kustomization::decode(object).map(drop),
    }
}

/// Replaces the node at the end of a path that exists.
fn set(value: &mut Value, path: &[Step], new: Value) {
    let Some((step, rest)) = path.split_first() else {
        *value = new;
        return;
    };
    let child = match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.as_list_mut().and_then(|items| items.get_mut(*index)),
    };
    set(child.expect("samples have their field"), rest, new);
}

#[test]
fn each_field_of_the_tables_is_read_by_the_types() {
    for Definition { kind, .. } in DEFINITIONS {
        let samples = samples(kind);
        assert!(samples.len() > 20, "{kind} has {} fields", samples.len());
        for sample in samples {
            decode(kind, &sample.object).unwrap_or_else(|error| panic!("{}: {error}", sample.path));
            // What no field can be: neither a text nor a number nor a list of either.
            let mut wrong = sample.object.clone();
            set(&mut wrong, &FieldPath::parse(&sample.path).0, Value::list(vec![Value::list(Vec::new())]));
            assert!(decode(kind, &wrong).is_err(), "{} is not read", sample.path);
        }
    }
}

#[test]
fn what_is_not_built_is_named() {
    let check = |kind: &str, spec: &str, expected: &[&str]| {
        let object = format!("{{\"spec\":{}}}", spec.replace('\'', "\""));
        assert_eq!(unsupported_fields(kind, &parse_json(object.as_bytes()).expect("JSON")), expected, "{spec}");
    };
    check("Kustomization", "{'sourceRef': {'kind': 'GitRepository'}, 'wait': true}", &[]);
    check("Kustomization", "{'sourceRef': {'kind': 'Bucket'}}", &["spec.sourceRef.kind: Bucket"]);
    check("Kustomization", "{'decryption': {'provider': 'sops'}}", &["spec.decryption"]);
    check("GitRepository", "{'include': [], 'recurseSubmodules': false, 'provider': 'generic'}", &[]);
    check(
        "GitRepository",
        "{'recurseSubmodules': true, 'provider': 'aws'}",
        &["spec.provider: aws", "spec.recurseSubmodules"],
    );
    check(
        "Kustomization",
        "{'buildMetadata': ['originAnnotations', 'transformerAnnotations']}",
        &["spec.buildMetadata[1]: transformerAnnotations"],
    );
    check("Deployment", "{'decryption': {}}", &[]);
}

#[test]
fn samples_say_whether_they_are_built() {
    let of = |path: &str| samples("Kustomization").into_iter().find(|sample| sample.path == path).expect("a field");
    assert!(of("spec.postBuild.substituteFrom[0].optional").built);
    assert!(!of("spec.kubeConfig.secretRef.key").built);
}
