//! What an operator sees of clients and attacks, and does about them, by the API that the pages use.

use crate::common::{Gate, client, upstream};
use axum::Router;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tidegate_behavior::{Outcome, Request as Record};
use tidegate_limiter::Timestamp;

/// A gate whose model knows a search for weaknesses when it sees one.
async fn gate(text: &str) -> Gate {
    let up = upstream(Router::new().fallback(async || (StatusCode::NOT_FOUND, "none"))).await;
    Gate::start(up, text).await
}

async fn check(gate: &Gate, client: &str, path: &str) -> Value {
    ask(gate, json!({"client_ip": client, "path": path, "user_agent": "curl/8.5"})).await
}

async fn ask(gate: &Gate, call: Value) -> Value {
    let (status, answer) = gate.admin("POST", "/v1/check", &call.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// Ten minutes of people who look at a page and log in, and in the last of them somebody who asks for
/// what is not there.
fn attack(gate: &Gate) {
    const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let start = Timestamp::EPOCH.plus(now.checked_sub(Duration::from_secs(601)).unwrap());
    let send = |millis: u64, addr: [u8; 4], path: &str, user_agent: &str, status: u16| {
        let time = start.plus(Duration::from_millis(millis));
        let addr = Some(IpAddr::from(addr));
        let request = Record { time, addr, path, user_agent, ..Record::default() };
        let outcome = Outcome { status, bytes: 400, duration: Some(Duration::from_millis(3)) };
        gate.engine.outcome(&gate.engine.check(&request).ticket, &outcome, time);
    };
    for n in 0..1500u64 {
        let millis = n * 400;
        let visitor = [198, 18, (n / 3 % 3) as u8, (n / 3 % 200) as u8];
        let path = ["/", "/slow", "/prices"][n as usize % 3];
        send(millis, visitor, path, AGENT, if n % 30 == 2 { 404 } else { 200 });
        if n >= 1250 {
            for (later, probe) in [(50, ".git/config"), (150, "wp-admin/"), (250, "old/.env.bak")] {
                send(millis + later, SCANNER, &format!("/{n}/{probe}"), "curl/8.5", 404);
            }
        }
    }
}

const SCANNER: [u8; 4] = [203, 0, 113, 66];

#[tokio::test]
async fn an_attack_is_seen_explained_and_ended_by_hand() {
    let gate = gate("admin: {listen: '127.0.0.1:0', audit_log: audit.jsonl}").await;
    attack(&gate);

    let (_, found) = gate.admin("GET", "/v1/clients?order=risk&most=1", "").await;
    let worst = &found["clients"][0];
    assert_eq!(worst["name"], "203.0.113.66", "{worst}");
    assert!(worst["denied"].as_u64().unwrap() > 50, "{worst}");
    assert_eq!((&found["matched"], &found["next"]), (&json!(501), &json!(1)));
    let id = worst["id"].as_str().unwrap();

    // The same client by its id and by its name, with what became of it.
    let (_, by_id) = gate.admin("GET", &format!("/v1/clients/{id}"), "").await;
    let (_, by_name) = gate.admin("GET", "/v1/clients/203.0.113.66", "").await;
    assert_eq!(by_id["story"], by_name["story"]);
    let story = by_id["story"].as_array().unwrap();
    assert!(story.iter().any(|step| step["action"] == "block"), "{story:?}");
    assert!(story.len() < 40, "{}", story.len());

    let (_, why) = gate.admin("GET", &format!("/v1/clients/{id}/explain"), "").await;
    let contributions = why["contributions"].as_array().unwrap();
    let sizes: Vec<f64> =
        contributions.iter().map(|c| c["added"].as_f64().unwrap().abs()).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b) && !sizes.is_empty(), "{sizes:?}");
    assert!(contributions.iter().all(|c| c["usual"].is_number()), "{contributions:?}");
    assert!(why["counterfactual"].is_null() || why["counterfactual"]["score"].as_f64() < Some(0.5));

    // The second of the background task comes within one.
    let mut incidents = Value::Null;
    for _ in 0..50 {
        incidents = gate.admin("GET", "/v1/incidents", "").await.1;
        if incidents["incidents"].as_array().is_some_and(|all| !all.is_empty()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let all = incidents["incidents"].as_array().unwrap();
    let number = all[0]["id"].as_u64().unwrap();
    let (_, incident) = gate.admin("GET", &format!("/v1/incidents/{number}"), "").await;
    assert_eq!(incident["members"][0]["name"], "203.0.113.66", "{incident}");
    assert_eq!((&incident["goes_on"], &incident["clients"]), (&json!(true), &json!(1)));

    // Released, it passes; what is set ends by hand as well.
    assert_eq!(check(&gate, "203.0.113.66", "/page/1").await["allowed"], false);
    let release = json!({"do": "release", "for": "1h", "note": "a test"}).to_string();
    let (status, done) = gate.admin("POST", &format!("/v1/clients/{id}"), &release).await;
    assert_eq!((status, &done["warning"]), (StatusCode::OK, &Value::Null), "{done}");
    let answer = check(&gate, "203.0.113.66", "/page/1").await;
    assert_eq!((&answer["allowed"], &answer["rule"]), (&json!(true), &json!("override")));
    let (_, set) = gate.admin("GET", "/v1/by-hand", "").await;
    assert_eq!((&set[0]["name"], &set[0]["do"]), (&json!("203.0.113.66"), &json!("release")));
    let end = json!({"do": "end"}).to_string();
    assert_eq!(gate.admin("POST", &format!("/v1/clients/{id}"), &end).await.0, StatusCode::OK);
    let (status, _) = gate.admin("POST", &format!("/v1/clients/{id}"), &end).await;
    assert_eq!(status, StatusCode::CONFLICT);

    // A visitor is blocked by hand, and given a small limit instead.
    let path = "/v1/clients/198.18.0.0";
    gate.admin("POST", path, &json!({"do": "block"}).to_string()).await;
    assert_eq!(check(&gate, "198.18.0.0", "/page/1").await["action"], "block");
    gate.admin("POST", path, &json!({"do": "limit", "limit": "2/min"}).to_string()).await;
    let mut allowed = 0;
    for _ in 0..10 {
        allowed += u32::from(check(&gate, "198.18.0.0", "/page/1").await["allowed"] == true);
    }
    assert_eq!(allowed, 2);

    // A mistake: all are released, and labelled.
    let wrong = json!({"do": "wrong", "note": "our own scanner"}).to_string();
    gate.admin("POST", &format!("/v1/incidents/{number}"), &wrong).await;
    let (_, labels) = gate.admin("GET", "/v1/labels", "").await;
    assert_eq!(labels["confusion"]["false_positives"], 1, "{labels}");
    let (_, metrics) = gate.admin_text("GET", "/metrics", "", None).await;
    let line = r#"tidegate_labelled_clients{label="harmless",held_back="yes"} 1"#;
    assert!(metrics.lines().any(|found| found == line), "{line} not in\n{metrics}");
    let (_, csv) = gate.admin_text("GET", "/v1/labels.csv", "", None).await;
    assert_eq!(csv, "client,abusive\n203.0.113.66,false\n");

    // All of it is written down.
    let (_, audit) = gate.admin("GET", "/v1/audit", "").await;
    let audit = audit.as_array().unwrap();
    assert_eq!(audit.len(), 5, "{audit:?}");
    assert_eq!(audit[0]["note"], "our own scanner");
    assert_eq!(audit[4]["action"], "release for 1h");
    assert_eq!(audit[4]["from"], "127.0.0.1");
    let file = std::fs::read_to_string(gate.folder.path().join("audit.jsonl")).unwrap();
    assert_eq!(file.lines().count(), 5);
    gate.stop().await;
}

#[tokio::test]
async fn what_is_wrong_in_a_call_is_named() {
    let gate = gate("").await;
    check(&gate, "203.0.113.9", "/").await;
    let client = "/v1/clients/203.0.113.9";
    for (path, body, status, told) in [
        (client, "{}", 400, "`do`"),
        (client, r#"{"do": "ban"}"#, 400, "`ban`"),
        (client, r#"{"do": "limit"}"#, 400, "600/min"),
        (client, r#"{"do": "limit", "limit": "0/min"}"#, 400, "allows nothing"),
        (client, r#"{"do": "block", "limit": "9/min"}"#, 400, "only"),
        (client, r#"{"do": "block", "for": "90d"}"#, 400, "30d"),
        (client, r#"{"do": "block", "until": 9}"#, 400, "until"),
        ("/v1/clients/192.0.2.250", r#"{"do": "block"}"#, 404, "/v1/clients"),
        ("/v1/clients/203.0.113.9/label", r#"{"abusive": 1}"#, 400, "`abusive`"),
        ("/v1/incidents/77", r#"{"do": "release"}"#, 404, "/v1/incidents"),
    ] {
        let (got, answer) = gate.admin("POST", path, body).await;
        let detail = answer["detail"].as_str().unwrap_or_default();
        assert!(got.as_u16() == status && detail.contains(told), "{path} {body}: {answer}");
    }
    let (status, answer) = gate.admin("GET", "/v1/clients?order=size", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["detail"].as_str().unwrap().contains("`size`"), "{answer}");
    assert_eq!(gate.admin("GET", "/v1/audit", "").await.1, json!([]));
    gate.stop().await;
}

#[tokio::test]
async fn viewers_look_and_do_not_act() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (act, look) = (file("act", "a-token-to-act-with"), file("look", "a-token-to-look-with"));
    let admin =
        format!("admin: {{listen: '127.0.0.1:0', token_file: {act}, viewer_token_file: {look}}}");
    let gate = gate(&admin).await;
    let (act, look) = (Some("a-token-to-act-with"), Some("a-token-to-look-with"));
    let label = "/v1/clients/198.51.100.1/label";
    let harmless = r#"{"abusive": false}"#;
    let call = r#"{"client_ip": "198.51.100.1", "path": "/"}"#;
    for (method, path, body, token, status) in [
        ("POST", "/v1/check", call, look, 403),
        ("POST", "/v1/check", call, act, 200),
        ("GET", "/v1/overview", "", look, 200),
        ("GET", "/v1/overview", "", None, 401),
        ("GET", "/metrics", "", look, 200),
        ("POST", label, harmless, look, 403),
        ("POST", label, harmless, act, 200),
        ("GET", "/", "", None, 200),
        ("GET", "/console/app.js", "", None, 200),
    ] {
        let (got, text) = gate.admin_text(method, path, body, token).await;
        assert_eq!(got.as_u16(), status, "{method} {path}: {text}");
    }
    let (_, overview) = gate.admin_text("GET", "/v1/overview", "", look).await;
    let overview: Value = serde_json::from_str(&overview).unwrap();
    assert_eq!(overview["role"], "viewer");
    gate.stop().await;
}

#[tokio::test]
async fn another_site_has_nothing_to_ride_on() {
    let gate = gate("").await;
    let send = |method: &'static str, path: &'static str, fields: Vec<(&'static str, String)>| {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", gate.admin));
        for (name, value) in fields {
            request = request.header(name, value);
        }
        let body = Full::from(r#"{"client_ip": "198.51.100.1", "path": "/"}"#);
        async { client().request(request.body(body).unwrap()).await.unwrap().status().as_u16() }
    };
    let own = format!("http://{}", gate.admin);
    let field = |name, value: &str| vec![(name, value.to_owned())];
    assert_eq!(send("POST", "/v1/check", field("origin", &own)).await, 200);
    assert_eq!(send("POST", "/v1/check", field("origin", "https://example.com")).await, 403);
    assert_eq!(send("POST", "/v1/check", field("sec-fetch-site", "cross-site")).await, 403);
    // A name that anybody may have pointed to this machine.
    assert_eq!(send("GET", "/v1/clients", field("host", "rebound.example.com")).await, 403);
    assert_eq!(send("GET", "/v1/clients", field("host", "localhost:9901")).await, 200);
    gate.stop().await;
}

#[tokio::test]
async fn every_second_an_open_page_is_told_how_things_are() {
    let gate = gate("").await;
    let request = Request::get(format!("http://{}/v1/live", gate.admin)).body(Full::default());
    let mut response = client().request(request.unwrap()).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    for _ in 0..5 {
        check(&gate, "198.51.100.1", "/").await;
    }
    let mut seen = 0;
    while seen < 5 {
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
        let Some(data) = text.strip_prefix("data: ") else { continue };
        let event: Value = serde_json::from_str(data.trim()).unwrap();
        assert!(event["clients"].is_number() && event["moments"].is_array(), "{event}");
        let actions = event["second"]["actions"].as_array().unwrap();
        seen += actions.iter().filter_map(Value::as_u64).sum::<u64>();
    }
    assert_eq!(seen, 5);
    // An open page does not hold up a stop.
    tokio::time::timeout(Duration::from_secs(20), gate.stop()).await.unwrap();
}
