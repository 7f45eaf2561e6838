//! The gRPC door: its connections, and which service answers which path.
//!
//! tonic's server would do as well; what it has between HTTP/2 and a service (a router, layers that nothing
//! here needs, a box for each) is a part of what every question costs. The services are tonic's.

use crate::askers::Askers;
use crate::door::{Caller, Door};
use crate::envoy::Envoy;
use crate::gateway::may_ask;
use crate::reflection;
use crate::shared::Shared;
use axum::serve::Listener;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tidegate_envoy::envoy::service::accesslog::v3::access_log_service_server::AccessLogServiceServer;
use tidegate_envoy::envoy::service::auth::v3::authorization_server::AuthorizationServer;
use tidegate_envoy::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessorServer;
use tidegate_envoy::envoy::service::rate_limit_quota::v3::rate_limit_quota_service_server::RateLimitQuotaServiceServer;
use tidegate_envoy::envoy::service::ratelimit::v3::rate_limit_service_server::RateLimitServiceServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tower_service::Service;

/// Largest message: headers of a megabyte and all around them.
const MOST_BYTES: usize = 4 << 20;
/// Most calls at once on one connection: of the processor there is one for each request in flight.
const MOST_CALLS: u32 = 16_384;

/// The same on a connection of somebody who may not ask.
const FEW_CALLS: u32 = 16;
/// How often it is looked whether a caller may still ask.
const LOOK: Duration = Duration::from_secs(1);
/// What is said to somebody who may not ask.
const STRANGER: &str =
    "only gateways may ask here: name this one's address in identity.trusted_hops";
/// The services for gateways; others anybody may ask.
const OWN: [&str; 5] = [
    AuthorizationServer::<Envoy>::NAME,
    AccessLogServiceServer::<Envoy>::NAME,
    RateLimitServiceServer::<Envoy>::NAME,
    ExternalProcessorServer::<Envoy>::NAME,
    RateLimitQuotaServiceServer::<Envoy>::NAME,
];

/// Serves Envoy until told to stop, and then what is in flight.
pub(crate) async fn serve(shared: Arc<Shared>, mut door: Door, stop: CancellationToken) {
    let services = Services::new(&shared, &stop).await;
    let mut http = http2::Builder::new(TokioExecutor::new());
    // A silent peer is asked whether it is there (HTTP/2 PING), and has as long to answer.
    http.timer(TokioTimer::new())
        .keep_alive_interval(door.idle_timeout)
        .keep_alive_timeout(door.idle_timeout)
        .auto_date_header(false);
    let connections = GracefulShutdown::new();
    loop {
        let (connection, caller) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = door.accept() => accepted,
        };
        tokio::spawn(served(&mut http, &connections, services.clone(), connection, caller));
    }
    connections.shutdown().await;
}

/// One connection, until it ends or who is at its other end may not ask any more: the streams on it would
/// last for as long as the caller likes.
fn served<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    http: &mut http2::Builder<TokioExecutor>,
    connections: &GracefulShutdown,
    services: Services,
    stream: S,
    caller: Caller,
) -> impl Future<Output = ()> + Send + use<S> {
    let shared = Arc::clone(&services.shared);
    let known = may_ask(&shared, caller);
    http.max_concurrent_streams(if known { MOST_CALLS } else { FEW_CALLS });
    let service = service_fn(move |request| services.call(caller, request));
    let served = connections.watch(http.serve_connection(TokioIo::new(stream), service));
    let dismissed = async move {
        while may_ask(&shared, caller) {
            tokio::time::sleep(LOOK).await;
        }
    };
    async move {
        tokio::select! {
            served = served => if let Err(error) = served {
                tracing::debug!(%error, "a gRPC connection broke");
            },
            () = dismissed, if known => {
                tracing::info!(addr = %caller.addr, "a gateway may not ask any more: its connection is closed");
            }
        }
    }
}

/// Health and reflection, which are asked rarely.
async fn others() -> Routes {
    let (health, service) = tonic_health::server::health_reporter();
    for name in OWN {
        health.set_service_status(name, ServingStatus::Serving).await;
    }
    let mut routes = Routes::new(service);
    let (reflection, reflection_alpha) = reflection::services(&OWN);
    if let Some(service) = reflection {
        routes = routes.add_service(service);
    }
    if let Some(service) = reflection_alpha {
        routes = routes.add_service(service);
    }
    routes.prepare()
}

/// The services.
#[derive(Clone)]
struct Services {
    shared: Arc<Shared>,
    askers: Arc<Askers>,
    authorization: AuthorizationServer<Envoy>,
    access_log: AccessLogServiceServer<Envoy>,
    rate_limit: RateLimitServiceServer<Envoy>,
    processor: ExternalProcessorServer<Envoy>,
    quotas: RateLimitQuotaServiceServer<Envoy>,
    others: Routes,
}

