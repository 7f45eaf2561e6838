//! Anomalies of one series as it streams by: spikes, drops, shifts, missed cycles, going flat.
//!
//! Four statistics are kept of the values: how far one is from those just before it, how far the
//! level of the last few is from the long one, how far it is from what is usual at this hour, and
//! how little the series moves. Each has a tail of its own on either side (`tail.rs`), and what
//! they say adds up: *evidence*, −log10 of a tail probability. The mean evidence of the last few
//! values counts too, so that what is odd for long is found although no value is. Evidence above
//! the threshold is an alarm. After one the bar is as high as what was seen, and sinks slowly: the
//! aftermath of an event is not news (a refractory period, with habituation).
//!
//! Everything is causal, and nothing is known of a series beforehand, not its range either.
//!
//! **When it fails.** A period other than a day or a week is unknown to it. A slow drift is taken
//! for the new level. What happens in the first hundred values is learned, not judged. A burst that
//! comes every few hours is usual after some repetitions, wanted or not.

use crate::tail::Tail;

/// What may be chosen; the defaults are those measured in the README.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Evidence from which an observation is an alarm.
    pub threshold: f32,
    /// No second alarm for this many values.
    pub refractory: u32,
    /// Horizon of the expectation, values.
    pub fast: f32,
    /// Horizon of the level, values.
    pub level: f32,
    /// Horizon of the long level and of the usual variability, values.
    pub long: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { threshold: 3.3, refractory: 75, fast: 16.0, level: 8.0, long: 500.0 }
    }
}

/// Horizon over which evidence is averaged, values.
const SUSTAINED: f32 = 4.0;
/// What sustained evidence weighs against that of one value.
const SUSTAINED_WEIGHT: f32 = 2.0;
/// The bar sinks to 1/e of its height above the threshold over this many values.
const HABITUATION: f32 = 200.0;
/// No evidence counts as more than this.
const MOST: f32 = 12.0;
/// How far an hour moves towards a new day's mean.
const SEASON_RATE: f32 = 0.1;
/// Values count as no larger, so that their squares stay within an f32.
const LARGEST: f64 = 1e15;
/// Movements of a series smaller than this share of its level are noise.
const RESOLUTION: f32 = 1e-4;

const HOUR: u64 = 3600;

/// Which tail is which.
const TAILS: usize = 7;

/// What one value meant.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// −log10 of how improbable the value and its like of late are; 0 when nothing is odd.
    pub evidence: f32,
    /// Whether this is the moment to tell somebody.
    pub alarm: bool,
    /// Whether the series is lower than it should be, rather than higher.
    pub drop: bool,
}

impl Reading {
    /// The anomaly as a number from 0 (as usual) to 1.
    #[must_use]
    pub fn score(&self) -> f32 {
        1.0 - 10f32.powf(-self.evidence)
    }
}

/// A series whose day has 24 hours; 200 bytes.
pub type Daily = Series<24>;
/// A series whose week has 168 hours, for the few that matter most.
pub type Weekly = Series<168>;

/// The state of one series with `HOURS` hours in its cycle.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<const HOURS: usize> {
    season: Season<HOURS>,
    tails: [Tail; TAILS],
    peaks: [u8; TAILS],
    seen: u32,
    last: f32,
    fast: f32,
    level: f32,
    long: f32,
    moves: f32,
    long_moves: f32,
    sustained: f32,
    bar: f32,
    since: u16,
}

impl<const HOURS: usize> Default for Series<HOURS> {
    fn default() -> Self {
        Self {
            season: Season::default(),
            tails: [Tail::default(); TAILS],
            peaks: [0; TAILS],
            seen: 0,
            last: 0.0,
            fast: 0.0,
            level: 0.0,
            long: 0.0,
            moves: 0.0,
            long_moves: 0.0,
            sustained: 0.0,
            bar: 0.0,
            since: u16::MAX,
        }
    }
}

