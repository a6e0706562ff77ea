//! Values seen through their types: what is a leaf, how items are told apart, which fields there are.

use soll_schema::{ListType, Scalar, Shape, TypeRef};
use soll_yaml::{Data, Str, Value, parse_json};

use super::set::Node;
use super::{Element, Set};

/// How merging sees a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Atom {
    /// Key by key.
    Map,
    /// Item by item.
    List,
    /// As a whole.
    Leaf,
    /// `null` where a map or list merges by its parts: it has none.
    Nothing,
}

/// How merging sees a value of a type.
pub(super) fn atom(of: TypeRef<'_>, value: &Value) -> Atom {
    match of.shape() {
        Shape::Struct | Shape::Map if of.is_atomic() => Atom::Leaf,
        Shape::Struct | Shape::Map => {
            if value.as_map().is_some() {
                Atom::Map
            } else {
                Atom::Nothing
            }
        }
        Shape::List if of.list_type() == ListType::Atomic => Atom::Leaf,
        Shape::List => {
            if value.as_list().is_some() {
                Atom::List
            } else {
                Atom::Nothing
            }
        }
        Shape::Any if of.is_atomic() => Atom::Leaf,
        Shape::Any | Shape::Scalar(Scalar::IntOrString) => match value.data {
            Data::Map(_) => Atom::Map,
            Data::Null => Atom::Nothing,
            Data::List(_) | Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => Atom::Leaf,
        },
        Shape::Scalar(_) => Atom::Leaf,
    }
}

/// The type under a key; what no schema describes is deduced.
pub(super) fn field_type<'a>(of: TypeRef<'a>, name: &str) -> TypeRef<'a> {
    of.field(name).unwrap_or(TypeRef::ANY)
}

/// The type of a list's items.
pub(super) fn item_type(of: TypeRef<'_>) -> TypeRef<'_> {
    of.items().unwrap_or(TypeRef::ANY)
}

/// What tells an item of a list apart.
///
/// # Errors
/// If it has none of the key fields, or is of a kind that a set cannot hold.
pub(super) fn item_element(of: TypeRef<'_>, item: &Value) -> Result<Element, String> {
    if of.list_type() == ListType::Set {
        return match item.data {
            Data::Map(_) => Err("associative list without keys has an element that's a map type".to_owned()),
            Data::List(_) => Err("not supported: associative list with lists as elements".to_owned()),
            Data::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
            Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Str(_) => Ok(Element::Value(item.clone())),
        };
    }
    let Some(map) = item.as_map() else {
        return Err(match item.data {
            Data::Null => "associative list with keys may not have a null element".to_owned(),
            _ => "associative list with keys may not have non-map elements".to_owned(),
        });
    };
    let items = item_type(of);
    let keys = of.map_keys();
    let mut fields = Vec::with_capacity(keys.len());
    for key in keys.clone() {
        let value = map.get(key).cloned().or_else(|| key_default(items, key));
        fields.extend(value.map(|value| (Str::from(key), value)));
    }
    if fields.is_empty() {
        let names: Vec<String> = keys.map(|key| format!("{key:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
            names.join(" ")
        ));
    }
    Ok(Element::key(fields))
}

/// The default of a key field.
fn key_default(items: TypeRef<'_>, key: &str) -> Option<Value> {
    let field = items.struct_field(key)?;
    match field.of.openapi() {
        Some(openapi) => openapi.get("default").cloned(),
        None if field.default.is_some() => parse_json(field.default?.as_bytes()).ok(),
        // Key fields that Go always writes have their zero value as default in the schema.
        None if field.emitted => match field.of.scalar()? {
            Scalar::Int32 | Scalar::Int64 | Scalar::Double => Some(Value::from(0)),
            Scalar::Bool => Some(Value::from(false)),
            _ => Some(Value::str("")),
        },
        None => None,
    }
}

/// The fields of a value: leaves, items of lists, empty maps and nulls, and entries of maps.
pub(super) fn field_set(value: &Value, of: TypeRef<'_>) -> Set {
    match atom(of, value) {
        Atom::Leaf | Atom::Nothing => Set::new(),
        Atom::Map => {
            let map = value.as_map().expect("only maps are seen as maps");
            let nodes = map.iter().map(|entry| {
                let declared = of.struct_field(&entry.key).map(|field| field.of);
                let field = declared.unwrap_or_else(|| field_type(of, &entry.key));
                let empty = entry.value.is_null() || entry.value.as_map().is_some_and(soll_yaml::Map::is_empty);
                Node {
                    element: Element::Field(entry.key.clone()),
                    member: declared.is_none() || empty || atom(field, &entry.value) == Atom::Leaf,
                    below: field_set(&entry.value, field),
                }
            });
            Set::of(nodes.collect())
        }
        Atom::List => {
            let items = value.as_list().expect("only lists are seen as lists");
            let item_type = item_type(of);
            let mut nodes: Vec<Node> = Vec::with_capacity(items.len());
            for item in items {
                // What cannot be told apart was refused by validation.
                let Ok(element) = item_element(of, item) else { continue };
                nodes.push(Node { element, member: true, below: field_set(item, item_type) });
            }
            nodes.sort_by(|a, b| a.element.cmp(&b.element));
            nodes.dedup_by(|next, first| {
                let same = next.element == first.element;
                if same {
                    // Of duplicates only the fact that they are there is known.
                    first.below = Set::new();
                }
                same
            });
            Set::of(nodes)
        }
    }
}

/// All places in a value, those that hold others included: what comes and goes with it.
pub(super) fn all_places(value: &Value, of: TypeRef<'_>) -> Set {
    match atom(of, value) {
        Atom::Leaf | Atom::Nothing => Set::new(),
        Atom::Map => {
            let map = value.as_map().expect("only maps are seen as maps");
            let nodes = map.iter().map(|entry| Node {
                element: Element::Field(entry.key.clone()),
                member: true,
                below: all_places(&entry.value, field_type(of, &entry.key)),
            });
            Set::of(nodes.collect())
        }
        Atom::List => {
            let items = value.as_list().expect("only lists are seen as lists");
            let item_type = item_type(of);
            let nodes = items.iter().filter_map(|item| {
                let element = item_element(of, item).ok()?;
                Some(Node { element, member: true, below: all_places(item, item_type) })
            });
            let mut nodes: Vec<Node> = nodes.collect();
            nodes.sort_by(|a, b| a.element.cmp(&b.element));
            nodes.dedup_by(|next, first| {
                let same = next.element == first.element;
                if same {
                    first.below = Set::new();
                }
                same
            });
            Set::of(nodes)
        }
    }
}

/// Checks that a value fits its type; returns what does not, as `path: what`.
pub(super) fn misfits(value: &Value, of: TypeRef<'_>, duplicates: Duplicates) -> Vec<String> {
    let mut checker = Checker { duplicates, path: Vec::new(), found: Vec::new() };
    checker.check(value, of);
    checker.found
}

/// Whether a list may have items that cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicates {
    /// In live objects, where older writers may have left them.
    Allowed,
    /// In what is applied.
    Refused,
}

