//! One shard of the store: entries in a slab, and which of them to evict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smallvec::SmallVec;

use super::index::Index;
use super::ledger::Ledger;
use super::{Entry, MAX_KEYS, Near, Stats, hash};
use crate::clock::Timestamp;
use crate::key::Key;

/// Entries are allocated in chunks, so that growth neither copies nor reserves far ahead. A power
/// of two is a size that allocators have: other sizes are rounded up by as much as a fifth.
const CHUNK_BYTES: usize = 64 * 1024;
/// Slots that one eviction looks at before it takes the best seen.
const LOOKS: usize = 32;
const MAIN: u32 = u32::MAX;
const GONE: u32 = u32::MAX;

/// In this order, so that what every access touches lies on one line with the entry's first field.
#[repr(C)]
pub(super) struct Slot<T> {
    pub(super) key: Key,
    /// Its place in the probationary ring, or [`MAIN`].
    ring: u32,
    /// Uses since it was last looked at, up to 3.
    uses: u8,
    pub(super) value: T,
}

/// S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023) over a
/// slab: new keys pass a probationary ring of a tenth of the shard; those used at least twice
/// there, or remembered by the ghost table, enter the main part, which is a clock with a two-bit
/// counter. Two departures: the main queue is the slab itself under a clock hand, and the ghost
/// queue is a direct-mapped table of 16-bit fingerprints that newer ones overwrite.
pub(super) struct Shard<T: Entry> {
    map: Arc<Map>,
    chunks: Vec<Vec<Slot<T>>>,
    len: usize,
    capacity: usize,
    /// Slots on probation, oldest first, as a circular buffer; [`GONE`] where one was removed.
    ring: Box<[u32]>,
    oldest: usize,
    on_ring: usize,
    hand: usize,
    swept: usize,
    ghosts: Box<[u16]>,
    ledger: Ledger<T::Residue>,
    stats: Stats,
}

/// Where the entries of a shard lie: changed under its lock, and read without it by who only wants
/// to have them fetched.
pub(super) struct Map {
    index: Index,
    /// The address of each chunk, 0 while there is none.
    chunks: Box<[AtomicUsize]>,
}

impl Map {
    /// The address of the cells of the index, and how many they are.
    pub(super) fn cells(&self) -> (usize, usize) {
        self.index.cells()
    }

    /// Where the entry of this hash lies, most likely.
    #[inline]
    pub(super) fn near<T>(&self, hash: u64) -> Option<Near> {
        let (chunk, place) = Slot::<T>::place(self.index.guess(hash)?);
        let base = self.chunks.get(chunk)?.load(Ordering::Relaxed);
        let bytes = size_of::<Slot<T>>();
        (base != 0).then(|| Near { first: base + place * bytes, bytes })
    }
}

fn slot<T>(chunks: &[Vec<Slot<T>>], at: u32) -> &Slot<T> {
    let (chunk, place) = Slot::<T>::place(at);
    &chunks[chunk][place]
}

fn hash_of<T>(chunks: &[Vec<Slot<T>>]) -> impl Fn(u32) -> u64 + '_ {
    |at| hash(slot(chunks, at).key)
}

impl<T> Slot<T> {
    /// Slots of a chunk.
    const PER_CHUNK: u32 = {
        let slots = CHUNK_BYTES / size_of::<Self>();
        if slots == 0 { 1 } else { slots as u32 }
    };

    /// The chunk of a slot, and its place therein.
    #[inline]
    const fn place(at: u32) -> (usize, usize) {
        ((at / Self::PER_CHUNK) as usize, (at % Self::PER_CHUNK) as usize)
    }
}