impl<const HOURS: usize> Series<HOURS> {
    /// Takes in the next value, at `time` in seconds since 1970, and says what it means.
    ///
    /// A value that is not finite is ignored.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub fn observe(&mut self, value: f64, time: u64, settings: &Settings) -> Reading {
        if !value.is_finite() {
            return Reading::default();
        }
        let value = value.clamp(-LARGEST, LARGEST) as f32;
        if self.seen == 0 {
            (self.last, self.fast, self.level, self.long) = (value, value, value, value);
        }
        let seen = self.seen as f32;
        let towards = |horizon: f32| (1.0 / (seen + 1.0)).max(1.0 / horizon);
        let moved = (value - self.last).abs();
        self.level += towards(settings.level) * (value - self.level);
        self.moves += towards(settings.level) * (moved - self.moves);

        let residual = value - self.fast;
        let shift = self.level - self.long;
        let stillness = ((1.05 * self.long_moves + f32::MIN_POSITIVE)
            / (self.moves + 0.05 * self.long_moves + f32::MIN_POSITIVE))
            .ln();
        let off_season = self.season.expected(value, time).map_or(0.0, |usual| self.level - usual);

        let statistics = [residual, -residual, shift, -shift, off_season, -off_season, stillness];
        let least = RESOLUTION * self.long.abs();
        let mut surprises = [0.0; TAILS];
        for (i, statistic) in statistics.into_iter().enumerate() {
            let least = if i == TAILS - 1 { RESOLUTION } else { least };
            surprises[i] = self.tails[i].surprise(statistic, seen, self.peaks[i], least);
            self.tails[i].learn(statistic, seen, &mut self.peaks[i]);
        }
        let [up, down, higher, lower, above, below, still] = surprises;
        let (rise, fall) = (up + higher + above, down + lower + below);
        let now = (rise + fall + still).min(MOST);

        self.fast += towards(settings.fast) * (value - self.fast);
        self.long += towards(settings.long) * (value - self.long);
        self.long_moves += towards(settings.long) * (moved - self.long_moves);
        self.sustained += (now - self.sustained) / SUSTAINED;
        self.last = value;
        self.seen = self.seen.saturating_add(1);
        let evidence = now.max(SUSTAINED_WEIGHT * self.sustained).min(MOST);
        Reading { evidence, alarm: self.alarm(evidence, settings), drop: fall > rise }
    }

    fn alarm(&mut self, evidence: f32, settings: &Settings) -> bool {
        let threshold = settings.threshold;
        self.bar = threshold + (self.bar - threshold).max(0.0) * (1.0 - 1.0 / HABITUATION);
        self.since = self.since.saturating_add(1);
        if evidence <= self.bar {
            return false;
        }
        self.bar = evidence;
        let alarm = u32::from(self.since) >= settings.refractory;
        if alarm {
            self.since = 0;
        }
        alarm
    }
}

/// What is usual at each hour of the cycle.
///
/// The upper halves of f32 (bfloat16), as differences from the first value: half of the memory, for
/// a precision of a few thousandths of what an hour differs.
#[derive(Clone, Debug, PartialEq)]
struct Season<const HOURS: usize> {
    hours: [u16; HOURS],
    anchor: f32,
    /// How far a day's hour usually is from what was expected of it.
    spread: f32,
    /// Mean and number of the values of the present hour.
    mean: f32,
    count: u16,
    hour: u32,
    /// How many hours have been taken in.
    taken: u16,
}

/// An hour that nothing is known of: a NaN.
const UNKNOWN: u16 = 0x7fc0;

impl<const HOURS: usize> Default for Season<HOURS> {
    fn default() -> Self {
        Self {
            hours: [UNKNOWN; HOURS],
            anchor: 0.0,
            spread: 0.0,
            mean: 0.0,
            count: 0,
            hour: 0,
            taken: 0,
        }
    }
}

impl<const HOURS: usize> Season<HOURS> {
    /// What is usual at this time, between the middles of two hours; then takes in the value.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    fn expected(&mut self, value: f32, time: u64) -> Option<f32> {
        let hour = (time / HOUR) as u32;
        if hour != self.hour {
            self.close();
            self.hour = hour;
        }
        if self.count == 0 && self.taken == 0 {
            self.anchor = value;
        }
        self.count = self.count.saturating_add(1);
        self.mean += (value - self.anchor - self.mean) / f32::from(self.count);

