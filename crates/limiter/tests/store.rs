//! What the store promises: its bound, who is evicted, and that a penalty survives.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use tidegate_limiter::store::MAX_KEYS;
use tidegate_limiter::{Bucket, Cost, Entry, Key, Quota, Store, Timestamp};

#[derive(Debug, Default)]
struct Client {
    hits: u32,
    banned_until: Timestamp,
}

impl Entry for Client {
    type Residue = Timestamp;

    fn fresh(_: Key, _: Timestamp, residue: Option<Timestamp>) -> Self {
        Self { hits: 0, banned_until: residue.unwrap_or_default() }
    }

    fn residue(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        (self.banned_until > now).then_some((self.banned_until, self.banned_until))
    }
}

const NOW: Timestamp = Timestamp::from_secs(1_000);
const LATER: Timestamp = Timestamp::from_secs(2_000);

fn ban(store: &Store<Client>, keys: impl Iterator<Item = u64>) {
    for key in keys {
        store.with(Key(key), NOW, |client| client.banned_until = LATER);
    }
}

fn banned(store: &Store<Client>, keys: impl Iterator<Item = u64>) -> usize {
    keys.filter(|key| store.with(Key(*key), NOW, |client| client.banned_until == LATER)).count()
}

#[test]
fn a_flood_of_fifty_times_the_capacity_forgives_nobody() {
    let n = 4096;
    let store = Store::<Client>::new(n);
    ban(&store, 0..n as u64 / 2);
    for key in 0..50 * n as u64 {
        store.with(Key(1_000_000 + key), NOW, |client| client.hits += 1);
        if key % 1024 == 0 {
            assert!(store.len() <= n);
        }
    }
    assert!(store.len() <= n);
    assert!(store.stats().residues <= n);
    assert_eq!(banned(&store, 0..n as u64 / 2), n / 2);
}

#[test]
fn penalties_beyond_the_capacity_are_kept_in_the_ledger_and_restored() {
    let n = 4096;
    let store = Store::<Client>::new(n);
    ban(&store, 0..n as u64 * 3 / 2);
    let stats = store.stats();
    assert!(stats.kept >= n as u64 / 2 && stats.residues <= n, "{stats:?}");
    assert_eq!(banned(&store, 0..n as u64 * 3 / 2), n * 3 / 2);
    assert!(store.stats().restored >= n as u64 / 2);
    ban(&store, 10_000..10_000 + 10 * n as u64);
    let stats = store.stats();
    assert!(stats.len <= n && stats.residues <= n, "{stats:?}");
}

#[test]
fn a_flood_of_keys_seen_once_leaves_established_clients_in_place() {
    let n = 4096;
    let store = Store::<Client>::new(n);
    let regulars = n as u64 / 2;
    for _ in 0..4 {
        for key in 0..regulars {
            store.with(Key(key), NOW, |client| client.hits += 1);
        }
    }
    for key in 0..50 * n as u64 {
        store.with(Key(1_000_000 + key), NOW, |_| ());
    }
    let still = (0..regulars).filter(|key| store.read(Key(*key), |c| c.hits) == Some(4)).count();
    assert!(still as u64 >= regulars * 99 / 100, "{still} of {regulars}");
}

#[test]
fn an_expired_penalty_is_not_restored_and_not_kept() {
    let store = Store::<Client>::new(64);
    ban(&store, 0..128);
    assert!(store.stats().residues > 0);
    store.sweep(LATER, usize::MAX, |_, _| true);
    assert_eq!(store.stats().residues, 0);
}

#[test]
fn with_all_gives_each_distinct_key_once_in_the_order_asked() {
    let store = Store::<Client>::new(9);
    for round in 0..200u64 {
        let keys: Vec<Key> = [7, 3, 7, 1, 9, 3, 8, 2].iter().map(|k| Key(k + round)).collect();
        store.with_all(&keys, NOW, |clients| {
            assert_eq!(clients.len(), 6);
            for (i, client) in clients.iter_mut().enumerate() {
                client.hits = i as u32;
            }
        });
        let hits = |k: u64| store.read(Key(k + round), |client| client.hits);
        for (i, key) in [7, 3, 1, 9, 8, 2].into_iter().enumerate() {
            assert_eq!(hits(key), Some(i as u32), "key {key} in round {round}");
        }
        // A store is never smaller than what is locked at once, and one entry more.
        assert!(store.len() <= MAX_KEYS + 1);
        let most: Vec<Key> = (0..MAX_KEYS as u64).map(|k| Key(k * 7 + round)).collect();
        assert_eq!(store.with_all(&most, NOW, |clients| clients.len()), MAX_KEYS);
        assert!(store.len() <= MAX_KEYS + 1);
    }
}

