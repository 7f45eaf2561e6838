//! The tower layer in an axum service: denials, headers, what is learned, and what is refused.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use std::net::SocketAddr;
use tidegate::{Layer, LayerError};
use tower::ServiceExt as _;

fn layer(text: &str) -> Result<Layer, LayerError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tidegate.yaml");
    std::fs::write(&path, text).expect("a file");
    Layer::load(&path)
}

fn app(layer: Layer) -> Router {
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/echo", post(|body: String| async move { body }))
        .route("/login", post(|| async { (StatusCode::UNAUTHORIZED, "wrong") }))
        .layer(layer)
}

async fn ask(app: &Router, host: u8, method: &str, path: &str, body: &str) -> Response<Body> {
    let peer: SocketAddr = ([203, 0, 113, host], 5).into();
    let request = Request::builder().method(method).uri(path).header("user-agent", "curl/8.5");
    let request = request.extension(ConnectInfo(peer)).body(Body::from(body.to_owned()));
    app.clone().oneshot(request.expect("a request")).await.expect("never fails")
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn a_client_over_its_limit_is_denied_and_another_is_not() {
    let layer = layer("rules: [{name: two, limit: 2/min}]").expect("a layer");
    let app = app(layer.clone());
    for n in 0..3 {
        let response = ask(&app, 1, "POST", "/echo", "a body").await;
        if n < 2 {
            assert_eq!(response.status(), StatusCode::OK);
            let fields = response.headers();
            assert_eq!(fields["ratelimit"], format!("\"two\";r={};t={}", 1 - n, 30 + 30 * n));
            assert_eq!(text(response).await, "a body");
        } else {
            assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
            assert!(response.headers().contains_key("retry-after"));
            assert!(text(response).await.contains("quota"));
        }
    }
    assert_eq!(ask(&app, 2, "GET", "/", "").await.status(), StatusCode::OK);
    let stats = layer.engine().stats();
    assert_eq!((stats.denied, stats.outcomes, stats.clients), (1, 3, 2));
    assert!(layer.metrics().expect("text").contains("tidegate_denied_total 1\n"));
}

#[tokio::test]
async fn it_learns_from_responses_when_their_bodies_end() {
    let layer = layer("").expect("a layer");
    let app = app(layer.clone());
    let response = ask(&app, 3, "POST", "/login", "name=a").await;
    assert_eq!(layer.engine().stats().outcomes, 0, "the body is not read yet");
    assert_eq!(text(response).await, "wrong");
    let stats = layer.engine().stats();
    assert_eq!((stats.outcomes, stats.client_errors), (1, 1));
    // Who goes away without reading is learned from as well.
    drop(ask(&app, 3, "GET", "/", "").await);
    assert_eq!(layer.engine().stats().outcomes, 2);
}

#[tokio::test]
async fn without_an_address_all_are_one_client_and_shadow_denies_nobody() {
    let text = "mode: shadow\nrules: [{name: one, limit: 1/min}]";
    let layer = layer(text).expect("a layer").with_peer(|_| None);
    let app = app(layer.clone());
    for host in 0..4 {
        let response = ask(&app, host, "GET", "/", "").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("ratelimit"));
    }
    let stats = layer.engine().stats();
    assert_eq!((stats.clients, stats.denied, stats.shadow_denied), (1, 3, 3));
}

#[test]
fn what_needs_a_server_is_refused_with_a_remedy() {
    for (text, key) in [
        ("listen: 127.0.0.1:0\nupstream: http://127.0.0.1:1", "listen"),
        ("gateway: 127.0.0.1:0", "gateway"),
    ] {
        let message = layer(text).err().expect("an error").to_string();
        assert!(message.contains(key) && message.contains("tidegate serve"), "{message}");
    }
    assert!(matches!(layer("rules: 7"), Err(LayerError::Config(_))));
}
