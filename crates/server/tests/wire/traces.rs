//! Requests as spans at a collector: what they say, what trace they are part of, and that no request waits
//! for the collector.

use crate::common::{Gate, client, free_port, get, question, text, upstream};
use axum::Router;
use axum::body::Bytes as Body;
use axum::http::HeaderMap;
use axum::routing::{any, post};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidegate_envoy::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use tidegate_envoy::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use tidegate_envoy::envoy::service::auth::v3::attribute_context::HttpRequest;
use tidegate_envoy::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tidegate_envoy::envoy::service::ratelimit::v3::RateLimitRequest;
use tidegate_envoy::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const NOT_SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// A collector that keeps what it gets.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn grpc() -> (Self, SocketAddr) {
        let collector = Self::default();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let service = TraceServiceServer::new(collector.clone());
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve(address));
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (collector, address)
    }

    async fn http() -> (Self, SocketAddr) {
        let collector = Self::default();
        let kept = collector.clone();
        let take = move |headers: HeaderMap, body: Body| async move {
            assert_eq!(headers["content-type"], "application/x-protobuf");
            kept.0.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
            ExportTraceServiceResponse::default().encode_to_vec()
        };
        let address = upstream(Router::new().route("/v1/traces", post(take))).await;
        (collector, address)
    }

    fn spans(&self) -> Vec<Span> {
        let all = self.0.lock().unwrap();
        let scopes = all.iter().flat_map(|request| &request.resource_spans);
        scopes.flat_map(|of| &of.scope_spans).flat_map(|of| of.spans.iter().cloned()).collect()
    }

    /// What it has of this kind, once the server has stopped.
    fn of(&self, kind: SpanKind) -> Vec<Span> {
        self.spans().into_iter().filter(|span| span.kind == kind as i32).collect()
    }
}

/// The attributes of a span as text.
fn said(span: &Span) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(one) => one.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |it: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        let value = it.value.as_ref().and_then(|value| value.value.as_ref());
        (it.key.clone(), value.map(text).unwrap_or_default())
    };
    span.attributes.iter().map(value).collect()
}

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An upstream that answers with the trace that it was told.
async fn echo() -> SocketAddr {
    let told = |headers: HeaderMap| async move {
        let field =
            |name| headers.get(name).map_or("none", |value| value.to_str().unwrap()).to_owned();
        format!("{} {}", field("traceparent"), field("tracestate"))
    };
    upstream(Router::new().fallback(any(told))).await
}

/// What the upstream was told of a request with these fields.
async fn told(gate: &Gate, path: &str, fields: &[(&str, &str)]) -> String {
    let mut request = Request::get(gate.url(path));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::<Bytes>::default()).unwrap();
    text(client().request(request).await.unwrap()).await
}

#[tokio::test]
async fn a_request_is_a_span_and_its_way_to_the_upstream_another_one_below() {
    for grpc in [true, false] {
        let (collector, at) = if grpc { Collector::grpc().await } else { Collector::http().await };
        let protocol = if grpc { "grpc" } else { "http" };
        let up = echo().await;
        let gate = Gate::start(
            up,
            &format!(
                "telemetry: {{otlp: {{endpoint: 'http://{at}', protocol: {protocol}, sample: 1}}}}\n\
                 rules: [{{name: few, limit: 1/h, match: {{path: /few}}}}]"
            ),
        )
        .await;
        let state = [("traceparent", SAMPLED), ("tracestate", "a=1,b=2")];
        let passed = told(&gate, "/a?key=secret", &state).await;
        told(&gate, "/few", &[]).await;
        told(&gate, "/few", &[]).await;
        gate.stop().await;

        let (servers, clients) = (collector.of(SpanKind::Server), collector.of(SpanKind::Client));
        assert_eq!((servers.len(), clients.len()), (3, 2));
        let server = servers.iter().find(|span| hex(&span.trace_id) == TRACE).unwrap();
        let client = clients.iter().find(|span| hex(&span.trace_id) == TRACE).unwrap();
        assert_eq!(hex(&server.parent_span_id), "00f067aa0ba902b7");
        assert_eq!(client.parent_span_id, server.span_id);
        // The upstream was told the span that it is asked within, and the state as it came.
        assert_eq!(passed, format!("00-{TRACE}-{}-01 a=1,b=2", hex(&client.span_id)));
        let (server, client) = (said(server), said(client));
        for (name, value) in [
            ("http.request.method", "GET"),
            ("url.path", "/a"),
            ("http.response.status_code", "200"),
            ("tidegate.door", "proxy"),
            ("tidegate.client", "127.0.0.1"),
            ("tidegate.action", "allow"),
            ("tidegate.allowed", "true"),
            ("tidegate.rule", "adaptive"),
        ] {
            assert_eq!(server[name], value, "{name}: {server:?}");
        }
        assert!(server["tidegate.risk"].parse::<f64>().unwrap() < 1.0);
        assert_eq!(client["url.full"], format!("http://{up}/a"));
        assert_eq!(client["server.port"], up.port().to_string());
        assert_eq!(client["http.response.status_code"], "200");

        let denied: Vec<_> =
            servers.iter().map(said).filter(|it| it["tidegate.allowed"] == "false").collect();
        assert_eq!(denied.len(), 1);
        assert_eq!(denied[0]["tidegate.rule"], "few");
        assert_eq!(denied[0]["http.response.status_code"], "429");
        let all = format!("{:?}", collector.spans());
        assert!(!all.contains("secret"), "{all}");
        let resource = collector.0.lock().unwrap()[0].resource_spans[0].resource.clone().unwrap();
        let service = format!("{:?}", resource.attributes);
        assert!(service.contains("service.name") && service.contains("tidegate"), "{service}");
    }
}

