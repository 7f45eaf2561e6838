//! What came of lines of the log and of reports to Sentry: of the whole process, for there is one of each.

use crate::telemetry::{errors, lines};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use std::fmt;

/// Reads the process's own counts when asked.
#[derive(Debug)]
pub(super) struct Told;

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Lines of the log that were dropped because its reader fell behind";
        let counter =
            encoder.encode_descriptor("log_lines_dropped", help, None, MetricType::Counter)?;
        ConstCounter::new(lines::dropped()).encode(counter)?;
        let help = "Errors of the program, by what came of telling Sentry";
        let mut family =
            encoder.encode_descriptor("error_reports", help, None, MetricType::Counter)?;
        for (result, count) in errors::counts() {
            ConstCounter::new(count).encode(family.encode_family(&[("result", result)])?)?;
        }
        Ok(())
    }
}
