//! Envoy over gRPC: it asks about each request (`envoy.service.auth.v3`) and streams its access log
//! (`envoy.service.accesslog.v3`), by which it tells what came of them.
//!
//! The answer adds the ticket to the request that goes upstream, where the access log finds it: the
//! logger has to be told to send the field `x-tidegate-ticket`.

use crate::door::{Caller, Door};
use crate::gateway::{TICKET, answer, may_ask};
use crate::identify::Forwarded;
use crate::reflection;
use crate::shared::{Shared, Verdict};
use envoy_types::pb::envoy::config::core::v3::{
    HeaderMap as EnvoyHeaders, HeaderValue as EnvoyHeader, HeaderValueOption, address::Address,
};
use envoy_types::pb::envoy::data::accesslog::v3::HttpAccessLogEntry;
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_server::{
    AccessLogService, AccessLogServiceServer,
};
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::LogEntries;
use envoy_types::pb::envoy::service::accesslog::v3::{
    StreamAccessLogsMessage, StreamAccessLogsResponse,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::rpc::Status as RpcStatus;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Collected};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate_behavior::Outcome;
use tidegate_behavior::address::canonical;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};

/// Largest message: headers of a megabyte and all around them.
const MOST_BYTES: usize = 4 << 20;

/// Serves Envoy until told to stop.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    door: Door,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let envoy = Envoy { shared, stop: stop.clone() };
    let authorization =
        AuthorizationServer::new(envoy.clone()).max_decoding_message_size(MOST_BYTES);
    let access_log = AccessLogServiceServer::new(envoy).max_decoding_message_size(MOST_BYTES);
    let (health, service) = tonic_health::server::health_reporter();
    // A silent peer is asked whether it is there (HTTP/2 PING), and has as long to answer.
    let idle = door.idle_timeout;
    let (reflection, reflection_alpha) = reflection::services(&[
        tonic_health::pb::health_server::SERVICE_NAME,
        AuthorizationServer::<Envoy>::NAME,
        AccessLogServiceServer::<Envoy>::NAME,
    ]);
    health.set_serving::<AuthorizationServer<Envoy>>().await;
    health.set_serving::<AccessLogServiceServer<Envoy>>().await;
    Server::builder()
        .http2_keepalive_interval(Some(idle))
        .http2_keepalive_timeout(Some(idle))
        .add_service(service)
        .add_optional_service(reflection)
        .add_optional_service(reflection_alpha)
        .add_service(authorization)
        .add_service(access_log)
        .serve_with_incoming_shutdown(door, stop.cancelled_owned())
        .await
}

#[derive(Clone)]
struct Envoy {
    shared: Arc<Shared>,
    /// Streams of access logs end by this alone.
    stop: CancellationToken,
}

impl Envoy {
    /// Refuses whoever is no gateway.
    fn admit<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let caller = request.extensions().get::<Caller>();
        if caller.is_some_and(|caller| may_ask(&self.shared, *caller)) {
            return Ok(());
        }
        Err(Status::permission_denied(
            "only gateways may ask here: name this one's address in identity.trusted_hops",
        ))
    }
}

#[tonic::async_trait]
impl Authorization for Envoy {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        self.admit(&request)?;
        let attributes = request.into_inner().attributes.unwrap_or_default();
        let client = attributes.source.and_then(|peer| match peer.address?.address? {
            Address::SocketAddress(socket) => socket.address.parse().ok().map(canonical),
            _ => None,
        });
        let Some(client) = client else {
            return Err(Status::invalid_argument("attributes.source has no IP address"));
        };
        let Some(http) = attributes.request.and_then(|request| request.http) else {
            return Err(Status::invalid_argument("attributes.request.http is missing"));
        };
        Ok(Response::new(self.decide(client, http).await))
    }
}

impl Envoy {
    async fn decide(&self, client: IpAddr, http: HttpRequest) -> CheckResponse {
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
        match answer(&self.shared, client, &headers, forwarded).await {
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
                let (head, body) = response.into_parts();
                let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
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

fn options(fields: &HeaderMap) -> Vec<HeaderValueOption> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    fields.iter().map(|(name, value)| option(name.as_str(), text(value))).collect()
}

/// The fields of a request, and their names in order if Envoy sends them raw.
fn read(http: &HttpRequest) -> (HeaderMap, String) {
    let mut headers = HeaderMap::new();
    // What is no field of HTTP/1.1, like `:path`, is not one here.
    let mut add = |name: &str, value: &[u8]| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value).ok()?;
        headers.append(name, value);
        Some(())
    };
    let Some(EnvoyHeaders { headers: raw }) = &http.header_map else {
        for (name, value) in &http.headers {
            add(name, value.as_bytes());
        }
        return (headers, String::new());
    };
    let mut names = String::new();
    for EnvoyHeader { key, value, raw_value } in raw {
        let value = if raw_value.is_empty() { value.as_bytes() } else { raw_value };
        if add(key, value).is_some() {
            names.push_str(key);
            names.push(',');
        }
    }
    names.pop();
    (headers, names)
}

#[tonic::async_trait]
impl AccessLogService for Envoy {
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        self.admit(&request)?;
        let mut stream = request.into_inner();
        // A stream that is cut leaves what it has said.
        loop {
            let message = tokio::select! {
                () = self.stop.cancelled() => break,
                message = stream.message() => message?,
            };
            let Some(message) = message else { break };
            if let Some(LogEntries::HttpLogs(logs)) = message.log_entries {
                logs.log_entry.into_iter().for_each(|entry| self.learn(entry));
            }
        }
        Ok(Response::new(StreamAccessLogsResponse {}))
    }
}

impl Envoy {
    fn learn(&self, entry: HttpAccessLogEntry) {
        let request = entry.request.unwrap_or_default();
        let ticket = request.request_headers.get(TICKET.as_str()).map(|ticket| ticket.parse());
        let kind = match (ticket, entry.response) {
            (None, _) => "without_ticket",
            (Some(Ok(ticket)), Some(response)) => {
                let common = entry.common_properties.unwrap_or_default();
                let status = response.response_code.and_then(|code| u16::try_from(code.value).ok());
                let duration = common.time_to_last_downstream_tx_byte.and_then(|time| {
                    let seconds = u64::try_from(time.seconds).ok()?;
                    Some(Duration::new(seconds, u32::try_from(time.nanos).ok()?.min(999_999_999)))
                });
                let bytes = response.response_body_bytes;
                match status.filter(|status| (100..1000).contains(status)) {
                    Some(status) => {
                        self.shared.outcome(&ticket, &Outcome { status, bytes, duration });
                        "learned"
                    }
                    // The client went away before there was an answer.
                    None => "unanswered",
                }
            }
            _ => "unreadable",
        };
        self.shared.metrics.report(kind);
    }
}
