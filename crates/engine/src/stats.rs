//! Counts since the start, kept a stripe a thread so that counting costs no contention.

use crate::decision::{Action, Decision, RuleRef};
use crate::policy::{Mode, Rule};
use crate::watch::{Totals, WATCHED};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use tidegate_behavior::groups::{STRIPES, stripe_of_thread};

/// The upper bounds of the classes that risk is counted by, each of them included; the edges of the
/// default bands, 0.5 and 0.8, are among them. Most requests are below 0.1, so there it is finer.
pub const RISK_BOUNDS: [f32; 13] =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// Requests by the classes of [`RISK_BOUNDS`].
pub type RiskCounts = [u64; RISK_BOUNDS.len()];

/// The classes of status that outcomes are counted by.
pub const OUTCOME_CLASSES: [&str; 3] = ["rest", "4xx", "5xx"];
/// Rows of [`Stats::outcomes_by_risk`]: the tenths, and clients that were forgotten meanwhile.
pub const OUTCOME_ROWS: usize = 11;

/// Most static rules that are counted by name; what further ones decide is counted as
/// [`OTHER_RULES`]. A name keeps its place over reloads.
pub const MOST_NAMED: usize = 64;
/// The name of all rules beyond the first [`MOST_NAMED`] in counts.
pub const OTHER_RULES: &str = "other";

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
    /// Outcomes by tenth of the risk that the client had when they were learned, and by
    /// [`OUTCOME_CLASSES`]; in the last row those of clients that were forgotten meanwhile.
    pub outcomes_by_risk: [[u64; OUTCOME_CLASSES.len()]; OUTCOME_ROWS],
    /// Anomalies of the site by series of [`WATCHED`]: rises and drops.
    pub anomalies: [[u64; 2]; WATCHED.len()],
    /// How often a client was found to be unlike all others.
    pub odd_clients: u64,
    /// How anomalous the site is now, 0..1; `None` until enough was seen.
    pub anomaly: Option<f32>,
    /// Requests decided, by class of the client's risk; 0 where no model scored.
    pub risk: RiskCounts,
    /// The sum of those risks.
    pub risk_sum: f64,
    /// How far the last hour's risks are from those of the day before it, as a population stability
    /// index; `None` until enough was seen.
    pub drift: Option<f32>,
    /// Routes told apart.
    pub routes: usize,
}

impl Stats {
    /// Requests by tenth of their client's risk.
    #[must_use]
    pub fn risk_tenths(&self) -> [u64; 10] {
        let mut tenths = [0; 10];
        for (bound, count) in RISK_BOUNDS.iter().zip(self.risk) {
            // Bounds are the upper ends of their classes, and all tenths are among them.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let tenth = ((bound * 10.0).ceil() as usize).clamp(1, 10) - 1;
            tenths[tenth] += count;
        }
        tenths
    }
}

/// How often a rule answered in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The rule: `adaptive`, `allow-list`, `deny-list`, `override`, a static rule's name, or
    /// [`OTHER_RULES`].
    pub rule: String,
    /// What was done with the client's limit.
    pub action: Action,
    /// Whether enforcement denies.
    pub denied: bool,
    /// The mode of the policy.
    pub mode: Mode,
    /// How many requests were answered so.
    pub requests: u64,
}

/// How full a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreSize {
    /// What it holds: `clients`, `limits` (states of static rules, descriptors and names), `networks`
    /// or `advice`.
    pub name: &'static str,
    /// Entries now.
    pub entries: usize,
    /// Most entries at once.
    pub capacity: usize,
    /// Entries forgotten for want of room, since the start.
    pub evicted: u64,
}

/// Where a rule's answers are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u8);

const ADAPTIVE: Slot = Slot(0);
const ALLOW_LIST: Slot = Slot(1);
const DENY_LIST: Slot = Slot(2);
const OVERRIDE: Slot = Slot(3);
const OTHER: Slot = Slot(4);
const FIXED: [&str; 5] = ["adaptive", "allow-list", "deny-list", "override", OTHER_RULES];
const SLOTS: usize = FIXED.len() + MOST_NAMED;

