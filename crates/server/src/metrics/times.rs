//! How long something takes, by class, with the trace of one request of each class where requests are traced.

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::histogram::Histogram;
use std::fmt;
use std::time::{Duration, SystemTime};

type Trace = [(&'static str, String); 1];

/// Times; exemplars are behind a second lock, which nobody takes unless requests are traced.
#[derive(Clone, Debug)]
pub(super) enum Times {
    Plain(Histogram),
    Traced(HistogramWithExemplars<Trace>),
}

impl Times {
    pub(super) fn new(traced: bool, bounds: impl Iterator<Item = f64>) -> Self {
        if traced {
            Self::Traced(HistogramWithExemplars::new(bounds))
        } else {
            Self::Plain(Histogram::new(bounds))
        }
    }

    /// Counts one, which was of this trace if it is sampled.
    pub(super) fn observe(&self, took: Duration, trace: Option<String>) {
        match self {
            Self::Plain(times) => times.observe(took.as_secs_f64()),
            Self::Traced(times) => {
                let now = trace.is_some().then(SystemTime::now);
                times.observe(took.as_secs_f64(), trace.map(|trace| [("trace_id", trace)]), now);
            }
        }
    }
}

impl EncodeMetric for Times {
    fn encode(&self, encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Plain(times) => times.encode(encoder),
            Self::Traced(times) => times.encode(encoder),
        }
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
