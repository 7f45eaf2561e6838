//! What a replay found, for machines; the command prints it for people.

use super::clients::{Client, Denials};
use super::groups::groups;
use super::series::Timeline;
use super::{Replay, clip, rfc3339};
use crate::static_limits::LIMITS;
use serde::Serialize;
use std::collections::BTreeMap;
use tidegate_engine::Action;

/// Most groups that a report has.
const GROUPS: usize = 10;
/// Most routes.
const ROUTES: usize = 25;
/// Most clients that were raised.
const RAISED: usize = 10;
/// How many of the routes that a client asks for are named.
const ASKED: usize = 3;
/// Most characters of a client's name and of a route: logs hold any.
const LONGEST: usize = 100;

/// What a replay found. Shares are 0..1, times RFC 3339 in UTC.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Requests decided.
    pub requests: u64,
    /// Clients told apart.
    pub clients: u64,
    /// Whether there were too many clients to remember: then some count more than once.
    pub clients_approximate: bool,
    /// The earliest time, RFC 3339; `None` without requests.
    pub from: Option<String>,
    /// The latest time.
    pub to: Option<String>,
    /// Between the two, in seconds.
    pub span_seconds: u64,
    /// Whether the policy only counts denials, so that denied requests were learned from too.
    pub shadow: bool,
    /// Requests that the learned limits and the rules of the policy deny.
    pub denied: u64,
    /// Clients denied at least once.
    pub clients_denied: u64,
    /// Requests over time.
    pub timeline: Timeline,
    /// Clients and requests by risk, from the lowest.
    pub risk: Vec<RiskRow>,
    /// Requests by what was done with the client's limit.
    pub actions: BTreeMap<&'static str, u64>,
    /// The clients denied most often.
    pub most_denied: Vec<ClientRow>,
    /// How many groups the denied clients form.
    pub groups_found: u64,
    /// Denied clients put together by main reason and route, those denied most first.
    pub groups: Vec<GroupRow>,
    /// Clients raised above the limit of a new client and never denied.
    pub clients_raised: u64,
    /// The busiest of them.
    pub most_raised: Vec<RaisedRow>,
    /// How many routes were asked for.
    pub routes_found: u64,
    /// The routes asked for most.
    pub routes: Vec<RouteRow>,
    /// What fixed limits would have done.
    pub fixed: Vec<FixedRow>,
    /// How decisions fare against labels, when there are some.
    pub labels: Option<LabelReport>,
}

/// One client.
#[derive(Clone, Debug, Serialize)]
pub struct ClientRow {
    /// As logged, or a hash of its credential.
    pub client: String,
    /// The user agent of its first request.
    pub user_agent: String,
    /// Its requests.
    pub requests: u64,
    /// Of those, denied.
    pub denied: u64,
    /// When it was first denied, RFC 3339.
    pub first_denied: String,
    /// Which of its requests that was, from 1.
    pub first_denied_request: u64,
    /// When it was last denied.
    pub last_denied: String,
    /// What was done with its limit at its last request.
    pub last_action: &'static str,
    /// The highest smoothed risk, 0..1.
    pub peak_risk: f32,
    /// The learned limit at its last request, a minute; `None` when it had none.
    pub limit_per_min: Option<f32>,
    /// The rule that first denied it.
    pub rule: String,
    /// Whether it was then denied for asking faster than its limit alone.
    pub only_fast: bool,
    /// Why it was first denied, most important first.
    pub why: Vec<String>,
    /// The routes that it asked for most.
    pub routes: Vec<String>,
    /// Its requests over time.
    pub timeline: Timeline,
}

/// Clients and requests of one part of the range of risk.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RiskRow {
    /// The lowest risk of this part.
    pub from: f64,
    /// The lowest risk of the next.
    pub to: f64,
    /// Clients whose highest risk was here.
    pub clients: u64,
    /// Requests decided while their client's risk was here.
    pub requests: u64,
}

/// Clients that were first denied on one route for one main reason.
#[derive(Clone, Debug, Serialize)]
pub struct GroupRow {
    /// The main reason, in words.
    pub reason: String,
    /// The route.
    pub route: String,
    /// How many clients.
    pub clients: u64,
    /// Their requests.
    pub requests: u64,
    /// Of those, denied.
    pub denied: u64,
    /// When the first of them was first denied.
    pub first_denied: String,
    /// When the last of them was last denied.
    pub last_denied: String,
    /// The most denied of them.
    pub examples: Vec<String>,
}

/// A client that got a higher limit than a new one, and was never denied.
#[derive(Clone, Debug, Serialize)]
pub struct RaisedRow {
    /// As logged, or a hash of its credential.
    pub client: String,
    /// The user agent of its first request.
    pub user_agent: String,
    /// Its requests.
    pub requests: u64,
    /// The highest limit that it had, a minute.
    pub highest_limit_per_min: f32,
    /// What fixed limits would have denied of its requests.
    pub fixed: Vec<RaisedFixed>,
}

/// What one fixed limit would have done to a client.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RaisedFixed {
    /// Requests a minute.
    pub limit_per_min: u32,
    /// Requests denied.
    pub denied: u64,
}

/// One route.
#[derive(Clone, Debug, Serialize)]
pub struct RouteRow {
    /// Method and path template. `(other)` holds what had not succeeded yet when it was asked for.
    pub route: String,
    /// Requests decided.
    pub requests: u64,
    /// Of those, denied.
    pub denied: u64,
    /// Responses with a status of 400 to 499, as logged.
    pub client_errors: u64,
    /// Responses with a status from 500 on, as logged.
    pub server_errors: u64,
}

