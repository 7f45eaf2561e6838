//! The engine's own counts, read when they are asked for.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use std::fmt;
use std::sync::Arc;
use tidegate_engine::domains::Counts;
use tidegate_engine::stats::{OUTCOME_CLASSES, RISK_BOUNDS};
use tidegate_engine::{Engine, Mode, Stats, WATCHED};

/// Reads the engine's counts when asked.
pub(super) struct EngineStats(pub Arc<Engine>);

impl fmt::Debug for EngineStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineStats")
    }
}

impl Collector for EngineStats {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (engine, stats) = (&self.0, self.0.stats());
        let policy = engine.policy();
        let mut out = Out(encoder);
        for (name, help, count) in [
            ("denied", "Requests that enforcement denies", stats.denied),
            ("shadow_denied", "Denied requests that shadow mode let pass", stats.shadow_denied),
            ("unscored", "Requests decided without a model", stats.unscored),
            ("advised", "Requests decided by the word of a model in the background", stats.advised),
            ("outcomes", "Outcomes learned", stats.outcomes),
            ("odd_clients", "Times that a client was found unlike all others", stats.odd_clients),
        ] {
            out.counter(name, help, count)?;
        }
        for (name, help, value) in [
            (
                "shadow_mode",
                "Whether the policy only counts denials",
                (policy.mode == Mode::Shadow).into(),
            ),
            ("adaptive_enabled", "Whether limits are learned", policy.adaptive.enabled.into()),
            (
                "penalties_kept",
                "Penalties kept of clients that were forgotten",
                whole(stats.penalties_kept),
            ),
            ("routes", "Routes told apart", whole(stats.routes)),
        ] {
            out.gauge(name, help, Some(value))?;
        }
        for (name, help, value) in [
            (
                "anomaly",
                "How anomalous the site is, 0 to 1; absent until enough was seen",
                stats.anomaly,
            ),
            (
                "risk_drift",
                "How far the last hour's risks are from those of the day before it, as a population \
                 stability index; absent until both have a thousand requests",
                stats.drift,
            ),
        ] {
            out.gauge(name, help, value.map(f64::from))?;
        }
        decisions(engine, &mut out)?;
        stores(engine, &mut out)?;
        let hits = policy.domains.counts();
        let kinds = hits.iter().flat_map(|(path, counts)| {
            let path = path.as_str();
            let named = Counts::NAMES.into_iter().zip(counts);
            named.map(move |(kind, count)| ([("limit", path), ("kind", kind)], *count))
        });
        let help = "Hits on limits by descriptor, by what came of them";
        out.counters("descriptor_hits", help, kinds)?;
        let directions = WATCHED.into_iter().zip(stats.anomalies).flat_map(|(series, counts)| {
            let counts = ["rise", "drop"].into_iter().zip(counts);
            counts.map(move |(way, count)| ([("series", series), ("direction", way)], count))
        });
        let help = "Anomalies of the site and its routes, by series and direction";
        out.counters("anomalies", help, directions)?;
        outcomes(&stats, &mut out)?;
        risk(&stats, &mut out)
    }
}

/// Which rules answered what.
fn decisions(engine: &Engine, out: &mut Out<'_>) -> fmt::Result {
    let answers = engine.answers();
    let rows = answers.iter().map(|answered| {
        let labels = [
            ("action", answered.action.name()),
            ("rule", answered.rule.as_str()),
            ("mode", if answered.mode == Mode::Shadow { "shadow" } else { "enforce" }),
            ("result", if answered.denied { "denied" } else { "allowed" }),
        ];
        (labels, answered.requests)
    });
    let help = "Requests decided, by what is done with the client's limit, by the rule that answered, \
                by mode, and by whether enforcement lets them pass";
    out.counters("decisions", help, rows)?;
    let shadows = engine.would_have_denied();
    let rows = shadows.iter().map(|(rule, count)| ([("rule", rule.as_str())], *count));
    let help = "Requests that passed and that a rule in shadow would have denied";
    out.counters("rule_shadow_denied", help, rows)
}

/// How full the stores are.
fn stores(engine: &Engine, out: &mut Out<'_>) -> fmt::Result {
    let stores = engine.stores();
    let of = |name| [("store", name)];
    let rows = stores.iter().map(|store| (of(store.name), whole(store.entries)));
    out.gauges("store_entries", "Entries of a store: clients and what else has a state", rows)?;
    let rows = stores.iter().map(|store| (of(store.name), whole(store.capacity)));
    out.gauges("store_capacity", "Most entries of a store", rows)?;
    let rows = stores.iter().map(|store| (of(store.name), store.evicted));
    out.counters("store_evictions", "Entries that a store forgot for want of room", rows)
}

/// What became of requests, by what was thought of who sent them.
fn outcomes(stats: &Stats, out: &mut Out<'_>) -> fmt::Result {
    let tenths = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "unknown"];
    let rows = tenths.into_iter().zip(stats.outcomes_by_risk).flat_map(|(tenth, counts)| {
        let counts = OUTCOME_CLASSES.into_iter().zip(counts);
        counts.map(move |(class, count)| ([("tenth", tenth), ("class", class)], count))
    });
    let help = "Outcomes learned, by tenth of the client's risk at that time (unknown when the client \
                was forgotten) and class of status";
    out.counters("outcome_statuses", help, rows)
}

fn risk(stats: &Stats, out: &mut Out<'_>) -> fmt::Result {
    // As they are written, not as the nearest numbers of 32 bits are.
    let bound = |bound: f32| (f64::from(bound) * 100.0).round() / 100.0;
    let mut buckets: Vec<_> =
        RISK_BOUNDS.iter().zip(stats.risk).map(|(at, count)| (bound(*at), count)).collect();
    buckets.push((f64::INFINITY, 0));
    let help = "Risk of clients at their requests, 0 to 1; 0 where no model scored";
    let mut histogram = out.0.encode_descriptor("risk", help, None, MetricType::Histogram)?;
    histogram.encode_histogram::<NoLabelSet>(
        stats.risk_sum,
        stats.risk.iter().sum(),
        &buckets,
        None,
    )
}

fn whole(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Writes metrics whose values are at hand.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let counter = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(count).encode(counter)
    }

    /// A gauge that is named even when it has no value.
    fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: Option<V>,
    ) -> fmt::Result {
        let gauge = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        value.map_or(Ok(()), |value| ConstGauge::new(value).encode(gauge))
    }

    fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = ([(&'l str, &'l str); N], u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in rows {
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = ([(&'l str, &'l str); N], i64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in rows {
            ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
