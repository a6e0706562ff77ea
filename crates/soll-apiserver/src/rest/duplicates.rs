//! Keys that stand twice in a JSON body.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The paths of the keys that stand in an object more than once, in the order of the text. Text that is no JSON has none.
pub(crate) fn duplicates(json: &[u8]) -> Vec<String> {
    let mut scan = Scan { path: String::new(), found: Vec::new() };
    let mut reader = serde_json::Deserializer::from_slice(json);
    // What is wrong with the text is said by whoever reads it for its content.
    let _ = Node(&mut scan).deserialize(&mut reader);
    scan.found
}

struct Scan {
    path: String,
    found: Vec<String>,
}

struct Node<'s>(&'s mut Scan);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let end = self.0.path.len();
        for index in 0_usize.. {
            self.0.path.push_str(&format!("[{index}]"));
            let next = items.next_element_seed(Node(&mut *self.0))?;
            self.0.path.truncate(end);
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let end = self.0.path.len();
        let mut keys: Vec<String> = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            if end > 0 {
                self.0.path.push('.');
            }
            self.0.path.push_str(&key);
            if keys.contains(&key) && !self.0.found.contains(&self.0.path) {
                self.0.found.push(self.0.path.clone());
            }
            keys.push(key);
            entries.next_value_seed(Node(&mut *self.0))?;
            self.0.path.truncate(end);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_stand_twice_are_found_where_they_stand() {
        let text = br#"{"a":1,"b":{"c":1,"c":2,"c":3},"d":[{"e":1},{"e":1,"e":null}],"a":2}"#;
        assert_eq!(duplicates(text), ["b.c", "d[1].e", "a"]);
        assert_eq!(duplicates(br#"{"a":{"b":1},"c":{"b":1.5,"e":"x","f":true}}"#), Vec::<String>::new());
        assert_eq!(duplicates(b"{"), Vec::<String>::new());
    }
}
