//! Sets of fields.

use std::cmp::Ordering;

use soll_schema::{ListType, Shape, TypeRef};
use soll_yaml::{Map, Value};

use super::Element;

/// A set of paths, as a tree sorted by [`Element`]: what a manager owns, or what a write changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Set {
    nodes: Vec<Node>,
}

/// A place that is in the set, or leads to such places, or both.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) element: Element,
    pub(super) member: bool,
    pub(super) below: Set,
}

/// What becomes of a place that is in the left set, in the right one, or in both.
type Join<'j> = &'j dyn Fn(Option<&Node>, Option<&Node>) -> Option<Node>;

impl Set {
    /// No path.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From nodes in any order, each element once.
    pub(super) fn of(mut nodes: Vec<Node>) -> Self {
        if !nodes.is_sorted_by(|a, b| a.element < b.element) {
            nodes.sort_by(|a, b| a.element.cmp(&b.element));
        }
        nodes.retain(Node::counts);
        Self { nodes }
    }

    /// A set of paths of map keys.
    #[must_use]
    pub fn of_keys<'k>(paths: impl IntoIterator<Item = &'k [&'k str]>) -> Self {
        let mut set = Self::new();
        for path in paths {
            set.insert(&path.iter().map(|key| Element::Field((*key).into())).collect::<Vec<_>>());
        }
        set
    }

    /// Adds a path. The root itself is never owned.
    pub fn insert(&mut self, path: &[Element]) {
        let Some((first, rest)) = path.split_first() else { return };
        let position = match self.position(first) {
            Ok(position) => position,
            Err(position) => {
                self.nodes.insert(position, Node { element: first.clone(), member: false, below: Self::new() });
                position
            }
        };
        let node = &mut self.nodes[position];
        if rest.is_empty() { node.member = true } else { node.below.insert(rest) }
    }

    fn position(&self, element: &Element) -> Result<usize, usize> {
        self.nodes.binary_search_by(|node| node.element.cmp(element))
    }

    pub(super) fn node(&self, element: &Element) -> Option<&Node> {
        self.position(element).ok().map(|position| &self.nodes[position])
    }

    pub(super) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Says whether no path is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Says whether the path itself is in it.
    #[must_use]
    pub fn contains(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.node(last).is_some_and(|node| node.member),
            [first, rest @ ..] => self.node(first).is_some_and(|node| node.below.contains(rest)),
        }
    }

    /// All paths: at each level its own first, then those below.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &|_| true, &mut paths);
        paths
    }

    /// The paths below which the set has no other.
    #[must_use]
    pub fn leaves(&self) -> Vec<Vec<Element>> {
        let mut paths = Vec::new();
        self.collect(&mut Vec::new(), &|node| node.below.is_empty(), &mut paths);
        paths
    }

    fn collect(&self, prefix: &mut Vec<Element>, wanted: &dyn Fn(&Node) -> bool, paths: &mut Vec<Vec<Element>>) {
        for node in self.nodes.iter().filter(|node| node.member && wanted(node)) {
            paths.push(prefix.iter().chain([&node.element]).cloned().collect());
        }
        for node in self.nodes.iter().filter(|node| !node.below.is_empty()) {
            prefix.push(node.element.clone());
            node.below.collect(prefix, wanted, paths);
            prefix.pop();
        }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return other.clone();
        }
        self.zip(other, &|a, b| match (a, b) {
            (Some(a), Some(b)) => {
                Some(Node { element: a.element.clone(), member: a.member || b.member, below: a.below.union(&b.below) })
            }
            (a, b) => a.or(b).cloned(),
        })
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.zip(other, &|a, b| {
            let (a, b) = (a?, b?);
            let below = a.below.intersection(&b.below);
            Some(Node { element: a.element.clone(), member: a.member && b.member, below })
        })
    }

    /// What is in this and not in the other, path by path: what lies below a path of the other stays.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        self.zip(other, &|a, b| {
            let a = a?;
            let Some(b) = b else { return Some(a.clone()) };
            let below = a.below.difference(&b.below);
            Some(Node { element: a.element.clone(), member: a.member && !b.member, below })
        })
    }

    /// What is in this and neither in the other nor below one of its paths.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        self.zip(other, &|a, b| {
            let a = a?;
            match b {
                None => Some(a.clone()),
                Some(b) if b.member => None,
                Some(b) => Some(Node { below: a.below.without(&b.below), ..a.clone() }),
            }
        })
    }

    fn zip(&self, other: &Self, join: Join<'_>) -> Self {
        let mut nodes = Vec::with_capacity(self.nodes.len());
        let (mut left, mut right) = (self.nodes.iter().peekable(), other.nodes.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => return Self { nodes },
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.element.cmp(&b.element),
            };
            let a = if order.is_le() { left.next() } else { None };
            let b = if order.is_ge() { right.next() } else { None };
            nodes.extend(join(a, b).filter(Node::counts));
        }
    }

    /// Adds the fields of structs that lead to members.
    pub(super) fn with_named_fields(&self, of: Option<TypeRef<'_>>) -> Self {
        let nodes = self.nodes.iter().map(|node| {
            let below_type = of.and_then(|of| step_type(of, &node.element));
            let named = match (&node.element, of) {
                (Element::Field(name), Some(of)) => of.struct_field(name).is_some(),
                _ => false,
            };
            Node {
                element: node.element.clone(),
                member: node.member || (named && !node.below.is_empty()),
                below: node.below.with_named_fields(below_type),
            }
        });
        Self { nodes: nodes.collect() }
    }

    /// The set after types have become atomic since it was written: who owned a part owns the whole.
    pub(super) fn reconciled(&self, of: TypeRef<'_>) -> Self {
        let nodes = self.nodes.iter().map(|node| {
            let Some(of) = step_type(of, &node.element) else { return node.clone() };
            let atomic = match of.shape() {
                Shape::Struct | Shape::Map => of.is_atomic(),
                Shape::List => of.list_type() == ListType::Atomic,
                Shape::Scalar(_) | Shape::Any => false,
            };
            if atomic && !node.below.is_empty() {
                return Node { element: node.element.clone(), member: true, below: Self::new() };
            }
            Node { below: node.below.reconciled(of), ..node.clone() }
        });
        Self { nodes: nodes.collect() }
    }

    /// Reads `fieldsV1`. Elements of kinds that a later version invents are dropped.
    ///
    /// # Errors
    /// The first key that is no path element.
    pub fn from_fields_v1(fields: &Value) -> Result<Self, String> {
        let Some(map) = fields.as_map() else {
            return if fields.is_null() { Ok(Self::new()) } else { Err("fieldsV1 is no map".to_owned()) };
        };
        let mut nodes = Vec::with_capacity(map.len());
        for entry in map.iter().filter(|entry| entry.key != ".") {
            let Some(element) = Element::parse(&entry.key)? else { continue };
            let below = Self::from_fields_v1(&entry.value)?;
            let dotted = entry.value.as_map().is_some_and(|map| map.contains("."));
            nodes.push(Node { element, member: dotted || below.is_empty(), below });
        }
        Ok(Self::of(nodes))
    }

    /// The set of one entry of `metadata.managedFields`.
    ///
    /// # Errors
    /// As [`Set::from_fields_v1`].
    pub fn from_managed_fields_entry(entry: &Value) -> Result<Self, String> {
        entry.get("fieldsV1").map_or_else(|| Ok(Self::new()), Self::from_fields_v1)
    }

    /// Writes `fieldsV1`.
    #[must_use]
    pub fn to_fields_v1(&self) -> Value {
        self.encode(false)
    }

    fn encode(&self, member: bool) -> Value {
        let mut map = Map::with_capacity(self.nodes.len() + 1);
        if member && !self.nodes.is_empty() {
            map.insert(".", Value::map());
        }
        for node in &self.nodes {
            map.insert(node.element.encode(), node.below.encode(node.member));
        }
        map.into()
    }
}

