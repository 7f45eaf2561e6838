//! Distinct counting in a few bytes: linear counting over a bitmap that forgets by halves.
//!
//! Whang, Vander-Zanden and Taylor, "A linear-time probabilistic counting algorithm for database
//! applications", ACM TODS 15 (1990): with `m` bits of which `z` are zero, n ≈ −m·ln(z/m).

use crate::math::log2;

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

    /// Forgets half of the elements; `phase` picks the half.
    pub(crate) fn halve(&mut self, phase: bool) {
        let mask = if phase { 0xaaaa_aaaa } else { 0x5555_5555 };
        for word in &mut self.0 {
            *word &= mask;
        }
    }
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
        seen.halve(true);
        assert!(seen.estimate() < full / 3.0);
        seen.halve(false);
        assert_eq!(seen, Distinct::default(), "both halves are gone");
    }
}