impl Services {
    async fn new(shared: &Arc<Shared>, stop: &CancellationToken) -> Self {
        let envoy = Arc::new(Envoy::new(Arc::clone(shared), stop.clone()));
        let own = || Arc::clone(&envoy);
        Self {
            shared: Arc::clone(shared),
            askers: Arc::clone(&envoy.askers),
            authorization: AuthorizationServer::from_arc(own())
                .max_decoding_message_size(MOST_BYTES),
            access_log: AccessLogServiceServer::from_arc(own())
                .max_decoding_message_size(MOST_BYTES),
            rate_limit: RateLimitServiceServer::from_arc(own())
                .max_decoding_message_size(MOST_BYTES),
            processor: ExternalProcessorServer::from_arc(own())
                .max_decoding_message_size(MOST_BYTES),
            quotas: RateLimitQuotaServiceServer::from_arc(own())
                .max_decoding_message_size(MOST_BYTES),
            others: others().await,
        }
    }

    /// The answer to a call.
    fn call(
        &self,
        caller: Caller,
        mut request: Request<Incoming>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>> {
        let service = request.uri().path().split('/').nth(1).unwrap_or("");
        if OWN.contains(&service) && !may_ask(&self.shared, caller) {
            // Before anything of the message is read.
            return Box::pin(async { Ok(Status::permission_denied(STRANGER).into_http()) });
        }
        if service == AuthorizationServer::<Envoy>::NAME
            || service == ExternalProcessorServer::<Envoy>::NAME
        {
            self.askers.asked(caller.addr, self.shared.now());
        }
        match service {
            AuthorizationServer::<Envoy>::NAME => self.authorization.clone().call(request),
            RateLimitServiceServer::<Envoy>::NAME => self.rate_limit.clone().call(request),
            ExternalProcessorServer::<Envoy>::NAME => self.processor.clone().call(request),
            AccessLogServiceServer::<Envoy>::NAME => {
                request.extensions_mut().insert(caller);
                self.access_log.clone().call(request)
            }
            RateLimitQuotaServiceServer::<Envoy>::NAME => self.quotas.clone().call(request),
            _ => {
                let mut others = self.others.clone();
                Box::pin(async move { others.call(request).await })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Resolved;
    use crate::shared::Live;
    use bytes::Bytes;
    use http_body_util::{BodyExt, StreamBody};
    use hyper::body::Frame;
    use tidegate_engine::{Engine, Policy};
    use tokio::time::timeout;

    type Message = Result<Frame<Bytes>, Infallible>;

    #[tokio::test]
    async fn who_may_not_ask_any_more_keeps_no_stream() {
        let mut policy = Policy::default();
        policy.identity.trusted.insert("192.0.2.0/24".parse().unwrap(), ());
        let engine = Arc::new(Engine::new(policy, Default::default()));
        let live = Live::new(&Resolved::defaults().unwrap(), None);
        let shared = Arc::new(Shared::new(Arc::clone(&engine), live, Vec::new()));
        let services = Services::new(&shared, &CancellationToken::new()).await;
        let mut http = http2::Builder::new(TokioExecutor::new());
        let connections = GracefulShutdown::new();
        let mut open = Vec::new();
        for (addr, certified) in [([192, 0, 2, 1], false), ([192, 0, 2, 2], true)] {
            let caller = Caller { addr: addr.into(), certified };
            let (near, far) = tokio::io::duplex(1 << 16);
            tokio::spawn(served(&mut http, &connections, services.clone(), far, caller));
            let (mut send, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(near))
                    .await
                    .unwrap();
            tokio::spawn(connection);
            for name in
                [RateLimitQuotaServiceServer::<Envoy>::NAME, ExternalProcessorServer::<Envoy>::NAME]
            {
                let method =
                    if name.contains("quota") { "StreamRateLimitQuotas" } else { "Process" };
                let nothing = StreamBody::new(futures_util::stream::pending::<Message>());
                let request = Request::post(format!("http://gate/{name}/{method}"))
                    .header("content-type", "application/grpc")
                    .body(nothing)
                    .unwrap();
                let response = send.send_request(request).await.unwrap();
                assert!(!response.headers().contains_key("grpc-status"), "{response:?}");
                open.push((certified, response.into_body()));
            }
        }
        engine.reload(Policy::default());
        // Those by their address first.
        for (certified, body) in &mut open {
            let patience = if *certified { Duration::ZERO } else { LOOK * 15 };
            let frame = timeout(patience, body.frame()).await;
            assert_eq!(frame.is_err(), *certified, "{frame:?}");
        }
    }
}
