//! OpenAPI documents, made from the schema table: one of v3 for each group and version, and one of v2 for all.
//!
//! Clients read three things from them: which media types a PATCH takes, which options a request takes,
//! and the types of fields (`kubectl apply`, `diff`, `explain`). There are no descriptions.

mod protobuf;
mod second;

use std::collections::BTreeMap;

use http::header::{ACCEPT, CACHE_CONTROL, HeaderValue};
use http::{HeaderMap, Response};
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use soll_schema::{ListType, Scalar, Schemas, Shape, TypeRef};

use crate::discovery::{GIT_VERSION, hex};
use crate::resources::{Resource, Table};
use crate::rest::Body;
use crate::rest::answer;

/// Answers paths below `/openapi`.
pub(crate) fn answer(table: &Table, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    if path == "/openapi/v2" {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
        if accept.contains(protobuf::ASKED_AS) || accept.contains(protobuf::MEDIA_TYPE) {
            let document = protobuf::encode(&second::swagger(table));
            return Some(answer::answer(200, protobuf::MEDIA_TYPE, answer::full(document)));
        }
        let takes_json = accept.contains("application/json") || accept.contains("*/*");
        return takes_json.then(|| answer::json(200, &second::swagger(table)));
    }
    let rest = path.strip_prefix("/openapi/v3")?.trim_matches('/');
    if rest.is_empty() {
        return Some(answer::json(200, &index(table)));
    }
    let (group, version) = match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["api", version] => (String::new(), (*version).to_owned()),
        ["apis", group, version] => ((*group).to_owned(), (*version).to_owned()),
        _ => return None,
    };
    table.of_version(&group, &version).next()?;
    let mut response = answer::json(200, &document(table, &group, &version));
    // The index names each document by its hash, so what is read once holds.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    Some(response)
}

