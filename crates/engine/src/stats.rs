//! Counts since the start, kept a stripe a thread so that counting costs no contention.

use crate::decision::{Action, Decision};
use crate::watch::{Totals, WATCHED};
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_behavior::groups::{STRIPES, stripe_of_thread};

/// Counts since the start, and sizes now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Clients tracked now.
    pub clients: usize,
    /// Most clients tracked at once.
    pub capacity: usize,
    /// Clients forgotten for want of room.
    pub evicted: u64,
    /// Penalties kept of clients that were forgotten.
    pub penalties_kept: usize,
    /// Requests decided, by [`Action::ALL`].
    pub decided: [u64; 5],
    /// Requests that enforcement denies.
    pub denied: u64,
    /// Of those, the ones that shadow mode let pass.
    pub shadow_denied: u64,
    /// Requests decided without a model's score.
    pub unscored: u64,
    /// Requests decided by the word of a model in the background.
    pub advised: u64,
    /// Outcomes learned.
    pub outcomes: u64,
    /// Of those, responses with a status of 400 to 499.
    pub client_errors: u64,
    /// Of those, responses with a status of 500 or more.
    pub server_errors: u64,
    /// Anomalies of the site by series of [`WATCHED`]: rises and drops.
    pub anomalies: [[u64; 2]; WATCHED.len()],
    /// How often a client was found to be unlike all others.
    pub odd_clients: u64,
    /// How anomalous the site is now, 0..1; `None` until enough was seen.
    pub anomaly: Option<f32>,
    /// Requests decided, by tenth of the client's risk.
    pub risk_histogram: [u64; 10],
    /// Routes told apart.
    pub routes: usize,
}

const DENIED: usize = 5;
const SHADOW: usize = 6;
const UNSCORED: usize = 7;
const OUTCOMES: usize = 8;
const ADVISED: usize = 9;
const CLIENT_ERRORS: usize = 10;
const SERVER_ERRORS: usize = 11;
const RISK: usize = 12;
const ALL: usize = RISK + 10;

#[derive(Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; ALL]);

pub(crate) struct Counters(Box<[Stripe]>);

impl Default for Counters {
    fn default() -> Self {
        Self((0..STRIPES).map(|_| Stripe::default()).collect())
    }
}

impl Counters {
    pub(crate) fn decided(&self, decision: &Decision) {
        let stripe = &self.0[stripe_of_thread()].0;
        let add = |at: usize| stripe[at].fetch_add(1, Ordering::Relaxed);
        add(Action::ALL.iter().position(|a| *a == decision.action).unwrap_or(0));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        add(RISK + ((decision.risk * 10.0) as usize).min(9));
        if !decision.allowed {
            add(DENIED);
        }
        if decision.shadow {
            add(SHADOW);
        }
        if !decision.scored {
            add(UNSCORED);
        }
    }

    /// Counts whether a request was decided by the word of a model in the background.
    pub(crate) fn advised(&self, advised: bool) {
        if advised {
            self.0[stripe_of_thread()].0[ADVISED].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn outcome(&self, status: u16) {
        let stripe = &self.0[stripe_of_thread()].0;
        stripe[OUTCOMES].fetch_add(1, Ordering::Relaxed);
        match status {
            400..=499 => stripe[CLIENT_ERRORS].fetch_add(1, Ordering::Relaxed),
            500.. => stripe[SERVER_ERRORS].fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    fn total(&self, at: usize) -> u64 {
        self.0.iter().map(|stripe| stripe.0[at].load(Ordering::Relaxed)).sum()
    }

    /// What the site's series are made of.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            requests: (0..Action::ALL.len()).map(|at| self.total(at)).sum(),
            outcomes: self.total(OUTCOMES),
            client_errors: self.total(CLIENT_ERRORS),
            server_errors: self.total(SERVER_ERRORS),
        }
    }

    pub(crate) fn sum(&self) -> Stats {
        let total = |at: usize| self.total(at);
        Stats {
            decided: std::array::from_fn(total),
            denied: total(DENIED),
            shadow_denied: total(SHADOW),
            unscored: total(UNSCORED),
            advised: total(ADVISED),
            outcomes: total(OUTCOMES),
            client_errors: total(CLIENT_ERRORS),
            server_errors: total(SERVER_ERRORS),
            risk_histogram: std::array::from_fn(|tenth| total(RISK + tenth)),
            ..Stats::default()
        }
    }
}
