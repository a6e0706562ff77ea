//! From what was built to what is applied: flattened, checked, normalised, marked as ours.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use soll_api::{Class, Failure, Object, Origin, Retry};
use soll_yaml::{Data, Entry, Map, Sources, Value};

use crate::Owner;

/// Groups whose types the API server knows without any CRD.
const BUILTIN_GROUPS: [&str; 21] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Makes built objects ready to apply, in their order: as [`unowned`], and each gets the owner's labels.
///
/// # Errors
/// As [`unowned`].
pub fn prepare(objects: Vec<Object>, owner: &Owner, sources: &Sources) -> Result<Vec<Object>, Failure> {
    let mut prepared = unowned(objects, sources)?;
    prepared.iter_mut().for_each(|object| owner.mark(object));
    Ok(prepared)
}

/// Makes built objects ready to compare with live ones, in their order.
///
/// Lists become their items; kustomize's own configuration is dropped; builtin kinds are normalised as Flux does, so
/// that the API server's defaults are no drift.
///
/// # Errors
/// An item of a list that is no object, or a Secret that is still encrypted.
pub fn unowned(objects: Vec<Object>, sources: &Sources) -> Result<Vec<Object>, Failure> {
    let mut prepared = Vec::with_capacity(objects.len());
    for object in objects {
        flatten(object, sources, &mut prepared)?;
    }
    prepared.retain(|object| !(object.group() == "kustomize.config.k8s.io" && object.kind() == "Kustomization"));
    for object in &mut prepared {
        refuse_encrypted(object, sources)?;
        refuse_untyped_string_data(object, sources)?;
        normalize(object);
    }
    Ok(prepared)
}

/// Adds the object, or the items of a list, however deep.
fn flatten(object: Object, sources: &Sources, flat: &mut Vec<Object>) -> Result<(), Failure> {
    let is_list = object.kind().ends_with("List");
    let Some(items) = object.value().get("items").and_then(Value::as_list).filter(|_| is_list) else {
        flat.push(object);
        return Ok(());
    };
    for (index, item) in items.iter().enumerate() {
        let item = Object::new(item.clone()).map_err(|error| {
            let message = format!("{} items[{index}]: {error}", object.object_ref());
            Failure::new(Class::Configuration, "BuildFailed", message, Retry::AtRetryInterval)
                .from_origins(Origin::chain(sources, error.at.or(object.value().at)))
        })?;
        flatten(item, sources, flat)?;
    }
    Ok(())
}

fn refuse_encrypted(object: &Object, sources: &Sources) -> Result<(), Failure> {
    let is_secret = object.api_version() == "v1" && object.kind() == "Secret";
    let Some(sops) = object.value().get("sops").filter(|_| is_secret) else { return Ok(()) };
    let message = format!(
        "{} is SOPS encrypted, configuring decryption is required for this secret to be reconciled",
        object.object_ref()
    );
    let place = sops.at.or(object.value().at);
    let failure = Failure::new(Class::Configuration, "ReconciliationFailed", message, Retry::AtRetryInterval);
    Err(failure.from_origins(Origin::chain(sources, place)))
}

/// A number or boolean in `stringData` is no text; folded into `data` it would be lost.
fn refuse_untyped_string_data(object: &Object, sources: &Sources) -> Result<(), Failure> {
    let is_secret = object.api_version() == "v1" && object.kind() == "Secret";
    let texts = object.value().get("stringData").and_then(Value::as_map).filter(|_| is_secret);
    let wrong = texts.into_iter().flatten().find(|entry| entry.value.as_str().is_none() && !entry.value.is_null());
    let Some(entry) = wrong else { return Ok(()) };
    let field = format!("stringData.{}", entry.key);
    let message = format!("{}: {field} is no text, it is of type {}", object.object_ref(), entry.value.type_name());
    let failure = Failure::new(Class::Configuration, "BuildFailed", message, Retry::AtRetryInterval);
    let failure = failure.about(object.object_ref()).in_field(field).hinting("put the value in quotes");
    Err(failure.from_origins(Origin::chain(sources, entry.value.at.or(entry.key_at))))
}

