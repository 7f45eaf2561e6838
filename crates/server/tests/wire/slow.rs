//! Clients that dawdle are cut off, those that are merely slow are not, and connections are capped.

use crate::common::{Gate, upstream};
use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::{any, get, post};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const IDLE: &str = "timeouts: {idle: 300ms}";
const SOON: Duration = Duration::from_secs(10);

/// Counts the endless answers that are under way.
#[derive(Clone, Default)]
struct Endless(Arc<AtomicUsize>);

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Endless {
    fn body(&self) -> Body {
        self.0.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.0));
        let chunk = Bytes::from(vec![7; 1 << 16]);
        Body::from_stream(futures_util::stream::unfold(running, move |running| {
            let chunk = chunk.clone();
            async move { Some((Ok::<_, Infallible>(chunk), running)) }
        }))
    }

    fn running(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    async fn ends(&self) {
        let ended = async {
            while self.running() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, ended).await.expect("the answer to a client that takes nothing goes on");
    }
}

async fn gate(text: &str) -> (Gate, Endless) {
    let endless = Endless::default();
    let body = endless.clone();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/echo", post(|body: Body| async { body }))
        .route("/read", post(|body: Bytes| async move { body.len().to_string() }))
        .route("/endless", get(move || async move { body.body() }));
    (Gate::start(upstream(app).await, text).await, endless)
}

async fn connect(gate: &Gate) -> TcpStream {
    TcpStream::connect(gate.proxy).await.unwrap()
}

async fn answer(stream: &mut TcpStream) -> String {
    let mut buffer = [0; 4096];
    let length = timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

async fn metric(gate: &Gate, name: &str) -> String {
    let text = gate.admin_text("GET", "/metrics", "", None).await.1;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).trim().to_owned()
}

type H2 = SendRequest<Full<Bytes>>;

