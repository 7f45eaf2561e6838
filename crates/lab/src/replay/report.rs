//! What a replay found, for machines; the command prints it for people.

use super::clients::Client;
use super::{Replay, rfc3339};
use crate::static_limits::LIMITS;
use serde::Serialize;
use std::collections::BTreeMap;
use tidegate_engine::Action;

/// What a replay found.
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
    /// Requests by what was done with the client's limit.
    pub actions: BTreeMap<&'static str, u64>,
    /// The clients denied most often.
    pub most_denied: Vec<ClientRow>,
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
    /// Its requests.
    pub requests: u64,
    /// Of those, denied.
    pub denied: u64,
    /// When it was first denied, RFC 3339.
    pub first_denied: Option<String>,
    /// The highest smoothed risk, 0..1.
    pub peak_risk: f32,
    /// The learned limit at its last request, a minute; `None` when it had none.
    pub limit_per_min: Option<f32>,
    /// Why it was first denied, most important first.
    pub why: Vec<String>,
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
    fn new(client: &Client) -> Self {
        let (time, why) = client.first_denial.clone().unzip();
        Self {
            client: client.name.clone(),
            requests: client.requests,
            denied: client.denied,
            first_denied: time.map(rfc3339),
            peak_risk: client.peak_risk,
            limit_per_min: finite(client.limit_per_min),
            why: why.unwrap_or_default(),
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
        });
        let (from, to) = self.span.unzip();
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
            actions: Action::ALL.iter().map(|a| a.name()).zip(self.actions).collect(),
            most_denied: self.clients.most_denied(most).into_iter().map(ClientRow::new).collect(),
            fixed: fixed.collect(),
            labels: self.labelled.as_ref().map(|(labels, scoring)| scoring.report(labels)),
        }
    }
}
