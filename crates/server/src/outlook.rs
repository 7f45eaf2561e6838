//! What the site's rate should be: a forecast of two days, made anew each hour in the background.
//!
//! An hour that lies outside of what was forecast for it is counted and told in the log. It decides
//! nothing: what is sudden the watch sees within seconds.

use crate::shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tidegate_engine::Hours;
use tidegate_models::forecast::{Forecast, Method, forecast};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether an hour has ended.
const LOOK: Duration = Duration::from_secs(20);
/// How many hours ahead.
const HORIZON: usize = 48;
/// A day and a week, hours.
const PERIODS: [usize; 2] = [24, 168];

/// The forecast in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Outlook {
    /// The first hour that it is about, in hours since 1970.
    pub first: u64,
    /// Requests of that hour and those after it.
    pub forecast: Forecast,
}

/// How an hour compares with what was forecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Within,
    Above,
    Below,
}

impl Outlook {
    /// What was forecast of an hour: the expected requests and the bounds of the interval.
    pub(crate) fn of(&self, hour: u64) -> Option<[f64; 3]> {
        let at = usize::try_from(hour.checked_sub(self.first)?).ok()?;
        let Forecast { point, lower, upper } = &self.forecast;
        Some([*point.get(at)?, *lower.get(at)?, *upper.get(at)?])
    }

    /// How the requests of an hour compare with it.
    #[allow(clippy::cast_precision_loss)]
    fn judge(&self, hour: u64, requests: u64) -> Option<Verdict> {
        let [_, lower, upper] = self.of(hour)?;
        Some(match requests as f64 {
            requests if requests > upper => Verdict::Above,
            requests if requests < lower => Verdict::Below,
            _ => Verdict::Within,
        })
    }
}

/// The forecast after these hours; `None` while there are too few of them.
#[allow(clippy::cast_precision_loss)]
fn after(hours: &Hours) -> Option<Outlook> {
    let values: Vec<f64> = hours.requests.iter().map(|requests| *requests as f64).collect();
    let first = hours.first + hours.requests.len() as u64;
    let horizon = HORIZON.min(values.len() / 2);
    let forecast = forecast(&values, &PERIODS, horizon, Method::Mstl).ok()?;
    Some(Outlook { first, forecast })
}

/// Judges the hours that ended since the forecast was made, and makes the next one.
fn renew(before: &Outlook, hours: &Hours) -> (Vec<(u64, u64, Verdict)>, Option<Outlook>) {
    let ended = hours.requests.iter().zip(hours.first..);
    let judged = ended
        .filter_map(|(requests, hour)| Some((hour, *requests, before.judge(hour, *requests)?)))
        .collect();
    (judged, after(hours))
}

/// Renews the forecast until told to stop.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut seen = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let hours = shared.engine.hours();
        let end = hours.first + hours.requests.len() as u64;
        if hours.requests.is_empty() || end == seen {
            continue;
        }
        seen = end;
        let before = shared.outlook.load_full();
        // A fit takes tens of milliseconds.
        let work = tokio::task::spawn_blocking(move || renew(&before, &hours));
        let Ok((judged, next)) = work.await else {
            tracing::error!("the forecast of the site's rate failed; it is tried again in an hour");
            continue;
        };
        for (hour, requests, verdict) in judged {
            shared.metrics.forecast(verdict);
            if verdict != Verdict::Within {
                tracing::warn!(hour, requests, ?verdict, "an hour unlike its forecast");
            }
        }
        shared.outlook.store(Arc::new(next.unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten days with a wave.
    fn hours() -> Hours {
        let wave = |hour: u64| 1000 + 400 * u64::from(hour % 24 >= 8) + hour * 37 % 50;
        Hours { first: 480_000, requests: (480_000..480_240).map(wave).collect() }
    }

    #[test]
    fn an_hour_is_judged_by_what_was_forecast_of_it_before() {
        let mut hours = hours();
        assert_eq!(after(&Hours { first: 9, requests: vec![5; 10] }), None);
        let (none, outlook) = renew(&Outlook::default(), &hours);
        assert!(none.is_empty());
        let outlook = outlook.unwrap();
        assert_eq!(outlook.first, 480_240);
        let [expected, lower, upper] = outlook.of(480_250).unwrap();
        assert!((1300.0..1500.0).contains(&expected), "{expected}");
        assert!(lower < expected && expected < upper);
        assert_eq!((outlook.of(480_239), outlook.of(480_240 + 48)), (None, None));
        let common = outlook.of(480_240).unwrap()[0] as u64;
        hours.requests.extend([common, 9000, 3]);
        let (judged, next) = renew(&outlook, &hours);
        let verdicts: Vec<_> = judged.iter().map(|(hour, _, verdict)| (*hour, *verdict)).collect();
        let expected =
            [(480_240, Verdict::Within), (480_241, Verdict::Above), (480_242, Verdict::Below)];
        assert_eq!(verdicts, expected);
        assert_eq!(next.unwrap().first, 480_243);
    }
}
