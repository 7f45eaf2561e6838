//! The bounded keyed store: sharded, of fixed capacity, evicting the cold and never a penalty.

mod index;
mod ledger;
mod shard;

use std::sync::Arc;

use prefetch_index::prefetch_index;
use smallvec::SmallVec;

use crate::clock::Timestamp;
use crate::key::Key;
use crate::sync::{Mutex, MutexGuard};
use shard::{Map, Shard};

/// The most keys that [`Store::with_all`] takes at once.
pub const MAX_KEYS: usize = 32;

/// What a store keeps for a key.
///
/// A large entry is fastest as `repr(C)` with what every request touches first: it then shares the
/// cache line of the store's own header.
pub trait Entry: Sized {
    /// What must survive eviction: small (16 bytes or so), for there may be as many as entries.
    type Residue: Copy;

    /// The entry of a key not in the store, with the residue that its last eviction left, if any.
    fn fresh(key: Key, now: Timestamp, residue: Option<Self::Residue>) -> Self;

    /// For a penalised entry, what must survive and until when; `None` if nothing would be
    /// forgiven by forgetting it. Called while looking for something to evict: keep it cheap.
    fn residue(&self, now: Timestamp) -> Option<(Self::Residue, Timestamp)>;
}

/// Where an entry lies in memory, as a number: good for nothing but [`Near::fetch`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Near {
    first: usize,
    bytes: usize,
}

impl Near {
    /// Has the CPU fetch the entry, while the caller does something else.
    #[inline]
    pub fn fetch(self) {
        let last = self.bytes.saturating_sub(1);
        for offset in (0..last).step_by(LINE).chain([last]) {
            prefetch(self.first + offset);
        }
    }
}

/// What memory comes in, in bytes.
const LINE: usize = 64;

/// Has the CPU fetch the line of an address. Only a hint, so it need not be anybody's.
#[inline]
fn prefetch(address: usize) {
    // The crate names what it fetches by a slice and an index, and lets the index be any.
    const BASE: &[u8] = &[];
    let base = BASE;
    prefetch_index(base, address.wrapping_sub(base.as_ptr().addr()));
}

/// Counts of what a store has done, and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Entries held.
    pub len: usize,
    /// Residues held for evicted entries.
    pub residues: usize,
    /// Entries made.
    pub inserted: u64,
    /// Entries evicted to make room.
    pub evicted: u64,
    /// Evictions that left a residue.
    pub kept: u64,
    /// Insertions that got a residue back.
    pub restored: u64,
}

/// A shard and its lock, on a line of its own, so that two shards' locks do not share one (128
/// bytes: the prefetcher of x86 fetches lines in pairs).
#[repr(align(128))]
struct Guarded<T: Entry> {
    shard: Mutex<Shard<T>>,
    map: Arc<Map>,
    /// Where the cells of its index lie, and how many they are: they never move.
    cells: (usize, usize),
}

/// A concurrent map of at most `capacity` entries.
///
/// Every operation locks one shard ([`Store::with_all`]: up to 32, in ascending order) and runs
/// the caller's closure under the lock: keep it short and do not call the store from within it.
///
/// A new key on a full shard evicts a cold one; see [`Entry`] for what survives. Which entries are
/// cold is S3-FIFO's judgement (Yang et al., SOSP 2023): keys seen once, as in a flood, evict each
/// other in a tenth of the shard and leave established clients alone. Penalised entries go last,
/// and leave their residue in a ledger with as many places as the store has entries, from which
/// the soonest to expire is dropped when it is full.
///
/// Apart from the entry itself a key takes 16 bytes of header and about 8 of index, ring and
/// ghosts; the latter are allocated at once, entries as they come.
pub struct Store<T: Entry> {
    shards: Box<[Guarded<T>]>,
    capacity: usize,
}

impl<T: Entry> std::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("capacity", &self.capacity).finish_non_exhaustive()
    }
}

