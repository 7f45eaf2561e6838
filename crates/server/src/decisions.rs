//! The decision log: a line for each decision, for as long as somebody wants it.

use crate::config;
use crate::console::name_of;
use crate::metrics::Info;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate_behavior::Request;
use tidegate_engine::{Decision, Engine};

/// No line is written. Any other number is the share of allowed requests, in parts of [`WHOLE`].
const OFF: u64 = u64::MAX;
const WHOLE: u64 = 1 << 32;
/// The golden ratio in parts of [`WHOLE`]: its multiples fall evenly between 0 and 1, wherever one
/// stops.
const STRIDE: u32 = 0x9e37_79b9;
/// Longest path of a line, characters.
const LONGEST: usize = 512;

/// The way by which a request came to be decided.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Via {
    /// It passes through here.
    Proxy,
    /// It passes through a service that has the layer.
    Layer,
    /// A gateway asked over HTTP.
    Http,
    /// Envoy asked over gRPC.
    Grpc,
    /// Envoy has it processed.
    Process,
    /// An access log told of it afterwards.
    AccessLog,
    /// Somebody asked the API.
    Api,
}

impl Via {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Layer => "layer",
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Process => "ext_proc",
            Self::AccessLog => "access_log",
            Self::Api => "api",
        }
    }
}

/// The log, on or off.
pub(crate) struct Log {
    share: AtomicU64,
    allowed: AtomicU64,
}

impl Log {
    pub(crate) fn new(wanted: config::Log) -> Self {
        let log = Self { share: AtomicU64::new(OFF), allowed: AtomicU64::new(0) };
        log.set(wanted);
        log
    }

    /// Puts another setting in force.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    pub(crate) fn set(&self, wanted: config::Log) {
        let share = if wanted.decisions { (wanted.sample * WHOLE as f64) as u64 } else { OFF };
        self.share.store(share, Ordering::Relaxed);
    }

    /// Whether a decision is to be written down: while the log is on every denial, in shadow too, and of
    /// those allowed the ones whose turn it is.
    #[allow(clippy::cast_possible_truncation, reason = "the turn goes round")]
    pub(crate) fn wants(&self, allowed: bool) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        if share == OFF || !allowed {
            return share != OFF;
        }
        let turn = self.allowed.fetch_add(1, Ordering::Relaxed) as u32;
        u64::from(turn.wrapping_mul(STRIDE)) < share
    }
}

/// Writes a decision down; `model` is the one in line.
#[allow(clippy::cast_precision_loss, reason = "as exact as JSON")]
pub(crate) fn write(
    engine: &Engine,
    model: Option<&Info>,
    request: &Request<'_>,
    decision: &Decision,
    via: Via,
    took: Duration,
) {
    let model = model.filter(|_| decision.scored);
    let model = model.map(|info| format!("{} {}", info.name, info.checksum));
    tracing::info!(
        target: "tidegate::decision",
        time = decision.time.as_nanos() as f64 / 1e9,
        door = via.name(),
        client = name_of(engine, decision.ticket.client),
        method = request.method.name(),
        path = shown(request.path),
        route = engine.route_name(decision.ticket.trace.route),
        action = decision.action.name(),
        allowed = decision.allowed,
        shadow = decision.shadow,
        rule = engine.rule_name(decision.rule),
        risk = f64::from(decision.risk),
        anomaly = decision.anomaly.map(f64::from),
        limit = decision.limit,
        remaining = decision.remaining,
        limit_per_min = Some(f64::from(decision.limit_per_min)).filter(|l| l.is_finite()),
        retry_after = decision.retry_after.as_secs_f64(),
        latency_us = took.as_nanos() as f64 / 1e3,
        model = model.as_deref().map(str::trim_end),
        "decided"
    );
}

/// A path without its query, where secrets stand, and no longer than a line bears.
pub(crate) fn shown(path: &str) -> &str {
    let path = path.split('?').next().unwrap_or_default();
    path.char_indices().nth(LONGEST).map_or(path, |(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(decisions: bool, sample: f64) -> config::Log {
        config::Log { decisions, sample }
    }

    #[test]
    fn a_share_of_the_allowed_is_written_evenly_and_all_that_is_denied() {
        for (sample, of_a_thousand) in [(0.0, 0), (0.1, 100), (0.5, 500), (1.0, 1000)] {
            let log = Log::new(wanted(true, sample));
            for _ in 0..20 {
                let written = (0..1000).filter(|_| log.wants(true)).count();
                assert!(written.abs_diff(of_a_thousand) <= 2, "{sample}: {written}");
            }
            assert!((0..100).all(|_| log.wants(false)));
        }
    }

    #[test]
    fn what_is_off_is_off_whatever_the_share() {
        let log = Log::new(wanted(false, 1.0));
        assert_eq!(log.share.load(Ordering::Relaxed), OFF);
        log.set(wanted(true, 1.0));
        assert_eq!(log.share.load(Ordering::Relaxed), WHOLE);
        log.set(wanted(false, 0.0));
        assert_eq!(log.share.load(Ordering::Relaxed), OFF);
    }

    #[test]
    fn a_line_has_no_query_and_an_end() {
        assert_eq!(shown("/reset?token=secret"), "/reset");
        assert_eq!(shown(""), "");
        let long = "/ä".repeat(1000);
        assert_eq!(shown(&long).chars().count(), LONGEST);
    }
}
