//! The token bucket, kept as debt in cells, under a quota that may change at every check.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::quota::{CELL, Cost, Quota};

/// The answer of one limit to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether the request may pass.
    pub admitted: bool,
    /// The number on the wire: burst, cells per window or permits.
    pub limit: u32,
    /// Whole cells that could still be admitted at this instant, after this request if it passed.
    pub remaining: u32,
    /// How long until the same request would pass if nothing else came (never too short; late by
    /// at most the rounding of the state, 2⁻³² cell); zero if it passed, and [`Duration::MAX`] if
    /// it costs more than this limit ever admits at once.
    pub retry_after: Duration,
    /// How long until nothing of what was admitted counts any more.
    pub reset_after: Duration,
    /// How long the caller must hold an admitted request back (shaping; otherwise zero).
    pub wait: Duration,
}

impl Admission {
    /// The answer where no limit applies.
    pub const UNLIMITED: Self = Self {
        admitted: true,
        limit: u32::MAX,
        remaining: u32::MAX,
        retry_after: Duration::ZERO,
        reset_after: Duration::ZERO,
        wait: Duration::ZERO,
    };

    /// `retry_after` for the HTTP header `Retry-After` (RFC 9110, section 10.2.3): whole seconds,
    /// rounded up, never 0; `u64::MAX` when there is no use in retrying.
    #[must_use]
    pub const fn retry_after_secs(&self) -> u64 {
        let secs = self.retry_after.as_secs();
        let up = if self.retry_after.subsec_nanos() > 0 { secs.saturating_add(1) } else { secs };
        if up == 0 { 1 } else { up }
    }
}

/// Nanoseconds as a duration, with the saturated value standing for never.
pub(crate) const fn duration(nanos: u64) -> Duration {
    if nanos == u64::MAX { Duration::MAX } else { Duration::from_nanos(nanos) }
}

/// Whole cells in `units`.
#[inline]
pub(crate) const fn whole(units: u64) -> u32 {
    (units >> 32) as u32
}

/// A token bucket (the generic cell rate algorithm, ITU-T I.371 annex A, in its continuous-state
/// leaky-bucket form), whose state is a debt in cells and not a theoretical arrival time.
///
/// The quota is an argument of every check and may change between any two:
///
/// * **Debt carries over in cells.** The time since the last check drains at the quota of *this*
///   check. Ten cells owed at 100 a minute are ten cells owed at 10 a minute: the next one passes
///   after 6 s. Raised the other way, after 0.6 s.
/// * **A smaller burst applies at once.** A debt above it has to drain first.
/// * **A burst raised by n grants n × the elapsed share of the period**, the period being the time
///   in which the new quota refills its burst: nothing at the instant of the raise, all after a
///   full period. The raise counts from the last check, the latest moment at which the former
///   quota was in force. A second raise begins a new period from the capacity reached so far.
/// * **Cutting never grants**, and a quota that alternates grants no more than the highest of them
///   held all the time, and no less than the lowest.
/// * **A denied check charges nothing**, and the same check at the same time gets the same answer.
///   It does settle the time passed at the quota then in force, so that a later raise does not
///   reach back over a denial. Where the time of a cell is no whole number of nanoseconds, that
///   delays the client by less than a nanosecond per cell.
///
/// Under one quota, any window of length w admits at most burst + rate × w.
///
/// Time is in nanoseconds and may run backwards: that drains nothing. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Cells not yet drained at `updated`, 32.32.
    debt: u64,
    /// The capacity in force at `updated`, 32.32; below `target` while a raise is being granted.
    capacity: u64,
    updated: u64,
    /// The burst that `capacity` grows to, in cells; 0 marks a bucket never used.
    target: u32,
    /// What is left of the period of a raise, as a fraction of 2³²; 0 when none is under way.
    ramp: u32,
}

impl Bucket {
    /// What a request of this cost would be answered. Changes nothing.
    #[must_use]
    #[inline]
    pub fn peek(&self, quota: &Quota, cost: Cost, now: Timestamp) -> Admission {
        self.at(quota, now).answer(quota, cost)
    }

    /// Answers a request and charges it if it is admitted.
    #[inline]
    pub fn check(&mut self, quota: &Quota, cost: Cost, now: Timestamp) -> Admission {
        let current = self.at(quota, now);
        let admission = current.answer(quota, cost);
        if admission.admitted {
            *self = current;
            self.debt = self.debt.saturating_add(cost.units());
        } else {
            self.settle(quota, now);
        }
        admission
    }

    /// Does what [`Bucket::check`] does, and answers only whether the request is admitted: for those
    /// who hold many requests against many quotas, where the rest of an answer costs most.
    #[inline]
    pub fn admit(&mut self, quota: &Quota, cost: Cost, now: Timestamp) -> bool {
        let current = self.at(quota, now);
        let owed = current.debt.saturating_add(cost.units());
        if owed <= current.capacity {
            *self = Self { debt: owed, ..current };
            true
        } else {
            self.settle(quota, now);
            false
        }
    }

