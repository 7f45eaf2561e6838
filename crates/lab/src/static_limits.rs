//! What fixed limits would have done on the same traffic: the yardstick beside every decision.

use std::collections::HashMap;
use std::num::NonZeroU32;
use tidegate_limiter::{Bucket, Cost, Key, Quota, Timestamp};

/// The limits that are tried, requests a minute with a burst of as many.
pub const LIMITS: [u32; 10] = [10, 20, 60, 120, 200, 300, 600, 1200, 2400, 6000];

/// Token buckets of every fixed limit, for each client.
pub struct StaticLimits {
    quotas: [Quota; LIMITS.len()],
    buckets: HashMap<Key, [Bucket; LIMITS.len()], foldhash::fast::FixedState>,
    /// What each limit did.
    pub counts: [Counts; LIMITS.len()],
}

/// What one limit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
        Self {
            quotas: LIMITS
                .map(|n| Quota::per_minute(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN))),
            buckets: HashMap::default(),
            counts: [Counts::default(); LIMITS.len()],
        }
    }
}

impl StaticLimits {
    /// Holds a request against every fixed limit; answers which of them deny it, a bit each.
    pub fn check(&mut self, client: Key, abusive: bool, now: Timestamp) -> u16 {
        let buckets = self.buckets.entry(client).or_default();
        let mut denied = 0;
        for (i, (bucket, quota)) in buckets.iter_mut().zip(&self.quotas).enumerate() {
            let no = !bucket.check(quota, Cost::ONE, now).admitted;
            self.counts[i].add(abusive, no);
            denied |= u16::from(no) << i;
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
