//! One proxied request: identify, decide, deny or pass on, and learn what came of it.

use crate::answer;
use crate::body::{Body, Pending, Progress, RequestBody, ResponseBody};
use crate::decisions::Via;
use crate::forward::{self, Hop};
use crate::identify::{Seen, forget};
use crate::server::Slot;
use crate::shared::{Live, Shared, Verdict};
use crate::slow::Taker;
use crate::telemetry::Span;
use crate::upstream::{self, Upstream};
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The proxy as one connection sees it.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub shared: Arc<Shared>,
    pub peer: IpAddr,
    /// Whether the peer can have written forwarded fields at all.
    pub believed: bool,
    pub tls: bool,
    /// Longest silence of the client within a request.
    pub idle: Duration,
    /// Kept by tunnels, which are connections as well.
    pub slot: Arc<Slot>,
    /// Tunnels outlive the connection's task and are drained like it.
    pub tasks: TaskTracker,
    pub kill: CancellationToken,
}

impl Proxy {
    /// Answers one request; every failure is an answer.
    pub(crate) async fn serve(self, request: Request<Incoming>) -> Response<Body> {
        let response = self.decide(request).await;
        self.shared.metrics.response(response.status());
        if let Some(taker) = Taker::current() {
            // A window that is closed from the start keeps even the first piece from being asked for.
            taker.waits();
        }
        response
    }

    async fn decide(&self, request: Request<Incoming>) -> Response<Body> {
        let live = self.shared.live.load_full();
        let policy = self.shared.engine.policy();
        let (mut head, body) = request.into_parts();
        let believed = || self.believed && self.shared.trusts(self.peer);
        let span = self.shared.span("request", Via::Proxy, &[&head.headers], believed);
        if !self.believed {
            forget(&mut head.headers, &live.identity);
        }
        let seen = Seen::new(&policy.identity, &live.identity, self.peer, &head);
        let hop = Hop { peer: self.peer, tls: self.tls, rules: &policy.identity };
        let verdict = self.shared.verdict(&live, &policy, &seen, Via::Proxy, &span);
        let (ticket, wait, fields) = match verdict {
            Verdict::Deny(response) => {
                span.answered(response.status());
                return response;
            }
            Verdict::Pass { ticket, wait, fields } => (ticket, wait, fields),
        };
        let pending = Pending::new(Arc::clone(&self.shared), ticket, span);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let mut response = self.pass_on(&live, head, body, hop, pending).await;
        response.headers_mut().extend(fields);
        response
    }

    async fn pass_on(
        &self,
        live: &Live,
        mut head: Parts,
        body: Incoming,
        hop: Hop<'_>,
        mut pending: Pending,
    ) -> Response<Body> {
        let mut refuse = |status: StatusCode, detail: &str| {
            pending.passed_on();
            pending.status = status.as_u16();
            answer::problem(status, detail)
        };
        if head.method == Method::CONNECT {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "CONNECT is not served here.");
        }
        let Some(upstream) = &live.upstream else {
            return refuse(StatusCode::BAD_GATEWAY, "There is no upstream.");
        };
        let upgrade = forward::upgrade(&head);
        let client_side = head.extensions.remove::<OnUpgrade>();
        if let Err(e) = forward::request(&mut head, hop, &live.identity, &upstream.config) {
            return refuse(StatusCode::BAD_REQUEST, &e.to_string());
        }
        pending.passed_on();
        let asked = pending.span.upstream(&mut head);
        let response = match self.exchange(upstream, head, body, asked).await {
            Ok(response) => response,
            Err(status) => {
                pending.status = status.as_u16();
                let detail = match status {
                    StatusCode::REQUEST_TIMEOUT => "The request's body took too long.",
                    StatusCode::BAD_REQUEST => "The request's body broke off.",
                    _ => "The upstream gave no answer.",
                };
                return answer::problem(status, detail);
            }
        };
        pending.status = response.status().as_u16();
        match (response.status(), upgrade, client_side) {
            (StatusCode::SWITCHING_PROTOCOLS, Some(_), Some(client_side)) => {
                self.tunnel(response, client_side, pending)
            }
            (StatusCode::SWITCHING_PROTOCOLS, ..) => {
                pending.status = StatusCode::BAD_GATEWAY.as_u16();
                answer::problem(StatusCode::BAD_GATEWAY, "The upstream changed protocol unasked.")
            }
            _ => {
                let (mut head, body) = response.into_parts();
                forward::response(&mut head.headers);
                let body = ResponseBody::new(body, pending, upstream.config.read_timeout);
                Response::from_parts(head, body.boxed_unsync())
            }
        }
    }

    /// Sends the request and waits for the head of the response.
    async fn exchange(
        &self,
        upstream: &Upstream,
        head: Parts,
        body: Incoming,
        span: Span,
    ) -> Result<Response<Incoming>, StatusCode> {
        let progress = Arc::new(Progress::new());
        let body = RequestBody::new(body, Arc::clone(&progress), self.idle);
        let (write, read) = (upstream.config.write_timeout, upstream.config.read_timeout);
        let started = Instant::now();
        let (status, kind) = tokio::select! {
            response = upstream.client.request(Request::from_parts(head, body)) => match response {
                Ok(response) => {
                    span.answered(response.status());
                    self.shared.metrics.upstream_answer(started.elapsed(), span.trace_id());
                    return Ok(response);
                }
                Err(_) if progress.client_silent() => (StatusCode::REQUEST_TIMEOUT, "client"),
                Err(_) if progress.client_failed() => (StatusCode::BAD_REQUEST, "client"),
                Err(e) => {
                    let (status, kind) = upstream::failure(&e);
                    tracing::warn!(error = ?e, upstream = %upstream.config.authority, "upstream failed");
                    (status, kind)
                }
            },
            () = progress.stalled(write, read) => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
        };
        span.failed(kind);
        self.shared.metrics.upstream_failure(kind);
        Err(status)
    }

    /// Joins the two connections after `101 Switching Protocols`.
    fn tunnel(
        &self,
        response: Response<Incoming>,
        client_side: OnUpgrade,
        pending: Pending,
    ) -> Response<Body> {
        let (mut head, _) = response.into_parts();
        let protocol = head.headers.get(UPGRADE).cloned();
        let server_side = head.extensions.remove::<OnUpgrade>();
        forward::response(&mut head.headers);
        head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        if let Some(protocol) = protocol {
            head.headers.insert(UPGRADE, protocol);
        }
        let (kill, slot) = (self.kill.clone(), Arc::clone(&self.slot));
        self.tasks.spawn(async move {
            // The whole of them moves in here: they report when the tunnel ends, not before.
            let (mut pending, _slot) = (pending, slot);
            let Some(server_side) = server_side else { return };
            let copy = async {
                let (client, server) = tokio::try_join!(client_side, server_side).ok()?;
                let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(client));
                let (mut from_server, mut to_server) = tokio::io::split(TokioIo::new(server));
                let up = async {
                    let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
                    let _ = to_server.shutdown().await;
                    std::future::pending::<()>().await;
                };
                // The upstream has the last word: once it has closed, a client that does not
                // close holds nothing here.
                tokio::select! {
                    copied = tokio::io::copy(&mut from_server, &mut to_client) => copied.ok(),
                    () = up => None,
                }
            };
            tokio::select! {
                copied = copy => pending.bytes = copied.unwrap_or(0),
                () = kill.cancelled() => {}
            }
        });
        let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
        Response::from_parts(head, empty)
    }
}
