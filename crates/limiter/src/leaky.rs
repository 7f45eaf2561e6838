//! The leaky bucket as a shaper: a request over the rate waits its turn, up to a bound.

use std::time::Duration;

use crate::bucket::{Admission, Bucket};
use crate::clock::Timestamp;
use crate::quota::{Cost, Quota};

/// A leaky bucket used as a queue (Turner, "New directions in communications", IEEE
/// Communications Magazine, 1986): requests leave at the rate of the quota, and the caller holds
/// each back by [`Admission::wait`].
///
/// It is a token bucket that lends against the future: what a [`Bucket`] would deny for a time of
/// at most `max_wait` is admitted now and waits that time. The quota's burst passes without
/// waiting, so a burst of 1 spaces requests evenly. Quota changes carry over as in [`Bucket`];
/// waits already handed out are not revised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeakyBucket(pub(crate) Bucket);

impl LeakyBucket {
    /// What a request of this cost would be answered. Changes nothing.
    #[must_use]
    pub fn peek(&self, quota: &Quota, max_wait: Duration, cost: Cost, now: Timestamp) -> Admission {
        let admission = self.0.peek(quota, cost, now);
        if admission.admitted || admission.retry_after == Duration::MAX {
            return admission;
        }
        let wait = admission.retry_after;
        if wait > max_wait {
            return Admission { retry_after: wait - max_wait, ..admission };
        }
        let reset_after = wait.max(admission.reset_after);
        Admission { admitted: true, retry_after: Duration::ZERO, reset_after, wait, ..admission }
    }

    /// Answers a request and queues it if it is admitted.
    pub fn check(
        &mut self,
        quota: &Quota,
        max_wait: Duration,
        cost: Cost,
        now: Timestamp,
    ) -> Admission {
        let admission = self.peek(quota, max_wait, cost, now);
        if admission.admitted {
            self.commit(quota, cost, now);
        } else {
            self.0.settle(quota, now);
        }
        admission
    }

    /// Queues a request that was peeked at.
    pub fn commit(&mut self, quota: &Quota, cost: Cost, now: Timestamp) {
        self.0.commit(quota, cost, now);
    }

    /// Gives cells back.
    pub fn drain(&mut self, cells: Cost) {
        self.0.drain(cells);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_leave_evenly_and_the_queue_is_bounded() {
        let quota = Quota::new(10, Duration::from_secs(1), 1).unwrap();
        let max_wait = Duration::from_millis(250);
        let now = Timestamp::from_secs(1);
        let mut leaky = LeakyBucket::default();
        for wait in [0, 100, 200] {
            let admission = leaky.check(&quota, max_wait, Cost::ONE, now);
            assert!(admission.admitted);
            assert_eq!(admission.wait, Duration::from_millis(wait));
        }
        let denied = leaky.check(&quota, max_wait, Cost::ONE, now);
        assert!(!denied.admitted);
        assert_eq!(denied.retry_after, Duration::from_millis(50));
        let later = now.plus(denied.retry_after);
        assert_eq!(leaky.check(&quota, max_wait, Cost::ONE, later).wait, max_wait);
    }

    #[test]
    fn a_cost_above_the_burst_never_passes() {
        let quota = Quota::new(10, Duration::from_secs(1), 1).unwrap();
        let denied =
            LeakyBucket::default().check(&quota, Duration::MAX, Cost::cells(2), Timestamp::EPOCH);
        assert!(!denied.admitted);
        assert_eq!(denied.retry_after, Duration::MAX);
    }
}
