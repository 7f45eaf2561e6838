//! The site as series: its requests, refused ones and failures every ten seconds, watched for
//! anomalies.
//!
//! Whichever request comes first after an interval ends takes its counts in; the others go on, and
//! nobody waits. An alarm is counted, and a rise *arms*: for a while clients without a record have
//! less room. It never blocks anybody.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tidegate_limiter::Timestamp;
use tidegate_models::series::{Daily, Reading, Settings, Weekly};

/// One value of each series is what happened in this time.
const INTERVAL: Duration = Duration::from_secs(10);
/// After a silence no more than so many empty intervals are made up for.
const MOST_MISSED: u64 = 30;
/// So long an alarm keeps limits tighter.
const ARMED: Duration = Duration::from_secs(300);
/// Before so many intervals nothing is said: half an hour, in which tails are learned.
const WARM: u32 = 180;
/// Added to responses when their errors are made a share, so that one error in a quiet interval is
/// not all there is.
const PRIOR: f64 = 10.0;

/// What is watched, in the order of [`Stats::anomalies`](crate::Stats::anomalies).
pub const WATCHED: [&str; 3] = ["requests", "client_errors", "server_errors"];

/// Counts since the start that the watch reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub requests: u64,
    pub outcomes: u64,
    pub client_errors: u64,
    pub server_errors: u64,
}

/// The series of a site.
#[derive(Default)]
pub(crate) struct Watch {
    /// When the present interval ends, nanoseconds; read at every request.
    due: AtomicU64,
    /// Until when an alarm keeps limits tighter, nanoseconds.
    armed_until: AtomicU64,
    /// The site's anomaly score, the bits of an f32; 0 while nothing can be said.
    score: AtomicU32,
    /// Alarms by series: rises and drops.
    alarms: [[AtomicU64; 2]; 3],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    before: Totals,
    intervals: u32,
    requests: Weekly,
    client_errors: Daily,
    server_errors: Daily,
}

