//! A tower layer: decides before the handler, and learns from its response.

use crate::body::Pending;
use crate::config::{self, ConfigError, Resolved};
use crate::decisions::Via;
use crate::identify::Seen;
use crate::server::in_line;
use crate::shared::{IN_LINE, Live, Shared, Verdict};
use crate::telemetry::Span;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Collected, Full};
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tidegate_engine::{Engine, Setup};
use tower_service::Service;

/// Where the address of the peer stands in the head of a request.
pub type Peer = fn(&Parts) -> Option<IpAddr>;

/// Decides requests before a service sees them, and learns from its responses.
///
/// All clones, and all services made by them, share what is known of clients.
#[derive(Clone)]
pub struct Layer {
    shared: Arc<Shared>,
    peer: Peer,
    /// Whether it was said already that nobody tells the peer's address.
    warned: Arc<AtomicBool>,
}

/// Why a layer can't be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Something that only the server can do.
    #[error("`{0}` needs a server of its own: take it out of the file, or run `tidegate serve`")]
    Server(&'static str),
}

impl Layer {
    /// A layer as a configuration file has it.
    ///
    /// # Errors
    /// When the file is wrong, or asks for what needs a server: `listen`, `gateway`, `challenger`, a
    /// model in the background.
    pub fn load(path: &Path) -> Result<Self, LayerError> {
        Self::new(config::load(path)?)
    }

    /// A layer with the defaults: the learned limit alone, for clients told apart by address.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn with_defaults() -> Result<Self, LayerError> {
        Self::new(Resolved::defaults()?)
    }

    /// A layer of a configuration that was read.
    ///
    /// # Errors
    /// When it asks for what needs a server.
    pub fn new(mut resolved: Resolved) -> Result<Self, LayerError> {
        for (key, asked) in [
            ("listen", !resolved.listen.is_empty()),
            ("gateway", resolved.gateway.is_some()),
            ("challenger", resolved.challenger.is_some()),
            ("model in the background", resolved.advisor.is_some()),
        ] {
            if asked {
                return Err(LayerError::Server(key));
            }
        }
        let (model, in_line) = in_line(&mut resolved).unzip();
        let setup = Setup {
            capacity: resolved.capacity,
            secret: resolved.secret,
            model,
            ..Setup::default()
        };
        let engine = Arc::new(Engine::new(resolved.policy.clone(), setup));
        let shared = Shared::new(engine, Live::new(&resolved, None), Vec::new());
        in_line.into_iter().for_each(|info| shared.model(IN_LINE, info));
        Ok(Self { shared: Arc::new(shared), peer: connected, warned: Arc::default() })
    }

    /// Takes the peer's address from somewhere else than axum's `ConnectInfo<SocketAddr>`.
    ///
    /// Behind a proxy it is the proxy's; name that in `identity.trusted_hops`, and
    /// `X-Forwarded-For` tells the client's.
    #[must_use]
    pub fn with_peer(self, peer: Peer) -> Self {
        Self { peer, ..self }
    }

    /// The engine that decides: counts, clients, reload of the policy.
    #[must_use]
    pub fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.shared.engine)
    }

    /// The metrics as Prometheus reads them (`OpenMetrics` text).
    ///
    /// # Errors
    /// When they can't be written as text.
    pub fn metrics(&self) -> Result<String, std::fmt::Error> {
        self.shared.metrics.text()
    }

    fn peer(&self, head: &Parts) -> IpAddr {
        (self.peer)(head).unwrap_or_else(|| {
            if !self.warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "nobody tells the layer who connects, so all clients without a credential are one: \
                     serve with into_make_service_with_connect_info::<SocketAddr>(), or use with_peer"
                );
            }
            Ipv4Addr::UNSPECIFIED.into()
        })
    }

    fn decide(&self, head: &Parts) -> Verdict {
        let (live, policy) = (self.shared.live.load_full(), self.shared.engine.policy());
        let seen = Seen::new(&policy.identity, &live.identity, self.peer(head), head);
        self.shared.verdict(&live, &policy, &seen, Via::Layer, &Span::default())
    }
}

/// What axum knows of the connection.
fn connected(head: &Parts) -> Option<IpAddr> {
    head.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(addr)| addr.ip())
}

impl<S> tower_layer::Layer<S> for Layer {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, layer: self.clone() }
    }
}

/// A service behind a [`Layer`].
#[derive(Clone)]
pub struct Limited<S> {
    inner: S,
    layer: Layer,
}

impl<S, B, R> Service<Request<B>> for Limited<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<LimitedBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let passed = match self.layer.decide(&head) {
            Verdict::Deny(response) => Err(response),
            // From here on, so that a future that nobody polls gives back what it holds.
            Verdict::Pass { ticket, wait, fields } => {
                let shared = Arc::clone(&self.layer.shared);
                Ok((Pending::new(shared, ticket, Span::default()), wait, fields))
            }
        };
        // The one that was asked whether it is ready is the one to call.
        let another = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, another);
        Box::pin(async move {
            let (mut pending, wait, fields) = match passed {
                Ok(passed) => passed,
                Err(response) => {
                    let (head, body) = response.into_parts();
                    let body = body.collect().await.map(Collected::to_bytes);
                    let kind = Kind::Denied { body: Full::new(body.unwrap_or_default()) };
                    return Ok(Response::from_parts(head, LimitedBody { kind }));
                }
            };
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
            pending.passed_on();
            let response = inner.call(Request::from_parts(head, body)).await?;
            pending.status = response.status().as_u16();
            let (mut head, body) = response.into_parts();
            head.headers.extend(fields);
            Ok(Response::from_parts(head, LimitedBody { kind: Kind::Passed { body, pending } }))
        })
    }
}

pin_project! {
    /// The body of a response: the service's own, or that of a denial.
    pub struct LimitedBody<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = Projected]
    enum Kind<R> {
        Passed {
            #[pin]
            body: R,
            pending: Pending,
        },
        Denied {
            #[pin]
            body: Full<Bytes>,
        },
    }
}

impl<R: Body<Data = Bytes>> Body for LimitedBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project().kind.project() {
            Projected::Passed { body, pending } => {
                let frame = ready!(body.poll_frame(cx));
                if let Some(Ok(frame)) = &frame {
                    pending.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                }
                Poll::Ready(frame)
            }
            Projected::Denied { body } => {
                let frame = ready!(body.poll_frame(cx));
                Poll::Ready(frame.map(|frame| frame.map_err(|never: Infallible| match never {})))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Passed { body, .. } => body.is_end_stream(),
            Kind::Denied { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Passed { body, .. } => body.size_hint(),
            Kind::Denied { body } => body.size_hint(),
        }
    }
}
