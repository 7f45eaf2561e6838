//! From margins (log-odds that mean little by themselves) to probabilities that hold.
//!
//! [`Calibration::isotonic`] fits any monotone shape and is the default from about a thousand
//! labels on; [`Calibration::platt`] has two parameters and serves fewer. Fit either on rows that
//! the model was not trained on.

use crate::error::check_size;
use crate::metrics::usable;
use crate::{ModelError, sigmoid};

/// The most knots of a piecewise linear map.
pub const MAX_KNOTS: usize = 32;

/// A monotone map from a margin to a probability.
#[derive(Clone, Debug, PartialEq)]
pub enum Calibration {
    /// `sigmoid(slope × margin + offset)`, with `slope >= 0`; (1, 0) trusts the margin as it is.
    Sigmoid {
        /// What the margin is multiplied by.
        slope: f32,
        /// What is added.
        offset: f32,
    },
    /// Linear between knots and constant outside them.
    Knots(Box<Knots>),
}

/// At most [`MAX_KNOTS`] points (margin, probability), both ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Knots {
    /// Strictly ascending; what follows the last knot is infinite, so that a count finds the place.
    margins: [f32; MAX_KNOTS],
    probabilities: [f32; MAX_KNOTS],
    count: usize,
}

impl Default for Calibration {
    fn default() -> Self {
        Self::Sigmoid { slope: 1.0, offset: 0.0 }
    }
}

impl Knots {
    /// A map through `points`, each (margin, probability).
    ///
    /// # Errors
    /// When there are no points or more than [`MAX_KNOTS`], margins do not strictly ascend,
    /// probabilities descend or leave 0..=1, or a number is not finite.
    pub fn new(points: &[(f32, f32)]) -> Result<Self, ModelError> {
        let count = points.len();
        check_size("number of calibration knots", count, 1, MAX_KNOTS)?;
        let mut knots =
            Self { margins: [f32::INFINITY; MAX_KNOTS], probabilities: [0.0; MAX_KNOTS], count };
        for (index, &(margin, probability)) in points.iter().enumerate() {
            let before = index.checked_sub(1).map(|i| points[i]);
            let problem = if !margin.is_finite() {
                "the margin is not finite"
            } else if !(0.0..=1.0).contains(&probability) {
                "the probability is not in 0..=1"
            } else if before.is_some_and(|(m, _)| m >= margin) {
                "the margin does not ascend"
            } else if before.is_some_and(|(_, p)| p > probability) {
                "the probability descends"
            } else {
                knots.margins[index] = margin;
                knots.probabilities[index] = probability;
                continue;
            };
            return Err(ModelError::Calibration { index, problem });
        }
        Ok(knots)
    }

    /// The points (margin, probability).
    pub fn points(&self) -> impl ExactSizeIterator<Item = (f32, f32)> {
        (0..self.count).map(|i| (self.margins[i], self.probabilities[i]))
    }

    #[inline]
    fn probability(&self, margin: f32) -> f32 {
        // Without a branch: the knots at or below the margin are counted, all 32 at once.
        let above = self.margins.iter().map(|m| u32::from(*m <= margin)).sum::<u32>() as usize;
        let right = above.min(self.count - 1);
        let left = above.saturating_sub(1).min(right);
        let (m0, m1) = (self.margins[left], self.margins[right]);
        let (p0, p1) = (self.probabilities[left], self.probabilities[right]);
        if left == right {
            return p0;
        }
        // In f64, where the difference of two finite f32 cannot overflow.
        let share = (f64::from(margin) - f64::from(m0)) / (f64::from(m1) - f64::from(m0));
        (f64::from(p0) + share * (f64::from(p1) - f64::from(p0)))
            .clamp(f64::from(p0), f64::from(p1)) as f32
    }
}

impl Calibration {
    /// The probability at this margin, in 0..=1.
    #[inline]
    #[must_use]
    pub fn probability(&self, margin: f32) -> f32 {
        match self {
            Self::Sigmoid { slope, offset } => sigmoid(slope * margin + offset),
            Self::Knots(knots) => knots.probability(margin),
        }
    }

