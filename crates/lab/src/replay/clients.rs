//! What happened to each client, for as many clients as a report can hold.

use super::HARMLESS_BELOW;
use super::series::{CLIENT_BUCKETS, Series};
use super::traffic::{Asked, BANDS, band};
use crate::static_limits::LIMITS;
use std::cmp::Reverse;
use std::collections::HashMap;
use tidegate_engine::{Action, Decision};
use tidegate_limiter::{Key, Timestamp};

/// Most clients remembered one by one. Beyond that, those that were never denied, are not busy and are
/// quiet for longest are summed up; one that comes back counts as another client.
pub(super) const MOST: usize = 100_000;
/// From so many requests on a client is busy: a report may want to show that it was spared.
const BUSY: u64 = 1000;

/// Who a client is, for people.
#[derive(Clone, Debug, Default)]
pub(super) struct Who {
    pub name: String,
    /// What its first request said it is.
    pub user_agent: String,
}

/// One client.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    pub who: Who,
    pub requests: u64,
    pub denied: u64,
    pub denials: Option<Box<Denials>>,
    pub peak_risk: f32,
    pub limit_per_min: f32,
    /// What was done with its limit at its last request.
    pub action: Action,
    /// The highest limit that it was raised to; 0 when it never was.
    pub raised_to: f32,
    pub series: Series<CLIENT_BUCKETS>,
    pub asked: Asked,
    pub last_seen: Timestamp,
    /// Requests that each fixed limit denied.
    pub fixed: [u32; LIMITS.len()],
}

/// What is kept of a client's denials.
#[derive(Clone, Debug)]
pub(super) struct Denials {
    pub first: Timestamp,
    pub last: Timestamp,
    /// Which of the client's requests was the first to be denied, from 1.
    pub request: u64,
    /// What it asked for then.
    pub route: u16,
    pub why: Why,
}

/// Why a client was first denied.
#[derive(Clone, Debug, Default)]
pub(super) struct Why {
    /// The rule that denied.
    pub rule: String,
    /// Whether it only asked faster than its limit: nothing was held against it.
    pub only_fast: bool,
    /// Most important first.
    pub reasons: Vec<String>,
}

/// Sums over clients.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub clients: u64,
    pub denied: u64,
    /// Clients raised above the limit of a new one and never denied.
    pub raised: u64,
    /// Clients by their highest risk.
    pub risk: [u64; BANDS],
    pub fixed: [Fixed; LIMITS.len()],
}

/// Sums over the clients that one fixed limit denied anything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fixed {
    pub clients: u64,
    pub denied: u64,
    /// Of the denied requests, those of clients that the model takes for harmless.
    pub harmless: u64,
    /// Of the denied requests, those of clients that were never denied otherwise.
    pub spared: u64,
    /// Such clients.
    pub spared_clients: u64,
}

impl Totals {
    fn add(&mut self, client: &Client) {
        self.clients += 1;
        self.denied += u64::from(client.denied > 0);
        self.raised += u64::from(client.raised());
        if let Some(count) = self.risk.get_mut(band(client.peak_risk)) {
            *count += 1;
        }
        for (sum, &denied) in self.fixed.iter_mut().zip(&client.fixed) {
            let denied = u64::from(denied);
            sum.clients += u64::from(denied > 0);
            sum.denied += denied;
            sum.harmless += if client.peak_risk < HARMLESS_BELOW { denied } else { 0 };
            if client.denied == 0 {
                sum.spared += denied;
                sum.spared_clients += u64::from(denied > 0);
            }
        }
    }
}

impl Client {
    /// Whether it had a higher limit than a new client and was never denied.
    pub(super) fn raised(&self) -> bool {
        self.denied == 0 && self.raised_to > 0.0
    }

    fn add(&mut self, decision: &Decision, over: u16, why: impl FnOnce() -> Why) {
        self.requests += 1;
        self.last_seen = self.last_seen.max(decision.time);
        self.peak_risk = self.peak_risk.max(decision.risk);
        self.limit_per_min = decision.limit_per_min;
        self.action = decision.action;
        if decision.action == Action::Raise && decision.limit_per_min.is_finite() {
            self.raised_to = self.raised_to.max(decision.limit_per_min);
        }
        self.series.add(decision.time, !decision.allowed);
        self.asked.add(decision.ticket.trace.route);
        if !decision.allowed {
            self.denied += 1;
            let denials = self.denials.get_or_insert_with(|| {
                Box::new(Denials {
                    first: decision.time,
                    last: decision.time,
                    request: self.requests,
                    route: decision.ticket.trace.route,
                    why: why(),
                })
            });
            denials.last = denials.last.max(decision.time);
        }
        let mut bits = over;
        while bits != 0 {
            if let Some(count) = self.fixed.get_mut(bits.trailing_zeros() as usize) {
                *count = count.saturating_add(1);
            }
            bits &= bits - 1;
        }
    }
}

/// Every client, or as many as can be remembered.
#[derive(Default)]
pub(super) struct Clients {
    rows: HashMap<Key, Client, foldhash::fast::FixedState>,
    folded: Totals,
}

impl Clients {
    /// Takes in a decision. `over` has a bit for each fixed limit that denied the request; `who` and
    /// `why` are asked for only when they are new.
    pub(super) fn add(
        &mut self,
        decision: &Decision,
        over: u16,
        who: impl FnOnce() -> Who,
        why: impl FnOnce() -> Why,
    ) {
        let key = decision.ticket.client;
        if self.rows.len() >= MOST && !self.rows.contains_key(&key) {
            self.fold();
        }
        let row =
            self.rows.entry(key).or_insert_with(|| Client { who: who(), ..Client::default() });
        row.add(decision, over, why);
    }

    /// Sums up the half that a report would miss least.
    fn fold(&mut self) {
        let worth = |row: &Client| (row.denied, row.requests >= BUSY, row.last_seen);
        let mut order: Vec<_> = self.rows.iter().map(|(key, row)| (worth(row), *key)).collect();
        order.sort_unstable();
        for (_, key) in order.iter().take(MOST / 2) {
            if let Some(row) = self.rows.remove(key) {
                self.folded.add(&row);
            }
        }
    }

    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.folded;
        for row in self.rows.values() {
            totals.add(row);
        }
        totals
    }

    /// Clients that were denied anything, with their denials.
    pub(super) fn denied(&self) -> impl Iterator<Item = (&Client, &Denials)> {
        self.rows.values().filter_map(|row| Some((row, row.denials.as_deref()?)))
    }

    /// The clients denied most often; of equals, the one denied first.
    pub(super) fn most_denied(&self, most: usize) -> Vec<(&Client, &Denials)> {
        let mut rows: Vec<_> = self.denied().collect();
        rows.sort_unstable_by(|(a, a_denials), (b, b_denials)| {
            let key = |row: &Client, denials: &Denials| (Reverse(row.denied), denials.first);
            key(a, a_denials).cmp(&key(b, b_denials)).then_with(|| a.who.name.cmp(&b.who.name))
        });
        rows.truncate(most);
        rows
    }

    /// The busiest of those that were raised and never denied.
    pub(super) fn most_raised(&self, most: usize) -> Vec<&Client> {
        let mut rows: Vec<_> = self.rows.values().filter(|row| row.raised()).collect();
        rows.sort_unstable_by(|a, b| {
            b.requests.cmp(&a.requests).then_with(|| a.who.name.cmp(&b.who.name))
        });
        rows.truncate(most);
        rows
    }

    /// Whether clients had to be summed up.
    pub(super) const fn folded(&self) -> bool {
        self.folded.clients > 0
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.values().map(|row| row.who.name.as_str())
    }
}
