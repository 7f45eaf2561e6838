//! The proxy passes on what it should, as it should: bodies, versions, upgrades, failures.

use crate::common::certs::Authority;
use crate::common::{Gate, client, field, h2_client, nobody, text, upstream};
use axum::Router;
use axum::body::Body;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{StatusCode, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn large_bodies_stream_both_ways() {
    // The upstream echoes; the client sends the next chunk only when the one before came back, so
    // a proxy that buffered either body would hang.
    let up = upstream(Router::new().route("/echo", post(|body: Body| async { body }))).await;
    let gate = Gate::start(up, "").await;
    let (send, receive) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures_util::stream::unfold(receive, |mut receive| async {
        let chunk = receive.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(chunk)), receive))
    });
    let client: Client<_, _> = Client::builder(TokioExecutor::new()).build_http();
    let request =
        http::Request::post(gate.url("/echo")).body(StreamBody::new(Box::pin(frames))).unwrap();
    let chunk = Bytes::from(vec![7_u8; 1 << 20]);
    send.send(chunk.clone()).await.unwrap();
    let mut body = client.request(request).await.unwrap().into_body();
    let mut total = 0;
    for round in 1..=16 {
        while total < round << 20 {
            let frame = body.frame().await.unwrap().unwrap();
            total += frame.data_ref().map_or(0, Bytes::len);
        }
        if round < 16 {
            send.send(chunk.clone()).await.unwrap();
        }
    }
    drop(send);
    assert!(body.frame().await.is_none());
    assert_eq!(total, 16 << 20);
    gate.stop().await;
}

#[tokio::test]
async fn connections_are_reused_on_both_sides() {
    // The upstream counts its peers' ports: one connection serves them all.
    let ports = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    let seen = Arc::clone(&ports);
    let app = Router::new().route(
        "/",
        get(move |ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>| async move {
            seen.lock().unwrap().insert(peer.port());
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let up = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    let gate = Gate::start(up, "").await;
    let mut stream = TcpStream::connect(gate.proxy).await.unwrap();
    for _ in 0..5 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut buffer = [0; 1024];
        let length = stream.read(&mut buffer).await.unwrap();
        assert!(buffer[..length].starts_with(b"HTTP/1.1 200"));
    }
    assert_eq!(ports.lock().unwrap().len(), 1);
    gate.stop().await;
}

#[tokio::test]
async fn http2_with_prior_knowledge() {
    let up = upstream(Router::new().route(
        "/h",
        get(|headers: HeaderMap| async move { headers["host"].to_str().unwrap().to_owned() }),
    ))
    .await;
    let gate = Gate::start(up, "").await;
    let response = crate::common::get(&h2_client(), &gate.url("/h")).await;
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(text(response).await, gate.proxy.to_string());
    gate.stop().await;
}

#[tokio::test]
async fn http2_upstream() {
    let up = upstream(Router::new().route(
        "/v",
        get(|request: Request| async move {
            format!(
                "{:?} {}",
                request.version(),
                request.headers()["x-forwarded-host"].to_str().unwrap()
            )
        }),
    ))
    .await;
    let gate = Gate::start(up, "upstream: {url: 'http://{upstream}', http2: true}").await;
    let response = crate::common::get(&client(), &gate.url("/v")).await;
    assert_eq!(text(response).await, format!("HTTP/2.0 {}", gate.proxy));
    gate.stop().await;
}

#[tokio::test]
async fn tls_offers_http2() {
    let up = upstream(Router::new().route(
        "/",
        get(|headers: HeaderMap| async move {
            headers["x-forwarded-proto"].to_str().unwrap().to_owned()
        }),
    ))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let (cert, secret) = ours.signs().write(folder.path(), "own");
    let listen = format!(
        "listen: {{address: '127.0.0.1:0', tls: {{cert: {}, key: {}}}}}",
        cert.display(),
        secret.display()
    );
    let gate = Gate::start(up, &listen).await;
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(ours.believed(None))
        .https_only()
        .enable_all_versions()
        .build();
    let https: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let url = format!("https://localhost:{}/", gate.proxy.port());
    let response = https.get(url.parse().unwrap()).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(text(response).await, "https");
    gate.stop().await;
}

#[tokio::test]
async fn websockets_pass() {
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if let Message::Text(_) = &message {
                    let _ = socket.send(message).await;
                }
            }
        })
    };
    let up = upstream(Router::new().route("/ws", any(echo))).await;
    let gate = Gate::start(up, "").await;
    let url = format!("ws://{}/ws", gate.proxy);
    let (mut socket, response) = tokio_tungstenite::connect_async(url).await.unwrap();
    assert_eq!(response.status().as_u16(), 101);
    for word in ["one", "two"] {
        socket.send(word.into()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap(), word);
    }
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    gate.stop().await;
}

#[tokio::test]
async fn an_upstream_that_is_down_is_a_502() {
    let gate = Gate::start(nobody().await, "").await;
    let response = crate::common::get(&client(), &gate.url("/")).await;
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(field(&response, "content-type"), "application/problem+json");
    let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(body["status"], 502);
    gate.stop().await;
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_a_504() {
    let silent = || async {
        tokio::time::sleep(Duration::from_secs(60)).await;
    };
    // Answers the head, then falls silent: the connection must not stay open for ever.
    let cut = || async {
        let first = futures_util::stream::once(async { Ok::<_, Infallible>(Bytes::from("a")) });
        Body::from_stream(first.chain(futures_util::stream::pending())).into_response()
    };
    let up = upstream(Router::new().route("/", get(silent)).route("/cut", get(cut))).await;
    let gate = Gate::start(up, "upstream: {url: 'http://{upstream}', read_timeout: 300ms}").await;
    let started = Instant::now();
    let response = crate::common::get(&client(), &gate.url("/")).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    let response = crate::common::get(&client(), &gate.url("/cut")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.into_body().collect().await.is_err());
    assert!(started.elapsed() < Duration::from_secs(5));
    gate.stop().await;
}

#[tokio::test]
async fn malformed_requests_are_refused_and_go_no_further() {
    let hits = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&hits);
    let app = Router::new().fallback(move || async move {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let gate = Gate::start(upstream(app).await, "").await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("GET\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nbad header: x\r\n\r\n", "400"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "405"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400"),
    ] {
        let mut stream = TcpStream::connect(gate.proxy).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut buffer = [0; 512];
        let length = stream.read(&mut buffer).await.unwrap();
        let answer = String::from_utf8_lossy(&buffer[..length]);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?} got {answer:?}");
    }
    assert_eq!(hits.load(Ordering::Relaxed), 0);
    gate.stop().await;
}

#[tokio::test]
async fn a_connection_that_sends_nothing_is_closed() {
    let gate = Gate::start(nobody().await, "timeouts: {header: 200ms}").await;
    for start in ["", "PRI * HT", "GET / HTTP/1.1\r\nHo"] {
        let mut stream = TcpStream::connect(gate.proxy).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
        // Closed in either way, with or without a 408.
        let _ = ended.await.unwrap_or_else(|_| panic!("still open after {start:?}"));
    }
    gate.stop().await;
}
