//! The replay page: takes a log in, has it decided by the policy in force, and keeps the last report.

mod report;
mod upload;

pub(crate) use report::show;

use super::audit::Entry;
use crate::access::Caller;
use crate::api::{Door, json_answer, problem};
use crate::replays::{Progress, Replayed, Replayer, Task};
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use report::Kept;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};

/// Most clients that a replay remembers at once, some 40 MB: it shares its memory with what serves.
const MOST_CLIENTS: usize = 100_000;
/// How often the page hears how far it is.
const PACE: Duration = Duration::from_millis(250);
/// Longest name of a log that is kept, characters.
const NAME: usize = 200;

/// Who replays, and what came of it last.
pub(crate) struct Replays {
    replayer: Arc<dyn Replayer>,
    /// One at a time: it costs a core for as long as it takes.
    turn: Arc<Semaphore>,
    kept: Arc<Kept>,
}

impl Replays {
    pub(crate) fn new(replayer: Arc<dyn Replayer>) -> Self {
        Self { replayer, turn: Arc::new(Semaphore::new(1)), kept: Arc::default() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    format: String,
    name: String,
}

impl Default for Asked {
    fn default() -> Self {
        Self { format: "auto".into(), name: "access.log".into() }
    }
}

fn none() -> Response {
    problem(StatusCode::NOT_FOUND, "This server replays no logs; `tidegate replay` does.")
}

/// What may be sent, and whether a replay runs.
pub(crate) async fn replays(State(door): State<Door>) -> Response {
    let Some(replays) = &door.replays else { return none() };
    let answer = json!({
        "most_bytes": upload::MOST_BYTES,
        "formats": replays.replayer.formats(),
        "running": replays.turn.available_permits() == 0,
    });
    json_answer(StatusCode::OK, &answer)
}

/// One line of the answer.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Event<'a> {
    Progress(Progress),
    Report(Told<'a>),
    Error(&'a str),
}

/// What was found, and where the report can be looked at.
#[derive(Serialize)]
struct Told<'a> {
    name: &'a str,
    #[serde(flatten)]
    found: &'a Replayed,
    /// `None` when the system gives no random numbers.
    view: Option<String>,
    warning: Option<String>,
}

impl Event<'_> {
    fn line(&self) -> Bytes {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line.into()
    }
}

/// Replays the log that is sent, for as long as somebody waits for the answer.
pub(crate) async fn replay(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(replays) = door.replays.clone() else { return none() };
    let asked = match asked(&query.unwrap_or_default()) {
        Ok(asked) => asked,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
    };
    let Ok(turn) = Arc::clone(&replays.turn).try_acquire_owned() else {
        let detail =
            "Another log is being replayed, and it is one at a time: try again when it is done.";
        return problem(StatusCode::CONFLICT, detail);
    };
    let log = match upload::take(&headers, body).await {
        Ok(log) => log,
        Err(refused) => return problem(refused.status(), &refused.to_string()),
    };
    let action = format!("replay a log as {}", clipped(&asked.format));
    let now = door.shared.now().as_secs();
    let warning = door.shared.console.audit.take(Entry::new(now, caller, &action, &asked.name, ""));
    let engine = &door.shared.engine;
    let task = Task {
        log,
        name: asked.name,
        format: asked.format,
        policy: engine.policy(),
        model: engine.model(),
        capacity: engine.stats().capacity.min(MOST_CLIENTS),
    };
    let (tell, told) = mpsc::channel(8);
    let closing = door.closing.clone();
    let work = move || {
        let _turn = turn;
        let name = task.name.clone();
        let mut last = Instant::now();
        let mut progress = |done: Progress| {
            // Whoever asked is gone, or the server is about to be.
            if tell.is_closed() || closing.is_cancelled() {
                return ControlFlow::Break(());
            }
            if last.elapsed() >= PACE {
                last = Instant::now();
                // A page that reads slowly misses some.
                let _ = tell.try_send(Event::Progress(done).line());
            }
            ControlFlow::Continue(())
        };
        let replayer = &replays.replayer;
        let found = catch_unwind(AssertUnwindSafe(|| replayer.replay(task, &mut progress)));
        let line = match &found {
            Ok(Ok(found)) => {
                let view = replays.kept.keep(&found.html);
                Event::Report(Told { name: &name, found, view, warning }).line()
            }
            _ if closing.is_cancelled() => {
                Event::Error("The server stops; send the log again when it runs.").line()
            }
            Ok(Err(error)) => Event::Error(error).line(),
            Err(_) => {
                tracing::error!(log = name, "a replay of the console failed");
                let fault =
                    "The replay failed, which is a fault of Tidegate; the server's log says more.";
                Event::Error(fault).line()
            }
        };
        // Nobody may be left to hear it.
        let _ = tell.blocking_send(line);
    };
    if let Err(error) = std::thread::Builder::new().name("replay".into()).spawn(work) {
        let detail = format!("No thread can be started for the replay: {error}; try again later.");
        return problem(StatusCode::SERVICE_UNAVAILABLE, &detail);
    }
    let lines = futures_util::stream::unfold(told, async |mut told| {
        told.recv().await.map(|line: Bytes| (Ok::<_, Infallible>(line), told))
    });
    let fields = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (fields, Body::from_stream(lines)).into_response()
}

fn asked(query: &str) -> Result<Asked, String> {
    let uri = format!("/?{query}").parse().map_err(|_| {
        "The query can't be read; encode it as in ?format=auto&name=access.log.".to_owned()
    })?;
    let Query(mut asked): Query<Asked> = Query::try_from_uri(&uri).map_err(|rejected| {
        format!("{}; write it like ?format=auto&name=access.log.", rejected.body_text())
    })?;
    asked.name = clipped(&asked.name);
    Ok(asked)
}

fn clipped(text: &str) -> String {
    text.chars().take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_read_or_named() {
        let usual = asked("").unwrap();
        assert_eq!((usual.format.as_str(), usual.name.as_str()), ("auto", "access.log"));
        let own = asked("format=%24remote_addr%20-&name=a%20b.log").unwrap();
        assert_eq!((own.format.as_str(), own.name.as_str()), ("$remote_addr -", "a b.log"));
        assert_eq!(asked(&format!("name={}", "x".repeat(999))).unwrap().name.len(), NAME);
        for (query, told) in [("form=auto", "form"), ("name=a&name=b", "name=access.log")] {
            let error = asked(query).err().unwrap();
            assert!(error.contains(told), "{query}: {error}");
        }
    }
}
