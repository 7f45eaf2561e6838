//! The scoring rule of the Numenta Anomaly Benchmark: what a list of detections is worth.
//!
//! Lavin & Ahmad, "Evaluating Real-time Anomaly Detection Algorithms – the Numenta Anomaly
//! Benchmark", ICMLA 2015. A detection inside a labelled window earns the more the earlier it comes,
//! and only the earliest counts; one outside costs the more the further it is behind the last
//! window; a window without a detection costs its weight. Rows of the probationary period, which a
//! detector may learn from, count neither way.

use std::ops::RangeInclusive;

/// What detections, false alarms and missed windows weigh.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// The name in the benchmark.
    pub name: &'static str,
    /// What the earliest possible detection of a window earns.
    pub true_positive: f64,
    /// What a detection far from any window costs.
    pub false_positive: f64,
    /// What a missed window costs.
    pub false_negative: f64,
}

/// The three profiles of the benchmark, the standard one first.
pub const PROFILES: [Profile; 3] = [
    Profile { name: "standard", true_positive: 1.0, false_positive: 0.11, false_negative: 1.0 },
    Profile {
        name: "reward low FP",
        true_positive: 1.0,
        false_positive: 0.22,
        false_negative: 1.0,
    },
    Profile {
        name: "reward low FN",
        true_positive: 1.0,
        false_positive: 0.11,
        false_negative: 2.0,
    },
];

/// Share of a series that a detector may learn from before it counts.
const PROBATION: f64 = 0.15;
/// No more rows than this are taken to have been seen when the period is measured.
const PROBATION_ROWS: usize = 5000;

/// How many rows at the start of a series of `rows` count neither way.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#[must_use]
pub fn probation(rows: usize) -> usize {
    (PROBATION * rows.min(PROBATION_ROWS) as f64) as usize
}

/// 1 far before the end of a window, 0 at its end, −1 far behind it.
///
/// `position` is measured in widths of the window: −1 is its first row, 0 the row behind it.
#[must_use]
pub fn scaled_sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// What detections at these rows (ascending) are worth on a series of `rows` rows whose anomalies
/// are the `windows` (ascending, apart from each other).
#[allow(clippy::cast_precision_loss)]
#[must_use]
pub fn raw(
    profile: &Profile,
    rows: usize,
    windows: &[RangeInclusive<usize>],
    detections: impl IntoIterator<Item = usize>,
) -> f64 {
    let start = probation(rows);
    let mut best = vec![-profile.false_negative; windows.len()];
    let mut false_alarms = 0.0;
    for row in detections.into_iter().filter(|row| (start..rows).contains(row)) {
        // The windows that have begun; the last of them holds the row or is the one behind it.
        let begun = windows.partition_point(|window| *window.start() <= row);
        let Some(last) = begun.checked_sub(1) else {
            false_alarms -= profile.false_positive;
            continue;
        };
        let window = &windows[last];
        let width = (window.end() - window.start() + 1) as f64;
        if window.contains(&row) {
            let position = -((window.end() - row + 1) as f64) / width;
            let earned = profile.true_positive * scaled_sigmoid(position) / scaled_sigmoid(-1.0);
            best[last] = best[last].max(earned);
        } else {
            let position = (row - window.end()) as f64 / (width - 1.0).max(1.0);
            false_alarms += profile.false_positive * scaled_sigmoid(position);
        }
    }
    best.iter().sum::<f64>() + false_alarms
}

/// Raw scores added up over series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// The sum of the raw scores.
    pub raw: f64,
    /// How many windows there were.
    pub windows: usize,
}

impl Tally {
    /// Takes in one series more.
    pub fn add(&mut self, raw: f64, windows: usize) {
        self.raw += raw;
        self.windows += windows;
    }

