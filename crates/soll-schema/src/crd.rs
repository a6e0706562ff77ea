//! The schema of a CustomResourceDefinition as types.

use std::sync::Arc;

use soll_yaml::{FieldPath, Str, Value};

use crate::types::{Field, ListType, PatchStrategy, Scalar, Shape, TypeRef};
use crate::{Schemas, layout::tag};

/// The structural schema of one version of a custom kind.
///
/// Shared by reference counting; [`CrdSchema::root`] is where walking starts. Each node keeps the OpenAPI
/// it was made of, for defaults and validation ([`TypeRef::openapi`]).
#[derive(Clone)]
pub struct CrdSchema {
    nodes: Arc<Vec<CrdNode>>,
}

/// A node of the schema.
pub(crate) struct CrdNode {
    pub(crate) shape: Shape,
    pub(crate) openapi: Value,
    /// By name.
    pub(crate) fields: Vec<CrdField>,
    pub(crate) values: Next,
    pub(crate) undeclared: Next,
    pub(crate) items: Next,
    pub(crate) patch: PatchStrategy,
    /// The field by which a strategic merge patch matches the items of the list.
    pub(crate) merge_key: Option<Str>,
    pub(crate) list_type: ListType,
    pub(crate) map_keys: Vec<Str>,
    pub(crate) atomic: bool,
    pub(crate) nullable: bool,
    pub(crate) embedded: bool,
}

pub(crate) struct CrdField {
    pub(crate) name: Str,
    pub(crate) to: Next,
    pub(crate) required: bool,
}

/// Where an edge of the graph leads.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Next {
    Nowhere,
    Node(u32),
    Any,
    String,
    ObjectMeta,
}

/// A schema that is no structural schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct SchemaError {
    /// Where in the schema: `properties[spec].properties[replicas]`.
    pub path: FieldPath,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Nesting past this is refused.
const DEEPEST: usize = 128;

impl CrdSchema {
    /// Reads `spec.versions[].schema.openAPIV3Schema`.
    ///
    /// # Errors
    /// The first node that cannot be walked: no map, an unknown type, keys that are no texts. What makes a
    /// schema structural beyond that is the API server's to check.
    pub fn from_openapi_v3(schema: &Value) -> Result<Self, SchemaError> {
        let mut reader = Reader { nodes: Vec::new(), path: FieldPath::root() };
        let root = reader.node(schema, false, true)?;
        debug_assert_eq!(root, 0, "the root is read first");
        Ok(Self { nodes: Arc::new(reader.nodes) })
    }

    /// The type of the custom objects.
    #[must_use]
    pub fn root(&self) -> TypeRef<'_> {
        TypeRef::crd(self, 0)
    }

    pub(crate) fn of_nodes(nodes: Vec<CrdNode>) -> Self {
        Self { nodes: Arc::new(nodes) }
    }

    pub(crate) fn node(&self, index: u32) -> &CrdNode {
        &self.nodes[index as usize]
    }

    fn follow(&self, next: Next) -> Option<TypeRef<'_>> {
        match next {
            Next::Nowhere => None,
            Next::Node(index) => Some(TypeRef::crd(self, index)),
            Next::Any => Some(TypeRef::ANY),
            Next::String => Some(TypeRef::table(tag::STRING.into())),
            Next::ObjectMeta => Schemas::builtin().definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"),
        }
    }

    pub(crate) fn field(&self, index: u32, name: &str) -> Option<TypeRef<'_>> {
        let node = self.node(index);
        match node.fields.binary_search_by(|field| field.name.as_str().cmp(name)) {
            Ok(position) => self.follow(node.fields[position].to),
            Err(_) => self.values(index),
        }
    }

    pub(crate) fn struct_field(&self, index: u32, name: &str) -> Option<Field<'_>> {
        let position = self.node(index).fields.binary_search_by(|field| field.name.as_str().cmp(name)).ok()?;
        Some(self.field_at(index, position))
    }

    pub(crate) fn field_at(&self, index: u32, position: usize) -> Field<'_> {
        let field = &self.node(index).fields[position];
        Field {
            name: &field.name,
            of: self.follow(field.to).expect("a field leads to a type"),
            required: field.required,
            emitted: false,
            default: None,
            number: 0,
            through: 0,
        }
    }

    pub(crate) fn values(&self, index: u32) -> Option<TypeRef<'_>> {
        self.follow(self.node(index).values)
    }

    pub(crate) fn undeclared(&self, index: u32) -> Option<TypeRef<'_>> {
        self.follow(self.node(index).undeclared)
    }

    pub(crate) fn items(&self, index: u32) -> Option<TypeRef<'_>> {
        self.follow(self.node(index).items)
    }
}

