//! Models in the background: a challenger has no say, a remote model has one while it answers.

use crate::common::{Gate, upstream};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

/// What a fake server answers to a batch of `n` rows.
#[derive(Clone, Copy, Debug)]
enum Fake {
    /// The same probability for every row.
    Says(f64),
    /// Nothing for a while.
    Slow,
    /// 500.
    Error,
    /// Fewer numbers than rows, or more.
    Odd,
    /// `NaN`, as careless servers write it.
    NotANumber,
    /// A number that is no probability.
    Outside,
    /// Something else than JSON.
    Noise,
}

struct Server {
    fake: Fake,
    asked: AtomicUsize,
}

async fn infer(State(server): State<Arc<Server>>, body: Bytes) -> Response {
    server.asked.fetch_add(1, Ordering::Relaxed);
    let call: Value = serde_json::from_slice(&body).unwrap();
    let input = &call["inputs"][0];
    assert_eq!((&input["name"], &input["datatype"]), (&json!("x"), &json!("FP32")));
    let rows = input["shape"][0].as_u64().unwrap() as usize;
    assert_eq!(input["shape"][1], 64);
    assert_eq!(input["data"].as_array().unwrap().len(), rows * 64);
    let answer = |data: Vec<f64>| {
        let output = json!({"name": "p", "datatype": "FP32", "shape": [data.len()], "data": data});
        axum::Json(json!({"model_name": "abuse", "outputs": [output]})).into_response()
    };
    match server.fake {
        Fake::Says(p) => answer(vec![p; rows]),
        Fake::Slow => {
            tokio::time::sleep(Duration::from_secs(20)).await;
            answer(vec![1.0; rows])
        }
        Fake::Error => (StatusCode::INTERNAL_SERVER_ERROR, "out of memory").into_response(),
        Fake::Odd => answer(vec![1.0; 2 * rows + 1]),
        Fake::NotANumber => {
            r#"{"outputs": [{"name": "p", "datatype": "FP32", "data": [NaN]}]}"#.into_response()
        }
        Fake::Outside => answer(vec![1.5; rows]),
        Fake::Noise => "<html>".into_response(),
    }
}

/// A server of the protocol on a port of its own.
async fn kserve(fake: Fake) -> (SocketAddr, Arc<Server>) {
    let server = Arc::new(Server { fake, asked: AtomicUsize::new(0) });
    let about = json!({"name": "abuse", "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [-1, 64]}
    ], "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1]}]});
    let router = Router::new()
        .route("/v2/models/abuse", get(move || async move { axum::Json(about) }))
        .route("/v2/models/abuse/infer", post(infer))
        .with_state(Arc::clone(&server));
    (upstream(router).await, server)
}

/// A server that hangs up on whoever connects.
async fn hanging_up() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            drop(listener.accept().await);
        }
    });
    address
}

/// A gate with these keys of configuration and a secret that all have alike.
async fn gate(keys: &str) -> (Gate, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef").unwrap();
    let up = upstream(Router::new()).await;
    (Gate::start(up, &format!("secret_file: {}\n{keys}", secret.display())).await, folder)
}

