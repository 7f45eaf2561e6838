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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, noisy_set};
    use crate::file::AnyModel;
    use crate::metrics::Ranking;

    fn auc(model: &impl Model, set: &TrainingSet) -> f64 {
        let scores: Vec<f32> = set.rows.iter().map(|row| model.score_one(row)).collect();
        Ranking::new(&scores, &set.labels, &set.weights).roc_auc().unwrap()
    }

    #[test]
    fn it_conforms() {
        let model = Logistic::train(&noisy_set(400, 5), 3, 5).unwrap();
        conformance::run(AnyModel::Logistic(Box::new(model)));
    }

    #[test]
    fn it_learns_what_is_linear_and_repeats() {
        let (set, unseen) = (noisy_set(2000, 5), noisy_set(1000, 6));
        let model = Logistic::train(&set, 3, 5).unwrap();
        let got = auc(&model, &unseen);
        assert!(got > 0.8, "ROC-AUC {got}");
        assert_eq!(model, Logistic::train(&set, 3, 5).unwrap());
        assert_ne!(model, Logistic::train(&set, 3, 6).unwrap());
    }

    #[test]
    fn it_follows_labels_that_turn() {
        let (set, mut turned) = (noisy_set(1500, 5), noisy_set(1500, 6));
        turned.labels.iter_mut().for_each(|label| *label = !*label);
        let mut learner = OnlineLogistic::new(&Logistic::train(&set, 1, 5).unwrap());
        let before = auc(&learner.snapshot(), &turned);
        for i in 0..turned.len() {
            learner.learn_one(&turned.rows[i], turned.labels[i], turned.weights[i]);
        }
        let after = auc(&learner.snapshot(), &turned);
        assert!(before < 0.3 && after > 0.7, "ROC-AUC {before}, then {after}");
    }

    #[test]
    fn a_learner_starts_where_the_model_is_and_ignores_bad_rows() {
        let model = Logistic::train(&noisy_set(500, 5), 1, 5).unwrap();
        let mut learner = OnlineLogistic::new(&model);
        learner.learn_one(&[f32::NAN; COUNT], true, 1.0);
        learner.learn_one(&[1.0; COUNT], true, f32::INFINITY);
        learner.learn_one(&[1.0; COUNT], true, 0.0);
        learner.learn_one(&[1.0; COUNT], true, -1.0);
        assert_eq!(learner.snapshot(), model);
        for i in 0..COUNT {
            assert!((learner.weight(i) as f32 - model.weights[i]).abs() < 1e-6);
        }
        learner.learn_one(&[1.0; COUNT], true, 1.0);
        assert!(learner.snapshot().margin(&[1.0; COUNT]) > model.margin(&[1.0; COUNT]));
    }

    #[test]
    fn squashing_is_an_odd_logarithm() {
        for (x, y) in [(0.0, 0.0), (1.0, 1.0), (3.0, 2.0), (-7.0, -3.0), (f32::MAX, 128.0)] {
            assert!((squash(x) - y).abs() < 1e-4, "{x} gives {}", squash(x));
        }
        let xs: Vec<f32> = (-2000..2000).map(|i| squash(i as f32 / 37.0)).collect();
        assert!(xs.is_sorted_by(|a, b| a < b));
    }
}
