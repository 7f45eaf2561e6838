//! The dice: every distribution the simulator draws from, over one seeded ChaCha8 stream.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// One round of the splitmix64 finaliser (Steele, Lea and Flood, 2014): names and ids that must be
/// the same wherever they are asked for are hashes of their number, not draws.
pub(super) const fn mix(a: u64, b: u64) -> u64 {
    let mut z = a ^ b.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A seeded source of draws. Two streams of one seed are independent, so that a family that draws
/// more does not change what another family does.
#[derive(Clone, Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream `stream` of `seed`.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform over [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform over [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Log-uniform over [low, high): every order of magnitude is as likely as any other.
    pub fn spread(&mut self, low: f64, high: f64) -> f64 {
        (low.ln() + (high / low).ln() * self.unit()).exp()
    }

    /// A whole number from `low` to `high`, both included.
    pub fn count(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// A log-uniform whole number from `low` (at least 1) to `high`, both included.
    pub fn magnitude(&mut self, low: usize, high: usize) -> usize {
        (self.spread(low as f64, high as f64 + 1.0) as usize).clamp(low, high)
    }

    /// A whole number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// One of `items`, each as likely as the others.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// The position of one of `weights`, drawn in proportion to them.
    pub fn weighted(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.unit() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (i, weight) in weights.enumerate() {
            last = i;
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
        last
    }

    /// Exponential with this mean: the pause of a Poisson process.
    pub fn pause(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Log-normal with this median; `sigma` is the deviation of its logarithm.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        // The sum of twelve uniforms is normal enough, and the same on every platform.
        let normal: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        median * (normal * sigma).exp()
    }

    /// A rank below `n` whose frequency falls as rank^−`skew` (Zipf's law, by inversion of the
    /// continuous power law).
    pub fn zipf(&mut self, n: usize, skew: f64) -> usize {
        let span = (n + 1) as f64;
        let u = self.unit();
        let rank = if (skew - 1.0).abs() < 1e-3 {
            (span.ln() * u).exp()
        } else {
            let power = 1.0 - skew;
            let top = (span.ln() * power).exp();
            ((1.0 + u * (top - 1.0)).ln() / power).exp()
        };
        (rank as usize).saturating_sub(1).min(n.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_a_seed_differ_and_repeat() {
        let draw = |seed, stream| Dice::new(seed, stream).bits();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut dice = Dice::new(7, 0);
        let n = 20_000;
        let mean = |f: &mut dyn FnMut() -> f64| (0..n).map(|_| f()).sum::<f64>() / f64::from(n);
        assert!((mean(&mut || dice.pause(3.0)) - 3.0).abs() < 0.15);
        assert!((mean(&mut || dice.log_normal(5.0, 0.8).ln()) - 5f64.ln()).abs() < 0.05);
        assert!((mean(&mut || dice.spread(1.0, 100.0).ln()) - 10f64.ln()).abs() < 0.05);
    }

    #[test]
    fn zipf_falls_with_rank_and_stays_below_n() {
        let mut dice = Dice::new(9, 0);
        for skew in [0.6, 1.0, 1.4] {
            let mut seen = [0u32; 50];
            for _ in 0..20_000 {
                seen[dice.zipf(50, skew)] += 1;
            }
            assert!(seen[0] > seen[4] && seen[4] > seen[40], "skew {skew}: {seen:?}");
        }
    }
}