impl Node {
    /// Says whether the node holds any path.
    fn counts(&self) -> bool {
        self.member || !self.below.is_empty()
    }
}

/// The type at the end of one step.
pub(super) fn step_type<'a>(of: TypeRef<'a>, element: &Element) -> Option<TypeRef<'a>> {
    match element {
        Element::Field(name) => of.field(name),
        Element::Key(_) | Element::Value(_) | Element::Index(_) => of.items(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::{parse_json, to_json};

    fn set(text: &str) -> Set {
        Set::from_fields_v1(&parse_json(text.as_bytes()).expect("valid JSON")).expect("valid fields")
    }

    #[test]
    fn writes_what_it_reads() {
        let text = r#"{"f:a":{".":{},"f:b":{}},"f:c":{"k:{\"name\":\"x\",\"port\":80}":{".":{},"f:v":{}},"v:\"s\"":{},"v:1":{}}}"#;
        let canonical = r#"{"f:a":{".":{},"f:b":{}},"f:c":{"k:{\"name\":\"x\",\"port\":80}":{".":{},"f:v":{}},"v:1":{},"v:\"s\"":{}}}"#;
        assert_eq!(to_json(&set(text).to_fields_v1()), canonical);
    }

    #[test]
    fn set_algebra_keeps_what_is_below() {
        let both = set(r#"{"f:a":{".":{},"f:b":{}},"f:c":{}}"#);
        let outer = set(r#"{"f:a":{}}"#);
        assert_eq!(both.difference(&outer), set(r#"{"f:a":{"f:b":{}},"f:c":{}}"#));
        assert_eq!(both.without(&outer), set(r#"{"f:c":{}}"#));
        assert_eq!(both.intersection(&outer), outer);
        assert_eq!(both.difference(&both), Set::new());
        assert_eq!(outer.union(&set(r#"{"f:a":{"f:b":{}},"f:c":{}}"#)), both);
    }

    #[test]
    fn lists_paths_of_a_level_before_those_below() {
        let shown: Vec<String> = set(r#"{"f:a":{".":{},"f:b":{}},"f:c":{}}"#)
            .paths()
            .iter()
            .map(|path| path.iter().map(Element::to_string).collect())
            .collect();
        assert_eq!(shown, [".a", ".c", ".a.b"]);
    }
}
