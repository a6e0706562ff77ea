//! Server-side apply by examples.

use expect_test::{Expect, expect};
use soll_patch::structured::{Applied, ApplyError, Set, Types, Write, apply, same_but_times, track_update};
use soll_schema::{Schemas, TypeRef};
use soll_yaml::{Value, parse_json, to_json_sorted};

fn json(text: &str) -> Value {
    parse_json(text.as_bytes()).expect("valid JSON")
}

fn write<'a>(manager: &'a str, types: &'a dyn Types) -> Write<'a> {
    Write { manager, api_version: "apps/v1", subresource: "", now: "2026-01-01T00:00:00Z", types, ignored: None }
}

fn deployments(version: &str) -> Option<TypeRef<'static>> {
    Schemas::builtin().of(version, "Deployment").map(|kind| kind.type_ref())
}

fn deployment(spec: &str) -> Value {
    json(&format!(
        r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"a","namespace":"n"}},"spec":{spec}}}"#
    ))
}

fn containers(list: &str) -> Value {
    deployment(&format!(r#"{{"template":{{"spec":{{"containers":{list}}}}}}}"#))
}

fn applied(live: Option<&Value>, config: &Value, manager: &str, force: bool) -> Result<Applied, ApplyError> {
    apply(live, config, force, &write(manager, &deployments))
}

#[expect(clippy::needless_pass_by_value, reason = "as `expect!` makes them")]
fn check(object: &Value, expected: Expect) {
    let spec = object.get("spec").map(to_json_sorted).unwrap_or_default();
    let entries = object.lookup(&["metadata", "managedFields"]).and_then(Value::as_list).unwrap_or_default();
    let mut text = format!("{spec}\n");
    for entry in entries {
        let part = |key| entry.lookup_str(&[key]).unwrap_or("-");
        let fields = entry.get("fieldsV1").map(to_json_sorted).unwrap_or_default();
        text.push_str(&format!("{} {} {}: {fields}\n", part("manager"), part("operation"), part("time")));
    }
    expected.assert_eq(&text);
}

#[test]
fn owns_what_it_applies_and_removes_what_it_no_longer_applies() {
    let first = containers(r#"[{"name":"a","image":"i","args":["x"],"ports":[{"containerPort":80}]},{"name":"b"}]"#);
    let created = applied(None, &first, "soll", false).expect("nobody is in the way");
    check(
        &created.object,
        expect![[r#"
            {"template":{"spec":{"containers":[{"args":["x"],"image":"i","name":"a","ports":[{"containerPort":80}]},{"name":"b"}]}}}
            soll Apply 2026-01-01T00:00:00Z: {"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:args":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}}}
        "#]],
    );
    let second = containers(r#"[{"name":"a","image":"j"}]"#);
    let updated = applied(Some(&created.object), &second, "soll", false).expect("nobody is in the way");
    check(
        &updated.object,
        expect![[r#"
            {"template":{"spec":{"containers":[{"image":"j","name":"a"}]}}}
            soll Apply 2026-01-01T00:00:00Z: {"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{},"f:name":{}}}}}}}
        "#]],
    );
    assert!(updated.changed);
    let again = applied(Some(&updated.object), &second, "soll", false).expect("nothing changes");
    assert!(!again.changed);
    assert_eq!(again.object, updated.object);
}

#[test]
fn names_the_owner_in_conflicts_and_takes_over_by_force() {
    let created = applied(None, &deployment(r#"{"replicas":1,"paused":true}"#), "other", false).expect("created");
    let config = deployment(r#"{"replicas":2,"paused":true}"#);
    let error = applied(Some(&created.object), &config, "soll", false).expect_err("the other owns it");
    assert_eq!(error.to_string(), r#"Apply failed with 1 conflict: conflict with "other": .spec.replicas"#);
    let forced = applied(Some(&created.object), &config, "soll", true).expect("forced");
    check(
        &forced.object,
        expect![[r#"
            {"paused":true,"replicas":2}
            other Apply 2026-01-01T00:00:00Z: {"f:spec":{"f:paused":{}}}
            soll Apply 2026-01-01T00:00:00Z: {"f:spec":{"f:paused":{},"f:replicas":{}}}
        "#]],
    );
    // What the other still owns stays when we stop applying it.
    let less = applied(Some(&forced.object), &deployment(r#"{"replicas":2}"#), "soll", false).expect("no conflict");
    assert_eq!(less.object.lookup(&["spec", "paused"]).and_then(Value::as_bool), Some(true));
    assert!(!less.changed);
}

#[test]
fn updates_own_what_they_change() {
    let created = track_update(
        None,
        &deployment(r#"{"replicas":1,"strategy":{"type":"Recreate"}}"#),
        &write("kubectl", &deployments),
    );
    check(
        &created,
        expect![[r#"
            {"replicas":1,"strategy":{"type":"Recreate"}}
            kubectl Update 2026-01-01T00:00:00Z: {"f:spec":{"f:replicas":{},"f:strategy":{"f:type":{}}}}
        "#]],
    );
    let mut new = created.clone();
    *new.get_mut("spec").expect("there") = json(r#"{"replicas":3}"#);
    let updated = track_update(Some(&created), &new, &write("hpa", &deployments));
    check(
        &updated,
        expect![[r#"
            {"replicas":3}
            hpa Update 2026-01-01T00:00:00Z: {"f:spec":{"f:replicas":{}}}
        "#]],
    );
}

#[test]
fn an_untracked_object_belongs_to_who_was_there_before() {
    let mut live = deployment(r#"{"replicas":1}"#);
    live.get_mut("metadata").expect("there").make_map().insert("uid", Value::str("u"));
    let error = applied(Some(&live), &deployment(r#"{"replicas":2}"#), "soll", false).expect_err("someone owns it");
    let message = r#"Apply failed with 1 conflict: conflict with "before-first-apply" using apps/v1: .spec.replicas"#;
    assert_eq!(error.to_string(), message);
    let untracked = track_update(Some(&live), &live, &write("x", &deployments));
    assert!(untracked.lookup(&["metadata", "managedFields"]).is_none());
}

#[test]
fn kubectl_takes_over_what_it_applied_on_the_client() {
    let mut live = deployment(r#"{"replicas":1}"#);
    let last =
        r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"n"},"spec":{"replicas":1}}"#;
    let annotations =
        format!(r#"{{"kubectl.kubernetes.io/last-applied-configuration":{}}}"#, soll_yaml::to_json(&Value::str(last)));
    live.get_mut("metadata").expect("there").make_map().insert("annotations", json(&annotations));
    let live = track_update(None, &live, &write("kubectl-client-side-apply", &deployments));
    let config = deployment(r#"{"replicas":2}"#);
    applied(Some(&live), &config, "soll", false).expect_err("kubectl owns it");
    let taken = applied(Some(&live), &config, "kubectl", false).expect("kubectl may");
    let last =
        taken.object.lookup_str(&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]);
    assert!(last.is_some_and(|last| last.contains(r#""replicas":2"#) && last.ends_with('\n')), "{last:?}");
}

#[test]
fn refuses_what_the_schema_does_not_know() {
    let error = applied(None, &deployment(r#"{"replicaz":1,"replicas":"1"}"#), "soll", false).expect_err("a typo");
    assert_eq!(
        error.to_string(),
        "failed to create typed patch object (n/a; apps/v1, Kind=Deployment): errors:\n  \
         .spec.replicaz: field not declared in schema\n  .spec.replicas: expected numeric (int or float), got string"
    );
    let twice = applied(None, &containers(r#"[{"name":"a"},{"name":"a"}]"#), "soll", false).expect_err("duplicates");
    assert!(
        twice.to_string().ends_with(r#".spec.template.spec.containers: duplicate entries for key [name="a"]"#),
        "{twice}"
    );
}

#[test]
fn an_endpoint_ignores_what_it_does_not_write() {
    let status = Set::of_keys([["status"].as_slice()]);
    let mut config = deployment(r#"{"replicas":1}"#);
    config.make_map().insert("status", json(r#"{"replicas":5}"#));
    let write = Write { ignored: Some(&status), ..write("soll", &deployments) };
    let created = apply(None, &config, false, &write).expect("created");
    check(
        &created.object,
        expect![[r#"
            {"replicas":1}
            soll Apply 2026-01-01T00:00:00Z: {"f:spec":{"f:replicas":{}}}
        "#]],
    );
}

#[test]
fn more_than_ten_updaters_are_merged() {
    let mut live = track_update(None, &deployment(r#"{"replicas":0}"#), &write("m00", &deployments));
    for count in 1..=12 {
        let mut new = live.clone();
        let annotations = json(&format!(r#"{{"a{count}":"x"}}"#));
        let metadata = new.get_mut("metadata").expect("there").make_map();
        let old = metadata.get("annotations").cloned().unwrap_or_else(Value::map);
        metadata.insert("annotations", soll_patch::json_merge(&old, &annotations, None));
        let (manager, now) = (format!("m{count:02}"), format!("2026-01-01T00:00:{count:02}Z"));
        live = track_update(Some(&live), &new, &Write { now: &now, ..write(&manager, &deployments) });
    }
    let entries = live.lookup(&["metadata", "managedFields"]).and_then(Value::as_list).expect("tracked");
    let names: Vec<_> = entries.iter().filter_map(|entry| entry.lookup_str(&["manager"])).collect();
    assert_eq!(names, ["ancient-changes", "m04", "m05", "m06", "m07", "m08", "m09", "m10", "m11", "m12"]);
}

#[test]
fn clients_can_migrate_managers() {
    let live = track_update(None, &deployment(r#"{"replicas":1}"#), &write("old", &deployments));
    let mut new = live.clone();
    let entries = new.get_mut("metadata").and_then(|metadata| metadata.get_mut("managedFields")).expect("tracked");
    entries.as_list_mut().expect("a list")[0].make_map().insert("manager", Value::str("new"));
    let migrated = track_update(Some(&live), &new, &write("client", &deployments));
    check(
        &migrated,
        expect![[r#"
            {"replicas":1}
            new Update 2026-01-01T00:00:00Z: {"f:spec":{"f:replicas":{}}}
        "#]],
    );
    new.get_mut("metadata").expect("there").make_map().insert("managedFields", json("[]"));
    let mut live = live;
    live.get_mut("metadata").expect("there").make_map().insert("uid", Value::str("u"));
    let reset = track_update(Some(&live), &new, &write("client", &deployments));
    assert!(reset.lookup(&["metadata", "managedFields"]).is_none());
}

#[test]
fn only_times_may_differ_without_a_change() {
    let live = track_update(None, &deployment(r#"{"replicas":1}"#), &write("a", &deployments));
    let later = Write { now: "2026-01-02T00:00:00Z", ..write("a", &deployments) };
    assert!(same_but_times(&live, &track_update(None, &deployment(r#"{"replicas":1}"#), &later)));
    assert!(!same_but_times(&live, &track_update(None, &deployment(r#"{"replicas":2}"#), &later)));
}

/// A kind whose first version has a number where the second has a list of it.
struct TwoForms;

impl Types for TwoForms {
    fn at(&self, _: &str) -> Option<TypeRef<'_>> {
        Some(TypeRef::ANY)
    }

    fn convert(&self, object: &Value, from: &str, to: &str) -> Value {
        let mut object = object.clone();
        let Some(spec) = object.get_mut("spec").filter(|_| from != to) else { return object };
        let spec = spec.make_map();
        match to {
            "x/v1" => {
                if let Some(list) = spec.remove("list") {
                    spec.insert("one", list.as_list().and_then(<[Value]>::first).cloned().unwrap_or_default());
                }
            }
            _ => {
                if let Some(one) = spec.remove("one") {
                    spec.insert("list", Value::list(vec![one]));
                }
            }
        }
        object
    }
}

#[test]
fn managers_of_two_versions_meet_in_the_version_of_each() {
    let object = |version: &str, spec: &str| {
        json(&format!(r#"{{"apiVersion":"x/{version}","kind":"K","metadata":{{"name":"a"}},"spec":{spec}}}"#))
    };
    let at = |manager: &'static str, api_version: &'static str| Write { api_version, ..write(manager, &TwoForms) };
    let first = object("v1", r#"{"one":1,"a":1}"#);
    let created = apply(None, &first, false, &at("soll", "x/v1")).expect("created").object;
    // What one owns as a number, another does not change as a list, unless by force.
    let live = TwoForms.convert(&created, "x/v1", "x/v2");
    let second = object("v2", r#"{"list":[2]}"#);
    let refused = apply(Some(&live), &second, false, &at("other", "x/v2")).expect_err("the first owns it");
    assert_eq!(refused.to_string(), r#"Apply failed with 1 conflict: conflict with "soll": .spec.one"#);
    let forced = apply(Some(&live), &second, true, &at("other", "x/v2")).expect("forced").object;
    check(
        &forced,
        expect![[r#"
            {"a":1,"list":[2]}
            other Apply 2026-01-01T00:00:00Z: {"f:spec":{".":{},"f:list":{}}}
            soll Apply 2026-01-01T00:00:00Z: {"f:spec":{".":{},"f:a":{}}}
        "#]],
    );
    // A manager that changes to the other version removes what it applied through the first.
    let next = apply(Some(&forced), &object("v2", r#"{"b":1}"#), false, &at("soll", "x/v2")).expect("applied").object;
    check(
        &next,
        expect![[r#"
            {"b":1,"list":[2]}
            other Apply 2026-01-01T00:00:00Z: {"f:spec":{".":{},"f:list":{}}}
            soll Apply 2026-01-01T00:00:00Z: {"f:spec":{".":{},"f:b":{}}}
        "#]],
    );
}