#[derive(Default)]
struct Metered(Bucket);

impl Entry for Metered {
    type Residue = ();

    fn fresh(_: Key, _: Timestamp, _: Option<()>) -> Self {
        Self::default()
    }

    fn residue(&self, _: Timestamp) -> Option<((), Timestamp)> {
        None
    }
}

#[test]
fn threads_on_one_key_and_on_crossing_keys_never_over_admit() {
    let quota = Quota::per_hour(NonZeroU32::new(500).unwrap());
    let store = Store::<Metered>::new(1 << 14);
    let admitted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (store, admitted) = (&store, &admitted);
            scope.spawn(move || {
                for i in 0..2_000u64 {
                    // Key 1 is in every pair, met from both sides.
                    let other = Key(2 + (i * 7 + thread) % 50);
                    let keys = if thread % 2 == 0 { [Key(1), other] } else { [other, Key(1)] };
                    store.with_all(&keys, NOW, |entries| {
                        let fits = |e: &&mut Metered| e.0.peek(&quota, Cost::ONE, NOW).admitted;
                        if entries.iter().all(fits) {
                            entries.iter_mut().for_each(|e| e.0.commit(&quota, Cost::ONE, NOW));
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                    store.with(Key(0), NOW, |e| e.0.check(&quota, Cost::ONE, NOW));
                }
            });
        }
    });
    assert_eq!(admitted.into_inner(), 500);
    assert_eq!(store.read(Key(0), |e| e.0.debt()), Some(Cost::cells(500)));
    let mut others = 0;
    store.for_each(|key, e| others += if key.0 > 1 { e.0.debt().ceil() } else { 0 });
    assert_eq!(others, 500, "each admitted pair charged both");
}

proptest! {
    /// With room for all keys it is a map.
    #[test]
    fn below_capacity_it_is_a_map(ops in prop::collection::vec((0u8..4, 0u64..300), 1..600)) {
        let store = Store::<Client>::new(1 << 15);
        let mut model = BTreeMap::<u64, u32>::new();
        for (op, key) in ops {
            match op {
                0 => {
                    let removed = store.remove(Key(key)).map(|client| client.hits);
                    prop_assert_eq!(removed, model.remove(&key));
                }
                1 => {
                    let keys = [Key(key), Key(key + 1), Key(key * 2)];
                    store.with_all(&keys, NOW, |clients| {
                        clients.iter_mut().for_each(|client| client.hits += 1);
                    });
                    let mut distinct = vec![key, key + 1, key * 2];
                    distinct.sort_unstable();
                    distinct.dedup();
                    for key in distinct {
                        *model.entry(key).or_default() += 1;
                    }
                }
                _ => {
                    store.with(Key(key), NOW, |client| client.hits += 1);
                    *model.entry(key).or_default() += 1;
                }
            }
        }
        let mut seen = BTreeMap::new();
        store.for_each(|key, client| { seen.insert(key.0, client.hits); });
        prop_assert_eq!(&seen, &model);
        prop_assert_eq!(store.len(), model.len());
        let odd = model.keys().filter(|key| *key % 2 == 1).count();
        prop_assert_eq!(store.sweep(NOW, usize::MAX, |key, _| key.0 % 2 == 0), odd);
        prop_assert_eq!(store.len(), model.len() - odd);
    }

    /// Small, churned, with removals: the bound holds and what was just written is there.
    #[test]
    fn over_capacity_it_is_bounded_and_consistent(
        ops in prop::collection::vec((0u8..8, 0u64..400), 1..800)
    ) {
        let store = Store::<Client>::new(40);
        for (op, key) in ops {
            match op {
                0 => {
                    store.remove(Key(key));
                    prop_assert!(store.read(Key(key), |_| ()).is_none());
                }
                1 => {
                    store.with(Key(key), NOW, |client| client.banned_until = LATER);
                    prop_assert!(store.read(Key(key), |client| client.banned_until) == Some(LATER));
                }
                2 => {
                    let keys: Vec<Key> = (0..8).map(|i| Key(key + i)).collect();
                    let n = store.with_all(&keys, NOW, |clients| clients.len());
                    prop_assert_eq!(n, 8);
                    prop_assert!(keys.iter().all(|key| store.read(*key, |_| ()).is_some()));
                }
                _ => {
                    store.with(Key(key), NOW, |client| client.hits = key as u32);
                    prop_assert_eq!(store.read(Key(key), |client| client.hits), Some(key as u32));
                }
            }
            let mut seen = 0;
            store.for_each(|_, _| seen += 1);
            prop_assert_eq!(seen, store.len());
            prop_assert!(seen <= 40 && store.stats().residues <= 40);
        }
    }
}
