//! `tidegate series`: anomalies and forecasts of time series.

use crate::cli::{ForecastArgs, NabArgs, SeriesCommand};
use jiff::Timestamp;
use miette::{IntoDiagnostic as _, Result};
use serde_json::json;
use tidegate_lab::nab::score::PROFILES;
use tidegate_lab::nab::{self, Line, Report, corpus};
use tidegate_lab::rates::{self, Measured, Outlook};

pub(crate) fn run(command: &SeriesCommand) -> Result<()> {
    match command {
        SeriesCommand::Nab(args) => benchmark(args),
        SeriesCommand::Forecast(args) => forecast(args),
    }
}

fn forecast(args: &ForecastArgs) -> Result<()> {
    let hours = rates::read(&args.file).into_diagnostic()?;
    let name = args.file.display().to_string();
    let outlook =
        rates::outlook(&name, hours, args.horizon.into(), args.origins.into()).into_diagnostic()?;
    let Outlook { hours, forecast, accuracy } = &outlook;
    let end = hours.start + 3600 * i64::try_from(hours.values.len()).unwrap_or(0);
    let time = |step: usize| {
        let second = end + 3600 * i64::try_from(step).unwrap_or(0);
        Timestamp::from_second(second).map_or_else(|_| String::new(), |time| time.to_string())
    };
    let steps = || {
        let interval = forecast.lower.iter().zip(&forecast.upper);
        forecast.point.iter().zip(interval).enumerate()
    };
    if args.json {
        let steps: Vec<_> = steps()
            .map(|(step, (point, (lower, upper)))| {
                json!({ "hour": time(step), "expected": point, "lower": lower, "upper": upper })
            })
            .collect();
        let report = json!({ "accuracy": accuracy, "forecast": steps });
        println!("{}", serde_json::to_string_pretty(&report).into_diagnostic()?);
        return Ok(());
    }
    let (count, filled) = (hours.values.len(), hours.filled);
    println!("{count} hours, {filled} of them not measured and taken from the week before");
    println!("\n{:<22}{:>10}{:>10}{:>10}", "hour", "expected", "5 %", "95 %");
    for (step, (point, (lower, upper))) in steps().filter(|(step, _)| step % 6 == 0) {
        println!("{:<22}{point:>10.1}{lower:>10.1}{upper:>10.1}", time(step));
    }
    let (horizon, origins) = (args.horizon, args.origins);
    println!("\nthe same from {origins} earlier days, {horizon} hours ahead each");
    println!("{:<22}{:>10}{:>10}{:>22}", "method", "MASE", "error", "within 5 % to 95 %");
    for Measured { name, mase, error, coverage, .. } in accuracy {
        println!("{name:<22}{mase:>10.3}{error:>10.2}{:>20.1} %", coverage * 100.0);
    }
    Ok(())
}

fn benchmark(args: &NabArgs) -> Result<()> {
    let series = corpus::read(&args.data, &args.windows).into_diagnostic()?;
    let report = nab::measure(&series, args.cross_validate);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report).into_diagnostic()?);
    } else {
        show(&report);
    }
    Ok(())
}

/// A number, or a dash where there is none to give.
fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"))
}

fn show(report: &Report) {
    let Report { series, values, windows, categories, fixed, chosen } = report;
    println!("{series} series, {values} values, {windows} windows\n");
    print!("{:<42}", "detector");
    PROFILES.iter().for_each(|profile| print!("{:>15}", profile.name));
    println!("{:>8}{:>14}", "found", "false alarms");
    let lines = || fixed.iter().chain(chosen);
    for Line { name, scores, found, false_alarms, .. } in lines() {
        print!("{name:<42}");
        scores.iter().for_each(|score| print!("{:>15}", number(*score)));
        println!("{found:>8}{false_alarms:>14}");
    }
    println!("\nby category, standard profile");
    print!("{:<42}", "detector");
    categories.iter().for_each(|name| print!("{name:>23}"));
    println!("");
    for Line { name, categories, .. } in lines() {
        print!("{name:<42}");
        categories.iter().for_each(|score| print!("{:>23}", number(*score)));
        println!("");
    }
}
