//! CustomResourceDefinitions: from their objects to rows of the resource table.

pub(crate) mod cost;
mod defaults;
mod evaluate;
mod rules;
pub(crate) mod structural;
mod typing;
mod validate;

use std::sync::{Arc, OnceLock};

use soll_schema::CrdSchema;
use soll_yaml::{FieldPath, Str, Value};

use crate::refusal::Cause;
use crate::resources::{ALL_VERBS, Generation, Registry, Resource, Subresource, VERBS_OF_THE_LEAVING, priority};
use crate::rest::ScalePaths;
use crate::store::Store;
use evaluate::Rules;

/// What a custom resource has that builtins get from the schema table.
#[derive(Debug)]
pub struct Custom {
    /// Paths that field selectors may use.
    pub(crate) selectable_fields: Vec<String>,
    /// Columns of tables after the name.
    pub(crate) columns: Vec<Column>,
    /// Where the parts of a scale stand.
    pub(crate) scale: Option<ScalePaths>,
    /// The schema of this version.
    pub(crate) schema: CrdSchema,
    /// What its users are told if it is deprecated.
    pub(crate) deprecation: Option<String>,
    /// Its CEL rules, compiled when the first object comes.
    rules: OnceLock<Rules>,
}

impl Custom {
    /// The schema as it was written.
    pub(crate) fn openapi(&self) -> &Value {
        self.schema.root().openapi().expect("the schema of a custom resource is made of OpenAPI")
    }

    /// Fills in the defaults of the schema.
    pub(crate) fn fill_defaults(&self, object: &mut Value) {
        defaults::fill(self.openapi(), object);
    }

    /// What is wrong with an object, or with its change. What was wrong before and stays is tolerated.
    pub(crate) fn validate(&self, old: Option<&Value>, object: &Value) -> Vec<Cause> {
        let mut causes = validate::check(self.openapi(), object);
        if let Some(old) = old {
            causes.retain(|cause| {
                let path = FieldPath::parse(&cause.field);
                path.find(object).is_none() || path.find(object) != path.find(old)
            });
        }
        let rules = self.rules.get_or_init(|| Rules::of(self.openapi()));
        // Rules may assume that types fit.
        const BLOCKING: [&str; 5] = [
            "FieldValueNotSupported",
            "FieldValueRequired",
            "FieldValueTooLong",
            "FieldValueTooMany",
            "FieldValueTypeInvalid",
        ];
        if !causes.iter().any(|cause| BLOCKING.contains(&cause.kind)) {
            causes.extend(rules.check(self.openapi(), old, object));
        } else if rules.are_there() {
            let why = "some validation rules were not checked because the object was invalid; correct the existing errors to \
                       complete validation";
            causes.push(Cause::invalid("<nil>", "null", why));
        }
        causes
    }
}

/// One of `additionalPrinterColumns`.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) format: String,
    pub(crate) description: String,
    pub(crate) priority: i64,
    pub(crate) path: String,
}

/// Brings the table of resources in line with a definition that was stored.
pub(crate) fn serve(registry: &Registry, definition: &Value) {
    let (group, plural) = identity(definition);
    registry.replace(group, plural, rows(definition));
}

/// Serves all definitions of a store that was read back.
pub(crate) fn serve_stored(store: &Store, registry: &Registry) {
    for entry in store.snapshot("apiextensions.k8s.io/customresourcedefinitions").0.iter() {
        serve(registry, &entry.value);
    }
}

/// Takes a definition that is gone out of the table.
pub(crate) fn withdraw(registry: &Registry, definition: &Value) {
    let (group, plural) = identity(definition);
    registry.replace(group, plural, Vec::new());
}

fn identity(definition: &Value) -> (&str, &str) {
    let group = definition.lookup_str(&["spec", "group"]).unwrap_or_default();
    (group, definition.lookup_str(&["spec", "names", "plural"]).unwrap_or_default())
}

