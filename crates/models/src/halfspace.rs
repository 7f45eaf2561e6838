//! Which clients are unlike all others: streaming half-space trees over what clients do.
//!
//! Half-space trees (Tan, Ting and Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011)
//! cut the space of vectors in halves at random, again and again, and count how many vectors of the
//! last window fell into each part. A vector in a part that hardly anybody was in is odd. Nothing is
//! known of abuse here; the counts of the window before judge, those of the present one are taken.
//!
//! Features have no common range, so each is measured in deviations from its mean so far, squeezed
//! into 0..1. What the trees say is an order without a scale, so its upper tail is learned as the
//! tails of series are (`tail.rs`): a reading is −log10 of the share of vectors that are this odd,
//! and so the rate of false alarms is chosen and not found out.
//!
//! **When it fails.** A crowd of clients alike is usual once it is a part of the last window, wanted
//! or not: group features are for those. What is odd need not be abuse. Half of the trees' cuts say
//! nothing of the feature in which a vector is odd, so an oddity in one feature alone is seen late.

use crate::data::mix;
use crate::tail::Tail;
use tidegate_behavior::schema::{Features, index};

/// What is looked at: what a client does itself, and nothing of time, of trust or of others.
const OWN: [usize; 24] = [
    index::RATE_1M,
    index::PAGES_1M,
    index::BURST,
    index::GAP_MEAN,
    index::GAP_DEVIATION,
    index::ERROR_EXCESS,
    index::AUTH_EXCESS,
    index::MISSING_EXCESS,
    index::ROUTES_DISTINCT,
    index::PATH_NOVELTY,
    index::SURPRISE,
    index::TRANSITION_SURPRISE,
    index::ASSET_SHARE,
    index::API_SHARE,
    index::WRITE_SHARE,
    index::ODD_METHOD_SHARE,
    index::REFERER_SHARE,
    index::REFERER_CHAIN,
    index::ID_SHARE,
    index::ID_WALKING,
    index::IDS_DISTINCT,
    index::ODD_PATH_SHARE,
    index::PAYLOAD,
    index::RESPONSE,
];

const TREES: usize = 25;
/// Levels of a tree.
const DEPTH: usize = 8;
/// Places of a tree; the root is at 1.
const PLACES: usize = 1 << (DEPTH + 1);
/// How many vectors make a window.
const WINDOW: u32 = 256;
/// A part with fewer vectors than this is not looked into further.
const FEW: f32 = 0.1 * WINDOW as f32;
/// Windows before anything is said: one to learn ranges, one of counts, and some for the tail.
const WARM: u32 = 4 * WINDOW;
/// Means and deviations fade with about this many vectors.
const MEMORY: f32 = 8192.0;
/// The share of vectors beyond which a tail begins, as log10: what `tail.rs` says comes on top.
const TAIL: f32 = 1.3;

/// The state of the detector: some 400 kB.
#[derive(Clone, Debug)]
pub struct HalfSpaceTrees {
    /// Which of [`OWN`] is cut at each place, and where.
    cuts: Vec<(u8, f32)>,
    /// How many vectors were at each place: of the window before, and of this one.
    before: Vec<f32>,
    now: Vec<f32>,
    means: [f32; OWN.len()],
    squares: [f32; OWN.len()],
    seen: u32,
    tail: Tail,
    peaks: u8,
}