        let within = (time % HOUR) as f32 / HOUR as f32 - 0.5;
        let at = |step: usize| self.usual(hour as usize + HOURS + step - 1);
        let (before, after, share) =
            if within < 0.0 { (at(0), at(1), within + 1.0) } else { (at(1), at(2), within) };
        let usual = match (before, after) {
            (Some(before), Some(after)) => before + (after - before) * share,
            (one, other) => one.or(other)?,
        };
        Some(self.anchor + usual)
    }

    /// What is known of an hour; of the same hour a day or more before when it has not been yet.
    fn usual(&self, hour: usize) -> Option<f32> {
        (0..HOURS / 24)
            .map(|days| wide(self.hours[(hour + HOURS - 24 * days) % HOURS]))
            .find(|usual| !usual.is_nan())
    }

    /// The hour is over: what is usual moves towards its mean, but no further for an odd day than
    /// for a common one.
    fn close(&mut self) {
        if self.count == 0 {
            return;
        }
        let place = self.hour as usize % HOURS;
        let known = wide(self.hours[place]);
        let cycles = f32::from(self.taken) / HOURS as f32;
        self.hours[place] = if known.is_nan() {
            narrow(self.mean)
        } else {
            let off = self.mean - known;
            let first = self.spread == 0.0;
            let clipped = if first { off } else { off.clamp(-self.spread, self.spread) };
            let bounded = if first { off.abs() } else { off.abs().min(4.0 * self.spread) };
            let rate = (1.0 / (f32::from(self.taken) + 1.0 - HOURS as f32).max(1.0)).max(0.02);
            self.spread += rate * (bounded - self.spread);
            narrow(known + SEASON_RATE.max(1.0 / (1.0 + cycles)) * clipped)
        };
        self.taken = self.taken.saturating_add(1);
        (self.mean, self.count) = (0.0, 0);
    }
}

fn wide(upper: u16) -> f32 {
    f32::from_bits(u32::from(upper) << 16)
}

