//! The definitions of an OpenAPI v2 document, as `kubectl get --raw /openapi/v2` prints it, as types.

use std::collections::HashMap;

use soll_yaml::{Map, Str, Value};

use crate::CrdSchema;
use crate::crd::{CrdField, CrdNode, Next};
use crate::types::{ListType, PatchStrategy, Scalar, Shape, TypeRef};

/// Types by group, version and kind, with what a strategic merge patch asks of them.
///
/// Definitions may refer to each other in circles; each is read once.
#[derive(Debug, Clone)]
pub struct Definitions {
    schema: CrdSchema,
    kinds: HashMap<(Str, Str, Str), u32>,
}

impl Definitions {
    /// Reads the `definitions` of a document. What makes no sense describes nothing.
    #[must_use]
    pub fn read(document: &Value) -> Self {
        let empty = Map::new();
        let all = document.get("definitions").and_then(Value::as_map).unwrap_or(&empty);
        let mut reader = Reader { all, nodes: Vec::new(), known: HashMap::new() };
        let mut kinds = HashMap::new();
        for entry in all {
            let named = entry.value.get("x-kubernetes-group-version-kind").and_then(Value::as_list);
            for kind in named.unwrap_or_default() {
                let part = |name: &str| Str::from(kind.lookup_str(&[name]).unwrap_or_default());
                let node = reader.definition(&entry.key, &entry.value);
                kinds.insert((part("group"), part("version"), part("kind")), node);
            }
        }
        Self { schema: CrdSchema::of_nodes(reader.nodes), kinds }
    }

    /// The type of the objects of a kind.
    #[must_use]
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<TypeRef<'_>> {
        let index = self.kinds.get(&(group.into(), version.into(), kind.into()))?;
        Some(TypeRef::crd(&self.schema, *index))
    }
}

struct Reader<'d> {
    all: &'d Map,
    nodes: Vec<CrdNode>,
    /// Definitions by name.
    known: HashMap<Str, u32>,
}

impl Reader<'_> {
    fn definition(&mut self, name: &Str, openapi: &Value) -> u32 {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        // Noted before its fields are read: one may lead back here.
        let index = self.add(openapi);
        self.known.insert(name.clone(), index);
        self.fill(index, openapi);
        index
    }

    /// A schema where a field, an item or a value has one. What a reference leads to counts, with what stands
    /// beside the reference lost, as in kustomize.
    fn node(&mut self, openapi: &Value) -> Next {
        let Some(reference) = openapi.lookup_str(&["$ref"]) else {
            let index = self.add(openapi);
            self.fill(index, openapi);
            return Next::Node(index);
        };
        let name = reference.trim_start_matches("#/definitions/");
        match self.all.entry(name) {
            Some(entry) => Next::Node(self.definition(&entry.key, &entry.value)),
            None => Next::Nowhere,
        }
    }

    fn add(&mut self, openapi: &Value) -> u32 {
        let strategies = openapi.lookup_str(&["x-kubernetes-patch-strategy"]).unwrap_or_default();
        let has = |name: &str| strategies.split(',').any(|strategy| strategy == name);
        let keys = openapi.get("x-kubernetes-list-map-keys").and_then(Value::as_list).unwrap_or_default();
        self.nodes.push(CrdNode {
            shape: shape(openapi),
            openapi: openapi.clone(),
            fields: Vec::new(),
            values: Next::Nowhere,
            undeclared: Next::Nowhere,
            items: Next::Nowhere,
            patch: PatchStrategy { merge: has("merge"), retain_keys: has("retainKeys"), replace: has("replace") },
            merge_key: openapi.lookup_str(&["x-kubernetes-patch-merge-key"]).map(Str::from),
            list_type: if keys.is_empty() { ListType::Atomic } else { ListType::Map },
            map_keys: keys.iter().filter_map(Value::as_str).map(Str::from).collect(),
            atomic: false,
            nullable: false,
            embedded: false,
        });
        u32::try_from(self.nodes.len() - 1).expect("a document has fewer schemas than that")
    }

    fn fill(&mut self, index: u32, openapi: &Value) {
        let mut fields = Vec::new();
        for entry in openapi.get("properties").and_then(Value::as_map).into_iter().flatten() {
            let to = self.node(&entry.value);
            if to != Next::Nowhere {
                fields.push(CrdField { name: entry.key.clone(), to, required: false });
            }
        }
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        let values = openapi.get("additionalProperties").filter(|value| value.as_map().is_some());
        let values = values.map_or(Next::Nowhere, |value| self.node(value));
        let items = openapi.get("items").filter(|_| openapi.lookup_str(&["type"]) == Some("array"));
        let items = items.map_or(Next::Nowhere, |items| self.node(items));
        let node = &mut self.nodes[index as usize];
        (node.fields, node.values, node.undeclared, node.items) = (fields, values, values, items);
    }
}

fn shape(openapi: &Value) -> Shape {
    match openapi.lookup_str(&["type"]) {
        Some("object") if openapi.get("properties").is_none() => Shape::Map,
        Some("object") => Shape::Struct,
        Some("array") => Shape::List,
        Some("string") => Shape::Scalar(Scalar::String),
        Some("integer") => Shape::Scalar(Scalar::Int64),
        Some("number") => Shape::Scalar(Scalar::Double),
        Some("boolean") => Shape::Scalar(Scalar::Bool),
        _ if openapi.get("properties").is_some() => Shape::Struct,
        _ => Shape::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::parse_json;

    #[test]
    fn definitions_lead_to_each_other() {
        let document = br##"{"definitions": {
            "A": {"properties": {"list": {"type": "array", "items": {"$ref": "#/definitions/B"},
                "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name"}},
                "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "A"}]},
            "B": {"type": "object", "properties": {"a": {"$ref": "#/definitions/A"}, "gone": {"$ref": "#/definitions/C"}}}}}"##;
        let definitions = Definitions::read(&parse_json(document).expect("valid"));
        let list = definitions.kind("g", "v1", "A").and_then(|of| of.field("list")).expect("a field");
        assert_eq!(list.patch_merge_key(), Some("name"));
        assert!(list.patch_strategy().merge);
        let again = list.items().and_then(|item| item.lookup(&["a", "list"])).expect("back again");
        assert_eq!(again.patch_merge_key(), Some("name"));
        assert!(list.items().and_then(|item| item.field("gone")).is_none());
        assert!(definitions.kind("g", "v2", "A").is_none());
    }
}
