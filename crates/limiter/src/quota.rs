//! Quota and cost: what a limit allows and what a request takes, both in exact fixed point.

use std::num::NonZeroU32;
use std::time::Duration;

/// Fixed-point units in one cell: debts and costs are 32.32 numbers in a `u64`.
pub(crate) const CELL: u64 = 1 << 32;

/// Why a quota was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// No cells: such a rule denies everything for ever.
    #[error("a quota of 0 cells never admits: give at least 1 cell per period")]
    NoCells,
    /// No burst: no request ever fits.
    #[error("a burst of 0 cells never admits: give a burst of at least 1 cell")]
    NoBurst,
    /// The period is zero or longer than 584 years (`u64` nanoseconds).
    #[error("the period {0:?} is out of range: give more than 0 and less than 584 years")]
    Period(Duration),
}

/// What a request costs, in cells; an asset may cost a fraction of one.
///
/// A fixed-point number of 32.32 bits. Thousandths are rounded down by less than 2⁻³² cell, so
/// ten costs of a tenth always fit one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u64);

impl Cost {
    /// Nothing: always admitted unless the client is already over its capacity.
    pub const ZERO: Self = Self(0);
    /// One cell, the cost of an ordinary request.
    pub const ONE: Self = Self(CELL);

    /// A cost of whole cells.
    #[must_use]
    pub const fn cells(cells: u32) -> Self {
        Self((cells as u64) << 32)
    }

    /// A cost in thousandths of a cell.
    #[must_use]
    pub const fn milli(thousandths: u32) -> Self {
        // Below 2³² · 2³² / 1000: the quotient fits, the product does not, hence the 128 bits.
        Self((((thousandths as u128) << 32) / 1000) as u64)
    }

    /// The cost as a number of cells.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / CELL as f64
    }

    /// Cells rounded up to whole ones.
    #[must_use]
    pub const fn ceil(self) -> u64 {
        self.0.div_ceil(CELL)
    }

    pub(crate) const fn from_units(units: u64) -> Self {
        Self(units)
    }

    pub(crate) const fn units(self) -> u64 {
        self.0
    }
}

/// A positive ratio as a 64-bit mantissa and a shift: one widening multiplication applies it, with
/// a relative error below 2⁻⁶³.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ratio {
    mantissa: u64,
    shift: u8,
}

impl Ratio {
    /// `num / den`, rounded down or up; both must be positive.
    pub(crate) const fn new(num: u64, den: u64, round_up: bool) -> Self {
        let lift = (num as u128).leading_zeros();
        let dividend = (num as u128) << lift;
        let quotient = dividend / den as u128;
        // The quotient is at least 2¹²⁷ / 2⁶⁴, so it has 64 bits or more.
        let excess = 64 - quotient.leading_zeros();
        let mantissa = (quotient >> excess) as u64;
        let shift = (lift - excess) as u8;
        let exact =
            (quotient >> excess) << excess == quotient && dividend.is_multiple_of(den as u128);
        if exact || !round_up {
            return Self { mantissa, shift };
        }
        match mantissa.checked_add(1) {
            Some(mantissa) => Self { mantissa, shift },
            None => Self { mantissa: 1 << 63, shift: shift.saturating_sub(1) },
        }
    }

    /// `value × ratio`, rounded down, saturating.
    #[inline]
    pub(crate) const fn floor(self, value: u64) -> u64 {
        let product = (value as u128 * self.mantissa as u128) >> self.shift;
        if product > u64::MAX as u128 { u64::MAX } else { product as u64 }
    }

    /// `value × ratio`, rounded up, saturating.
    #[inline]
    pub(crate) const fn ceil(self, value: u64) -> u64 {
        let product = value as u128 * self.mantissa as u128;
        let whole = product >> self.shift;
        let up = if whole << self.shift == product { whole } else { whole + 1 };
        if up > u64::MAX as u128 { u64::MAX } else { up as u64 }
    }
}

/// Cells per period, and how many may come at once.
///
/// A quota is an argument of every check and never part of a client's state, so it may change
/// between any two checks. Everything that a check would have to divide by is worked out here,
/// once: a check itself multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    cells: NonZeroU32,
    burst: NonZeroU32,
    period: u64,
    /// Units per nanosecond, rounded up: whole cells drain on the very nanosecond they are due.
    drain: Ratio,
    /// Nanoseconds per unit, rounded down; [`Quota::time_to_drain`] corrects it.
    fill: Ratio,
    /// A time, and the units that drain in it, in which denied checks may settle without error.
    step: (u64, u64),
}

impl Quota {
    /// `cells` per `period`, with at most `burst` at once.
    ///
    /// # Errors
    /// When any of the three is zero, or the period is longer than 584 years.
    pub fn new(cells: u32, period: Duration, burst: u32) -> Result<Self, QuotaError> {
        let cells = NonZeroU32::new(cells).ok_or(QuotaError::NoCells)?;
        let burst = NonZeroU32::new(burst).ok_or(QuotaError::NoBurst)?;
        match u64::try_from(period.as_nanos()) {
            Ok(nanos) if nanos > 0 => Ok(Self::build(cells, nanos, burst)),
            _ => Err(QuotaError::Period(period)),
        }
    }

    /// `cells` a second, with a burst of as many.
    #[must_use]
    pub const fn per_second(cells: NonZeroU32) -> Self {
        Self::build(cells, 1_000_000_000, cells)
    }

    /// `cells` a minute, with a burst of as many.
    #[must_use]
    pub const fn per_minute(cells: NonZeroU32) -> Self {
        Self::build(cells, 60_000_000_000, cells)
    }

