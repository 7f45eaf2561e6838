//! The concurrency limit: requests in flight, with a lease on each so that a lost one expires.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::bucket::{Admission, duration, whole};
use crate::clock::Timestamp;
use crate::quota::Cost;

/// Cells in flight, in two generations.
///
/// A permit is released by the time it was taken. One that never is (its worker died) expires with
/// its generation, between one and two leases after it was taken: two counters stand for any
/// number of permits, as in the generational expiry of timing wheels (Varghese and Lauck, SOSP
/// 1987). A release after expiry is recognised by its time and ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concurrency {
    /// When the newer generation began; the older one began at `older_start`.
    start: u64,
    older_start: u64,
    newer: u64,
    older: u64,
}

impl Concurrency {
    /// What a request of this cost would be answered. Changes nothing.
    ///
    /// `retry_after` is an upper bound, the time at which permits in flight expire: a release may
    /// come at any time before.
    #[must_use]
    pub fn peek(&self, max: NonZeroU32, lease: Duration, cost: Cost, now: Timestamp) -> Admission {
        let at = self.at(lease, now);
        let capacity = u64::from(max.get()) << 32;
        let used = at.in_flight().units();
        let owed = used.saturating_add(cost.units());
        let admitted = owed <= capacity;
        let turn = at.start.saturating_add(nanos(lease)).saturating_sub(now.as_nanos());
        let last = turn.saturating_add(nanos(lease));
        let retry = if admitted {
            0
        } else if cost.units() > capacity {
            u64::MAX
        } else if at.newer.saturating_add(cost.units()) <= capacity {
            turn
        } else {
            last
        };
        let reset = match (at.newer, at.older) {
            (0, 0) if !admitted || cost == Cost::ZERO => 0,
            (0, _) if !admitted => turn,
            _ => last,
        };
        Admission {
            admitted,
            limit: max.get(),
            remaining: whole(capacity.saturating_sub(if admitted { owed } else { used })),
            retry_after: duration(retry),
            reset_after: duration(reset),
            wait: Duration::ZERO,
        }
    }

    /// Answers a request and takes its permits if it is admitted.
    pub fn check(
        &mut self,
        max: NonZeroU32,
        lease: Duration,
        cost: Cost,
        now: Timestamp,
    ) -> Admission {
        let admission = self.peek(max, lease, cost, now);
        if admission.admitted {
            self.commit(lease, cost, now);
        }
        admission
    }

    /// Takes the permits of a request that was peeked at.
    pub fn commit(&mut self, lease: Duration, cost: Cost, now: Timestamp) {
        *self = self.at(lease, now);
        self.newer = self.newer.saturating_add(cost.units());
    }

    /// Gives back the permits of a request that was admitted at `taken`.
    pub fn release(&mut self, cost: Cost, taken: Timestamp) {
        if taken.as_nanos() >= self.start {
            self.newer = self.newer.saturating_sub(cost.units());
        } else if taken.as_nanos() >= self.older_start {
            self.older = self.older.saturating_sub(cost.units());
        }
    }

    /// Cells in flight as of the last check.
    #[must_use]
    pub const fn in_flight(&self) -> Cost {
        Cost::from_units(self.newer.saturating_add(self.older))
    }

    /// The generations that hold at `now`.
    fn at(&self, lease: Duration, now: Timestamp) -> Self {
        let (now, lease) = (now.as_nanos(), nanos(lease));
        let age = now.saturating_sub(self.start);
        if age < lease {
            *self
        } else if age - lease < lease {
            Self { start: self.start + lease, older_start: self.start, newer: 0, older: self.newer }
        } else {
            Self { start: now, older_start: now, newer: 0, older: 0 }
        }
    }
}

/// A lease in nanoseconds, at least 1.
fn nanos(lease: Duration) -> u64 {
    u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(10);
    const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();

    #[test]
    fn a_release_makes_room_and_a_lost_permit_expires() {
        let mut limit = Concurrency::default();
        let start = Timestamp::from_secs(100);
        assert!(limit.check(TWO, LEASE, Cost::ONE, start).admitted);
        assert!(limit.check(TWO, LEASE, Cost::ONE, start).admitted);
        let denied = limit.check(TWO, LEASE, Cost::ONE, start);
        assert!(!denied.admitted);
        limit.release(Cost::ONE, start);
        assert!(limit.check(TWO, LEASE, Cost::ONE, start).admitted);
        let held = start.plus(Duration::from_secs(9));
        assert!(!limit.peek(TWO, LEASE, Cost::ONE, held).admitted);
        assert!(limit.check(TWO, LEASE, Cost::ONE, start.plus(denied.retry_after)).admitted);
    }

    #[test]
    fn a_release_after_expiry_frees_nobody_elses_permit() {
        let mut limit = Concurrency::default();
        let old = Timestamp::from_secs(100);
        assert!(limit.check(TWO, LEASE, Cost::cells(2), old).admitted);
        let later = Timestamp::from_secs(130);
        assert!(limit.check(TWO, LEASE, Cost::cells(2), later).admitted);
        limit.release(Cost::cells(2), old);
        assert_eq!(limit.in_flight(), Cost::cells(2));
        assert!(!limit.check(TWO, LEASE, Cost::ONE, later).admitted);
    }

    #[test]
    fn more_than_the_maximum_never_passes() {
        let limit = Concurrency::default();
        let denied = limit.peek(TWO, LEASE, Cost::cells(3), Timestamp::EPOCH);
        assert_eq!(denied.retry_after, Duration::MAX);
    }
}
