//! The objects of one resource, in order, as a persistent structure: a snapshot is a reference count.

use std::cmp::Ordering;
use std::sync::Arc;

use soll_yaml::Str;

use super::Entry;

/// Where an object stands within its resource: by namespace, then name, byte-wise.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Str,
    /// Name.
    pub name: Str,
}

impl Key {
    /// A key from its parts.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: Str::from(namespace), name: Str::from(name) }
    }

    fn compare(&self, namespace: &str, name: &str) -> Ordering {
        self.namespace.as_str().cmp(namespace).then_with(|| self.name.as_str().cmp(name))
    }
}

/// All objects of one resource at one revision, sorted by [`Key`].
///
/// Two levels of shared vectors: a write to a shelf that somebody else holds copies one chunk and the
/// list of chunks, about a microsecond each at 20,000 objects; without other holders nothing is copied.
#[derive(Debug, Clone, Default)]
pub struct Shelf {
    chunks: Arc<Vec<Arc<Vec<Arc<Entry>>>>>,
    len: usize,
}

/// A chunk that grows past this is split in two.
const CHUNK: usize = 128;

impl Shelf {
    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One object.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Entry>> {
        let chunk = &self.chunks.get(self.chunk_for(namespace, name))?;
        let position = chunk.binary_search_by(|entry| entry.key.compare(namespace, name)).ok()?;
        Some(&chunk[position])
    }

    /// All objects in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// The objects in order, from the first that is not before `(namespace, name)`.
    pub fn iter_from(&self, namespace: &str, name: &str) -> impl Iterator<Item = &Arc<Entry>> {
        let first = self.chunk_for(namespace, name);
        let skip = self
            .chunks
            .get(first)
            .map_or(0, |chunk| chunk.partition_point(|entry| entry.key.compare(namespace, name) == Ordering::Less));
        self.chunks[first.min(self.chunks.len())..].iter().flat_map(|chunk| chunk.iter()).skip(skip)
    }

    /// Puts an object in, over the one with its key if there is one.
    pub(super) fn insert(&mut self, entry: Arc<Entry>) {
        let (namespace, name) = (entry.key.namespace.clone(), entry.key.name.clone());
        let index = self.chunk_for(&namespace, &name);
        let chunks = Arc::make_mut(&mut self.chunks);
        if chunks.is_empty() {
            chunks.push(Arc::default());
        }
        // A key past the last chunk belongs at its end.
        let index = index.min(chunks.len() - 1);
        let chunk = Arc::make_mut(&mut chunks[index]);
        match chunk.binary_search_by(|held| held.key.compare(&namespace, &name)) {
            Ok(position) => chunk[position] = entry,
            Err(position) => {
                chunk.insert(position, entry);
                self.len += 1;
            }
        }
        if chunk.len() > CHUNK {
            let upper = chunk.split_off(CHUNK / 2);
            chunks.insert(index + 1, Arc::new(upper));
        }
    }

    /// Takes an object out.
    pub(super) fn remove(&mut self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        let index = self.chunk_for(namespace, name);
        let position = self.chunks.get(index)?.binary_search_by(|entry| entry.key.compare(namespace, name)).ok()?;
        let chunks = Arc::make_mut(&mut self.chunks);
        let chunk = Arc::make_mut(&mut chunks[index]);
        let removed = chunk.remove(position);
        if chunk.is_empty() {
            chunks.remove(index);
        }
        self.len -= 1;
        Some(removed)
    }

    /// The chunk that holds the key or would: the first whose last key is not before it.
    fn chunk_for(&self, namespace: &str, name: &str) -> usize {
        self.chunks.partition_point(|chunk| {
            chunk.last().is_some_and(|entry| entry.key.compare(namespace, name) == Ordering::Less)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soll_yaml::Value;

    fn entry(name: &str) -> Arc<Entry> {
        Arc::new(Entry::new(Key::new("ns", name), Value::map(), 1))
    }

    fn names(shelf: &Shelf) -> Vec<String> {
        shelf.iter().map(|entry| entry.key.name.to_string()).collect()
    }

    /// A permutation of 0..1000 that is not sorted: 7 is coprime to 1000.
    fn shuffled() -> impl Iterator<Item = String> {
        (0..1000_usize).map(|n| format!("{:04}", n * 7 % 1000))
    }

    #[test]
    fn stays_sorted_through_splits_and_removals() {
        let mut shelf = Shelf::default();
        for name in shuffled() {
            shelf.insert(entry(&name));
        }
        let expected: Vec<_> = (0..1000).map(|n| format!("{n:04}")).collect();
        assert_eq!(names(&shelf), expected);
        for name in shuffled().filter(|name| name.ends_with('3')) {
            assert!(shelf.remove("ns", &name).is_some());
        }
        assert_eq!(shelf.len(), 900);
        assert_eq!(names(&shelf).len(), 900);
        assert!(shelf.get("ns", "0003").is_none());
        assert!(shelf.get("ns", "0004").is_some());
    }

    #[test]
    fn a_snapshot_does_not_see_later_writes() {
        let mut shelf = Shelf::default();
        for name in shuffled() {
            shelf.insert(entry(&name));
        }
        let snapshot = shelf.clone();
        shelf.remove("ns", "0500");
        shelf.insert(entry("zz"));
        assert!(snapshot.get("ns", "0500").is_some());
        assert!(snapshot.get("ns", "zz").is_none());
        assert_eq!((snapshot.len(), shelf.len()), (1000, 1000));
    }

    #[test]
    fn iterates_from_a_key_on() {
        let mut shelf = Shelf::default();
        for name in shuffled() {
            shelf.insert(entry(&name));
        }
        let rest: Vec<_> = shelf.iter_from("ns", "0997x").map(|entry| entry.key.name.to_string()).collect();
        assert_eq!(rest, ["0998", "0999"]);
        assert_eq!(shelf.iter_from("zz", "").count(), 0);
        assert_eq!(Shelf::default().iter_from("", "").count(), 0);
    }
}