impl<T: Entry> Shard<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let chunks = capacity.div_ceil(Slot::<T>::PER_CHUNK as usize);
        let map = Map {
            index: Index::new(capacity),
            chunks: (0..chunks).map(|_| AtomicUsize::default()).collect(),
        };
        Self {
            map: Arc::new(map),
            chunks: Vec::with_capacity(chunks),
            len: 0,
            capacity,
            ring: vec![GONE; (capacity / 10).max(1)].into(),
            oldest: 0,
            on_ring: 0,
            hand: 0,
            swept: 0,
            ghosts: vec![0; capacity].into(),
            ledger: Ledger::new(capacity),
            stats: Stats::default(),
        }
    }

    pub(super) fn stats(&self) -> Stats {
        Stats { len: self.len, residues: self.ledger.len(), ..self.stats }
    }

    pub(super) fn slot_mut(&mut self, at: u32) -> &mut Slot<T> {
        let (chunk, place) = Slot::<T>::place(at);
        &mut self.chunks[chunk][place]
    }

    pub(super) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map)
    }

    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        let chunks = &self.chunks;
        self.map.index.find(hash(key), |at| slot(chunks, at).key == key, hash_of(chunks))
    }

    pub(super) fn get(&self, key: Key) -> Option<&T> {
        self.find(key).map(|at| &slot(&self.chunks, at).value)
    }

    /// The slot of `key`, made if absent; never at the cost of a `pinned` slot, of which there
    /// must be fewer than the capacity.
    #[inline]
    pub(super) fn slot_of(&mut self, key: Key, now: Timestamp, pinned: &[u32]) -> u32 {
        match self.find(key) {
            Some(at) => {
                let slot = self.slot_mut(at);
                if slot.uses < 3 {
                    slot.uses += 1;
                }
                at
            }
            None => self.insert(key, now, pinned),
        }
    }

    fn insert(&mut self, key: Key, now: Timestamp, pinned: &[u32]) -> u32 {
        let residue = self.ledger.take(key, now);
        self.ledger.expire(now, 2);
        self.stats.inserted += 1;
        self.stats.restored += u64::from(residue.is_some());
        let known = residue.is_some() || self.take_ghost(key);
        let value = T::fresh(key, now, residue);
        let fresh = Slot { key, ring: MAIN, uses: 0, value };
        let at = if self.len < self.capacity {
            let (at, most) = (self.len as u32, Slot::<T>::PER_CHUNK as usize);
            match self.chunks.last_mut() {
                Some(chunk) if chunk.len() < most => chunk.push(fresh),
                _ => {
                    let mut chunk = Vec::with_capacity(most.min(self.capacity - self.len));
                    chunk.push(fresh);
                    let address = chunk.as_ptr().addr();
                    self.map.chunks[self.chunks.len()].store(address, Ordering::Relaxed);
                    self.chunks.push(chunk);
                }
            }
            self.len += 1;
            at
        } else {
            let at = self.evict(now, pinned);
            *self.slot_mut(at) = fresh;
            at
        };
        self.map.index.insert(hash(key), at, hash_of(&self.chunks));
        if !known {
            if self.on_ring == self.ring.len() {
                // Not full yet, or what is left on the ring is pinned: the oldest moves up.
                self.pop_oldest();
            }
            let end = (self.oldest + self.on_ring) % self.ring.len();
            self.ring[end] = at;
            self.on_ring += 1;
            self.slot_mut(at).ring = end as u32;
        }
        at
    }

    /// Takes the oldest off the ring into the main part.
    fn pop_oldest(&mut self) -> Option<u32> {
        let at = self.ring[self.oldest];
        self.ring[self.oldest] = GONE;
        self.oldest = (self.oldest + 1) % self.ring.len();
        self.on_ring -= 1;
        if at == GONE {
            return None;
        }
        self.slot_mut(at).ring = MAIN;
        Some(at)
    }

    /// Frees a slot and returns it; its old value is still in place.
    fn evict(&mut self, now: Timestamp, pinned: &[u32]) -> u32 {
        let at = self.victim(now, pinned);
        let (key, residue) = {
            let slot = slot(&self.chunks, at);
            (slot.key, slot.value.residue(now))
        };
        self.map.index.remove(hash(key), at, hash_of(&self.chunks));
        self.leave_ring(at);
        if let Some((residue, expires)) = residue {
            self.ledger.keep(key, residue, expires);
            self.stats.kept += 1;
        }
        let ghost = self.ghost_of(key);
        self.ghosts[ghost] = fingerprint(key);
        self.stats.evicted += 1;
        at
    }

    fn victim(&mut self, now: Timestamp, pinned: &[u32]) -> u32 {
        let mut looks = 0;
        while self.on_ring == self.ring.len() && looks < LOOKS {
            looks += 1;
            let Some(at) = self.pop_oldest() else { continue };
            let slot = self.slot_mut(at);
            if slot.uses < 2 && slot.value.residue(now).is_none() && !pinned.contains(&at) {
                return at;
            }
            slot.uses = 0;
        }
        // The coldest of those the hand passes; a penalised one counts as hotter than any other.
        let mut best: Option<(u8, u32)> = None;
        let mut passed = 0;
        while passed < LOOKS || best.is_none() {
            passed += 1;
            let at = self.hand as u32;
            self.hand = (self.hand + 1) % self.len;
            // Once round, those on probation are taken too: a shard may hold nothing else.
            let any = passed > self.len;
            if pinned.contains(&at) || (!any && slot(&self.chunks, at).ring != MAIN) {
                if passed > 2 * self.len + MAX_KEYS {
                    return at;
                }
                continue;
            }
            let slot = self.slot_mut(at);
            let heat = slot.uses + if slot.value.residue(now).is_some() { 4 } else { 0 };
            slot.uses = slot.uses.saturating_sub(1);
            if heat == 0 {
                return at;
            }
            if best.is_none_or(|(coldest, _)| heat < coldest) {
                best = Some((heat, at));
            }
        }
        best.map_or(self.hand as u32, |(_, at)| at)
    }

    fn leave_ring(&mut self, at: u32) {
        let place = slot(&self.chunks, at).ring;
        if place != MAIN {
            self.ring[place as usize] = GONE;
        }
    }

    fn ghost_of(&self, key: Key) -> usize {
        (((hash(key) >> 32) * self.ghosts.len() as u64) >> 32) as usize
    }

    fn take_ghost(&mut self, key: Key) -> bool {
        let ghost = self.ghost_of(key);
        let known = self.ghosts[ghost] == fingerprint(key);
        if known {
            self.ghosts[ghost] = 0;
        }
        known
    }

    /// Takes an entry out; the last one of the slab moves into its place.
    pub(super) fn remove(&mut self, key: Key) -> Option<T> {
        let at = self.find(key)?;
        self.map.index.remove(hash(key), at, hash_of(&self.chunks));
        self.leave_ring(at);
        let last = (self.len - 1) as u32;
        if last != at {
            let moved = hash(slot(&self.chunks, last).key);
            self.map.index.rename(moved, last, at, hash_of(&self.chunks));
            let place = slot(&self.chunks, last).ring;
            if place != MAIN {
                self.ring[place as usize] = at;
            }
        }
        let chunk = self.chunks.last_mut()?;
        let tail = chunk.pop()?;
        if chunk.is_empty() {
            self.chunks.pop();
        }
        self.len -= 1;
        self.hand = if self.hand < self.len { self.hand } else { 0 };
        Some(if last == at { tail.value } else { std::mem::replace(self.slot_mut(at), tail).value })
    }

    pub(super) fn for_each(&self, mut f: impl FnMut(Key, &T)) {
        for slot in self.chunks.iter().flatten() {
            f(slot.key, &slot.value);
        }
    }

    /// Offers the next `max` entries to `keep` and removes those that it refuses.
    pub(super) fn sweep(
        &mut self,
        now: Timestamp,
        max: usize,
        keep: &mut impl FnMut(Key, &T) -> bool,
    ) -> usize {
        self.ledger.expire(now, max);
        let mut removed = 0;
        for _ in 0..max.min(self.len) {
            self.swept = if self.swept < self.len { self.swept } else { 0 };
            let slot = slot(&self.chunks, self.swept as u32);
            let key = slot.key;
            if keep(key, &slot.value) {
                self.swept += 1;
            } else {
                self.remove(key);
                removed += 1;
            }
        }
        removed
    }

    /// Mutable references to several distinct slots, in ascending order of slot.
    pub(super) fn slots_mut(&mut self, ascending: &[u32]) -> SmallVec<[&mut T; MAX_KEYS]> {
        let mut found = SmallVec::new();
        let mut wanted = ascending.iter().copied().peekable();
        let mut base = 0;
        let mut chunks = self.chunks.iter_mut();
        while let Some(&at) = wanted.peek() {
            let (chunk, _) = Slot::<T>::place(at);
            let Some(entries) = chunks.nth(chunk - base) else { break };
            base = chunk + 1;
            let (mut rest, mut start) = (entries.as_mut_slice(), 0);
            while let Some(at) = wanted.next_if(|at| Slot::<T>::place(*at).0 == chunk) {
                let offset = Slot::<T>::place(at).1 - start;
                let Some((slot, after)) = rest.split_at_mut(offset).1.split_first_mut() else {
                    break;
                };
                found.push(&mut slot.value);
                start += offset + 1;
                rest = after;
            }
        }
        found
    }
}

