//! What Prometheus reads: counts of the engine and of the wire, every label from a fixed set.

use crate::background::Background;
use crate::outlook::Verdict;
use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use tidegate_engine::domains::Counts;
use tidegate_engine::{Action, Engine, WATCHED};

type Labels = [(&'static str, &'static str); 1];

/// The metrics of one server.
pub(crate) struct Metrics {
    registry: Registry,
    responses: Family<Labels, Counter>,
    upstream_failures: Family<Labels, Counter>,
    reloads: Family<Labels, Counter>,
    forecasts: Family<Labels, Counter>,
    reports: Family<Labels, Counter>,
    commands: Family<Labels, Counter>,
    refused: Family<Labels, Counter>,
    pub connections: Gauge,
    pub connections_full: Counter,
    pub in_flight: Gauge,
    pub engine_failures: Counter,
    pub decide_seconds: Histogram,
    pub config_time: Gauge,
}

impl Metrics {
    pub(crate) fn new(engine: Arc<Engine>, background: Vec<Arc<Background>>) -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("tidegate"),
            responses: Family::default(),
            upstream_failures: Family::default(),
            reloads: Family::default(),
            forecasts: Family::default(),
            reports: Family::default(),
            commands: Family::default(),
            refused: Family::default(),
            connections: Gauge::default(),
            connections_full: Counter::default(),
            in_flight: Gauge::default(),
            engine_failures: Counter::default(),
            decide_seconds: Histogram::new(exponential_buckets(250e-9, 2.0, 14)),
            config_time: Gauge::default(),
        };
        metrics.registered(engine, background)
    }

    fn registered(mut self, engine: Arc<Engine>, background: Vec<Arc<Background>>) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "responses",
            "Responses of the proxy by class of status",
            self.responses.clone(),
        );
        registry.register(
            "upstream_failures",
            "Requests that the upstream did not answer",
            self.upstream_failures.clone(),
        );
        registry.register("config_reloads", "Reloads of the configuration", self.reloads.clone());
        registry.register(
            "access_log_lines",
            "Lines of the gateways' access logs, by what was read",
            self.reports.clone(),
        );
        registry.register(
            "resp_commands",
            "Commands of Redis clients, by what came of them",
            self.commands.clone(),
        );
        registry.register(
            "forecast_hours",
            "Hours by how the site's requests compare with their forecast",
            self.forecasts.clone(),
        );
        registry.register(
            "config_loaded_timestamp_seconds",
            "When the configuration in force was loaded",
            self.config_time.clone(),
        );
        registry.register("connections", "Connections open to the proxy", self.connections.clone());
        registry.register(
            "connections_full",
            "Times that new connections had to wait because of max_connections",
            self.connections_full.clone(),
        );
        registry.register(
            "connections_refused",
            "Connections closed for want of a PROXY header that may be believed",
            self.refused.clone(),
        );
        registry.register("requests_in_flight", "Requests being passed on", self.in_flight.clone());
        registry.register(
            "engine_failures",
            "Decisions that failed and were answered as on_error says",
            self.engine_failures.clone(),
        );
        registry.register(
            "decide_seconds",
            "Time to decide a request",
            self.decide_seconds.clone(),
        );
        registry.register_collector(Box::new(EngineStats(engine)));
        registry.register_collector(Box::new(BackgroundStats(background)));
        self
    }

    /// Counts a response of the proxy.
    pub(crate) fn response(&self, status: StatusCode) {
        let class = match status.as_u16() {
            429 => "429",
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.responses.get_or_create(&[("class", class)]).inc();
    }

    /// Counts a request that the upstream did not answer.
    pub(crate) fn upstream_failure(&self, kind: &'static str) {
        self.upstream_failures.get_or_create(&[("kind", kind)]).inc();
    }

    /// Counts a reload.
    pub(crate) fn reload(&self, accepted: bool) {
        let result = if accepted { "accepted" } else { "refused" };
        self.reloads.get_or_create(&[("result", result)]).inc();
    }

    /// Counts a line of a gateway's access log.
    pub(crate) fn report(&self, read: &'static str) {
        self.reports.get_or_create(&[("read", read)]).inc();
    }

    /// Counts a command of a Redis client.
    pub(crate) fn command(&self, answer: &'static str) {
        self.commands.get_or_create(&[("answer", answer)]).inc();
    }

    /// Counts a connection that was closed before anything of it was read.
    pub(crate) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts an hour by how it compares with its forecast.
    pub(crate) fn forecast(&self, verdict: Verdict) {
        let verdict = match verdict {
            Verdict::Within => "within",
            Verdict::Above => "above",
            Verdict::Below => "below",
        };
        self.forecasts.get_or_create(&[("verdict", verdict)]).inc();
    }

    /// The `OpenMetrics` text.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Reads the engine's own counts when asked.
struct EngineStats(Arc<Engine>);

impl fmt::Debug for EngineStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineStats")
    }
}

