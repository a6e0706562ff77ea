//! What templates compute with: Go's values, as far as a Helm chart can meet them.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use soll_yaml::{Data, Str};

use crate::object::Object;
use crate::time::Time;

/// A value of Go, of one of the types that templates see.
///
/// Cloning is a reference count. Maps are shared as in Go: `set` changes the map for all who hold it, so one value
/// belongs to one rendering and stays on its thread.
#[derive(Clone, Default)]
pub enum Value {
    /// `nil`, a missing entry, the JSON `null`.
    #[default]
    Nil,
    /// `bool`.
    Bool(bool),
    /// `int`: literals of templates, lengths, indexes.
    Int(i64),
    /// `int64`: arithmetic, and whole numbers of `--set`.
    Int64(i64),
    /// `uint8`: a byte of a text.
    Byte(u8),
    /// `uint64`: the parts of a version.
    Uint64(u64),
    /// `float64`: every number that came through JSON.
    Float(f64),
    /// `complex128`: literals such as `2i`.
    Complex(f64, f64),
    /// `string`.
    Str(Str),
    /// `string`, of bytes that are not UTF-8.
    Raw(Arc<[u8]>),
    /// A slice.
    List(List),
    /// A map with text keys.
    Map(Map),
    /// `time.Time`.
    Time(Rc<Time>),
    /// A struct, or anything with methods.
    Object(Rc<dyn Object>),
}

/// What the items of a list are declared as in Go; it shows in `typeOf`, in comparisons and in error messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// `[]interface {}`
    Any,
    /// `[]string`
    Str,
    /// `[]int`
    Int,
    /// `[]uint8`
    Byte,
    /// `[][]interface {}`
    List,
}

impl Element {
    /// Go's name of the list.
    #[must_use]
    pub fn list_type(self) -> &'static str {
        match self {
            Self::Any => "[]interface {}",
            Self::Str => "[]string",
            Self::Int => "[]int",
            Self::Byte => "[]uint8",
            Self::List => "[][]interface {}",
        }
    }
}

/// A slice of Go: shared, and `nil` is a state of its own.
#[derive(Clone)]
pub struct List(Rc<ListCell>);

struct ListCell {
    element: Element,
    nil: bool,
    items: RefCell<Vec<Value>>,
}

impl List {
    /// A `[]interface {}`.
    #[must_use]
    pub fn new(items: Vec<Value>) -> Self {
        Self::of(Element::Any, items)
    }

    /// A list of declared items.
    #[must_use]
    pub fn of(element: Element, items: Vec<Value>) -> Self {
        Self(Rc::new(ListCell { element, nil: false, items: RefCell::new(items) }))
    }

    /// A `[]string`.
    pub fn of_texts<T: Into<Str>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::of(Element::Str, texts.into_iter().map(|text| Value::Str(text.into())).collect())
    }

    /// The list that was never made; it prints as `[]` and is `null` in JSON.
    #[must_use]
    pub fn nil(element: Element) -> Self {
        Self(Rc::new(ListCell { element, nil: true, items: RefCell::default() }))
    }

    /// What the items are declared as.
    #[must_use]
    pub fn element(&self) -> Element {
        self.0.element
    }

    /// Says whether it was never made.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// How many items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.items.borrow().len()
    }

    /// Says whether it has no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items. Let go of them before anything that may change the list.
    #[must_use]
    pub fn items(&self) -> Ref<'_, Vec<Value>> {
        self.0.items.borrow()
    }

    /// The items for changing, for all who share the list.
    pub(crate) fn items_mut(&self) -> RefMut<'_, Vec<Value>> {
        self.0.items.borrow_mut()
    }

    /// Says whether both are one list.
    pub(crate) fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// How Go declares a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapType {
    /// `map[string]interface {}`
    Any,
    /// `map[string]string`, which `split` makes.
    Str,
    /// `common.Values`, Helm's name for a `map[string]interface {}`.
    Values,
}

impl MapType {
    /// Go's name of the type.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "map[string]interface {}",
            Self::Str => "map[string]string",
            Self::Values => "common.Values",
        }
    }
}

