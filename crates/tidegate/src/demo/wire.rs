//! How an actor speaks: HTTP/1.1 over kept connections, as one address behind a trusted hop.

use super::cast::{Actor, Cast};
use super::latency::Latency;
use axum::body::Bytes;
use http::header::{CONTENT_TYPE, HOST, REFERER, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpStream;

/// What all actors share.
pub(super) struct Stage {
    /// Where Tidegate listens.
    pub(super) proxy: SocketAddr,
    /// Where the shop itself listens: asked directly only to tell what the way through adds.
    pub(super) shop: SocketAddr,
    pub(super) cast: Cast,
    pub(super) latency: Latency,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    /// The path of the page that led here; empty for none.
    pub(super) referer: String,
    pub(super) form: Option<String>,
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        let (path, referer) = (path.into(), String::new());
        Self { method: Method::GET, path, referer, form: None }
    }

    pub(super) fn post(path: impl Into<String>, form: impl Into<String>) -> Self {
        Self { method: Method::POST, form: Some(form.into()), ..Self::get(path) }
    }

    pub(super) fn from(mut self, referer: &str) -> Self {
        referer.clone_into(&mut self.referer);
        self
    }
}

/// An actor's program: its user agent, the header fields that it always sends, its connections.
pub(super) struct Client {
    pub(super) stage: Arc<Stage>,
    actor: Arc<Actor>,
    agent: Arc<str>,
    fields: &'static [(&'static str, &'static str)],
    through: Line,
    direct: Line,
}

/// The header fields of a browser, beside its name.
pub(super) const BROWSER: &[(&str, &str)] = &[
    ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.7"),
    ("accept-encoding", "identity"),
    ("sec-fetch-site", "same-origin"),
];
/// The header fields of a program.
pub(super) const PROGRAM: &[(&str, &str)] = &[("accept", "*/*")];

impl Client {
    pub(super) fn new(
        stage: &Arc<Stage>,
        actor: &Arc<Actor>,
        agent: impl Into<Arc<str>>,
        fields: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            stage: Arc::clone(stage),
            actor: Arc::clone(actor),
            agent: agent.into(),
            fields,
            through: Line { to: stage.proxy, sender: None },
            direct: Line { to: stage.shop, sender: None },
        }
    }

    /// Sends a request through Tidegate; `None` when the connection failed.
    pub(super) async fn ask(&mut self, call: Call) -> Option<StatusCode> {
        let request = self.request(call)?;
        self.actor.asks();
        let status = self.through.send(request).await?;
        self.actor.answered(status == StatusCode::TOO_MANY_REQUESTS);
        Some(status)
    }

    /// The same, and then once more past Tidegate, to compare the times.
    pub(super) async fn ask_and_compare(&mut self, call: Call) -> Option<StatusCode> {
        let direct = self.request(call.clone())?;
        let warm = self.through.is_open() && self.direct.is_open();
        let began = Instant::now();
        let status = self.ask(call).await?;
        let through = began.elapsed();
        let began = Instant::now();
        self.direct.send(direct).await?;
        if warm && status.is_success() {
            self.stage.latency.add(through, began.elapsed());
        }
        Some(status)
    }

    fn request(&self, call: Call) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(call.path)
            .header(HOST, "shop.example")
            .header(USER_AGENT, &*self.agent)
            .header("x-forwarded-for", self.actor.addr.to_string());
        for (name, value) in self.fields {
            request = request.header(*name, *value);
        }
        if !call.referer.is_empty() {
            request = request.header(REFERER, format!("http://shop.example{}", call.referer));
        }
        if call.form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        request.body(Full::from(call.form.unwrap_or_default())).ok()
    }
}

/// A connection that is opened when it is needed and kept.
struct Line {
    to: SocketAddr,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Line {
    fn is_open(&self) -> bool {
        self.sender.as_ref().is_some_and(|sender| !sender.is_closed())
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Option<StatusCode> {
        if !self.is_open() {
            let stream = TcpStream::connect(self.to).await.ok()?;
            let _ = stream.set_nodelay(true);
            let (sender, connection) = handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        let sender = self.sender.as_mut()?;
        sender.ready().await.ok()?;
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            frame.ok()?;
        }
        Some(status)
    }
}
