//! The sliding window counter: two sub-windows, the former one weighted.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::bucket::{Admission, duration, whole};
use crate::clock::Timestamp;
use crate::quota::{Cost, QuotaError, Ratio};

/// At most so many cells in any window of a length, by estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    cells: NonZeroU32,
    length: u64,
    /// A nanosecond's weight, as a fraction of 2³² per window, rounded up.
    weight: Ratio,
}

impl Window {
    /// `cells` in every window of `length`.
    ///
    /// # Errors
    /// When either is zero, or the window is longer than 584 years.
    pub fn new(cells: u32, length: Duration) -> Result<Self, QuotaError> {
        let cells = NonZeroU32::new(cells).ok_or(QuotaError::NoCells)?;
        match u64::try_from(length.as_nanos()) {
            Ok(nanos) if nanos > 0 => {
                Ok(Self { cells, length: nanos, weight: Ratio::new(1 << 32, nanos, true) })
            }
            _ => Err(QuotaError::Period(length)),
        }
    }

    /// Cells per window.
    #[must_use]
    pub const fn cells(&self) -> NonZeroU32 {
        self.cells
    }

    /// The length of the window.
    #[must_use]
    pub const fn length(&self) -> Duration {
        Duration::from_nanos(self.length)
    }

    const fn capacity(&self) -> u64 {
        (self.cells.get() as u64) << 32
    }
}

/// A sliding window counter (Desgats, "How we built rate limiting capable of scaling to millions of
/// domains", Cloudflare, 2017): the estimate is the count of the current sub-window plus that of
/// the former one, weighted by the part of it that the window still covers.
///
/// The estimate takes the former count for evenly spread. It is exact when that holds; at worst,
/// when all of it came at its end, a window admits up to twice the limit and never more. The
/// source measured 0.003 % of 400 million requests wrongly decided.
///
/// Counts are cells, so the limit may change between any two checks: a smaller one denies until
/// the estimate has fallen below it. When the length changes, the running sub-window ends by the
/// new length and the former count is weighted over the new length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlidingWindow {
    start: u64,
    former: u64,
    current: u64,
}

impl SlidingWindow {
    /// What a request of this cost would be answered. Changes nothing.
    #[must_use]
    pub fn peek(&self, window: &Window, cost: Cost, now: Timestamp) -> Admission {
        let at = self.at(window, now);
        let elapsed = now.as_nanos().saturating_sub(at.start);
        let owed = at.estimate(window, elapsed).saturating_add(cost.units());
        let admitted = owed <= window.capacity();
        let used = if admitted { owed } else { owed - cost.units() };
        let rest = window.length - elapsed;
        let current = if admitted { at.current.saturating_add(cost.units()) } else { at.current };
        let reset = match (current, at.former) {
            (0, 0) => 0,
            (0, _) => rest,
            _ => rest.saturating_add(window.length),
        };
        Admission {
            admitted,
            limit: window.cells.get(),
            remaining: whole(window.capacity().saturating_sub(used)),
            retry_after: duration(if admitted { 0 } else { at.retry(window, cost, elapsed) }),
            reset_after: duration(reset),
            wait: Duration::ZERO,
        }
    }

    /// Answers a request and counts it if it is admitted.
    pub fn check(&mut self, window: &Window, cost: Cost, now: Timestamp) -> Admission {
        let admission = self.peek(window, cost, now);
        if admission.admitted {
            self.commit(window, cost, now);
        }
        admission
    }

    /// Counts a request that was peeked at.
    pub fn commit(&mut self, window: &Window, cost: Cost, now: Timestamp) {
        *self = self.at(window, now);
        self.current = self.current.saturating_add(cost.units());
    }

    /// Gives cells back, those of the current sub-window first.
    pub fn drain(&mut self, cells: Cost) {
        let rest = cells.units().saturating_sub(self.current);
        self.current = self.current.saturating_sub(cells.units());
        self.former = self.former.saturating_sub(rest);
    }

    /// The most that can be counted against a request: both sub-windows in full.
    pub(crate) const fn debt(&self) -> Cost {
        Cost::from_units(self.former.saturating_add(self.current))
    }

