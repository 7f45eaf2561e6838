//! The operator's own door: decisions and outcomes for a gateway, health, metrics, the console.
//!
//! Answers here carry risk, action and reasons, for they go to the operator's gateway and people.
//! A gateway must not hand them on to its clients. Everything but the health checks and the pages
//! themselves needs the bearer token when one is set; without one the listener is on loopback.

use crate::access::{Tokens, authorize, guard};
use crate::answer;
use crate::background::distance;
use crate::config::Admin;
use crate::console::{self, Replays};
use crate::decisions::Via;
use crate::extract;
use crate::identify::shape;
use crate::openapi;
use crate::replays::Replayer;
use crate::shared::Shared;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidegate_behavior::{Method, Outcome, Request as Record};
use tidegate_engine::policy::OnError;
use tidegate_engine::{Action, Ticket};
use tidegate_limiter::Timestamp;
use tokio_util::sync::CancellationToken;

/// Longest body of a call: a thousand outcomes fit many times over.
const MOST_BYTES: usize = 1 << 20;

/// The first second that a [`Timestamp`] does not hold.
const END_OF_TIME: Duration = Duration::from_secs(u64::MAX / 1_000_000_000);

/// Longest time that a request may have taken, milliseconds: thirty years.
const LONGEST_MS: f64 = 1e12;

/// What every call has at hand.
#[derive(Clone)]
pub(crate) struct Door {
    pub shared: Arc<Shared>,
    /// When the server started, seconds since the Unix epoch.
    pub started: u64,
    /// Cancelled when the server stops: what waits for events ends then.
    pub closing: CancellationToken,
    /// Who replays logs, if anybody does.
    pub replays: Option<Arc<Replays>>,
    /// The time that the last check named, and the clock's then; `None` when it went by the clock.
    named: Arc<Mutex<Option<(Timestamp, Timestamp)>>>,
}

impl Door {
    /// When a request was made that somebody names no time for. Who told the times of requests, as a
    /// replay does, goes on in the same time: outcomes by the clock would age all by the difference.
    fn time(&self) -> Timestamp {
        let (named, now) = (*self.named.lock(), self.shared.now());
        named.map_or(now, |(time, at)| time.plus(now.since(at)))
    }
}

/// A time in seconds since the Unix epoch, of this field. What a clock can't show is refused: who
/// sends milliseconds would set it to the far future, and nothing would heal any more.
fn timestamp(seconds: f64, field: &str) -> Result<Timestamp, Box<Response>> {
    let since = Duration::try_from_secs_f64(seconds).ok().filter(|since| *since < END_OF_TIME);
    since.map(|since| Timestamp::EPOCH.plus(since)).ok_or_else(|| {
        let detail = format!("Field `{field}`: {seconds} is not a time in seconds since 1970");
        Box::new(problem(StatusCode::BAD_REQUEST, &detail))
    })
}