impl Slot {
    /// The place of the rule that answered; `named` are those of the policy's static rules.
    pub(crate) fn of(rule: RuleRef, named: &[Self]) -> Self {
        match rule {
            RuleRef::Adaptive => ADAPTIVE,
            RuleRef::AllowList => ALLOW_LIST,
            RuleRef::DenyList => DENY_LIST,
            RuleRef::Override => OVERRIDE,
            RuleRef::Static(at) => named.get(usize::from(at)).copied().unwrap_or(OTHER),
        }
    }
}

/// Denied or not, in which mode.
const WAYS: [(bool, Mode); 4] =
    [(false, Mode::Enforce), (false, Mode::Shadow), (true, Mode::Enforce), (true, Mode::Shadow)];
/// Counts of one slot, by action and way.
const CELLS: usize = Action::ALL.len() * WAYS.len();
const CLASSES: usize = OUTCOME_CLASSES.len();

const RISK: usize = 0;
const RISK_SUM: usize = RISK + RISK_BOUNDS.len();
const UNSCORED: usize = RISK_SUM + 1;
const ADVISED: usize = UNSCORED + 1;
const OUTCOMES: usize = ADVISED + 1;
const ANSWERS: usize = OUTCOMES + OUTCOME_ROWS * CLASSES;
const WOULD_DENY: usize = ANSWERS + SLOTS * CELLS;
const ALL: usize = WOULD_DENY + SLOTS;

/// Sums of risk are kept in whole numbers of this part of one.
const RISK_UNIT: f32 = (1 << 20) as f32;

#[repr(align(128))]
struct Stripe([AtomicU64; ALL]);

pub(crate) struct Counters {
    stripes: Box<[Stripe]>,
    /// The names of static rules that have a place, in its order.
    names: Mutex<Vec<String>>,
}

impl Default for Counters {
    fn default() -> Self {
        let stripe = |_| Stripe(std::array::from_fn(|_| AtomicU64::default()));
        Self { stripes: (0..STRIPES).map(stripe).collect(), names: Mutex::default() }
    }
}

/// The class of a risk.
fn class(risk: f32) -> usize {
    let below: usize = RISK_BOUNDS.iter().map(|bound| usize::from(risk > *bound)).sum();
    below.min(RISK_BOUNDS.len() - 1)
}

impl Counters {
    /// The places of these rules, by name: a rule that was known before keeps its place.
    pub(crate) fn slots(&self, rules: &[Rule]) -> Vec<Slot> {
        let mut names = self.names.lock();
        let place = |rule: &Rule| {
            // A name is told once: whoever takes one of ours shares its counts.
            if let Some(at) = FIXED.iter().position(|name| *name == rule.name) {
                return u8::try_from(at).map_or(OTHER, Slot);
            }
            let known = names.iter().position(|name| *name == rule.name);
            let at = known.or_else(|| {
                (names.len() < MOST_NAMED).then(|| {
                    names.push(rule.name.clone());
                    names.len() - 1
                })
            });
            let at = at.and_then(|at| u8::try_from(FIXED.len() + at).ok());
            at.map_or(OTHER, Slot)
        };
        rules.iter().map(place).collect()
    }

    pub(crate) fn decided(&self, decision: &Decision, slot: Slot, mode: Mode) {
        let stripe = &self.stripes[stripe_of_thread()].0;
        let add = |at: usize, n: u64| stripe[at].fetch_add(n, Ordering::Relaxed);
        let action = Action::ALL.iter().position(|a| *a == decision.action).unwrap_or(0);
        add(cell(slot, action, !decision.allowed, mode), 1);
        add(RISK + class(decision.risk), 1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        add(RISK_SUM, (decision.risk * RISK_UNIT) as u64);
        if !decision.scored {
            add(UNSCORED, 1);
        }
    }

    /// Counts a request that a rule in shadow would have denied.
    pub(crate) fn would_deny(&self, slot: Slot) {
        self.add(WOULD_DENY + usize::from(slot.0));
    }

    /// Counts whether a request was decided by the word of a model in the background.
    pub(crate) fn advised(&self, advised: bool) {
        if advised {
            self.add(ADVISED);
        }
    }

    /// Counts an outcome of a client of this risk; none when the client was forgotten meanwhile.
    pub(crate) fn outcome(&self, status: u16, risk: Option<f32>) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let row = risk.map_or(OUTCOME_ROWS - 1, |risk| ((risk * 10.0) as usize).min(9));
        let class = match status {
            400..=499 => 1,
            500.. => 2,
            _ => 0,
        };
        self.add(OUTCOMES + row * CLASSES + class);
    }