impl Watch {
    /// Takes in an interval if one has ended; `totals` is asked for only then.
    pub(crate) fn tick(&self, now: Timestamp, totals: impl FnOnce() -> Totals) {
        if now.as_nanos() < self.due.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut state) = self.state.try_lock() else { return };
        let due = self.due.load(Ordering::Relaxed);
        if now.as_nanos() < due {
            return;
        }
        let interval = u64::try_from(INTERVAL.as_nanos()).unwrap_or(u64::MAX);
        self.due.store((now.as_nanos() / interval + 1) * interval, Ordering::Relaxed);
        let totals = totals();
        let before = std::mem::replace(&mut state.before, totals);
        if due == 0 {
            return;
        }
        let silent = ((now.as_nanos() - due) / interval).min(MOST_MISSED);
        self.take(&mut state, counted(&totals, &before), now);
        for _ in 0..silent {
            self.take(&mut state, Totals::default(), now);
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn take(&self, state: &mut State, counts: Totals, now: Timestamp) {
        let settings = Settings::default();
        let (time, outcomes) = (now.as_secs(), counts.outcomes as f64 + PRIOR);
        let readings = [
            state.requests.observe(counts.requests as f64, time, &settings),
            state.client_errors.observe(counts.client_errors as f64 / outcomes, time, &settings),
            state.server_errors.observe(counts.server_errors as f64 / outcomes, time, &settings),
        ];
        state.intervals = state.intervals.saturating_add(1);
        if state.intervals < WARM {
            return;
        }
        let worst = readings.iter().map(Reading::score).fold(0.0, f32::max);
        self.score.store(worst.max(f32::MIN_POSITIVE).to_bits(), Ordering::Relaxed);
        for (reading, alarms) in readings.iter().zip(&self.alarms) {
            if reading.alarm {
                alarms[usize::from(reading.drop)].fetch_add(1, Ordering::Relaxed);
                if !reading.drop {
                    let until = now.plus(ARMED).as_nanos();
                    self.armed_until.store(until, Ordering::Relaxed);
                }
            }
        }
    }

    /// Whether an alarm keeps limits tighter now.
    pub(crate) fn armed(&self, now: Timestamp) -> bool {
        now.as_nanos() < self.armed_until.load(Ordering::Relaxed)
    }

    /// The site's anomaly score, 0..1: 0.999 is a value such as one in a thousand peaks is. `None`
    /// until enough was seen.
    pub(crate) fn score(&self) -> Option<f32> {
        let bits = self.score.load(Ordering::Relaxed);
        (bits != 0).then(|| f32::from_bits(bits))
    }

    /// Alarms so far by series of [`WATCHED`]: rises and drops.
    pub(crate) fn alarms(&self) -> [[u64; 2]; 3] {
        self.alarms.each_ref().map(|pair| pair.each_ref().map(|n| n.load(Ordering::Relaxed)))
    }
}

fn counted(now: &Totals, before: &Totals) -> Totals {
    Totals {
        requests: now.requests.saturating_sub(before.requests),
        outcomes: now.outcomes.saturating_sub(before.outcomes),
        client_errors: now.client_errors.saturating_sub(before.client_errors),
        server_errors: now.server_errors.saturating_sub(before.server_errors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays intervals of so many requests, errors and failures; answers the time behind them.
    fn play(watch: &Watch, start: u64, intervals: &[[u64; 3]], totals: &mut Totals) -> u64 {
        for (i, [requests, client_errors, server_errors]) in intervals.iter().enumerate() {
            totals.requests += requests;
            totals.outcomes += requests;
            totals.client_errors += client_errors;
            totals.server_errors += server_errors;
            watch.tick(Timestamp::from_secs(start + 10 * (i as u64 + 1)), || *totals);
        }
        start + 10 * intervals.len() as u64
    }

    /// Three hours of a common site.
    fn common() -> Vec<[u64; 3]> {
        (0..1080u64).map(|i| [200 + i * 7919 % 41, 4 + i * 104_729 % 5, i * 31 % 2]).collect()
    }

    #[test]
    fn a_rush_arms_for_a_while_and_a_drop_is_only_counted() {
        for (after, place, armed) in [
            ([3000, 5, 1], (0, 0), true),
            ([0, 0, 0], (0, 1), false),
            ([210, 150, 1], (1, 0), true),
            ([210, 5, 150], (2, 0), true),
        ] {
            let (watch, mut totals) = (Watch::default(), Totals::default());
            watch.tick(Timestamp::from_secs(100_000), Totals::default);
            assert_eq!(watch.score(), None);
            let now = play(&watch, 100_000, &common(), &mut totals);
            let before = watch.alarms();
            assert!(before.iter().flatten().sum::<u64>() <= 1, "{before:?}");
            assert!(watch.score().unwrap() < 0.999 && !watch.armed(Timestamp::from_secs(now)));
            let now = play(&watch, now, &[after; 3], &mut totals);
            let (series, drop) = place;
            assert_eq!(watch.alarms()[series][drop], before[series][drop] + 1, "{after:?}");
            assert!(watch.score().unwrap() > 0.999, "{after:?}");
            assert_eq!(watch.armed(Timestamp::from_secs(now)), armed, "{after:?}");
            assert!(!watch.armed(Timestamp::from_secs(now + 301)));
        }
    }

    #[test]
    fn silence_counts_as_empty_intervals_and_only_so_many() {
        let (watch, mut totals) = (Watch::default(), Totals::default());
        watch.tick(Timestamp::from_secs(100_000), Totals::default);
        let now = play(&watch, 100_000, &common(), &mut totals);
        let seen = || watch.state.lock().intervals;
        assert_eq!(seen(), 1080);
        watch.tick(Timestamp::from_secs(now + 5), || unreachable!("the interval goes on"));
        watch.tick(Timestamp::from_secs(now + 100_000), || totals);
        assert_eq!(seen(), 1081 + 30);
        assert_eq!(watch.alarms()[0][1], 1);
    }
}
