//! What a replay saw of the whole site: requests over time, by risk and by route.

use super::report::{RiskRow, RouteRow};
use super::series::{SITE_BUCKETS, Series, Timeline};
use tidegate_behavior::Outcome;
use tidegate_engine::Decision;

/// Into how many equal parts risk is divided.
pub(super) const BANDS: usize = 20;
/// Most routes that are remembered of one client.
const ASKED: usize = 6;

/// The site's traffic.
#[derive(Default)]
pub(super) struct Traffic {
    series: Series<SITE_BUCKETS>,
    /// Requests by the client's risk at that moment.
    risk: [u64; BANDS],
    /// By the route's number; the engine tells at most 2048 apart.
    routes: Vec<RouteCounts>,
}

#[derive(Clone, Copy, Default)]
struct RouteCounts {
    requests: u64,
    denied: u64,
    client_errors: u64,
    server_errors: u64,
}

/// The part of [`BANDS`] that a risk is in.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub(super) fn band(risk: f32) -> usize {
    // What is no number becomes 0.
    ((risk * BANDS as f32) as usize).min(BANDS - 1)
}

impl Traffic {
    pub(super) fn add(&mut self, decision: &Decision, outcome: Option<&Outcome>) {
        self.series.add(decision.time, !decision.allowed);
        if let Some(count) = self.risk.get_mut(band(decision.risk)) {
            *count += 1;
        }
        let route = usize::from(decision.ticket.trace.route);
        if self.routes.len() <= route {
            self.routes.resize(route + 1, RouteCounts::default());
        }
        if let Some(counts) = self.routes.get_mut(route) {
            let status = outcome.map_or(0, |outcome| outcome.status);
            counts.requests += 1;
            counts.denied += u64::from(!decision.allowed);
            counts.client_errors += u64::from((400..500).contains(&status));
            counts.server_errors += u64::from(status >= 500);
        }
    }

    pub(super) fn timeline(&self) -> Timeline {
        self.series.timeline()
    }

    /// Requests and clients by risk.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn risk(&self, clients: &[u64; BANDS]) -> Vec<RiskRow> {
        let edge = |band: usize| band as f64 / BANDS as f64;
        let rows = self.risk.iter().zip(clients).enumerate();
        rows.map(|(band, (&requests, &clients))| RiskRow {
            from: edge(band),
            to: edge(band + 1),
            clients,
            requests,
        })
        .collect()
    }

    /// How many routes were asked for, and the `most` that were asked for most often.
    pub(super) fn routes(&self, most: usize, name: impl Fn(u16) -> String) -> (u64, Vec<RouteRow>) {
        let mut rows: Vec<_> =
            (0u16..).zip(&self.routes).filter(|(_, counts)| counts.requests > 0).collect();
        let asked = rows.len() as u64;
        rows.sort_by_key(|(route, counts)| (std::cmp::Reverse(counts.requests), *route));
        rows.truncate(most);
        let row = |(route, counts): (u16, &RouteCounts)| RouteRow {
            route: name(route),
            requests: counts.requests,
            denied: counts.denied,
            client_errors: counts.client_errors,
            server_errors: counts.server_errors,
        };
        (asked, rows.into_iter().map(row).collect())
    }
}

/// The routes that one client asks for most, in a few bytes: a new one takes the place of the one seen
/// least and goes on from its count, so none that is asked for often is ever missed (Space-Saving;
/// Metwally, Agrawal, El Abbadi, 2005).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked([(u16, u32); ASKED]);

impl Asked {
    pub(super) fn add(&mut self, route: u16) {
        let known = self.0.iter_mut().find(|(known, count)| *count > 0 && *known == route);
        let least = |it: &mut Self| it.0.iter().map(|(_, count)| *count).min().unwrap_or(0);
        if let Some((_, count)) = known {
            *count = count.saturating_add(1);
        } else {
            let fewest = least(self);
            if let Some(place) = self.0.iter_mut().find(|(_, count)| *count == fewest) {
                *place = (route, fewest.saturating_add(1));
            }
        }
    }

    /// The routes, the one asked for most first.
    pub(super) fn most(&self, most: usize) -> impl Iterator<Item = u16> {
        let mut all = self.0;
        all.sort_by_key(|(route, count)| (std::cmp::Reverse(*count), *route));
        all.into_iter().filter(|(_, count)| *count > 0).take(most).map(|(route, _)| route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_risk_has_a_band() {
        for (risk, expected) in
            [(0.0, 0), (0.049, 0), (0.05, 1), (0.5, 10), (0.999, 19), (1.0, 19), (f32::NAN, 0)]
        {
            assert_eq!(band(risk), expected, "{risk}");
        }
        assert_eq!((band(-1.0), band(f32::INFINITY)), (0, BANDS - 1));
    }

    #[test]
    fn a_route_asked_for_often_outlasts_a_hundred_others() {
        let mut asked = Asked::default();
        for other in 0..100 {
            asked.add(7);
            asked.add(1000 + other);
            if other % 2 == 0 {
                asked.add(0);
            }
        }
        assert_eq!(asked.most(2).collect::<Vec<_>>(), [7, 0]);
        assert_eq!(asked.most(9).count(), ASKED);
        assert_eq!(Asked::default().most(9).count(), 0);
    }
}
