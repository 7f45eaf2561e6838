//! Models that turn features into a risk: scoring, explanation, calibration, training, files.
//!
//! A [`Model`] is an immutable snapshot that scores one row at a time and allocates nothing; a
//! [`Learner`] changes with every label and hands out such snapshots. Everything here is a pure
//! function of its arguments: no sockets, no clock, no policy.
//!
//! | module | what it holds |
//! |---|---|
//! | [`trees`] | gradient-boosted trees: the champion |
//! | [`logistic`] | logistic regression: the baseline and the online learner |
//! | [`calibration`] | from log-odds to probabilities that mean what they say |
//! | [`series`] | anomalies of one series as it streams by |
//! | [`halfspace`] | anomalies of clients: who is unlike all others |
//! | [`metrics`] | how good scores are |
//! | [`words`] | an explanation in plain words |
//! | [`onnx`] | models made elsewhere, through ONNX Runtime |
//! | [`file`](mod@file) | the model file |
//! | [`data`] | labelled rows and how they are split |
//! | `forecast` | long-horizon forecasts of a rate (feature `forecast`) |
//! | `train` | training of boosted trees, their calibration and exits (feature `train`) |

pub mod calibration;
pub mod data;
mod error;
#[cfg(feature = "train")]
mod exits;
pub mod file;
#[cfg(feature = "forecast")]
pub mod forecast;
pub mod halfspace;
pub mod logistic;
pub mod metrics;
pub mod onnx;
pub mod series;
mod tail;
#[cfg(feature = "train")]
pub mod train;
pub mod trees;
#[cfg(target_arch = "x86_64")]
mod wide;
pub mod words;

#[cfg(test)]
mod conformance;

pub use calibration::Calibration;
pub use data::TrainingSet;
pub use error::ModelError;
pub use file::AnyModel;
pub use logistic::{Logistic, OnlineLogistic};
pub use onnx::{Onnx, OnnxError};
pub use trees::Trees;

use tidegate_behavior::schema::{COUNT, Features};

/// A model that scores one row at a time.
///
/// The contract, which one conformance suite checks for every model: the score is finite and in
/// 0..=1 whatever the features are; the same features give the same bits; an explanation adds up;
/// a model that was saved and loaded scores bit for bit the same.
pub trait Model: Send + Sync {
    /// The calibrated probability of abuse, 0..=1.
    fn score_one(&self, features: &Features) -> f32;

    /// The uncalibrated log-odds of abuse.
    fn margin(&self, features: &Features) -> f32;

    /// What each feature added to the margin.
    fn explain(&self, features: &Features) -> Explanation;

    /// A short name of the family, as files and reports spell it.
    fn kind(&self) -> &'static str;
}

/// A model that learns from one labelled row at a time.
pub trait Learner {
    /// What a snapshot is.
    type Snapshot: Model;

    /// Learns that `features` were abuse (`label`) or not, with a weight of at least 0.
    ///
    /// Rows with a weight that is not a positive finite number, or with features that are not
    /// finite, are ignored: one bad row must not spoil what was learned.
    fn learn_one(&mut self, features: &Features, label: bool, weight: f32);

    /// An immutable model of what was learned so far.
    fn snapshot(&self) -> Self::Snapshot;
}

/// A margin taken apart: `bias + contributions.sum() == margin` within 1e-4, all in log-odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What the model says before it sees any feature.
    pub bias: f32,
    /// What each feature added, by its position in the schema; positive speaks for abuse.
    pub contributions: [f32; COUNT],
    /// The uncalibrated log-odds of abuse.
    pub margin: f32,
}

impl Explanation {
    /// The `n` largest contributions by size, largest first, as (feature, contribution);
    /// features that added nothing are left out and ties go by position.
    pub fn top(&self, n: usize) -> impl Iterator<Item = (usize, f32)> + use<> {
        let mut order: [usize; COUNT] = std::array::from_fn(|i| i);
        let contributions = self.contributions;
        order.sort_by(|&a, &b| contributions[b].abs().total_cmp(&contributions[a].abs()));
        order.into_iter().map(move |i| (i, contributions[i])).take_while(|(_, c)| *c != 0.0).take(n)
    }
}

/// The probability of these log-odds.
///
/// Finite and in 0..=1 for every input but NaN, for which it is 0.5: the odds are unknown.
#[must_use]
pub fn sigmoid(margin: f32) -> f32 {
    if margin.is_nan() { 0.5 } else { 1.0 / (1.0 + (-margin).exp()) }
}

/// Other CPUs walk the trees as `trees.rs` does.
#[cfg(not(target_arch = "x86_64"))]
mod wide {
    use crate::trees::SUMS;
    use std::ops::Range;
    use tidegate_behavior::schema::Features;

    #[derive(Clone, Debug, PartialEq)]
    pub(crate) enum Wide {}

    impl Wide {
        pub(crate) fn new(
            _: usize,
            _: usize,
            _: impl Fn(usize, usize) -> (u8, i16),
        ) -> Option<Self> {
            None
        }

        pub(crate) fn add(&self, _: &[f32], _: &Features, _: Range<usize>, _: &mut [f32; SUMS]) {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_sorts_by_size_and_leaves_out_zeros() {
        let mut contributions = [0.0; COUNT];
        (contributions[3], contributions[7], contributions[9]) = (0.5, -2.0, 0.5);
        let explanation = Explanation { bias: 0.0, contributions, margin: -1.0 };
        assert_eq!(explanation.top(9).collect::<Vec<_>>(), [(7, -2.0), (3, 0.5), (9, 0.5)]);
        assert_eq!(explanation.top(1).collect::<Vec<_>>(), [(7, -2.0)]);
    }

    #[test]
    fn sigmoid_is_finite_everywhere() {
        for (margin, p) in [(f32::MIN, 0.0), (0.0, 0.5), (f32::MAX, 1.0), (f32::NAN, 0.5)] {
            assert_eq!(sigmoid(margin), p);
        }
        assert!((sigmoid(1.0) - 0.731_058_6).abs() < 1e-6);
    }
}