    /// What this is, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Sigmoid { .. } if *self == Self::default() => {
                "none, as the model gives it".into()
            }
            Self::Sigmoid { slope, offset } => {
                format!("Platt, slope {slope:.2}, offset {offset:.2}")
            }
            Self::Knots(knots) => {
                let (low, high) = (knots.probabilities[0], knots.probabilities[knots.count - 1]);
                format!("isotonic, {} knots from {low:.4} to {high:.4}", knots.count)
            }
        }
    }

    /// Checks that this is a monotone map into 0..=1.
    ///
    /// # Errors
    /// When a parameter is not finite or the slope is negative.
    pub fn check(&self) -> Result<(), ModelError> {
        let problem = match self {
            Self::Sigmoid { slope, offset } if !(slope.is_finite() && offset.is_finite()) => {
                "slope or offset is not finite"
            }
            Self::Sigmoid { slope, .. } if *slope < 0.0 => "the slope is negative",
            _ => return Ok(()),
        };
        Err(ModelError::Calibration { index: 0, problem })
    }

    /// Isotonic regression by pooling adjacent violators (Ayer et al. 1955; for classifiers
    /// Zadrozny & Elkan, KDD 2002), thinned to [`MAX_KNOTS`] points.
    ///
    /// Each pooled block is shrunk as if it held half a row of either kind more, so that five
    /// positives in a row do not become certainty. Rows whose margin or weight is no finite
    /// number, or whose weight is 0, are left out.
    ///
    /// # Errors
    /// When no row is left.
    pub fn isotonic(margins: &[f32], labels: &[bool], weights: &[f32]) -> Result<Self, ModelError> {
        let mut rows: Vec<_> = usable(margins, labels, weights).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Rows of one margin cannot be told apart, so they are one block from the start.
        let ties = rows.chunk_by(|a, b| a.0 == b.0).map(Block::new).collect();
        let mut blocks = thin(pool(ties));
        for block in &mut blocks {
            // Half a row, whatever the unit of the weights is.
            let row = block.weight / block.rows;
            block.positive += 0.5 * row;
            block.pooled_weight += row;
        }
        let mut points: Vec<(f32, f32)> =
            pool(blocks).iter().map(|b| (b.margin() as f32, b.rate() as f32)).collect();
        // Means that differ in f64 alone are one knot.
        points.dedup_by(|next, kept| next.0 <= kept.0);
        if points.is_empty() {
            return Err(no_rows());
        }
        Ok(Self::Knots(Box::new(Knots::new(&points)?)))
    }

    /// Platt scaling (Platt 1999) by Newton's method with halved steps (Lin, Lin & Weng 2007).
    ///
    /// # Errors
    /// When no row is usable, see [`Calibration::isotonic`].
    pub fn platt(margins: &[f32], labels: &[bool], weights: &[f32]) -> Result<Self, ModelError> {
        let rows: Vec<_> = usable(margins, labels, weights).collect();
        if rows.is_empty() {
            return Err(no_rows());
        }
        let weight_of = |label| rows.iter().filter(|r| r.1 == label).map(|r| r.2).sum::<f64>();
        let (positive, negative) = (weight_of(true), weight_of(false));
        // Targets short of 0 and 1, so that separable rows do not drive the slope to infinity.
        let (high, low) = ((positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0));
        let loss = |slope: f64, offset: f64| -> f64 {
            let of = |&(m, y, w): &(f64, bool, f64)| {
                let (t, f) = (if y { high } else { low }, slope * m + offset);
                // ln(1 + e^f) − t f without overflow.
                w * (f.max(0.0) + (-f.abs()).exp().ln_1p() - t * f)
            };
            rows.iter().map(of).sum()
        };
        let (mut slope, mut offset) = (0.0, ((positive + 1.0) / (negative + 1.0)).ln());
        let mut best = loss(slope, offset);
        for _ in 0..100 {
            let (mut g1, mut g2, mut h11, mut h12, mut h22) = (0.0, 0.0, 1e-12, 0.0, 1e-12);
            for &(m, y, w) in &rows {
                let p = 1.0 / (1.0 + (-(slope * m + offset)).exp());
                let (d, h) = (w * (p - if y { high } else { low }), w * p * (1.0 - p));
                (g1, g2) = (g1 + d * m, g2 + d);
                (h11, h12, h22) = (h11 + h * m * m, h12 + h * m, h22 + h);
            }
            let determinant = h11 * h22 - h12 * h12;
            if g1.abs().max(g2.abs()) < 1e-9 || determinant <= 0.0 {
                break;
            }
            let d1 = -(h22 * g1 - h12 * g2) / determinant;
            let d2 = -(h11 * g2 - h12 * g1) / determinant;
            let steps = (0..30).map(|k| 0.5f64.powi(k));
            let better = steps
                .map(|s| (slope + s * d1, offset + s * d2))
                .map(|(a, b)| (loss(a, b), a, b))
                .find(|(l, ..)| *l < best);
            let Some((l, a, b)) = better else { break };
            (best, slope, offset) = (l, a, b);
        }
        // A negative slope would rank abuse below good: the margin carries nothing then.
        if slope < 0.0 {
            (slope, offset) = (0.0, ((positive + 1.0) / (negative + 1.0)).ln());
        }
        Ok(Self::Sigmoid { slope: slope as f32, offset: offset as f32 })
    }
}

