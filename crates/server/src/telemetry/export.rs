//! From the end of a span to the collector: a queue that nobody waits for, and the task that empties it.

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use prometheus_client::metrics::counter::Counter;
use std::time::Duration;
use tokio::sync::mpsc::{self, Receiver, error::TrySendError};
use tokio_util::sync::CancellationToken;

/// Most spans that wait.
pub(super) const MOST_WAITING: usize = 4096;
/// Most spans that are sent at once.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long the end of the server waits for the collector.
const PATIENCE: Duration = Duration::from_secs(3);

/// What came of spans.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    pub exported: Counter,
    /// There was no room for them.
    pub dropped: Counter,
    /// The collector did not take them.
    pub failed: Counter,
}

/// The queue's end that spans go into.
#[derive(Debug)]
pub(super) struct Inlet {
    spans: mpsc::Sender<SpanData>,
    counters: Counters,
}

impl SpanProcessor for Inlet {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        match self.spans.try_send(span) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                self.counters.dropped.inc();
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Sends what is in the queue, a batch at a time.
pub(crate) struct Exporting<E> {
    exporter: E,
    spans: Receiver<SpanData>,
    counters: Counters,
    failing: bool,
    /// Taken from the queue, and not yet known to be at the collector.
    under_way: usize,
}

impl<E: SpanExporter> Exporting<E> {
    pub(super) fn new(exporter: E, counters: Counters) -> (Inlet, Self) {
        let (send, spans) = mpsc::channel(MOST_WAITING);
        let inlet = Inlet { spans: send, counters: counters.clone() };
        (inlet, Self { exporter, spans, counters, failing: false, under_way: 0 })
    }

    /// Sends until told to stop, and then what is left, as long as patience lasts.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(PATIENCE).await;
        };
        tokio::select! {
            () = self.work(&stop) => {}
            () = late => {
                let left = self.spans.len() + self.under_way;
                self.counters.dropped.inc_by(left as u64);
                tracing::warn!(spans = left, "the collector did not take the last spans in time");
            }
        }
    }

    async fn work(&mut self, stop: &CancellationToken) {
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                taken = self.spans.recv_many(&mut batch, BATCH) => if taken == 0 { return },
                () = stop.cancelled(), if !self.spans.is_closed() => {
                    // What is in there is still received.
                    self.spans.close();
                    continue;
                }
            }
            if batch.len() < BATCH && !self.spans.is_closed() {
                tokio::select! {
                    () = tokio::time::sleep(GATHER) => {}
                    () = stop.cancelled() => {}
                }
                while batch.len() < BATCH
                    && let Ok(span) = self.spans.try_recv()
                {
                    batch.push(span);
                }
            }
            self.under_way = batch.len();
            self.send(std::mem::take(&mut batch)).await;
            self.under_way = 0;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        match self.exporter.export(batch).await {
            Ok(()) => {
                self.counters.exported.inc_by(count);
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the collector takes spans again");
                }
            }
            Err(error) => {
                self.counters.failed.inc_by(count);
                // Once, and not for every batch of an hour without a collector.
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, "the collector takes no spans; they are dropped and counted");
                }
            }
        }
    }
}