/// One HTTP/2 connection, and the task that ends with it.
async fn h2(gate: &Gate) -> (H2, JoinHandle<Result<(), hyper::Error>>) {
    let io = TokioIo::new(connect(gate).await);
    let (send, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    (send, tokio::spawn(connection))
}

async fn h2_get(send: &mut H2, gate: &Gate, path: &str) -> http::Response<hyper::body::Incoming> {
    let request = Request::get(gate.url(path)).body(Full::default()).unwrap();
    timeout(SOON, send.send_request(request)).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_body_that_stops_is_a_408_and_one_that_trickles_passes() {
    let (gate, _) = gate(IDLE).await;
    let head = "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    let mut stream = connect(&gate).await;
    stream.write_all(format!("{head}abc").as_bytes()).await.unwrap();
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    assert!(text.contains("body took too long"), "{text}");
    let failures = metric(&gate, "tidegate_upstream_failures_total{kind=\"client\"}").await;
    assert_eq!(failures, "1");

    let mut stream = connect(&gate).await;
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..10 {
        sleep(Duration::from_millis(60)).await;
        stream.write_all(b"x").await.unwrap();
    }
    let text = answer(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n10"), "{text}");
    gate.stop().await;
}

#[tokio::test]
async fn a_client_that_waits_for_its_answer_is_not_idle() {
    // The upstream's timeouts are what bounds an answer, not the client's.
    let app = Router::new().route(
        "/",
        get(|| async {
            sleep(Duration::from_millis(700)).await;
            "late"
        }),
    );
    let gate = Gate::start(upstream(app).await, "timeouts: {idle: 200ms, header: 5s}").await;
    let mut stream = connect(&gate).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.ends_with("late"));
    let (mut send, _connection) = h2(&gate).await;
    let response = h2_get(&mut send, &gate, "/").await;
    assert_eq!(crate::common::text(response).await, "late");
    gate.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let (gate, endless) = gate(IDLE).await;
    let mut stream = connect(&gate).await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(endless.running(), 1);
    endless.ends().await;
    // The end of the connection comes behind what the system's buffers still hold.
    let drained = async {
        let mut buffer = vec![0; 1 << 20];
        while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
    };
    timeout(SOON, drained).await.expect("the connection is still open");
    gate.stop().await;
}

#[tokio::test]
async fn a_client_that_takes_little_by_little_is_served_on() {
    let (gate, endless) = gate(IDLE).await;
    let mut stream = connect(&gate).await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 4 << 20];
    for _ in 0..15 {
        sleep(Duration::from_millis(60)).await;
        timeout(SOON, stream.read_exact(&mut buffer)).await.unwrap().unwrap();
    }
    assert_eq!(endless.running(), 1);
    drop(stream);
    endless.ends().await;
    gate.stop().await;
}

#[tokio::test]
async fn a_stream_whose_client_takes_nothing_is_reset_and_no_other() {
    let (gate, endless) = gate(IDLE).await;
    let (mut send, _connection) = h2(&gate).await;
    let stalled = h2_get(&mut send, &gate, "/endless").await;
    let mut read = h2_get(&mut send, &gate, "/endless").await.into_body();
    let reading = tokio::spawn(async move {
        let mut bytes = 0;
        while bytes < 8 << 20 {
            sleep(Duration::from_millis(2)).await;
            bytes += read.frame().await.unwrap().unwrap().data_ref().map_or(0, Bytes::len);
        }
        read
    });
    let one_left = async {
        while endless.running() > 1 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, one_left).await.expect("the stalled stream goes on");
    let read = timeout(SOON, reading).await.unwrap().unwrap();
    assert_eq!(endless.running(), 1, "the stream that is read was reset too");
    assert_eq!(h2_get(&mut send, &gate, "/").await.status(), StatusCode::OK);
    assert!(stalled.into_body().collect().await.is_err());
    drop(read);
    gate.stop().await;
}

#[tokio::test]
async fn a_stream_whose_window_never_opens_is_reset() {
    let (gate, endless) = gate(IDLE).await;
    let io = TokioIo::new(connect(&gate).await);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(0);
    let (mut send, connection) = builder.handshake(io).await.unwrap();
    let _connection = tokio::spawn(connection);
    for path in ["/", "/endless"] {
        let response = h2_get(&mut send, &gate, path).await;
        assert_eq!(response.status(), StatusCode::OK);
        let body = timeout(SOON, response.into_body().collect()).await;
        assert!(body.expect("the stream stays open").is_err());
    }
    endless.ends().await;
    gate.stop().await;
}

#[tokio::test]
async fn connections_without_a_request_are_closed() {
    let (gate, _) = gate("timeouts: {idle: 300ms, header: 300ms}").await;
    let (mut send, connection) = h2(&gate).await;
    assert_eq!(h2_get(&mut send, &gate, "/").await.status(), StatusCode::OK);
    let ended = timeout(SOON, connection).await.expect("an unused HTTP/2 connection stays open");
    assert!(ended.unwrap().is_ok(), "it ends in order");

    let mut stream = connect(&gate).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    let mut rest = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut rest)).await;
    let _ = ended.expect("an unused HTTP/1.1 connection stays open");
    gate.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_one_to_end() {
    let (gate, _) = gate("max_connections: 2").await;
    let ask = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let (mut first, mut second) = (connect(&gate).await, connect(&gate).await);
    for stream in [&mut first, &mut second] {
        stream.write_all(ask).await.unwrap();
        assert!(answer(stream).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(metric(&gate, "tidegate_connections_full_total").await, "0");
    let mut third = connect(&gate).await;
    third.write_all(ask).await.unwrap();
    let mut buffer = [0; 9];
    let early = timeout(Duration::from_millis(300), third.read(&mut buffer)).await;
    assert!(early.is_err(), "a third connection was served");
    assert_eq!(metric(&gate, "tidegate_connections_full_total").await, "1");
    assert_eq!(metric(&gate, "tidegate_connections ").await, "2");
    // Those that are served are served on, and the end of one makes room.
    second.write_all(ask).await.unwrap();
    assert!(answer(&mut second).await.starts_with("HTTP/1.1 200"));
    drop(first);
    assert!(answer(&mut third).await.starts_with("HTTP/1.1 200"));
    gate.stop().await;
}

#[tokio::test]
async fn a_tunnel_counts_as_a_connection() {
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade
            .on_upgrade(|mut socket| async move { while let Some(Ok(_)) = socket.recv().await {} })
    };
    let app = Router::new().route("/ws", any(echo)).route("/", get(|| async { "hello" }));
    let gate = Gate::start(upstream(app).await, "max_connections: 1").await;
    let url = format!("ws://{}/ws", gate.proxy);
    let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut other = connect(&gate).await;
    other.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut buffer = [0; 9];
    let early = timeout(Duration::from_millis(300), other.read(&mut buffer)).await;
    assert!(early.is_err(), "a second connection was served");
    drop(socket);
    assert!(answer(&mut other).await.starts_with("HTTP/1.1 200"));
    gate.stop().await;
}

/// Whether the system probes a connection that has this port in this column of its table: 1 for
/// our end, 2 for the peer's.
#[cfg(target_os = "linux")]
fn probed(column: usize, port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // 01 is an established connection, timer 02 the one of keep-alive.
        fields[column].ends_with(&format!(":{port:04X}"))
            && fields[3] == "01"
            && fields[5].starts_with("02:")
    })
}

/// A peer that vanished cannot be had on loopback; that it is asked about can.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn both_ends_of_a_silent_tunnel_are_probed() {
    let silent = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            socket.recv().await;
        })
    };
    let upstream = upstream(Router::new().route("/ws", any(silent))).await;
    let gate = Gate::start(upstream, "").await;
    let url = format!("ws://{}/ws", gate.proxy);
    let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    // Data in flight has a timer of its own; a moment later there is none.
    let both = async {
        while !probed(1, gate.proxy.port()) || !probed(2, upstream.port()) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, both).await.expect("nobody asks whether the peers of a tunnel still exist");
    drop(socket);
    gate.stop().await;
}
