//! What Prometheus reads: counts of the engine, of the wire and of the process, every label from a
//! bounded set. `docs/metrics.md` is made from what this writes.

mod background;
mod engine;
mod process;
mod telemetry;
#[cfg(test)]
mod tests;
mod times;

use crate::background::Background;
use crate::config::{Asked, Origin, Where};
use crate::console::Confusion;
use crate::outlook::Verdict;
use crate::telemetry::export;
use http::StatusCode;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tidegate_behavior::schema::SCHEMA_VERSION;
use tidegate_engine::Engine;
use tidegate_models::{AnyModel, Model, file};
use times::Times;

/// Counts by one label, whose values are all there from the start: what appears only when it first
/// happens has no rise that Prometheus could see.
type Counts = Family<[(&'static str, &'static str); 1], Counter>;
/// Numbers by two labels, all there from the start.
type Table = Family<[(&'static str, &'static str); 2], Gauge>;
type Infos<const N: usize> = Family<[(&'static str, String); N], Gauge>;

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "429", "5xx"];
const UPSTREAM_FAILURES: [&str; 4] = ["connect", "timeout", "broken", "client"];
const RELOADS: [&str; 2] = ["accepted", "refused"];
const LINES: [&str; 5] = ["learned", "observed", "unanswered", "without_ticket", "unreadable"];
const COMMANDS: [&str; 4] = ["allowed", "limited", "other", "refused"];
const REFUSALS: [&str; 5] = ["missing", "malformed", "ended", "late", "untrusted"];
const VERDICTS: [&str; 3] = ["within", "above", "below"];
const SPANS: [&str; 3] = ["exported", "dropped", "failed"];

/// The metrics of one server.
pub(crate) struct Metrics {
    registry: Registry,
    responses: Counts,
    upstream_failures: Counts,
    upstream_seconds: Times,
    reloads: Counts,
    reloaded: Gauge,
    pub config_time: Gauge,
    forecasts: Counts,
    reports: Counts,
    commands: Counts,
    refused: Counts,
    models: Infos<5>,
    labelled: Table,
    pub connections: Gauge,
    pub connections_full: Counter,
    pub in_flight: Gauge,
    pub engine_failures: Counter,
    decide_seconds: Times,
    spans: Counts,
}

/// A model as the metrics name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    /// The family of models that it is of.
    pub kind: &'static str,
    /// Its file or address, or `built-in`.
    pub name: String,
    /// The checksum of its file; empty when it is elsewhere.
    pub checksum: String,
}

impl Info {
    /// The model that comes with this version.
    pub(crate) fn built_in(model: &AnyModel) -> Self {
        let checksum = hexadecimal(file::checksum(Engine::default_model_file()));
        Self { kind: model.kind(), name: "built-in".to_owned(), checksum }
    }

    /// A model that is asked in the background.
    pub(crate) fn of_asked(asked: &Asked) -> Self {
        let kind = match &asked.model {
            Where::File(model) => model.kind(),
            Where::Kserve(_) => "kserve",
        };
        Self::of(kind, asked.origin.clone())
    }

    /// A model that a configuration names.
    pub(crate) fn of(kind: &'static str, origin: Origin) -> Self {
        let checksum = origin.checksum.map_or_else(String::new, hexadecimal);
        Self { kind, name: origin.name, checksum }
    }
}

fn hexadecimal(checksum: u32) -> String {
    format!("{checksum:08x}")
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn counts(label: &'static str, values: &[&'static str]) -> Counts {
    let family = Counts::default();
    for value in values {
        drop(family.get_or_create(&[(label, value)]));
    }
    family
}

impl Metrics {
    /// Those of a server whose requests are traced, or not.
    pub(crate) fn new(engine: Arc<Engine>, background: Vec<Arc<Background>>, traced: bool) -> Self {
        let metrics = Self {
            registry: Registry::default(),
            responses: counts("class", &CLASSES),
            upstream_failures: counts("kind", &UPSTREAM_FAILURES),
            // From half a millisecond to a minute, which is how long an upstream may take by default.
            upstream_seconds: Times::new(traced, exponential_buckets(0.0005, 2.0, 18)),
            reloads: counts("result", &RELOADS),
            reloaded: Gauge::default(),
            config_time: Gauge::default(),
            forecasts: counts("verdict", &VERDICTS),
            reports: counts("read", &LINES),
            commands: counts("answer", &COMMANDS),
            refused: counts("reason", &REFUSALS),
            models: Infos::default(),
            labelled: Table::default(),
            connections: Gauge::default(),
            connections_full: Counter::default(),
            in_flight: Gauge::default(),
            engine_failures: Counter::default(),
            decide_seconds: Times::new(traced, exponential_buckets(250e-9, 2.0, 14)),
            spans: counts("result", &SPANS),
        };
        // A server that runs has read its configuration.
        metrics.reloaded.set(1);
        metrics.config_time.set(unix_seconds());
        metrics.labelled(&Confusion::default());
        metrics.registered(engine, background)
    }

