//! How well Prophet forecasts a site's hours, beside what Tidegate forecasts them with, and in what time.
//!
//! Prophet: a trend with changes of slope and seasons of Fourier terms, fitted by Stan, here in WebAssembly.
//!
//!     cargo run --release --manifest-path peers/Cargo.toml --bin prophet FILE
//!
//! FILE has lines of time and value, as `tidegate series forecast` reads them.

use augurs_prophet::wasmstan::WasmstanOptimizer;
use augurs_prophet::{
    PositiveFloat, PredictionData, Prophet, ProphetOptions, Seasonality, SeasonalityOption,
    TimestampSeconds, TrainingData,
};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Instant;
use tidegate_lab::rates;
use tidegate_models::forecast::{Method, backtest};

/// Seconds of a step. Prophet wants to know the time; what a step is does not change what it says.
const STEP: u64 = 3600;
/// Steps of a day, which is the unit of Prophet's seasons.
const DAY: f64 = 24.0;
/// Fourier terms of a season: enough for the shape of a day, and for that of a week.
const TERMS: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Compiled once: that takes longer than a fit.
static OPTIMIZER: LazyLock<WasmstanOptimizer> = LazyLock::new(WasmstanOptimizer::new);

/// Says the next `horizon` values after `values`, whose seasons last `periods` steps.
fn predict(values: &[f64], periods: &[usize], horizon: usize) -> Result<Vec<f64>, String> {
    let failed = |problem: &dyn std::fmt::Display| problem.to_string();
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1).ok_or("name a file of times and values")?;
    let hours = rates::read(Path::new(&file))?;
    // Compiled before anything is timed.
    LazyLock::force(&OPTIMIZER);
    let methods = [
        ("MSTL and ETS", Method::Mstl),
        ("Prophet", Method::Other(predict)),
        ("a week before", Method::SeasonalNaive),
    ];
    println!(
        "{:>11}  {:<14}{:>8}{:>9}{:>22}{:>10}",
        "hours ahead", "method", "MASE", "error", "within 5 % to 95 %", "seconds"
    );
    for horizon in [24, 168] {
        for (name, method) in methods {
            let begun = Instant::now();
            let said = backtest(&hours.values, &[24, 168], horizon, 14, 24, method)?;
            println!(
                "{horizon:>11}  {name:<14}{:>8.3}{:>9.2}{:>20.1} %{:>10.2}",
                said.mase,
                said.error,
                said.coverage * 100.0,
                begun.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}
