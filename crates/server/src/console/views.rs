//! What an operator may look at.

use super::live::moment;
use super::{hex, unix};
use crate::access::Caller;
use crate::api::{Door, json_answer, problem};
use crate::extract::Named;
use crate::shared::Shared;
use axum::extract::{Extension, Query, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use tidegate_behavior::schema::{SCHEMA, SCHEMA_VERSION};
use tidegate_engine::hand::{ByHand, Hand};
use tidegate_engine::incidents::Incident;
use tidegate_engine::inspect::{Order, Wanted, in_words};
use tidegate_engine::policy::{Mode, OnError};
use tidegate_engine::{Action, ClientView, Engine};
use tidegate_limiter::Key;

/// Most clients that one answer holds.
const MOST: usize = 1000;
/// Clients alike that are shown.
const ALIKE: usize = 8;

/// How the limiter is, and how the last hours were.
pub(crate) async fn overview(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Response {
    let (most, last) = match samples_wanted(&query.unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
    };
    let shared = &door.shared;
    let (stats, policy, now) = (shared.engine.stats(), shared.engine.policy(), shared.now());
    let (every, mut samples) = shared.console.history.lock().samples(most);
    samples.drain(..samples.len().saturating_sub(last));
    let active = shared.console.incidents.lock().active(now);
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "time": unix(now),
        "started": door.started,
        "role": caller.role.name(),
        "mode": mode(policy.mode),
        "model": shared.engine.model_kind(),
        "replays": door.replays.is_some(),
        "draining": shared.draining.load(std::sync::atomic::Ordering::Relaxed),
        "config_loaded": shared.metrics.config_time.get(),
        "engine_failures": shared.metrics.engine_failures.get(),
        "clients": stats.clients,
        "capacity": stats.capacity,
        "evicted": stats.evicted,
        "routes": stats.routes,
        "decided": actions(stats.decided),
        "denied": stats.denied,
        "shadow_denied": stats.shadow_denied,
        "unscored": stats.unscored,
        "outcomes": stats.outcomes,
        "anomaly": stats.anomaly,
        "incidents": active,
        "by_hand": shared.engine.by_hand(now).len(),
        "history": {"every": every, "samples": samples},
    });
    json_answer(StatusCode::OK, &answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Samples {
    samples: Option<u32>,
    last: Option<u32>,
}

/// Into how many samples the history is to be put together, and how many of them are asked for, from the end.
fn samples_wanted(query: &str) -> Result<(usize, usize), String> {
    let wrong = |what: &str| format!("{what}; write it like ?samples=360, at least 2.");
    let uri = format!("/?{query}").parse().map_err(|_| wrong("The query can't be read"))?;
    let Query(asked): Query<Samples> =
        Query::try_from_uri(&uri).map_err(|rejected| wrong(&rejected.body_text()))?;
    if let Some(few @ 0..2) = asked.samples {
        return Err(wrong(&format!("Field `samples`: {few} is too few")));
    }
    let count = |wanted: Option<u32>| wanted.map_or(usize::MAX, |count| count as usize);
    Ok((count(asked.samples), count(asked.last)))
}

fn actions(counts: [u64; 5]) -> Value {
    Action::ALL
        .iter()
        .zip(counts)
        .map(|(action, n)| (action.name().to_owned(), n.into()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    search: String,
    action: Option<String>,
    order: String,
    ascending: bool,
    skip: u32,
    most: u32,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            search: String::new(),
            action: None,
            order: "last_seen".into(),
            ascending: false,
            skip: 0,
            most: 50,
        }
    }
}

const ORDERS: [(&str, Order); 7] = [
    ("last_seen", Order::LastSeen),
    ("first_seen", Order::FirstSeen),
    ("risk", Order::Risk),
    ("requests", Order::Requests),
    ("per_minute", Order::PerMinute),
    ("denied", Order::Denied),
    ("limit_per_min", Order::Limit),
];

/// Reads what is asked of a list, by hand: what is wrong is named, with what to write instead.
fn asked(query: &str) -> Result<Wanted, String> {
    let asked: Asked = Query::try_from_uri(
        &format!("/?{query}")
            .parse()
            .map_err(|_| "The query can't be read; encode it as in ?search=192.0.2.".to_owned())?,
    )
    .map_err(|rejected| {
        format!("{}; write it like ?search=192.0.2&order=risk&most=50.", rejected.body_text())
    })?
    .0;
    let action = asked.action.as_deref().filter(|name| !name.is_empty());
    let action = action
        .map(|name| {
            let known = Action::ALL.into_iter().find(|action| action.name() == name);
            known.ok_or_else(|| {
                format!(
                    "Field `action`: `{name}` is none; write {}.",
                    Action::ALL.map(Action::name).join(", ")
                )
            })
        })
        .transpose()?;
    let order = ORDERS.iter().find(|(name, _)| *name == asked.order).ok_or_else(|| {
        let names = ORDERS.map(|(name, _)| name).join(", ");
        format!("Field `order`: `{}` is none; write {names}.", asked.order)
    })?;
    Ok(Wanted {
        search: asked.search,
        action,
        order: order.1,
        ascending: asked.ascending,
        skip: asked.skip as usize,
        most: (asked.most as usize).min(MOST),
    })
}

/// The clients that fit, in order, some at a time.
pub(crate) async fn clients(State(door): State<Door>, RawQuery(query): RawQuery) -> Response {
    let wanted = match asked(&query.unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
    };
    let (engine, now) = (Arc::clone(&door.shared.engine), door.shared.now());
    let end = wanted.skip.saturating_add(wanted.most);
    // Walks the whole store: not on a thread that serves requests.
    let found = tokio::task::spawn_blocking(move || engine.find_clients(&wanted, Some(now))).await;
    let Ok(found) = found else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "The clients can't be listed.");
    };
    let labels = door.shared.console.labels.lock();
    let clients: Vec<_> = found.clients.iter().map(|view| row(view, labels.of(view.key))).collect();
    let next = (end < found.matched && !clients.is_empty()).then_some(end);
    json_answer(
        StatusCode::OK,
        &json!({"clients": clients, "matched": found.matched, "next": next}),
    )
}