fn index(table: &Table) -> Json {
    let mut paths = Map::new();
    for (group, versions) in table.groups() {
        for version in versions {
            let name = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
            let url = format!("/openapi/v3/{name}?hash={}", hash(table, &group, &version));
            paths.insert(name, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// Tells documents apart: builtin ones by this program's version, others by their schemas too.
fn hash(table: &Table, group: &str, version: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(format!("{GIT_VERSION} {} {group}/{version}", env!("CARGO_PKG_VERSION")));
    for row in table.of_version(group, version) {
        digest.update(row.plural.as_bytes());
        if let Some(custom) = &row.custom {
            digest.update(soll_yaml::to_json_sorted(custom.openapi()));
        }
    }
    hex(&digest.finalize()).to_uppercase()
}

fn document(table: &Table, group: &str, version: &str) -> Json {
    let mut paths = Map::new();
    let mut schemas = Definitions::default();
    for row in table.of_version(group, version) {
        add_paths(&mut paths, row, &mut schemas);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": paths,
        "components": {"schemas": schemas.finish()},
    })
}

fn gvk(row: &Resource) -> Json {
    json!({"group": row.group.as_str(), "version": row.version.as_str(), "kind": row.kind.as_str()})
}

/// What is asked of a path: HTTP method, what clients call it, and the verb of the API.
type Operations = [(&'static str, &'static str, &'static str)];

const OF_COLLECTIONS: &Operations =
    &[("get", "list", "list"), ("post", "post", "create"), ("delete", "deletecollection", "deletecollection")];
const OF_ALL_NAMESPACES: &Operations = &[("get", "list", "list")];
const OF_OBJECTS: &Operations = &[
    ("get", "get", "get"),
    ("post", "post", "create"),
    ("put", "put", "update"),
    ("patch", "patch", "patch"),
    ("delete", "delete", "delete"),
];

fn add_paths(paths: &mut Map<String, Json>, row: &Resource, schemas: &mut Definitions) {
    let root = if row.group.is_empty() {
        format!("/api/{}", row.version)
    } else {
        format!("/apis/{}/{}", row.group, row.version)
    };
    let collection = match row.namespaced {
        true => format!("{root}/namespaces/{{namespace}}/{}", row.plural),
        false => format!("{root}/{}", row.plural),
    };
    let own = Sent { kind: gvk(row), schema: schemas.add_kind(row), is_custom: row.custom.is_some() };
    let allowed = |verb: &str| row.allows(verb);
    add_path(paths, &collection, OF_COLLECTIONS, &own, allowed);
    if row.namespaced {
        add_path(paths, &format!("{root}/{}", row.plural), OF_ALL_NAMESPACES, &own, allowed);
    }
    let one = format!("{collection}/{{name}}");
    // A collection is where objects are created.
    add_path(paths, &one, OF_OBJECTS, &own, |verb| verb != "create" && row.allows(verb));
    for below in row.below() {
        let (group, version) = below.of.unwrap_or((&row.group, &row.version));
        let is_own = below.of.is_none() && below.kind == row.kind;
        let schema = if is_own { own.schema.clone() } else { schemas.add_builtin(group, version, &below.kind) };
        let kind = json!({"group": group, "version": version, "kind": below.kind.as_str()});
        let sent = Sent { kind, schema, is_custom: own.is_custom };
        // What only a kubelet can do is no operation on an object.
        if row.custom.is_some() || row.subresource(below.name).is_some() {
            add_path(paths, &format!("{one}/{}", below.name), OF_OBJECTS, &sent, |verb| below.verbs.contains(&verb));
        }
    }
}

/// What is sent to a path and answered by it.
struct Sent {
    kind: Json,
    schema: Json,
    is_custom: bool,
}

fn add_path(
    paths: &mut Map<String, Json>,
    path: &str,
    operations: &Operations,
    sent: &Sent,
    allowed: impl Fn(&str) -> bool,
) {
    let served = operations.iter().filter(|(_, _, verb)| allowed(verb));
    let operations: Map<String, Json> =
        served.map(|(method, action, _)| ((*method).to_owned(), operation(method, action, sent))).collect();
    if !operations.is_empty() {
        paths.insert(path.to_owned(), operations.into());
    }
}

fn operation(method: &str, action: &str, sent: &Sent) -> Json {
    let parameter =
        |name: &str, kind: &str| json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}});
    let mut parameters = Vec::new();
    let is_custom_collection = sent.is_custom && action == "deletecollection";
    if matches!(method, "post" | "put" | "patch" | "delete") && !is_custom_collection {
        parameters.push(parameter("dryRun", "string"));
    }
    if matches!(method, "post" | "put" | "patch") {
        parameters.push(parameter("fieldManager", "string"));
        parameters.push(parameter("fieldValidation", "string"));
    }
    if method == "patch" {
        parameters.push(parameter("force", "boolean"));
    }
    let Sent { kind, schema, is_custom } = sent;
    let mut operation = json!({
        "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind, "parameters": parameters,
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}},
    });
    let any = json!({"type": "object"});
    let (schema, types): (&Json, &[&str]) = match (method, is_custom) {
        ("post" | "put", false) => (schema, &["*/*"]),
        ("delete", false) => (&any, &["*/*"]),
        ("post" | "put", true) => (schema, &["application/json", "application/yaml"]),
        ("delete", true) if !is_custom_collection => (&any, &["application/json", "application/yaml"]),
        // From the first of these being there clients know that they may send it.
        ("patch", false) => (
            &any,
            &[STRATEGIC, "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"],
        ),
        ("patch", true) => {
            (&any, &["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"])
        }
        _ => return operation,
    };
    let content: Map<String, Json> = types.iter().map(|kind| ((*kind).to_owned(), json!({"schema": schema}))).collect();
    operation["requestBody"] = json!({"content": content});
    operation
}

const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// The definitions of a document: those of its kinds, and all that these refer to.
#[derive(Default)]
struct Definitions {
    done: BTreeMap<String, Json>,
    open: Vec<(String, TypeRef<'static>)>,
}

impl Definitions {
    /// Adds a kind and returns the reference to it.
    fn add_kind(&mut self, row: &Resource) -> Json {
        let name = match &row.custom {
            Some(custom) => {
                let name = definition_name(row);
                let mut schema = serde_json::to_value(custom.openapi()).unwrap_or_default();
                if schema.is_object() {
                    schema["properties"]["apiVersion"] = json!({"type": "string"});
                    schema["properties"]["kind"] = json!({"type": "string"});
                    schema["properties"]["metadata"] = self.metadata();
                }
                self.done.insert(name.clone(), schema);
                name
            }
            None => return self.add_builtin(&row.group, &row.version, &row.kind),
        };
        self.note_kind(&name, gvk(row));
        reference(&name)
    }

