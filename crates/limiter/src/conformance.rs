//! The one suite that every entry of a [`Store`] runs, whichever crate it lives in.
//!
//! For tests alone: behind the feature `conformance`, which other crates turn on for development.

use std::fmt::Debug;

use crate::{Entry, Key, KeyHasher, Store, Timestamp};

/// Entries of the small stores that the suite fills.
const CAPACITY: usize = 1024;
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A kind of entry, as its owner uses it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<T, V> {
    /// Takes in a harmless request.
    pub touch: fn(&mut T, Timestamp),
    /// Puts an entry under penalty; `None` for a kind that knows none.
    pub penalise: Option<fn(&mut T, Timestamp)>,
    /// What its client feels of a penalty at a moment, in whatever form compares.
    pub view: fn(&T, Timestamp) -> V,
}

/// Checks the contract of [`Entry`], alone and in a store.
///
/// # Panics
/// When the entry breaks it.
pub fn run<T: Entry, V: PartialEq + Debug>(subject: &Subject<T, V>) {
    a_fresh_entry_is_neutral(subject);
    a_residue_is_the_penalty(subject);
    random_use_stays_within_bounds(subject);
    a_flood_forgives_nobody(subject);
    penalties_beyond_the_capacity_come_back(subject);
}

/// Keys as a server has them: hashes.
fn key(n: u64) -> Key {
    KeyHasher::new(1, 2).key(0, &n.to_le_bytes())
}

fn fresh<T: Entry>(n: u64) -> T {
    T::fresh(key(n), NOW, None)
}

fn a_fresh_entry_is_neutral<T: Entry, V: PartialEq + Debug>(subject: &Subject<T, V>) {
    let (mut one, other) = (fresh::<T>(1), fresh::<T>(2));
    assert!(one.residue(NOW).is_none(), "a fresh entry is under penalty");
    assert_eq!((subject.view)(&one, NOW), (subject.view)(&other, NOW), "keys start unlike");
    (subject.touch)(&mut one, NOW);
    assert!(one.residue(NOW).is_none(), "one harmless request is a penalty");
}

fn a_residue_is_the_penalty<T: Entry, V: PartialEq + Debug>(subject: &Subject<T, V>) {
    let Some(penalise) = subject.penalise else { return };
    let mut entry = fresh::<T>(1);
    penalise(&mut entry, NOW);
    let view = (subject.view)(&entry, NOW);
    assert_ne!(view, (subject.view)(&fresh(1), NOW), "the penalty is not felt");
    // Evicted again and again: each time it must come back as it was.
    for _ in 0..3 {
        let residue = entry.residue(NOW);
        assert!(residue.is_some(), "a penalty leaves no residue");
        assert!(residue.is_some_and(|(_, expires)| expires > NOW), "the residue has expired");
        entry = T::fresh(key(1), NOW, residue.map(|(residue, _)| residue));
        assert_eq!((subject.view)(&entry, NOW), view, "the penalty changed by eviction");
    }
}

fn random_use_stays_within_bounds<T: Entry, V>(subject: &Subject<T, V>) {
    let store = Store::<T>::new(CAPACITY);
    let noise = KeyHasher::new(3, 4);
    let mut now = NOW;
    for step in 0..40_000u64 {
        let random = noise.key(0, &step.to_le_bytes()).0;
        // Three times as many keys as places, the lower ones more often.
        let n = (random >> 8) % (3 * CAPACITY as u64) * ((random >> 40) % 4) / 3;
        now = Timestamp::from_nanos(now.as_nanos() + (random >> 24) % 50_000_000);
        match (random % 16, subject.penalise) {
            (0, _) => {
                store.remove(key(n));
                assert!(store.read(key(n), |_| ()).is_none(), "removed and still there");
            }
            (1, _) => {
                let keys: [Key; 4] = std::array::from_fn(|i| key(n + i as u64));
                store.with_all(&keys, now, |entries| {
                    assert_eq!(entries.len(), 4);
                    entries.iter_mut().for_each(|entry| (subject.touch)(entry, now));
                });
                assert!(keys.iter().all(|key| store.read(*key, |_| ()).is_some()));
            }
            (2, _) => {
                store.update(key(n), |entry| (subject.touch)(entry, now));
            }
            (3 | 4, Some(penalise)) => store.with(key(n), now, |entry| penalise(entry, now)),
            (5, _) if step % 64 == 0 => {
                store.sweep(now, 4, |key, _| key.0 % 8 != 0);
            }
            _ => {
                store.with(key(n), now, |entry| (subject.touch)(entry, now));
                assert!(store.read(key(n), |_| ()).is_some(), "made and not there");
            }
        }
        let stats = store.stats();
        assert!(stats.len <= CAPACITY && stats.residues <= CAPACITY, "{stats:?} in step {step}");
        assert!(subject.penalise.is_some() || stats.kept == 0, "residues of what knows no penalty");
    }
    let mut held = 0;
    store.for_each(|_, _| held += 1);
    assert_eq!((held, store.len()), (CAPACITY, CAPACITY), "the store was never full");
}

