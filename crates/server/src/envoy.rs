//! Envoy over gRPC: it asks about each request (`envoy.service.auth.v3`).
//!
//! What came of them its access log tells (`streamed.rs`). The answer adds the ticket to the request that
//! goes upstream, where the access log finds it: the logger has to be told to send the field
//! `x-tidegate-ticket`.

use crate::askers::Askers;
use crate::body::Body;
use crate::decisions::Via;
use crate::gateway::{TICKET, answer};
use crate::identify::Forwarded;
use crate::quota::Reporters;
use crate::shared::{Shared, Verdict};
use crate::streamed::address;
use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Collected};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_envoy::envoy::config::core::v3::{
    HeaderMap as EnvoyHeaders, HeaderValue as EnvoyHeader, HeaderValueOption,
};
use tidegate_envoy::envoy::service::auth::v3::attribute_context::HttpRequest;
use tidegate_envoy::envoy::service::auth::v3::authorization_server::Authorization;
use tidegate_envoy::envoy::service::auth::v3::check_response::HttpResponse;
use tidegate_envoy::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use tidegate_envoy::envoy::r#type::v3::HttpStatus;
use tidegate_envoy::google::rpc::Status as RpcStatus;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

/// What all services for Envoy share.
#[derive(Clone)]
pub(crate) struct Envoy {
    pub shared: Arc<Shared>,
    /// Streams of access logs end by this alone.
    pub stop: CancellationToken,
    /// Who asks about requests, so that its access log need not tell of them.
    pub askers: Arc<Askers>,
    /// Who enforces quotas itself.
    pub reporters: Arc<Reporters>,
}

impl Envoy {
    pub(crate) fn new(shared: Arc<Shared>, stop: CancellationToken) -> Self {
        Self { shared, stop, askers: Arc::default(), reporters: Arc::default() }
    }
}

#[tonic::async_trait]
impl Authorization for Envoy {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let (metadata, _, asked) = request.into_parts();
        let attributes = asked.attributes.unwrap_or_default();
        let source = attributes.source.unwrap_or_default();
        let client = address(source.address.as_ref());
        let Some(client) = client else {
            return Err(Status::invalid_argument("attributes.source has no IP address"));
        };
        let Some(http) = attributes.request.and_then(|request| request.http) else {
            return Err(Status::invalid_argument("attributes.request.http is missing"));
        };
        Ok(Response::new(self.decide(client, http, metadata.as_ref()).await))
    }
}

impl Envoy {
    async fn decide(&self, client: IpAddr, http: HttpRequest, call: &HeaderMap) -> CheckResponse {
        let (headers, names) = read(&http);
        let field = self.shared.live.load().identity.forwarded;
        let hops: Vec<&str> = field.hops(&headers).collect();
        let forwarded = Forwarded {
            method: &http.method,
            uri: &http.path,
            hops: &hops,
            // What Envoy sends as a map has no order, and says nothing of the program.
            names: Some(&names),
        };
        // Envoy's own span of the question is nearer than that of the request, if it makes one.
        let span = self.shared.span("check", Via::Grpc, &[call, &headers], || true);
        match answer(&self.shared, client, &headers, forwarded, (Via::Grpc, span)).await {
            Verdict::Pass { ticket, fields, .. } => {
                let ticket = ticket.map(|ticket| option(TICKET.as_str(), ticket.to_string()));
                let pass = OkHttpResponse {
                    headers: ticket.into_iter().collect(),
                    response_headers_to_add: options(&fields),
                    ..OkHttpResponse::default()
                };
                reply(Code::Ok, HttpResponse::OkResponse(pass))
            }
            Verdict::Deny(response) => {
                let (head, body) = whole(response).await;
                let denied = DeniedHttpResponse {
                    status: Some(HttpStatus { code: head.status.as_u16().into() }),
                    headers: options(&head.headers),
                    body: String::from_utf8_lossy(&body).into_owned(),
                };
                let code = match head.status.as_u16() {
                    429 => Code::ResourceExhausted,
                    403 => Code::PermissionDenied,
                    _ => Code::Unavailable,
                };
                reply(code, HttpResponse::DeniedResponse(denied))
            }
        }
    }
}

/// A response of the server's own, with all of its body.
pub(crate) async fn whole(response: http::Response<Body>) -> (Parts, Bytes) {
    let (head, body) = response.into_parts();
    (head, body.collect().await.map(Collected::to_bytes).unwrap_or_default())
}

/// A time as the wire has it; `None` for what is none, such as a negative one.
pub(crate) fn duration(time: &prost_types::Duration) -> Option<Duration> {
    let seconds = u64::try_from(time.seconds).ok()?;
    Some(Duration::new(seconds, u32::try_from(time.nanos).ok()?.min(999_999_999)))
}

/// A time for the wire, at most the longest that it knows.
pub(crate) fn wire(time: Duration) -> prost_types::Duration {
    const MOST: u64 = 315_576_000_000;
    prost_types::Duration {
        seconds: i64::try_from(time.as_secs().min(MOST)).unwrap_or(i64::MAX),
        nanos: time.subsec_nanos().try_into().unwrap_or(0),
    }
}

fn reply(code: Code, response: HttpResponse) -> CheckResponse {
    CheckResponse {
        status: Some(RpcStatus { code: code as i32, ..RpcStatus::default() }),
        http_response: Some(response),
        ..CheckResponse::default()
    }
}

fn option(name: &str, value: String) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(EnvoyHeader { key: name.to_owned(), value, ..EnvoyHeader::default() }),
        ..HeaderValueOption::default()
    }
}

pub(crate) fn options(fields: &HeaderMap) -> Vec<HeaderValueOption> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    fields.iter().map(|(name, value)| option(name.as_str(), text(value))).collect()
}

/// The fields of a request, and their names in order if Envoy sends them raw.
fn read(http: &HttpRequest) -> (HeaderMap, String) {
    if let Some(EnvoyHeaders { headers }) = &http.header_map {
        return read_raw(headers);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &http.headers {
        add(&mut headers, name, value.as_bytes());
    }
    (headers, String::new())
}

/// Fields as Envoy sends them raw, and their names in order.
pub(crate) fn read_raw(raw: &[EnvoyHeader]) -> (HeaderMap, String) {
    let (mut headers, mut names) = (HeaderMap::new(), String::new());
    for field in raw {
        if add(&mut headers, &field.key, raw_value(field)).is_some() {
            names.push_str(&field.key);
            names.push(',');
        }
    }
    names.pop();
    (headers, names)
}

/// The value of a field, whichever way it was sent.
pub(crate) fn raw_value(field: &EnvoyHeader) -> &[u8] {
    if field.raw_value.is_empty() { field.value.as_bytes() } else { &field.raw_value }
}

/// Adds a field; what is none of HTTP/1.1, like `:path`, is not one here.
fn add(headers: &mut HeaderMap, name: &str, value: &[u8]) -> Option<()> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let value = HeaderValue::from_bytes(value).ok()?;
    headers.append(name, value);
    Some(())
}