impl std::fmt::Debug for CrdSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CrdSchema of {} nodes", self.nodes.len())
    }
}

struct Reader {
    nodes: Vec<CrdNode>,
    path: FieldPath,
}

impl Reader {
    /// Reads one node. Below `x-kubernetes-preserve-unknown-fields` all descendants keep unknown fields in
    /// merging, as the API server has it.
    fn node(&mut self, openapi: &Value, preserving: bool, root: bool) -> Result<u32, SchemaError> {
        if openapi.as_map().is_none() {
            return Err(self.error(format!("expected a schema, found {}", openapi.type_in_words())));
        }
        if self.path.0.len() > DEEPEST * 2 {
            return Err(self.error(format!("the schema is nested deeper than {DEEPEST} levels")));
        }
        let flag = |name: &str| openapi.get(name).and_then(Value::as_bool).unwrap_or(false);
        let preserving = preserving || flag("x-kubernetes-preserve-unknown-fields");
        let embedded = flag("x-kubernetes-embedded-resource");
        let index = self.nodes.len() as u32;
        self.nodes.push(CrdNode {
            shape: self.shape(openapi)?,
            openapi: openapi.clone(),
            fields: Vec::new(),
            values: Next::Nowhere,
            undeclared: Next::Nowhere,
            items: Next::Nowhere,
            patch: PatchStrategy::default(),
            merge_key: None,
            list_type: ListType::Atomic,
            map_keys: Vec::new(),
            atomic: openapi.lookup_str(&["x-kubernetes-map-type"]) == Some("atomic"),
            nullable: flag("nullable"),
            embedded,
        });
        match self.nodes[index as usize].shape {
            Shape::Struct => self.object(index, openapi, preserving, root || embedded)?,
            Shape::List => self.list(index, openapi, preserving)?,
            Shape::Any => {
                let node = &mut self.nodes[index as usize];
                (node.values, node.undeclared, node.items) = (Next::Any, Next::Any, Next::Any);
            }
            Shape::Map | Shape::Scalar(_) => {}
        }
        Ok(index)
    }

    fn shape(&self, openapi: &Value) -> Result<Shape, SchemaError> {
        let scalar = match (openapi.lookup_str(&["type"]).unwrap_or_default(), openapi.lookup_str(&["format"])) {
            ("object", _) => return Ok(Shape::Struct),
            ("array", _) => return Ok(Shape::List),
            ("", _) if openapi.get("x-kubernetes-int-or-string").and_then(Value::as_bool) == Some(true) => {
                Scalar::IntOrString
            }
            ("", _) => return Ok(Shape::Any),
            ("string", Some("byte")) => Scalar::Bytes,
            ("string", Some("date-time")) => Scalar::Time,
            ("string", _) => Scalar::String,
            ("integer", Some("int32")) => Scalar::Int32,
            ("integer", _) => Scalar::Int64,
            ("number", _) => Scalar::Double,
            ("boolean", _) => Scalar::Bool,
            (other, _) => {
                let known = "object, array, string, integer, number, boolean";
                return Err(self.error(format!("unknown type `{other}`, expected one of {known}")));
            }
        };
        Ok(Shape::Scalar(scalar))
    }

