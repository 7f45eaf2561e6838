//! What an operator does: calls the API, reads metrics, reloads, stops.

use crate::common::{Gate, client, upstream};
use crate::replay::Told;
use axum::Router;
use axum::routing::get;
use http::StatusCode;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_server::{Server, config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn hello() -> SocketAddr {
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        "slow"
    };
    upstream(Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow))).await
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Who tells the times of requests, as a replay through the API does, need not tell those of outcomes.
#[tokio::test]
async fn outcomes_without_a_time_are_of_the_time_of_the_checks() {
    let gate = Gate::start(hello().await, "").await;
    let hour_ago = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let start = hour_ago.as_secs_f64() - 3600.0;
    for n in 0..120u32 {
        let call = json!({
            "client_ip": format!("203.0.113.{}", n % 10), "path": "/",
            "time": start + f64::from(n)
        });
        let (_, answer) = gate.admin("POST", "/v1/check", &call.to_string()).await;
        let outcome = json!({"ticket": answer["ticket"], "status": 200});
        assert_eq!(gate.admin("POST", "/v1/outcome", &outcome.to_string()).await.0, StatusCode::OK);
    }
    // Steady traffic is no rush: it would be if each outcome had aged the counts by an hour.
    let (_, why) = gate.admin("GET", "/v1/clients/203.0.113.1/explain", "").await;
    let features = why["contributions"].as_array().unwrap();
    let surge = features.iter().find(|c| c["feature"] == "site_surge");
    let surge = surge.map_or(0.0, |one| one["value"].as_f64().unwrap());
    assert!(surge < 1.0, "{surge}");
    let outcome = json!({"ticket": "00", "status": 200, "time": -1.0});
    let (status, _) = gate.admin("POST", "/v1/outcome", &outcome.to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    gate.stop().await;
}

#[tokio::test]
async fn check_and_outcome() {
    let gate = Gate::start(hello().await, "rules: [{name: two, limit: 2/min}]").await;
    let call = json!({
        "client_ip": "203.0.113.9", "method": "GET", "path": "/a?b=1", "user_agent": "curl/8",
        "header_names": ["host", "user-agent"], "time": 1_800_000_000.5
    });
    let mut tickets = Vec::new();
    for allowed in [true, true, false] {
        let (status, answer) = gate.admin("POST", "/v1/check", &call.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["allowed"], allowed, "{answer}");
        assert_eq!(answer["rule"], "two");
        assert_eq!(answer["retry_after"].as_f64().unwrap() > 0.0, !allowed);
        assert!(answer["risk"].is_number() && answer["action"].is_string());
        tickets.push(answer["ticket"].as_str().unwrap().to_owned());
    }
    let one = json!({"ticket": tickets[0], "status": 200, "duration_ms": 12.5, "bytes": 100});
    let (status, answer) = gate.admin("POST", "/v1/outcome", &one.to_string()).await;
    assert_eq!((status, &answer["learned"]), (StatusCode::OK, &json!(1)));
    let batch = json!([{"ticket": tickets[1], "status": 404}, {"ticket": "zz", "status": 200}]);
    let (status, answer) = gate.admin("POST", "/v1/outcome", &batch.to_string()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["detail"].as_str().unwrap().contains("`[1].ticket`"), "{answer}");
    let batch = json!([{"ticket": tickets[1], "status": 404}]);
    assert_eq!(gate.admin("POST", "/v1/outcome", &batch.to_string()).await.1["learned"], 1);
    let (status, clients) = gate.admin("GET", "/v1/clients?most=5", "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(clients["clients"][0]["name"], "203.0.113.9");
    let (_, metrics) = gate.admin_text("GET", "/metrics", "", None).await;
    assert!(metrics.contains("tidegate_outcomes_total 2\n"), "{metrics}");
    gate.stop().await;
}

#[tokio::test]
async fn malformed_calls_name_the_field() {
    let gate = Gate::start(hello().await, "").await;
    for (path, body, word) in [
        ("/v1/check", "{", "EOF"),
        ("/v1/check", r#"{"client_ip": "x", "path": "/"}"#, "client_ip"),
        ("/v1/check", r#"{"client_ip": "1.2.3.4"}"#, "path"),
        ("/v1/check", r#"{"path": "/"}"#, "client_ip"),
        ("/v1/check", r#"{"client_ip": "1.2.3.4", "path": "/", "colour": 1}"#, "colour"),
        ("/v1/check", r#"{"client_ip": "1.2.3.4", "path": "/", "time": -1}"#, "time"),
        ("/v1/check", r#"{"client_ip": "1.2.3.4", "path": "/", "payload": "big"}"#, "payload"),
        ("/v1/check", r#"{"client_ip": "1.2.3.4", "path": "/", "time": 1.8e12}"#, "seconds"),
        ("/v1/check", r#"{"credential": "", "path": "/"}"#, "client_ip"),
        ("/v1/outcome", r#"{"ticket": "00", "status": 200}"#, "ticket"),
        ("/v1/outcome", r#"[{"ticket": "00", "status": 70000}]"#, "[0].status"),
    ] {
        let (status, answer) = gate.admin("POST", path, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer["detail"].as_str().unwrap().contains(word), "{body} got {answer}");
    }
    let (_, asked) = gate.admin("POST", "/v1/check", r#"{"credential": "a", "path": "/"}"#).await;
    for (field, value) in [("status", json!(42)), ("duration_ms", json!(-1)), ("time", json!(2e10))]
    {
        let mut call = json!({"ticket": asked["ticket"], "status": 200});
        call[field] = value;
        let (status, answer) = gate.admin("POST", "/v1/outcome", &call.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{call}");
        assert!(answer["detail"].as_str().unwrap().contains(field), "{call} got {answer}");
    }
    let long = format!("{{\"path\": \"{}\"}}", "x".repeat(2 << 20));
    // What is refused before anything is read is a problem document as well.
    for (method, path, body, expected) in [
        ("POST", "/v1/check", long.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        ("GET", "/v1/incidents/many", "", StatusCode::BAD_REQUEST),
        ("GET", "/v1/clients/%ff", "", StatusCode::BAD_REQUEST),
    ] {
        let (status, answer) = gate.admin(method, path, body).await;
        assert_eq!((status, &answer["status"]), (expected, &json!(expected.as_u16())), "{path}");
        assert!(answer["detail"].is_string(), "{answer}");
    }
    assert_eq!(gate.admin("GET", "/v1/nothing", "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(gate.admin("GET", "/v1/check", "").await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(gate.admin("GET", "/v1/clients?most=x", "").await.0, StatusCode::BAD_REQUEST);
    gate.stop().await;
}

/// That every path is documented is a test of `openapi.rs`; here it is the methods.
#[tokio::test]
async fn the_methods_that_are_served_are_those_of_the_document() {
    let replayer = Some(Arc::new(Told::default()) as _);
    let gate = Gate::start_with(hello().await, "", replayer).await;
    let (_, document) = gate.admin("GET", "/v1/openapi.json", "").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let place = path.replace("{client}", "nobody").replace("{id}", "0");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let url = format!("http://{}{place}", gate.admin);
            let request = http::Request::builder().method(method).uri(url);
            let answer = client().request(request.body(Default::default()).unwrap()).await.unwrap();
            let documented = item.get(method.to_lowercase()).is_some();
            let allow = answer.headers().get("allow").map(|allow| allow.to_str().unwrap());
            let refused = answer.status() == StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!((refused, allow.is_some()), (!documented, !documented), "{method} {path}");
            if let Some(allow) = allow {
                let read = |name: &str| item.get(name.to_lowercase()).is_some();
                assert!(
                    allow.split(',').all(|name| name == "HEAD" || read(name)),
                    "{path} {allow}"
                );
            }
        }
    }
    gate.stop().await;
}

#[tokio::test]
async fn the_token_guards_all_but_health() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    let admin = format!("admin: {{listen: '127.0.0.1:0', token_file: {}}}", file.display());
    let gate = Gate::start(hello().await, &admin).await;
    for (path, token, expected) in [
        ("/metrics", None, 401),
        ("/metrics", Some("0123456789abcdeX"), 401),
        ("/metrics", Some("0123456789abcdef"), 200),
        ("/v1/clients", None, 401),
        ("/healthz", None, 200),
        ("/readyz", None, 200),
    ] {
        let (status, _) = gate.admin_text("GET", path, "", token).await;
        assert_eq!(status.as_u16(), expected, "{path} {token:?}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn metrics_are_openmetrics() {
    let gate = Gate::start(hello().await, "rules: [{name: one, limit: 1/min}]").await;
    for _ in 0..3 {
        let _ = crate::common::get(&client(), &gate.url("/")).await;
    }
    let (status, text) = gate.admin_text("GET", "/metrics", "", None).await;
    assert_eq!(status, StatusCode::OK);
    for line in [
        "tidegate_responses_total{class=\"2xx\"} 1",
        "tidegate_responses_total{class=\"429\"} 2",
        "tidegate_denied_total 2",
        "tidegate_store_entries{store=\"clients\"} 1",
        "# TYPE tidegate_decisions counter",
        "# TYPE tidegate_decide_seconds histogram",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn a_changed_file_is_taken_in_and_no_connection_drops() {
    let up = hello().await;
    let gate = Gate::start(up, "rules: [{name: before, limit: 100/min}]").await;
    let mut stream = TcpStream::connect(gate.proxy).await.unwrap();
    assert!(ask(&mut stream).await.contains("\"before\""));
    // As editors and Kubernetes do: a new file renamed over the old one.
    let next = gate.folder.path().join("next");
    std::fs::write(&next, Gate::text(up, "rules: [{name: after, limit: 100/min}]")).unwrap();
    std::fs::rename(&next, &gate.path).unwrap();
    let mut answer = String::new();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = ask(&mut stream).await;
        if answer.contains("\"after\"") {
            break;
        }
    }
    assert!(answer.contains("\"after\""), "{answer}");
    gate.stop().await;
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_counted() {
    let up = hello().await;
    let gate = Gate::start(up, "rules: [{name: before, limit: 100/min}]").await;
    let mut stream = TcpStream::connect(gate.proxy).await.unwrap();
    std::fs::write(&gate.path, Gate::text(up, "rules: [{name: after, limit: lots}]")).unwrap();
    // What SIGHUP calls.
    let error = gate.reloader.reload().unwrap_err().to_string();
    let (_, metrics) = gate.admin_text("GET", "/metrics", "", None).await;
    assert!(metrics.contains("tidegate_config_last_reload_successful 0\n"), "{metrics}");
    assert!(error.contains("tidegate.yaml:5:") && error.contains("`lots`"), "{error}");
    assert!(ask(&mut stream).await.contains("\"before\""));
    std::fs::write(&gate.path, Gate::text(up, "rules: [{name: after, limit: 9/min}]")).unwrap();
    gate.reloader.reload().unwrap();
    assert!(ask(&mut stream).await.contains("\"after\""));
    let (_, metrics) = gate.admin_text("GET", "/metrics", "", None).await;
    let count = |result| {
        let name = format!("tidegate_config_reloads_total{{result=\"{result}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|count| count.parse::<u32>().ok())
    };
    assert!(count("refused") > Some(0) && count("accepted") > Some(0), "{metrics}");
    gate.stop().await;
}

#[tokio::test]
async fn a_reload_can_move_the_upstream() {
    let (first, second) =
        (hello().await, upstream(Router::new().route("/", get(|| async { "moved" }))).await);
    let gate = Gate::start(first, "").await;
    let mut stream = TcpStream::connect(gate.proxy).await.unwrap();
    assert!(ask(&mut stream).await.ends_with("hello"));
    std::fs::write(&gate.path, Gate::text(second, "")).unwrap();
    gate.reloader.reload().unwrap();
    assert!(ask(&mut stream).await.ends_with("moved"));
    gate.stop().await;
}

#[tokio::test]
async fn stopping_lets_requests_finish() {
    let mut gate = Gate::start(hello().await, "").await;
    let (url, proxy, admin) = (gate.url("/slow"), gate.proxy, gate.admin);
    let mut idle = TcpStream::connect(proxy).await.unwrap();
    assert!(ask(&mut idle).await.ends_with("hello"));
    let slow = tokio::spawn(async move {
        crate::common::text(crate::common::get(&client(), &url).await).await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    gate.tell_to_stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(proxy).await.is_err(), "a new connection was accepted");
    let ready = crate::common::get(&client(), &format!("http://{admin}/readyz")).await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let mut end = Vec::new();
    assert_eq!(idle.read_to_end(&mut end).await.unwrap(), 0, "an idle connection stayed");
    assert_eq!(slow.await.unwrap(), "slow");
    tokio::time::timeout(Duration::from_secs(3), gate.stopped()).await.unwrap();
}

#[tokio::test]
async fn the_drain_has_an_end() {
    let mut gate = Gate::start(hello().await, "timeouts: {drain: 100ms}").await;
    let url = gate.url("/slow");
    let slow = tokio::spawn(async move { client().get(url.parse().unwrap()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    gate.tell_to_stop();
    tokio::time::timeout(Duration::from_secs(3), gate.stopped()).await.unwrap();
    assert!(slow.await.unwrap().is_err());
}

#[tokio::test]
async fn a_port_in_use_is_a_clear_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let resolved = config::Resolved::default_for_proxy("http://127.0.0.1:1", address).unwrap();
    let error = Server::bind(resolved, None).await.err().unwrap().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("another process"), "{error}");
}

#[tokio::test]
async fn anomalies_of_the_site_are_listed() {
    let gate = Gate::start(hello().await, "").await;
    let (status, view) = gate.admin("GET", "/v1/anomalies", "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(view, json!({"site": null, "odd_clients": 0, "alarms": [], "forecast": []}));
    // An hour and a half of the same, three requests every ten seconds, and then a rush.
    let call = |second: u64, client: u64| {
        let call = json!({
            "client_ip": format!("203.0.113.{client}"), "path": "/", "time": 1_700_000_000 + second,
        });
        call.to_string()
    };
    for second in (0..5_400).step_by(10) {
        for client in 0..2 + second / 10 % 3 {
            gate.admin("POST", "/v1/check", &call(second, client)).await;
        }
    }
    for n in 0..200 {
        gate.admin("POST", "/v1/check", &call(5_400 + n / 20, n)).await;
    }
    gate.admin("POST", "/v1/check", &call(5_410, 1)).await;
    let (_, view) = gate.admin("GET", "/v1/anomalies", "").await;
    let alarms = view["alarms"].as_array().unwrap();
    let of = |series| alarms.iter().find(|alarm| alarm["series"] == series).unwrap();
    let rush = of("requests");
    assert_eq!(rush["direction"], "rise");
    assert!(rush["route"].is_null() && rush["evidence"].as_f64().unwrap() > 3.3, "{view}");
    assert!(rush["value"].as_f64().unwrap() > 100.0, "{view}");
    assert!(view["site"].as_f64().unwrap() > 0.99, "{view}");
    assert!(of("route_requests")["route"].is_string(), "{view}");
    gate.stop().await;
}
