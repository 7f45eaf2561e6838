//! What an operator looks at and does: pages in the program itself, and the calls that they make.

mod actions;
mod assets;
mod audit;
mod history;
mod labels;
mod live;
mod replay;
mod views;

pub(crate) use actions::{act_on_client, act_on_incident, label};
pub(crate) use assets::routes as assets;
pub(crate) use live::{follow, stream};
pub(crate) use replay::{Replays, replay, replays};
pub(crate) use views::{
    audit_log, by_hand, client, clients, explain, incident, incidents, label_file, label_list,
    model, overview, policy, routes,
};

use audit::Audit;
use history::{History, Latency};
pub(crate) use labels::Confusion;
use labels::Labels;
use parking_lot::Mutex;
use serde::Serializer;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tidegate_engine::Engine;
use tidegate_engine::incidents::Incidents;
use tidegate_limiter::{Key, Timestamp};
use tokio::sync::broadcast;

/// Seconds that a slow page may lag behind before it misses some.
const BEHIND: usize = 16;

/// What is kept for those who look.
pub(crate) struct Console {
    incidents: Mutex<Incidents>,
    history: Mutex<History>,
    labels: Mutex<Labels>,
    audit: Audit,
    latency: Latency,
    live: broadcast::Sender<Arc<str>>,
}

impl Console {
    pub(crate) fn new(audit_log: Option<PathBuf>) -> Self {
        Self {
            incidents: Mutex::default(),
            history: Mutex::default(),
            labels: Mutex::default(),
            audit: Audit::new(audit_log),
            latency: Latency::default(),
            live: broadcast::channel(BEHIND).0,
        }
    }

    /// Notes how long a decision took.
    pub(crate) fn decided_in(&self, time: Duration) {
        self.latency.observe(time);
    }

    /// How often decisions were right, by what people said.
    pub(crate) fn confusion(&self) -> Confusion {
        self.labels.lock().confusion()
    }
}

/// A client as people know it; one that was forgotten by its key.
pub(crate) fn name_of(engine: &Engine, client: Key) -> String {
    let detail = engine.client(client, Timestamp::EPOCH);
    detail.map_or_else(|| hex(client), |detail| detail.view.name)
}

/// A key as it stands in addresses and answers.
fn hex(key: Key) -> String {
    format!("{:016x}", key.0)
}

/// Seconds since the Unix epoch.
#[allow(clippy::cast_precision_loss)]
fn unix(time: Timestamp) -> f64 {
    time.as_nanos() as f64 / 1e9
}

fn as_hex<S: Serializer>(key: &Key, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&hex(*key))
}
