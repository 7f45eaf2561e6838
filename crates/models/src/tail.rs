//! The tail of one statistic, learned as it streams by: how improbable is a value this large?
//!
//! Peaks over threshold (SPOT: Siffer et al., "Anomaly Detection in Streams with Extreme Value
//! Theory", KDD 2017). By the theorem of Pickands, Balkema and de Haan what exceeds a high quantile
//! of almost any distribution follows a generalised Pareto distribution, whose two parameters are
//! fitted here by moments (Hosking & Wallis 1987), so that all of it is three numbers.

/// This share of the values lies above the quantile from which the tail is modelled.
const ABOVE: f32 = 0.05;
/// What was learned fades with about this many values.
const MEMORY: f32 = 4000.0;
/// How far the quantile moves for one value, in mean excesses and shares of what one value weighs.
const PACE: f32 = 16.0;
/// The heaviest tail taken for real. At 0.5 the variance, and the fit with it, ceases to exist.
const HEAVIEST: f32 = 0.4;
/// An excess counts as no more than this many mean ones when the tail is learned, so that one huge
/// peak does not hide all later ones.
const LARGEST: f32 = 25.0;
/// From this many peaks on a tail says anything, and excesses are clipped.
const ENOUGH: u8 = 8;
/// A series that had fewer peaks in this many values does not move, and any movement is news.
const UNMOVED: f32 = 400.0;

/// The upper tail of a statistic.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tail {
    /// The quantile above which the tail begins.
    quantile: f32,
    /// The mean of what is above it, and of its square.
    mean: f32,
    square: f32,
}

impl Tail {
    /// −log10 of the probability that a value beyond the quantile is at least this large; 0 for one
    /// that is not beyond it. `peaks` is what [`Tail::learn`] counted; `least` is the smallest mean
    /// excess that is believed, for series that hardly ever move.
    pub(crate) fn surprise(&self, value: f32, seen: f32, peaks: u8, least: f32) -> f32 {
        let excess = value - self.quantile;
        if excess <= 0.0 || (peaks < ENOUGH && seen < UNMOVED) {
            return 0.0;
        }
        let mean = self.mean.max(least).max(f32::MIN_POSITIVE);
        // Of a generalised Pareto distribution variance / mean² is 1 / (1 − 2 shape).
        let spread = (self.square / (mean * mean) - 1.0).max(0.05);
        let shape = (0.5 * (1.0 - 1.0 / spread)).clamp(0.0, HEAVIEST);
        let scaled = excess / (mean * (1.0 - shape));
        let nats = if shape < 0.01 { scaled } else { (shape * scaled).ln_1p() / shape };
        nats * std::f32::consts::LOG10_E
    }

    /// Takes in a value; `seen` were before it.
    pub(crate) fn learn(&mut self, value: f32, seen: f32, peaks: &mut u8) {
        if seen < 1.0 {
            self.quantile = value;
            return;
        }
        let weight = (1.0 / (seen + 1.0)).max(1.0 / MEMORY);
        let excess = value - self.quantile;
        if excess > 0.0 {
            let clipped = if *peaks >= ENOUGH { excess.min(LARGEST * self.mean) } else { excess };
            *peaks = peaks.saturating_add(1);
            // 255 peaks are some five thousand values: past the memory.
            let rate = (1.0 / f32::from(*peaks)).max(1.0 / (MEMORY * ABOVE));
            self.mean += rate * (clipped - self.mean);
            self.square += rate * (clipped * clipped - self.square);
            self.quantile += self.mean * (1.0 - ABOVE) * weight * PACE;
        } else {
            self.quantile -= self.mean * ABOVE * weight * PACE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng as _, SeedableRng as _};

    /// How many of `draws` values are rated rarer than one in `10^evidence`.
    fn rated(mut draw: impl FnMut(&mut rand_chacha::ChaCha8Rng) -> f32, evidence: f32) -> f64 {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let (mut tail, mut peaks, mut above) = (Tail::default(), 0, 0);
        let draws = 400_000;
        for i in 0..draws {
            let value = draw(&mut random);
            above += u32::from(tail.surprise(value, i as f32, peaks, 0.0) > evidence && i > 4000);
            tail.learn(value, i as f32, &mut peaks);
        }
        f64::from(above) / f64::from(draws - 4000)
    }

    #[test]
    fn what_is_called_one_in_a_hundred_peaks_is_about_that() {
        // Light, exponential and heavy tails.
        let uniform = |r: &mut rand_chacha::ChaCha8Rng| r.random_range(0.0f32..1.0);
        let wave = rated(|r| (0..12).map(|_| uniform(r)).sum(), 2.0);
        let exponential = rated(|r| -(1.0 - uniform(r)).ln(), 2.0);
        let pareto = rated(|r| (1.0 - uniform(r)).powf(-0.25), 2.0);
        let expected = f64::from(ABOVE) / 100.0;
        for share in [wave, exponential, pareto] {
            assert!(share < 3.0 * expected, "{share} of {expected}");
        }
        assert!(exponential > expected / 3.0, "{exponential} of {expected}");
    }

    #[test]
    fn what_has_not_been_seen_often_surprises_nobody_yet() {
        let (mut tail, mut peaks) = (Tail::default(), 0);
        for i in 0..100 {
            assert_eq!(tail.surprise(i as f32, i as f32, peaks.min(ENOUGH - 1), 0.0), 0.0);
            tail.learn((i % 2) as f32, i as f32, &mut peaks);
        }
    }
}
