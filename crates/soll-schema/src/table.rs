//! Reading the compiled-in table in place.

use crate::layout::{self, Section};

const BYTES: &[u8] = include_bytes!("../table/kubernetes-1.35.bin");

/// Starts of the sections, and the end of the file: read by the compiler.
const STARTS: [usize; layout::SECTIONS + 1] = {
    let mut starts = [0; layout::SECTIONS + 1];
    let mut index = 0;
    while index <= layout::SECTIONS {
        starts[index] = u32_at(BYTES, layout::MAGIC.len() + index * 4) as usize;
        index += 1;
    }
    starts
};

fn section(section: Section) -> &'static [u8] {
    &BYTES[STARTS[section as usize]..STARTS[section as usize + 1]]
}

const fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// One record of a section.
#[derive(Clone, Copy)]
pub(crate) struct Record(&'static [u8]);

impl Record {
    /// The `u16` at a byte offset.
    pub(crate) fn u16(self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    /// The byte at an offset.
    pub(crate) fn u8(self, at: usize) -> u8 {
        self.0[at]
    }

    /// The bytes of the text whose index stands at a byte offset; they sort as texts do.
    pub(crate) fn bytes(self, at: usize) -> &'static [u8] {
        bytes(self.u16(at))
    }

    /// The text whose index stands at a byte offset.
    pub(crate) fn text(self, at: usize) -> &'static str {
        text(self.u16(at))
    }

    /// The text at a byte offset that may be absent.
    pub(crate) fn optional_text(self, at: usize) -> Option<&'static str> {
        self.u16(at).checked_sub(1).map(text)
    }
}

/// The record at an index.
pub(crate) fn record(of: Section, size: usize, index: usize) -> Record {
    Record(&section(of)[index * size..(index + 1) * size])
}

/// Number of records in a section.
pub(crate) fn count(of: Section, size: usize) -> usize {
    section(of).len() / size
}

/// A text by index.
pub(crate) fn text(index: u16) -> &'static str {
    std::str::from_utf8(bytes(index)).expect("the generator writes UTF-8")
}

fn bytes(index: u16) -> &'static [u8] {
    let ends = section(Section::Strings);
    let index = usize::from(index);
    let start = if index == 0 { 0 } else { u32_at(ends, (index - 1) * 4) as usize };
    &section(Section::Texts)[start..u32_at(ends, index * 4) as usize]
}

/// A run of [`Section::Lists`].
pub(crate) fn texts(from: u16, count: u16) -> impl ExactSizeIterator<Item = &'static str> + Clone {
    (from..from + count).map(|index| text(record(Section::Lists, 2, index.into()).u16(0)))
}

/// Index in `range` of the record for which `compare` says equal.
pub(crate) fn search(
    of: Section,
    size: usize,
    range: std::ops::Range<usize>,
    compare: impl Fn(Record) -> std::cmp::Ordering,
) -> Option<usize> {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low.midpoint(high);
        match compare(record(of, size, middle)) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Some(middle),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_of_this_layout() {
        assert_eq!(&BYTES[..layout::MAGIC.len()], layout::MAGIC);
        let end = layout::MAGIC.len() + layout::SECTIONS * 4;
        assert_eq!((STARTS[0], STARTS[layout::SECTIONS]), (end + 4, BYTES.len()));
    }

    #[test]
    fn texts_are_sorted_and_unique() {
        let count = count(Section::Strings, 4);
        assert!((1..count).all(|index| text(index as u16 - 1) < text(index as u16)));
    }
}