#[tokio::test]
async fn a_known_route_names_the_span() {
    let (collector, at) = Collector::grpc().await;
    let text = format!("telemetry: {{otlp: {{endpoint: 'http://{at}', sample: 1}}}}");
    let gate = Gate::start(echo().await, &text).await;
    // Known once a request to it succeeded.
    for n in 0..3 {
        told(&gate, &format!("/orders/{n}"), &[]).await;
    }
    gate.stop().await;
    let servers = collector.of(SpanKind::Server);
    let last = servers.iter().max_by_key(|span| span.start_time_unix_nano).unwrap();
    assert_eq!(last.name, "GET /orders/{id}");
    assert_eq!(said(last)["http.route"], "/orders/{id}");
    let first = servers.iter().min_by_key(|span| span.start_time_unix_nano).unwrap();
    assert_eq!((first.name.as_str(), said(first).get("http.route")), ("GET", None));
}

#[tokio::test]
async fn the_caller_says_what_is_sampled_and_only_one_that_is_believed() {
    let (collector, at) = Collector::grpc().await;
    let text =
        |sample| format!("telemetry: {{otlp: {{endpoint: 'http://{at}', sample: {sample}}}}}");
    let gate = Gate::start(echo().await, &text(0)).await;
    // What the caller samples is traced though nothing else is, and what it does not stays so.
    let told_of = told(&gate, "/", &[("traceparent", SAMPLED)]).await;
    assert!(told_of.starts_with(&format!("00-{TRACE}-")) && told_of.contains("-01 "), "{told_of}");
    let told_of = told(&gate, "/", &[("traceparent", NOT_SAMPLED)]).await;
    assert!(told_of.starts_with(&format!("00-{TRACE}-")) && told_of.contains("-00 "), "{told_of}");
    // One that begins here and is not sampled says so to those behind.
    let told_of = told(&gate, "/", &[("traceparent", "junk"), ("tracestate", "x=1")]).await;
    assert!(told_of.starts_with("00-") && told_of.ends_with("-00 none"), "{told_of}");
    assert!(!told_of.contains(TRACE), "{told_of}");
    // A reload changes the share.
    let up = echo().await;
    std::fs::write(&gate.path, Gate::text(up, &text(1))).unwrap();
    gate.reloader.reload().unwrap();
    let told_of = told(&gate, "/", &[]).await;
    assert!(told_of.ends_with("-01 none"), "{told_of}");
    gate.stop().await;
    assert_eq!(collector.of(SpanKind::Server).len(), 2);

    // Through a PROXY header comes somebody whom nobody trusts: the trace begins anew.
    let (collector, at) = Collector::grpc().await;
    let gate = Gate::start(
        echo().await,
        &format!(
            "listen: {{address: '127.0.0.1:0', proxy_protocol: true}}\n\
             telemetry: {{otlp: {{endpoint: 'http://{at}', sample: 0}}}}"
        ),
    )
    .await;
    let mut stream = tokio::net::TcpStream::connect(gate.proxy).await.unwrap();
    let sent = format!(
        "PROXY TCP4 203.0.113.9 192.0.2.1 5000 80\r\nGET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
         traceparent: {SAMPLED}\r\n\r\n"
    );
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains(TRACE), "{answer}");
    gate.stop().await;
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn without_a_collector_nothing_of_a_trace_is_touched() {
    let gate = Gate::start(echo().await, "").await;
    assert_eq!(told(&gate, "/", &[("traceparent", "as it came")]).await, "as it came none");
    assert_eq!(told(&gate, "/", &[]).await, "none none");
    gate.stop().await;
}

