//! Long-horizon forecasts of a rate: daily and weekly seasons (MSTL), the rest by ETS.
//!
//! Bandara, Hyndman & Bergmeir, "MSTL: A Seasonal-Trend Decomposition Algorithm", 2021; Hyndman et
//! al., "Forecasting with Exponential Smoothing", 2008; both from the `augurs` crates. Rates are
//! forecast as ln(1 + rate), for what grows does so by factors, and averaged with the value of a week
//! before (a combination is seldom worse than its best part). Intervals are those by which earlier
//! forecasts of the same series were wrong (conformal: they hold whatever the errors' distribution,
//! as long as the series goes on as it did), not what the model thinks of itself.
//!
//! Background work: a fit of eight weeks of hours takes tens of milliseconds and allocates.
//!
//! Prophet (Taylor & Letham, "Forecasting at Scale", 2018; `augurs` has it too) was measured beside it and
//! dropped: less exact, forty times the time, and a WebAssembly runtime to carry (`peers/`).
//!
//! **When it fails.** It knows no holidays and no launches. With less than two cycles of a season the
//! season is not modelled. A gap must be filled before.

use augurs::ets::AutoETS;
use augurs::mstl::MSTLModel;
use augurs::{Fit as _, Predict as _};
use thiserror::Error;

/// Why nothing was forecast.
#[derive(Debug, Error)]
pub enum ForecastError {
    /// There are fewer values than a forecast needs.
    #[error(
        "{values} values are too few: {needed} are needed for this horizon; give a longer series or ask for a shorter horizon"
    )]
    Short {
        /// How many there are.
        values: usize,
        /// How many are needed.
        needed: usize,
    },
    /// A value that is negative or not finite.
    #[error("value {index} is {value}; a rate is a finite number of at least 0")]
    Value {
        /// Which one, from 0.
        index: usize,
        /// What it is.
        value: f64,
    },
    /// The library found no model.
    #[error("no model fits the series: {0}")]
    Fit(String),
}

/// A forecast, step by step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecast {
    /// The expected values.
    pub point: Vec<f64>,
    /// What 5 % of values should be below.
    pub lower: Vec<f64>,
    /// What 5 % of values should be above.
    pub upper: Vec<f64>,
}

/// A way to forecast: from ln(1 + rate) of each step and the seasons that these hold twice, in steps, to as
/// many further steps; or why not.
pub type Way = fn(&[f64], &[usize], usize) -> Result<Vec<f64>, String>;

/// Who forecasts.
#[derive(Clone, Copy, Debug)]
pub enum Method {
    /// The mean of MSTL with ETS and of [`Method::SeasonalNaive`].
    Mstl,
    /// The value one longest season before: what everything else has to beat.
    SeasonalNaive,
    /// Another way, to measure it beside these.
    Other(Way),
}

/// How many earlier forecasts the interval is made from.
const REHEARSALS: usize = 8;
/// Share of values that the interval should hold.
pub const COVERAGE: f64 = 0.9;

/// Forecasts `horizon` steps after `values`, whose seasons last `periods` steps (ascending).
///
/// # Errors
/// When the values are too few, or are no rates.
pub fn forecast(
    values: &[f64],
    periods: &[usize],
    horizon: usize,
    method: Method,
) -> Result<Forecast, ForecastError> {
    if let Some((index, value)) =
        values.iter().copied().enumerate().find(|(_, v)| !v.is_finite() || *v < 0.0)
    {
        return Err(ForecastError::Value { index, value });
    }
    let needed = needed(periods, horizon);
    if values.len() < needed {
        return Err(ForecastError::Short { values: values.len(), needed });
    }
    let logs: Vec<f64> = values.iter().map(|value| value.ln_1p()).collect();
    let point = predict(&logs, periods, horizon, method)?;
    // The same at earlier origins, as far apart as there is room for, where no season was less known.
    let longest = known(periods, logs.len()).last().copied().unwrap_or(1);
    let latest = logs.len() - horizon;
    let stride = (latest.saturating_sub(2 * longest + 1) / REHEARSALS).clamp(1, horizon.max(1));
    let mut errors = Vec::new();
    for back in 0..REHEARSALS {
        let Some(origin) = latest.checked_sub(back * stride) else { break };
        if back > 0 && origin <= 2 * longest {
            break;
        }
        let rehearsed = predict(&logs[..origin], periods, horizon, method)?;
        errors.extend(logs[origin..].iter().zip(&rehearsed).map(|(actual, said)| actual - said));
    }
    errors.sort_by(f64::total_cmp);
    let (low, high) =
        (quantile(&errors, (1.0 - COVERAGE) / 2.0), quantile(&errors, (1.0 + COVERAGE) / 2.0));
    let back = |log: f64| log.exp_m1().max(0.0);
    Ok(Forecast {
        lower: point.iter().map(|log| back(log + low)).collect(),
        upper: point.iter().map(|log| back(log + high)).collect(),
        point: point.into_iter().map(back).collect(),
    })
}

/// How many values a forecast of this horizon needs.
#[must_use]
pub fn needed(periods: &[usize], horizon: usize) -> usize {
    least(periods) + horizon
}

/// The seasons that so many values hold twice: one that was not seen twice is none yet.
fn known(periods: &[usize], values: usize) -> Vec<usize> {
    periods.iter().copied().filter(|period| 2 * period < values).collect()
}

/// Two cycles of the shortest season.
fn least(periods: &[usize]) -> usize {
    2 * periods.first().copied().unwrap_or(1).max(8) + 1
}