/// Never 0, which marks an empty ghost.
fn fingerprint(key: Key) -> u16 {
    (hash(key) >> 8) as u16 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Wide([u64; 38]);

    impl Entry for Wide {
        type Residue = ();

        fn fresh(key: Key, _: Timestamp, _: Option<()>) -> Self {
            Self([key.0; 38])
        }

        fn residue(&self, _: Timestamp) -> Option<((), Timestamp)> {
            None
        }
    }

    #[test]
    fn what_is_fetched_early_is_the_entry() {
        let mut shard = Shard::<Wide>::new(2000);
        for n in 0..2000 {
            shard.slot_of(Key(n), Timestamp::EPOCH, &[]);
        }
        let right = |n: &u64| {
            let at = shard.find(Key(*n)).map(|at| slot(&shard.chunks, at));
            let near = shard.map().near::<Wide>(hash(Key(*n)));
            at.map(|slot| std::ptr::from_ref(slot).addr()) == near.map(|near| near.first)
        };
        // Another key with the same six bits may stand nearer.
        assert!((0..2000).filter(right).count() > 1900);
        assert!(
            (2000..4000).filter(|n| shard.map().near::<Wide>(hash(Key(*n))).is_none()).count()
                > 1800
        );
        assert!(shard.get(Key(7)).is_some_and(|entry| entry.0 == [7; 38]));
    }

    #[test]
    fn an_entry_costs_at_most_24_bytes_more() {
        let header = size_of::<Slot<[u64; 40]>>() - 320;
        // Index at 4/3 cells of 4 bytes, ring at a tenth, ghosts.
        let tables = 4.0 * 4.0 / 3.0 + 0.4 + 2.0;
        assert!(header as f64 + tables <= 24.0, "{header} + {tables}");
    }
}
