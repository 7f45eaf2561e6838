//! A real upstream, a real server in front of it, and a real client, all on loopback.
#![allow(dead_code, unreachable_pub)]

pub mod certs;

use axum::Router;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate_envoy::envoy::config::core::v3::socket_address::PortSpecifier;
use tidegate_envoy::envoy::config::core::v3::{Address, SocketAddress, address};
use tidegate_envoy::envoy::service::auth::v3::attribute_context::{
    HttpRequest, Peer, Request as Asked,
};
use tidegate_envoy::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use tidegate_server::replays::Replayer;
use tidegate_server::{Reloader, ServeError, Server, config};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub type Http = Client<HttpConnector, Full<Bytes>>;

/// A server in front of an upstream, stopped and drained by [`Gate::stop`].
pub struct Gate {
    pub proxy: SocketAddr,
    pub admin: SocketAddr,
    /// Where gateways ask, over HTTP and over gRPC.
    pub http: Option<SocketAddr>,
    pub grpc: Option<SocketAddr>,
    pub reloader: Arc<Reloader>,
    pub engine: Arc<tidegate_engine::Engine>,
    pub path: PathBuf,
    pub folder: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Gate {
    /// Starts with this text for a configuration; `{upstream}` stands for the upstream's address.
    pub async fn start(upstream: SocketAddr, text: &str) -> Self {
        Self::start_with(upstream, text, None).await
    }

    /// The same with somebody who replays logs.
    pub async fn start_with(
        upstream: SocketAddr,
        text: &str,
        replayer: Option<Arc<dyn Replayer>>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidegate.yaml");
        std::fs::write(&path, Self::text(upstream, text)).unwrap();
        let resolved = config::load(&path).unwrap();
        let mut server = Server::bind(resolved, Some(path.clone())).await.unwrap();
        if let Some(replayer) = replayer {
            server = server.with_replayer(replayer);
        }
        let (stop, stopped) = oneshot::channel::<()>();
        Self {
            proxy: server.proxy_addresses()[0],
            admin: server.admin_address().unwrap(),
            http: server.gateway_address(),
            grpc: server.grpc_address(),
            reloader: server.reloader().unwrap(),
            engine: server.engine(),
            path,
            folder,
            stop: Some(stop),
            running: tokio::spawn(server.run(async {
                let _ = stopped.await;
            })),
        }
    }

    pub fn text(upstream: SocketAddr, rest: &str) -> String {
        let admin = if rest.contains("admin:") { "" } else { "admin: {listen: '127.0.0.1:0'}\n" };
        let listen = if rest.contains("listen: {") { "" } else { "listen: 127.0.0.1:0\n" };
        let up = if rest.contains("upstream:") {
            String::new()
        } else {
            format!("upstream: http://{upstream}\n")
        };
        format!("{listen}{up}{admin}capacity: 1000\n{rest}\n")
            .replace("{upstream}", &upstream.to_string())
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.proxy)
    }

    pub fn tell_to_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    pub async fn stopped(self) {
        self.running.await.unwrap().unwrap();
    }

    pub async fn stop(mut self) {
        self.tell_to_stop();
        self.stopped().await;
    }

    /// Calls the admin API.
    pub async fn admin(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let (status, text) = self.admin_text(method, path, body, None).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn admin_text(
        &self,
        method: &str,
        path: &str,
        body: &str,
        token: Option<&str>,
    ) -> (StatusCode, String) {
        let mut request =
            Request::builder().method(method).uri(format!("http://{}{path}", self.admin));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let response = client().request(request).await.unwrap();
        let status = response.status();
        (status, text(response).await)
    }
}

/// A server with a gRPC door, and a connection to it; `more` is added to `gateway`.
pub async fn grpc(more: &str, rest: &str) -> (Gate, tonic::transport::Channel) {
    let asked = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let text = format!("gateway: {{grpc: '{asked}'{more}}}\n{rest}");
    let gate = Gate::start(nobody().await, &text).await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{asked}")).unwrap();
    (gate, channel.connect().await.unwrap())
}

/// What Envoy asks about a request that came to it from this address.
pub fn question(client: &str, http: HttpRequest) -> CheckRequest {
    let socket = SocketAddress {
        address: client.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(1)),
        ..SocketAddress::default()
    };
    let address = Address { address: Some(address::Address::SocketAddress(socket)) };
    let attributes = AttributeContext {
        source: Some(Peer { address: Some(address), ..Peer::default() }),
        request: Some(Asked { http: Some(http), ..Asked::default() }),
        ..AttributeContext::default()
    };
    CheckRequest { attributes: Some(attributes) }
}

/// A program, where `scripts/test` put it or where it is found otherwise.
pub fn program(name: &str, remedy: &str) -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR")
        .map_or_else(|_| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([
        target.join("venv/bin"),
        "/usr/sbin".into(),
        "/usr/local/sbin".into(),
    ]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is not found: {remedy}, or run scripts/test, which does"))
}

/// A program that runs until it is dropped.
pub struct Running(pub std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of loopback that nobody listens on, and that nobody else is going to be given: neither another
/// test of this program nor, as those that the system chooses lie above, a client for its own end.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() * 97);
        let port = 10_000 + (next % 22_000) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Serves a router on a port of its own.
pub async fn upstream(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// An address where nobody listens.
pub async fn nobody() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

pub fn client() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

pub fn h2_client() -> Http {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

pub async fn get(client: &Http, url: &str) -> Response<hyper::body::Incoming> {
    client.request(Request::get(url).body(Full::default()).unwrap()).await.unwrap()
}

pub async fn text(response: Response<hyper::body::Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn field<'a, B>(response: &'a Response<B>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}
