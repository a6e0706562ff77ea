//! OpenAPI documents: what clients read of them is the same on both servers.
//!
//! `kubectl` finds out which patches a kind takes and which options a write takes, and `explain`, `diff` and client-side
//! validation go by the types of fields. Descriptions and the rest are prose and bookkeeping.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::normal::differences;
use super::runtime;
use super::script::{Names, Script, Step};
use super::side::Side;
use super::{Pair, brief};

const DEFINED: &str = "/openapi/v3/apis/documents.example.com/v1";

/// Options of writes that clients look for.
const OPTIONS: [&str; 4] = ["dryRun", "fieldManager", "fieldValidation", "force"];
/// Facts of a schema that are texts, numbers and flags.
const FACTS: [&str; 10] = [
    "type",
    "format",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-embedded-resource",
];

/// What clients read of a document.
fn read(document: &Json) -> Json {
    let mut paths = Map::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        let mut read = Map::new();
        for method in ["get", "put", "post", "patch", "delete"] {
            let operation = &operations[method];
            // Watches by path are older than `?watch`, and nobody asks for them.
            let action = operation["x-kubernetes-action"].as_str().unwrap_or_default();
            if !action.is_empty() && !action.starts_with("watch") && !action.starts_with("connect") {
                read.insert(method.to_owned(), operation_read(operation, operations));
            }
        }
        if !read.is_empty() {
            paths.insert(path.clone(), read.into());
        }
    }
    let types = types(&document["components"]["schemas"], &paths);
    json!({"paths": paths, "types": types})
}

/// The types of the kinds that the operations are about, and all that they refer to.
fn types(schemas: &Json, paths: &Map<String, Json>) -> Map<String, Json> {
    let operations = paths.values().flat_map(|operations| operations.as_object().into_iter().flatten());
    let kinds: BTreeSet<String> = operations.map(|(_, operation)| operation["kind"].to_string()).collect();
    let all = schemas.as_object().unwrap();
    let is_kind = |schema: &Json| {
        let own = schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten();
        own.map(Json::to_string).any(|kind| kinds.contains(&kind))
    };
    let mut open: Vec<&String> = all.iter().filter(|(_, schema)| is_kind(schema)).map(|(name, _)| name).collect();
    let mut types = Map::new();
    while let Some(name) = open.pop() {
        if types.contains_key(name) {
            continue;
        }
        let schema = &all[name];
        let text = schema.to_string();
        let referred = text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
        open.extend(referred.filter_map(|name| all.get_key_value(name)).map(|(name, _)| name));
        types.insert(name.clone(), schema_read(schema));
    }
    types
}

fn operation_read(operation: &Json, operations: &Json) -> Json {
    let takes = operation["requestBody"]["content"].as_object().into_iter().flatten();
    let takes: BTreeSet<&String> = takes.map(|(kind, _)| kind).filter(|kind| !kind.ends_with("cbor")).collect();
    let parameters =
        [operation, operations].into_iter().flat_map(|of| of["parameters"].as_array().into_iter().flatten());
    let names: BTreeSet<&str> = parameters.filter_map(|one| one["name"].as_str()).collect();
    let options: Vec<&str> = OPTIONS.into_iter().filter(|option| names.contains(option)).collect();
    let (action, kind) = (&operation["x-kubernetes-action"], &operation["x-kubernetes-group-version-kind"]);
    json!({"action": action, "kind": kind, "takes": takes, "options": options})
}

fn schema_read(schema: &Json) -> Json {
    // A reference stands by itself, or in a list so that more can be said beside it.
    let reference = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    let mut read = Map::new();
    if let Some(reference) = reference {
        read.insert("is".to_owned(), reference.into());
    }
    // Bytes may be marked as a list, and maps as what they are anyway.
    let says_nothing = |fact: &str| match fact {
        "x-kubernetes-list-type" => schema["type"] != "array",
        "x-kubernetes-map-type" => schema[fact] == "granular" && reference.is_none(),
        _ => schema[fact].is_null() || schema[fact] == "",
    };
    for fact in FACTS {
        if !says_nothing(fact) && !schema[fact].is_null() {
            read.insert(fact.to_owned(), schema[fact].clone());
        }
    }
    if let Some(required) = schema["required"].as_array() {
        let required: BTreeSet<&str> = required.iter().filter_map(Json::as_str).collect();
        read.insert("required".to_owned(), required.into_iter().collect());
    }
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            read.insert(below.to_owned(), schema_read(&schema[below]));
        }
    }
    if let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) {
        let properties: Map<String, Json> =
            properties.iter().map(|(name, property)| (name.clone(), schema_read(property))).collect();
        read.insert("properties".to_owned(), properties.into());
    }
    read.into()
}

fn definition() -> Json {
    let spec = json!({"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer", "format": "int32"},
        "either": {"x-kubernetes-int-or-string": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
        "texts": {"type": "object", "additionalProperties": {"type": "string"}}}});
    let schema =
        json!({"type": "object", "properties": {"spec": spec, "status": {"type": "object", "properties": {}}}});
    json!({"metadata": {"name": "books.documents.example.com"}, "spec": {
        "group": "documents.example.com", "scope": "Namespaced", "names": {"plural": "books", "kind": "Book"},
        "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": schema}}]}})
}

/// The index and all documents that it names for groups and versions.
async fn documents(side: &Side) -> Map<String, Json> {
    let get = |path: String| Step { get: Some(path), ..Step::default() };
    let script = |steps: Vec<Step>| Script {
        name: "documents".to_owned(),
        controllers: false,
        is_made_up: false,
        names: Names::new(),
        steps,
    };
    let define = Step {
        post: Some("/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned()),
        body: Some(definition()),
        ..Step::default()
    };
    // The real server takes a moment to tell of it.
    let until = Some(Names::from([("code".to_owned(), json!(200))]));
    let told = Step { until, ..get(DEFINED.to_owned()) };
    let seen = side.run(&script(vec![define, told, get("/openapi/v3".to_owned())])).await.unwrap();
    let index = seen[2].body["paths"].as_object().unwrap().clone();
    let is_version = |name: &str| name == "api/v1" || name.starts_with("apis/") && name.matches('/').count() == 2;
    let named: Vec<(String, Json)> = index.into_iter().filter(|(name, _)| is_version(name)).collect();
    let urls = named.iter().map(|(_, entry)| get(entry["serverRelativeURL"].as_str().unwrap().to_owned()));
    let seen = side.run(&script(urls.collect())).await.unwrap();
    named.into_iter().zip(seen).map(|((name, _), seen)| (name, read(&seen.body))).collect()
}

#[test]
fn documents_tell_clients_what_those_of_kube_apiserver_tell() {
    let (real, ours) = runtime().block_on(async {
        let pair = Pair::start(false).await;
        (documents(&pair.real).await, documents(&pair.embedded).await)
    });
    let facts: usize = real.values().map(|document| document["types"].as_object().map_or(0, Map::len)).sum();
    assert!(real.len() > 20 && facts > 500, "{} documents, {facts} types", real.len());
    let mut wrong = String::new();
    for (path, expected, found) in differences(&real.into(), &ours.into()) {
        writeln!(wrong, "{path}\n  real {}\n  ours {}", brief(&expected), brief(&found)).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}
