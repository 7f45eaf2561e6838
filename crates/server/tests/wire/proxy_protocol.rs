//! Listeners behind a hop that speaks the PROXY protocol: HAProxy itself, and bytes by hand.

use crate::common::certs::Authority;
use crate::common::{Gate, Running, free_port, program, upstream};
use axum::Router;
use axum::http::HeaderMap;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(10);
const BEHIND: &str = "listen: {address: '127.0.0.1:0', proxy_protocol: true}";

/// Answers with the address that it was told of.
async fn told() -> SocketAddr {
    let answer =
        |headers: HeaderMap| async move { headers["x-forwarded-for"].to_str().unwrap().to_owned() };
    upstream(Router::new().fallback(answer)).await
}

/// What is answered to these bytes, up to the end of the connection.
async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, pieces: &[&[u8]]) -> String {
    for piece in pieces {
        // A connection that was refused may be gone already.
        let _ = stream.write_all(piece).await;
        let _ = stream.flush().await;
        sleep(Duration::from_millis(20)).await;
    }
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("still open");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn connect(gate: &Gate) -> TcpStream {
    TcpStream::connect(gate.proxy).await.unwrap()
}

const GET: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";

fn v2(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[version, family][..], &length, body].concat()
}

#[tokio::test]
async fn the_header_names_the_peer_and_forwarded_fields_need_a_trusted_one() {
    let text = format!("{BEHIND}\nidentity: {{trusted_hops: [10.0.0.0/8]}}");
    let gate = Gate::start(told().await, &text).await;
    let v4 = [203, 0, 113, 9, 192, 0, 2, 1, 0, 1, 0, 2];
    for (header, expected) in [
        (&b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n"[..], "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::9 ::1 1 2\r\n", "2001:db8::9"),
        (b"PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n", "203.0.113.9"),
        (b"PROXY TCP4 10.1.1.1 192.0.2.1 1 2\r\n", "6.6.6.6, 10.1.1.1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (&v2(0x21, 0x11, &[&v4[..], &[4; 3000]].concat()), "203.0.113.9"),
        (&v2(0x20, 0x00, b""), "127.0.0.1"),
    ] {
        let whole = [header, GET].concat();
        let (first, second) = whole.split_at(14);
        for pieces in [&[&whole[..]][..], &[header, GET], &[first, second]] {
            let answer = exchange(connect(&gate).await, pieces).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            assert!(answer.ends_with(&format!("\r\n\r\n{expected}")), "{expected}: {answer}");
        }
    }
    // The engine knows them by these addresses.
    let (_, clients) = gate.admin("GET", "/v1/clients", "").await;
    let names: Vec<_> = clients["clients"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    for name in ["203.0.113.9", "2001:db8::", "6.6.6.6", "127.0.0.1"] {
        assert!(names.iter().any(|known| *known == name), "{name} in {names:?}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn connections_without_a_header_are_closed_and_counted() {
    let text = format!("{BEHIND}\ntimeouts: {{header: 1s}}");
    let gate = Gate::start(told().await, &text).await;
    let mut silent = connect(&gate).await;
    silent.write_all(b"PROXY TCP4 ").await.unwrap();
    for bytes in [GET, b"PROXY TCP4 1.2.3.4\r\nGET / HTTP/1.1\r\n\r\n", &v2(0x21, 0x11, b"")] {
        assert_eq!(exchange(connect(&gate).await, &[bytes]).await, "");
    }
    let mut cut = connect(&gate).await;
    cut.write_all(b"PROXY TCP4 1.2").await.unwrap();
    drop(cut);
    assert_eq!(exchange(silent, &[]).await, "");
    let expected = [("missing", 1), ("malformed", 2), ("ended", 1), ("late", 1)];
    let counted = async {
        loop {
            let (_, text) = gate.admin_text("GET", "/metrics", "", None).await;
            let line = |(reason, count)| {
                format!("tidegate_connections_refused_total{{reason=\"{reason}\"}} {count}")
            };
            if expected.into_iter().map(line).all(|line| text.lines().any(|l| l == line)) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, counted).await.expect("not all of them are counted");
    // The next one is served.
    let answer = exchange(connect(&gate).await, &[b"PROXY UNKNOWN\r\n", GET]).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    gate.stop().await;
}

#[tokio::test]
async fn the_header_comes_before_tls() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new("ours");
    let (cert, secret) = ours.signs().write(folder.path(), "own");
    let files = format!("cert: {}, key: {}", cert.display(), secret.display());
    let listen =
        format!("listen: {{address: '127.0.0.1:0', proxy_protocol: true, tls: {{{files}}}}}");
    let gate = Gate::start(told().await, &listen).await;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(ours.believed(None)));
    let mut stream = connect(&gate).await;
    stream.write_all(b"PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n").await.unwrap();
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let answer = exchange(stream, &[GET]).await;
    assert!(answer.ends_with("\r\n\r\n203.0.113.9"), "{answer}");
    gate.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_tells_its_clients_in_both_versions() {
    let text = format!("{BEHIND}\nrules: [{{name: few, limit: 4/min}}]");
    let gate = Gate::start(told().await, &text).await;
    let folder = tempfile::tempdir().unwrap();
    let [v1, v2] = [0; 2].map(|_| SocketAddr::from(([127, 0, 0, 1], free_port())));
    let mut config = String::from(
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 10s\n timeout server 10s\n",
    );
    for (front, word) in [(v1, "send-proxy"), (v2, "send-proxy-v2 check check-send-proxy inter 1s")]
    {
        let server = format!(" bind {front}\n server tidegate {} {word}\n", gate.proxy);
        config.push_str(&format!("listen on_{}\n{server}", front.port()));
    }
    let path = folder.path().join("haproxy.cfg");
    std::fs::write(&path, config).unwrap();
    let said = std::fs::File::create(folder.path().join("haproxy.out")).unwrap();
    let mut command = Command::new(program("haproxy", "install Debian's package haproxy"));
    command.args(["-db", "-f"]).arg(path);
    command.stdout(said.try_clone().unwrap()).stderr(said).stdin(Stdio::null());
    let _haproxy = Running(command.spawn().unwrap());
    let up = async {
        for front in [v1, v2] {
            while TcpStream::connect(front).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        }
    };
    timeout(SOON, up).await.unwrap_or_else(|_| {
        panic!("{}", std::fs::read_to_string(folder.path().join("haproxy.out")).unwrap())
    });
    // Two clients: each is told apart in either version, and has a limit of its own.
    for (net, denied) in [(21, 0), (22, 2)] {
        let own = Ipv4Addr::new(127, 0, net, 1);
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(own.into()));
        let client: crate::common::Http = Client::builder(TokioExecutor::new()).build(connector);
        let mut statuses = Vec::new();
        for front in [v1, v2, v1, v2].into_iter().chain([v1, v2].into_iter().take(denied)) {
            let request = http::Request::get(format!("http://{front}/"))
                .header("x-forwarded-for", "6.6.6.6")
                .body(Full::default());
            let response = client.request(request.unwrap()).await.unwrap();
            statuses.push(response.status().as_u16());
            if response.status().is_success() {
                assert_eq!(crate::common::text(response).await, own.to_string());
            }
        }
        assert_eq!(statuses, [[200; 4].as_slice(), &vec![429; denied]].concat());
    }
    gate.stop().await;
}