/// To the nearest.
fn narrow(value: f32) -> u16 {
    (value.to_bits().saturating_add(0x8000) >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    const STEP: u64 = 300;
    const SETTINGS: Settings =
        Settings { threshold: 3.3, refractory: 75, fast: 16.0, level: 8.0, long: 500.0 };

    /// A day's wave with noise, every five minutes.
    fn wave(values: usize, seed: u64) -> Vec<f64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        (0..values)
            .map(|i| {
                let day = i as f64 * std::f64::consts::TAU / 288.0;
                let noise: f64 = (0..6).map(|_| random.random_range(-1.0..1.0)).sum();
                100.0 + 40.0 * day.sin() + 2.0 * noise
            })
            .collect()
    }

    fn alarms(values: &[f64]) -> Vec<(usize, Reading)> {
        let mut series = Daily::default();
        let read =
            |(i, value): (usize, &f64)| (i, series.observe(*value, i as u64 * STEP, &SETTINGS));
        values.iter().enumerate().map(read).filter(|(_, reading)| reading.alarm).collect()
    }

    /// What was altered at row 3000 is found within `within` rows, and once.
    fn found(alter: impl Fn(usize, f64) -> f64, within: usize, drop: bool) {
        for seed in 0..5 {
            let plain = wave(4000, seed);
            let quiet = alarms(&plain);
            assert!(quiet.len() <= 2, "seed {seed}: {quiet:?}");
            let altered: Vec<f64> = (0..)
                .zip(&plain)
                .map(|(i, v)| if i < 3000 { *v } else { alter(i - 3000, *v) })
                .collect();
            let found: Vec<_> = alarms(&altered).into_iter().filter(|(i, _)| *i >= 3000).collect();
            let (row, reading) = found.first().unwrap_or_else(|| panic!("seed {seed}: nothing"));
            assert!(*row < 3000 + within, "seed {seed}: {found:?}");
            assert_eq!(reading.drop, drop, "seed {seed}: {found:?}");
            assert!(reading.score() > 0.99 && reading.score() <= 1.0);
        }
    }

    #[test]
    fn a_spike_and_a_drop_are_found_at_once() {
        found(|i, v| if i < 3 { v + 150.0 } else { v }, 2, false);
        found(|i, v| if i < 6 { v * 0.02 } else { v }, 3, true);
    }

    #[test]
    fn a_shift_a_missed_day_and_stillness_are_found() {
        found(|_, v| v + 60.0, 5, false);
        // Every value of the night is common; only by day it is odd.
        found(|i, v| if i < 288 { 62.0 + (v - v.floor()) } else { v }, 120, true);
        let still: Vec<f64> = wave(4000, 1)
            .iter()
            .enumerate()
            .map(|(i, v)| if i < 3000 { *v } else { 100.0 })
            .collect();
        assert!(alarms(&still).iter().any(|(i, _)| (3000..3100).contains(i)));
    }

    #[test]
    fn no_second_alarm_in_the_refractory_period() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let wild: Vec<f64> =
            (0..20_000).map(|_| random.random_range(0.0001f64..1.0).powi(-2)).collect();
        let rows: Vec<usize> = alarms(&wild).into_iter().map(|(i, _)| i).collect();
        assert!(rows.windows(2).all(|pair| pair[1] - pair[0] >= 75), "{rows:?}");
        assert!(rows.len() < 60, "{}", rows.len());
    }

    #[test]
    fn a_series_that_never_moved_and_then_does_is_an_anomaly() {
        for constant in [0.0, 45.0] {
            let mut values = vec![constant; 1000];
            values.push(constant + 1.0);
            let rows: Vec<usize> = alarms(&values).into_iter().map(|(i, _)| i).collect();
            assert_eq!(rows, [1000]);
        }
    }

    #[test]
    fn the_past_does_not_depend_on_the_future_nor_on_the_unit() {
        let values = wave(2000, 7);
        let all = alarms(&values);
        let part = alarms(&values[..1500]);
        assert_eq!(all[..part.len()], part);
        // A power of two changes no digit.
        let scaled: Vec<f64> = values.iter().map(|v| v * 1024.0).collect();
        let rows =
            |found: Vec<(usize, Reading)>| found.into_iter().map(|f| f.0).collect::<Vec<_>>();
        assert_eq!(rows(alarms(&scaled)), rows(all));
    }

    #[test]
    fn nothing_breaks_it() {
        let mut series = Daily::default();
        let odd = [f64::NAN, f64::MAX, 0.0, f64::MIN, f64::INFINITY, 1e30, -1e30, 3e38, -3e38];
        for (i, value) in odd.iter().cycle().take(5000).enumerate() {
            let time = [0, u64::MAX, i as u64 * 7000, 5][i % 4];
            let reading = series.observe(*value, time, &SETTINGS);
            assert!((0.0..=MOST).contains(&reading.evidence), "{i}: {reading:?}");
            assert!((0.0..=1.0).contains(&reading.score()));
        }
    }

    #[test]
    fn a_week_knows_its_weekends_and_a_day_takes_two_hundred_bytes() {
        assert!(size_of::<Daily>() <= 200);
        assert!(size_of::<Weekly>() <= 512);
        let mut week = Season::<168>::default();
        let value = |hour: u64| if hour / 24 % 7 >= 5 { 10.0 } else { 100.0 };
        for hour in 0..24 * 7 * 4 {
            week.expected(value(hour), hour * HOUR + HOUR / 2);
        }
        for hour in (0..168).step_by(12).map(|hour| hour + 24 * 28) {
            let usual = week.expected(value(hour), hour * HOUR + HOUR / 2).unwrap();
            assert!((usual - value(hour)).abs() < 1.0, "{hour}: {usual}");
        }
        // On the second day the first one is all there is.
        let mut young = Season::<168>::default();
        for hour in 0..30 {
            young.expected(hour as f32, hour * HOUR + HOUR / 2);
        }
        assert_eq!(young.expected(0.0, 30 * HOUR + HOUR / 2), Some(6.0));
    }
}