/// A path, and what answers there.
type Route = (&'static str, MethodRouter<Door>);

/// What needs the token; `openapi.json` says what each takes and answers.
pub(crate) fn guarded() -> Vec<Route> {
    vec![
        ("/v1/check", post(check)),
        ("/v1/outcome", post(outcome)),
        ("/v1/overview", get(console::overview)),
        ("/v1/live", get(console::stream)),
        ("/v1/clients", get(console::clients)),
        ("/v1/clients/{client}", get(console::client).post(console::act_on_client)),
        ("/v1/clients/{client}/explain", get(console::explain)),
        ("/v1/clients/{client}/label", post(console::label)),
        ("/v1/by-hand", get(console::by_hand)),
        ("/v1/routes", get(console::routes)),
        ("/v1/incidents", get(console::incidents)),
        ("/v1/incidents/{id}", get(console::incident).post(console::act_on_incident)),
        ("/v1/model", get(console::model)),
        ("/v1/policy", get(console::policy)),
        ("/v1/labels", get(console::label_list)),
        ("/v1/labels.csv", get(console::label_file)),
        ("/v1/audit", get(console::audit_log)),
        ("/v1/anomalies", get(anomalies)),
        ("/v1/background", get(background)),
        ("/v1/background/labels", post(labels)),
        ("/v1/openapi.json", get(openapi::document)),
        ("/metrics", get(metrics)),
    ]
}

/// What needs the token and is there only when somebody replays logs.
pub(crate) fn replaying() -> Vec<Route> {
    vec![("/v1/replay", get(console::replays).post(console::replay))]
}

/// What whoever watches the process may ask without one.
pub(crate) fn open() -> Vec<Route> {
    vec![("/healthz", get(|| async { "ok\n" })), ("/readyz", get(ready))]
}

/// The routes of the admin listener.
pub(crate) fn router(
    shared: Arc<Shared>,
    admin: &Admin,
    closing: CancellationToken,
    replayer: Option<Arc<dyn Replayer>>,
) -> Router {
    let replays = replayer.map(|replayer| Arc::new(Replays::new(replayer)));
    let more = if replays.is_some() { replaying() } else { Vec::new() };
    let pages = console::assets(replays.is_some());
    let started = shared.now().as_secs();
    let door = Door { started, shared, closing, replays, named: Arc::default() };
    let tokens = Tokens::new(admin);
    let all = |routes: Vec<Route>| {
        routes.into_iter().fold(Router::new(), |router, (path, route)| router.route(path, route))
    };
    all(guarded().into_iter().chain(more).collect())
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .route_layer(middleware::from_fn_with_state(tokens.clone(), authorize))
        .merge(pages)
        .merge(all(open()))
        .fallback(async || problem(StatusCode::NOT_FOUND, "There is no such endpoint."))
        .method_not_allowed_fallback(async || {
            problem(StatusCode::METHOD_NOT_ALLOWED, "The endpoint has another method.")
        })
        .layer(middleware::from_fn_with_state(tokens, guard))
        .with_state(door)
}

pub(crate) fn problem(status: StatusCode, detail: &str) -> Response {
    answer::problem(status, detail).map(Body::new)
}

/// Reads a JSON body; the error names the field.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Box<Response>> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let field = e.path().to_string();
        let place = if field == "." { String::new() } else { format!("Field `{field}`: ") };
        Box::new(problem(StatusCode::BAD_REQUEST, &format!("{place}{}", e.into_inner())))
    })
}

/// A request as a gateway describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckCall {
    client_ip: Option<IpAddr>,
    credential: Option<String>,
    user: Option<String>,
    #[serde(default = "get_method")]
    method: String,
    path: String,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    referer: String,
    /// The names of the request's header fields, in their order.
    #[serde(default)]
    header_names: Vec<String>,
    ja4: Option<String>,
    #[serde(default, deserialize_with = "extract::whole")]
    payload: u64,
    /// Seconds since the Unix epoch; the server's own clock when left out.
    time: Option<f64>,
}

fn get_method() -> String {
    "GET".into()
}

#[derive(Serialize)]
struct CheckAnswer {
    allowed: bool,
    shadow: bool,
    action: &'static str,
    rule: String,
    limit: u32,
    remaining: u32,
    reset: f64,
    retry_after: f64,
    wait: f64,
    risk: f32,
    anomaly: Option<f32>,
    limit_per_min: Option<f32>,
    reasons: Vec<String>,
    ticket: String,
}