    fn registered(mut self, engine: Arc<Engine>, background: Vec<Arc<Background>>) -> Self {
        let registry = self.registry.sub_registry_with_prefix("tidegate");
        let build = Infos::<3>::default();
        build
            .get_or_create(&[
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("os", std::env::consts::OS.to_owned()),
                ("arch", std::env::consts::ARCH.to_owned()),
            ])
            .set(1);
        registry.register("build_info", "Which Tidegate this is; always 1", build);
        registry.register(
            "model_info",
            "Which models are in use, and what for; always 1",
            self.models.clone(),
        );
        registry.register(
            "responses",
            "Responses of the proxy by class of status",
            self.responses.clone(),
        );
        registry.register(
            "upstream_failures",
            "Requests that the upstream did not answer, or whose client broke them off",
            self.upstream_failures.clone(),
        );
        registry.register(
            "upstream_response_seconds",
            "Time until the head of the upstream's response was there",
            self.upstream_seconds.clone(),
        );
        registry.register("config_reloads", "Reloads of the configuration", self.reloads.clone());
        registry.register(
            "config_last_reload_successful",
            "Whether the last reload of the configuration was accepted: 1, or 0 when it was refused",
            self.reloaded.clone(),
        );
        registry.register(
            "config_loaded_timestamp_seconds",
            "When the configuration in force was loaded, in seconds since 1970",
            self.config_time.clone(),
        );
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
            "labelled_clients",
            "Clients that somebody said are abusive or harmless, by whether they were held back by then",
            self.labelled.clone(),
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
        registry.register(
            "spans",
            "Spans of traced requests, by what came of them",
            self.spans.clone(),
        );
        registry.register_collector(Box::new(telemetry::Told));
        registry.register_collector(Box::new(engine::EngineStats(engine)));
        registry.register_collector(Box::new(background::BackgroundStats(background)));
        // Under the names that every process has.
        self.registry.register_collector(Box::new(process::Process));
        self
    }

    /// Names a model that is in use, and what for: `in_line`, `advisor` or `challenger`.
    pub(crate) fn model(&self, role: &'static str, model: Info) {
        let labels = [
            ("role", role.to_owned()),
            ("kind", model.kind.to_owned()),
            ("name", model.name),
            ("schema", SCHEMA_VERSION.to_string()),
            ("checksum", model.checksum),
        ];
        self.models.get_or_create(&labels).set(1);
    }

    /// Takes over, before they are read, how often decisions were right by what people said.
    pub(crate) fn labelled(&self, said: &Confusion) {
        for (label, held_back, count) in [
            ("abusive", "yes", said.true_positives),
            ("harmless", "yes", said.false_positives),
            ("harmless", "no", said.true_negatives),
            ("abusive", "no", said.false_negatives),
        ] {
            let labels = [("label", label), ("held_back", held_back)];
            self.labelled.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
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

    /// Counts a request that the upstream answered after so long, within this trace.
    pub(crate) fn upstream_answer(&self, after: Duration, trace: Option<String>) {
        self.upstream_seconds.observe(after, trace);
    }

    /// Counts a request that took so long to decide, within this trace.
    pub(crate) fn decided(&self, took: Duration, trace: Option<String>) {
        self.decide_seconds.observe(took, trace);
    }

    /// Where it is counted what comes of spans.
    pub(crate) fn span_counters(&self) -> export::Counters {
        let of = |result| self.spans.get_or_create(&[("result", result)]).clone();
        export::Counters { exported: of("exported"), dropped: of("dropped"), failed: of("failed") }
    }

    /// Counts a reload.
    pub(crate) fn reload(&self, accepted: bool) {
        let result = if accepted { "accepted" } else { "refused" };
        self.reloads.get_or_create(&[("result", result)]).inc();
        self.reloaded.set(accepted.into());
        if accepted {
            self.config_time.set(unix_seconds());
        }
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
