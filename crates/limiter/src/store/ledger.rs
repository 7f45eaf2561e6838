//! What evicted penalised entries leave behind: bounded, the soonest to expire goes first.

use std::collections::BTreeSet;
use std::hash::{BuildHasherDefault, Hasher};

use hashbrown::HashMap;

use crate::clock::Timestamp;
use crate::key::Key;

/// Residues by key and by expiry. Touched only when a penalised entry is evicted or a new key
/// comes while the ledger is not empty.
#[derive(Debug)]
pub(super) struct Ledger<R> {
    by_key: HashMap<Key, (Timestamp, R), BuildHasherDefault<KeyIsHash>>,
    by_expiry: BTreeSet<(Timestamp, Key)>,
    capacity: usize,
}

impl<R> Ledger<R> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { by_key: HashMap::default(), by_expiry: BTreeSet::new(), capacity }
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Keeps a residue until `expires`; when full, the soonest to expire makes room, which may be
    /// the new one.
    pub(super) fn keep(&mut self, key: Key, residue: R, expires: Timestamp) {
        if let Some((former, _)) = self.by_key.insert(key, (expires, residue)) {
            self.by_expiry.remove(&(former, key));
        }
        self.by_expiry.insert((expires, key));
        if self.by_key.len() > self.capacity
            && let Some((_, soonest)) = self.by_expiry.pop_first()
        {
            self.by_key.remove(&soonest);
        }
    }

    /// Takes a key's residue out, if it has one that has not expired.
    #[inline]
    pub(super) fn take(&mut self, key: Key, now: Timestamp) -> Option<R> {
        if self.by_key.is_empty() {
            return None;
        }
        let (expires, residue) = self.by_key.remove(&key)?;
        self.by_expiry.remove(&(expires, key));
        (expires > now).then_some(residue)
    }

    /// Drops at most `max` expired residues.
    pub(super) fn expire(&mut self, now: Timestamp, max: usize) -> usize {
        for dropped in 0..max {
            match self.by_expiry.first() {
                Some(&(expires, key)) if expires <= now => {
                    self.by_expiry.pop_first();
                    self.by_key.remove(&key);
                }
                _ => return dropped,
            }
        }
        max
    }
}

/// Passes a key through: it is a keyed hash already.
#[derive(Debug, Default)]
pub(super) struct KeyIsHash(u64);

impl Hasher for KeyIsHash {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_drops_the_soonest() {
        let mut ledger = Ledger::new(2);
        for (key, expires) in [(1, 30), (2, 10), (3, 20)] {
            ledger.keep(Key(key), key, Timestamp::from_secs(expires));
        }
        assert_eq!(ledger.len(), 2);
        assert_eq!(ledger.take(Key(2), Timestamp::EPOCH), None);
        assert_eq!(ledger.take(Key(1), Timestamp::EPOCH), Some(1));
        assert_eq!(ledger.take(Key(3), Timestamp::from_secs(20)), None, "expired");
        assert_eq!((ledger.len(), ledger.by_expiry.len()), (0, 0));
    }

    #[test]
    fn a_sweep_takes_only_what_has_expired_and_no_more_than_asked() {
        let mut ledger = Ledger::new(9);
        for key in 0..9 {
            ledger.keep(Key(key), (), Timestamp::from_secs(key));
        }
        assert_eq!(ledger.expire(Timestamp::from_secs(5), 4), 4);
        assert_eq!(ledger.expire(Timestamp::from_secs(5), 4), 2);
        assert_eq!(ledger.len(), 3);
    }
}
