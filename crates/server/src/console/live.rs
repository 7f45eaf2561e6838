//! What happens, as it happens: one event a second for every page that is open.

use crate::api::Door;
use crate::shared::Shared;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tidegate_engine::Moment;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Moments that one event tells of; a rush has more, which lists and incidents show.
const MOMENTS: usize = 20;

/// Keeps history and incidents, and tells the open pages, every second until `stop`.
pub(crate) async fn follow(shared: Arc<Shared>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let console = &shared.console;
        let (now, stats) = (shared.now(), shared.engine.stats());
        let new = console.history.lock().take(now.as_secs(), &stats, &console.latency);
        let active = {
            let mut incidents = console.incidents.lock();
            incidents.follow(&shared.engine, now);
            incidents.active(now)
        };
        if console.live.receiver_count() == 0 {
            continue;
        }
        let (moments, _) = shared.engine.moments(told);
        told = moments.last().map_or(told, |moment| moment.serial);
        let latest = moments.iter().rev().take(MOMENTS).map(|m| moment(&shared, m));
        let event = json!({
            "second": new,
            "clients": stats.clients,
            "incidents": active,
            "in_flight": shared.metrics.in_flight.get(),
            "draining": shared.draining.load(std::sync::atomic::Ordering::Relaxed),
            "moments": latest.collect::<Vec<_>>(),
        });
        // Nobody may be left to hear it.
        let _ = console.live.send(event.to_string().into());
    }
}

/// A moment as pages and callers get it.
pub(super) fn moment(shared: &Shared, moment: &Moment) -> serde_json::Value {
    let decision = &moment.decision;
    json!({
        "time": super::unix(decision.time),
        "client": super::hex(decision.ticket.client),
        "name": moment.name(),
        "route": shared.engine.route_name(decision.ticket.trace.route),
        "action": decision.action.name(),
        "before": moment.before.name(),
        "allowed": decision.allowed,
        "shadow": decision.shadow,
        "rule": shared.engine.rule_name(decision.rule),
        "risk": decision.risk,
        "score": decision.scored.then_some(decision.score),
        "limit_per_min": Some(decision.limit_per_min).filter(|limit| limit.is_finite()),
        "requests": moment.requests,
        "denied": moment.denied,
    })
}

/// The events, for one page.
pub(crate) async fn stream(State(door): State<Door>) -> Response {
    let events = door.shared.console.live.subscribe();
    let stop = door.closing.clone();
    let events = futures_util::stream::unfold((events, stop), next);
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

type Listening = (Receiver<Arc<str>>, CancellationToken);

async fn next((mut events, stop): Listening) -> Option<(Result<Event, Infallible>, Listening)> {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = stop.cancelled() => return None,
        };
        match event {
            Ok(event) => return Some((Ok(Event::default().data(&*event)), (events, stop))),
            // What a slow page missed it can ask for; the next second tells it how things are.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
