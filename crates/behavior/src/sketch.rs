//! Distinct counting in a few bytes: linear counting over a bitmap that forgets little by little.
//!
//! Whang, Vander-Zanden and Taylor, "A linear-time probabilistic counting algorithm for database
//! applications", ACM TODS 15 (1990): with `m` bits of which `z` are zero, n ≈ −m·ln(z/m).

use crate::math::log2;
use tidegate_limiter::Timestamp;

/// A bitmap of `W` 32-bit words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Distinct<const W: usize>([u32; W]);

impl<const W: usize> Default for Distinct<W> {
    fn default() -> Self {
        Self([0; W])
    }
}

impl<const W: usize> Distinct<W> {
    #[allow(clippy::cast_precision_loss)]
    const BITS: f32 = (W * 32) as f32;

    /// Adds a hashed element; answers whether its bit was new.
    #[inline]
    pub(crate) fn add(&mut self, hash: u32) -> bool {
        let bit = hash as usize % (W * 32);
        let word = &mut self.0[bit / 32];
        let mask = 1 << (bit % 32);
        let new = *word & mask == 0;
        *word |= mask;
        new
    }

    #[allow(clippy::cast_precision_loss)]
    #[inline]
    fn zeros(&self) -> f32 {
        // Two words at a time: counting is a dozen instructions where the CPU is an old one.
        let pairs = self.0.chunks(2);
        let ones: u32 = pairs
            .map(|pair| pair.iter().fold(0u64, |sum, w| sum << 32 | u64::from(*w)).count_ones())
            .sum();
        // Half a zero stands for none: a full bitmap says "at least this many".
        (Self::BITS - ones as f32).max(0.5)
    }

    /// The estimated number of distinct elements.
    #[inline]
    #[must_use]
    pub(crate) fn estimate(&self) -> f32 {
        Self::BITS * std::f32::consts::LN_2 * (log2(Self::BITS) - log2(self.zeros()))
    }

    /// The weight of a new bit: 1 over the chance that a new element meets a zero. The mean of
    /// these weights (0 for an old bit) is an unbiased share of new elements.
    #[inline]
    #[must_use]
    pub(crate) fn novelty_weight(&self) -> f32 {
        (Self::BITS / self.zeros()).min(8.0)
    }

    /// Forgets one of [`SLICES`] parts of the elements.
    pub(crate) fn forget(&mut self, slice: u32) {
        let mask = !(0x0101_0101 << (slice % SLICES));
        for word in &mut self.0 {
            *word &= mask;
        }
    }
}

/// Into so many parts elements fall, by their hash: one at a time is forgotten, or all would seem new at once.
const SLICES: u32 = 8;
/// One part is forgotten in so many seconds: an element is kept for twenty minutes after all were.
const SLICE_SECONDS: u64 = 150;

/// The parts that are to be forgotten between two moments.
pub(crate) fn slices(before: Timestamp, now: Timestamp) -> impl Iterator<Item = u32> {
    let slice = |at: Timestamp| at.as_secs() / SLICE_SECONDS;
    let (before, now) = (slice(before), slice(now));
    #[allow(clippy::cast_possible_truncation, reason = "a part of so many")]
    let part = |n: u64| (n % u64::from(SLICES)) as u32;
    // After a whole turn nothing is left.
    (before.max(now.saturating_sub(u64::from(SLICES))) + 1..=now).map(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(i: u32) -> u32 {
        crate::mix(u64::from(i), 1) as u32
    }

    #[test]
    fn counts_within_the_error_of_linear_counting() {
        for n in [1u32, 5, 20, 60, 150] {
            let mut seen = Distinct::<4>::default();
            for i in 0..n * 3 {
                seen.add(spread(i % n));
            }
            let estimate = seen.estimate();
            let bound = 2.0 + 0.25 * n as f32;
            assert!((estimate - n as f32).abs() <= bound, "{n}: {estimate}");
        }
    }

    #[test]
    fn saturates_and_forgets() {
        let mut seen = Distinct::<2>::default();
        for i in 0..10_000 {
            seen.add(spread(i));
        }
        let full = seen.estimate();
        assert!(full.is_finite() && full > 200.0);
        seen.forget(3);
        assert!(seen.estimate() < full);
        (0..7).for_each(|slice| seen.forget(slice));
        assert!(seen.estimate() > 5.0, "an eighth is left");
        seen.forget(7);
        assert_eq!(seen, Distinct::default());
    }

    #[test]
    fn each_part_has_its_turn_and_a_long_pause_leaves_nothing() {
        let between =
            |a, b| slices(Timestamp::from_secs(a), Timestamp::from_secs(b)).collect::<Vec<_>>();
        assert!(between(1000, 1049).is_empty());
        assert_eq!(between(1000, 1050), [7]);
        assert_eq!(between(1049, 1200), [7, 0]);
        assert!(between(1000, 900).is_empty());
        let mut all = between(1000, 1_000_000);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
