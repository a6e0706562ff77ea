//! Maps that keep the order of writing.

mod index;

use crate::{At, Str, Value};
use index::Index;

/// Entries in the order of writing, keys unique.
///
/// Lookup scans small maps, where that is fastest and costs no memory, and indexes large ones.
#[derive(Clone, Default)]
pub struct Map {
    entries: Vec<Entry>,
    /// Boxed, because most maps have none and every map pays for the field.
    index: Option<Box<Index>>,
}

/// One key with its value.
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Str,
    /// Where the key was written.
    pub key_at: At,
    /// The value.
    pub value: Value,
}

/// Maps longer than this get an index.
const INDEX_FROM: usize = 24;

impl Map {
    /// A map without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A map without entries that has room for `count`.
    #[must_use]
    pub fn with_capacity(count: usize) -> Self {
        Self { entries: Vec::with_capacity(count), index: None }
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Says whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Position of a key in the order of writing. O(1) for large maps.
    #[must_use]
    pub fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.position(key, &self.entries),
            None => self.entries.iter().position(|entry| entry.key == key),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        Some(&self.entries[self.position(key)?].value)
    }

    /// The value of a key, for changing.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let position = self.position(key)?;
        Some(&mut self.entries[position].value)
    }

    /// The entry of a key: where the key itself was written.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        Some(&self.entries[self.position(key)?])
    }

    /// Says whether the key is there.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.position(key).is_some()
    }

    /// Sets a key, at its old place if it is there, else at the end. Returns the value it replaced.
    pub fn insert(&mut self, key: impl Into<Str>, value: Value) -> Option<Value> {
        let key_at = value.at;
        self.insert_entry(Entry { key: key.into(), key_at, value })
    }

    /// Sets a key with its position; see [`Map::insert`].
    pub fn insert_entry(&mut self, entry: Entry) -> Option<Value> {
        if let Some(position) = self.position(&entry.key) {
            let old = std::mem::replace(&mut self.entries[position], entry);
            return Some(old.value);
        }
        if let Some(index) = &mut self.index {
            index.add(&entry.key, self.entries.len());
        }
        self.entries.push(entry);
        if self.index.is_none() && self.entries.len() > INDEX_FROM {
            self.reindex();
        }
        None
    }

    /// The value of a key for changing; inserts what `make` returns if it is missing.
    pub fn get_or_insert_with(&mut self, key: &str, make: impl FnOnce() -> Value) -> &mut Value {
        let position = match self.position(key) {
            Some(position) => position,
            None => {
                self.insert(key, make());
                self.entries.len() - 1
            }
        };
        &mut self.entries[position].value
    }

    /// Takes a key out and keeps the order of the rest. O(n).
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let position = self.position(key)?;
        let entry = self.entries.remove(position);
        self.reindex();
        Some(entry.value)
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&mut Entry) -> bool) {
        self.entries.retain_mut(|entry| keep(entry));
        self.reindex();
    }

    /// Sorts by key, byte-wise, as Go's encoders print.
    pub fn sort_keys(&mut self) {
        self.entries.sort_by(|a, b| a.key.as_str().cmp(b.key.as_str()));
        self.reindex();
    }

    /// The entries in the order of writing.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// The values for changing, with their keys.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Str, &mut Value)> {
        self.entries.iter_mut().map(|entry| (&entry.key, &mut entry.value))
    }

    /// The keys in the order of writing.
    pub fn keys(&self) -> impl Iterator<Item = &Str> {
        self.entries.iter().map(|entry| &entry.key)
    }

    /// The entries sorted by key, byte-wise; the map stays as it is.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        if !entries.is_sorted_by(|a, b| a.key.as_str() <= b.key.as_str()) {
            entries.sort_by(|a, b| a.key.as_str().cmp(b.key.as_str()));
        }
        entries
    }

    fn reindex(&mut self) {
        self.index = (self.entries.len() > INDEX_FROM).then(|| Box::new(Index::of(&self.entries)));
    }
}

impl PartialEq for Map {
    /// Compares entries whatever their order.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .entries
                .iter()
                .zip(&other.entries)
                .all(|(a, b)| if a.key == b.key { a.value == b.value } else { other.get(&a.key) == Some(&a.value) })
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl IntoIterator for Map {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<K: Into<Str>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(pairs: I) -> Self {
        let mut map = Self::new();
        for (key, value) in pairs {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: i64) -> Map {
        (0..count).map(|n| (n.to_string(), Value::from(n))).collect()
    }

    #[test]
    fn large_maps_find_keys_after_removal() {
        let mut map = numbers(100);
        assert_eq!(map.remove("10").and_then(|v| v.as_i64()), Some(10));
        assert_eq!(map.get("99").and_then(Value::as_i64), Some(99));
        assert!(!map.contains("10"));
        map.retain(|entry| entry.key.len() == 1);
        assert_eq!(map.len(), 10);
        assert_eq!(map.get("9").and_then(Value::as_i64), Some(9));
    }

    #[test]
    fn equality_ignores_order() {
        let mut reversed: Vec<_> = numbers(30).into_iter().map(|entry| (entry.key, entry.value)).collect();
        reversed.reverse();
        assert!(numbers(30) == Map::from_iter(reversed));
        assert!(numbers(30) != numbers(29));
    }

    #[test]
    fn inserting_a_known_key_keeps_its_place() {
        let mut map = numbers(3);
        map.insert("1", Value::from("one"));
        assert_eq!(map.keys().map(|key| key.as_str()).collect::<Vec<_>>(), ["0", "1", "2"]);
    }
}
