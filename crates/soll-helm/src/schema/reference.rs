//! Where `$ref` leads.

use std::collections::{HashMap, HashSet};

use soll_yaml::{Data, Map, Str, Value};

/// The name that a schema without `$id` goes by.
const HOME: &str = "file:///values.schema.json";

/// A schema with the names that its parts can be called by.
pub(super) struct Document<'s> {
    root: Node<'s>,
    /// By absolute name, without a fragment.
    resources: HashMap<String, Node<'s>>,
    /// `$anchor` and `$dynamicAnchor` by absolute name with fragment.
    anchors: HashMap<String, Node<'s>>,
    /// `$dynamicAnchor` only.
    dynamic: HashSet<String>,
    pub(super) draft: u16,
    /// Whether anything asks what other keywords looked at.
    pub(super) asks_unevaluated: bool,
    /// What an unknown `urn:` means to Helm.
    anything: Value,
}

/// A schema within the document, and the name that references in it start from.
#[derive(Clone)]
pub(super) struct Node<'s> {
    pub(super) schema: &'s Value,
    pub(super) base: Str,
}

impl Node<'_> {
    /// Tells schemas apart.
    pub(super) fn id(&self) -> usize {
        std::ptr::from_ref(self.schema) as usize
    }
}

/// Where a keyword has its schemas.
enum Place {
    One,
    List,
    Named,
    OneOrList,
    NamedOrTexts,
}

const PLACES: &[(&str, Place)] = &[
    ("additionalItems", Place::One),
    ("additionalProperties", Place::One),
    ("allOf", Place::List),
    ("anyOf", Place::List),
    ("contains", Place::One),
    ("dependencies", Place::NamedOrTexts),
    ("dependentSchemas", Place::Named),
    ("else", Place::One),
    ("if", Place::One),
    ("items", Place::OneOrList),
    ("not", Place::One),
    ("oneOf", Place::List),
    ("patternProperties", Place::Named),
    ("prefixItems", Place::List),
    ("properties", Place::Named),
    ("propertyNames", Place::One),
    ("then", Place::One),
    ("unevaluatedItems", Place::One),
    ("unevaluatedProperties", Place::One),
];

impl<'s> Document<'s> {
    pub(super) fn new(schema: &'s Value) -> Self {
        let draft = draft_of(schema);
        let mut document = Self {
            root: Node { schema, base: HOME.into() },
            resources: HashMap::new(),
            anchors: HashMap::new(),
            dynamic: HashSet::new(),
            draft,
            asks_unevaluated: false,
            anything: Value::from(true),
        };
        document.root = document.enter(schema, &HOME.into());
        document.resources.insert(HOME.to_owned(), document.root.clone());
        document.name(&document.root.clone());
        document
    }

