//! Where a value was written, in eight bytes.

use std::fmt;

/// Where a value came from: source, line and column in eight bytes. [`At::NONE`] means unknown.
///
/// Lines and columns count from 1, columns in characters. What a [`SourceId`] means stands in the
/// [`Sources`](crate::Sources) of the same build. Positions never take part in equality, digests or output. Those of one
/// source are in the order of its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct At(u64);

/// Index into [`Sources`](crate::Sources).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct SourceId(pub(crate) u32);

pub(crate) const SOURCE_BITS: u32 = 24;
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

    /// The source that [`Sources::get`](crate::Sources::get) explains.
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