/// One row for each served version.
fn rows(definition: &Value) -> Vec<Resource> {
    let (group, plural) = identity(definition);
    let text = |keys: &[&str]| Str::from(definition.lookup_str(keys).unwrap_or_default());
    let words = |keys: &[&str]| -> Vec<Str> {
        let list = definition.lookup(keys).and_then(Value::as_list).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(Str::from).collect()
    };
    let versions = definition.lookup(&["spec", "versions"]).and_then(Value::as_list).unwrap_or_default();
    let served = versions.iter().filter(|version| version.get("served").and_then(Value::as_bool) == Some(true));
    served
        .filter_map(|version| {
            // Validation refused what is no schema.
            let schema = CrdSchema::from_openapi_v3(version.lookup(&["schema", "openAPIV3Schema"])?).ok()?;
            let has_status = version.lookup(&["subresources", "status"]).is_some();
            let scale = version.lookup(&["subresources", "scale"]).map(scale_paths);
            let mut subresources = Vec::new();
            subresources.extend(has_status.then_some(Subresource::Status));
            subresources.extend(scale.is_some().then_some(Subresource::Scale));
            let list = |field: &str| version.get(field).and_then(Value::as_list).unwrap_or_default();
            let custom = Custom {
                selectable_fields: list("selectableFields")
                    .iter()
                    .filter_map(|field| field.lookup_str(&["jsonPath"]))
                    .map(str::to_owned)
                    .collect(),
                columns: list("additionalPrinterColumns").iter().map(column).collect(),
                scale,
                schema,
                deprecation: deprecation(definition, version),
                rules: OnceLock::new(),
            };
            Some(Resource {
                group: Str::from(group),
                version: Str::from(version.lookup_str(&["name"]).unwrap_or_default()),
                plural: Str::from(plural),
                singular: text(&["spec", "names", "singular"]),
                kind: text(&["spec", "names", "kind"]),
                list_kind: text(&["spec", "names", "listKind"]),
                namespaced: definition.lookup_str(&["spec", "scope"]) == Some("Namespaced"),
                short_names: words(&["spec", "names", "shortNames"]),
                categories: words(&["spec", "names", "categories"]),
                verbs: if crate::meta::is_terminating(definition) { VERBS_OF_THE_LEAVING } else { ALL_VERBS }.to_vec(),
                storage_hash: storage_hash(definition),
                subresources,
                drawer: Str::from(format!("{group}/{plural}")),
                generation: if has_status { Generation::AllButStatus } else { Generation::All },
                custom: Some(Arc::new(custom)),
            })
        })
        .collect()
}

/// Eight bytes in base64 that tell in which version objects are stored; none if that is not served.
fn storage_hash(definition: &Value) -> Option<String> {
    use base64::Engine as _;
    use sha2::Digest as _;
    let versions = definition.lookup(&["spec", "versions"]).and_then(Value::as_list).unwrap_or_default();
    let flag = |version: &Value, field: &str| version.get(field).and_then(Value::as_bool) == Some(true);
    let stored = versions.iter().find(|version| flag(version, "storage") && flag(version, "served"))?;
    let text = |value: &Value, keys: &[&str]| value.lookup_str(keys).unwrap_or_default().to_owned();
    let (group, kind) = (text(definition, &["spec", "group"]), text(definition, &["spec", "names", "kind"]));
    let digest = sha2::Sha256::digest(format!("{group}/{}/{kind}", text(stored, &["name"])));
    Some(base64::engine::general_purpose::STANDARD.encode(&digest[..8]))
}

/// What users of a version are told if it is deprecated: what its author says, or which version to use.
fn deprecation(definition: &Value, version: &Value) -> Option<String> {
    let flag = |version: &Value, field: &str| version.get(field).and_then(Value::as_bool) == Some(true);
    if !flag(version, "deprecated") {
        return None;
    }
    if let Some(warning) = version.lookup_str(&["deprecationWarning"]) {
        return Some(warning.to_owned());
    }
    let name = |version: &Value| version.lookup_str(&["name"]).unwrap_or_default().to_owned();
    let group = definition.lookup_str(&["spec", "group"]).unwrap_or_default();
    let kind = definition.lookup_str(&["spec", "names", "kind"]).unwrap_or_default();
    let own = name(version);
    let versions = definition.lookup(&["spec", "versions"]).and_then(Value::as_list).unwrap_or_default();
    let newer = versions.iter().filter(|other| flag(other, "served") && !flag(other, "deprecated")).map(name);
    let newest = newer.filter(|other| priority(other) > priority(&own)).max_by_key(|other| priority(other));
    let instead = newest.map(|newest| format!("; use {group}/{newest} {kind}")).unwrap_or_default();
    Some(format!("{group}/{own} {kind} is deprecated{instead}"))
}

fn scale_paths(scale: &Value) -> ScalePaths {
    let path = |field: &str| ScalePaths::parse(scale.lookup_str(&[field]).unwrap_or_default());
    ScalePaths {
        spec_replicas: path("specReplicasPath"),
        status_replicas: path("statusReplicasPath"),
        selector: scale.get("labelSelectorPath").is_some().then(|| path("labelSelectorPath")),
    }
}

fn column(column: &Value) -> Column {
    let text = |field: &str| column.lookup_str(&[field]).unwrap_or_default().to_owned();
    Column {
        name: text("name"),
        kind: text("type"),
        format: text("format"),
        description: text("description"),
        priority: column.get("priority").and_then(Value::as_i64).unwrap_or(0),
        path: text("jsonPath"),
    }
}