    pub(super) fn root(&self) -> Node<'s> {
        self.root.clone()
    }

    /// A schema below one, whose `$id` may change what references start from.
    pub(super) fn enter(&self, schema: &'s Value, base: &Str) -> Node<'s> {
        let id = match schema.get(if self.draft == 4 { "id" } else { "$id" }).and_then(Value::as_str) {
            // Before 2019 nothing beside a `$ref` counted.
            Some(id) if self.draft >= 2019 || schema.get("$ref").is_none() => id,
            _ => return Node { schema, base: base.clone() },
        };
        let name = resolve(base, id);
        let name = name.split('#').next().unwrap_or_default();
        Node { schema, base: if name.is_empty() { base.clone() } else { name.into() } }
    }

    /// Notes the names of everything that looks like a schema.
    fn name(&mut self, node: &Node<'s>) {
        match &node.schema.data {
            Data::List(items) => {
                for item in items.iter() {
                    self.name(&Node { schema: item, base: node.base.clone() });
                }
            }
            Data::Map(map) => {
                let node = self.enter(node.schema, &node.base);
                self.resources.entry(node.base.to_string()).or_insert_with(|| node.clone());
                for (keyword, is_dynamic) in [("$anchor", false), ("$dynamicAnchor", true)] {
                    if let Some(anchor) = map.get(keyword).and_then(Value::as_str) {
                        let name = format!("{}#{anchor}", node.base);
                        if is_dynamic {
                            self.dynamic.insert(name.clone());
                        }
                        self.anchors.insert(name, node.clone());
                    }
                }
                // Drafts 4 to 7 name a part by an id that is only a fragment.
                let id = map.get(if self.draft == 4 { "id" } else { "$id" }).and_then(Value::as_str);
                if let Some(anchor) = id.filter(|id| id.starts_with('#') && id.len() > 1) {
                    self.anchors.insert(format!("{}{anchor}", node.base), node.clone());
                }
                self.asks_unevaluated |= map.contains("unevaluatedProperties") || map.contains("unevaluatedItems");
                for entry in map.iter() {
                    if !matches!(entry.key.as_str(), "enum" | "const" | "default" | "examples") {
                        self.name(&Node { schema: &entry.value, base: node.base.clone() });
                    }
                }
            }
            _ => {}
        }
    }

    /// Follows a reference.
    ///
    /// # Errors
    /// In words, if it leads nowhere, or out of the schema.
    pub(super) fn follow(&'s self, reference: &str, base: &Str) -> Result<Node<'s>, String> {
        let name = resolve(base, reference);
        let (resource, fragment) = name.split_once('#').unwrap_or((&name, ""));
        if let Some(node) = self.anchors.get(&format!("{resource}#{fragment}")) {
            return Ok(node.clone());
        }
        let Some(node) = self.resources.get(resource) else {
            if resource.starts_with("urn:") {
                return Ok(Node { schema: &self.anything, base: base.clone() });
            }
            return Err(format!(
                "failing loading {resource:?}: schemas are not fetched; put it into values.schema.json, or skip the \
                 validation"
            ));
        };
        let mut node = node.clone();
        let fragment = percent_decoded(fragment);
        for token in fragment.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &node.schema.data {
                Data::Map(map) => map.get(&token),
                Data::List(items) => token.parse::<usize>().ok().and_then(|index| items.get(index)),
                _ => None,
            };
            let next = next.ok_or_else(|| format!("json-pointer in {name:?} not found"))?;
            node = self.enter(next, &node.base);
        }
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return Err(format!("anchor in {name:?} not found"));
        }
        Ok(node)
    }

    /// What a `$dynamicRef` leads to: the outermost schema on the way that has the anchor too.
    pub(super) fn follow_dynamic(&'s self, reference: &str, base: &Str, way: &[Str]) -> Result<Node<'s>, String> {
        let node = self.follow(reference, base)?;
        let Some((_, anchor)) = reference.split_once('#') else { return Ok(node) };
        if !self.dynamic.contains(&format!("{}#{anchor}", node.base)) {
            return Ok(node);
        }
        let outermost = way.iter().find(|base| self.dynamic.contains(&format!("{base}#{anchor}")));
        Ok(outermost.and_then(|base| self.anchors.get(&format!("{base}#{anchor}")).cloned()).unwrap_or(node))
    }

    /// Follows every reference that validation could come to.
    ///
    /// # Errors
    /// The first that leads nowhere, as Helm refuses it before it looks at any value.
    pub(super) fn check_references(&'s self) -> Result<(), String> {
        let mut seen = HashSet::new();
        let mut open = vec![self.root()];
        while let Some(node) = open.pop() {
            let Some(map) = node.schema.as_map().filter(|_| seen.insert(node.id())) else { continue };
            for keyword in ["$ref", "$dynamicRef"] {
                if let Some(reference) = map.get(keyword).and_then(Value::as_str) {
                    open.push(self.follow(reference, &node.base)?);
                }
            }
            if self.draft >= 2019 || !map.contains("$ref") {
                self.push_parts(map, &node.base, &mut open);
            }
        }
        Ok(())
    }

    fn push_parts(&self, map: &'s Map, base: &Str, open: &mut Vec<Node<'s>>) {
        let mut push = |schema: &'s Value| open.push(self.enter(schema, base));
        for (keyword, place) in PLACES {
            let Some(value) = map.get(keyword) else { continue };
            match (place, &value.data) {
                (Place::List | Place::OneOrList, Data::List(items)) => items.iter().for_each(&mut push),
                (Place::Named | Place::NamedOrTexts, Data::Map(parts)) => {
                    parts.iter().filter(|part| part.value.as_list().is_none()).for_each(|part| push(&part.value));
                }
                (Place::One | Place::OneOrList, _) => push(value),
                _ => {}
            }
        }
    }
}

/// The draft by `$schema`; the newest if it does not say.
fn draft_of(schema: &Value) -> u16 {
    let name = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
    for (part, draft) in [("draft-04", 4), ("draft-06", 6), ("draft-07", 7), ("2019-09", 2019)] {
        if name.contains(part) {
            return draft;
        }
    }
    2020
}

/// A reference read relative to a name.
fn resolve(base: &str, reference: &str) -> String {
    let home = base.split('#').next().unwrap_or_default();
    if let Some(fragment) = reference.strip_prefix('#') {
        return format!("{home}#{fragment}");
    }
    let is_absolute = reference.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    if is_absolute {
        return reference.to_owned();
    }
    let authority = home.find("://").map_or(0, |at| at + 3);
    let path = home[authority..].find('/').map_or(home.len(), |at| authority + at);
    if reference.starts_with('/') {
        return format!("{}{reference}", &home[..path]);
    }
    let mut parts: Vec<&str> = home[path..].split('/').collect();
    parts.pop();
    let (reference, fragment) = reference.split_once('#').map_or((reference, None), |(r, f)| (r, Some(f)));
    for part in reference.split('/') {
        match part {
            "." => {}
            ".." if parts.len() > 1 => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let fragment = fragment.map_or(String::new(), |fragment| format!("#{fragment}"));
    format!("{}{}{fragment}", &home[..path], parts.join("/"))
}

fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = (byte == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
