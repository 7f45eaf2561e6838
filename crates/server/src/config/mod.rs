//! Configuration: a YAML file, read without side effects, then resolved once into what runs.
//!
//! `raw` is the file as written, `resolve` gives it meaning and checks it, `describe` says in plain
//! words what it will do. Every error names the file, the line, the value and what to write instead.

mod adaptive;
mod addresses;
mod describe;
mod error;
mod identity;
mod models;
mod ratelimit;
mod raw;
mod resolve;
mod rules;
mod telemetry;
mod values;
mod wire;

pub use describe::{check, policy as describe_policy};
pub use error::ConfigError;
pub use resolve::Startup;
pub(crate) use values::{duration, rate, show as show_duration};

use crate::identify::Identity;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidegate_engine::Policy;
use tidegate_engine::policy::OnError;
use tidegate_models::AnyModel;

/// Everything that runs, checked.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What the engine decides by; may change at a reload.
    pub policy: Policy,
    /// Who asks, beyond what the policy says; may change at a reload.
    pub identity: Identity,
    /// What is answered when the engine itself fails; may change at a reload.
    pub on_error: OnError,
    /// Which decisions are written down; may change at a reload.
    pub log: Log,
    /// Who watches; the share of traces may change at a reload.
    pub telemetry: Telemetry,
    /// Where requests go, when there is a proxy; may change at a reload.
    pub upstream: Option<Upstream>,
    /// Where the proxy listens; empty when only the API is served.
    pub listen: Vec<Listen>,
    /// Where the API, the metrics and the health checks listen.
    pub admin: Admin,
    /// Where gateways ask, if they do.
    pub gateway: Option<Gateway>,
    /// What each line of imported rate limits does, in plain words.
    pub imported: Vec<String>,
    /// How long a connection may take to send the head of a request.
    pub header_timeout: Duration,
    /// How long a client may neither send nor take anything within a request or its answer, and
    /// leave an HTTP/2 connection without a request.
    pub idle_timeout: Duration,
    /// Most connections to the proxy at once; more wait until one ends.
    pub max_connections: usize,
    /// How long requests in flight may take to finish when the server stops.
    pub drain: Duration,
    /// Most clients tracked at once.
    pub capacity: usize,
    /// The model that scores in line; `None` means the one in the binary.
    pub model: Option<AnyModel>,
    /// Where that model is from, when the configuration names one.
    pub origin: Option<Origin>,
    /// A model too slow for that, and for how long what it says of a client holds.
    pub advisor: Option<(Asked, Duration)>,
    /// A model that is compared with what is decided, and has no say.
    pub challenger: Option<Asked>,
    /// The key of hashed names.
    pub secret: [u64; 2],
    /// What was written for the values that need a restart, to tell when they change.
    pub startup: Startup,
    /// Every file that was read, to watch for changes.
    pub files: Vec<PathBuf>,
}

/// Which decisions are written to the log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Log {
    /// Whether any are.
    pub decisions: bool,
    /// The share of allowed requests that are, 0..1; who is denied always is.
    pub sample: f64,
}

/// Who watches from outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    /// Where traces go.
    pub otlp: Option<Otlp>,
    /// Where errors of the program go.
    pub sentry: Option<Sentry>,
}

/// A collector of traces.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// The whole URL; for gRPC without a path.
    pub endpoint: http::Uri,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// The share of traces that begin here and are taken, 0..1.
    pub sample: f64,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf over HTTP.
    Http,
}

/// A project of Sentry, or of what speaks its protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Sentry {
    /// Its address and key.
    pub dsn: Dsn,
    /// Which deployment this is.
    pub environment: String,
    /// The share of errors that are told, 0..1.
    pub sample: f32,
}

/// Address and key of a project; does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Dsn(pub(crate) sentry_core::types::Dsn);

impl Dsn {
    /// The server alone, which is no secret.
    pub(crate) fn server(&self) -> String {
        format!("{}://{}:{}", self.0.scheme(), self.0.host(), self.0.port())
    }
}

impl std::fmt::Debug for Dsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dsn(…)")
    }
}

/// One listening address of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// Certificate and key, when it speaks TLS.
    pub tls: Option<TlsFiles>,
    /// Whether it speaks HTTP/2 besides HTTP/1.1.
    pub http2: bool,
    /// Whether every connection begins with a header of the PROXY protocol.
    pub proxy_protocol: bool,
}

