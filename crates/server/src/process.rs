//! Envoy's external processor (`envoy.service.ext_proc.v3`): a stream for each request, which decides on
//! its head and learns from that of the response.
//!
//! Nothing else has to tell what became of a request: no ticket, no access log. The stream's end without
//! a response gives back what the request holds.

use crate::decisions::Via;
use crate::envoy::{Envoy, options, raw_value, read_raw, whole};
use crate::gateway::{answer, client};
use crate::identify::Forwarded;
use crate::shared::{Shared, Verdict};
use futures_util::Stream;
use http::HeaderMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use tidegate_behavior::Outcome;
use tidegate_behavior::address::canonical;
use tidegate_engine::Ticket;
use tidegate_envoy::envoy::config::core::v3::HeaderValue as EnvoyHeader;
use tidegate_envoy::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use tidegate_envoy::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessor;
use tidegate_envoy::envoy::service::ext_proc::v3::processing_request::Request as Part;
use tidegate_envoy::envoy::service::ext_proc::v3::processing_response::Response as Reply;
use tidegate_envoy::envoy::service::ext_proc::v3::{
    BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, HttpHeaders, ImmediateResponse,
    ProcessingRequest, ProcessingResponse, TrailersResponse,
};
use tidegate_envoy::envoy::r#type::v3::HttpStatus;
use tidegate_limiter::Timestamp;
use tonic::{Request, Response, Status, Streaming};

type Replies = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalProcessor for Envoy {
    type ProcessStream = Replies;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Replies>, Status> {
        let talk = Talk::new(Arc::clone(&self.shared));
        let stop = self.stop.clone();
        let parts = request.into_inner();
        let replies = futures_util::stream::unfold(
            (parts, talk, stop),
            |(mut parts, mut talk, stop)| async {
                loop {
                    let part = tokio::select! {
                        // What is asked is answered while the server drains; what is idle ends.
                        biased;
                        part = parts.message() => part,
                        () = stop.cancelled() => return None,
                    };
                    let Ok(Some(part)) = part else { return None };
                    if let Some(reply) = talk.reply(part).await.transpose() {
                        let reply = reply.map(|reply| ProcessingResponse {
                            response: Some(reply),
                            ..ProcessingResponse::default()
                        });
                        return Some((reply, (parts, talk, stop)));
                    }
                }
            },
        );
        Ok(Response::new(Box::pin(replies)))
    }
}

/// One request, from its head to its end.
struct Talk {
    shared: Arc<Shared>,
    /// Until the response is known.
    passed: Option<(Ticket, Timestamp)>,
    /// For the response.
    fields: HeaderMap,
}

impl Drop for Talk {
    fn drop(&mut self) {
        if let Some((ticket, _)) = self.passed.take() {
            self.shared.release(&ticket);
        }
    }
}

impl Talk {
    fn new(shared: Arc<Shared>) -> Self {
        Self { shared, passed: None, fields: HeaderMap::new() }
    }

    /// The answer to a part of the request or the response; none where none is due.
    async fn reply(&mut self, message: ProcessingRequest) -> Result<Option<Reply>, Status> {
        // Whoever only looks on waits for no answer.
        let wanted = !message.observability_mode;
        let common = || Some(CommonResponse::default());
        let reply = match message.request {
            Some(Part::RequestHeaders(head)) => {
                let source = message.attributes.get("envoy.filters.http.ext_proc");
                let source = source.and_then(|all| {
                    match all.fields.get("source.address")?.kind.as_ref()? {
                        prost_types::value::Kind::StringValue(text) => Some(text.as_str()),
                        _ => None,
                    }
                });
                self.request(&head, source).await?
            }
            Some(Part::ResponseHeaders(head)) => self.response(&head),
            Some(Part::RequestBody(_)) => Reply::RequestBody(BodyResponse { response: common() }),
            Some(Part::ResponseBody(_)) => Reply::ResponseBody(BodyResponse { response: common() }),
            Some(Part::RequestTrailers(_)) => Reply::RequestTrailers(TrailersResponse::default()),
            Some(Part::ResponseTrailers(_)) => Reply::ResponseTrailers(TrailersResponse::default()),
            None => return Ok(None),
        };
        Ok(Some(reply).filter(|_| wanted))
    }

