//! What fixed limits would have done on the same traffic: the yardstick beside every decision.

use serde::Serialize;
use std::num::NonZeroU32;
use tidegate_engine::Setup;
use tidegate_limiter::{Bucket, Cost, Entry, Key, Quota, Store, Timestamp};

/// The limits that are tried, requests a minute with a burst of as many.
pub const LIMITS: [u32; 10] = [10, 20, 60, 120, 200, 300, 600, 1200, 2400, 6000];

/// Token buckets of every fixed limit, for as many clients as an engine remembers. Beyond that the
/// coldest are forgotten, as a limiter in their place would have to, and count as new.
pub struct StaticLimits {
    quotas: [Quota; LIMITS.len()],
    clients: Store<Buckets>,
    /// What each limit did.
    pub counts: [Counts; LIMITS.len()],
}

/// One client: a token bucket for each limit.
#[derive(Default)]
struct Buckets([Bucket; LIMITS.len()]);

impl Entry for Buckets {
    type Residue = ();

    fn fresh(_key: Key, _now: Timestamp, _residue: Option<()>) -> Self {
        Self::default()
    }

    fn residue(&self, _now: Timestamp) -> Option<((), Timestamp)> {
        None
    }
}

/// What one limit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests of harmless or unlabelled clients.
    pub legitimate: u64,
    /// Of those, denied.
    pub legitimate_denied: u64,
    /// Requests of abusers.
    pub abusive: u64,
    /// Of those, denied.
    pub abusive_denied: u64,
}

impl Counts {
    /// Takes in a request.
    pub fn add(&mut self, abusive: bool, denied: bool) {
        let (all, no) = if abusive {
            (&mut self.abusive, &mut self.abusive_denied)
        } else {
            (&mut self.legitimate, &mut self.legitimate_denied)
        };
        *all += 1;
        *no += u64::from(denied);
    }

    /// Takes in another count.
    pub fn merge(&mut self, other: &Self) {
        self.legitimate += other.legitimate;
        self.legitimate_denied += other.legitimate_denied;
        self.abusive += other.abusive;
        self.abusive_denied += other.abusive_denied;
    }

    /// Share of legitimate requests denied, 0..1.
    #[must_use]
    pub fn harm(&self) -> f64 {
        ratio(self.legitimate_denied, self.legitimate)
    }

    /// Share of abusive requests denied, 0..1.
    #[must_use]
    pub fn caught(&self) -> f64 {
        ratio(self.abusive_denied, self.abusive)
    }
}

/// A share; 0 of nothing.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl Default for StaticLimits {
    fn default() -> Self {
        Self::new(Setup::default().capacity)
    }
}

impl StaticLimits {
    /// Nobody has sent anything yet. At most `capacity` clients are remembered, 340 bytes each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            quotas: LIMITS
                .map(|n| Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN))),
            clients: Store::new(capacity),
            counts: [Counts::default(); LIMITS.len()],
        }
    }

    /// Holds a request against every fixed limit; answers which of them deny it, a bit each.
    pub fn check(&mut self, client: Key, abusive: bool, now: Timestamp) -> u16 {
        let denied = self.clients.with(client, now, |Buckets(buckets)| {
            let each = buckets.iter_mut().zip(&self.quotas).enumerate();
            each.fold(0, |denied, (i, (bucket, quota))| {
                denied | u16::from(!bucket.admit(quota, Cost::ONE, now)) << i
            })
        });
        for (i, counts) in self.counts.iter_mut().enumerate() {
            counts.add(abusive, denied >> i & 1 == 1);
        }
        denied
    }
}

/// The position of the fixed limit that stops most abuse while it denies at most `harm` of
/// legitimate requests; `None` when every one denies more.
#[must_use]
pub fn best(counts: &[Counts; LIMITS.len()], harm: f64) -> Option<usize> {
    (0..LIMITS.len()).filter(|&i| counts[i].harm() <= harm).max_by(|&a, &b| {
        counts[a].caught().total_cmp(&counts[b].caught()).then(LIMITS[a].cmp(&LIMITS[b]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_flood_of_clients_stays_within_the_capacity_and_the_busy_are_remembered() {
        let mut limits = StaticLimits::new(1000);
        let at = |n: u64| Timestamp::from_nanos(1_000_000_000_000 + n * 1_000_000);
        // One client sends as often as all the others together, each of whom sends once.
        for n in 0..100_000 {
            limits.check(Key(u64::MAX), true, at(n));
            limits.check(Key(n), false, at(n));
            assert!(limits.clients.len() <= 1000);
        }
        assert!(limits.counts.iter().all(|counts| counts.legitimate_denied == 0));
        // A thousand a second for 100 s: ten a minute let the burst and one each 6 s pass.
        assert_eq!(limits.counts[0].abusive - limits.counts[0].abusive_denied, 26);
    }

    proptest! {
        /// Below the capacity a bucket is kept for each client.
        #[test]
        fn small_logs_are_counted_exactly(
            log in prop::collection::vec((0u64..50, 0u64..2_000), 1..400)
        ) {
            let mut limits = StaticLimits::new(1000);
            let mut buckets: HashMap<(u64, usize), Bucket> = HashMap::new();
            let mut now = 1_000_000_000_000;
            for (client, millis) in log {
                now += millis * 1_000_000;
                let time = Timestamp::from_nanos(now);
                let denied = limits.check(Key(client), false, time);
                for (i, quota) in limits.quotas.iter().enumerate() {
                    let bucket = buckets.entry((client, i)).or_default();
                    let admitted = bucket.check(quota, Cost::ONE, time).admitted;
                    prop_assert_eq!(denied >> i & 1 == 0, admitted);
                }
            }
        }
    }

    #[test]
    fn the_best_limit_stops_most_within_the_harm() {
        let mut limits = StaticLimits::default();
        let start = Timestamp::from_secs(1000).as_nanos();
        for second in 0..120u64 {
            for i in 0..8 {
                let now = Timestamp::from_nanos(start + second * 1_000_000_000 + i * 100_000_000);
                limits.check(Key(1), true, now);
                if i < 3 {
                    limits.check(Key(2), false, now);
                }
            }
        }
        let best = best(&limits.counts, 0.0).unwrap();
        assert_eq!(LIMITS[best], 200, "180 a minute pass at 200, 480 do not");
        assert!(limits.counts[best].caught() > 0.3);
    }
}
