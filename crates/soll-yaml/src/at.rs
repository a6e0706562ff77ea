//! Where a value was written: positions and the table that gives them meaning.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use foldhash::HashMap;

/// Where a value came from: source, line and column in eight bytes. [`At::NONE`] means unknown.
///
/// Lines and columns count from 1, columns in characters. What a [`SourceId`] means stands in the
/// [`Sources`] of the same build. Positions never take part in equality, digests or output.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct At(u64);

/// Index into [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct SourceId(u32);

const SOURCE_BITS: u32 = 24;
const LINE_BITS: u32 = 24;
const COLUMN_BITS: u32 = 16;

impl At {
    /// The place of what nobody wrote.
    pub const NONE: Self = Self(0);

    /// Packs a position. Lines past 16 million and columns past 65,535 are clamped.
    #[must_use]
    pub fn new(source: SourceId, line: usize, column: usize) -> Self {
        let line = (line as u64).min((1 << LINE_BITS) - 1);
        let column = (column as u64).min((1 << COLUMN_BITS) - 1);
        Self(u64::from(source.0) << (LINE_BITS + COLUMN_BITS) | line << COLUMN_BITS | column)
    }

    /// Says whether nothing is known.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.line() == 0
    }

    /// The source that [`Sources::get`] explains.
    #[must_use]
    pub fn source(self) -> SourceId {
        SourceId((self.0 >> (LINE_BITS + COLUMN_BITS)) as u32)
    }

    /// Line, from 1; 0 if unknown.
    #[must_use]
    pub fn line(self) -> usize {
        ((self.0 >> COLUMN_BITS) & ((1 << LINE_BITS) - 1)) as usize
    }

    /// Column in characters, from 1.
    #[must_use]
    pub fn column(self) -> usize {
        (self.0 & ((1 << COLUMN_BITS) - 1)) as usize
    }

    /// This position if it is known, else the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self.is_none() { other } else { self }
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.source().0, self.line(), self.column())
    }
}

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

#[derive(Debug, Default)]
struct Table {
    list: Vec<Source>,
    ids: HashMap<Source, SourceId>,
}

impl Sources {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text that is about to be parsed. Past 16 million sources all share the last id.
    pub fn add(&self, path: &str) -> SourceId {
        self.intern(Source { path: path.into(), via: None })
    }

    /// The position `at`, marked as reached through `by`, remembering where the value stood before.
    pub fn through(&self, at: At, by: impl Into<Cow<'static, str>>, before: At) -> At {
        let Some(origin) = self.get(at.source()) else { return at };
        let id = self.intern(Source { path: origin.path, via: Some(Via { by: by.into(), before }) });
        At::new(id, at.line(), at.column())
    }

    /// What an id stands for.
    #[must_use]
    pub fn get(&self, id: SourceId) -> Option<Source> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.list.get(id.0 as usize).cloned()
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

    fn intern(&self, source: Source) -> SourceId {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = table.ids.get(&source) {
            return *id;
        }
        let last = (1 << SOURCE_BITS) - 1;
        let id = SourceId(u32::try_from(table.list.len()).unwrap_or(last).min(last));
        if (id.0 as usize) == table.list.len() {
            table.list.push(source.clone());
            table.ids.insert(source, id);
        }
        id
    }
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