    /// Adds a kind of Kubernetes' own.
    fn add_builtin(&mut self, group: &str, version: &str, kind: &str) -> Json {
        let Some(of) = Schemas::builtin().type_of(group, version, kind) else { return json!({}) };
        let Some(name) = of.definition() else { return json!({}) };
        self.want(name, of);
        self.drain();
        self.note_kind(name, json!({"group": group, "version": version, "kind": kind}));
        reference(name)
    }

    /// Notes which kind a definition is of.
    fn note_kind(&mut self, name: &str, kind: Json) {
        if let Some(definition) = self.done.get_mut(name).filter(|definition| definition.is_object()) {
            let mut kinds = definition["x-kubernetes-group-version-kind"].as_array().cloned().unwrap_or_default();
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
            definition["x-kubernetes-group-version-kind"] = kinds.into();
        }
    }

    fn metadata(&mut self) -> Json {
        let name = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
        match Schemas::builtin().definition(name) {
            Some(metadata) => {
                self.want(name, metadata);
                self.drain();
                json!({"allOf": [reference(name)]})
            }
            None => json!({"type": "object"}),
        }
    }

    fn want(&mut self, name: &str, of: TypeRef<'static>) {
        if !self.done.contains_key(name) {
            // Marked first, so that types that contain themselves come to an end.
            self.done.insert(name.to_owned(), Json::Null);
            // The type by itself: a field may say more of it.
            self.open.push((name.to_owned(), Schemas::builtin().definition(name).unwrap_or(of)));
        }
    }

    fn drain(&mut self) {
        while let Some((name, of)) = self.open.pop() {
            let schema = self.inline(of);
            self.done.insert(name, schema);
        }
    }

    /// The schema of a type where it is used: a reference if it has a name.
    fn used(&mut self, of: TypeRef<'static>) -> Json {
        match (of.shape(), of.definition()) {
            (Shape::Struct | Shape::Map | Shape::Any, Some(name)) => {
                self.want(name, of);
                json!({"allOf": [reference(name)]})
            }
            (Shape::Scalar(scalar), _) => match scalar_name(scalar) {
                Some(name) => {
                    self.done.entry(name.to_owned()).or_insert_with(|| scalar_schema(scalar));
                    json!({"allOf": [reference(name)]})
                }
                None => scalar_schema(scalar),
            },
            _ => self.inline(of),
        }
    }

    fn inline(&mut self, of: TypeRef<'static>) -> Json {
        match of.shape() {
            Shape::Struct => {
                let mut properties = Map::new();
                let mut required = Vec::new();
                for field in of.fields() {
                    let mut property = self.used(field.of);
                    add_list_facts(&mut property, field.of);
                    if field.required {
                        required.push(field.name);
                    }
                    properties.insert(field.name.to_owned(), property);
                }
                let mut schema = json!({"type": "object", "properties": properties});
                if of.is_atomic() {
                    schema["x-kubernetes-map-type"] = "atomic".into();
                }
                if !required.is_empty() {
                    schema["required"] = required.into();
                }
                schema
            }
            Shape::Map => {
                match of.values().filter(|values| values.shape() != Shape::Any || values.definition().is_some()) {
                    Some(values) => json!({"type": "object", "additionalProperties": self.used(values)}),
                    None => json!({"type": "object"}),
                }
            }
            Shape::List => {
                let items = of.items().map_or_else(|| json!({}), |items| self.used(items));
                json!({"type": "array", "items": items})
            }
            Shape::Scalar(scalar) => scalar_schema(scalar),
            // Some of these are no objects either.
            Shape::Any if of.definition().is_some_and(|name| name.starts_with(ANYTHING)) => json!({}),
            Shape::Any => json!({"type": "object"}),
        }
    }

