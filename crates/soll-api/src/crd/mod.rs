//! The custom resource definitions, made from one table of fields per kind.
//!
//! A row of a table says everything about a field once: its type and rules, which make the definition that the API
//! server enforces, what it is for, and whether it is built. [`crds`] writes the definitions, [`unsupported_fields`]
//! names what an object sets that is not built, [`samples`] makes an object for each field, for tests.

mod field;
mod gitrepository;
mod kustomization;
mod shared;

use soll_yaml::{Map, Value};

use self::field::{Field, Type};
use crate::{GitRepository, Kustomization, Resource, names};

/// One kind: its names and the table of its fields.
struct Definition {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short: &'static str,
    categories: &'static [&'static str],
    /// What `kubectl get` prints: name, JSON path, type.
    columns: &'static [(&'static str, &'static str, &'static str)],
    doc: &'static str,
    spec: Field,
    status: Field,
}

const AGE: (&str, &str, &str) = ("Age", ".metadata.creationTimestamp", "date");
const READY: (&str, &str, &str) = ("Ready", r#".status.conditions[?(@.type=="Ready")].status"#, "string");
const STATUS: (&str, &str, &str) = ("Status", r#".status.conditions[?(@.type=="Ready")].message"#, "string");

const DEFINITIONS: [Definition; 2] = [
    Definition {
        group: GitRepository::GROUP,
        version: GitRepository::VERSION,
        kind: GitRepository::KIND,
        plural: GitRepository::PLURAL,
        short: "gitrepo",
        categories: &["all", "fluxcd", "fluxcd-sources"],
        columns: &[("URL", ".spec.url", "string"), AGE, READY, STATUS],
        doc: "A Git repository, and the revision of it that counts.",
        spec: gitrepository::SPEC,
        status: gitrepository::STATUS,
    },
    Definition {
        group: Kustomization::GROUP,
        version: Kustomization::VERSION,
        kind: Kustomization::KIND,
        plural: Kustomization::PLURAL,
        short: "ks",
        categories: &["all", "fluxcd", "fluxcd-appliers"],
        columns: &[AGE, READY, STATUS],
        doc: "What to build from a source and apply to a cluster.",
        spec: kustomization::SPEC,
        status: kustomization::STATUS,
    },
];

/// The `CustomResourceDefinition` of each kind, as it is installed.
#[must_use]
pub fn crds() -> Vec<Value> {
    DEFINITIONS.iter().map(Definition::crd).collect()
}

/// The fields of an object that are set and not built yet: `spec.decryption`, `spec.sourceRef.kind: Bucket`.
///
/// Kinds without a table have none. A field that is set to nothing (`false`, an empty list, map or text) is not set.
#[must_use]
pub fn unsupported_fields(kind: &str, object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let (Some(definition), Some(spec)) = (definition(kind), object.get("spec")) {
        unsupported(&definition.spec, spec, "spec", &mut found);
    }
    found
}

/// An object that sets one field alone, beside those that are required.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The field: `spec.postBuild.substituteFrom[0].optional`.
    pub path: String,
    /// The object, which the API server takes.
    pub object: Value,
    /// Whether the field is built.
    pub built: bool,
}

/// An object for each field of the spec of a kind, and for each value of those that allow only some.
#[must_use]
pub fn samples(kind: &str) -> Vec<Sample> {
    let Some(definition) = definition(kind) else { return Vec::new() };
    let samples = field::samples(&definition.spec).into_iter();
    samples
        .map(|(path, spec)| {
            let metadata = Map::from_iter([("name", "sample"), ("namespace", "default")].map(|(k, v)| (k, v.into())));
            let object = Value::from(Map::from_iter([
                ("apiVersion", Value::from(format!("{}/{}", definition.group, definition.version))),
                ("kind", Value::str(kind)),
                ("metadata", metadata.into()),
                ("spec", spec),
            ]));
            let built = unsupported_fields(kind, &object).is_empty();
            Sample { path: format!("spec{path}"), object, built }
        })
        .collect()
}

fn definition(kind: &str) -> Option<&'static Definition> {
    const STATIC: &[Definition] = &DEFINITIONS;
    STATIC.iter().find(|definition| definition.kind == kind)
}

