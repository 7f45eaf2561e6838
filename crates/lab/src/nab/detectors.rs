//! What is held against the benchmark: the series detector and, beside it, what is simpler.

use super::corpus::Series;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};
use tidegate_models::series::{Daily, Settings};

/// Rows of a series at which a detector raises an alarm. It sees one value after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Detector {
    /// [`tidegate_models::series`].
    Series(Settings),
    /// Distance from an exponentially weighted mean in standard deviations.
    Ewma {
        /// Horizon of mean and deviation, rows.
        horizon: f64,
        /// Deviations from which a row is an alarm.
        threshold: f64,
        /// No second alarm for this many rows.
        refractory: u32,
    },
    /// An alarm every so many rows, at rows picked by chance, the same ones each time.
    Random {
        /// How many rows on average.
        every: u64,
    },
    /// Never speaks.
    Null,
}

/// The best of 25 settings, in hindsight, on the artificial series, ad exchanges and tweets of the
/// benchmark: the comparison should not be with a strawman.
pub const EWMA: Detector = Detector::Ewma { horizon: 1000.0, threshold: 8.0, refractory: 75 };
/// Chance, as seldom as it pays.
pub const RANDOM: Detector = Detector::Random { every: 2000 };

impl Detector {
    /// The name in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Series(_) => "series",
            Self::Ewma { .. } => "EWMA z-score",
            Self::Random { .. } => "random",
            Self::Null => "null",
        }
    }

    /// The rows with an alarm, ascending.
    #[allow(clippy::cast_sign_loss)]
    #[must_use]
    pub fn alarms(&self, series: &Series) -> Vec<usize> {
        let rows = series.values.iter().zip(&series.times).enumerate();
        match self {
            Self::Series(settings) => {
                let mut state = Daily::default();
                rows.filter(|(_, (value, time))| {
                    state.observe(**value, (**time).max(0) as u64, settings).alarm
                })
                .map(|(row, _)| row)
                .collect()
            }
            Self::Ewma { horizon, threshold, refractory } => {
                let (mut state, mut since) = (Ewma::default(), u32::MAX);
                rows.filter(|(_, (value, _))| {
                    since = since.saturating_add(1);
                    let alarm = state.observe(**value, *horizon) > *threshold;
                    let first = alarm && since >= *refractory;
                    if first {
                        since = 0;
                    }
                    first
                })
                .map(|(row, _)| row)
                .collect()
            }
            Self::Random { every } => {
                let mut random = ChaCha8Rng::seed_from_u64(1);
                rows.filter(|_| random.next_u64().is_multiple_of(*every)).map(|row| row.0).collect()
            }
            Self::Null => Vec::new(),
        }
    }
}

/// Exponentially weighted mean and variance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ewma {
    seen: f64,
    mean: f64,
    variance: f64,
}

impl Ewma {
    /// How many standard deviations the value is from the mean of those before it; takes it in.
    pub fn observe(&mut self, value: f64, horizon: f64) -> f64 {
        let off = value - self.mean;
        let distance = if self.variance > 0.0 { off.abs() / self.variance.sqrt() } else { 0.0 };
        self.seen += 1.0;
        let rate = (1.0 / self.seen).max(1.0 / horizon);
        self.mean += rate * off;
        self.variance = (1.0 - rate) * (self.variance + rate * off * off);
        distance
    }
}
