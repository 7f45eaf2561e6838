//! The gRPC door and what should not come to it: broken streams, garbage, floods.

use crate::common::{Gate, nobody, question};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use std::convert::Infallible;
use std::time::Duration;
use tidegate_envoy::envoy::config::core::v3::{HeaderMap, HeaderValue};
use tidegate_envoy::envoy::data::accesslog::v3::{
    HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties,
};
use tidegate_envoy::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use tidegate_envoy::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, LogEntries,
};
use tidegate_envoy::envoy::service::auth::v3::CheckResponse;
use tidegate_envoy::envoy::service::auth::v3::attribute_context::HttpRequest;
use tidegate_envoy::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tidegate_envoy::envoy::service::auth::v3::check_response::HttpResponse;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

const CLIENT: &str = "203.0.113.1";
const SOON: Duration = Duration::from_secs(15);
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
const LOGS: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

async fn gate(rest: &str) -> Gate {
    Gate::start(nobody().await, &format!("gateway: {{grpc: '127.0.0.1:0'}}\n{rest}")).await
}

async fn channel(gate: &Gate) -> Channel {
    let url = format!("http://{}", gate.grpc.unwrap());
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

fn page() -> HttpRequest {
    HttpRequest { method: "GET".into(), path: "/".into(), ..HttpRequest::default() }
}

fn ticket(answer: &CheckResponse) -> String {
    let Some(HttpResponse::OkResponse(pass)) = &answer.http_response else { panic!("{answer:?}") };
    pass.headers[0].header.as_ref().unwrap().value.clone()
}

async fn is_served(gate: &Gate) {
    let mut asks = AuthorizationClient::new(channel(gate).await);
    let answer =
        timeout(SOON, asks.check(question(CLIENT, page()))).await.expect("no answer").unwrap();
    assert_eq!(ticket(answer.get_ref()).len(), 66);
}

/// A message as gRPC puts it on the wire: not compressed, its length, itself.
fn framed(message: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(0);
    out.put_u32(u32::try_from(message.len()).unwrap());
    out.put_slice(message);
    out.freeze()
}

type Pieces =
    StreamBody<futures_util::stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// A connection of HTTP/2 by hand.
async fn h2(gate: &Gate) -> (SendRequest<Pieces>, JoinHandle<hyper::Result<()>>) {
    let io = TokioIo::new(TcpStream::connect(gate.grpc.unwrap()).await.unwrap());
    let (send, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    (send, tokio::spawn(connection))
}

/// A call whose body is what is sent to the channel; it ends with it.
fn call(gate: &Gate, path: &str) -> (http::Request<Pieces>, mpsc::Sender<Bytes>) {
    let (send, receive) = mpsc::channel::<Bytes>(4);
    let pieces = futures_util::stream::unfold(receive, |mut receive| async {
        let piece = receive.recv().await?;
        Some((Ok(Frame::data(piece)), receive))
    });
    let request = http::Request::post(format!("http://{}{path}", gate.grpc.unwrap()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(StreamBody::new(Box::pin(pieces) as futures_util::stream::BoxStream<'static, _>));
    (request.unwrap(), send)
}

/// The gRPC status of an answer, from its head or its trailers.
async fn status(response: http::Response<hyper::body::Incoming>) -> String {
    let read = |headers: &http::HeaderMap| {
        headers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned())
    };
    if let Some(status) = read(response.headers()) {
        return status;
    }
    let body = timeout(SOON, response.into_body().collect()).await.expect("no end").unwrap();
    body.trailers().and_then(read).unwrap_or_default()
}

async fn metric(gate: &Gate, line: &str) {
    let found = async {
        loop {
            let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
            if text.lines().any(|l| l == line) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, found).await.unwrap_or_else(|_| panic!("no {line}"));
}

#[tokio::test]
async fn a_question_cut_off_or_broken_has_a_status() {
    let gate = gate("").await;
    let whole = framed(&question(CLIENT, page()).encode_to_vec());
    let (mut send, _connection) = h2(&gate).await;
    for (pieces, expected) in [
        (vec![whole.clone()], "0"),
        // In pieces, down to a byte.
        (whole.chunks(1).map(Bytes::copy_from_slice).collect(), "0"),
        // The stream ends within the message, or within its length.
        (vec![whole.slice(..whole.len() - 3)], "13"),
        (vec![whole.slice(..3)], "13"),
        (vec![], "13"),
        // No protobuf; a compression that was not agreed on; more than is taken.
        (vec![framed(b"\xff\xff\xff\xff")], "13"),
        (vec![Bytes::from_static(&[1, 0, 0, 0, 1, 0])], "13"),
        (vec![Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff, 0])], "11"),
    ] {
        let (request, pass) = call(&gate, CHECK);
        let answer = send.send_request(request);
        for piece in &pieces {
            // Whoever has answered need not read on.
            let _ = pass.send(piece.clone()).await;
        }
        drop(pass);
        let answer = timeout(SOON, answer).await.expect("no answer").unwrap();
        assert_eq!(status(answer).await, expected, "{pieces:?}");
    }
    let (request, _pass) = call(&gate, "/envoy.service.auth.v3.Authorization/Nothing");
    assert_eq!(status(send.send_request(request).await.unwrap()).await, "12");
    gate.stop().await;
}

#[tokio::test]
async fn an_access_log_cut_within_a_message_has_told_what_came_before() {
    let gate = gate("").await;
    let mut asks = AuthorizationClient::new(channel(&gate).await);
    let answer = asks.check(question(CLIENT, page())).await.unwrap();
    let request_headers = [("x-tidegate-ticket".to_owned(), ticket(answer.get_ref()))];
    let entry = HttpAccessLogEntry {
        request: Some(HttpRequestProperties {
            request_headers: request_headers.into_iter().collect(),
            ..HttpRequestProperties::default()
        }),
        response: Some(HttpResponseProperties {
            response_code: Some(200),
            ..HttpResponseProperties::default()
        }),
        ..HttpAccessLogEntry::default()
    };
    let log_entries = Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry: vec![entry] }));
    let message = StreamAccessLogsMessage { log_entries, ..StreamAccessLogsMessage::default() };
    let message = framed(&message.encode_to_vec());
    let (mut send, connection) = h2(&gate).await;
    let (request, pass) = call(&gate, LOGS);
    let _answer = tokio::spawn(send.send_request(request));
    pass.send(message.clone()).await.unwrap();
    pass.send(message.slice(..10)).await.unwrap();
    metric(&gate, "tidegate_access_log_lines_total{read=\"learned\"} 1").await;
    connection.abort();
    is_served(&gate).await;
    metric(&gate, "tidegate_outcomes_total 1").await;
    gate.stop().await;
}

#[tokio::test]
async fn garbage_is_closed_and_others_are_served() {
    let gate = gate("").await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let frames: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &[0xff; 4096],
        // A frame of 16 MiB, a frame of settings on a stream, a window that overflows.
        b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        b"\x00\x00\x00\x04\x00\x00\x00\x00\x01",
    ];
    for (n, bytes) in frames.iter().enumerate() {
        let mut stream = TcpStream::connect(gate.grpc.unwrap()).await.unwrap();
        if n > 2 {
            stream.write_all(preface).await.unwrap();
            // Settings of our own, with which a connection begins.
            stream.write_all(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00").await.unwrap();
        }
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("still open");
        assert!(!answer.starts_with(b"HTTP/1"), "{answer:?}");
    }
    is_served(&gate).await;
    gate.stop().await;
}

#[tokio::test]
async fn a_megabyte_of_fields_is_decided_in_a_question_and_refused_around_it() {
    let gate = gate("").await;
    let mut asks =
        AuthorizationClient::new(channel(&gate).await).max_encoding_message_size(8 << 20);
    let field = |n: usize| HeaderValue {
        key: format!("x-field-{n}"),
        raw_value: vec![0xff; 1000].into(),
        ..HeaderValue::default()
    };
    let headers = (0..1000).map(field).collect();
    let http = HttpRequest { header_map: Some(HeaderMap { headers }), ..page() };
    let answer = asks.check(question(CLIENT, http)).await.unwrap();
    assert_eq!(ticket(answer.get_ref()).len(), 66);
    let headers = (0..1000).map(|n| (format!("x-field-{n}"), "a".repeat(1000))).collect();
    let answer = asks.check(question(CLIENT, HttpRequest { headers, ..page() })).await.unwrap();
    assert_eq!(ticket(answer.get_ref()).len(), 66);
    // A text that is none breaks the message (protobuf: strings are UTF-8): an error, not a guess.
    let mut http = HttpRequest { path: "/X".into(), ..page() };
    http.headers.insert("x-a".into(), "PLACE".into());
    let mut broken = question(CLIENT, http).encode_to_vec();
    let at = broken.windows(5).position(|w| w == b"PLACE").unwrap();
    broken[at] = 0xff;
    let (mut send, _connection) = h2(&gate).await;
    let (request, pass) = call(&gate, CHECK);
    pass.send(framed(&broken)).await.unwrap();
    drop(pass);
    assert_eq!(status(send.send_request(request).await.unwrap()).await, "13");
    // The call's own fields are bounded: 16 KiB of them, hyper says.
    let (mut request, _pass) = call(&gate, CHECK);
    for n in 0..1000 {
        let name = http::HeaderName::try_from(format!("x-field-{n}")).unwrap();
        request.headers_mut().insert(name, http::HeaderValue::try_from("a".repeat(1000)).unwrap());
    }
    let refused = timeout(SOON, send.send_request(request)).await.expect("no answer");
    assert!(refused.is_err() || refused.unwrap().status() == 431);
    is_served(&gate).await;
    gate.stop().await;
}

/// Memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_idle_connections_cost_little_and_others_are_served() {
    const IDLE: usize = 2000;
    assert!(rlimit::increase_nofile_limit(8192).unwrap() >= 8192, "raise the limit of open files");
    let gate = gate("").await;
    is_served(&gate).await;
    let mut sizes = vec![resident()];
    for _ in 0..5 {
        let mut idle = Vec::new();
        for n in 0..IDLE {
            let mut stream = TcpStream::connect(gate.grpc.unwrap()).await.unwrap();
            // Half of them say that they speak HTTP/2, and half nothing at all.
            if n % 2 == 0 {
                let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
                stream.write_all(hello).await.unwrap();
                let mut settings = [0; 9];
                timeout(SOON, stream.read_exact(&mut settings)).await.unwrap().unwrap();
            }
            idle.push(stream);
        }
        is_served(&gate).await;
        sizes.push(resident());
        drop(idle);
    }
    // Both ends of them are in this process: the first wave may cost 64 KiB each. Of the next one the
    // end of the first may still be under way on a busy machine; those after it cost nothing.
    assert!(sizes[1] < sizes[0] + IDLE * (64 << 10), "{sizes:?}");
    assert!(sizes[5] < sizes[3] + (32 << 20), "{sizes:?}");
    gate.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_for_one_to_end() {
    let gate = gate("max_connections: 2").await;
    let held = [channel(&gate).await, channel(&gate).await];
    for channel in &held {
        AuthorizationClient::new(channel.clone()).check(question(CLIENT, page())).await.unwrap();
    }
    let mut third = AuthorizationClient::new(
        Channel::from_shared(format!("http://{}", gate.grpc.unwrap())).unwrap().connect_lazy(),
    );
    let asked = third.check(question(CLIENT, page()));
    tokio::pin!(asked);
    let early = timeout(Duration::from_millis(300), asked.as_mut()).await;
    assert!(early.is_err(), "a third connection was served");
    drop(held);
    timeout(SOON, asked).await.expect("no answer").unwrap();
    gate.stop().await;
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_gone_and_one_that_does_stays() {
    let gate = gate("timeouts: {idle: 2s}").await;
    let (mut send, connection) = h2(&gate).await;
    let mut dead = TcpStream::connect(gate.grpc.unwrap()).await.unwrap();
    dead.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        .await
        .unwrap();
    let mut heard = Vec::new();
    let _ = timeout(SOON, dead.read_to_end(&mut heard)).await.expect("still open");
    // It was asked: frames of kind 6.
    assert!(heard.windows(4).any(|head| head == [0, 0, 8, 6]), "{heard:?}");
    assert!(!connection.is_finished());
    let (request, pass) = call(&gate, CHECK);
    pass.send(framed(&question(CLIENT, page()).encode_to_vec())).await.unwrap();
    drop(pass);
    assert_eq!(status(send.send_request(request).await.unwrap()).await, "0");
    gate.stop().await;
}
