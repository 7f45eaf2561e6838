//! From margins (log-odds that mean little by themselves) to probabilities that hold.
//!
//! [`Calibration::isotonic`] fits any monotone shape and is the default from about a thousand
//! labels on; [`Calibration::platt`] has two parameters and serves fewer. Fit either on rows that
//! the model was not trained on.

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
    Knots(Knots),
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
        if !(1..=MAX_KNOTS).contains(&count) {
            let (found, max) = (count as u64, MAX_KNOTS as u64);
            let what = "number of calibration knots";
            return Err(ModelError::Size { what, offset: 0, found, min: 1, max });
        }
        let mut knots = Self {
            margins: [f32::INFINITY; MAX_KNOTS],
            probabilities: [0.0; MAX_KNOTS],
            count,
        };
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
        (f64::from(p0) + share * (f64::from(p1) - f64::from(p0))).clamp(f64::from(p0), f64::from(p1))
            as f32
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
        let mut rows: Vec<Block> =
            usable(margins, labels, weights).map(|(m, y, w)| Block::row(m, y, w)).collect();
        rows.sort_by(|a, b| a.margin().total_cmp(&b.margin()));
        // Rows of one margin cannot be told apart, so they are one block from the start.
        rows.dedup_by(|next, kept| {
            let same = next.margin() == kept.margin();
            if same {
                kept.absorb(next);
            }
            same
        });
        let mut blocks = thin(pool(rows));
        for block in &mut blocks {
            // Half a row, whatever the unit of the weights is.
            let row = block.weight / block.rows;
            block.positive += 0.5 * row;
            block.pooled_weight += row;
        }
        let points: Vec<(f32, f32)> =
            pool(blocks).iter().map(|b| (b.margin() as f32, b.rate() as f32)).collect();
        if points.is_empty() {
            return Err(no_rows());
        }
        let mut distinct = points;
        distinct.dedup_by(|next, kept| next.0 <= kept.0);
        Ok(Self::Knots(Knots::new(&distinct)?))
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
    fn row(margin: f64, label: bool, weight: f64) -> Self {
        Self {
            rows: 1.0,
            weight,
            margin_sum: margin * weight,
            pooled_weight: weight,
            positive: if label { weight } else { 0.0 },
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
        let cheapest =
            (0..blocks.len() - 1).min_by(|&i, &j| {
                cost(&blocks[i..i + 2]).total_cmp(&cost(&blocks[j..j + 2]))
            });
        let Some(i) = cheapest else { break };
        let right = blocks.remove(i + 1);
        blocks[i].absorb(&right);
    }
    blocks
}