/// A map of Go with text keys: shared, iterated in the order of its keys, and `nil` is a state of its own.
#[derive(Clone)]
pub struct Map {
    kind: MapType,
    cell: Rc<MapCell>,
}

struct MapCell {
    nil: bool,
    entries: RefCell<BTreeMap<Str, Value>>,
}

impl Map {
    /// An empty `map[string]interface {}`.
    #[must_use]
    pub fn new() -> Self {
        Self::of(MapType::Any)
    }

    /// An empty map of a declared type.
    #[must_use]
    pub fn of(kind: MapType) -> Self {
        Self::with(kind, BTreeMap::new())
    }

    /// A map of a declared type with these entries.
    #[must_use]
    pub fn with(kind: MapType, entries: BTreeMap<Str, Value>) -> Self {
        Self { kind, cell: Rc::new(MapCell { nil: false, entries: RefCell::new(entries) }) }
    }

    /// The map that was never made: it can be read and not written.
    #[must_use]
    pub fn nil() -> Self {
        Self { kind: MapType::Any, cell: Rc::new(MapCell { nil: true, entries: RefCell::default() }) }
    }

    /// How it is declared.
    #[must_use]
    pub fn kind(&self) -> MapType {
        self.kind
    }

    /// Says whether it was never made.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        self.cell.nil
    }

    /// The same map, declared as `map[string]interface {}`: what functions see of it that take one.
    #[must_use]
    pub(crate) fn as_any(&self) -> Self {
        Self { kind: MapType::Any, cell: Rc::clone(&self.cell) }
    }

    /// The same map, declared as `common.Values`.
    #[must_use]
    pub fn as_values(&self) -> Self {
        Self { kind: MapType::Values, cell: Rc::clone(&self.cell) }
    }

    /// How many entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cell.entries.borrow().len()
    }

    /// Says whether it has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.cell.entries.borrow().get(key).cloned()
    }

    /// Says whether there is such a key.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.cell.entries.borrow().contains_key(key)
    }

    /// Sets the value of a key, for all who share the map.
    pub fn insert(&self, key: impl Into<Str>, value: impl Into<Value>) -> Option<Value> {
        self.cell.entries.borrow_mut().insert(key.into(), value.into())
    }

    /// Removes a key, for all who share the map.
    pub fn remove(&self, key: &str) -> Option<Value> {
        self.cell.entries.borrow_mut().remove(key)
    }

    /// The entries in the order of their keys. Let go of them before anything that may change the map.
    #[must_use]
    pub fn entries(&self) -> Ref<'_, BTreeMap<Str, Value>> {
        self.cell.entries.borrow()
    }

    /// Says whether both are one map.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.cell, &other.cell)
    }
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Into<Str>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::with(MapType::Any, entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// How whole numbers of YAML become Go numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WholeNumbers {
    /// `float64`, as everything that passes through JSON: values files, `fromYaml`, `lookup`'s free-form fields.
    Float64,
    /// `int64`, as `--set` makes them.
    Int64,
}