fn unsupported(field: &Field, value: &Value, path: &str, found: &mut Vec<String>) {
    if is_unset(value) {
        return;
    }
    if !field.built {
        found.push(path.to_owned());
        return;
    }
    if let Some(text) = value.as_str()
        && field.later_choices.contains(&text)
    {
        found.push(format!("{path}: {text}"));
    }
    match field.r#type {
        Type::Object(fields) => {
            for child in fields {
                if let Some(value) = value.get(child.name) {
                    unsupported(child, value, &format!("{path}.{}", child.name), found);
                }
            }
        }
        Type::List(item) => {
            for (index, value) in value.as_list().unwrap_or_default().iter().enumerate() {
                unsupported(item, value, &format!("{path}[{index}]"), found);
            }
        }
        Type::Text | Type::Bool | Type::Int64 | Type::Time | Type::TextMap => {}
    }
}

fn is_unset(value: &Value) -> bool {
    value.is_null()
        || value.as_bool() == Some(false)
        || value.as_str().is_some_and(str::is_empty)
        || value.as_list().is_some_and(<[Value]>::is_empty)
        || value.as_map().is_some_and(Map::is_empty)
}

impl Definition {
    fn crd(&self) -> Value {
        let annotations = Map::from_iter([(names::kustomize::SUBSTITUTE, Value::str("disabled"))]);
        let singular = self.kind.to_lowercase();
        let names = Map::from_iter([
            ("categories", texts(self.categories)),
            ("kind", Value::str(self.kind)),
            ("listKind", Value::from(format!("{}List", self.kind))),
            ("plural", Value::str(self.plural)),
            ("shortNames", texts(&[self.short])),
            ("singular", Value::from(singular)),
        ]);
        let metadata = Map::from_iter([
            ("annotations", Value::from(annotations)),
            ("name", Value::from(format!("{}.{}", self.plural, self.group))),
        ]);
        let spec = Map::from_iter([
            ("group", Value::str(self.group)),
            ("names", names.into()),
            ("scope", Value::str("Namespaced")),
            ("versions", Value::list(vec![self.served_version()])),
        ]);
        Map::from_iter([
            ("apiVersion", Value::str("apiextensions.k8s.io/v1")),
            ("kind", Value::str("CustomResourceDefinition")),
            ("metadata", metadata.into()),
            ("spec", spec.into()),
        ])
        .into()
    }

    fn served_version(&self) -> Value {
        let column = |(name, path, r#type): &(&str, &str, &str)| {
            Map::from_iter([("jsonPath", *path), ("name", *name), ("type", *r#type)].map(|(k, v)| (k, v.into()))).into()
        };
        let subresources = Map::from_iter([("status", Value::map())]);
        Map::from_iter([
            ("additionalPrinterColumns", Value::list(self.columns.iter().map(column).collect())),
            ("name", Value::str(self.version)),
            ("schema", Map::from_iter([("openAPIV3Schema", self.schema())]).into()),
            ("served", true.into()),
            ("storage", true.into()),
            ("subresources", subresources.into()),
        ])
        .into()
    }

    fn schema(&self) -> Value {
        let text = |doc: &str| {
            Value::from(Map::from_iter([("description", doc), ("type", "string")].map(|(k, v)| (k, v.into()))))
        };
        let properties = Map::from_iter([
            ("apiVersion", text("Group and version of this representation of the object.")),
            ("kind", text("Kind of the object.")),
            ("metadata", Map::from_iter([("type", Value::str("object"))]).into()),
            ("spec", self.spec.schema()),
            ("status", self.status.schema()),
        ]);
        Map::from_iter([
            ("description", Value::str(self.doc)),
            ("properties", properties.into()),
            ("type", Value::str("object")),
        ])
        .into()
    }
}

fn texts(texts: &[&str]) -> Value {
    Value::list(texts.iter().map(|text| Value::str(text)).collect())
}

#[cfg(test)]
mod tests;
