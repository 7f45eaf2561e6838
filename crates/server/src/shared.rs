//! What every connection, the API and the reloader share.

use crate::answer;
use crate::background::Background;
use crate::body::Body;
use crate::config::{self, Resolved};
use crate::console::Console;
use crate::decisions::{self, Via};
use crate::identify::{Identity, Seen};
use crate::metrics::{Info, Metrics};
use crate::outlook::Outlook;
use crate::telemetry::{CONTAINED, Span, Tracing, trace};
use crate::upstream::Upstream;
use arc_swap::ArcSwap;
use http::{HeaderMap, Response, StatusCode};
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tidegate_behavior::address::canonical;
use tidegate_behavior::{Outcome, Request};
use tidegate_engine::descriptors::{self, Asked, CallError};
use tidegate_engine::policy::{OnError, Policy};
use tidegate_engine::{Decision, Engine, Ticket};
use tidegate_limiter::{Admission, Clock, Cost, Quota, SystemClock, Timestamp};

/// What is to be done with a request.
pub(crate) enum Verdict {
    /// It passes after this wait; the fields are for the answer to the client. Without a ticket it
    /// passes because deciding failed.
    Pass { ticket: Option<Ticket>, wait: Duration, fields: HeaderMap },
    /// The client gets this instead.
    Deny(Response<Body>),
}

/// The parts of the wire that a reload replaces.
pub(crate) struct Live {
    pub identity: Identity,
    pub on_error: OnError,
    pub upstream: Option<Arc<Upstream>>,
    /// Which decisions are written down.
    pub log: config::Log,
    /// The share of traces that begin here and are taken, if requests are traced.
    pub traces: Option<f64>,
    /// The configuration in plain words.
    pub words: Vec<String>,
}

impl Live {
    pub(crate) fn new(resolved: &Resolved, upstream: Option<Arc<Upstream>>) -> Self {
        Self {
            identity: resolved.identity.clone(),
            on_error: resolved.on_error,
            upstream,
            log: resolved.log,
            traces: resolved.telemetry.otlp.as_ref().map(|otlp| otlp.sample),
            words: config::check(resolved),
        }
    }
}

/// The role of the model that scores every request.
pub(crate) const IN_LINE: &str = "in_line";

pub(crate) struct Shared {
    pub engine: Arc<Engine>,
    pub live: ArcSwap<Live>,
    pub metrics: Metrics,
    pub draining: AtomicBool,
    /// Models that are told of every decision.
    pub background: Vec<Arc<Background>>,
    /// What the site's rate should be; empty while too little was seen.
    pub outlook: ArcSwap<Outlook>,
    /// What is kept for the operator's pages.
    pub console: Console,
    /// What makes spans of requests, if anybody wants them.
    pub tracing: Option<Tracing>,
    /// The model that scores every request, once it is told.
    in_line: OnceLock<Info>,
    decisions: decisions::Log,
    clock: SystemClock,
}

impl Shared {
    pub(crate) fn new(engine: Arc<Engine>, live: Live, background: Vec<Arc<Background>>) -> Self {
        let metrics = Metrics::new(Arc::clone(&engine), background.clone(), live.traces.is_some());
        let decisions = decisions::Log::new(live.log);
        Self {
            engine,
            live: ArcSwap::from_pointee(live),
            metrics,
            draining: AtomicBool::new(false),
            background,
            outlook: ArcSwap::default(),
            console: Console::new(None),
            tracing: None,
            in_line: OnceLock::new(),
            decisions,
            clock: SystemClock::new(),
        }
    }

    /// Puts another configuration of the wire in force.
    pub(crate) fn put_in_force(&self, live: Live) {
        self.decisions.set(live.log);
        if let (Some(tracing), Some(share)) = (&self.tracing, live.traces) {
            tracing.sample(share);
        }
        self.live.store(Arc::new(live));
    }

    /// Tells of a model that is in use, and what for.
    pub(crate) fn model(&self, role: &'static str, info: Info) {
        if role == IN_LINE {
            // There is one for as long as the server runs.
            let _ = self.in_line.set(info.clone());
        }
        self.metrics.model(role, info);
    }

    /// The model that scores every request; `None` when none does.
    pub(crate) fn in_line(&self) -> Option<&Info> {
        self.in_line.get()
    }

