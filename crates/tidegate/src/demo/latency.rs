//! What the way through Tidegate adds: the same request timed through it and past it.

use parking_lot::Mutex;
use std::time::Duration;

/// Pairs of times, through Tidegate and direct.
#[derive(Default)]
pub(super) struct Latency(Mutex<(Vec<Duration>, Vec<Duration>)>);

/// The medians of the pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Medians {
    pub(super) through: Duration,
    pub(super) direct: Duration,
    pub(super) pairs: usize,
}

impl Medians {
    /// Milliseconds added; below zero when noise is larger than the difference.
    pub(super) fn added_millis(&self) -> f64 {
        (self.through.as_secs_f64() - self.direct.as_secs_f64()) * 1e3
    }
}

impl Latency {
    pub(super) fn add(&self, through: Duration, direct: Duration) {
        let mut times = self.0.lock();
        times.0.push(through);
        times.1.push(direct);
    }

    /// The medians so far; `None` before the first pair.
    pub(super) fn medians(&self) -> Option<Medians> {
        let times = self.0.lock();
        let median = |times: &[Duration]| {
            let mut sorted = times.to_vec();
            sorted.sort_unstable();
            sorted.get(sorted.len() / 2).copied()
        };
        let (through, direct) = (median(&times.0)?, median(&times.1)?);
        Some(Medians { through, direct, pairs: times.0.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_pairs() {
        let latency = Latency::default();
        assert_eq!(latency.medians(), None);
        for (through, direct) in [(9, 1), (3, 2), (4, 3)] {
            latency.add(Duration::from_millis(through), Duration::from_millis(direct));
        }
        let medians = latency.medians().unwrap();
        assert_eq!((medians.through.as_millis(), medians.direct.as_millis()), (4, 2));
        assert!((medians.added_millis() - 2.0).abs() < 1e-9);
        assert_eq!(medians.pairs, 3);
    }
}
