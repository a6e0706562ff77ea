//! The table that gives positions their meaning.

use std::borrow::{Borrow, Cow};
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::at::SOURCE_BITS;
use crate::{At, SourceId};

/// How a value got from where it was written to where it is: the transformer, generator or template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Via {
    /// What did it, in the words of its configuration: `namePrefix`, `patches`, `configMapGenerator`.
    pub by: Cow<'static, str>,
    /// Where the value stood before, if it replaced one.
    pub before: At,
}

/// One text that values were read from, or one step that made values.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// Path within the tree, `/`-separated.
    pub path: Arc<str>,
    /// Set if a transformer or generator made the value at this place in `path`.
    pub via: Option<Via>,
}

/// The table of sources of one build: grows while building, shared afterwards.
///
/// Equal sources get equal ids. The mutex guards a few synchronous lines; builds of one tree are
/// single-threaded, so it is never contended.
#[derive(Debug, Default)]
pub struct Sources {
    table: Mutex<Table>,
}

/// Sources as numbers: a build of thousands of objects has one for each name that it changes.
#[derive(Debug, Default)]
struct Table {
    paths: Numbered<Arc<str>>,
    /// What transformers and generators are called.
    steps: Numbered<Cow<'static, str>>,
    rows: Vec<Row>,
    ids: HashTable<SourceId>,
    hasher: RandomState,
}

/// Texts, each once, by the order in which they came.
#[derive(Debug)]
struct Numbered<T> {
    list: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { list: Vec::new(), numbers: HashMap::default() }
    }
}

impl<T: Borrow<str> + Clone + Eq + Hash> Numbered<T> {
    fn number_of<U: Borrow<str> + Into<T>>(&mut self, text: U) -> u32 {
        if let Some(number) = self.numbers.get(text.borrow()) {
            return *number;
        }
        let (text, number) = (text.into(), index(self.list.len()));
        self.list.push(text.clone());
        self.numbers.insert(text, number);
        number
    }
}

/// A [`Source`], its texts by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Row {
    path: u32,
    /// [`Row::WRITTEN`] if there was none.
    step: u32,
    before: At,
}

impl Row {
    const WRITTEN: u32 = u32::MAX;
}

impl Sources {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text that is about to be parsed. Past 16 million sources all share the last id.
    pub fn add(&self, path: &str) -> SourceId {
        let mut table = self.table();
        let path = table.paths.number_of(path);
        table.intern(Row { path, step: Row::WRITTEN, before: At::NONE })
    }

    /// The position `at`, marked as reached through `by`, remembering where the value stood before.
    pub fn through(&self, at: At, by: impl Into<Cow<'static, str>>, before: At) -> At {
        let mut table = self.table();
        let Some(origin) = table.row(at.source()) else { return at };
        let step = table.steps.number_of(by.into());
        let id = table.intern(Row { path: origin.path, step, before });
        At::new(id, at.line(), at.column())
    }

    /// What an id stands for.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<Source> {
        let table = self.table();
        let Row { path, step, before } = table.row(id)?;
        let via = table.steps.list.get(step as usize).map(|by| Via { by: by.clone(), before });
        Some(Source { path: Arc::clone(&table.paths.list[path as usize]), via })
    }

    /// The place as people write it: `path:line:column`, or nothing if unknown.
    #[must_use]
    pub fn place(&self, at: At) -> Option<String> {
        if at.is_none() {
            return None;
        }
        let source = self.get(at.source())?;
        Some(format!("{}:{}:{}", source.path, at.line(), at.column()))
    }

    /// The chain from the last step back to where the value was first written, at most 16 links.
    #[must_use]
    pub fn chain(&self, at: At) -> Vec<(At, Source)> {
        let mut chain = Vec::new();
        let mut next = at;
        while !next.is_none() && chain.len() < 16 {
            let Some(source) = self.get(next.source()) else { break };
            let before = source.via.as_ref().map_or(At::NONE, |via| via.before);
            chain.push((next, source));
            next = before;
        }
        chain
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn row(&self, id: SourceId) -> Option<Row> {
        self.rows.get(id.0 as usize).copied()
    }

    fn intern(&mut self, row: Row) -> SourceId {
        let hash = self.hasher.hash_one(row);
        if let Some(id) = self.ids.find(hash, |id| self.rows[id.0 as usize] == row) {
            return *id;
        }
        let last = (1 << SOURCE_BITS) - 1;
        let id = SourceId(index(self.rows.len()).min(last));
        if id.0 as usize == self.rows.len() {
            self.rows.push(row);
            let (rows, hasher) = (&self.rows, &self.hasher);
            self.ids.insert_unique(hash, id, |id| hasher.hash_one(rows[id.0 as usize]));
        }
        id
    }
}

fn index(place: usize) -> u32 {
    u32::try_from(place).expect("four billion texts do not fit into memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_packing() {
        let sources = Sources::new();
        sources.add("a.yaml");
        let at = At::new(sources.add("b.yaml"), 70_000, 12);
        assert_eq!((at.line(), at.column()), (70_000, 12));
        assert_eq!(sources.place(at).as_deref(), Some("b.yaml:70000:12"));
    }

    #[test]
    fn chain_leads_back_to_the_first_place() {
        let sources = Sources::new();
        let first = At::new(sources.add("base.yaml"), 3, 7);
        let prefix = At::new(sources.add("kustomization.yaml"), 2, 1);
        let last = sources.through(prefix, "namePrefix", first);
        let places: Vec<_> = sources.chain(last).iter().filter_map(|(at, _)| sources.place(*at)).collect();
        assert_eq!(places, ["kustomization.yaml:2:1", "base.yaml:3:7"]);
    }
}