    fn add(&self, at: usize) {
        self.stripes[stripe_of_thread()].0[at].fetch_add(1, Ordering::Relaxed);
    }

    fn total(&self, at: usize) -> u64 {
        self.stripes.iter().map(|stripe| stripe.0[at].load(Ordering::Relaxed)).sum()
    }

    /// Requests by class of risk.
    pub(crate) fn risk(&self) -> RiskCounts {
        std::array::from_fn(|class| self.total(RISK + class))
    }

    /// What the site's series are made of.
    pub(crate) fn totals(&self) -> Totals {
        let [rest, client_errors, server_errors] = self.outcomes();
        Totals {
            // Every request has a risk.
            requests: self.risk().iter().sum(),
            outcomes: rest + client_errors + server_errors,
            client_errors,
            server_errors,
        }
    }

    fn outcomes(&self) -> [u64; CLASSES] {
        let of = |row, class| self.total(OUTCOMES + row * CLASSES + class);
        std::array::from_fn(|class| (0..OUTCOME_ROWS).map(|row| of(row, class)).sum())
    }

    /// How often each rule answered in each way: all ways of those in force (`rules`, and the learned
    /// limit) in this mode, so that counts begin at zero, and of the rest what occurred.
    pub(crate) fn answers(&self, rules: &[Slot], mode: Mode) -> Vec<Answered> {
        let mut all = Vec::new();
        for (slot, rule) in self.names() {
            let in_force = slot == ADAPTIVE || rules.contains(&slot);
            for (at, action) in Action::ALL.into_iter().enumerate() {
                for (denied, counted) in WAYS {
                    let requests = self.total(cell(slot, at, denied, counted));
                    if requests > 0 || (in_force && counted == mode) {
                        let rule = rule.clone();
                        all.push(Answered { rule, action, denied, mode: counted, requests });
                    }
                }
            }
        }
        all
    }

    /// Requests that rules in shadow would have denied, by the rule's name; `rules` are those in force.
    pub(crate) fn would_have_denied(&self, rules: &[Slot]) -> Vec<(String, u64)> {
        let count = |slot: Slot| self.total(WOULD_DENY + usize::from(slot.0));
        let told = |slot| rules.contains(&slot) || count(slot) > 0;
        let told = self.names().into_iter().filter(|(slot, _)| told(*slot));
        told.map(|(slot, name)| (name, count(slot))).collect()
    }

    /// Every place that has a name.
    fn names(&self) -> Vec<(Slot, String)> {
        let names = FIXED.map(str::to_owned).into_iter().chain(self.names.lock().clone());
        (0..).map(Slot).zip(names).collect()
    }

    pub(crate) fn sum(&self) -> Stats {
        let [rest, client_errors, server_errors] = self.outcomes();
        let mut stats = Stats {
            unscored: self.total(UNSCORED),
            advised: self.total(ADVISED),
            outcomes: rest + client_errors + server_errors,
            client_errors,
            server_errors,
            outcomes_by_risk: std::array::from_fn(|row| {
                std::array::from_fn(|class| self.total(OUTCOMES + row * CLASSES + class))
            }),
            risk: self.risk(),
            #[allow(clippy::cast_precision_loss)]
            risk_sum: self.total(RISK_SUM) as f64 / f64::from(RISK_UNIT),
            ..Stats::default()
        };
        for (slot, _) in self.names() {
            for (action, decided) in stats.decided.iter_mut().enumerate() {
                for (denied, mode) in WAYS {
                    let requests = self.total(cell(slot, action, denied, mode));
                    *decided += requests;
                    stats.denied += if denied { requests } else { 0 };
                    stats.shadow_denied +=
                        if denied && mode == Mode::Shadow { requests } else { 0 };
                }
            }
        }
        stats
    }
}

/// Where a slot's answers of one kind are counted.
fn cell(slot: Slot, action: usize, denied: bool, mode: Mode) -> usize {
    let shadow = usize::from(mode == Mode::Shadow);
    ANSWERS + usize::from(slot.0) * CELLS + action * WAYS.len() + usize::from(denied) * 2 + shadow
}

#[cfg(test)]
mod tests;