/// Writes an object of a builtin kind as its Go type would: no nulls, no status, protocols filled in.
fn normalize(object: &mut Object) {
    if !BUILTIN_GROUPS.contains(&object.group()) {
        return;
    }
    let (group, kind) = (object.group().to_owned(), object.kind().to_owned());
    let value = object.value_mut();
    match (group.as_str(), kind.as_str()) {
        // Aggregated roles: an explicit null or empty list of rules is kept as written.
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => return,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => return drop_invalid_ca_bundle(value),
        ("", "Secret") => fold_string_data(value),
        ("", "Service") => fill_protocols(value, &["spec", "ports"]),
        ("", "Pod") => pod(value, &["spec"]),
        ("", "PodTemplate") => pod(value, &["template", "spec"]),
        ("", "ReplicationController") | ("apps" | "batch", _) if kind != "CronJob" => {
            pod(value, &["spec", "template", "spec"]);
        }
        ("batch", "CronJob") => pod(value, &["spec", "jobTemplate", "spec", "template", "spec"]),
        _ => {}
    }
    value.make_map().remove("status");
    drop_nulls(value);
}

fn pod(value: &mut Value, spec: &[&str]) {
    for containers in ["containers", "initContainers"] {
        let Some(containers) = at_mut(value, &[spec, &[containers]].concat()).and_then(Value::as_list_mut) else {
            continue;
        };
        for container in containers {
            fill_protocols(container, &["ports"]);
        }
    }
}

/// The API server's default for ports. Without it, fields of list items that share a port cannot be told apart.
fn fill_protocols(value: &mut Value, path: &[&str]) {
    let Some(ports) = at_mut(value, path).and_then(Value::as_list_mut) else { return };
    for port in ports.iter_mut().filter(|port| port.as_map().is_some()) {
        let at = port.at;
        let map = port.make_map();
        if map.get("protocol").is_none_or(|protocol| protocol.is_null() || protocol.as_str() == Some("")) {
            map.insert("protocol", Value::str("TCP").at(at));
        }
    }
}

/// Moves `stringData` into `data`, as the API server does on write.
fn fold_string_data(secret: &mut Value) {
    let Some(texts) = secret.make_map().remove("stringData") else { return };
    let Some(texts) = texts.as_map() else { return };
    if texts.is_empty() {
        return;
    }
    let data = secret.make_map().get_or_insert_with("data", Value::map).make_map();
    for entry in texts {
        let encoded = STANDARD.encode(entry.value.as_str().unwrap_or_default());
        let value = Value::from(encoded).at(entry.value.at);
        data.insert_entry(Entry { key: entry.key.clone(), key_at: entry.key_at, value });
    }
}

/// Controllers of CRDs fill in the bundle; what stands in Git is often a placeholder that would be refused.
fn drop_invalid_ca_bundle(definition: &mut Value) {
    let path = ["spec", "conversion", "webhook", "clientConfig"];
    let Some(config) = at_mut(definition, &path) else { return };
    let Some(bundle) = config.get("caBundle") else { return };
    let decoded = bundle.as_str().and_then(|bundle| STANDARD.decode(bundle).ok());
    let is_certificate = decoded.is_some_and(|pem| pem.starts_with(b"-----BEGIN CERTIFICATE-----"));
    if !is_certificate {
        config.make_map().remove("caBundle");
    }
}

/// Removes null fields, which mean "unset" in builtin types. Lists keep theirs: an index is a position.
fn drop_nulls(value: &mut Value) {
    // Looked at first: most objects have none, and looking copies nothing.
    if !has_nulls(value) {
        return;
    }
    if let Some(map) = value.as_map_mut() {
        map.retain(|entry| !entry.value.is_null());
        map.iter_mut().for_each(|(_, value)| drop_nulls(value));
    } else if let Some(items) = value.as_list_mut() {
        items.iter_mut().for_each(drop_nulls);
    }
}

fn has_nulls(value: &Value) -> bool {
    match &value.data {
        Data::Map(map) => map.iter().any(|entry| entry.value.is_null() || has_nulls(&entry.value)),
        Data::List(items) => items.iter().any(has_nulls),
        _ => false,
    }
}

