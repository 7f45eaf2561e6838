//! Logistic regression: the baseline that trees must beat, and the learner that follows labels
//! one by one.
//!
//! Features are squashed by a signed logarithm (rates span five decades), standardised and
//! clipped. Weights are learned by FTRL-Proximal with a learning rate per coordinate (McMahan et
//! al., "Ad Click Prediction", KDD 2013): each row costs one pass over the weights, order matters
//! little, and L1 keeps weights of useless features at exactly zero.
//!
//! It fails where features only speak together ("many errors *and* no assets"): it adds them up.

use crate::calibration::Calibration;
use crate::data::{TrainingSet, mix};
use crate::{Explanation, Learner, Model, ModelError, sigmoid};
use tidegate_behavior::schema::{COUNT, Features};

/// Standardised features are clipped to this many standard deviations.
const CLIP: f32 = 5.0;

/// A linear model of squashed and standardised features.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    pub(crate) bias: f32,
    pub(crate) weights: [f32; COUNT],
    pub(crate) scale: Scale,
    pub(crate) calibration: Calibration,
}

/// How raw features become inputs of about mean 0 and deviation 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) means: [f32; COUNT],
    /// One over the standard deviation, 0 for a feature that never varied.
    pub(crate) factors: [f32; COUNT],
}

/// `sign(x) log2(1 + |x|)`, linear between powers of two.
///
/// The upper bits of a float are its logarithm, so this is a subtraction and not a call; it is
/// continuous, odd and strictly monotone, which is all that squashing asks for.
fn squash(x: f32) -> f32 {
    let bits = (1.0 + x.abs()).min(f32::MAX).to_bits();
    let log = (bits as i32 - 0x3f80_0000) as f32 / (1 << 23) as f32;
    log.copysign(x)
}

impl Scale {
    /// Means and deviations of the squashed rows.
    fn fit(set: &TrainingSet) -> Self {
        let (mut weight, mut sum, mut squares) = (0.0, [0.0f64; COUNT], [0.0f64; COUNT]);
        for (row, w) in set.rows.iter().zip(&set.weights) {
            let w = f64::from(*w);
            weight += w;
            for (i, x) in row.iter().enumerate() {
                let x = f64::from(squash(*x));
                sum[i] += w * x;
                squares[i] += w * x * x;
            }
        }
        let mean = |i: usize| sum[i] / weight;
        let factor = |i: usize| {
            let variance = squares[i] / weight - mean(i) * mean(i);
            if variance > 1e-9 { 1.0 / variance.sqrt() } else { 0.0 }
        };
        Self {
            means: std::array::from_fn(|i| mean(i) as f32),
            factors: std::array::from_fn(|i| factor(i) as f32),
        }
    }

    #[inline]
    fn apply(&self, features: &Features) -> [f32; COUNT] {
        let mut inputs = [0.0; COUNT];
        for i in 0..COUNT {
            let x = (squash(features[i]) - self.means[i]) * self.factors[i];
            inputs[i] = x.clamp(-CLIP, CLIP);
        }
        inputs
    }
}

impl Logistic {
    /// Trains on the whole set, `passes` times over in a seeded order, with the margin as it is
    /// for calibration.
    ///
    /// # Errors
    /// When the set cannot be trained on, see [`TrainingSet::check`].
    pub fn train(set: &TrainingSet, passes: usize, seed: u64) -> Result<Self, ModelError> {
        set.check()?;
        let untrained = Self {
            bias: 0.0,
            weights: [0.0; COUNT],
            scale: Scale::fit(set),
            calibration: Calibration::default(),
        };
        let mut learner = OnlineLogistic::new(&untrained);
        let mut order: Vec<usize> = (0..set.len()).collect();
        for pass in 0..passes {
            order.sort_by_cached_key(|i| mix(seed ^ mix((pass * set.len() + i) as u64)));
            for &i in &order {
                learner.learn_one(&set.rows[i], set.labels[i], set.weights[i]);
            }
        }
        Ok(learner.snapshot())
    }