fn row(view: &ClientView, label: Option<bool>) -> Value {
    json!({
        "id": hex(view.key),
        "name": view.name,
        "risk": view.risk,
        "limit_per_min": Some(view.limit_per_min).filter(|limit| limit.is_finite()),
        "action": view.action.name(),
        "allowed": view.allowed,
        "denied": view.denied,
        "per_minute": view.per_minute,
        "anomaly": view.anomaly,
        "first_seen": view.first_seen.as_secs(),
        "last_seen": view.last_seen.as_secs(),
        "label": label,
    })
}

/// The client that a call names, by its id or by its name.
pub(super) fn named(engine: &Engine, name: &str) -> Result<Key, Box<Response>> {
    engine.find_key(name).ok_or_else(|| {
        Box::new(problem(
            StatusCode::NOT_FOUND,
            "No such client is known: name an address, a credential or an id as GET /v1/clients \
             lists them. One that was not seen for long may have been forgotten.",
        ))
    })
}

/// One client: what it is held to, and what became of it.
pub(crate) async fn client(State(door): State<Door>, Named(name): Named<String>) -> Response {
    let (engine, now) = (&door.shared.engine, door.shared.now());
    let key = match named(engine, &name) {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let Some(detail) = engine.client(key, now) else {
        return problem(StatusCode::NOT_FOUND, "The client has been forgotten.");
    };
    let story: Vec<_> = engine.story(key).iter().map(|m| moment(&door.shared, m)).collect();
    let incidents = door.shared.console.incidents.lock();
    let held: Vec<_> = incidents.latest().iter().filter(|i| i.holds(key)).map(|i| i.id).collect();
    drop(incidents);
    let mut answer = row(&detail.view, door.shared.console.labels.lock().of(key));
    let alike: Vec<_> = engine
        .alike(key, ALIKE)
        .into_iter()
        .map(|(key, name, alike)| json!({"id": hex(key), "name": name, "alike": alike}))
        .collect();
    answer["good"] = json!(detail.good);
    answer["blocked_for"] = json!(detail.blocked_for);
    answer["route"] = json!(detail.route);
    answer["guests"] = json!(detail.guests);
    answer["by_hand"] = json!(detail.by_hand.map(|set| set_by_hand(&set)));
    answer["story"] = json!(story);
    answer["incidents"] = json!(held);
    answer["alike"] = json!(alike);
    json_answer(StatusCode::OK, &answer)
}

fn set_by_hand(set: &ByHand) -> Value {
    let (what, limit) = match set.hand {
        Hand::Block => ("block", None),
        Hand::Limit(quota) => ("limit", Some(quota.cells_per_second() * 60.0)),
        Hand::Release => ("release", None),
    };
    json!({"do": what, "limit_per_min": limit, "until": set.until.as_secs()})
}

/// Why a client is where it is, and what would have to be otherwise.
pub(crate) async fn explain(State(door): State<Door>, Named(name): Named<String>) -> Response {
    let engine = &door.shared.engine;
    let key = match named(engine, &name) {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let Some(why) = engine.why(key) else {
        return problem(
            StatusCode::NOT_FOUND,
            "Nothing is kept of this client yet; its next request will be, so ask again after it.",
        );
    };
    let contributions: Vec<_> = why
        .contributions
        .iter()
        .map(|one| {
            json!({
                "feature": SCHEMA[one.feature].name,
                "words": in_words(one.feature),
                "value": one.value,
                "added": one.added,
                "usual": one.usual,
                "score_with_usual": one.otherwise,
            })
        })
        .collect();
    let counterfactual = why.counterfactual.as_ref().map(|(changed, score)| {
        let names: Vec<_> = changed.iter().map(|at| SCHEMA[*at].name).collect();
        let words: Vec<_> = changed.iter().map(|at| in_words(*at)).collect();
        json!({"features": names, "words": words, "score": score})
    });
    let answer = json!({
        "id": hex(key),
        "moment": moment(&door.shared, &why.moment),
        "model": engine.model_kind(),
        "model_version": version(&door.shared),
        "schema": SCHEMA_VERSION,
        "reasons": why.reasons,
        "contributions": contributions,
        "counterfactual": counterfactual,
    });
    json_answer(StatusCode::OK, &answer)
}

/// Which model scores every request.
fn version(shared: &Shared) -> Option<Value> {
    shared.in_line().map(|it| json!({"name": it.name, "checksum": it.checksum}))
}

/// What is set by hand.
pub(crate) async fn by_hand(State(door): State<Door>) -> Response {
    let list = door.shared.engine.by_hand(door.shared.now());
    let list: Vec<_> = list
        .iter()
        .map(|(key, name, set)| {
            let mut one = set_by_hand(set);
            one["id"] = json!(hex(*key));
            one["name"] = json!(name);
            one
        })
        .collect();
    json_answer(StatusCode::OK, &list)
}

/// What routes are asked for and answer.
pub(crate) async fn routes(State(door): State<Door>) -> Response {
    let routes = door.shared.engine.routes(door.shared.now());
    let routes: Vec<_> = routes
        .iter()
        .map(|route| {
            let group = &route.group;
            json!({
                "route": route.name,
                "per_minute": group.minute,
                "per_hour": group.hour,
                "newcomers": group.newcomers,
                "outcomes": group.outcomes,
                "client_errors": group.ratios.error,
                "refused": group.ratios.auth,
                "missing": group.ratios.missing,
                "server_errors": group.ratios.server,
                "mean_ms": group.latency.map(|log| f64::from(log).exp_m1()),
            })
        })
        .collect();
    json_answer(StatusCode::OK, &routes)
}

fn incident_view(door: &Door, incident: &Incident) -> Value {
    let now = door.shared.now();
    json!({
        "id": incident.id,
        "kind": incident.kind.name(),
        "words": incident.kind.words(),
        "route": incident.route.map(|route| door.shared.engine.route_name(route)),
        "since": incident.since.as_secs(),
        "last": incident.last.as_secs(),
        "goes_on": incident.goes_on(now),
        "clients": incident.clients(),
        "blocked": incident.blocked,
        "denied": incident.denied(),
        "peak_risk": incident.peak_risk,
    })
}

/// Attacks, latest first.
pub(crate) async fn incidents(State(door): State<Door>) -> Response {
    let all = door.shared.console.incidents.lock();
    let list: Vec<_> = all.latest().iter().map(|incident| incident_view(&door, incident)).collect();
    json_answer(StatusCode::OK, &json!({"incidents": list, "missed": all.missed()}))
}

pub(super) fn no_incident() -> Response {
    problem(StatusCode::NOT_FOUND, "There is no such incident: GET /v1/incidents lists them.")
}

/// One attack, with its clients.
pub(crate) async fn incident(State(door): State<Door>, Named(id): Named<u64>) -> Response {
    let found = door.shared.console.incidents.lock().get(id).cloned();
    let Some(incident) = found else { return no_incident() };
    let (engine, now) = (&door.shared.engine, door.shared.now());
    let labels = door.shared.console.labels.lock();
    let clients: Vec<_> = incident
        .members()
        .iter()
        .filter_map(|key| engine.client(*key, now))
        .map(|detail| row(&detail.view, labels.of(detail.view.key)))
        .collect();
    let mut answer = incident_view(&door, &incident);
    answer["members"] = json!(clients);
    json_answer(StatusCode::OK, &answer)
}

/// The model: what it looks at, what moved it lately, and how it fares by what people said.
pub(crate) async fn model(State(door): State<Door>) -> Response {
    let engine = Arc::clone(&door.shared.engine);
    let influence = tokio::task::spawn_blocking(move || engine.influence()).await;
    let influence = influence.unwrap_or_default();
    let features: Vec<_> = SCHEMA
        .iter()
        .enumerate()
        .map(|(at, feature)| {
            json!({
                "feature": feature.name,
                "doc": feature.doc,
                "words": feature.words,
                "influence": influence.get(at),
            })
        })
        .collect();
    let stats = door.shared.engine.stats();
    let answer = json!({
        "kind": door.shared.engine.model_kind(),
        "version": version(&door.shared),
        "calibration": door.shared.engine.model().map(|model| model.calibration().words()),
        "schema": SCHEMA_VERSION,
        "risk": stats.risk_tenths(),
        "features": features,
        "labels": door.shared.console.confusion(),
    });
    json_answer(StatusCode::OK, &answer)
}

/// The policy in force, in plain words, and what enforcement would do or does.
pub(crate) async fn policy(State(door): State<Door>) -> Response {
    let live = door.shared.live.load();
    let policy = door.shared.engine.policy();
    let stats = door.shared.engine.stats();
    let tier = |quota: &tidegate_limiter::Quota| quota.cells_per_second() * 60.0;
    let tiers = &policy.adaptive.tiers;
    let answer = json!({
        "mode": mode(policy.mode),
        "words": live.words,
        "on_error": if live.on_error == OnError::Open { "open" } else { "closed" },
        "tiers_per_min": {
            "new": tier(&tiers.new),
            "trusted": tier(&tiers.trusted),
            "throttled": tier(&tiers.throttled),
            "risky": tier(&tiers.risky),
        },
        "throttle_above": policy.adaptive.bands.throttle,
        "block_above": policy.adaptive.bands.block,
        "decided": actions(stats.decided),
        "denied": stats.denied,
        "shadow_denied": stats.shadow_denied,
        "requests": stats.decided.iter().sum::<u64>(),
    });
    json_answer(StatusCode::OK, &answer)
}

/// What people said of clients.
pub(crate) async fn label_list(State(door): State<Door>) -> Response {
    let labels = door.shared.console.labels.lock();
    json_answer(StatusCode::OK, &json!({"labels": labels.list(), "confusion": labels.confusion()}))
}

/// The same as a file for training.
pub(crate) async fn label_file(State(door): State<Door>) -> Response {
    let fields = [
        (CONTENT_TYPE, "text/csv; charset=utf-8"),
        (CONTENT_DISPOSITION, "attachment; filename=\"labels.csv\""),
    ];
    (fields, door.shared.console.labels.lock().csv()).into_response()
}

/// Who did what.
pub(crate) async fn audit_log(State(door): State<Door>) -> Response {
    json_answer(StatusCode::OK, &door.shared.console.audit.list())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_in_a_query_is_named() {
        let wanted = asked("search=192.0&action=block&order=risk&ascending=true&skip=5&most=9999");
        let wanted = wanted.unwrap();
        assert_eq!((wanted.search.as_str(), wanted.action), ("192.0", Some(Action::Block)));
        assert_eq!((wanted.order, wanted.ascending), (Order::Risk, true));
        assert_eq!((wanted.skip, wanted.most), (5, MOST));
        assert_eq!(asked("").unwrap().most, 50);
        for (query, told) in [
            ("most=x", "most"),
            ("order=name", "`name` is none; write last_seen"),
            ("action=ban", "`ban` is none; write raise, allow"),
            ("serach=x", "serach"),
        ] {
            let problem = asked(query).unwrap_err();
            assert!(problem.contains(told), "{query}: {problem}");
        }
        assert_eq!(samples_wanted(""), Ok((usize::MAX, usize::MAX)));
        assert_eq!(samples_wanted("samples=9"), Ok((9, usize::MAX)));
        assert_eq!(samples_wanted("last=1"), Ok((usize::MAX, 1)));
        assert_eq!(samples_wanted("last=4&samples=360"), Ok((360, 4)));
        for query in ["samples=1", "samples=-3", "samples=x", "sample=9", "last=-1"] {
            assert!(samples_wanted(query).unwrap_err().contains("?samples=360"), "{query}");
        }
    }
}
