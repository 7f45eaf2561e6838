//! The gRPC door as a client of the protocol sees it: defined answers to whatever is sent, and health.

use crate::common::{Gate, grpc, question};
use hyper_util::client::legacy::connect::HttpConnector;
use tidegate_envoy::envoy::config::core::v3::address::Address as AnyAddress;
use tidegate_envoy::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, Node, SocketAddress,
};
use tidegate_envoy::envoy::data::accesslog::v3::{
    AccessLogCommon, HttpAccessLogEntry, HttpRequestProperties, HttpResponseProperties,
};
use tidegate_envoy::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use tidegate_envoy::envoy::service::accesslog::v3::access_log_service_client::AccessLogServiceClient;
use tidegate_envoy::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, Identifier, LogEntries,
};
use tidegate_envoy::envoy::service::auth::v3::attribute_context::HttpRequest;
use tidegate_envoy::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tidegate_envoy::envoy::service::auth::v3::check_response::HttpResponse;
use tidegate_envoy::envoy::service::auth::v3::{AttributeContext, CheckRequest, CheckResponse};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

fn get(path: &str) -> HttpRequest {
    HttpRequest { method: "GET".into(), path: path.into(), ..HttpRequest::default() }
}

/// The ticket of an answer that lets pass.
fn ticket(answer: &CheckResponse) -> Option<String> {
    match answer.http_response.as_ref()? {
        HttpResponse::OkResponse(pass) => {
            let header = pass.headers.first()?.header.as_ref()?;
            assert_eq!(header.key, "x-tidegate-ticket");
            Some(header.value.clone())
        }
        _ => None,
    }
}

#[tokio::test]
async fn every_question_has_an_answer() {
    let (gate, channel) = grpc("", "rules: [{name: two, limit: 2/min}]").await;
    let mut asks = AuthorizationClient::new(channel.clone()).max_encoding_message_size(64 << 20);
    for question in [
        CheckRequest::default(),
        question("not an address", get("/")),
        CheckRequest { attributes: Some(AttributeContext::default()) },
        CheckRequest {
            attributes: question("203.0.113.1", get("/"))
                .attributes
                .map(|attributes| AttributeContext { request: None, ..attributes }),
        },
    ] {
        let refused = asks.check(question).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("attributes."), "{refused}");
    }
    // What is no text, no field or no path is decided all the same.
    let raw = |key: &str, raw: &[u8]| HeaderValue {
        key: key.into(),
        raw_value: raw.to_vec().into(),
        ..HeaderValue::default()
    };
    let headers = vec![
        raw(":path", b"/"),
        raw("user-agent", b"\xff\xfe"),
        raw("bad name", b"x"),
        raw("cookie", b"a\nb"),
        raw("x-long", &vec![b'a'; 1 << 20]),
        raw("x-forwarded-for", b"6.6.6.6, \xff"),
    ];
    let header_map = Some(HeaderMap { headers });
    for http in [HttpRequest::default(), HttpRequest { header_map, ..get("\u{fffd}") }] {
        let answer = asks.check(question("203.0.113.2", http)).await.unwrap().into_inner();
        assert_eq!(ticket(&answer).unwrap().len(), 66);
    }
    // The third of one client is too many.
    let third = asks.check(question("203.0.113.2", get("/"))).await.unwrap().into_inner();
    assert_eq!(third.status.unwrap().code, Code::ResourceExhausted as i32);
    let Some(HttpResponse::DeniedResponse(denied)) = third.http_response else { panic!() };
    assert_eq!(denied.status.unwrap().code, 429);
    assert!(denied.body.contains("quota"), "{}", denied.body);
    let named = |name: &str| {
        denied.headers.iter().any(|option| option.header.as_ref().is_some_and(|h| h.key == name))
    };
    assert!(named("retry-after") && named("ratelimit") && named("content-type"));
    // Too large is refused, and the connection goes on.
    let large = HttpRequest { body: "a".repeat(5 << 20), ..get("/") };
    assert_eq!(
        asks.check(question("203.0.113.3", large)).await.unwrap_err().code(),
        Code::OutOfRange
    );
    assert!(asks.check(question("203.0.113.3", get("/"))).await.is_ok());
    let mut health = HealthClient::new(channel);
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        let asked = HealthCheckRequest { service: service.into() };
        assert_eq!(health.check(asked).await.unwrap().into_inner().status, 1, "{service}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn what_a_stream_tells_is_learned_and_the_rest_counted() {
    let (gate, channel) = grpc("", "").await;
    let mut asks = AuthorizationClient::new(channel.clone());
    let answer = asks.check(question("203.0.113.9", get("/"))).await.unwrap().into_inner();
    let ticket = ticket(&answer).unwrap();
    let entry = |ticket: Option<&str>, status: Option<u32>| {
        let fields = ticket.map(|ticket| ("x-tidegate-ticket".to_owned(), ticket.to_owned()));
        HttpAccessLogEntry {
            request: Some(HttpRequestProperties {
                request_headers: fields.into_iter().collect(),
                ..HttpRequestProperties::default()
            }),
            response: Some(HttpResponseProperties {
                response_code: status,
                ..HttpResponseProperties::default()
            }),
            ..HttpAccessLogEntry::default()
        }
    };
    let log_entry = vec![
        entry(Some(&ticket), Some(200)),
        entry(None, Some(200)),
        entry(Some("zz"), Some(200)),
        entry(Some(&ticket), None),
        entry(Some(&ticket), Some(0)),
        entry(Some(&ticket), Some(99_999)),
    ];
    let logs = Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry }));
    let messages = vec![
        StreamAccessLogsMessage::default(),
        StreamAccessLogsMessage { log_entries: logs, ..StreamAccessLogsMessage::default() },
    ];
    let mut streams = AccessLogServiceClient::new(channel);
    streams.stream_access_logs(futures_util::stream::iter(messages)).await.unwrap();
    let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
    for (read, count) in
        [("learned", 1), ("without_ticket", 1), ("unreadable", 1), ("unanswered", 3)]
    {
        let line = format!("tidegate_access_log_lines_total{{read=\"{read}\"}} {count}");
        assert!(text.lines().any(|l| l == line), "{line} not in {text}");
    }
    assert!(text.contains("tidegate_outcomes_total 1\n"));
    gate.stop().await;
}

