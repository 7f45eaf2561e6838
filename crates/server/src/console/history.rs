//! The last hours of the site in samples: what was decided, at what risk, how quickly.

use serde::Serialize;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate_engine::Stats;

/// Seconds that one sample stands for.
pub(crate) const EVERY: u64 = 10;
/// Six hours of samples.
const MOST: usize = 6 * 3600 / EVERY as usize;
/// A quarter of an octave a bucket, from 64 ns up to some 70 s.
const BUCKETS: usize = 120;
const FIRST: u32 = 6;

/// Times to decide, counted in buckets of a quarter of an octave.
pub(crate) struct Latency([AtomicU64; BUCKETS]);

impl Default for Latency {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::default()))
    }
}

impl Latency {
    pub(crate) fn observe(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1 << FIRST);
        let octave = nanos.ilog2();
        // The two bits below the highest.
        let quarter = (nanos >> (octave - 2)) & 3;
        let at = (octave - FIRST) as usize * 4 + quarter as usize;
        self.0[at.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }
}

/// The upper edge of the bucket that holds this quantile, microseconds; `None` of nothing.
#[allow(clippy::cast_precision_loss)]
fn quantile(counts: &[u64; BUCKETS], share: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let mut left = (total as f64 * share).ceil().max(1.0);
    let at = counts.iter().position(|count| {
        left -= *count as f64;
        left <= 0.0
    });
    at.filter(|_| total > 0).map(|at| {
        let low = 2f64.powi((at / 4) as i32 + FIRST as i32) * (1.0 + (at % 4) as f64 / 4.0);
        (low + 2f64.powi((at / 4) as i32 + FIRST as i32) / 4.0) / 1000.0
    })
}

/// What happened in one interval.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sample {
    /// When it ended, seconds since the Unix epoch.
    pub time: u64,
    /// Requests decided, by action from the mildest.
    pub actions: [u64; 5],
    /// Denied requests.
    pub denied: u64,
    /// Of those, the ones that shadow mode let pass.
    pub shadow_denied: u64,
    /// Requests by tenth of their client's risk.
    pub risk: [u64; 10],
    /// Outcomes, and those with a status of 4xx and 5xx.
    pub outcomes: [u64; 3],
    /// Half of the decisions took no longer, microseconds.
    pub p50_us: Option<f64>,
    /// All but one in a hundred took no longer, microseconds.
    pub p99_us: Option<f64>,
}

impl Sample {
    /// Puts the next one into it: counts add up, of times to decide the longest stays.
    fn add(&mut self, next: &Self) {
        fn sum<const N: usize>(into: &mut [u64; N], next: &[u64; N]) {
            into.iter_mut().zip(next).for_each(|(into, next)| *into += next);
        }
        let longest = |a: Option<f64>, b: Option<f64>| a.map_or(b, |a| Some(a.max(b.unwrap_or(a))));
        self.time = next.time;
        sum(&mut self.actions, &next.actions);
        sum(&mut self.risk, &next.risk);
        sum(&mut self.outcomes, &next.outcomes);
        self.denied += next.denied;
        self.shadow_denied += next.shadow_denied;
        self.p50_us = longest(self.p50_us, next.p50_us);
        self.p99_us = longest(self.p99_us, next.p99_us);
    }
}

/// What was counted up to the sample before.
#[derive(Default)]
struct Before {
    stats: Stats,
    latency: Option<[u64; BUCKETS]>,
}

impl Before {
    fn sample(&mut self, time: u64, stats: &Stats, latency: &Latency) -> Sample {
        let counts = latency.counts();
        let before = self.latency.replace(counts).unwrap_or([0; BUCKETS]);
        let lately = std::array::from_fn(|at| counts[at] - before[at].min(counts[at]));
        let was = std::mem::replace(&mut self.stats, *stats);
        let since = |now: u64, was: u64| now.saturating_sub(was);
        let (risk, risk_before) = (stats.risk_tenths(), was.risk_tenths());
        Sample {
            time,
            actions: std::array::from_fn(|at| since(stats.decided[at], was.decided[at])),
            denied: since(stats.denied, was.denied),
            shadow_denied: since(stats.shadow_denied, was.shadow_denied),
            risk: std::array::from_fn(|at| since(risk[at], risk_before[at])),
            outcomes: [
                since(stats.outcomes, was.outcomes),
                since(stats.client_errors, was.client_errors),
                since(stats.server_errors, was.server_errors),
            ],
            p50_us: quantile(&lately, 0.5),
            p99_us: quantile(&lately, 0.99),
        }
    }
}

