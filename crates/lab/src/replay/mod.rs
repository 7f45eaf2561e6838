//! Replay: recorded requests through the engine that serves, on the log's own clock.
//!
//! A decision uses nothing of its own response: the engine first decides, and only then learns the
//! outcome, and only of requests that enforcement lets through.

mod clients;
mod groups;
mod labels;
mod report;
mod series;
mod traffic;

pub use labels::{Label, Labels, LabelsError};
pub use report::{
    ClientRow, FixedRow, GroupRow, LabelFamily, LabelReport, RaisedFixed, RaisedRow, Report,
    RiskRow, RouteRow,
};
pub use series::{CLIENT_BUCKETS, SITE_BUCKETS, Timeline};

use crate::formats::Record;
use crate::static_limits::StaticLimits;
use clients::{Clients, Who, Why};
use labels::Scoring;
use tidegate_behavior::Request;
use tidegate_engine::{Action, Decision, Engine, Mode, Policy, RuleRef, Setup};
use tidegate_limiter::Timestamp;
use tidegate_models::AnyModel;
use traffic::Traffic;

/// A client whose smoothed risk never reached this counts as harmless in the model's eyes: it is
/// the default edge of the throttle band.
pub const HARMLESS_BELOW: f32 = 0.5;

/// Most characters of a user agent that are kept of each client.
const USER_AGENT: usize = 100;

/// An engine, and what it did to the requests that were fed to it. The secret of its keys is
/// fixed, so the same records give the same decisions.
pub struct Replay {
    engine: Engine,
    shadow: bool,
    fixed: StaticLimits,
    clients: Clients,
    traffic: Traffic,
    labelled: Option<(Labels, Scoring)>,
    span: Option<(Timestamp, Timestamp)>,
    requests: u64,
    denied: u64,
    actions: [u64; Action::ALL.len()],
}

impl Replay {
    /// An engine that knows nothing of anybody yet. Without a model it is a classic rate limiter.
    #[must_use]
    pub fn new(policy: Policy, model: Option<AnyModel>) -> Self {
        Self::with_setup(policy, Setup { model, ..Setup::default() })
    }

    /// The same with another capacity or secret.
    #[must_use]
    pub fn with_setup(policy: Policy, setup: Setup) -> Self {
        let shadow = policy.mode == Mode::Shadow;
        Self {
            fixed: StaticLimits::new(setup.capacity),
            engine: Engine::new(policy, setup),
            shadow,
            clients: Clients::default(),
            traffic: Traffic::default(),
            labelled: None,
            span: None,
            requests: 0,
            denied: 0,
            actions: [0; Action::ALL.len()],
        }
    }

    /// Holds decisions against what is known of the lines.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labelled = Some((labels, Scoring::default()));
        self
    }

    /// The engine that decides.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Decides the request of a line and learns its outcome. `line` counts from 1 over all files,
    /// as labels do.
    pub fn feed(&mut self, line: u64, record: &Record<'_>) -> Decision {
        let request = request(record);
        let decision = self.engine.check(&request);
        if !decision.denies() {
            match &record.outcome {
                Some(outcome) => self.engine.outcome(&decision.ticket, outcome, record.time),
                None => self.engine.release(&decision.ticket),
            }
        }
        self.count(line, record, &decision);
        decision
    }

    fn count(&mut self, line: u64, record: &Record<'_>, decision: &Decision) {
        self.requests += 1;
        self.denied += u64::from(!decision.allowed);
        let action = Action::ALL.iter().position(|a| *a == decision.action);
        if let Some(count) = action.and_then(|at| self.actions.get_mut(at)) {
            *count += 1;
        }
        let (first, last) = self.span.unwrap_or((record.time, record.time));
        self.span = Some((first.min(record.time), last.max(record.time)));

        let label = self.labelled.as_ref().and_then(|(labels, _)| labels.get(line));
        let abusive = label.is_some_and(|label| label.abusive);
        let over = self.fixed.check(decision.ticket.client, abusive, record.time);
        if let (Some(label), Some((_, scoring))) = (label, &mut self.labelled) {
            scoring.add(label, !decision.allowed, over);
        }

        self.traffic.add(decision, record.outcome.as_ref());
        let who = || Who {
            name: name(record, decision),
            user_agent: clip(&record.user_agent, USER_AGENT),
        };
        let engine = &self.engine;
        let why = || Why {
            rule: engine.rule_name(decision.rule),
            only_fast: decision.rule == RuleRef::Adaptive
                && matches!(decision.action, Action::Allow | Action::Raise),
            reasons: engine.reasons(decision),
        };
        self.clients.add(decision, over, who, why);
    }

    /// The names of the clients that are remembered one by one: the latest hundred thousand.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.clients.names()
    }
}

/// The request of a record. A host name stands for the address that a log does not have: each host
/// is a client of its own, and not one with all others without an address.
#[must_use]
pub fn request<'a>(record: &'a Record<'_>) -> Request<'a> {
    let mut request = record.request();
    if request.addr.is_none() && request.credential.is_none() && !record.client.is_empty() {
        request.credential = Some(&record.client);
    }
    request
}

/// Who sent a record, for people: the client as logged, or a hash of the credential that names it.
#[must_use]
pub fn name(record: &Record<'_>, decision: &Decision) -> String {
    match &record.credential {
        // A credential is a secret, and a report is passed around.
        Some(_) => format!("credential #{:016x}", decision.ticket.client.0),
        None if record.client.is_empty() => "(no address)".to_owned(),
        None => record.client.clone().into_owned(),
    }
}

/// The beginning of a text that may be of any length, with `…` where something is missing.
#[must_use]
pub fn clip(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A time in RFC 3339, UTC, with as many fractional digits as it needs.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    // Nanoseconds in 64 bits end in the year 2554, well within what the calendar knows.
    jiff::Timestamp::from_nanosecond(i128::from(time.as_nanos()))
        .map_or_else(|error| error.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests;