    /// `cells` an hour, with a burst of as many.
    #[must_use]
    pub const fn per_hour(cells: NonZeroU32) -> Self {
        Self::build(cells, 3_600_000_000_000, cells)
    }

    /// The same rate with another burst.
    #[must_use]
    pub const fn with_burst(mut self, burst: NonZeroU32) -> Self {
        self.burst = burst;
        self
    }

    const fn build(cells: NonZeroU32, period: u64, burst: NonZeroU32) -> Self {
        let units = (cells.get() as u64) << 32;
        // The longest time up to 1/256 cell that is a whole number of nanoseconds; where not even
        // a cell takes a whole number, a cell rounded up (an error below 1 ns per cell).
        let per_cell = period.div_ceil(cells.get() as u64);
        let halvings = if period.is_multiple_of(cells.get() as u64) {
            let twos = per_cell.trailing_zeros();
            if twos < 8 { twos } else { 8 }
        } else {
            0
        };
        Self {
            cells,
            burst,
            period,
            drain: Ratio::new(units, period, true),
            fill: Ratio::new(period, units, false),
            step: (per_cell >> halvings, CELL >> halvings),
        }
    }

    /// Cells per period.
    #[must_use]
    pub const fn cells(&self) -> NonZeroU32 {
        self.cells
    }

    /// The period.
    #[must_use]
    pub const fn period(&self) -> Duration {
        Duration::from_nanos(self.period)
    }

    /// The most cells that may be admitted at one instant.
    #[must_use]
    pub const fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    /// The sustained rate, in cells per second.
    #[must_use]
    pub fn cells_per_second(&self) -> f64 {
        f64::from(self.cells.get()) * 1e9 / self.period as f64
    }

    /// The time in which this quota refills its whole burst.
    #[must_use]
    pub const fn refill(&self) -> Duration {
        Duration::from_nanos(self.time_to_drain(self.capacity()))
    }

    /// The burst in units.
    #[inline]
    pub(crate) const fn capacity(&self) -> u64 {
        (self.burst.get() as u64) << 32
    }

    /// Units that drain in `nanos`, rounded down.
    #[inline]
    pub(crate) const fn drained(&self, nanos: u64) -> u64 {
        self.drain.floor(nanos)
    }

    /// The least number of nanoseconds in which `units` drain; saturating.
    #[inline]
    pub(crate) const fn time_to_drain(&self, units: u64) -> u64 {
        let nanos = self.fill.ceil(units);
        if self.drained(nanos) < units { nanos.saturating_add(1) } else { nanos }
    }

    /// Nanoseconds out of `elapsed` that can be settled without rounding, and the units drained in
    /// them.
    #[inline]
    pub(crate) const fn settled(&self, elapsed: u64) -> (u64, u64) {
        let steps = elapsed / self.step.0;
        (steps * self.step.0, steps.saturating_mul(self.step.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nz(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    #[test]
    fn a_hundred_a_minute_drains_one_cell_in_exactly_600_ms() {
        let quota = Quota::per_minute(nz(100));
        assert_eq!(quota.time_to_drain(CELL), 600_000_000);
        assert!(quota.drained(600_000_000) >= CELL);
        assert!(quota.drained(599_999_999) < CELL);
        assert_eq!(quota.refill(), Duration::from_secs(60));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        let minute = Duration::from_secs(60);
        assert_eq!(Quota::new(0, minute, 1), Err(QuotaError::NoCells));
        assert_eq!(Quota::new(1, minute, 0), Err(QuotaError::NoBurst));
        assert_eq!(Quota::new(1, Duration::ZERO, 1), Err(QuotaError::Period(Duration::ZERO)));
        assert_eq!(Quota::new(1, Duration::MAX, 1), Err(QuotaError::Period(Duration::MAX)));
    }

    #[test]
    fn ten_tenths_fit_one_cell_and_eleven_do_not() {
        assert!(Cost::milli(100).units() * 10 <= CELL);
        assert!(Cost::milli(100).units() * 11 > CELL);
        assert_eq!(Cost::milli(1000), Cost::ONE);
        assert_eq!(Cost::milli(u32::MAX).ceil(), 4_294_968);
    }

    proptest! {
        /// Against 128-bit division: never below the true drain, never a unit above it.
        #[test]
        fn the_multiplication_is_the_division(
            cells in 1..=u32::MAX, period in 1..=u64::MAX, elapsed in any::<u64>()
        ) {
            let quota = Quota::build(nz(cells), period, nz(1));
            // cells · 2³² · elapsed / period, by long division, so that it fits 128 bits.
            let units = u128::from(cells) << 32;
            let whole = (units * u128::from(elapsed / period))
                .saturating_add(units * u128::from(elapsed % period) / u128::from(period));
            let exact = u64::try_from(whole).unwrap_or(u64::MAX);
            let got = quota.drained(elapsed);
            prop_assert!(got >= exact && got - exact <= 2, "{got} for {exact}");
        }

        #[test]
        fn time_to_drain_is_the_least_that_suffices(
            cells in 1u32..1_000_000, secs in 1u64..100_000, units in 1..=u64::MAX >> 12
        ) {
            let quota = Quota::build(nz(cells), secs * 1_000_000_000, nz(1));
            let time = quota.time_to_drain(units);
            prop_assert!(quota.drained(time) >= units);
            prop_assert!(quota.drained(time - 1) < units);
        }

        #[test]
        fn settling_never_drains_more_than_the_time_allows(
            cells in 1u32..1_000_000, period in 1u64..1 << 50, elapsed in 0u64..1 << 50
        ) {
            let quota = Quota::build(nz(cells), period, nz(1));
            let (time, units) = quota.settled(elapsed);
            prop_assert!(time <= elapsed);
            prop_assert!(units <= quota.drained(time));
        }
    }
}