impl HalfSpaceTrees {
    /// Trees that cut at places drawn from `seed`: whoever does not know it cannot tell which
    /// behaviour is between two cuts.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut draw = Draw(seed);
        let mut cuts = vec![(0, 0.0); TREES * PLACES];
        for tree in cuts.chunks_exact_mut(PLACES) {
            // A work range around a random point, so that trees do not all cut in the middle.
            let range = std::array::from_fn(|_| {
                let point = draw.unit();
                let reach = 2.0 * point.max(1.0 - point);
                (point - reach, point + reach)
            });
            cut(tree, 1, &range, &mut draw);
        }
        Self {
            cuts,
            before: vec![0.0; TREES * PLACES],
            now: vec![0.0; TREES * PLACES],
            means: [0.0; OWN.len()],
            squares: [0.0; OWN.len()],
            seen: 0,
            tail: Tail::default(),
            peaks: 0,
        }
    }

    /// −log10 of the share of vectors that are as odd as this one; 0 for one that is as common as
    /// most. `None` before a thousand vectors were learned.
    #[must_use]
    pub fn read(&self, features: &Features) -> Option<f32> {
        if self.seen < WARM {
            return None;
        }
        let oddity = self.oddity(&self.placed(features));
        #[allow(clippy::cast_precision_loss)]
        let beyond = self.tail.surprise(oddity, self.seen as f32, self.peaks, 1e-3);
        Some(if beyond > 0.0 { TAIL + beyond } else { 0.0 })
    }

    /// Takes in a vector. `weight`, 0..1, is how much it may teach what is usual.
    #[allow(clippy::cast_precision_loss)]
    pub fn learn(&mut self, features: &Features, weight: f32) {
        if weight.is_nan() || weight <= 0.0 {
            return;
        }
        let weight = weight.min(1.0);
        self.seen = self.seen.saturating_add(1);
        let rate = weight * (1.0 / self.seen as f32).max(1.0 / MEMORY);
        for (i, at) in OWN.into_iter().enumerate() {
            let off = bounded(features[at]) - self.means[i];
            self.means[i] += rate * off;
            self.squares[i] += rate * (off * off * (1.0 - rate) - self.squares[i]);
        }
        let placed = self.placed(features);
        if self.seen > 2 * WINDOW {
            let oddity = self.oddity(&placed);
            self.tail.learn(oddity, (self.seen - 2 * WINDOW - 1) as f32, &mut self.peaks);
        }
        for (cuts, mass) in self.cuts.chunks_exact(PLACES).zip(self.now.chunks_exact_mut(PLACES)) {
            let mut place = 1;
            mass[place] += weight;
            while place < PLACES / 2 {
                place = next(cuts, place, &placed);
                mass[place] += weight;
            }
        }
        if self.seen.is_multiple_of(WINDOW) {
            std::mem::swap(&mut self.before, &mut self.now);
            self.now.fill(0.0);
        }
    }

    /// Each feature in 0..1 by its distance from the mean.
    fn placed(&self, features: &Features) -> [f32; OWN.len()] {
        std::array::from_fn(|i| {
            let off = bounded(features[OWN[i]]) - self.means[i];
            let deviations = off / (self.squares[i].sqrt() + 1e-6);
            0.5 + 0.5 * deviations / (1.0 + deviations.abs())
        })
    }

    /// How empty the parts are that the vector falls into: log2 of how many times fewer vectors
    /// were there than if all were spread evenly, over the mean of the trees.
    fn oddity(&self, placed: &[f32; OWN.len()]) -> f32 {
        let trees = self.cuts.chunks_exact(PLACES).zip(self.before.chunks_exact(PLACES));
        let total: f32 = trees
            .map(|(cuts, mass)| {
                let mut place = 1;
                while place < PLACES / 2 && mass[place] > FEW {
                    place = next(cuts, place, placed);
                }
                #[allow(clippy::cast_precision_loss)]
                let parts = (1u32 << place.ilog2()) as f32;
                mass[place] * parts
            })
            .sum();
        #[allow(clippy::cast_precision_loss)]
        let even = TREES as f32 * WINDOW as f32;
        (even / (total + 1.0)).log2()
    }
}

/// Which half a vector falls into.
fn next(cuts: &[(u8, f32)], place: usize, placed: &[f32; OWN.len()]) -> usize {
    let (feature, bound) = cuts[place];
    2 * place + usize::from(placed[usize::from(feature)] >= bound)
}

/// Cuts the part at `place`, and both halves, down to the last level.
#[allow(clippy::cast_possible_truncation)]
fn cut(tree: &mut [(u8, f32)], place: usize, range: &[(f32, f32); OWN.len()], draw: &mut Draw) {
    if place >= PLACES / 2 {
        return;
    }
    let feature = (draw.bits() % OWN.len() as u64) as usize;
    let (low, high) = range[feature];
    let bound = f32::midpoint(low, high);
    tree[place] = (feature as u8, bound);
    let (mut left, mut right) = (*range, *range);
    (left[feature], right[feature]) = ((low, bound), (bound, high));
    cut(tree, 2 * place, &left, draw);
    cut(tree, 2 * place + 1, &right, draw);
}

