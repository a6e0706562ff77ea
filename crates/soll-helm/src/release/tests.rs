#![allow(clippy::unwrap_used)]

use soll_yaml::{Map, Value, parse_json};

use super::*;

const LIMIT: u64 = 1 << 20;

fn chart() -> crate::Chart {
    let files = [
        ("Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.2.3\nappVersion: 4\nkeywords: [a]\n"),
        ("values.yaml", "replicas: 2\n"),
        ("templates/a.yaml", "kind: X\n"),
        ("README.md", "hello"),
    ];
    let tree = soll_tree::Tree::in_memory(files).unwrap();
    let limits = crate::ChartLimits::default();
    crate::load_directory(&tree, &soll_tree::TreePath::root(), &limits, &soll_yaml::Sources::new()).unwrap()
}

fn release() -> Release {
    let config = Map::from_iter([("replicas", Value::from(3.0))]).into();
    let mut release = Release::new("r", "apps", 2, Status::Deployed, &chart(), config);
    release.info.first_deployed = Some("2026-01-02T03:04:05.678Z".parse().unwrap());
    release.info.last_deployed = Some("2026-01-03T03:04:05Z".parse().unwrap());
    release.info.description = "Upgrade complete".to_owned();
    release.manifest = "---\n# Source: demo/templates/a.yaml\nkind: X\n".to_owned();
    release.apply_method = Some(ApplyMethod::ServerSide);
    release.labels.insert("team".to_owned(), "red".to_owned());
    let hook = crate::Hook {
        name: "h".to_owned(),
        kind: "Job".to_owned(),
        path: "demo/templates/h.yaml".to_owned(),
        manifest: "kind: Job\n".to_owned(),
        events: vec![crate::HookEvent::PreInstall],
        weight: -5,
        delete_policies: vec!["hook-succeeded".to_owned()],
        output_log_policies: Vec::new(),
    };
    release.hooks.push(hook.into());
    release
}

#[test]
fn a_record_reads_back_from_both_kinds_of_objects() {
    for storage in [Storage::Secrets, Storage::ConfigMaps] {
        let object = release().to_object(storage, "flux", Stamp::Created(1_700_000_000));
        assert_eq!(object.lookup_str(&["metadata", "name"]), Some("sh.helm.release.v1.r.v2"));
        assert_eq!(object.lookup_str(&["metadata", "labels", "status"]), Some("deployed"));
        assert_eq!(object.lookup_str(&["metadata", "labels", "createdAt"]), Some("1700000000"));
        assert_eq!(Release::from_object(&object, LIMIT).unwrap(), release());
    }
}

#[test]
fn fields_of_another_helm_survive() {
    let mut value = release().to_value();
    value.make_map().insert("future", Value::from(1.5));
    value.get_mut("info").unwrap().make_map().insert("resources", Value::map());
    assert_eq!(Release::from_value(&value).unwrap().to_value(), value);
}

#[test]
fn what_helm_3_writes_for_no_time_is_no_time() {
    let json = br#"{"name":"r","version":1,"info":{"status":"deployed","deleted":"","first_deployed":"2024-05-01T10:00:00.5+02:00"}}"#;
    let release = Release::from_value(&parse_json(json).unwrap()).unwrap();
    assert_eq!(release.info.deleted, None);
    assert_eq!(release.info.first_deployed.unwrap().to_string(), "2024-05-01T08:00:00.5Z");
    assert_eq!(release.apply_method, None);
}

#[test]
fn hostile_records_are_refused() {
    let object = |text: &str| {
        let data = Map::from_iter([("release", Value::from(text))]);
        Map::from_iter([("kind", Value::from("ConfigMap")), ("data", data.into())]).into()
    };
    let refusal = |value: &Value, limit| Release::from_object(value, limit).unwrap_err();
    assert!(matches!(refusal(&object("%"), LIMIT), RecordError::Base64(_)));
    assert!(matches!(refusal(&object("H4sI"), LIMIT), RecordError::Json(_) | RecordError::Gzip(_)));
    assert!(matches!(refusal(&object("W10="), LIMIT), RecordError::Shape(_)));
    assert!(matches!(refusal(&Value::map(), LIMIT), RecordError::Missing));
    let large = release().to_object(Storage::ConfigMaps, "x", Stamp::Created(0));
    assert!(matches!(refusal(&large, 10), RecordError::TooLarge { limit: 10 }));
}

#[test]
fn pruning_spares_what_is_deployed() {
    use Status::{Deployed, Failed, Superseded};
    let history = [(1, Superseded), (2, Deployed), (3, Failed), (4, Failed)];
    assert_eq!(prunable(&history, Some(2)), [1, 3]);
    assert_eq!(prunable(&history, Some(1)), [1, 3, 4]);
    assert_eq!(prunable(&history, Some(9)), Vec::<i64>::new());
    assert_eq!(prunable(&history, None), Vec::<i64>::new());
}
