//! One bucket alone, and a keyed check among a million clients, beside governor in the same run.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tidegate_limiter::{
    Bucket, Clock, Cost, Entry, Key, KeyHasher, Quota, Store, SystemClock, Timestamp,
};

const CLIENTS: u64 = 1_000_000;

/// As large as a client's whole profile.
#[repr(C)]
struct Client {
    bucket: Bucket,
    _profile: [u64; 36],
}

impl Entry for Client {
    type Residue = ();

    fn fresh(_: Key, _: Timestamp, _: Option<()>) -> Self {
        Self { bucket: Bucket::default(), _profile: [0; 36] }
    }

    fn residue(&self, _: Timestamp) -> Option<((), Timestamp)> {
        None
    }
}

/// A cheap walk over the clients in no order that a prefetcher could follow.
fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % CLIENTS
}

fn benches(c: &mut Criterion) {
    let hundred = NonZeroU32::MIN.saturating_add(99);
    let quota = Quota::per_second(hundred);

    c.bench_function("bucket/admit", |b| {
        let (mut bucket, mut now) = (Bucket::default(), 1_700_000_000_000_000_000);
        b.iter(|| {
            now += 20_000_000;
            bucket.check(black_box(&quota), Cost::ONE, Timestamp::from_nanos(now)).admitted
        });
    });
    c.bench_function("bucket/deny", |b| {
        let (mut bucket, mut now) = (Bucket::default(), 1_700_000_000_000_000_000);
        b.iter(|| {
            now += 100;
            bucket.check(black_box(&quota), Cost::ONE, Timestamp::from_nanos(now)).admitted
        });
    });

    let clock = SystemClock::new();
    let hasher = KeyHasher::new(1, 2);
    let keys: Vec<Key> = (0..CLIENTS).map(|n| hasher.key(0, &n.to_le_bytes())).collect();
    let store = Store::<Client>::new(CLIENTS as usize * 5 / 4);
    let small = Store::<Client>::new(1024);
    let governor = governor::RateLimiter::dashmap(governor::Quota::per_second(hundred));
    for key in &keys {
        store.with(*key, clock.now(), |client| client.bucket.check(&quota, Cost::ONE, clock.now()));
        let _ = governor.check_key(&key.0);
    }
    c.bench_function("store/one hot key", |b| {
        b.iter(|| {
            let now = clock.now();
            small.with(keys[0], now, |c| c.bucket.check(&quota, Cost::ONE, now).admitted)
        });
    });
    c.bench_function("store/1M clients of 320 bytes", |b| {
        let mut state = 1;
        b.iter(|| {
            let now = clock.now();
            let key = keys[step(&mut state) as usize];
            store.with(key, now, |c| c.bucket.check(&quota, Cost::ONE, now).admitted)
        });
    });
    c.bench_function("store/1M clients, three keys at once", |b| {
        let mut state = 1;
        b.iter(|| {
            let now = clock.now();
            let three = [(); 3].map(|()| keys[step(&mut state) as usize]);
            store.with_all(&three, now, |clients| {
                clients.iter_mut().all(|c| c.bucket.check(&quota, Cost::ONE, now).admitted)
            })
        });
    });
    c.bench_function("governor/1M clients", |b| {
        let mut state = 1;
        b.iter(|| governor.check_key(&keys[step(&mut state) as usize].0).is_ok());
    });
}

criterion_group! {
    name = limiter;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = benches
}
criterion_main!(limiter);
