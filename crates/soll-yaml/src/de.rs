//! From values to typed structures, with the place of what does not fit.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use crate::{At, Data, Entry, Value};

/// Reads a typed structure.
///
/// # Errors
/// The first field that does not fit: what was expected, and where the value was written.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, DecodeError> {
    T::deserialize(Reader(value))
}

/// A value that does not fit the structure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}{message}", path = if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct DecodeError {
    /// What was wrong and what would be right.
    pub message: String,
    /// The field, from the root: `spec.interval`.
    pub path: String,
    /// Where the value was written.
    pub at: At,
}

impl serde::de::Error for DecodeError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), path: String::new(), at: At::NONE }
    }
}

impl DecodeError {
    fn within(mut self, step: &str, at: At) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{path}", path = self.path);
        self.at = self.at.or(at);
        self
    }
}

struct Reader<'v>(&'v Value);

impl<'de> Reader<'de> {
    fn any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.0.data {
            Data::Null => visitor.visit_unit(),
            Data::Bool(value) => visitor.visit_bool(*value),
            Data::Int(value) => visitor.visit_i64(*value),
            Data::Float(value) => visitor.visit_f64(*value),
            Data::Str(text) => visitor.visit_borrowed_str(text),
            Data::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Data::Map(map) => visitor.visit_map(Entries { entries: map.iter(), current: None }),
        }
    }

    fn placed<T>(&self, result: Result<T, DecodeError>) -> Result<T, DecodeError> {
        let at = self.0.at;
        result.map_err(|mut error| {
            error.at = error.at.or(at);
            error
        })
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let result = Reader(self.0).any(visitor);
        self.placed(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let result = match &self.0.data {
            Data::Str(text) => visitor.visit_enum(IntoDeserializer::<DecodeError>::into_deserializer(text.as_str())),
            _ => Err(DecodeError::invalid_type(Unexpected::Other(self.0.type_name()), &"a string")),
        };
        self.placed(result)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'v>(std::iter::Enumerate<std::slice::Iter<'v, Value>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: serde::de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some((index, item)) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(item)).map(Some).map_err(|error| error.within(&format!("[{index}]"), item.at))
    }
}

struct Entries<'v> {
    entries: std::slice::Iter<'v, Entry>,
    current: Option<&'v Entry>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = DecodeError;

    fn next_key_seed<K: serde::de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        self.current = self.entries.next();
        let Some(entry) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, DecodeError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|mut error| {
            error.at = error.at.or(entry.key_at);
            error
        })
    }

    fn next_value_seed<V: serde::de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let entry = self.current.expect("serde asks for a value only after its key");
        seed.deserialize(Reader(&entry.value))
            .map_err(|error| error.within(&entry.key, entry.value.at.or(entry.key_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Map, parse_json};
    use serde::Deserialize;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Item {
        name: String,
        #[serde(default)]
        count: Option<u32>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Root {
        items: Vec<Item>,
    }

    #[test]
    fn reads_structures() {
        let value = parse_json(br#"{"items":[{"name":"a","count":null},{"name":"b","count":2}]}"#).expect("valid");
        let root: Root = from_value(&value).expect("fits");
        assert_eq!(root.items[1], Item { name: "b".to_owned(), count: Some(2) });
    }

    #[test]
    fn names_the_field_that_does_not_fit() {
        let value = parse_json(br#"{"items":[{"name":"a"},{"name":7}]}"#).expect("valid");
        let error = from_value::<Root>(&value).expect_err("a number is no name");
        assert_eq!(error.to_string(), "items[1].name: invalid type: integer `7`, expected a string");
    }

    #[test]
    fn carries_the_place_of_an_unknown_key() {
        let at = At::new(crate::Sources::new().add("a.yaml"), 4, 2);
        let mut item = Map::new();
        item.insert_entry(Entry { key: "nmae".into(), key_at: at, value: Value::from("a") });
        let error = from_value::<Item>(&item.into()).expect_err("unknown field");
        assert_eq!(error.at, at);
        assert!(error.message.starts_with("unknown field `nmae`"), "{error}");
    }
}