struct Checker<'v> {
    duplicates: Duplicates,
    /// Written out only if something is wrong.
    path: Vec<Place<'v>>,
    found: Vec<String>,
}

enum Place<'v> {
    Field(&'v str),
    Item(Element),
    Index(usize),
}

impl<'v> Checker<'v> {
    fn check(&mut self, value: &'v Value, of: TypeRef<'_>) {
        if value.is_null() {
            return;
        }
        match of.shape() {
            Shape::Any => {}
            Shape::Scalar(scalar) => self.scalar(value, scalar),
            Shape::Struct | Shape::Map => match value.as_map() {
                None => self.report(&format!("expected map, got {}", shown(value))),
                Some(map) => {
                    for entry in map {
                        self.path.push(Place::Field(&entry.key));
                        match of.field(&entry.key) {
                            Some(field) => self.check(&entry.value, field),
                            None => self.report("field not declared in schema"),
                        }
                        self.path.pop();
                    }
                }
            },
            Shape::List => match value.as_list() {
                None => self.report(&format!("expected list, got {}", shown(value))),
                Some(items) => self.items(items, of),
            },
        }
    }

    fn items(&mut self, items: &'v [Value], of: TypeRef<'_>) {
        let item_type = item_type(of);
        let keyed = of.list_type() != ListType::Atomic;
        let mut seen = std::collections::BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let place = if keyed {
                match item_element(of, item) {
                    Err(message) => return self.report(&format!("element {index}: {message}")),
                    Ok(element) => {
                        if self.duplicates == Duplicates::Refused && !seen.insert(element.clone()) {
                            self.report(&format!("duplicate entries for key {element}"));
                        }
                        Place::Item(element)
                    }
                }
            } else {
                Place::Index(index)
            };
            self.path.push(place);
            self.check(item, item_type);
            self.path.pop();
        }
    }

    fn scalar(&mut self, value: &Value, scalar: Scalar) {
        let number = matches!(value.data, Data::Int(_) | Data::Float(_));
        let text = matches!(value.data, Data::Str(_));
        let flag = matches!(value.data, Data::Bool(_));
        match scalar {
            Scalar::Int32 | Scalar::Int64 | Scalar::Double if !number => {
                let kind = match value.data {
                    Data::Str(_) => "string",
                    Data::Bool(_) => "bool",
                    Data::List(_) => "[]interface {}",
                    _ => "map[string]interface {}",
                };
                self.report(&format!("expected numeric (int or float), got {kind}"));
            }
            Scalar::String | Scalar::Bytes if !text => {
                self.report(&format!("expected string, got &value.valueUnstructured{{Value:{}}}", shown(value)));
            }
            Scalar::Bool if !flag => self.report(&format!("expected boolean, got &{{{}}}", shown(value))),
            Scalar::Quantity | Scalar::Time | Scalar::MicroTime if !(number || text || flag) => {
                self.report(&format!("expected any scalar, got &{{{}}}", shown(value)));
            }
            _ => {}
        }
    }

    fn report(&mut self, message: &str) {
        let mut text = String::new();
        for place in &self.path {
            match place {
                Place::Field(name) => text.extend([".", name]),
                Place::Item(element) => text.push_str(&element.to_string()),
                Place::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        self.found.push(if text.is_empty() { message.to_owned() } else { format!("{text}: {message}") });
    }
}

fn shown(value: &Value) -> String {
    soll_yaml::to_json(value)
}