impl Collector for EngineStats {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.0.stats();
        for (name, help, count) in [
            ("denied", "Requests that enforcement denies", stats.denied),
            ("shadow_denied", "Denied requests that shadow mode let pass", stats.shadow_denied),
            ("unscored", "Requests decided without a model", stats.unscored),
            ("advised", "Requests decided by the word of a model in the background", stats.advised),
            ("outcomes", "Outcomes learned", stats.outcomes),
            ("odd_clients", "Times that a client was found unlike all others", stats.odd_clients),
            ("clients_evicted", "Clients forgotten for want of room", stats.evicted),
        ] {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for (name, help, size) in [
            ("clients", "Clients tracked", stats.clients),
            ("clients_capacity", "Most clients tracked at once", stats.capacity),
            (
                "penalties_kept",
                "Penalties kept of clients that were forgotten",
                stats.penalties_kept,
            ),
            ("routes", "Routes told apart", stats.routes),
        ] {
            let gauge = ConstGauge::new(i64::try_from(size).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        let mut decided = encoder.encode_descriptor(
            "decisions",
            "Requests decided, by action",
            None,
            MetricType::Counter,
        )?;
        for (action, count) in Action::ALL.iter().zip(stats.decided) {
            ConstCounter::new(count)
                .encode(decided.encode_family(&[("action", action.name())])?)?;
        }
        let domains = &self.0.policy().domains;
        if !domains.is_empty() {
            let mut hits = encoder.encode_descriptor(
                "descriptor_hits",
                "Hits on limits by descriptor, by what came of them",
                None,
                MetricType::Counter,
            )?;
            for (path, counts) in domains.counts() {
                for (kind, count) in Counts::NAMES.into_iter().zip(counts) {
                    let labels = [("limit", path.as_str()), ("kind", kind)];
                    ConstCounter::new(count).encode(hits.encode_family(&labels)?)?;
                }
            }
        }
        let mut anomalies = encoder.encode_descriptor(
            "anomalies",
            "Anomalies of the site and its routes, by series and direction",
            None,
            MetricType::Counter,
        )?;
        for (series, counts) in WATCHED.iter().zip(stats.anomalies) {
            for (direction, count) in ["rise", "drop"].iter().zip(counts) {
                let labels = [("series", *series), ("direction", *direction)];
                ConstCounter::new(count).encode(anomalies.encode_family(&labels)?)?;
            }
        }
        if let Some(anomaly) = stats.anomaly {
            let gauge = ConstGauge::new(f64::from(anomaly));
            let help = "How anomalous the site is, 0 to 1";
            gauge.encode(encoder.encode_descriptor("anomaly", help, None, MetricType::Gauge)?)?;
        }
        let mut risk = encoder.encode_descriptor(
            "risk",
            "Requests decided, by tenth of the client's risk",
            None,
            MetricType::Counter,
        )?;
        for (tenth, count) in stats.risk_histogram.iter().enumerate() {
            ConstCounter::new(*count)
                .encode(risk.encode_family(&[("tenth", tenth.to_string())])?)?;
        }
        Ok(())
    }
}

/// Reads what models in the background have seen when asked.
struct BackgroundStats(Vec<Arc<Background>>);

impl fmt::Debug for BackgroundStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BackgroundStats")
    }
}

impl Collector for BackgroundStats {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut family = |name: &str, help: &str, rows: &[(Vec<(&str, String)>, u64)]| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, count) in rows {
                let labels: Vec<(&str, &str)> =
                    labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
                ConstCounter::new(*count).encode(family.encode_family(&labels.as_slice())?)?;
            }
            Ok::<(), fmt::Error>(())
        };
        let (mut requests, mut failures, mut actions, mut scores) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for model in &self.0 {
            let role = || ("role", model.role.name().to_owned());
            let tally = model.trial.tally();
            let (offered, dropped) = model.inbox.counts();
            for (state, count) in [
                ("offered", offered),
                ("dropped", dropped),
                ("compared", tally.compared),
                ("unanswered", tally.unanswered),
            ] {
                requests.push((vec![role(), ("state", state.to_owned())], count));
            }
            for (kind, count) in model.failures() {
                failures.push((vec![role(), ("kind", kind.to_owned())], count));
            }
            for (decided, row) in ["passed", "limited"].iter().zip(tally.actions) {
                for (asked, count) in ["passed", "limited"].iter().zip(row) {
                    let labels = [("decided", *decided), ("model", *asked)];
                    let labels = labels.map(|(name, value)| (name, value.to_owned()));
                    actions.push(([vec![role()], labels.to_vec()].concat(), count));
                }
            }
            for (whose, tenths) in
                [("decided", tally.champion_scores), ("model", tally.challenger_scores)]
            {
                for (tenth, count) in tenths.iter().enumerate() {
                    let labels =
                        vec![role(), ("whose", whose.into()), ("tenth", tenth.to_string())];
                    scores.push((labels, *count));
                }
            }
        }
        family("background_requests", "Requests told to a model in the background", &requests)?;
        family("background_failures", "Calls of such a model without an answer", &failures)?;
        family(
            "background_actions",
            "Requests by what is done about the client and what the model would do",
            &actions,
        )?;
        family("background_scores", "Requests by tenth of the score of either", &scores)
    }
}
