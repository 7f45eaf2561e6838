//! The Numenta Anomaly Benchmark: its files, its scoring rule, and detectors held against it.

pub mod corpus;
pub mod detectors;
pub mod score;

use corpus::Series;
use detectors::{Detector, EWMA, RANDOM};
use score::{PROFILES, Profile, Tally};
use serde::Serialize;
use std::collections::BTreeSet;
use tidegate_models::series::Settings;

/// One detector on one set of series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What was measured, and how its settings were found.
    pub name: String,
    /// Normalised score by profile, in the order of [`PROFILES`]; `None` without a window.
    pub scores: [Option<f64>; 3],
    /// Normalised score of the standard profile by category, in the order of the report; `None` for
    /// a category without a window.
    pub categories: Vec<Option<f64>>,
    /// Windows in which there was an alarm.
    pub found: usize,
    /// Alarms outside of windows and behind the probationary period.
    pub false_alarms: usize,
}

/// Detectors held against labelled series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How many series there were.
    pub series: usize,
    /// How many values.
    pub values: usize,
    /// How many windows.
    pub windows: usize,
    /// The categories, sorted.
    pub categories: Vec<String>,
    /// With the settings that are fixed in the code, and the baselines.
    pub fixed: Vec<Line>,
    /// With settings chosen on other series: by fold, then by category.
    pub chosen: Vec<Line>,
}

/// How many folds series are dealt into, in the order of their names.
pub const FOLDS: usize = 5;

/// Everything the choice is among.
#[must_use]
pub fn grid() -> Vec<Settings> {
    let mut grid = Vec::new();
    for threshold in [2.8, 3.3, 4.0] {
        for fast in [8.0, 16.0, 32.0] {
            for level in [6.0, 8.0, 12.0] {
                for long in [250.0, 500.0] {
                    for refractory in [50, 75, 100] {
                        grid.push(Settings { threshold, refractory, fast, level, long });
                    }
                }
            }
        }
    }
    grid
}

/// Measures the detector with its fixed settings beside the baselines; with `cross_validate` also
/// with settings that were chosen on the other folds, and on the other categories.
#[must_use]
pub fn measure(series: &[Series], cross_validate: bool) -> Report {
    let categories: BTreeSet<&str> = series.iter().map(Series::category).collect();
    let categories: Vec<String> = categories.into_iter().map(str::to_owned).collect();
    let of_one = |detector: Detector| {
        let alarms: Vec<_> = series.iter().map(|one| detector.alarms(one)).collect();
        line(detector.name().to_owned(), series, &categories, &alarms)
    };
    let fixed =
        [Detector::Series(Settings::default()), EWMA, RANDOM, Detector::Null].map(of_one).to_vec();
    let chosen = if cross_validate { choose(series, &categories) } else { Vec::new() };
    Report {
        series: series.len(),
        values: series.iter().map(|one| one.values.len()).sum(),
        windows: series.iter().map(|one| one.windows.len()).sum(),
        categories,
        fixed,
        chosen,
    }
}

/// Each series is judged with the settings that score best on the series of other parts.
fn choose(series: &[Series], categories: &[String]) -> Vec<Line> {
    // Alarms and standard score of every setting on every series.
    let tried: Vec<Vec<(Vec<usize>, f64)>> = grid()
        .into_iter()
        .map(|settings| {
            let detector = Detector::Series(settings);
            series
                .iter()
                .map(|one| {
                    let alarms = detector.alarms(one);
                    let raw = raw(&PROFILES[0], one, &alarms);
                    (alarms, raw)
                })
                .collect()
        })
        .collect();
    let folds: Vec<usize> = (0..series.len()).map(|index| index % FOLDS).collect();
    let places: Vec<usize> = series
        .iter()
        .map(|one| categories.iter().position(|name| name == one.category()).unwrap_or(0))
        .collect();
    [
        ("series, settings from the other folds", folds),
        ("series, settings from the other categories", places),
    ]
    .map(|(name, parts)| {
        let alarms: Vec<_> = (0..series.len())
            .map(|index| {
                let elsewhere = |of: &Vec<(Vec<usize>, f64)>| -> f64 {
                    let others = (0..of.len()).filter(|i| parts[*i] != parts[index]);
                    others.map(|i| of[i].1).sum()
                };
                let best = tried.iter().max_by(|a, b| elsewhere(a).total_cmp(&elsewhere(b)));
                best.map(|best| best[index].0.clone()).unwrap_or_default()
            })
            .collect();
        line(name.to_owned(), series, categories, &alarms)
    })
    .to_vec()
}

fn raw(profile: &Profile, series: &Series, alarms: &[usize]) -> f64 {
    score::raw(profile, series.values.len(), &series.windows, alarms.iter().copied())
}

fn line(name: String, series: &[Series], categories: &[String], alarms: &[Vec<usize>]) -> Line {
    let score = |profile: &Profile, category: Option<&str>| {
        let mut tally = Tally::default();
        for (one, alarms) in series.iter().zip(alarms) {
            if category.is_none_or(|category| category == one.category()) {
                tally.add(raw(profile, one, alarms), one.windows.len());
            }
        }
        tally.normalised(profile)
    };
    let (mut found, mut false_alarms) = (0, 0);
    for (one, alarms) in series.iter().zip(alarms) {
        let start = score::probation(one.values.len());
        let counted = || alarms.iter().filter(|row| **row >= start);
        found +=
            one.windows.iter().filter(|window| counted().any(|row| window.contains(row))).count();
        let outside = |row: &&usize| !one.windows.iter().any(|window| window.contains(row));
        false_alarms += counted().filter(outside).count();
    }
    Line {
        name,
        scores: PROFILES.each_ref().map(|profile| score(profile, None)),
        categories: categories.iter().map(|name| score(&PROFILES[0], Some(name))).collect(),
        found,
        false_alarms,
    }
}

#[cfg(test)]
mod tests;