fn a_flood_forgives_nobody<T: Entry, V: PartialEq + Debug>(subject: &Subject<T, V>) {
    let store = Store::<T>::new(CAPACITY);
    let penalised = if subject.penalise.is_some() { CAPACITY as u64 / 2 } else { 0 };
    let before = penalties(subject, &store, penalised);
    let flood = 50 * CAPACITY as u64;
    for n in penalised..penalised + flood {
        store.with(key(n), NOW, |entry| (subject.touch)(entry, NOW));
    }
    assert!(store.len() <= CAPACITY, "{} entries", store.len());
    assert!(store.stats().evicted >= flood - CAPACITY as u64);
    assert_unforgiven(subject, &store, &before);
}

fn penalties_beyond_the_capacity_come_back<T: Entry, V: PartialEq + Debug>(
    subject: &Subject<T, V>,
) {
    if subject.penalise.is_none() {
        return;
    }
    let store = Store::<T>::new(CAPACITY);
    let before = penalties(subject, &store, CAPACITY as u64 * 3 / 2);
    let stats = store.stats();
    assert!(stats.len <= CAPACITY && stats.residues >= CAPACITY / 2, "{stats:?}");
    assert_unforgiven(subject, &store, &before);
    assert!(store.stats().restored > 0);
}

/// Puts the first `count` keys under penalty; answers what each of them feels of it.
fn penalties<T: Entry, V>(subject: &Subject<T, V>, store: &Store<T>, count: u64) -> Vec<V> {
    let Some(penalise) = subject.penalise else { return Vec::new() };
    let one = |n| {
        store.with(key(n), NOW, |entry| {
            penalise(entry, NOW);
            (subject.view)(entry, NOW)
        })
    };
    (0..count).map(one).collect()
}

fn assert_unforgiven<T: Entry, V: PartialEq + Debug>(
    subject: &Subject<T, V>,
    store: &Store<T>,
    before: &[V],
) {
    for (n, view) in (0u64..).zip(before) {
        let now = store.with(key(n), NOW, |entry| (subject.view)(entry, NOW));
        assert_eq!(now, *view, "the penalty of key {n} changed by eviction");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cost, Limit, LimitState, Quota};
    use std::num::NonZeroU32;

    /// The simplest entry with a penalty.
    struct Banned(Timestamp);

    impl Entry for Banned {
        type Residue = Timestamp;

        fn fresh(_: Key, _: Timestamp, residue: Option<Timestamp>) -> Self {
            Self(residue.unwrap_or_default())
        }

        fn residue(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
            (self.0 > now).then_some((self.0, self.0))
        }
    }

    /// The simplest one without.
    struct Limited(LimitState);

    impl Entry for Limited {
        type Residue = ();

        fn fresh(_: Key, _: Timestamp, _: Option<()>) -> Self {
            Self(LimitState::default())
        }

        fn residue(&self, _: Timestamp) -> Option<((), Timestamp)> {
            None
        }
    }

    #[test]
    fn a_ban_conforms() {
        run(&Subject::<Banned, _> {
            touch: |_, _| (),
            penalise: Some(|entry, now| entry.0 = Timestamp::from_secs(now.as_secs() + 60)),
            view: |entry, now| entry.0.since(now),
        });
    }

    #[test]
    fn a_limit_conforms() {
        let view = |entry: &Limited, _| entry.0.debt();
        let touch = |entry: &mut Limited, now| {
            let limit = Limit::TokenBucket(Quota::per_minute(NonZeroU32::MIN));
            entry.0.check(&limit, Cost::ONE, now);
        };
        run(&Subject { touch, penalise: None, view });
    }

    /// The suite must notice: a ban whose eviction halves it.
    #[test]
    #[should_panic(expected = "the penalty changed by eviction")]
    fn a_penalty_that_shrinks_does_not_conform() {
        struct Shrinking(u64);
        impl Entry for Shrinking {
            type Residue = u64;
            fn fresh(_: Key, _: Timestamp, residue: Option<u64>) -> Self {
                Self(residue.unwrap_or(0))
            }
            fn residue(&self, now: Timestamp) -> Option<(u64, Timestamp)> {
                (self.0 > 0).then_some((self.0 / 2, Timestamp::from_secs(now.as_secs() + 60)))
            }
        }
        run(&Subject::<Shrinking, _> {
            touch: |_, _| (),
            penalise: Some(|entry, _| entry.0 = 8),
            view: |entry, _| entry.0,
        });
    }
}