/// A certificate chain and its private key, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain, the server's own first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// The authority that signs the certificates of clients, which then have to show one.
    pub client_ca: Option<PathBuf>,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Scheme `http` or `https`.
    pub scheme: http::uri::Scheme,
    /// Host and port.
    pub authority: http::uri::Authority,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest silence of the upstream once it has the request, and between pieces of a response.
    pub read_timeout: Duration,
    /// Longest time in which no piece of a request can be passed on.
    pub write_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept.
    pub max_idle: usize,
    /// Whether the upstream's certificate is checked.
    pub tls_verify: bool,
    /// Whether it is spoken to in HTTP/2 (with prior knowledge when the scheme is `http`).
    pub http2: bool,
}

/// Where a model is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its file or its address, in words.
    pub name: String,
    /// The checksum of its file, when it has one here.
    pub checksum: Option<u32>,
}

/// A model that is asked in the background.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Where it is from.
    pub origin: Origin,
    /// The model.
    pub model: Where,
}

/// Where a model runs.
#[derive(Clone, Debug)]
pub enum Where {
    /// Here.
    File(AnyModel),
    /// Behind the KServe v2 protocol.
    Kserve(Kserve),
}

/// A model behind the KServe v2 inference protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kserve {
    /// The server.
    pub server: Upstream,
    /// The model's name there, with `/versions/N` after it for one of its versions.
    pub model: String,
    /// How long an answer may take.
    pub deadline: Duration,
}

/// Where gateways ask about requests, and where they write what became of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The address to ask at over HTTP.
    pub http: Option<SocketAddr>,
    /// The address to ask at over gRPC.
    pub grpc: Option<SocketAddr>,
    /// The address at which Redis clients ask about keys of their own.
    pub resp: Option<SocketAddr>,
    /// Certificate and key of both, when they speak TLS.
    pub tls: Option<TlsFiles>,
    /// Their access logs.
    pub access_logs: Vec<AccessLog>,
}

/// The access log of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// A file that it appends to.
    File(PathBuf),
    /// An address that it sends syslog datagrams to.
    Syslog(SocketAddr),
}

/// The admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// The address.
    pub address: SocketAddr,
    /// The bearer token that every call but the health checks needs.
    pub token: Option<Token>,
    /// Another token, of those who may look and not act.
    pub viewer_token: Option<Token>,
    /// Where every action of an operator is written down, a line of JSON each.
    pub audit_log: Option<PathBuf>,
}

/// A secret that neither prints nor compares in a time that depends on where it differs.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub(crate) String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Upstream {
    /// The upstream at this address with the default timeouts.
    #[must_use]
    pub fn new(scheme: http::uri::Scheme, authority: http::uri::Authority) -> Self {
        Self {
            scheme,
            authority,
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            max_idle: 256,
            tls_verify: true,
            http2: false,
        }
    }
}

/// Reads and resolves a configuration file and the files that it names.
///
/// # Errors
/// The first thing that is wrong, with its place in the file and what to write instead.
pub fn load(path: &Path) -> Result<Resolved, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::unreadable(path, &e))?;
    let source = error::Source { path, text: &text };
    resolve::resolve(&source, &parse(&source)?)
}

/// Says in plain words what a file does: a configuration, or limits in the form of envoyproxy/ratelimit.
///
/// # Errors
/// The first thing that is wrong, with its place in the file and what to write instead.
pub fn explain(path: &Path) -> Result<Vec<String>, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::unreadable(path, &e))?;
    match ratelimit::explain(path, &text) {
        Some(explained) => explained,
        None => load(path).map(|resolved| check(&resolved)),
    }
}

fn parse(source: &error::Source<'_>) -> Result<raw::Raw, ConfigError> {
    // A file with nothing but comments is the map of all defaults.
    if source.is_empty() {
        return Ok(raw::Raw::default());
    }
    source.parse("see examples/tidegate.yaml for every key and its default")
}

impl Resolved {
    /// A proxy with every default: for a first try without a configuration file.
    ///
    /// # Errors
    /// When `upstream` is no URL of the form `http://host:port`.
    pub fn default_for_proxy(upstream: &str, listen: SocketAddr) -> Result<Self, ConfigError> {
        // The same road as a file, so that defaults can't differ between the two.
        let quoted = upstream.replace('\\', "\\\\").replace('"', "\\\"");
        Self::of(&format!("listen: \"{listen}\"\nupstream: \"{quoted}\"\n"))
    }

    /// The defaults, without a proxy.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn defaults() -> Result<Self, ConfigError> {
        Self::of("")
    }

    fn of(text: &str) -> Result<Self, ConfigError> {
        let source = error::Source { path: Path::new("command line"), text };
        let mut resolved = resolve::resolve(&source, &parse(&source)?)?;
        resolved.files.clear();
        Ok(resolved)
    }
}