/// The answers to requests of one client, the `n`-th `n` seconds after the first.
async fn ask(gate: &Gate, client: &str, from: u32, to: u32) -> Vec<Value> {
    let mut answers = Vec::new();
    for n in from..to {
        let call = json!({
            "client_ip": client, "path": format!("/page/{n}"), "user_agent": "Mozilla/5.0",
            "time": 1_800_000_000 + n,
        });
        let (status, answer) = gate.admin("POST", "/v1/check", &call.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answers.push(answer);
    }
    answers
}

/// What the API says of the one model in the background, once `done` holds.
async fn background(gate: &Gate, done: impl Fn(&Value) -> bool) -> Value {
    let mut view = Value::Null;
    for _ in 0..500 {
        let (status, views) = gate.admin("GET", "/v1/background", "").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(views.as_array().unwrap().len(), 1, "{views}");
        view = views[0].clone();
        if done(&view) {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not so after ten seconds: {view}");
}

fn compared(n: u64) -> impl Fn(&Value) -> bool {
    move |view| view["compared"].as_u64().unwrap() >= n
}

fn remote(role: &str, server: SocketAddr) -> String {
    format!("{role}: {{kserve: {{url: 'http://{server}', model: abuse, deadline: 2s}}}}\n")
}

#[tokio::test]
async fn a_challenger_changes_no_answer_whatever_it_says() {
    let (server, _) = kserve(Fake::Says(1.0)).await;
    let trees = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/model/default.tgmd");
    let (plain, _a) = gate("").await;
    let (remote, _b) = gate(&remote("challenger", server)).await;
    let (local, _c) = gate(&format!("challenger: {trees}\n")).await;
    let mut expected = Vec::new();
    // One after the other, each answered before the next is sent: a model with a say would have it.
    for n in 0..30 {
        expected.extend(ask(&plain, "203.0.113.9", n, n + 1).await);
        assert_eq!(ask(&remote, "203.0.113.9", n, n + 1).await, expected[n as usize..]);
        assert_eq!(ask(&local, "203.0.113.9", n, n + 1).await, expected[n as usize..]);
        background(&remote, compared(u64::from(n) + 1)).await;
    }
    let view = background(&remote, compared(30)).await;
    assert_eq!(view["role"], "challenger");
    assert!(view["limited_by"]["model_alone"].as_u64().unwrap() > 20, "{view}");
    assert_eq!(view["scores"]["model"][9], 30);
    // The same model as the champion agrees with it to the last request, as far as trust can be told
    // from the features again.
    let view = background(&local, compared(30)).await;
    assert!(view["mean_distance"].as_f64().unwrap() < 1e-6, "{view}");
    assert_eq!(view["limited_by"]["model_alone"], 0);

    let labels = json!([{"ticket": expected[0]["ticket"], "abusive": true}]).to_string();
    let (status, known) = remote.admin("POST", "/v1/background/labels", &labels).await;
    assert_eq!((status, &known["known"]), (StatusCode::OK, &json!(1)));
    let view = background(&remote, |_| true).await;
    let abusive = &view["labelled"]["abusive"];
    assert_eq!((&abusive["requests"], &abusive["limited"]), (&json!(30), &json!(0)), "{view}");
    assert!(abusive["limited_by_model"].as_u64().unwrap() > 20, "{view}");
    let (status, answer) = remote
        .admin("POST", "/v1/background/labels", r#"[{"ticket": "x", "abusive": true}]"#)
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["detail"].as_str().unwrap().contains("`[0].ticket`"), "{answer}");

    let (_, text) = remote.admin_text("GET", "/metrics", "", None).await;
    for line in [
        "tidegate_background_requests_total{role=\"challenger\",state=\"compared\"} 30",
        "tidegate_background_scores_total{role=\"challenger\",whose=\"model\",tenth=\"9\"} 30",
        "tidegate_advised_total 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
    }
    for gate in [plain, remote, local] {
        gate.stop().await;
    }
}

#[tokio::test]
async fn a_remote_model_has_its_say_while_it_is_fresh() {
    let (server, _) = kserve(Fake::Says(1.0)).await;
    let (gate, _folder) = gate(&remote("model", server)).await;
    let mut last = Value::Null;
    for n in 0..8 {
        last = ask(&gate, "203.0.113.9", n, n + 1).await.remove(0);
        background(&gate, compared(u64::from(n) + 1)).await;
    }
    assert!(last["risk"].as_f64().unwrap() > 0.8, "{last}");
    assert_eq!(last["allowed"], false);
    // A minute later nothing of it is fresh, and the model in the program forgives.
    let late = ask(&gate, "203.0.113.9", 100, 101).await.remove(0);
    assert!(late["risk"].as_f64() < last["risk"].as_f64(), "{late}");
    let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
    assert!(text.contains("\ntidegate_advised_total 7\n"), "{text}");
    gate.stop().await;
}

#[tokio::test]
async fn whatever_goes_wrong_the_model_in_the_program_decides() {
    let (plain, _folder) = gate("").await;
    let expected = ask(&plain, "203.0.113.9", 0, 12).await;
    let mut servers =
        vec![(hanging_up().await, "broken"), (crate::common::nobody().await, "broken")];
    for (fake, kind) in [
        (Fake::Slow, "late"),
        (Fake::Error, "refused"),
        (Fake::Odd, "wrong"),
        (Fake::NotANumber, "wrong"),
        (Fake::Outside, "wrong"),
        (Fake::Noise, "wrong"),
    ] {
        servers.push((kserve(fake).await.0, kind));
    }
    for (server, kind) in servers {
        let keys = remote("model", server).replace("2s", "100ms");
        let (gate, _folder) = gate(&keys).await;
        let answers = ask(&gate, "203.0.113.9", 0, 12).await;
        assert_eq!(answers, expected, "{kind}");
        let view = background(&gate, |view| view["failures"][kind].as_u64().is_some()).await;
        assert_eq!((&view["role"], &view["compared"]), (&json!("advisor"), &json!(0)), "{view}");
        gate.stop().await;
    }
    plain.stop().await;
}

#[tokio::test]
async fn a_server_that_fails_is_left_alone_for_a_while() {
    let (server, calls) = kserve(Fake::Error).await;
    let (gate, _folder) = gate(&remote("challenger", server)).await;
    for n in 0..20 {
        ask(&gate, "203.0.113.9", n, n + 1).await;
        let told = u64::from(n) + 1;
        background(&gate, |view| view["unanswered"].as_u64().unwrap() >= told).await;
    }
    let view = background(&gate, |view| view["failures"]["paused"].is_u64()).await;
    assert_eq!(view["unanswered"], 20);
    // Five in a row, and whatever a pause of a second let through.
    let asked = calls.asked.load(Ordering::Relaxed);
    assert!((5..20).contains(&asked), "{asked} calls");
    gate.stop().await;
}
