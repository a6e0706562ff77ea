//! The value itself.

use std::sync::Arc;

use crate::{At, Map};

/// Text of a value or key: one thin pointer, shared by reference counting.
pub type Str = arcstr::ArcStr;

/// A YAML or JSON value that knows where it was written.
///
/// Cloning is a reference count; changing a shared list or map copies its one level first
/// ([`Value::as_list_mut`], [`Value::as_map_mut`]). Equality compares data and ignores positions.
#[derive(Clone, Default)]
pub struct Value {
    /// What it is.
    pub data: Data,
    /// Where it was written.
    pub at: At,
}

/// What a [`Value`] is.
#[derive(Clone, Default, PartialEq)]
pub enum Data {
    /// `null`, `~` or nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any whole number that an `i64` holds.
    Int(i64),
    /// Any other number; whole numbers past an `i64` too, as Go's decoders read them.
    Float(f64),
    /// Text.
    Str(Str),
    /// A sequence.
    List(Arc<Vec<Value>>),
    /// A mapping from text to values, in the order of writing.
    Map(Arc<Map>),
}

impl Value {
    /// `null`.
    #[must_use]
    pub fn null() -> Self {
        Self::default()
    }

    /// A map without entries.
    #[must_use]
    pub fn map() -> Self {
        Map::new().into()
    }

    /// A list.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        Data::List(Arc::new(items)).into()
    }

    /// Text.
    #[must_use]
    pub fn str(text: &str) -> Self {
        Data::Str(Str::from(text)).into()
    }

    /// The same data, written at another place.
    #[must_use]
    pub fn at(mut self, at: At) -> Self {
        self.at = at;
        self
    }

    /// Says whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.data {
            Data::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number, if it is one; a float without fraction counts.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self.data {
            Data::Int(value) => Some(value),
            Data::Float(value) if value.fract() == 0.0 && value.abs() < 9.0e15 => Some(value as i64),
            _ => None,
        }
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match &self.data {
            Data::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items for changing; copies this one level if it is shared.
    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Self>> {
        match &mut self.data {
            Data::List(items) => Some(Arc::make_mut(items)),
            _ => None,
        }
    }

    /// The entries for changing; copies this one level if it is shared.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.data {
            Data::Map(map) => Some(Arc::make_mut(map)),
            _ => None,
        }
    }

    /// The entries for changing, after turning anything but a map into an empty one.
    pub fn make_map(&mut self) -> &mut Map {
        if !matches!(self.data, Data::Map(_)) {
            self.data = Data::Map(Arc::new(Map::new()));
        }
        self.as_map_mut().expect("it was just made a map")
    }

    /// The value of a key, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The value of a key, for changing.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        // Looked up first so that a miss copies nothing.
        self.get(key)?;
        self.as_map_mut()?.get_mut(key)
    }

    /// The value at the end of a path of map keys.
    #[must_use]
    pub fn lookup(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text at the end of a path of map keys.
    #[must_use]
    pub fn lookup_str(&self, keys: &[&str]) -> Option<&str> {
        self.lookup(keys)?.as_str()
    }

    /// The name of what it is, as error messages say it: `string`, `map`, `list`, `number`…
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Bool(_) => "boolean",
            Data::Int(_) => "integer",
            Data::Float(_) => "number",
            Data::Str(_) => "string",
            Data::List(_) => "list",
            Data::Map(_) => "map",
        }
    }

    /// The same within a sentence: `an integer`, `a map`, `null`.
    #[must_use]
    pub fn type_in_words(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Int(_) => "an integer",
            Data::Float(_) => "a number",
            Data::Str(_) => "a string",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// Says whether both share the same memory, so that comparing them is not needed.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (Data::List(a), Data::List(b)) => Arc::ptr_eq(a, b),
            (Data::Map(a), Data::Map(b)) => Arc::ptr_eq(a, b),
            (Data::Str(a), Data::Str(b)) => Str::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.same(other) || self.data == other.data
    }
}

impl std::fmt::Debug for Value {
    /// Prints JSON, without positions.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::to_json(self))
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Value::from(self.clone()).fmt(f)
    }
}

impl From<Data> for Value {
    fn from(data: Data) -> Self {
        Self { data, at: At::NONE }
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Data::Map(Arc::new(map)).into()
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::list(items)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::str(&text)
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Self {
        Data::Str(text).into()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Data::Bool(value).into()
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Data::Int(value).into()
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Data::Float(value).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_three_words() {
        assert_eq!(size_of::<Value>(), 24);
    }

    #[test]
    fn changing_a_clone_leaves_the_original() {
        let original = Value::from(Map::from_iter([("a", Value::from(1))]));
        let mut copy = original.clone();
        copy.make_map().insert("a", Value::from(2));
        assert_eq!(original.get("a").and_then(Value::as_i64), Some(1));
        assert_eq!(copy.get("a").and_then(Value::as_i64), Some(2));
    }
}