    async fn request(&mut self, head: &HttpHeaders, source: Option<&str>) -> Result<Reply, Status> {
        let raw = head.headers.as_ref().map_or(&[][..], |map| &map.headers);
        let pseudo = |name: &str| raw.iter().find(|field| field.key == name).map_or("", text);
        let (method, uri) = (pseudo(":method"), pseudo(":path"));
        let (headers, names) = read_raw(raw);
        let field = self.shared.live.load().identity.forwarded;
        // Envoy adds whom it saw to the field, unless it is told not to; then it can name it itself.
        let client = match source.and_then(peer) {
            Some(client) => Some((client, field.hops(&headers).collect())),
            None => client(&headers, field),
        };
        let Some((client, hops)) = client else {
            return Err(Status::invalid_argument(
                "nobody says who asks: set use_remote_address, or request_attributes: [source.address]",
            ));
        };
        let forwarded = Forwarded { method, uri, hops: &hops, names: Some(&names) };
        let span = self.shared.span("check", Via::Process, &[&headers], || true);
        match answer(&self.shared, client, &headers, forwarded, (Via::Process, span)).await {
            Verdict::Pass { ticket, fields, .. } => {
                if let Some((before, _)) = self.passed.take() {
                    self.shared.release(&before);
                }
                self.passed = ticket.map(|ticket| (ticket, self.shared.now()));
                self.fields = fields;
                Ok(Reply::RequestHeaders(HeadersResponse {
                    response: Some(CommonResponse::default()),
                }))
            }
            Verdict::Deny(response) => {
                let (head, body) = whole(response).await;
                Ok(Reply::ImmediateResponse(ImmediateResponse {
                    status: Some(HttpStatus { code: head.status.as_u16().into() }),
                    headers: Some(set(&head.headers)),
                    body: body.to_vec(),
                    details: "tidegate".into(),
                    ..ImmediateResponse::default()
                }))
            }
        }
    }

    fn response(&mut self, head: &HttpHeaders) -> Reply {
        let raw = head.headers.as_ref().map_or(&[][..], |map| &map.headers);
        let number =
            |name: &str| raw.iter().find(|field| field.key == name).map_or("", text).parse::<u64>();
        let status = number(":status").ok().and_then(|status| u16::try_from(status).ok());
        if let Some((ticket, begun)) = self.passed.take() {
            match status.filter(|status| (100..1000).contains(status)) {
                Some(status) => {
                    let bytes = number("content-length").unwrap_or(0);
                    let duration = Some(self.shared.now().since(begun));
                    let outcome = Outcome { status, bytes, duration };
                    self.shared.outcome(&ticket, &outcome);
                }
                None => self.shared.release(&ticket),
            }
        }
        let header_mutation = (!self.fields.is_empty()).then(|| set(&self.fields));
        Reply::ResponseHeaders(HeadersResponse {
            response: Some(CommonResponse { header_mutation, ..CommonResponse::default() }),
        })
    }
}

/// Fields as a change of a head; values are raw ones, for Envoy takes no others unless it is told to.
fn set(fields: &HeaderMap) -> HeaderMutation {
    let mut set_headers = options(fields);
    for option in &mut set_headers {
        option.append_action = HeaderAppendAction::OverwriteIfExistsOrAdd.into();
        if let Some(header) = &mut option.header {
            header.raw_value = std::mem::take(&mut header.value).into();
        }
    }
    HeaderMutation { set_headers, ..HeaderMutation::default() }
}

fn text(field: &EnvoyHeader) -> &str {
    std::str::from_utf8(raw_value(field)).unwrap_or("")
}

/// An address with or without a port.
fn peer(text: &str) -> Option<IpAddr> {
    let socket = text.parse::<SocketAddr>().map(|socket| socket.ip());
    socket.or_else(|_| text.parse()).ok().map(canonical)
}
