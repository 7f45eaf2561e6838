//! A shard's index: from a hash to a slot, never rehashed and never grown.

use std::sync::atomic::{AtomicU32, Ordering};

/// Bits of an entry that name the slot; a shard holds fewer than 2²² slots.
pub(super) const SLOT_BITS: u32 = 22;
const SLOT: u32 = (1 << SLOT_BITS) - 1;
const FAR: u32 = 15;
const EMPTY: u32 = u32::MAX;
/// Cells are kept inverted, so that an empty one is 0 and an index unused takes no memory.
const STORED: u32 = u32::MAX;

/// Linear probing with Robin Hood placement and backward-shift deletion (Celis, 1986): no
/// tombstones, so churn costs nothing later.
///
/// A cell packs a 6-bit tag, the distance from home in 4 bits (15: as far or further, worked out
/// from the hash) and the slot, so probing and deletion seldom look at an entry.
///
/// Who changes it or relies on it holds the shard's lock. [`Index::guess`] may be asked without, and
/// may then be wrong: cells are atomic for its sake alone.
#[derive(Debug)]
pub(super) struct Index {
    cells: Box<[AtomicU32]>,
}

impl Index {
    /// Room for `capacity` slots at a load of at most three quarters.
    pub(super) fn new(capacity: usize) -> Self {
        const { assert!(EMPTY ^ STORED == 0) };
        Self { cells: bytemuck::zeroed_slice_box(capacity + capacity / 3 + 2) }
    }

    #[inline]
    fn get(&self, at: usize) -> u32 {
        self.cells[at].load(Ordering::Relaxed) ^ STORED
    }

    #[inline]
    fn set(&self, at: usize, cell: u32) {
        self.cells[at].store(cell ^ STORED, Ordering::Relaxed);
    }

    fn home(&self, hash: u64) -> usize {
        home(hash, self.cells.len())
    }

    fn next(&self, at: usize) -> usize {
        if at + 1 == self.cells.len() { 0 } else { at + 1 }
    }

    fn distance(&self, at: usize, cell: u32, hash_of: impl Fn(u32) -> u64) -> usize {
        let near = cell >> SLOT_BITS & FAR;
        if near < FAR {
            return near as usize;
        }
        let home = self.home(hash_of(cell & SLOT));
        if at >= home { at - home } else { at + self.cells.len() - home }
    }

    fn cell(tag: u32, distance: usize, slot: u32) -> u32 {
        tag << (SLOT_BITS + 4) | (distance as u32).min(FAR) << SLOT_BITS | slot
    }

    /// The place of the slot with this hash for which `is` holds.
    #[inline]
    fn place(
        &self,
        hash: u64,
        is: impl Fn(u32) -> bool,
        hash_of: impl Fn(u32) -> u64,
    ) -> Option<usize> {
        let mut at = self.home(hash);
        for distance in 0..self.cells.len() {
            let cell = self.get(at);
            if cell == EMPTY || self.distance(at, cell, &hash_of) < distance {
                return None;
            }
            if cell >> (SLOT_BITS + 4) == tag(hash) && is(cell & SLOT) {
                return Some(at);
            }
            at = self.next(at);
        }
        None
    }

    /// The slot with this hash for which `is` holds.
    #[inline]
    pub(super) fn find(
        &self,
        hash: u64,
        is: impl Fn(u32) -> bool,
        hash_of: impl Fn(u32) -> u64,
    ) -> Option<u32> {
        self.place(hash, is, hash_of).map(|at| self.get(at) & SLOT)
    }

    /// The address of the cells, and how many they are.
    pub(super) fn cells(&self) -> (usize, usize) {
        (self.cells.as_ptr().addr(), self.cells.len())
    }

    /// The slot that is likely to have this hash, without a look at any entry.
    #[inline]
    pub(super) fn guess(&self, hash: u64) -> Option<u32> {
        let mut at = self.home(hash);
        for distance in 0..FAR {
            let cell = self.get(at);
            if cell == EMPTY || (cell >> SLOT_BITS & FAR) < distance {
                return None;
            }
            if cell >> (SLOT_BITS + 4) == tag(hash) {
                return Some(cell & SLOT);
            }
            at = self.next(at);
        }
        None
    }

    /// Adds a slot that is not in the index. The caller keeps to the capacity, so a free cell is
    /// always met.
    pub(super) fn insert(&self, hash: u64, slot: u32, hash_of: impl Fn(u32) -> u64) {
        let (mut at, mut distance, mut held) = (self.home(hash), 0, Self::cell(tag(hash), 0, slot));
        loop {
            let cell = self.get(at);
            if cell == EMPTY {
                self.set(at, Self::cell(held >> (SLOT_BITS + 4), distance, held & SLOT));
                return;
            }
            let theirs = self.distance(at, cell, &hash_of);
            if theirs < distance {
                self.set(at, Self::cell(held >> (SLOT_BITS + 4), distance, held & SLOT));
                (held, distance) = (cell, theirs);
            }
            at = self.next(at);
            distance += 1;
        }
    }

    /// Takes a slot out and moves those behind it one step nearer home.
    pub(super) fn remove(&self, hash: u64, slot: u32, hash_of: impl Fn(u32) -> u64) {
        let Some(mut hole) = self.place(hash, |s| s == slot, &hash_of) else { return };
        loop {
            let at = self.next(hole);
            let cell = self.get(at);
            let distance = if cell == EMPTY { 0 } else { self.distance(at, cell, &hash_of) };
            if distance == 0 {
                self.set(hole, EMPTY);
                return;
            }
            self.set(hole, Self::cell(cell >> (SLOT_BITS + 4), distance - 1, cell & SLOT));
            hole = at;
        }
    }

    /// Renames a slot, because its entry moved.
    pub(super) fn rename(&self, hash: u64, from: u32, to: u32, hash_of: impl Fn(u32) -> u64) {
        if let Some(at) = self.place(hash, |s| s == from, hash_of) {
            self.set(at, self.get(at) & !SLOT | to);
        }
    }
}

/// Where the search for a hash starts among `cells` cells.
#[inline]
pub(super) fn home(hash: u64, cells: usize) -> usize {
    (((hash >> 32) * cells as u64) >> 32) as usize
}

/// Six bits of the hash that choose neither the shard nor the home.
fn tag(hash: u64) -> u32 {
    (hash & 0x3f) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Few distinct homes, so that clusters are long and distances pass what four bits hold.
        #[test]
        fn it_is_a_map(ops in prop::collection::vec((any::<bool>(), 0u32..96, 0u32..4), 1..400)) {
            let hash = |slot: u32| u64::from(slot % 3) << 61 | u64::from(slot) << 20 | u64::from(slot % 4);
            let index = Index::new(96);
            let mut model = BTreeMap::new();
            for (add, slot, _) in ops {
                if add && model.insert(slot, ()).is_none() {
                    index.insert(hash(slot), slot, hash);
                } else if !add && model.remove(&slot).is_some() {
                    index.remove(hash(slot), slot, hash);
                }
                for slot in 0..96 {
                    let found = index.find(hash(slot), |s| s == slot, hash);
                    prop_assert_eq!(found, model.get(&slot).map(|()| slot));
                }
            }
        }
    }
}