    fn object(&mut self, index: u32, openapi: &Value, preserving: bool, resource: bool) -> Result<(), SchemaError> {
        let required: Vec<&str> = openapi
            .get("required")
            .and_then(Value::as_list)
            .map_or_else(Vec::new, |names| names.iter().filter_map(Value::as_str).collect());
        let mut fields = Vec::new();
        if let Some(properties) = openapi.get("properties").and_then(Value::as_map) {
            for entry in properties {
                if resource && ["apiVersion", "kind", "metadata"].contains(&entry.key.as_str()) {
                    continue;
                }
                let read = |reader: &mut Self| reader.node(&entry.value, preserving, false);
                let to = self.below("properties", &entry.key, read)?;
                let required = required.contains(&entry.key.as_str());
                fields.push(CrdField { name: entry.key.clone(), to: Next::Node(to), required });
            }
        }
        let declared = !fields.is_empty();
        if resource {
            // Every object has these, whatever the schema says of them.
            for (name, to) in [("apiVersion", Next::String), ("kind", Next::String), ("metadata", Next::ObjectMeta)] {
                fields.push(CrdField { name: name.into(), to, required: required.contains(&name) });
            }
        }
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        let values = match openapi.get("additionalProperties") {
            Some(value) if value.as_bool() == Some(false) => Next::Nowhere,
            Some(value) if value.as_bool() == Some(true) => Next::Any,
            Some(value) => {
                Next::Node(self.below("additionalProperties", "", |reader| reader.node(value, preserving, false))?)
            }
            // Merging takes an object of which nothing is said for free-form, and all that lies below unknown
            // fields that are kept; pruning does neither.
            None if preserving || (!declared && !resource) => Next::Any,
            None => Next::Nowhere,
        };
        let keeps = openapi.get("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool) == Some(true);
        let said = openapi.get("additionalProperties").is_some();
        let node = &mut self.nodes[index as usize];
        if fields.is_empty() && values != Next::Nowhere {
            node.shape = Shape::Map;
        }
        node.fields = fields;
        node.values = values;
        node.undeclared = if said || keeps { values } else { Next::Nowhere };
        Ok(())
    }

    fn list(&mut self, index: u32, openapi: &Value, preserving: bool) -> Result<(), SchemaError> {
        let items = match openapi.get("items") {
            Some(items) => Next::Node(self.below("items", "", |reader| reader.node(items, preserving, false))?),
            None => Next::Any,
        };
        let (list_type, keys) = match openapi.lookup_str(&["x-kubernetes-list-type"]) {
            None | Some("atomic") => (ListType::Atomic, Vec::new()),
            Some("set") => (ListType::Set, Vec::new()),
            Some("map") => {
                let keys = openapi.get("x-kubernetes-list-map-keys").and_then(Value::as_list).unwrap_or_default();
                let keys: Vec<Str> = keys.iter().filter_map(Value::as_str).map(Str::from).collect();
                if keys.is_empty() {
                    let message = "a list of type `map` needs `x-kubernetes-list-map-keys`".to_owned();
                    return Err(self.error(message));
                }
                (ListType::Map, keys)
            }
            Some(other) => {
                return Err(self.error(format!("unknown list type `{other}`, expected one of atomic, set, map")));
            }
        };
        let node = &mut self.nodes[index as usize];
        (node.items, node.list_type, node.map_keys) = (items, list_type, keys);
        Ok(())
    }

    fn below<T>(
        &mut self,
        keyword: &str,
        name: &str,
        read: impl FnOnce(&mut Self) -> Result<T, SchemaError>,
    ) -> Result<T, SchemaError> {
        let outer = self.path.clone();
        self.path = outer.key(keyword);
        if !name.is_empty() {
            self.path = self.path.key(name);
        }
        let result = read(self);
        self.path = outer;
        result
    }

    fn error(&self, message: String) -> SchemaError {
        SchemaError { path: self.path.clone(), message }
    }
}
