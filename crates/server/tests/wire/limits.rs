//! What a limited client sees, who counts as one client, and what shadow mode never does.

use crate::common::{Gate, client, field, text, upstream};
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use std::net::SocketAddr;
use std::time::Duration;

const THREE: &str = "rules: [{name: three, per: client, limit: 3/min}]";

async fn hello() -> SocketAddr {
    upstream(Router::new().route("/", get(|| async { "hello" }))).await
}

async fn get_with(gate: &Gate, fields: &[(&str, &str)]) -> Response<hyper::body::Incoming> {
    let mut request = Request::get(gate.url("/"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    client().request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_denial_says_when_to_come_back_and_no_more() {
    let gate = Gate::start(hello().await, THREE).await;
    for left in [2, 1, 0] {
        let response = get_with(&gate, &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(field(&response, "ratelimit").starts_with(&format!("\"three\";r={left};t=")));
        assert_eq!(field(&response, "ratelimit-policy"), "\"three\";q=3;w=60");
    }
    let response = get_with(&gate, &[]).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let retry: u64 = field(&response, "retry-after").parse().unwrap();
    assert!((1..=20).contains(&retry), "{retry}");
    assert_eq!(field(&response, "ratelimit"), format!("\"three\";r=0;t={retry}"));
    assert_eq!(field(&response, "ratelimit-policy"), "\"three\";q=3;w=60");
    assert_eq!(field(&response, "content-type"), "application/problem+json");
    let names: Vec<_> = response.headers().keys().map(|name| name.as_str().to_owned()).collect();
    let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(body["status"], 429);
    assert_eq!(body["violated-policies"], serde_json::json!(["three"]));
    // Nothing of the models: not the score, not a feature, not a reason.
    let all = format!("{names:?} {body}").to_lowercase();
    for word in ["risk", "score", "anomal", "feature", "adaptive", "reason", "behav"] {
        assert!(!all.contains(word), "{word} in {all}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn the_learned_limit_answers_as_default_and_only_when_it_denies() {
    let tiers = "adaptive: {new: {limit: 5/min, burst: 2}, throttled: 2/min, risky: 2/min}";
    let gate = Gate::start(hello().await, tiers).await;
    let mut denied = None;
    for _ in 0..20 {
        let response = get_with(&gate, &[]).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            denied = Some(response);
            break;
        }
        assert_eq!(field(&response, "ratelimit"), "");
        assert_eq!(field(&response, "ratelimit-policy"), "");
    }
    let denied = denied.expect("five a minute are used up by twenty requests");
    assert_eq!(field(&denied, "ratelimit-policy"), "\"default\";q=5;w=60");
    assert!(field(&denied, "ratelimit").starts_with("\"default\";r=0;t="));
    gate.stop().await;
}

#[tokio::test]
async fn shadow_never_denies() {
    for text in [format!("mode: shadow\n{THREE}"), THREE.replace("}]", ", mode: shadow}]")] {
        let gate = Gate::start(hello().await, &text).await;
        for _ in 0..10 {
            let response = get_with(&gate, &[]).await;
            assert_eq!(response.status(), StatusCode::OK, "{text}");
            assert_eq!(field(&response, "ratelimit"), "");
        }
        gate.stop().await;
    }
}

#[tokio::test]
async fn forged_addresses_are_ignored() {
    let gate = Gate::start(hello().await, THREE).await;
    let mut denied = 0;
    for n in 0..6 {
        let forged = format!("203.0.113.{n}");
        let response = get_with(&gate, &[("x-forwarded-for", &forged)]).await;
        denied += usize::from(response.status() == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(denied, 3);
    gate.stop().await;
}

#[tokio::test]
async fn a_trusted_hop_is_believed() {
    let seen =
        upstream(Router::new().route(
            "/",
            get(|headers: HeaderMap| async move {
                headers["x-forwarded-for"].to_str().unwrap().to_owned()
            }),
        ))
        .await;
    let text_ = format!("identity: {{trusted_hops: [127.0.0.0/8]}}\n{THREE}");
    let gate = Gate::start(seen, &text_).await;
    for n in 0..6 {
        let response = get_with(&gate, &[("x-forwarded-for", &format!("203.0.113.{n}"))]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, format!("203.0.113.{n}, 127.0.0.1"));
    }
    // What the client wrote before the hop's own element names nobody.
    let mut denied = 0;
    for n in 0..6 {
        let chain = format!("198.51.100.{n}, 203.0.113.77");
        let response = get_with(&gate, &[("x-forwarded-for", &chain)]).await;
        denied += usize::from(response.status() == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(denied, 3);
    gate.stop().await;
}

#[tokio::test]
async fn a_trusted_hop_is_believed_in_the_field_that_it_writes() {
    let seen = upstream(Router::new().route(
        "/",
        get(|headers: HeaderMap| async move {
            let of = |name: &str| headers[name].to_str().unwrap().to_owned();
            format!("{} and {}", of("x-forwarded-for"), of("forwarded"))
        }),
    ))
    .await;
    let identity = "{trusted_hops: [127.0.0.0/8], forwarded_header: Forwarded}";
    let gate = Gate::start(seen, &format!("identity: {identity}\n{THREE}")).await;
    // The client forges the field that the hop does not write, and what stands before the hop's word.
    let (mut passed, mut denied) = (0, 0);
    for n in 0..6 {
        let forged = format!("198.51.100.{n}");
        let chain = format!("for={forged}, for=\"[2001:db8::7]:4711\";proto=https");
        let fields = [("x-forwarded-for", &*forged), ("forwarded", &*chain)];
        let response = get_with(&gate, &fields).await;
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            denied += 1;
            continue;
        }
        passed += 1;
        let own = format!("for=127.0.0.1;host=\"{}\";proto=http", gate.proxy);
        let told = format!("2001:db8::7, 127.0.0.1 and {chain}, {own}");
        assert_eq!(text(response).await, told);
    }
    assert_eq!((passed, denied), (3, 3));
    // Another one has a limit of its own.
    let response = get_with(&gate, &[("forwarded", "For=203.0.113.8")]).await;
    assert_eq!(response.status(), StatusCode::OK);
    gate.stop().await;
}

#[tokio::test]
async fn credentials_name_clients() {
    let text = format!("identity: {{credentials: [header: x-api-key]}}\n{THREE}");
    let gate = Gate::start(hello().await, &text).await;
    for key in ["ann", "bob"] {
        for expected in [200, 200, 200, 429] {
            let response = get_with(&gate, &[("x-api-key", key)]).await;
            assert_eq!(response.status().as_u16(), expected, "{key}");
        }
    }
    gate.stop().await;
}

#[tokio::test]
async fn a_deny_list_is_a_403() {
    let gate = Gate::start(hello().await, "deny: [127.0.0.0/8]").await;
    let response = get_with(&gate, &[]).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(field(&response, "ratelimit"), "");
    assert_eq!(field(&response, "content-type"), "application/problem+json");
    gate.stop().await;
}

#[tokio::test]
async fn a_leaky_bucket_holds_requests_back() {
    let rule = "rules: [{name: slow, limit: 5/s, burst: 1, algorithm: leaky_bucket, max_wait: 1s}]";
    let gate = Gate::start(hello().await, rule).await;
    let started = std::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(get_with(&gate, &[]).await.status(), StatusCode::OK);
    }
    assert!(started.elapsed() >= Duration::from_millis(350), "{:?}", started.elapsed());
    gate.stop().await;
}

#[tokio::test]
async fn permits_come_back_when_the_client_goes_away() {
    let app = Router::new()
        .route("/slow", get(|| tokio::time::sleep(Duration::from_secs(60))))
        .route("/", get(|| async { "hello" }));
    let rule = "rules: [{name: one, algorithm: concurrency, max: 1}]";
    let gate = Gate::start(upstream(app).await, rule).await;
    let slow = tokio::spawn({
        let url = gate.url("/slow");
        async move { crate::common::get(&client(), &url).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(get_with(&gate, &[]).await.status(), StatusCode::TOO_MANY_REQUESTS);
    slow.abort();
    let mut status = StatusCode::TOO_MANY_REQUESTS;
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        status = get_with(&gate, &[]).await.status();
        if status == StatusCode::OK {
            break;
        }
    }
    assert_eq!(status, StatusCode::OK);
    gate.stop().await;
}