    /// A window in which `debt` was counted at `now`.
    pub(crate) fn owing(debt: Cost, window: &Window, now: Timestamp) -> Self {
        Self { start: now.as_nanos(), former: 0, current: debt.units().min(window.capacity()) }
    }

    /// The state with the sub-windows that hold at `now`; `now - start` is below the length.
    fn at(&self, window: &Window, now: Timestamp) -> Self {
        let elapsed = now.as_nanos().saturating_sub(self.start);
        if elapsed < window.length {
            *self
        } else if elapsed - window.length < window.length {
            Self { start: self.start + window.length, former: self.current, current: 0 }
        } else {
            Self { start: now.as_nanos(), former: 0, current: 0 }
        }
    }

    fn estimate(&self, window: &Window, elapsed: u64) -> u64 {
        let weight = window.weight.ceil(window.length - elapsed).min(1 << 32);
        let former = ((u128::from(self.former) * u128::from(weight)) >> 32) as u64;
        former.saturating_add(self.current)
    }

    /// Nanoseconds until the estimate leaves room for `cost`.
    #[cold]
    fn retry(&self, window: &Window, cost: Cost, elapsed: u64) -> u64 {
        let Some(room) = window.capacity().checked_sub(cost.units()) else { return u64::MAX };
        // The time into a sub-window at which `count` of the one before it weighs `room` or less,
        // and one part in 2³¹ more for the rounding of the weight.
        let fades = |count: u64, room: u64| {
            let excess = u128::from(count.saturating_sub(room));
            let nanos = (excess * u128::from(window.length)).div_ceil(u128::from(count.max(1)));
            (nanos as u64).saturating_add((window.length >> 31) + 1).min(window.length)
        };
        match room.checked_sub(self.current) {
            Some(room) => fades(self.former, room).saturating_sub(elapsed),
            None => {
                let rest = window.length - elapsed;
                rest.saturating_add(fades(self.current, room))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minute(cells: u32) -> Window {
        Window::new(cells, Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn the_former_sub_window_fades() {
        let (mut counter, limit) = (SlidingWindow::default(), minute(10));
        let start = Timestamp::from_secs(1_000_000);
        for _ in 0..10 {
            assert!(counter.check(&limit, Cost::ONE, start).admitted);
        }
        let denied = counter.check(&limit, Cost::ONE, start);
        assert!(!denied.admitted);
        // A tenth of the ten has faded a tenth into the next sub-window.
        let expected = Duration::from_secs(66);
        assert!(denied.retry_after >= expected);
        assert!(denied.retry_after < expected + Duration::from_micros(1));
        assert!(!counter.peek(&limit, Cost::ONE, start.plus(Duration::from_secs(65))).admitted);
        assert!(counter.check(&limit, Cost::ONE, start.plus(denied.retry_after)).admitted);
    }

    #[test]
    fn a_cut_counts_the_cells_already_admitted() {
        let (mut counter, now) = (SlidingWindow::default(), Timestamp::from_secs(1));
        for _ in 0..50 {
            assert!(counter.check(&minute(100), Cost::ONE, now).admitted);
        }
        assert!(!counter.check(&minute(40), Cost::ONE, now).admitted);
        assert!(counter.check(&minute(51), Cost::ONE, now).admitted);
    }

    proptest! {
        #[test]
        fn no_window_admits_twice_the_limit_and_retry_after_is_honest(
            cells in 1u32..20, gaps in prop::collection::vec(0u64..8_000_000_000, 1..200)
        ) {
            let (mut counter, limit) = (SlidingWindow::default(), minute(cells));
            let mut now = Timestamp::from_secs(7);
            let mut admitted: Vec<Timestamp> = Vec::new();
            for gap in gaps {
                now = now.plus(Duration::from_nanos(gap));
                let before = counter;
                let admission = counter.check(&limit, Cost::ONE, now);
                if admission.admitted {
                    admitted.push(now);
                } else {
                    prop_assert_eq!(before, counter);
                    prop_assert!(counter.peek(&limit, Cost::ONE, now.plus(admission.retry_after)).admitted);
                }
                let within = admitted.iter().filter(|t| now.since(**t) < limit.length()).count();
                prop_assert!(within as u32 <= 2 * cells);
            }
        }
    }
}