    /// Charges a request whether or not it fits: the second half of a check that was peeked at.
    #[inline]
    pub fn commit(&mut self, quota: &Quota, cost: Cost, now: Timestamp) {
        *self = self.at(quota, now);
        self.debt = self.debt.saturating_add(cost.units());
    }

    /// Drains the time passed at this quota, without a request.
    ///
    /// Settles in steps that need no rounding, so that however often it is called nothing is lost;
    /// less than a step (at most one cell, usually 1/256) stays for the next check.
    #[inline]
    pub fn settle(&mut self, quota: &Quota, now: Timestamp) {
        if self.target == 0 {
            return;
        }
        let (time, units) = quota.settled(now.as_nanos().saturating_sub(self.updated));
        if time > 0 || self.target != quota.burst().get() {
            *self = self.after(quota, units, self.updated + time);
        }
    }

    /// Gives cells back, such as those of a request that was admitted and then not served.
    pub fn drain(&mut self, cells: Cost) {
        self.debt = self.debt.saturating_sub(cells.units());
    }

    /// Forgets everything: the bucket is as never used.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The debt as of the last check that moved it; it can only have shrunk since.
    #[must_use]
    pub const fn debt(&self) -> Cost {
        Cost::from_units(self.debt)
    }

    /// A bucket that already owes `debt` at `now`, bounded by the quota's burst.
    pub(crate) fn owing(debt: Cost, quota: &Quota, now: Timestamp) -> Self {
        let mut bucket = Self::default().at(quota, now);
        bucket.debt = debt.units().min(bucket.capacity);
        bucket
    }

    /// The bucket brought forward to `now` under `quota`.
    #[inline]
    fn at(&self, quota: &Quota, now: Timestamp) -> Self {
        let now = now.as_nanos().max(self.updated);
        self.after(quota, quota.drained(now - self.updated), now)
    }

    /// The bucket after `drained` units under `quota`, at `updated`.
    #[inline]
    fn after(&self, quota: &Quota, drained: u64, updated: u64) -> Self {
        let burst = quota.burst().get();
        let full = quota.capacity();
        let debt = self.debt.saturating_sub(drained);
        if self.target == 0 || full <= self.capacity {
            return Self { debt, capacity: full, updated, target: burst, ramp: 0 };
        }
        let left = if burst > self.target { u32::MAX } else { self.ramp };
        // The share of the period that has passed is the share of the burst that has drained.
        let share = drained / u64::from(burst);
        if share >= u64::from(left) {
            return Self { debt, capacity: full, updated, target: burst, ramp: 0 };
        }
        // The growth is aimed at the end of the period, so what rounding holds back here is
        // granted by the steeper slope of the next check.
        let part = (share << 32) / u64::from(left);
        let growth = ((u128::from(full - self.capacity) * u128::from(part)) >> 32) as u64;
        let ramp = left - share as u32;
        Self { debt, capacity: self.capacity + growth, updated, target: burst, ramp }
    }

    #[inline]
    fn answer(&self, quota: &Quota, cost: Cost) -> Admission {
        let owed = self.debt.saturating_add(cost.units());
        let admitted = owed <= self.capacity;
        let after = if admitted { owed } else { self.debt };
        let retry = if admitted { 0 } else { self.retry(quota, cost.units(), owed) };
        Admission {
            admitted,
            limit: quota.burst().get(),
            remaining: whole(self.capacity.saturating_sub(after)),
            retry_after: duration(retry),
            reset_after: duration(quota.time_to_drain(after)),
            wait: Duration::ZERO,
        }
    }

    /// Nanoseconds until `cost` fits.
    #[cold]
    fn retry(&self, quota: &Quota, cost: u64, owed: u64) -> u64 {
        let full = quota.capacity();
        if cost > full {
            return u64::MAX;
        }
        if self.ramp == 0 {
            return quota.time_to_drain(owed - self.capacity);
        }
        // While a raise is granted, debt falls by `d` and capacity grows by `d × gap / span`, for
        // every `d` units drained, until `span` have drained.
        let span = u128::from(quota.burst().get()) * u128::from(self.ramp);
        let gap = u128::from(full - self.capacity);
        let short = u128::from(owed - self.capacity);
        let both = (short * (span >> 8)).div_ceil(((span + gap) >> 8).max(1)) + 1;
        let room = u128::from(cost.saturating_sub(self.capacity));
        let alone = (room * (span >> 8)).div_ceil((gap >> 8).max(1));
        let need = both.max(alone);
        // Past the end of the period only the debt is in the way.
        let need = if need > span { u128::from(owed - full.min(owed)).max(span) } else { need };
        quota.time_to_drain(u64::try_from(need + u128::from(CELL >> 16)).unwrap_or(u64::MAX))
    }
}
