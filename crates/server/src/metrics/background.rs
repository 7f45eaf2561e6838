//! What models in the background have seen, read when it is asked for.

use crate::background::Background;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use std::fmt;
use std::sync::Arc;

/// The ways in which a call fails: those of a remote model, a breaker that is open, and an answer of
/// a local model that can't be used.
const FAILURES: [&str; 5] = ["late", "broken", "refused", "wrong", "paused"];

/// Reads what models in the background have seen when asked.
pub(super) struct BackgroundStats(pub Vec<Arc<Background>>);

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
            let counted = model.failures();
            for kind in FAILURES {
                let count = counted.get(kind).copied().unwrap_or(0);
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