/// Spreads keys that a caller numbered by hand; one multiplication (Knuth's multiplicative hash).
#[inline]
fn hash(key: Key) -> u64 {
    key.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<T: Entry> Store<T> {
    /// A store for at most `capacity` entries, but at least [`MAX_KEYS`] + 1.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(MAX_KEYS + 1);
        // Small stores get fewer shards, so that none is tiny; huge ones more, so that slots fit
        // the index.
        let mut count = 1;
        while (count < 64 && capacity / (count * 2) >= 64)
            || capacity.div_ceil(count) >= 1 << index::SLOT_BITS
        {
            count *= 2;
        }
        let share = |i| capacity / count + usize::from(i < capacity % count);
        let guarded = |shard: Shard<T>| {
            let map = shard.map();
            Guarded { shard: Mutex::new(shard), cells: map.cells(), map }
        };
        let shards = (0..count).map(|i| guarded(Shard::new(share(i)))).collect();
        Self { shards, capacity }
    }

    #[inline]
    fn shard_of(&self, key: Key) -> usize {
        (hash(key) >> 24) as usize & (self.shards.len() - 1)
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard<T>> {
        self.shards[shard].shard.lock()
    }

    /// Has the CPU fetch the place of the index where `key` would be. Takes no lock.
    ///
    /// With a million entries every step of [`Store::with`] waits for main memory: index, header,
    /// entry. Who knows the key early asks for the index, does something else, asks where the entry
    /// is ([`Store::near`]), fetches it, does something else, and then waits for nothing. None of
    /// these changes anything or counts as a use.
    #[inline]
    pub fn prefetch_index(&self, key: Key) {
        let (first, len) = self.shards[self.shard_of(key)].cells;
        prefetch(first + index::home(hash(key), len) * size_of::<u32>());
    }

    /// Where the entry of `key` lies, as far as the index alone can tell. Takes no lock.
    #[inline]
    pub fn near(&self, key: Key) -> Option<Near> {
        self.shards[self.shard_of(key)].map.near::<T>(hash(key))
    }

    /// Runs `f` on the entry of `key`, made if absent.
    #[inline]
    pub fn with<R>(&self, key: Key, now: Timestamp, f: impl FnOnce(&mut T) -> R) -> R {
        let mut shard = self.lock(self.shard_of(key));
        let at = shard.slot_of(key, now, &[]);
        f(&mut shard.slot_mut(at).value)
    }

    /// Runs `f` on the entry of `key` if there is one; does not count as a use.
    pub fn read<R>(&self, key: Key, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.lock(self.shard_of(key)).get(key).map(f)
    }

    /// Runs `f` on the entry of `key` if there is one, and lets it change the entry; does not count
    /// as a use.
    pub fn update<R>(&self, key: Key, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut shard = self.lock(self.shard_of(key));
        let at = shard.find(key)?;
        Some(f(&mut shard.slot_mut(at).value))
    }

    /// Runs `f` on the entries of several keys at once, made if absent, with all of them locked.
    ///
    /// The slice has one reference per distinct key, in the order in which the keys first appear;
    /// keys beyond the first [`MAX_KEYS`] distinct ones are left out.
    pub fn with_all<R>(
        &self,
        keys: &[Key],
        now: Timestamp,
        f: impl FnOnce(&mut [&mut T]) -> R,
    ) -> R {
        let mut distinct: SmallVec<[Key; MAX_KEYS]> = SmallVec::new();
        for key in keys {
            if distinct.len() < MAX_KEYS && !distinct.contains(key) {
                distinct.push(*key);
            }
        }
        // (shard, slot, place in the caller's order)
        let mut places: SmallVec<[(usize, u32, usize); MAX_KEYS]> =
            distinct.iter().enumerate().map(|(i, key)| (self.shard_of(*key), 0, i)).collect();
        // One order for all callers: no two can wait for each other.
        places.sort_unstable();
        let mut guards: SmallVec<[MutexGuard<'_, Shard<T>>; MAX_KEYS]> = SmallVec::new();
        for group in places.chunk_by_mut(|a, b| a.0 == b.0) {
            let mut shard = self.lock(group[0].0);
            let mut pinned: SmallVec<[u32; MAX_KEYS]> = SmallVec::new();
            for place in &mut *group {
                place.1 = shard.slot_of(distinct[place.2], now, &pinned);
                pinned.push(place.1);
            }
            group.sort_unstable_by_key(|place| place.1);
            guards.push(shard);
        }
        let mut found: SmallVec<[(usize, &mut T); MAX_KEYS]> = SmallVec::new();
        for (shard, group) in guards.iter_mut().zip(places.chunk_by(|a, b| a.0 == b.0)) {
            let slots: SmallVec<[u32; MAX_KEYS]> = group.iter().map(|place| place.1).collect();
            found.extend(group.iter().map(|place| place.2).zip(shard.slots_mut(&slots)));
        }
        found.sort_unstable_by_key(|(place, _)| *place);
        let mut entries: SmallVec<[&mut T; MAX_KEYS]> =
            found.into_iter().map(|(_, entry)| entry).collect();
        f(&mut entries)
    }

    /// Takes an entry out. A residue in the ledger stays.
    pub fn remove(&self, key: Key) -> Option<T> {
        self.lock(self.shard_of(key)).remove(key)
    }

    /// Entries held now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stats().len
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most entries that the store holds.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// The counts of all shards, each read at its own instant.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut sum = Stats::default();
        for shard in &self.shards {
            let one = shard.shard.lock().stats();
            sum.len += one.len;
            sum.residues += one.residues;
            sum.inserted += one.inserted;
            sum.evicted += one.evicted;
            sum.kept += one.kept;
            sum.restored += one.restored;
        }
        sum
    }

    /// Runs `f` on every entry, one shard locked at a time: for background work.
    pub fn for_each(&self, mut f: impl FnMut(Key, &T)) {
        for shard in &self.shards {
            shard.shard.lock().for_each(&mut f);
        }
    }

    /// Offers the next `per_shard` entries of each shard to `keep`, removes those that it refuses
    /// and drops as many expired residues; returns how many entries were removed. Each call goes
    /// on where the last one stopped.
    pub fn sweep(
        &self,
        now: Timestamp,
        per_shard: usize,
        mut keep: impl FnMut(Key, &T) -> bool,
    ) -> usize {
        self.shards.iter().map(|shard| shard.shard.lock().sweep(now, per_shard, &mut keep)).sum()
    }
}