impl Value {
    /// Text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Str(Str::from(text))
    }

    /// Text of any bytes.
    #[must_use]
    pub fn bytes_text(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::text(text),
            Err(_) => Self::Raw(Arc::from(bytes)),
        }
    }

    /// A `[]uint8`, as the content of a file is.
    #[must_use]
    pub fn byte_list(bytes: &[u8]) -> Self {
        Self::List(List::of(Element::Byte, bytes.iter().map(|byte| Self::Byte(*byte)).collect()))
    }

    /// A value of YAML or JSON; texts are shared, lists and maps are made anew, so that templates may change them.
    #[must_use]
    pub fn from_yaml(value: &soll_yaml::Value, numbers: WholeNumbers) -> Self {
        match &value.data {
            Data::Null => Self::Nil,
            Data::Bool(value) => Self::Bool(*value),
            Data::Int(number) => match numbers {
                WholeNumbers::Float64 => Self::Float(*number as f64),
                WholeNumbers::Int64 => Self::Int64(*number),
            },
            Data::Float(number) => Self::Float(*number),
            Data::Str(text) => Self::Str(text.clone()),
            Data::List(items) => {
                Self::List(List::new(items.iter().map(|item| Self::from_yaml(item, numbers)).collect()))
            }
            Data::Map(map) => {
                Self::Map(map.iter().map(|entry| (entry.key.clone(), Self::from_yaml(&entry.value, numbers))).collect())
            }
        }
    }

    /// Says whether this is text, of whatever bytes.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Str(_) | Self::Raw(_))
    }

    /// The text, if it is text in UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes of the text, if it is text.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Str(text) => Some(text.as_bytes()),
            Self::Raw(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, if it is one.
    #[must_use]
    pub fn as_list(&self) -> Option<&List> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Go's name of the type, as `typeOf` prints it.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Byte(_) => "uint8",
            Self::Uint64(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Complex(..) => "complex128",
            Self::Str(_) | Self::Raw(_) => "string",
            Self::List(list) => list.element().list_type(),
            Self::Map(map) => map.kind().name(),
            Self::Time(_) => "time.Time",
            Self::Object(object) => object.type_name(),
        }
    }

    /// What the type is made of.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Nil => Kind::Invalid,
            Self::Bool(_) => Kind::Bool,
            Self::Int(_) => Kind::Int,
            Self::Int64(_) => Kind::Int64,
            Self::Byte(_) => Kind::Uint8,
            Self::Uint64(_) => Kind::Uint64,
            Self::Float(_) => Kind::Float64,
            Self::Complex(..) => Kind::Complex128,
            Self::Str(_) | Self::Raw(_) => Kind::String,
            Self::List(_) => Kind::Slice,
            Self::Map(_) => Kind::Map,
            Self::Time(_) => Kind::Struct,
            Self::Object(object) => object.kind(),
        }
    }
}

/// What a type of Go is made of, as `kindOf` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    Invalid,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `uint8`
    Uint8,
    /// `uint64`
    Uint64,
    /// `float64`
    Float64,
    /// `complex128`
    Complex128,
    /// `string`
    String,
    /// `slice`
    Slice,
    /// `map`
    Map,
    /// `struct`
    Struct,
    /// `ptr`
    Ptr,
}

impl Kind {
    /// Go's name of the kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Uint8 => "uint8",
            Self::Uint64 => "uint64",
            Self::Float64 => "float64",
            Self::Complex128 => "complex128",
            Self::String => "string",
            Self::Slice => "slice",
            Self::Map => "map",
            Self::Struct => "struct",
            Self::Ptr => "ptr",
        }
    }
}

/// Takes the containers out of a value that is going away, so that deep nesting is let go without recursion.
fn harvest(value: Value, pending: &mut Vec<Value>) {
    if matches!(value, Value::List(_) | Value::Map(_)) {
        pending.push(value);
    }
}

fn let_go(mut pending: Vec<Value>) {
    while let Some(value) = pending.pop() {
        match value {
            Value::List(List(cell)) => {
                if let Some(mut cell) = Rc::into_inner(cell) {
                    for item in std::mem::take(cell.items.get_mut()) {
                        harvest(item, &mut pending);
                    }
                }
            }
            Value::Map(Map { cell, .. }) => {
                if let Some(mut cell) = Rc::into_inner(cell) {
                    for item in std::mem::take(cell.entries.get_mut()).into_values() {
                        harvest(item, &mut pending);
                    }
                }
            }
            _ => {}
        }
    }
}

impl Drop for ListCell {
    fn drop(&mut self) {
        let items = self.items.get_mut();
        if items.iter().any(|item| matches!(item, Value::List(_) | Value::Map(_))) {
            let_go(std::mem::take(items));
        }
    }
}

impl Drop for MapCell {
    fn drop(&mut self) {
        let entries = self.entries.get_mut();
        if entries.values().any(|item| matches!(item, Value::List(_) | Value::Map(_))) {
            let_go(std::mem::take(entries).into_values().collect());
        }
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::print::to_text(self))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(&text)
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Self {
        Self::Str(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(List::new(items))
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Self::List(list)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}