#[tokio::test]
async fn each_question_of_a_gateway_is_a_span_of_its_trace() {
    let (collector, at) = Collector::grpc().await;
    let ports = [free_port(), free_port()];
    let folder = tempfile::tempdir().unwrap();
    let limits = folder.path().join("limits.yaml");
    let limit = "rate_limit: {unit: hour, requests_per_unit: 1}";
    std::fs::write(&limits, format!("domain: edge\ndescriptors:\n- key: path\n  {limit}\n"))
        .unwrap();
    let gate = Gate::start(
        crate::common::nobody().await,
        &format!(
            "gateway: {{listen: '127.0.0.1:{}', grpc: '127.0.0.1:{}', ratelimit: ['{}']}}\n\
             telemetry: {{otlp: {{endpoint: 'http://{at}', sample: 0}}}}",
            ports[0],
            ports[1],
            limits.display()
        ),
    )
    .await;
    let ask = Request::get(format!("http://127.0.0.1:{}/", ports[0]))
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-forwarded-uri", "/one?key=secret")
        .header("traceparent", SAMPLED)
        .body(Full::<Bytes>::default())
        .unwrap();
    assert_eq!(client().request(ask).await.unwrap().status(), StatusCode::OK);

    let channel = tonic::transport::Channel::from_shared(format!("http://127.0.0.1:{}", ports[1]));
    let channel = channel.unwrap().connect().await.unwrap();
    let mut http =
        HttpRequest { method: "GET".into(), path: "/two".into(), ..HttpRequest::default() };
    http.headers.insert("traceparent".into(), SAMPLED.into());
    let mut asks = AuthorizationClient::new(channel.clone());
    asks.check(question("203.0.113.8", http.clone())).await.unwrap();
    // What Envoy says of its own call is nearer than what the request says.
    let mut call = tonic::Request::new(question("203.0.113.8", http));
    call.metadata_mut().insert("traceparent", SAMPLED.replace("00f0", "00ff").parse().unwrap());
    asks.check(call).await.unwrap();

    let entries = vec![Entry { key: "path".into(), value: "/private".into() }];
    let descriptors = vec![RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }];
    for _ in 0..2 {
        let mut call = tonic::Request::new(RateLimitRequest {
            domain: "edge".into(),
            descriptors: descriptors.clone(),
            ..RateLimitRequest::default()
        });
        call.metadata_mut().insert("traceparent", SAMPLED.parse().unwrap());
        RateLimitServiceClient::new(channel.clone()).should_rate_limit(call).await.unwrap();
    }
    gate.stop().await;

    let spans = collector.spans();
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let all: Vec<_> = spans.iter().map(|span| (span.name.as_str(), said(span))).collect();
    let by = |door: &str| all.iter().filter(|(_, it)| it["tidegate.door"] == door).count();
    assert_eq!((by("http"), by("grpc"), all.len()), (1, 4, 5));
    let one = &all.iter().find(|(_, it)| it["tidegate.door"] == "http").unwrap().1;
    assert_eq!(
        (one["url.path"].as_str(), one["tidegate.client"].as_str()),
        ("/one", "203.0.113.7")
    );
    assert_eq!(one["http.response.status_code"], "200");
    let parents: Vec<_> = spans.iter().map(|span| hex(&span.parent_span_id)).collect();
    assert!(parents.contains(&"00ff67aa0ba902b7".to_owned()), "{parents:?}");
    let limits: Vec<_> = all.iter().filter(|(name, _)| *name == "limit").collect();
    assert_eq!(limits.len(), 2);
    let denied = limits.iter().find(|(_, it)| it["tidegate.allowed"] == "false").unwrap();
    assert_eq!(denied.1["tidegate.domain"], "edge");
    let told = format!("{all:?}");
    assert!(!told.contains("secret") && !told.contains("/private"), "{told}");
}

#[tokio::test]
async fn a_collector_that_takes_nothing_costs_spans_that_are_counted_and_no_request() {
    // Accepts connections, and never says a word.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for at in [silent.local_addr().unwrap(), crate::common::nobody().await] {
        let text =
            format!("mode: shadow\ntelemetry: {{otlp: {{endpoint: 'http://{at}', sample: 1}}}}");
        let gate = Gate::start(echo().await, &text).await;
        let client = client();
        // Two spans each: more than the queue holds and than one batch takes away.
        for _ in 0..2500 {
            let response = get(&client, &gate.url("/")).await;
            assert_eq!(response.status(), StatusCode::OK);
            response.into_body().collect().await.unwrap();
        }
        let (_, metrics) = gate.admin_text("GET", "/metrics", "", None).await;
        let count = |result: &str| -> u64 {
            let series = format!("tidegate_spans_total{{result=\"{result}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
        };
        assert_eq!(count("exported"), 0);
        assert!(count("failed") + count("dropped") > 0, "{metrics}");
        gate.stop().await;
    }
}

#[tokio::test]
async fn times_name_the_trace_of_a_request_of_each_class() {
    let (_collector, at) = Collector::grpc().await;
    let text = format!("telemetry: {{otlp: {{endpoint: 'http://{at}', sample: 0}}}}");
    let gate = Gate::start(echo().await, &text).await;
    told(&gate, "/", &[]).await;
    let (_, before) = gate.admin_text("GET", "/metrics", "", None).await;
    assert!(!before.contains("trace_id"), "{before}");
    told(&gate, "/", &[("traceparent", SAMPLED)]).await;
    let (_, after) = gate.admin_text("GET", "/metrics", "", None).await;
    for name in ["tidegate_decide_seconds_bucket", "tidegate_upstream_response_seconds_bucket"] {
        let line = after.lines().find(|line| line.starts_with(name) && line.contains("trace_id"));
        assert!(line.unwrap().contains(&format!("# {{trace_id=\"{TRACE}\"}} ")), "{after}");
    }
    gate.stop().await;
}