fn no_rows() -> ModelError {
    ModelError::Training {
        problem: "no rows with a finite margin and a positive weight to calibrate on; hold out \
                  more groups"
            .into(),
    }
}

/// Neighbouring rows that share one rate.
#[derive(Clone, Debug)]
struct Block {
    rows: f64,
    weight: f64,
    margin_sum: f64,
    /// The weight that `positive` is a share of: `weight` and what shrinkage added.
    pooled_weight: f64,
    positive: f64,
}

impl Block {
    fn new(rows: &[(f64, bool, f64)]) -> Self {
        let weight = rows.iter().map(|r| r.2).sum();
        Self {
            rows: rows.len() as f64,
            weight,
            margin_sum: rows.iter().map(|r| r.0 * r.2).sum(),
            pooled_weight: weight,
            positive: rows.iter().filter(|r| r.1).map(|r| r.2).sum(),
        }
    }

    fn margin(&self) -> f64 {
        self.margin_sum / self.weight
    }

    fn rate(&self) -> f64 {
        self.positive / self.pooled_weight
    }

    fn absorb(&mut self, other: &Self) {
        self.rows += other.rows;
        self.weight += other.weight;
        self.margin_sum += other.margin_sum;
        self.pooled_weight += other.pooled_weight;
        self.positive += other.positive;
    }
}

/// Pools neighbours until rates ascend.
fn pool(blocks: Vec<Block>) -> Vec<Block> {
    let mut pooled: Vec<Block> = Vec::new();
    for mut block in blocks {
        while let Some(last) = pooled.pop_if(|last| last.rate() >= block.rate()) {
            block.absorb(&last);
        }
        pooled.push(block);
    }
    pooled
}