/// A connection to the gRPC door from this address of loopback.
async fn from(gate_at: &str, address: [u8; 4]) -> Channel {
    let mut connector = HttpConnector::new();
    connector.set_local_address(Some(address.into()));
    let endpoint = Channel::from_shared(gate_at.to_owned()).unwrap();
    endpoint.connect_with_connector(connector).await.unwrap()
}

/// Streams the log of a node: each of its requests is of another client, and has a ticket or none.
async fn logs(channel: &Channel, node: &str, tickets: &[Option<&str>]) {
    let entry = |(n, ticket): (usize, &Option<&str>)| {
        let fields = ticket.map(|ticket| ("x-tidegate-ticket".to_owned(), ticket.to_owned()));
        let socket =
            SocketAddress { address: format!("203.0.113.{n}"), ..SocketAddress::default() };
        let client = Address { address: Some(AnyAddress::SocketAddress(socket)) };
        HttpAccessLogEntry {
            common_properties: Some(AccessLogCommon {
                downstream_remote_address: Some(client),
                ..AccessLogCommon::default()
            }),
            request: Some(HttpRequestProperties {
                request_headers: fields.into_iter().collect(),
                path: "/".into(),
                ..HttpRequestProperties::default()
            }),
            response: Some(HttpResponseProperties {
                response_code: Some(200),
                ..HttpResponseProperties::default()
            }),
            ..HttpAccessLogEntry::default()
        }
    };
    let log_entry = tickets.iter().enumerate().map(entry).collect();
    let node = Some(Node { id: node.into(), ..Node::default() });
    let message = StreamAccessLogsMessage {
        identifier: Some(Identifier { node, ..Identifier::default() }),
        log_entries: Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry })),
    };
    let mut streams = AccessLogServiceClient::new(channel.clone());
    streams.stream_access_logs(futures_util::stream::iter([message])).await.unwrap();
}

/// How many lines of logs were read so.
async fn lines(gate: &Gate, read: &str) -> u64 {
    let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
    let name = format!("tidegate_access_log_lines_total{{read=\"{read}\"}} ");
    let count = text.lines().find_map(|line| line.strip_prefix(&name));
    count.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test]
async fn an_envoy_that_asks_silences_no_other_one() {
    let (gate, first) = grpc("", "").await;
    let url = format!("http://{}", gate.grpc.unwrap());
    let second = from(&url, [127, 0, 0, 2]).await;
    let mut asks = AuthorizationClient::new(first.clone());
    let answer = asks.check(question("203.0.113.9", get("/"))).await.unwrap().into_inner();
    let ticket = ticket(&answer).unwrap();
    // Of an address that asks: what has no ticket was not to be asked about.
    logs(&first, "edge", &[None]).await;
    assert_eq!((lines(&gate, "without_ticket").await, lines(&gate, "observed").await), (1, 0));
    // Another address does not ask, and a ticket that nobody gave out changes nothing.
    let made_up = "0".repeat(66);
    logs(&second, "inner", &[None, Some(&made_up), None]).await;
    assert_eq!((lines(&gate, "learned").await, lines(&gate, "observed").await), (0, 3));
    // Two behind one address, as soon as one of them has a ticket.
    logs(&first, "edge", &[Some(&ticket), None]).await;
    logs(&first, "inner", &[None]).await;
    assert_eq!((lines(&gate, "learned").await, lines(&gate, "observed").await), (1, 4));
    assert_eq!(lines(&gate, "without_ticket").await, 2);
    // Who asks by one address and streams from another.
    logs(&second, "edge", &[Some(&ticket), None]).await;
    assert_eq!((lines(&gate, "learned").await, lines(&gate, "observed").await), (2, 4));
    gate.stop().await;
}
