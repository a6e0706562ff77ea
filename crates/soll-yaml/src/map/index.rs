//! Where the keys of a large map stand.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Entry;

/// Positions of keys. It holds no keys: whoever asks brings the entries.
///
/// With the hash beside each position, growing touches no entry. Maps of a hundred thousand keys do not fit into the
/// processor's caches, and each touch would be a miss.
#[derive(Clone)]
pub(super) struct Index {
    slots: HashTable<Slot>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    position: u32,
}

impl Index {
    pub(super) fn of(entries: &[Entry]) -> Self {
        let mut index = Self { slots: HashTable::with_capacity(entries.len()), hasher: RandomState::default() };
        for (position, entry) in entries.iter().enumerate() {
            index.add(&entry.key, position);
        }
        index
    }

    /// Notes a key that is not there yet.
    pub(super) fn add(&mut self, key: &str, position: usize) {
        let hash = self.hash(key);
        let position = u32::try_from(position).expect("four billion entries do not fit into memory");
        self.slots.insert_unique(spread(hash), Slot { hash, position }, |slot| spread(slot.hash));
    }

    pub(super) fn position(&self, key: &str, entries: &[Entry]) -> Option<usize> {
        let hash = self.hash(key);
        let is_it = |slot: &Slot| slot.hash == hash && entries[slot.position as usize].key == key;
        self.slots.find(spread(hash), is_it).map(|slot| slot.position as usize)
    }

    /// Half of the hash: enough to tell the keys of a map apart, nearly always.
    #[allow(clippy::cast_possible_truncation)]
    fn hash(&self, key: &str) -> u32 {
        self.hasher.hash_one(key) as u32
    }
}

/// The table takes its place from the low bits and a tag from the high ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}