/// Merges the neighbours that differ least (by the squared error it costs) down to the limit.
fn thin(mut blocks: Vec<Block>) -> Vec<Block> {
    let cost = |pair: &[Block]| {
        let (a, b) = (&pair[0], &pair[1]);
        let gap = a.rate() - b.rate();
        gap * gap * a.pooled_weight * b.pooled_weight / (a.pooled_weight + b.pooled_weight)
    };
    while blocks.len() > MAX_KNOTS {
        let cheapest = (0..blocks.len() - 1)
            .min_by(|&i, &j| cost(&blocks[i..i + 2]).total_cmp(&cost(&blocks[j..j + 2])));
        let Some(i) = cheapest else { break };
        let right = blocks.remove(i + 1);
        blocks[i].absorb(&right);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::calibration_error;
    use proptest::prelude::*;

    fn points(calibration: &Calibration) -> Vec<(f32, f32)> {
        match calibration {
            Calibration::Knots(knots) => knots.points().collect(),
            Calibration::Sigmoid { .. } => Vec::new(),
        }
    }

    #[test]
    fn words_say_what_it_is() {
        let platt = Calibration::Sigmoid { slope: 0.5, offset: -1.0 };
        let knots = Knots::new(&[(-1.0, 0.125), (2.0, 0.75)]).unwrap();
        let isotonic = Calibration::Knots(Box::new(knots));
        assert_eq!(Calibration::default().words(), "none, as the model gives it");
        assert_eq!(platt.words(), "Platt, slope 0.50, offset -1.00");
        assert_eq!(isotonic.words(), "isotonic, 2 knots from 0.1250 to 0.7500");
    }

    #[test]
    fn violators_are_pooled_by_hand() {
        let (margins, labels) = ([1.0, 2.0, 3.0, 4.0], [false, true, false, true]);
        let map = Calibration::isotonic(&margins, &labels, &[1.0; 4]).unwrap();
        // 2 and 3 violate and pool at 2.5; each block then holds half a row of either kind more.
        let expected = [(1.0, 0.5 / 2.0), (2.5, 1.5 / 3.0), (4.0, 1.5 / 2.0)];
        assert_eq!(points(&map), expected);
        assert_eq!(map.probability(-9.0), 0.25);
        assert_eq!(map.probability(1.75), 0.375);
        assert_eq!(map.probability(9.0), 0.75);
    }

    #[test]
    fn knots_that_are_no_monotone_map_are_refused() {
        let refused = |points: &[(f32, f32)]| Knots::new(points).unwrap_err().to_string();
        assert!(refused(&[]).contains("is 0, but must be 1 to 32"));
        assert!(refused(&[(0.0, 0.0); 33]).contains("is 33"));
        assert!(refused(&[(f32::NAN, 0.0)]).contains("not finite"));
        assert!(refused(&[(0.0, 1.5)]).contains("not in 0..=1"));
        assert!(refused(&[(0.0, f32::NAN)]).contains("not in 0..=1"));
        assert!(refused(&[(0.0, 0.1), (0.0, 0.2)]).contains("knot 1: the margin does not ascend"));
        assert!(refused(&[(0.0, 0.2), (1.0, 0.1)]).contains("knot 1: the probability descends"));
        let falling = Calibration::Sigmoid { slope: -1.0, offset: 0.0 };
        assert!(falling.check().is_err());
    }

    #[test]
    fn both_maps_calibrate_overconfident_margins() {
        // The true log-odds are half of what the margin says.
        let rows: Vec<(f32, bool)> = (0..8000u32)
            .map(|i| {
                let margin = (i % 100) as f32 / 10.0 - 5.0;
                let chance = crate::data::mix(u64::from(i)) as f32 / u64::MAX as f32;
                (margin, chance < sigmoid(margin / 2.0))
            })
            .collect();
        let (margins, labels): (Vec<f32>, Vec<bool>) = rows.into_iter().unzip();
        let weights = vec![1.0; margins.len()];
        let error = |map: &Calibration| {
            let scores: Vec<f32> = margins.iter().map(|m| map.probability(*m)).collect();
            calibration_error(&scores, &labels, &weights, 10).unwrap()
        };
        let raw = error(&Calibration::default());
        let isotonic = error(&Calibration::isotonic(&margins, &labels, &weights).unwrap());
        let platt = Calibration::platt(&margins, &labels, &weights).unwrap();
        assert!(raw > 0.08, "{raw}");
        assert!(isotonic < 0.02, "{isotonic}");
        assert!(error(&platt) < 0.02, "{}", error(&platt));
        let Calibration::Sigmoid { slope, .. } = platt else { panic!("{platt:?}") };
        assert!((slope - 0.5).abs() < 0.05, "{slope}");
    }

    #[test]
    fn platt_survives_separable_reversed_and_missing_rows() {
        let (low, high) = ([-2.0f32, -1.0, 1.0, 2.0], [false, false, true, true]);
        let map = Calibration::platt(&low, &high, &[1.0; 4]).unwrap();
        assert!(map.probability(2.0) < 0.9 && map.probability(2.0) > 0.6);
        let reversed: Vec<bool> = high.iter().map(|y| !y).collect();
        let flat = Calibration::platt(&low, &reversed, &[1.0; 4]).unwrap();
        assert_eq!(flat.probability(-2.0), flat.probability(2.0));
        assert!(Calibration::platt(&[], &[], &[]).is_err());
        assert!(Calibration::isotonic(&[f32::NAN], &[true], &[1.0]).is_err());
    }

    proptest! {
        #[test]
        fn maps_are_monotone_and_stay_in_range(
            // From a bound that is a sum of powers of two: from others, as 0.1, proptest's sampler
            // now and then oversteps and panics (its own assertion).
            rows in prop::collection::vec((-9i8..9, any::<bool>(), 0.125f32..9.0), 1..300),
            probes in prop::collection::vec(any::<f32>(), 20),
        ) {
            let margins: Vec<f32> = rows.iter().map(|r| f32::from(r.0) / 3.0 + r.2 / 1e3).collect();
            let labels: Vec<bool> = rows.iter().map(|r| r.1).collect();
            let weights: Vec<f32> = rows.iter().map(|r| r.2).collect();
            let mut probes: Vec<f32> = probes.into_iter().filter(|x| !x.is_nan()).collect();
            probes.extend(&margins);
            probes.sort_by(f32::total_cmp);
            for map in [
                Calibration::isotonic(&margins, &labels, &weights).unwrap(),
                Calibration::platt(&margins, &labels, &weights).unwrap(),
            ] {
                prop_assert_eq!(map.check(), Ok(()));
                prop_assert!(points(&map).len() <= MAX_KNOTS);
                let got: Vec<f32> = probes.iter().map(|m| map.probability(*m)).collect();
                prop_assert!(got.is_sorted() && got.iter().all(|p| (0.0..=1.0).contains(p)));
            }
        }
    }
}
