//! Whether risk is spread over requests as it was the day before: the population stability index.
//!
//! The index of two distributions p and q over the same classes is Σ (p − q) ln(p / q): 0 when they
//! are the same. Credit scoring, where it comes from (N. Siddiqi, *Credit Risk Scorecards*, 2006),
//! calls less than 0.1 no change worth mention and more than 0.25 a change to look into. Chance alone
//! gives (classes − 1) (1/n + 1/m) in the mean (B. Yurdakul and J. Naranjo, *Statistical properties of
//! the population stability index*, Journal of Risk Model Validation, 2020), which is 0.024 at the
//! fewest requests that are asked for here.
//!
//! It says that something changed, not what. Requests are not independent of each other: an attack, a
//! new client of many requests or the night shift of robots moves it as well as a model that no
//! longer fits. A change that lasts longer than a day is what is usual from then on.

use crate::stats::{RISK_BOUNDS, RiskCounts};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tidegate_limiter::Timestamp;

/// How often counts are kept.
const SAMPLE: Duration = Duration::from_secs(300);
/// What is compared.
const RECENT: Duration = Duration::from_secs(3600);
/// With so much before it.
const BEFORE: Duration = Duration::from_secs(24 * 3600);
/// Samples of both, and those at either end.
const KEPT: usize = 302;
/// Of fewer requests on either side nothing is said.
const FEWEST: u64 = 1000;
/// Added to each class, so that one that nobody was in has a logarithm.
const PRIOR: f64 = 0.5;

/// Counts since the start at some time.
type Sample = (Timestamp, RiskCounts);

/// The risks of the last day, as counts now and then.
pub(crate) struct Drift {
    samples: Mutex<VecDeque<Sample>>,
    /// The bits of the index; not a number while nothing can be said.
    index: AtomicU32,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            samples: Mutex::new(VecDeque::with_capacity(KEPT)),
            index: AtomicU32::new(f32::NAN.to_bits()),
        }
    }
}

impl Drift {
    /// The index; `None` until both sides have enough requests.
    pub(crate) fn index(&self) -> Option<f32> {
        Some(f32::from_bits(self.index.load(Ordering::Relaxed))).filter(|index| !index.is_nan())
    }

    /// Takes in the counts since the start, if it is time to; `counts` is asked for only then.
    pub(crate) fn tick(&self, now: Timestamp, counts: impl FnOnce() -> RiskCounts) {
        let mut samples = self.samples.lock();
        if samples.back().is_some_and(|(last, _)| now < last.plus(SAMPLE)) {
            return;
        }
        let counts = counts();
        // One sample from before the day is its beginning.
        while samples.get(1).is_some_and(|(second, _)| second.plus(RECENT + BEFORE) <= now)
            || samples.len() == KEPT
        {
            samples.pop_front();
        }
        samples.push_back((now, counts));
        #[allow(clippy::cast_possible_truncation)]
        let index = index(&samples, now).map_or(f32::NAN, |index| index as f32);
        self.index.store(index.to_bits(), Ordering::Relaxed);
    }
}

/// The index of the samples of the last hour against those before.
fn index(samples: &VecDeque<Sample>, now: Timestamp) -> Option<f64> {
    let (_, latest) = samples.back()?;
    let (_, since) = samples.iter().rev().find(|(time, _)| time.plus(RECENT) <= now)?;
    let (_, first) = samples.front()?;
    let between = |to: &RiskCounts, from: &RiskCounts| -> RiskCounts {
        std::array::from_fn(|class| to[class].saturating_sub(from[class]))
    };
    stability(&between(latest, since), &between(since, first))
}

/// The population stability index; `None` when there are too few on one side.
#[allow(clippy::cast_precision_loss)]
fn stability(recent: &RiskCounts, before: &RiskCounts) -> Option<f64> {
    let total = |counts: &RiskCounts| counts.iter().sum::<u64>();
    let (all_recent, all_before) = (total(recent), total(before));
    if all_recent.min(all_before) < FEWEST {
        return None;
    }
    let classes = RISK_BOUNDS.len() as f64;
    let share = |count: u64, all: u64| (count as f64 + PRIOR) / (all as f64 + PRIOR * classes);
    let part = |(recent, before): (&u64, &u64)| {
        let (p, q) = (share(*recent, all_recent), share(*before, all_before));
        (p - q) * (p / q).ln()
    };
    Some(recent.iter().zip(before).map(part).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: RiskCounts = [700, 100, 80, 60, 30, 10, 5, 5, 4, 3, 2, 1, 0];
    const WORSE: RiskCounts = [400, 100, 80, 60, 60, 60, 60, 50, 40, 40, 30, 15, 5];

    fn plus(counts: &RiskCounts, more: &RiskCounts) -> RiskCounts {
        std::array::from_fn(|class| counts[class] + more[class])
    }

    /// Five minutes at a time.
    fn run(drift: &Drift, now: &mut u64, counts: &mut RiskCounts, times: u32, more: &RiskCounts) {
        for _ in 0..times {
            *now += SAMPLE.as_secs();
            *counts = plus(counts, more);
            drift.tick(Timestamp::from_secs(*now), || *counts);
        }
    }

    #[test]
    fn the_index_is_that_of_the_definition() {
        // Two classes of three quarters and a quarter against a half each, by hand: ln 3 / 4.
        let mut one = [0; RISK_BOUNDS.len()];
        let mut other = one;
        (one[0], one[12]) = (7_500_000, 2_500_000);
        (other[0], other[12]) = (5_000_000, 5_000_000);
        let expected = 3f64.ln() / 4.0;
        let found = stability(&one, &other).unwrap();
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        assert!((stability(&other, &one).unwrap() - expected).abs() < 1e-4, "it is symmetric");
    }

    #[test]
    fn the_same_is_no_drift_and_another_spread_is() {
        let (drift, mut now, mut counts) = (Drift::default(), 1_000_000, CALM);
        run(&drift, &mut now, &mut counts, 12, &CALM);
        assert_eq!(drift.index(), None, "nothing is before the first hour");
        run(&drift, &mut now, &mut counts, 12, &CALM);
        assert!(drift.index().unwrap() < 0.01, "{:?}", drift.index());
        run(&drift, &mut now, &mut counts, 12, &WORSE);
        assert!(drift.index().unwrap() > 0.25, "{:?}", drift.index());
        // After a day and an hour of it nothing else is known, and less is kept than was seen.
        run(&drift, &mut now, &mut counts, 25 * 12 + 1, &WORSE);
        assert!(drift.index().unwrap() < 0.01, "{:?}", drift.index());
        assert!(drift.samples.lock().len() <= KEPT);
    }

    #[test]
    fn a_quiet_hour_says_nothing_and_samples_are_not_taken_sooner() {
        let (drift, mut now, mut counts) = (Drift::default(), 1_000_000, CALM);
        run(&drift, &mut now, &mut counts, 24, &CALM);
        assert!(drift.index().is_some());
        let before = drift.samples.lock().len();
        drift.tick(Timestamp::from_secs(now + 299), || unreachable!("it is too soon"));
        assert_eq!(drift.samples.lock().len(), before);
        let few = [1; RISK_BOUNDS.len()];
        run(&drift, &mut now, &mut counts, 13, &few);
        assert_eq!(drift.index(), None);
    }
}