fn predict(
    logs: &[f64],
    periods: &[usize],
    horizon: usize,
    method: Method,
) -> Result<Vec<f64>, ForecastError> {
    let known = known(periods, logs.len());
    let season = known.last().copied().unwrap_or(1).min(logs.len());
    let before = logs[logs.len() - season..].iter().copied().cycle().take(horizon);
    match method {
        Method::SeasonalNaive => Ok(before.collect()),
        Method::Mstl => {
            let failed = |problem: String| ForecastError::Fit(problem);
            // A damped trend: what a site gained in a week says little of the weeks to come.
            let trend = AutoETS::new(1, "AAN")
                .and_then(|ets| ets.damped(true))
                .map_err(|e| failed(e.to_string()))?;
            let model = MSTLModel::new(known, trend.into_trend_model());
            let fitted = model.fit(logs).map_err(|e| failed(e.to_string()))?;
            let said = fitted.predict(horizon, None).map_err(|e| failed(e.to_string()))?.point;
            // The mean with the plain one: their errors differ, and far ahead the plain one is good.
            Ok(said.iter().zip(before).map(|(said, before)| 0.5 * (said + before)).collect())
        }
        Method::Other(way) => way(logs, &known, horizon).map_err(ForecastError::Fit),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a position among few values"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * sorted.len().saturating_sub(1) as f64;
    sorted.get(at.round() as usize).copied().unwrap_or(0.0)
}

/// How forecasts of one method did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Mean absolute error over that of saying the value one shortest season before, measured on
    /// what came before the first origin (Hyndman & Koehler 2006); below 1 is better than that.
    pub mase: f64,
    /// Mean absolute error, in the unit of the values.
    pub error: f64,
    /// Share of values within their interval; [`COVERAGE`] is meant.
    pub coverage: f64,
    /// How many values were forecast.
    pub values: usize,
}

/// Forecasts from `origins` points in time, `stride` steps apart up to the end, each from what came
/// before it alone, and holds them against what came then.
///
/// # Errors
/// As [`forecast`] from the first origin.
#[allow(clippy::cast_precision_loss)]
pub fn backtest(
    values: &[f64],
    periods: &[usize],
    horizon: usize,
    origins: usize,
    stride: usize,
    method: Method,
) -> Result<Accuracy, ForecastError> {
    let span = horizon + origins.saturating_sub(1) * stride;
    let needed = needed(periods, horizon) + span;
    let Some(first) = values.len().checked_sub(span).filter(|_| values.len() >= needed) else {
        return Err(ForecastError::Short { values: values.len(), needed });
    };
    let (mut error, mut inside, mut count) = (0.0, 0usize, 0usize);
    for origin in (0..origins).map(|step| first + step * stride) {
        let said = forecast(&values[..origin], periods, horizon, method)?;
        for (step, actual) in values[origin..origin + horizon].iter().enumerate() {
            error += (actual - said.point[step]).abs();
            inside += usize::from((said.lower[step]..=said.upper[step]).contains(actual));
            count += 1;
        }
    }
    let season = periods.first().copied().unwrap_or(1);
    let naive: Vec<f64> =
        (season..first).map(|at| (values[at] - values[at - season]).abs()).collect();
    let scale = naive.iter().sum::<f64>() / naive.len().max(1) as f64;
    let error = error / count.max(1) as f64;
    let coverage = inside as f64 / count.max(1) as f64;
    Ok(Accuracy { mase: error / scale.max(f64::MIN_POSITIVE), error, coverage, values: count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng as _, SeedableRng as _};

    /// Hours of `days` days, quieter at the weekend, with noise of this size.
    fn site(days: usize, noise: f64) -> Vec<f64> {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
        (0..24 * days)
            .map(|hour| {
                let day = 1.5 + (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
                let week = if hour / 24 % 7 >= 5 { 0.4 } else { 1.0 };
                100.0 * day * week * (1.0 + noise * random.random_range(-1.0..1.0))
            })
            .collect()
    }

    #[test]
    fn seasons_are_learned_and_chance_is_covered() {
        let values = site(42, 0.3);
        let test = |method| backtest(&values, &[24, 168], 48, 5, 24, method).unwrap();
        let (mstl, naive) = (test(Method::Mstl), test(Method::SeasonalNaive));
        assert!(mstl.mase < naive.mase, "{mstl:?} {naive:?}");
        assert_eq!(mstl.values, 240);
        for accuracy in [mstl, naive] {
            assert!((0.8..=0.98).contains(&accuracy.coverage), "{accuracy:?}");
        }
    }

    #[test]
    fn without_noise_nothing_is_uncertain() {
        let values = site(35, 0.0);
        let said = forecast(&values[..24 * 28], &[24, 168], 168, Method::Mstl).unwrap();
        for (step, actual) in values[24 * 28..].iter().enumerate() {
            let (point, width) = (said.point[step], said.upper[step] - said.lower[step]);
            assert!((point - actual).abs() < 0.1 * actual + 3.0, "{step}: {point} for {actual}");
            assert!(width < 0.25 * actual + 5.0, "{step}: {width} wide");
        }
    }

    #[test]
    fn what_cannot_be_forecast_is_said() {
        let said = |values: &[f64]| {
            forecast(values, &[24, 168], 24, Method::Mstl).unwrap_err().to_string()
        };
        assert!(said(&[1.0; 72]).contains("72 values are too few: 73 are needed"));
        assert!(said(&[1.0, -1.0]).contains("value 1 is -1"));
        assert!(said(&[f64::NAN]).contains("value 0 is NaN"));
        // A site that nobody visits, and one that is always the same.
        for constant in [0.0, 7.0] {
            let said = forecast(&[constant; 400], &[24, 168], 24, Method::Mstl).unwrap();
            assert!(said.point.iter().all(|p| (p - constant).abs() < 1e-3), "{:?}", said.point);
        }
    }
}