fn at_mut<'v>(value: &'v mut Value, path: &[&str]) -> Option<&'v mut Value> {
    value.lookup(path)?;
    path.iter().try_fold(value, |value, key| value.as_map_mut().and_then(|map: &mut Map| map.get_mut(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::object;
    use expect_test::{Expect, expect};
    use soll_yaml::to_json;

    fn owner() -> Owner {
        Owner { name: "app".into(), namespace: "flux-system".into() }
    }

    /// The prepared objects without the labels that every object gets.
    fn check(input: &str, expected: &Expect) {
        let prepared = prepare(vec![object(input)], &owner(), &Sources::new()).expect("can be prepared");
        let lines: Vec<_> = prepared
            .into_iter()
            .map(|mut object| {
                assert!(owner().owns(&object));
                object.value_mut().get_mut("metadata").expect("metadata").make_map().remove("labels");
                to_json(object.value())
            })
            .collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn lists_become_their_items() {
        check(
            "{'apiVersion': 'v1', 'kind': 'List', 'metadata': {'name': 'l'}, 'items': [
               {'apiVersion': 'v1', 'kind': 'Namespace', 'metadata': {'name': 'a'}},
               {'apiVersion': 'v1', 'kind': 'ConfigMapList', 'metadata': {'name': 'm'}, 'items': [
                 {'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'b'}}]},
               {'apiVersion': 'kustomize.config.k8s.io/v1beta1', 'kind': 'Kustomization', 'metadata': {'name': 'k'}}]}",
            &expect![[r#"
                {"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}
                {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"}}"#]],
        );
    }

    #[test]
    fn a_custom_kind_that_ends_with_list_and_has_no_items_stays() {
        check(
            "{'apiVersion': 'x.io/v1', 'kind': 'AllowList', 'metadata': {'name': 'l'}, 'status': {'a': null}}",
            &expect![[r#"{"apiVersion":"x.io/v1","kind":"AllowList","metadata":{"name":"l"},"status":{"a":null}}"#]],
        );
    }

    #[test]
    fn ports_get_their_protocol() {
        check(
            "{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {'name': 'd', 'creationTimestamp': null},
              'spec': {'template': {'metadata': {'creationTimestamp': null}, 'spec': {'containers': [
                {'ports': [{'containerPort': 1}, {'containerPort': 2, 'protocol': 'UDP'}]}]}}}, 'status': {}}",
            &expect![[
                r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":{"template":{"metadata":{},"spec":{"containers":[{"ports":[{"containerPort":1,"protocol":"TCP"},{"containerPort":2,"protocol":"UDP"}]}]}}}}"#
            ]],
        );
        check(
            "{'apiVersion': 'batch/v1', 'kind': 'CronJob', 'metadata': {'name': 'c'}, 'spec': {'jobTemplate': {'spec':
              {'template': {'spec': {'initContainers': [{'ports': [{'containerPort': 1}]}]}}}}}}",
            &expect![[
                r#"{"apiVersion":"batch/v1","kind":"CronJob","metadata":{"name":"c"},"spec":{"jobTemplate":{"spec":{"template":{"spec":{"initContainers":[{"ports":[{"containerPort":1,"protocol":"TCP"}]}]}}}}}}"#
            ]],
        );
        check(
            "{'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 's'}, 'spec': {'ports': [{'port': 80}]}}",
            &expect![[
                r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":80,"protocol":"TCP"}]}}"#
            ]],
        );
    }

    #[test]
    fn unknown_fields_are_left_to_the_api_server() {
        check(
            "{'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 's'}, 'spec': {'prots': [{'port': 80}]}}",
            &expect![[
                r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"prots":[{"port":80}]}}"#
            ]],
        );
    }

    #[test]
    fn string_data_wins_over_data() {
        check(
            "{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 's'}, 'data': {'a': 'eA==', 'b': 'eA=='},
              'stringData': {'b': 'y', 'c': 'z'}}",
            &expect![[
                r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"data":{"a":"eA==","b":"eQ==","c":"eg=="}}"#
            ]],
        );
    }

    #[test]
    fn string_data_that_is_no_text_is_refused_and_not_shown() {
        let secret = "{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 's'}, 'stringData': {'pin': 4711}}";
        let failure = prepare(vec![object(secret)], &owner(), &Sources::new()).expect_err("no text");
        expect![[r#"
            Secret/s: stringData.pin is no text, it is of type integer
              hint: put the value in quotes"#]]
        .assert_eq(&failure.to_string());
    }

    #[test]
    fn definitions_keep_their_status_and_lose_broken_bundles() {
        check(
            "{'apiVersion': 'apiextensions.k8s.io/v1', 'kind': 'CustomResourceDefinition', 'metadata': {'name': 'a.b'},
              'spec': {'conversion': {'webhook': {'clientConfig': {'caBundle': 'Cg=='}}}}, 'status': {}}",
            &expect![[
                r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"a.b"},"spec":{"conversion":{"webhook":{"clientConfig":{}}}},"status":{}}"#
            ]],
        );
    }

    #[test]
    fn encrypted_secrets_are_refused() {
        let secret = object(
            "{'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 's', 'namespace': 'n'}, 'sops': {'mac': 'x'}}",
        );
        let failure = prepare(vec![secret], &owner(), &Sources::new()).expect_err("encrypted");
        assert_eq!(
            failure.message,
            "Secret/n/s is SOPS encrypted, configuring decryption is required for this secret to be reconciled"
        );
    }
}