/// No feature counts as larger: a square must stay finite.
fn bounded(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(-1e9, 1e9) }
}

/// A seeded sequence.
struct Draw(u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        let bits = mix(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits
    }

    #[allow(clippy::cast_precision_loss)]
    fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;
    use tidegate_behavior::schema::COUNT;

    /// Two kinds of clients, each with its own way.
    fn common(random: &mut ChaCha8Rng) -> Features {
        let kind: f32 = if random.random_range(0.0..1.0) < 0.7 { 1.0 } else { -2.0 };
        std::array::from_fn(|i| {
            let noise: f32 = (0..4).map(|_| random.random_range(-1.0f32..1.0)).sum();
            let scale = [1.0, 40.0, 0.01][i % 3];
            (kind * (i % 5) as f32 + noise) * scale
        })
    }

    fn learned(seed: u64) -> (HalfSpaceTrees, ChaCha8Rng) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut trees = HalfSpaceTrees::new(seed);
        for _ in 0..6000 {
            trees.learn(&common(&mut random), 1.0);
        }
        (trees, random)
    }

    #[test]
    fn one_in_a_hundred_is_about_that() {
        for seed in 0..3 {
            let (mut trees, mut random) = learned(seed);
            let mut above = 0;
            for _ in 0..20_000 {
                let row = common(&mut random);
                above += u32::from(trees.read(&row).unwrap() >= 2.0);
                trees.learn(&row, 1.0);
            }
            assert!((60..600).contains(&above), "seed {seed}: {above} of 20000");
        }
    }

    #[test]
    fn who_is_like_nobody_is_odd_until_many_are() {
        let (mut trees, mut random) = learned(4);
        // The ways of one kind in one half of the features, and of the other in the rest.
        let strange: Features = std::array::from_fn(|i| {
            let kind = if i % 2 == 0 { 4.0 } else { -5.0 };
            kind * (i % 5) as f32 * [1.0, 40.0, 0.01][i % 3]
        });
        assert!(trees.read(&strange).unwrap() >= 3.0, "{:?}", trees.read(&strange));
        // Who is not trusted teaches nothing.
        for _ in 0..1000 {
            trees.learn(&strange, 0.0);
        }
        assert!(trees.read(&strange).unwrap() >= 3.0);
        for _ in 0..1500 {
            trees.learn(&strange, 1.0);
            trees.learn(&common(&mut random), 1.0);
        }
        assert!(trees.read(&strange).unwrap() < 2.0, "{:?}", trees.read(&strange));
    }

    #[test]
    fn nothing_is_said_before_there_is_something_to_compare_with() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut trees = HalfSpaceTrees::new(1);
        for n in 0..WARM {
            assert_eq!(trees.read(&[1e6; COUNT]), None, "{n}");
            trees.learn(&common(&mut random), 1.0);
        }
        assert!(trees.read(&[1e6; COUNT]).is_some());
    }

    #[test]
    fn the_same_seed_says_the_same_and_another_cuts_elsewhere() {
        let (mut random, row) = (ChaCha8Rng::seed_from_u64(9), [2.0; COUNT]);
        let of = |seed| learned(seed).0;
        assert_eq!(of(3).read(&row), of(3).read(&row));
        assert_ne!(HalfSpaceTrees::new(3).cuts, HalfSpaceTrees::new(4).cuts);
        let row = common(&mut random);
        assert_eq!(of(3).read(&row), of(3).read(&row));
    }

    #[test]
    fn nothing_breaks_it() {
        let mut trees = HalfSpaceTrees::new(7);
        let odd = [f32::NAN, f32::MAX, 0.0, f32::MIN, f32::INFINITY, f32::NEG_INFINITY, 1e-40];
        for n in 0..4000usize {
            let row: Features = std::array::from_fn(|i| odd[(i * 7 + n) % odd.len()]);
            trees.learn(&row, [1.0, f32::NAN, 0.3, -1.0, f32::INFINITY][n % 5]);
            if let Some(evidence) = trees.read(&row) {
                assert!((0.0..100.0).contains(&evidence), "{n}: {evidence}");
            }
        }
    }
}