    /// The same model with another map from margins to probabilities.
    #[must_use]
    pub fn with_calibration(self, calibration: Calibration) -> Self {
        Self { calibration, ..self }
    }

    fn contributions(&self, features: &Features) -> [f32; COUNT] {
        let inputs = self.scale.apply(features);
        std::array::from_fn(|i| self.weights[i] * inputs[i])
    }
}

impl Model for Logistic {
    fn score_one(&self, features: &Features) -> f32 {
        self.calibration.probability(self.margin(features))
    }

    fn margin(&self, features: &Features) -> f32 {
        // Eight sums side by side fill the vector registers.
        let mut sums = [0.0f32; 8];
        for chunk in self.contributions(features).as_chunks::<8>().0 {
            sums.iter_mut().zip(chunk).for_each(|(sum, c)| *sum += c);
        }
        self.bias + sums.iter().sum::<f32>()
    }

    fn explain(&self, features: &Features) -> Explanation {
        let contributions = self.contributions(features);
        Explanation { bias: self.bias, contributions, margin: self.margin(features) }
    }

    fn kind(&self) -> &'static str {
        "logistic"
    }
}

const _: () = assert!(COUNT.is_multiple_of(8), "`margin` sums features in chunks of eight");

/// FTRL-Proximal over the inputs of a [`Logistic`], which it starts from and returns to.
#[derive(Clone, Debug)]
pub struct OnlineLogistic {
    model: Logistic,
    /// Per weight, the bias last: the sum of gradients less what the weights account for.
    z: [f64; COUNT + 1],
    /// Per weight, the bias last: the sum of squared gradients.
    n: [f64; COUNT + 1],
}

/// The first steps' size (α of the paper).
const RATE: f64 = 0.1;
/// What tempers the first steps (β of the paper).
const TEMPER: f64 = 1.0;
/// The pull to exactly zero.
const L1: f64 = 0.5;
/// The pull to small weights.
const L2: f64 = 1.0;

impl OnlineLogistic {
    /// Starts from what `model` knows: its weights, its scale and its calibration.
    #[must_use]
    pub fn new(model: &Logistic) -> Self {
        let mut z = [0.0; COUNT + 1];
        for (z, w) in z.iter_mut().zip(model.weights.iter().chain([&model.bias])) {
            // The state in which `weight` gives this weight back.
            let w = f64::from(*w);
            *z = if w == 0.0 { 0.0 } else { -w * (TEMPER / RATE + L2) - w.signum() * L1 };
        }
        Self { model: model.clone(), z, n: [0.0; COUNT + 1] }
    }

    fn weight(&self, i: usize) -> f64 {
        let z = self.z[i];
        if z.abs() <= L1 {
            return 0.0;
        }
        -(z - z.signum() * L1) / ((TEMPER + self.n[i].sqrt()) / RATE + L2)
    }
}

impl Learner for OnlineLogistic {
    type Snapshot = Logistic;

    fn learn_one(&mut self, features: &Features, label: bool, weight: f32) {
        let usable = weight.is_finite() && weight > 0.0 && features.iter().all(|x| x.is_finite());
        if !usable {
            return;
        }
        let margin = self.model.margin(features);
        let error = f64::from(sigmoid(margin)) - f64::from(u8::from(label));
        let inputs = self.model.scale.apply(features);
        for i in 0..=COUNT {
            let x = inputs.get(i).copied().map_or(1.0, f64::from);
            let gradient = error * f64::from(weight) * x;
            let n = self.n[i] + gradient * gradient;
            let sigma = (n.sqrt() - self.n[i].sqrt()) / RATE;
            let before = self.model.weights.get(i).copied().unwrap_or(self.model.bias);
            self.z[i] += gradient - sigma * f64::from(before);
            self.n[i] = n;
            let after = self.weight(i) as f32;
            *self.model.weights.get_mut(i).unwrap_or(&mut self.model.bias) = after;
        }
    }

    fn snapshot(&self) -> Logistic {
        self.model.clone()
    }
}
