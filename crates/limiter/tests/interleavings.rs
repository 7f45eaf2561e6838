//! The store under a scheduler that explores interleavings: its own source, with the lock of the
//! model checker in place of the real one.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::num::NonZeroU32;

use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::thread;
use tidegate_limiter::{Bucket, Cost, Key, Quota, Timestamp, clock, key};

mod sync {
    //! The lock that the scheduler sees.

    pub(crate) use shuttle::sync::MutexGuard;

    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

#[path = "../src/store/mod.rs"]
mod store;

use store::{Entry, Store};

#[derive(Default)]
struct Client(Bucket);

impl Entry for Client {
    type Residue = ();

    fn fresh(_: Key, _: Timestamp, _: Option<()>) -> Self {
        Self::default()
    }

    fn residue(&self, _: Timestamp) -> Option<((), Timestamp)> {
        None
    }
}

const NOW: Timestamp = Timestamp::from_secs(1_000);
const SCHEDULES: usize = 1_000;

fn quota() -> Quota {
    Quota::per_minute(NonZeroU32::new(3).unwrap())
}

#[test]
fn threads_that_exhaust_a_quota_never_over_admit() {
    let run = || {
        let store = Arc::new(Store::<Client>::new(128));
        let admitted = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (store, admitted) = (store.clone(), admitted.clone());
                thread::spawn(move || {
                    for _ in 0..2 {
                        let answer =
                            store.with(Key(1), NOW, |c| c.0.check(&quota(), Cost::ONE, NOW));
                        admitted.fetch_add(u32::from(answer.admitted), Ordering::SeqCst);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(admitted.load(Ordering::SeqCst), 3);
    };
    shuttle::check_pct(run, SCHEDULES, 3);
}

#[test]
fn several_keys_at_once_neither_deadlock_nor_charge_in_part() {
    let run = || {
        // Two shards, and keys of both.
        let store = Arc::new(Store::<Client>::new(128));
        let orders = [[1u64, 2, 3], [3, 2, 1], [2, 3, 1]];
        let threads: Vec<_> = orders
            .into_iter()
            .map(|order| {
                let store = store.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        store.with_all(&order.map(Key), NOW, |clients| {
                            let fits =
                                |c: &&mut Client| c.0.peek(&quota(), Cost::ONE, NOW).admitted;
                            if clients.iter().all(fits) {
                                for client in clients {
                                    client.0.commit(&quota(), Cost::ONE, NOW);
                                }
                            }
                        });
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        for key in 1..=3 {
            assert_eq!(store.read(Key(key), |c| c.0.debt()), Some(Cost::cells(3)));
        }
    };
    shuttle::check_random(run, SCHEDULES);
    shuttle::check_pct(run, SCHEDULES, 3);
}