async fn check(
    State(door): State<Door>,
    headers: HeaderMap,
    extract::Body(body): extract::Body,
) -> Response {
    let call: CheckCall = match read(&body) {
        Ok(call) => call,
        Err(answer) => return *answer,
    };
    let now = match call.time.map(|seconds| timestamp(seconds, "time")).transpose() {
        Ok(named) => {
            *door.named.lock() = named.map(|time| (time, door.shared.now()));
            named.unwrap_or_else(|| door.shared.now())
        }
        Err(answer) => return *answer,
    };
    let credential = call.credential.as_deref().filter(|text| !text.is_empty());
    if call.client_ip.is_none() && credential.is_none() {
        let detail = "Field `client_ip`: give it, or `credential`: one of them names the client.";
        return problem(StatusCode::BAD_REQUEST, detail);
    }
    let record = Record {
        time: now,
        addr: call.client_ip,
        credential,
        user: call.user.as_deref().filter(|text| !text.is_empty()),
        method: Method::parse(call.method.as_bytes()),
        path: &call.path,
        user_agent: &call.user_agent,
        referer: &call.referer,
        header_shape: match call.header_names.as_slice() {
            [] => 0,
            names => shape(names.iter().map(String::as_str)),
        },
        ja4: call.ja4.as_deref(),
        payload: call.payload,
    };
    // Who may ask here is believed.
    let span = door.shared.span("check", Via::Api, &[&headers], || true);
    let Some(decision) = door.shared.check_in(&span, &record, Via::Api) else {
        let open = door.shared.live.load().on_error == OnError::Open;
        let status = if open { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        return json_answer(status, &json!({ "allowed": open, "action": "failed" }));
    };
    let engine = &door.shared.engine;
    // Only what somebody will ask about is explained: explaining scores the features once more.
    let notable = !decision.allowed || decision.action > Action::Allow;
    let answer = CheckAnswer {
        allowed: !decision.denies(),
        shadow: decision.shadow,
        action: decision.action.name(),
        rule: engine.rule_name(decision.rule),
        limit: decision.limit,
        remaining: decision.remaining,
        reset: decision.reset_after.as_secs_f64(),
        retry_after: decision.retry_after.as_secs_f64(),
        wait: decision.wait.as_secs_f64(),
        risk: decision.risk,
        anomaly: decision.anomaly,
        limit_per_min: Some(decision.limit_per_min).filter(|limit| limit.is_finite()),
        reasons: if notable { engine.reasons(&decision) } else { Vec::new() },
        ticket: decision.ticket.to_string(),
    };
    json_answer(StatusCode::OK, &answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeCall {
    ticket: String,
    #[serde(deserialize_with = "extract::whole")]
    status: u16,
    #[serde(default, deserialize_with = "extract::whole")]
    bytes: u64,
    duration_ms: Option<f64>,
    /// Seconds since the Unix epoch; as the last check has it when left out.
    time: Option<f64>,
}

async fn outcome(State(door): State<Door>, extract::Body(body): extract::Body) -> Response {
    let batch = body.trim_ascii_start().first() == Some(&b'[');
    let calls: Vec<OutcomeCall> =
        match if batch { read(&body) } else { read(&body).map(|one| vec![one]) } {
            Ok(calls) => calls,
            Err(answer) => return *answer,
        };
    // All are read before any is learned: a refused batch can be sent again whole.
    let mut outcomes: Vec<(Ticket, Outcome, Timestamp)> = Vec::with_capacity(calls.len());
    for (index, call) in calls.iter().enumerate() {
        let field = |name: &str| if batch { format!("[{index}].{name}") } else { name.to_owned() };
        let wrong = |name: &str, what: &str| {
            problem(StatusCode::BAD_REQUEST, &format!("Field `{}`: {what}", field(name)))
        };
        let ticket = match call.ticket.parse::<Ticket>() {
            Ok(ticket) => ticket,
            Err(e) => return wrong("ticket", &e.to_string()),
        };
        if !(100..1000).contains(&call.status) {
            return wrong("status", &format!("{} is no status of HTTP", call.status));
        }
        let duration = match call.duration_ms {
            Some(ms) if !(0.0..=LONGEST_MS).contains(&ms) => {
                return wrong("duration_ms", &format!("{ms} is not a time in milliseconds"));
            }
            ms => ms.map(|ms| Duration::from_secs_f64(ms / 1000.0)),
        };
        let time = match call.time.map(|seconds| timestamp(seconds, &field("time"))).transpose() {
            Ok(time) => time.unwrap_or_else(|| door.time()),
            Err(answer) => return *answer,
        };
        outcomes.push((ticket, Outcome { status: call.status, bytes: call.bytes, duration }, time));
    }
    for (ticket, outcome, time) in &outcomes {
        door.shared.outcome_at(ticket, outcome, *time);
    }
    json_answer(StatusCode::OK, &json!({ "learned": outcomes.len() }))
}

/// What is odd about the site, its routes and its clients, and what its rate should be.
async fn anomalies(State(door): State<Door>) -> Response {
    let engine = &door.shared.engine;
    let alarms: Vec<_> = engine
        .alarms()
        .iter()
        .map(|alarm| {
            json!({
                "time": alarm.time.as_secs(),
                "series": alarm.series,
                "route": alarm.route.map(|route| engine.route_name(route)),
                "direction": if alarm.drop { "drop" } else { "rise" },
                "value": alarm.value,
                "evidence": alarm.evidence,
            })
        })
        .collect();
    let stats = engine.stats();
    let outlook = door.shared.outlook.load();
    let first = door.shared.now().as_secs() / 3600;
    let forecast: Vec<_> = (first..first + 24)
        .filter_map(|hour| {
            let [expected, lower, upper] = outlook.of(hour)?;
            let from = hour * 3600;
            Some(json!({ "from": from, "requests": expected, "lower": lower, "upper": upper }))
        })
        .collect();
    let answer = json!({
        "site": stats.anomaly,
        "odd_clients": stats.odd_clients,
        "alarms": alarms,
        "forecast": forecast,
    });
    json_answer(StatusCode::OK, &answer)
}

/// How models in the background fare beside what is decided.
async fn background(State(door): State<Door>) -> Response {
    let views: Vec<_> = door
        .shared
        .background
        .iter()
        .map(|model| {
            let tally = model.trial.tally();
            let (offered, dropped) = model.inbox.counts();
            let sides = ["harmless", "abusive"].iter().zip(&tally.labelled);
            let labelled: serde_json::Map<_, _> = sides
                .map(|(name, side)| {
                    let row = json!({
                        "requests": side.requests,
                        "limited": side.champion,
                        "limited_by_model": side.challenger,
                    });
                    ((*name).to_owned(), row)
                })
                .collect();
            json!({
                "role": model.role.name(),
                "model": model.name,
                "offered": offered,
                "dropped": dropped,
                "compared": tally.compared,
                "unanswered": tally.unanswered,
                "failures": model.failures(),
                "limited_by": {
                    "both": tally.actions[1][1],
                    "neither": tally.actions[0][0],
                    "decision_alone": tally.actions[1][0],
                    "model_alone": tally.actions[0][1],
                },
                "mean_distance": distance(&tally),
                "scores": {"decided": tally.champion_scores, "model": tally.challenger_scores},
                "labelled": labelled,
            })
        })
        .collect();
    json_answer(StatusCode::OK, &views)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelCall {
    ticket: String,
    abusive: bool,
}

/// Takes in what somebody found out about clients, for the comparison alone: it teaches nothing.
async fn labels(State(door): State<Door>, extract::Body(body): extract::Body) -> Response {
    let calls: Vec<LabelCall> = match read(&body) {
        Ok(calls) => calls,
        Err(answer) => return *answer,
    };
    let mut labels: Vec<(Ticket, bool)> = Vec::with_capacity(calls.len());
    for (index, call) in calls.iter().enumerate() {
        match call.ticket.parse() {
            Ok(ticket) => labels.push((ticket, call.abusive)),
            Err(e) => {
                let detail = format!("Field `[{index}].ticket`: {e}");
                return problem(StatusCode::BAD_REQUEST, &detail);
            }
        }
    }
    let known = labels
        .iter()
        .filter(|(ticket, abusive)| {
            let models = door.shared.background.iter();
            models.map(|model| model.trial.label(ticket.client, *abusive)).fold(false, |a, b| a | b)
        })
        .count();
    json_answer(StatusCode::OK, &json!({ "known": known }))
}

async fn ready(State(door): State<Door>) -> Response {
    if door.shared.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response()
    } else {
        "ready\n".into_response()
    }
}

async fn metrics(State(door): State<Door>) -> Response {
    door.shared.metrics.labelled(&door.shared.console.confusion());
    match door.shared.metrics.text() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(CONTENT_TYPE, kind)], text).into_response()
        }
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "The metrics can't be written."),
    }
}

pub(crate) fn json_answer<T: Serialize>(status: StatusCode, answer: &T) -> Response {
    (status, axum::Json(answer)).into_response()
}
