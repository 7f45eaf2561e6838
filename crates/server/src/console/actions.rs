//! What an operator may do: by hand for one client, or for all of an incident; and say who was what.

use super::audit::Entry;
use super::labels::Label;
use super::name_of;
use super::views::{named, no_incident};
use crate::access::Caller;
use crate::api::{Door, json_answer, problem, read};
use crate::config;
use crate::extract::{Body, Named};
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tidegate_engine::Action;
use tidegate_engine::hand::{ByHand, Hand};
use tidegate_engine::incidents::Incident;
use tidegate_limiter::{Key, Quota};

/// What is set by hand ends after this long, unless the call says otherwise.
const USUAL: Duration = Duration::from_secs(3600);
/// Nothing set by hand holds longer: what is to stay belongs into the configuration.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientCall {
    #[serde(rename = "do")]
    what: ClientAction,
    /// A rate such as `600/min`, to limit.
    limit: Option<String>,
    /// A duration such as `2h`.
    #[serde(rename = "for")]
    lasts: Option<String>,
    #[serde(default)]
    note: String,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum ClientAction {
    Block,
    Limit,
    Release,
    End,
}

impl ClientAction {
    const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Limit => "limit",
            Self::Release => "release",
            Self::End => "end what was set",
        }
    }
}

/// Sets or ends something for one client.
pub(crate) async fn act_on_client(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Named(name): Named<String>,
    Body(body): Body,
) -> Response {
    let call: ClientCall = match read(&body) {
        Ok(call) => call,
        Err(answer) => return *answer,
    };
    let engine = &door.shared.engine;
    let key = match named(engine, &name) {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    let lasts = match lasts(call.lasts.as_deref()) {
        Ok(lasts) => lasts,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
    };
    let hand = match (call.what, call.limit.as_deref()) {
        (ClientAction::Limit, Some(limit)) => match quota(limit) {
            Ok(quota) => Some(Hand::Limit(quota)),
            Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
        },
        (ClientAction::Limit, None) => {
            let detail = "Field `limit`: a rate such as 600/min is needed to limit.";
            return problem(StatusCode::BAD_REQUEST, detail);
        }
        (_, Some(_)) => {
            return problem(StatusCode::BAD_REQUEST, "Field `limit`: only `do: limit` has one.");
        }
        (ClientAction::Block, None) => Some(Hand::Block),
        (ClientAction::Release, None) => Some(Hand::Release),
        (ClientAction::End, None) => None,
    };
    let now = door.shared.now();
    match hand {
        Some(hand) => {
            let set = ByHand { hand, until: now.plus(lasts) };
            if let Err(error) = engine.set_by_hand(&[key], set, now) {
                return problem(StatusCode::CONFLICT, &error.to_string());
            }
        }
        None => {
            if !engine.end_by_hand(key, now) {
                return problem(StatusCode::CONFLICT, "Nothing is set by hand for this client.");
            }
        }
    }
    let subject = name_of(engine, key);
    let mut action = call.what.name().to_owned();
    if let Some(limit) = &call.limit {
        action = format!("{action} to {limit}");
    }
    if call.what != ClientAction::End {
        action = format!("{action} for {}", config::show_duration(lasts));
    }
    done(&door, caller, &action, &subject, &call.note, 1)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelCall {
    abusive: bool,
    #[serde(default)]
    note: String,
}

/// Takes in what somebody found out about a client.
pub(crate) async fn label(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Named(name): Named<String>,
    Body(body): Body,
) -> Response {
    let call: LabelCall = match read(&body) {
        Ok(call) => call,
        Err(answer) => return *answer,
    };
    let key = match named(&door.shared.engine, &name) {
        Ok(key) => key,
        Err(answer) => return *answer,
    };
    put_label(&door, key, call.abusive);
    let subject = name_of(&door.shared.engine, key);
    let action = if call.abusive { "label as abusive" } else { "label as harmless" };
    done(&door, caller, action, &subject, &call.note, 1)
}

fn put_label(door: &Door, client: Key, abusive: bool) {
    let now = door.shared.now();
    let Some(detail) = door.shared.engine.client(client, now) else { return };
    let view = detail.view;
    door.shared.console.labels.lock().put(Label {
        client,
        name: view.name,
        abusive,
        time: now.as_secs(),
        risk: view.risk,
        held_back: view.action >= Action::Throttle || view.denied > 0,
    });
    for model in &door.shared.background {
        model.trial.label(client, abusive);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IncidentCall {
    #[serde(rename = "do")]
    what: IncidentAction,
    #[serde(rename = "for")]
    lasts: Option<String>,
    #[serde(default)]
    note: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum IncidentAction {
    /// Blocks all of its clients.
    Tighten,
    /// Lets all of its clients go.
    Release,
    /// The same, and says that none of them abuses.
    Wrong,
}

/// Does the same with all clients of an incident that are known by name.
pub(crate) async fn act_on_incident(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<u64>,
    Body(body): Body,
) -> Response {
    let call: IncidentCall = match read(&body) {
        Ok(call) => call,
        Err(answer) => return *answer,
    };
    let lasts = match lasts(call.lasts.as_deref()) {
        Ok(lasts) => lasts,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
    };
    let members: Option<Vec<Key>> =
        door.shared.console.incidents.lock().get(id).map(Incident::members);
    let Some(members) = members else { return no_incident() };
    let now = door.shared.now();
    let (hand, action) = match call.what {
        IncidentAction::Tighten => (Hand::Block, "block all"),
        IncidentAction::Release => (Hand::Release, "release all"),
        IncidentAction::Wrong => (Hand::Release, "mark as wrong and release all"),
    };
    let set = ByHand { hand, until: now.plus(lasts) };
    if let Err(error) = door.shared.engine.set_by_hand(&members, set, now) {
        return problem(StatusCode::CONFLICT, &error.to_string());
    }
    if matches!(call.what, IncidentAction::Wrong) {
        members.iter().for_each(|client| put_label(&door, *client, false));
    }
    let action = format!("{action} for {}", config::show_duration(lasts));
    done(&door, caller, &action, &format!("incident {id}"), &call.note, members.len())
}

fn lasts(text: Option<&str>) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(USUAL) };
    let lasts = config::duration(text)
        .map_err(|e| format!("Field `for`: {e}; write such as 30m, 2h or 7d."))?;
    if lasts.is_zero() || lasts > LONGEST {
        return Err(format!(
            "Field `for`: `{text}` is not between 1ms and 30d; what is to stay belongs into the \
             configuration."
        ));
    }
    Ok(lasts)
}

fn quota(text: &str) -> Result<Quota, String> {
    let (cells, period) =
        config::rate(text).map_err(|e| format!("Field `limit`: {e}; write such as 600/min."))?;
    Quota::new(cells, period, cells).map_err(|e| format!("Field `limit`: {e}."))
}

fn done(
    door: &Door,
    caller: Caller,
    action: &str,
    subject: &str,
    note: &str,
    clients: usize,
) -> Response {
    let entry = Entry::new(door.shared.now().as_secs(), caller, action, subject, note);
    let warning = door.shared.console.audit.take(entry);
    let answer =
        json!({"done": action, "subject": subject, "clients": clients, "warning": warning});
    json_answer(StatusCode::OK, &answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_limits_are_bounded() {
        assert_eq!(lasts(None), Ok(USUAL));
        assert_eq!(lasts(Some("2h")), Ok(Duration::from_secs(7200)));
        for (text, told) in [("0s", "between"), ("31d", "30d"), ("soon", "`soon`")] {
            assert!(lasts(Some(text)).unwrap_err().contains(told), "{text}");
        }
        assert_eq!(quota("600/min").unwrap().burst().get(), 600);
        for text in ["0/min", "many", "5/fortnight"] {
            assert!(quota(text).unwrap_err().starts_with("Field `limit`"), "{text}");
        }
    }
}