    fn finish(self) -> Map<String, Json> {
        self.done.into_iter().collect()
    }
}

fn add_list_facts(property: &mut Json, of: TypeRef<'_>) {
    if of.shape() == Shape::List {
        property["x-kubernetes-list-type"] = match of.list_type() {
            ListType::Atomic => "atomic",
            ListType::Set => "set",
            ListType::Map => "map",
        }
        .into();
        let keys: Vec<&str> = of.map_keys().collect();
        if !keys.is_empty() {
            property["x-kubernetes-list-map-keys"] = keys.into();
        }
    } else if of.is_atomic() && of.definition().is_none() {
        property["x-kubernetes-map-type"] = "atomic".into();
    } else if !of.is_atomic() && is_atomic_by_itself(of) {
        property["x-kubernetes-map-type"] = "granular".into();
    }
    if let Some(key) = of.patch_merge_key() {
        property["x-kubernetes-patch-merge-key"] = key.into();
    }
    let strategy = of.patch_strategy();
    let words: Vec<&str> =
        [(strategy.merge, "merge"), (strategy.retain_keys, "retainKeys"), (strategy.replace, "replace")]
            .into_iter()
            .filter_map(|(set, word)| set.then_some(word))
            .collect();
    if !words.is_empty() {
        property["x-kubernetes-patch-strategy"] = words.join(",").into();
    }
}

/// Whether a type is taken as a whole unless a field says otherwise.
fn is_atomic_by_itself(of: TypeRef<'_>) -> bool {
    of.definition().and_then(|name| Schemas::builtin().definition(name)).is_some_and(|of| of.is_atomic())
}

/// What the names of types begin with that may be any JSON: schemas within definitions.
const ANYTHING: &str = "io.k8s.apiextensions-apiserver.";

/// What the types are called that are structs in Go and leaves in JSON.
fn scalar_name(scalar: Scalar) -> Option<&'static str> {
    match scalar {
        Scalar::Time => Some("io.k8s.apimachinery.pkg.apis.meta.v1.Time"),
        Scalar::MicroTime => Some("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"),
        Scalar::Quantity => Some("io.k8s.apimachinery.pkg.api.resource.Quantity"),
        Scalar::IntOrString => Some("io.k8s.apimachinery.pkg.util.intstr.IntOrString"),
        Scalar::String | Scalar::Bytes | Scalar::Int32 | Scalar::Int64 | Scalar::Double | Scalar::Bool => None,
    }
}

fn scalar_schema(scalar: Scalar) -> Json {
    match scalar {
        Scalar::String => json!({"type": "string"}),
        Scalar::Bytes => json!({"type": "string", "format": "byte"}),
        Scalar::Time | Scalar::MicroTime => json!({"type": "string", "format": "date-time"}),
        Scalar::Int32 => json!({"type": "integer", "format": "int32"}),
        Scalar::Int64 => json!({"type": "integer", "format": "int64"}),
        Scalar::Double => json!({"type": "number", "format": "double"}),
        Scalar::Bool => json!({"type": "boolean"}),
        Scalar::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        Scalar::IntOrString => json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
    }
}

fn reference(name: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// `com.example.v1.Foo` for `Foo` in `example.com/v1`.
fn definition_name(row: &Resource) -> String {
    let group: Vec<&str> = row.group.rsplit('.').collect();
    format!("{}.{}.{}", group.join("."), row.version, row.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Registry;

    #[test]
    fn every_reference_in_a_document_has_its_definition() {
        let table = Registry::builtin().table();
        for (group, versions) in table.groups() {
            for version in versions {
                let document = document(&table, &group, &version);
                let text = document.to_string();
                for part in text.split("#/components/schemas/").skip(1) {
                    let name = part.split('"').next().unwrap_or_default();
                    assert!(document["components"]["schemas"][name].is_object(), "{group}/{version}: {name}");
                }
            }
        }
    }

    #[test]
    fn patches_and_merge_keys_are_told() {
        let table = Registry::builtin().table();
        let document = document(&table, "apps", "v1");
        let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
        let containers = &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
        let deployment = &document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"];
        assert_eq!(deployment["x-kubernetes-group-version-kind"][0]["kind"], "Deployment");
    }
}