    /// The score as published: 0 for a detector that never speaks, 100 for one that detects every
    /// window at its first row and nothing else. `None` without a window.
    #[allow(clippy::cast_precision_loss)]
    #[must_use]
    pub fn normalised(&self, profile: &Profile) -> Option<f64> {
        let windows = self.windows as f64;
        let null = -profile.false_negative * windows;
        let perfect = profile.true_positive * windows;
        (self.windows > 0).then(|| 100.0 * (self.raw - null) / (perfect - null))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Profile = PROFILES[0];
    /// Probation ends at row 150; two windows of a hundred rows.
    const ROWS: usize = 1000;

    fn windows() -> [RangeInclusive<usize>; 2] {
        [300..=399, 700..=799]
    }

    fn score(profile: &Profile, detections: &[usize]) -> f64 {
        raw(profile, ROWS, &windows(), detections.iter().copied())
    }

    fn normalised(profile: &Profile, detections: &[usize]) -> f64 {
        let mut tally = Tally::default();
        tally.add(score(profile, detections), 2);
        tally.normalised(profile).unwrap()
    }

    #[test]
    fn perfect_is_100_and_silence_is_0_in_every_profile() {
        for profile in &PROFILES {
            assert!((normalised(profile, &[300, 700]) - 100.0).abs() < 1e-9);
            assert!(normalised(profile, &[]).abs() < 1e-9);
        }
        assert_eq!(Tally::default().normalised(&STANDARD), None);
    }

    #[test]
    fn the_sigmoid_has_its_published_values() {
        for (position, value) in
            [(-1.0, 0.98661), (-0.5, 0.84828), (0.0, 0.0), (1.0, -0.98661), (3.5, -1.0)]
        {
            assert!((scaled_sigmoid(position) - value).abs() < 1e-5, "{position}");
        }
    }

    #[test]
    fn only_the_earliest_detection_in_a_window_counts() {
        let early = score(&STANDARD, &[310]);
        assert_eq!(score(&STANDARD, &[310, 311, 350, 399]), early);
        assert!(early > score(&STANDARD, &[350]));
        // The last row is still worth more than a miss.
        assert!(score(&STANDARD, &[399]) > score(&STANDARD, &[]));
    }

    #[test]
    fn false_alarms_cost_by_their_distance_behind_a_window() {
        let null = score(&STANDARD, &[]);
        let cost = |row| null - score(&STANDARD, &[row]);
        // Before the first window there is none to be late for.
        assert!((cost(200) - 0.11).abs() < 1e-12);
        assert!(cost(400) < cost(420) && cost(420) < cost(690));
        // One width behind it.
        assert!((cost(498) - 0.11 * 0.98661).abs() < 1e-5);
        // Twice as much where false alarms weigh twice.
        let low_fp = &PROFILES[1];
        assert!((score(low_fp, &[]) - score(low_fp, &[200]) - 0.22).abs() < 1e-12);
        // Every row counts, not every run of rows.
        assert!((null - score(&STANDARD, &[200, 201, 202]) - 0.33).abs() < 1e-12);
    }

    #[test]
    fn a_missed_window_costs_twice_where_misses_weigh_twice() {
        assert_eq!(score(&STANDARD, &[]), -2.0);
        assert_eq!(score(&PROFILES[2], &[]), -4.0);
        assert!((normalised(&STANDARD, &[300]) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn the_probationary_period_counts_neither_way() {
        assert_eq!(probation(ROWS), 150);
        assert_eq!([probation(4032), probation(5000), probation(22_695)], [604, 750, 750]);
        assert_eq!(score(&STANDARD, &[0, 149]), score(&STANDARD, &[]));
        assert!(score(&STANDARD, &[150]) < score(&STANDARD, &[]));
        // A window that lies in it can't be detected.
        assert_eq!(raw(&STANDARD, ROWS, &[10..=20], [10]), -1.0);
        // Nothing behind the end is counted.
        assert_eq!(score(&STANDARD, &[ROWS]), score(&STANDARD, &[]));
    }
}
