//! Prophet: a trend with changes of slope and seasons of Fourier terms, fitted by Stan in WebAssembly.

use super::ForecastError;
use augurs::prophet::wasmstan::WasmstanOptimizer;
use augurs::prophet::{
    PositiveFloat, PredictionData, Prophet, ProphetOptions, Seasonality, SeasonalityOption,
    TimestampSeconds, TrainingData,
};
use std::num::NonZeroU32;
use std::sync::LazyLock;

/// Seconds of a step. Prophet wants to know the time; what a step is does not change what it says.
const STEP: u64 = 3600;
/// Steps of a day, which is the unit of Prophet's seasons.
const DAY: f64 = 24.0;
/// Fourier terms of a season: enough for the shape of a day, and for that of a week.
const TERMS: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Compiled once: that takes longer than a fit.
static OPTIMIZER: LazyLock<WasmstanOptimizer> = LazyLock::new(WasmstanOptimizer::new);

/// Says the next `horizon` values after `values`, whose seasons last `periods` steps.
pub(super) fn predict(
    values: &[f64],
    periods: &[usize],
    horizon: usize,
) -> Result<Vec<f64>, ForecastError> {
    let failed = |problem: &dyn std::fmt::Display| ForecastError::Fit(problem.to_string());
    let time = |step: usize| TimestampSeconds::try_from(step as u64 * STEP).unwrap_or_default();
    let options = ProphetOptions {
        // The seasons are those that were asked for, whatever the times say.
        yearly_seasonality: SeasonalityOption::Manual(false),
        weekly_seasonality: SeasonalityOption::Manual(false),
        daily_seasonality: SeasonalityOption::Manual(false),
        // Intervals come from earlier errors.
        uncertainty_samples: 0,
        ..ProphetOptions::default()
    };
    let mut prophet = Prophet::new(options, OPTIMIZER.clone());
    for period in periods {
        let days = PositiveFloat::try_new(*period as f64 / DAY).map_err(|e| failed(&e))?;
        let season = Seasonality::new(days, TERMS);
        prophet.add_seasonality(format!("of {period}"), season).map_err(|e| failed(&e))?;
    }
    let history = (0..values.len()).map(time).collect();
    let data = TrainingData::new(history, values.to_vec()).map_err(|e| failed(&e))?;
    prophet.fit(data, Default::default()).map_err(|e| failed(&e))?;
    let future = PredictionData::new((values.len()..values.len() + horizon).map(time).collect());
    Ok(prophet.predict(future).map_err(|e| failed(&e))?.yhat.point)
}
