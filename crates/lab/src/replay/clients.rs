//! What happened to each client, for as many clients as a report can hold.

use super::HARMLESS_BELOW;
use crate::static_limits::LIMITS;
use std::collections::HashMap;
use tidegate_engine::Decision;
use tidegate_limiter::{Key, Timestamp};

/// Most clients remembered one by one. Beyond that, those that were never denied and are quiet for
/// longest are summed up; one that comes back counts as another client.
pub(super) const MOST: usize = 100_000;

/// One client.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    pub name: String,
    pub requests: u64,
    pub denied: u64,
    /// When it was first denied, and why.
    pub first_denial: Option<(Timestamp, Vec<String>)>,
    pub peak_risk: f32,
    pub limit_per_min: f32,
    last_seen: Timestamp,
    /// Requests that each fixed limit denied.
    fixed: [u32; LIMITS.len()],
}

/// Sums over clients.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub clients: u64,
    pub denied: u64,
    pub fixed: [Fixed; LIMITS.len()],
}

/// Sums over the clients that one fixed limit denied anything.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fixed {
    pub clients: u64,
    pub denied: u64,
    /// Of the denied requests, those of clients that the model takes for harmless.
    pub harmless: u64,
}

impl Totals {
    fn add(&mut self, client: &Client) {
        self.clients += 1;
        self.denied += u64::from(client.denied > 0);
        for (sum, &denied) in self.fixed.iter_mut().zip(&client.fixed) {
            let denied = u64::from(denied);
            sum.clients += u64::from(denied > 0);
            sum.denied += denied;
            sum.harmless += if client.peak_risk < HARMLESS_BELOW { denied } else { 0 };
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
    /// Takes in a decision. `over` has a bit for each fixed limit that denied the request; `name`
    /// and `why` are asked for only when they are new.
    pub(super) fn add(
        &mut self,
        decision: &Decision,
        over: u16,
        name: impl FnOnce() -> String,
        why: impl FnOnce() -> Vec<String>,
    ) {
        let key = decision.ticket.client;
        if self.rows.len() >= MOST && !self.rows.contains_key(&key) {
            self.fold();
        }
        let row =
            self.rows.entry(key).or_insert_with(|| Client { name: name(), ..Client::default() });
        row.requests += 1;
        row.last_seen = row.last_seen.max(decision.time);
        row.peak_risk = row.peak_risk.max(decision.risk);
        row.limit_per_min = decision.limit_per_min;
        if !decision.allowed {
            row.denied += 1;
            row.first_denial.get_or_insert_with(|| (decision.time, why()));
        }
        let mut bits = over;
        while bits != 0 {
            if let Some(count) = row.fixed.get_mut(bits.trailing_zeros() as usize) {
                *count = count.saturating_add(1);
            }
            bits &= bits - 1;
        }
    }

    /// Sums up the half that a report would miss least.
    fn fold(&mut self) {
        let mut order: Vec<_> =
            self.rows.iter().map(|(key, row)| (row.denied, row.last_seen, *key)).collect();
        order.sort_unstable();
        for (_, _, key) in order.iter().take(MOST / 2) {
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

    /// The clients denied most often; of equals, the one denied first.
    pub(super) fn most_denied(&self, most: usize) -> Vec<&Client> {
        let mut rows: Vec<_> = self.rows.values().filter(|row| row.denied > 0).collect();
        rows.sort_unstable_by(|a, b| {
            let since = |row: &Client| row.first_denial.as_ref().map(|(time, _)| *time);
            b.denied.cmp(&a.denied).then(since(a).cmp(&since(b))).then(a.name.cmp(&b.name))
        });
        rows.truncate(most);
        rows
    }

    /// Whether clients had to be summed up.
    pub(super) const fn folded(&self) -> bool {
        self.folded.clients > 0
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rows.values().map(|row| row.name.as_str())
    }
}