/// The samples of the last hours, and the last second.
#[derive(Default)]
pub(crate) struct History {
    samples: VecDeque<Sample>,
    by_interval: Before,
    by_second: Before,
    ends: u64,
}

impl History {
    /// Takes in what was counted so far; answers what is new since the last call. Call it every
    /// second.
    pub(crate) fn take(&mut self, time: u64, stats: &Stats, latency: &Latency) -> Sample {
        if time >= self.ends {
            if self.ends > 0 {
                let sample = self.by_interval.sample(time, stats, latency);
                if self.samples.len() >= MOST {
                    self.samples.pop_front();
                }
                self.samples.push_back(sample);
            }
            self.ends = (time / EVERY + 1) * EVERY;
        }
        self.by_second.sample(time, stats, latency)
    }

    /// The samples, and for how many seconds each stands. Of more than `most` (at least 2) neighbours are
    /// put together: those of one stretch of the clock, so that a chart which is drawn anew does not jump.
    /// The first and the last then stand for less.
    pub(crate) fn samples(&self, most: usize) -> (u64, Vec<Sample>) {
        let (count, most) = (self.samples.len(), most.max(2));
        // The first and the last stretch may be cut, so there is one more of them.
        let together = if count > most { count.div_ceil(most - 1) } else { 1 };
        let every = EVERY * together as u64;
        let mut kept: Vec<Sample> = Vec::new();
        let mut slot = None;
        for sample in &self.samples {
            // A sample is named by its end.
            let of = sample.time.saturating_sub(1) / every;
            match kept.last_mut().filter(|_| slot == Some(of)) {
                Some(last) => last.add(sample),
                None => kept.push(sample.clone()),
            }
            slot = Some(of);
        }
        (every, kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_quarter_of_an_octave() {
        let latency = Latency::default();
        assert_eq!(quantile(&latency.counts(), 0.5), None);
        for micros in 1..=1000u64 {
            latency.observe(Duration::from_micros(micros));
        }
        for (share, exact) in [(0.5, 500.0), (0.99, 990.0), (0.01, 10.0)] {
            let got = quantile(&latency.counts(), share).unwrap();
            assert!(got >= exact && got <= exact * 1.26, "{share}: {got}");
        }
        // Nothing is too small or too large to be counted.
        latency.observe(Duration::ZERO);
        latency.observe(Duration::MAX);
        assert_eq!(latency.counts().iter().sum::<u64>(), 1002);
    }

    #[test]
    fn samples_hold_what_is_new_and_are_bounded() {
        let (mut history, latency) = (History::default(), Latency::default());
        let mut stats = Stats::default();
        for second in 0..=100u64 {
            stats.decided[1] += 3;
            stats.denied += 1;
            let new = history.take(1_000_000 + second, &stats, &latency);
            assert_eq!((new.actions[1], new.denied), (3, 1));
        }
        let (_, samples) = history.samples(usize::MAX);
        assert_eq!(samples.len(), 10);
        assert!(samples[1..].iter().all(|s| s.actions[1] == 30 && s.denied == 10), "{samples:?}");
        for n in 0..3 * MOST as u64 {
            history.take(2_000_000 + n * EVERY, &stats, &latency);
        }
        assert_eq!(history.samples(usize::MAX).1.len(), MOST);
    }

    #[test]
    fn neighbours_are_put_together_until_they_are_few_and_nothing_is_lost() {
        let (mut history, latency) = (History::default(), Latency::default());
        let mut stats = Stats::default();
        for n in 0..=1000u64 {
            stats.decided[1] += 7;
            latency.observe(Duration::from_micros(n + 1));
            history.take(5_000_003 + n * EVERY, &stats, &latency);
        }
        let sum = |samples: &[Sample]| samples.iter().map(|s| s.actions[1]).sum::<u64>();
        let (every, all) = history.samples(usize::MAX);
        assert_eq!((every, all.len()), (EVERY, 1000));
        for most in [2, 3, 7, 360, 999, 1000] {
            let (every, few) = history.samples(most);
            assert!(few.len() <= most && sum(&few) == sum(&all), "{most}: {}", few.len());
            assert_eq!(every % EVERY, 0);
            assert_eq!(few.last().unwrap().time, all.last().unwrap().time);
        }
        // A sample more moves none of those that are whole.
        let (_, before) = history.samples(360);
        history.take(5_000_003 + 1001 * EVERY, &stats, &latency);
        let (_, after) = history.samples(360);
        assert_eq!(before[100].time, after[100].time);
        let slowest =
            |samples: &[Sample]| samples.iter().filter_map(|s| s.p99_us).fold(0.0, f64::max);
        assert_eq!(slowest(&before), slowest(&all));
    }
}