/// One fixed limit.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FixedRow {
    /// Requests a minute for each client, with a burst of as many.
    pub limit_per_min: u32,
    /// Requests denied.
    pub denied: u64,
    /// Clients denied at least once.
    pub clients: u64,
    /// Of the denied requests, those of clients whose risk stayed below
    /// [`super::HARMLESS_BELOW`].
    pub denied_harmless: u64,
    /// Of the denied requests, those of clients that are denied by what is replayed too.
    pub denied_of_denied_clients: u64,
    /// Of the denied requests, those of clients that are not.
    pub denied_of_spared_clients: u64,
    /// Clients that it denies and that are not denied by what is replayed.
    pub spared_clients: u64,
}

/// Decisions on the labelled lines.
#[derive(Clone, Debug, Serialize)]
pub struct LabelReport {
    /// Requests with a label.
    pub lines: u64,
    /// Share of denied requests that are abuse.
    pub precision: f64,
    /// Share of abuse that is denied.
    pub recall: f64,
    /// Requests denied that are not abuse.
    pub false_positives: u64,
    /// Abuse that passed.
    pub false_negatives: u64,
    /// Share of what is not abuse that is denied.
    pub harm: f64,
    /// The fixed limit that stops most abuse while it denies at most 0.2 % of the rest: limit a
    /// minute, harm, share of abuse denied.
    pub best_fixed: Option<(u32, f64, f64)>,
    /// By family.
    pub families: Vec<LabelFamily>,
}

/// One family of actors.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LabelFamily {
    /// Its name.
    pub family: String,
    /// Whether it abuses.
    pub abusive: bool,
    /// Actors that sent anything.
    pub actors: u64,
    /// Their requests.
    pub requests: u64,
    /// Of those, denied.
    pub denied: u64,
    /// Actors of whom more than 2 % of the requests were denied.
    pub harmed: u64,
    /// Median of requests until the first denial, over actors ever denied.
    pub median_first_denial: Option<u64>,
}

/// A limit as a report says it: what has none is `None`.
pub(super) fn finite(limit: f32) -> Option<f32> {
    limit.is_finite().then_some(limit)
}

impl ClientRow {
    fn new((client, denials): (&Client, &Denials), route: impl Fn(u16) -> String) -> Self {
        Self {
            client: clip(&client.who.name, LONGEST),
            user_agent: client.who.user_agent.clone(),
            requests: client.requests,
            denied: client.denied,
            first_denied: rfc3339(denials.first),
            first_denied_request: denials.request,
            last_denied: rfc3339(denials.last),
            last_action: client.action.name(),
            peak_risk: client.peak_risk,
            limit_per_min: finite(client.limit_per_min),
            rule: denials.why.rule.clone(),
            only_fast: denials.why.only_fast,
            why: denials.why.reasons.clone(),
            routes: client.asked.most(ASKED).map(route).collect(),
            timeline: client.series.timeline(),
        }
    }
}

impl RaisedRow {
    fn new(client: &Client) -> Self {
        let fixed = LIMITS.iter().zip(&client.fixed);
        Self {
            client: clip(&client.who.name, LONGEST),
            user_agent: client.who.user_agent.clone(),
            requests: client.requests,
            highest_limit_per_min: client.raised_to,
            fixed: fixed
                .map(|(&limit_per_min, &denied)| RaisedFixed {
                    limit_per_min,
                    denied: denied.into(),
                })
                .collect(),
        }
    }
}

impl Replay {
    /// What was found, with the `most` clients that were denied most often.
    #[must_use]
    pub fn report(&self, most: usize) -> Report {
        let totals = self.clients.totals();
        let fixed = LIMITS.iter().zip(&totals.fixed).map(|(&limit_per_min, sum)| FixedRow {
            limit_per_min,
            denied: sum.denied,
            clients: sum.clients,
            denied_harmless: sum.harmless,
            denied_of_denied_clients: sum.denied - sum.spared,
            denied_of_spared_clients: sum.spared,
            spared_clients: sum.spared_clients,
        });
        let route = |route| clip(&self.engine.route_name(route), LONGEST);
        let (from, to) = self.span.unzip();
        let (groups_found, groups) = groups(self.clients.denied(), GROUPS, route);
        let (routes_found, routes) = self.traffic.routes(ROUTES, route);
        let denied = self.clients.most_denied(most).into_iter();
        Report {
            requests: self.requests,
            clients: totals.clients,
            clients_approximate: self.clients.folded(),
            from: from.map(rfc3339),
            to: to.map(rfc3339),
            span_seconds: self.span.map_or(0, |(from, to)| to.since(from).as_secs()),
            shadow: self.shadow,
            denied: self.denied,
            clients_denied: totals.denied,
            timeline: self.traffic.timeline(),
            risk: self.traffic.risk(&totals.risk),
            actions: Action::ALL.iter().map(|a| a.name()).zip(self.actions).collect(),
            most_denied: denied.map(|row| ClientRow::new(row, route)).collect(),
            groups_found,
            groups,
            clients_raised: totals.raised,
            most_raised: self.clients.most_raised(RAISED).into_iter().map(RaisedRow::new).collect(),
            routes_found,
            routes,
            fixed: fixed.collect(),
            labels: self.labelled.as_ref().map(|(labels, scoring)| scoring.report(labels)),
        }
    }
}
