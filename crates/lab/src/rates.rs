//! A site's rate over weeks: read from CSV, brought to hours, forecast, and the forecast measured.

use crate::formats::Lines;
use crate::nab::corpus::{CorpusError, rows};
use serde::Serialize;
use std::path::Path;
use thiserror::Error;
use tidegate_models::forecast::{Accuracy, Forecast, ForecastError, Method, backtest, forecast};

/// Why a rate could not be forecast.
#[derive(Debug, Error)]
pub enum RateError {
    /// The file could not be read.
    #[error(transparent)]
    Read(#[from] CorpusError),
    /// Times do not ascend.
    #[error("{file}: the times do not ascend at row {row}; sort the rows by time")]
    Order {
        /// The file.
        file: String,
        /// The row, from 1, headings not counted.
        row: usize,
    },
    /// It could not be forecast.
    #[error("{file}: {source}")]
    Forecast {
        /// The file.
        file: String,
        /// Why.
        source: ForecastError,
    },
}

const HOUR: i64 = 3600;
/// Hours of a day and of a week.
const SEASONS: [usize; 2] = [24, 168];
/// Longer gaps than this many hours are not filled.
const LONGEST_GAP: i64 = 24 * 366;

/// The mean rate of each hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Hours {
    /// When the first hour began, seconds since 1970.
    pub start: i64,
    /// The mean of the values of each hour.
    pub values: Vec<f64>,
    /// How many of them were not measured: the hour has what the one a week before had.
    pub filled: usize,
}

/// Reads lines of time and value, plain or compressed, as the mean of each hour.
///
/// # Errors
/// When the file can't be read or is not in order.
pub fn read(path: &Path) -> Result<Hours, RateError> {
    let file = path.display().to_string();
    let failed = |source| CorpusError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let mut lines = Lines::open([path]).map_err(failed)?;
    while let Some(line) = lines.next_line().map_err(failed)? {
        text.push_str(&String::from_utf8_lossy(line.bytes));
        text.push('\n');
    }
    let (times, values) = rows(&file, &text)?;
    let first = times.first().map_or(0, |time| time.div_euclid(HOUR));
    let (mut means, mut filled) = (Vec::<f64>::new(), 0);
    let (mut sum, mut count) = (0.0, 0.0);
    for (row, (time, value)) in times.iter().zip(&values).enumerate() {
        let hour = time.div_euclid(HOUR) - first;
        let behind = hour - means.len() as i64;
        if !(0..=LONGEST_GAP).contains(&behind) {
            return Err(RateError::Order { file, row: row + 1 });
        }
        if behind > 0 {
            means.push(sum / count);
            for _ in 1..behind {
                let week = means.len().checked_sub(SEASONS[1]).or(means.len().checked_sub(1));
                means.push(week.map_or(0.0, |before| means[before]));
                filled += 1;
            }
            (sum, count) = (0.0, 0.0);
        }
        sum += value;
        count += 1.0;
    }
    if count > 0.0 {
        means.push(sum / count);
    }
    Ok(Hours { start: first * HOUR, values: means, filled })
}

/// A forecast and what is known of its errors.
#[derive(Clone, Debug)]
pub struct Outlook {
    /// The hours it was made from.
    pub hours: Hours,
    /// What comes after them.
    pub forecast: Forecast,
    /// How it would have done, MSTL with ETS first, then other methods.
    pub accuracy: Vec<Measured>,
}

/// What is measured: how it is forecast, and what that has to beat.
const METHODS: [(&str, Method); 2] =
    [("MSTL and ETS", Method::Mstl), ("a week before", Method::SeasonalNaive)];

/// One method in the backtest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Its name.
    pub name: &'static str,
    /// Mean absolute scaled error.
    pub mase: f64,
    /// Mean absolute error.
    pub error: f64,
    /// Share of hours within the interval.
    pub coverage: f64,
    /// How many hours were forecast.
    pub hours: usize,
}

/// Forecasts `horizon` hours, and measures the same from `origins` earlier days.
///
/// # Errors
/// When the series is too short or no rate.
pub fn outlook(
    file: &str,
    hours: Hours,
    horizon: usize,
    origins: usize,
) -> Result<Outlook, RateError> {
    let failed = |source| RateError::Forecast { file: file.to_owned(), source };
    let said = forecast(&hours.values, &SEASONS, horizon, Method::Mstl).map_err(failed)?;
    let measure = |name, method| -> Result<Measured, RateError> {
        let Accuracy { mase, error, coverage, values } =
            backtest(&hours.values, &SEASONS, horizon, origins, SEASONS[0], method)
                .map_err(failed)?;
        Ok(Measured { name, mase, error, coverage, hours: values })
    };
    let accuracy = METHODS.iter().map(|(name, method)| measure(name, *method));
    let accuracy = accuracy.collect::<Result<_, _>>()?;
    Ok(Outlook { hours, forecast: said, accuracy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("rate.csv");
        std::fs::write(&path, text).unwrap();
        (home, path)
    }

    #[test]
    fn hours_are_means_and_gaps_are_filled_from_the_week_before() {
        let mut text = String::from("minute,count\n");
        for hour in 0..200 {
            // One hour is missing.
            if hour != 180 {
                for minute in [0, 30] {
                    let (day, hour_of_day) = (1 + hour / 24, hour % 24);
                    let value = hour * 10 + minute / 30 * 2;
                    writeln!(text, "2024-01-{day:02} {hour_of_day:02}:{minute:02}:00,{value}")
                        .unwrap();
                }
            }
        }
        let (_home, path) = file(&text);
        let hours = read(&path).unwrap();
        assert_eq!((hours.values.len(), hours.filled), (200, 1));
        assert_eq!(hours.values[7], 71.0);
        assert_eq!(hours.values[180], hours.values[12]);
        assert_eq!(hours.start % HOUR, 0);
    }

    #[test]
    fn a_daily_rate_is_forecast_and_the_forecast_is_measured() {
        let values = (0..24 * 30).map(|hour| if hour % 24 < 8 { 5.0 } else { 50.0 }).collect();
        let hours = Hours { start: 0, values, filled: 0 };
        let outlook = outlook("x", hours, 24, 3).unwrap();
        assert_eq!((outlook.forecast.point.len(), outlook.accuracy[0].hours), (24, 72));
        assert!(outlook.accuracy[0].error < 2.0, "{:?}", outlook.accuracy);
        assert_eq!(outlook.accuracy[1].error, 0.0);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let (_home, path) = file("2024-01-01 05:00:00,1\n2024-01-01 03:00:00,1\n");
        assert!(read(&path).unwrap_err().to_string().contains("do not ascend at row 2"));
        let (_home, path) = file("2024-01-01 05:00:00,1\n");
        let short = outlook("x.csv", read(&path).unwrap(), 24, 1).unwrap_err().to_string();
        assert!(short.contains("x.csv: 1 values are too few"), "{short}");
        assert!(read(Path::new("/nowhere")).unwrap_err().to_string().contains("/nowhere"));
    }
}