    /// Whether what this address says of others is believed: it is a trusted hop, or this machine.
    pub(crate) fn trusts(&self, addr: IpAddr) -> bool {
        let addr = canonical(addr);
        addr.is_loopback() || self.engine.policy().identity.trusted.get(addr).is_some()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Begins the span of a request with these fields, if requests are traced. The trace that they name goes
    /// on here if who sent them is believed; of several sets of fields the first that names one counts.
    pub(crate) fn span(
        &self,
        name: &'static str,
        via: Via,
        fields: &[&HeaderMap],
        believed: impl FnOnce() -> bool,
    ) -> Span {
        let Some(tracing) = &self.tracing else { return Span::default() };
        tracing.begin(name, via, trace::carrier(fields).filter(|_| believed()))
    }

    /// Decides a request that came this way; `None` when deciding itself failed.
    pub(crate) fn check(&self, request: &Request<'_>, via: Via) -> Option<Decision> {
        self.check_in(&Span::default(), request, via)
    }

    /// The same within a span, which is told of it.
    pub(crate) fn check_in(
        &self,
        span: &Span,
        request: &Request<'_>,
        via: Via,
    ) -> Option<Decision> {
        // What it takes is measured, and decides nothing: it has no need of a clock that can be set.
        let started = std::time::Instant::now();
        let decision = self.guard(|| self.engine.check(request));
        let took = started.elapsed();
        self.metrics.decided(took, span.trace_id());
        self.console.decided_in(took);
        if let Some(decision) = &decision {
            span.decided(&self.engine, request, decision);
            if self.decisions.wants(decision.allowed) {
                decisions::write(&self.engine, self.in_line(), request, decision, via, took);
            }
            self.background.iter().for_each(|model| model.offer(decision));
        }
        decision
    }

    /// Decides a request and says what is to be done with it, whatever the door it came by.
    pub(crate) fn verdict(
        &self,
        live: &Live,
        policy: &Policy,
        seen: &Seen<'_>,
        via: Via,
        span: &Span,
    ) -> Verdict {
        let Some(decision) = self.check_in(span, &seen.request(self.now()), via) else {
            return match live.on_error {
                OnError::Open => {
                    Verdict::Pass { ticket: None, wait: Duration::ZERO, fields: HeaderMap::new() }
                }
                OnError::Closed => Verdict::Deny(answer::problem(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The request can't be decided now; try again.",
                )),
            };
        };
        if decision.denies() {
            return Verdict::Deny(answer::denial(policy, &decision));
        }
        let mut fields = HeaderMap::new();
        if decision.allowed {
            answer::annotate(policy, &decision, &mut fields);
        }
        Verdict::Pass { ticket: Some(decision.ticket), wait: decision.wait, fields }
    }

    /// Holds a call against the limits of its descriptors; `None` when deciding itself failed.
    pub(crate) fn limit(
        &self,
        domain: &str,
        asked: &[Asked<'_>],
        now: Timestamp,
    ) -> Option<Result<descriptors::Verdict, CallError>> {
        self.guard(|| self.engine.limit_descriptors(domain, asked, now))
    }

    /// Charges a name under a quota of the caller's; `None` when that failed.
    pub(crate) fn charge(
        &self,
        name: &[u8],
        quota: Quota,
        cost: Cost,
        now: Timestamp,
    ) -> Option<Admission> {
        self.guard(|| self.engine.charge(name, quota, cost, now))
    }

    /// Takes in what became of a request that was passed on.
    pub(crate) fn outcome(&self, ticket: &Ticket, outcome: &Outcome) {
        self.outcome_at(ticket, outcome, self.now());
    }

    /// The same at a time that somebody told.
    pub(crate) fn outcome_at(&self, ticket: &Ticket, outcome: &Outcome, time: Timestamp) {
        self.guard(|| self.engine.outcome(ticket, outcome, time));
    }

    /// Gives back what a request holds that was decided and not passed on.
    pub(crate) fn release(&self, ticket: &Ticket) {
        self.guard(|| self.engine.release(ticket));
    }

    /// A fault in the engine costs one decision, never the connection.
    fn guard<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(work)).ok();
        if result.is_none() {
            self.metrics.engine_failures.inc();
            tracing::error!(target: CONTAINED, "the engine failed; this request is answered as on_error says");
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted_and_contained() {
        let resolved =
            Resolved::default_for_proxy("http://127.0.0.1:1", ([127, 0, 0, 1], 0).into()).unwrap();
        let engine = Arc::new(Engine::new(resolved.policy.clone(), Default::default()));
        let shared = Shared::new(engine, Live::new(&resolved, None), Vec::new());
        let failed: Option<()> = shared.guard(|| panic!("on purpose"));
        assert!(failed.is_none());
        assert_eq!(shared.metrics.engine_failures.get(), 1);
        assert_eq!(shared.guard(|| 7), Some(7));
    }
}
