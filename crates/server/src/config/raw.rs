//! The configuration file as written: its keys, and where in the file each value stands.
//!
//! Nothing here means anything yet: a rate is still the text `10/min`. Meaning, and with it every
//! check, is the work of [`super::resolve`], which can therefore point at the line of each value.

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

pub(super) type At<T> = Spanned<T>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Raw {
    pub mode: Option<Mode>,
    pub on_error: Option<OnError>,
    pub listen: Option<At<OneOrMany<Listen>>>,
    pub upstream: Option<At<Short<Upstream>>>,
    pub timeouts: Timeouts,
    pub max_connections: Option<At<u64>>,
    pub log: Log,
    pub telemetry: Telemetry,
    pub admin: Option<At<Admin>>,
    pub gateway: Option<At<Short<Gateway>>>,
    pub identity: Identity,
    pub adaptive: Adaptive,
    pub rules: Vec<At<Rule>>,
    pub allow: Vec<At<Short<Networks>>>,
    pub deny: Vec<At<Short<Networks>>>,
    pub overrides: BTreeMap<String, At<String>>,
    pub reputation: Vec<At<Reputation>>,
    pub known_crawlers: Option<bool>,
    pub capacity: Option<At<u64>>,
    pub model: Option<At<Short<Model>>>,
    pub challenger: Option<At<Short<Model>>>,
    pub onnxruntime: Option<At<String>>,
    pub secret_env: Option<At<String>>,
    pub secret_file: Option<At<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    Enforce,
    Shadow,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnError {
    Open,
    Closed,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listen {
    pub address: At<String>,
    pub tls: Option<At<Tls>>,
    pub http2: Option<bool>,
    pub proxy_protocol: Option<At<bool>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub cert: At<String>,
    pub key: At<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    pub url: At<String>,
    #[serde(default)]
    pub connect_timeout: Option<At<String>>,
    #[serde(default)]
    pub read_timeout: Option<At<String>>,
    #[serde(default)]
    pub write_timeout: Option<At<String>>,
    #[serde(default)]
    pub idle_timeout: Option<At<String>>,
    #[serde(default)]
    pub max_idle: Option<usize>,
    #[serde(default)]
    pub tls_verify: Option<bool>,
    #[serde(default)]
    pub http2: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Timeouts {
    pub header: Option<At<String>>,
    pub idle: Option<At<String>>,
    pub drain: Option<At<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub decisions: Option<bool>,
    pub sample: Option<At<f64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Telemetry {
    pub otlp: Option<At<Short<Otlp>>>,
    pub sentry: Option<At<Short<Sentry>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Otlp {
    pub endpoint: Option<At<String>>,
    pub protocol: Option<OtlpProtocol>,
    pub sample: Option<At<f64>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OtlpProtocol {
    Grpc,
    Http,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sentry {
    pub dsn: Option<At<String>>,
    pub dsn_env: Option<At<String>>,
    pub environment: Option<String>,
    pub sample: Option<At<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    pub listen: At<String>,
    #[serde(default)]
    pub token_file: Option<At<String>>,
    #[serde(default)]
    pub token_env: Option<At<String>>,
    #[serde(default)]
    pub viewer_token_file: Option<At<String>>,
    #[serde(default)]
    pub viewer_token_env: Option<At<String>>,
    #[serde(default)]
    pub audit_log: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gateway {
    #[serde(default)]
    pub listen: Option<At<String>>,
    #[serde(default)]
    pub grpc: Option<At<String>>,
    #[serde(default)]
    pub ratelimit: Vec<At<String>>,
    #[serde(default)]
    pub resp: Option<At<String>>,
    #[serde(default)]
    pub tls: Option<At<GatewayTls>>,
    #[serde(default)]
    pub access_logs: Vec<At<AccessLog>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GatewayTls {
    pub cert: At<String>,
    pub key: At<String>,
    pub client_ca: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AccessLog {
    File(String),
    Syslog(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Identity {
    pub credentials: Vec<At<Source>>,
    pub user: Vec<At<Source>>,
    pub ipv6_prefix: Option<At<u64>>,
    pub trusted_hops: Vec<At<Short<Networks>>>,
    pub forwarded_header: Option<At<String>>,
    pub ja4_header: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    Header(String),
    Jwt(String),
    Cookie(String),
    Address,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Adaptive {
    pub enabled: Option<bool>,
    pub anomaly: Option<bool>,
    pub throttle_above: Option<At<f32>>,
    pub block_above: Option<At<f32>>,
    pub hysteresis: Option<At<f32>>,
    pub jitter: Option<At<f32>>,
    pub new: Option<At<Short<Tier>>>,
    pub trusted: Option<At<Short<Tier>>>,
    pub throttled: Option<At<Short<Tier>>>,
    pub risky: Option<At<Short<Tier>>>,
    pub block_for: Option<At<String>>,
    pub forgive: Option<At<String>>,
    pub proven_after: Option<u32>,
    pub delay: Option<At<u64>>,
    pub costs: Costs,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tier {
    pub limit: At<String>,
    #[serde(default)]
    pub burst: Option<At<u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Costs {
    pub page: Option<At<f64>>,
    pub api: Option<At<f64>>,
    pub asset: Option<At<f64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub name: At<String>,
    #[serde(default, rename = "match")]
    pub matches: Match,
    #[serde(default)]
    pub per: Option<Scope>,
    #[serde(default)]
    pub limit: Option<At<String>>,
    #[serde(default)]
    pub burst: Option<At<u64>>,
    #[serde(default)]
    pub algorithm: Option<At<Algorithm>>,
    #[serde(default)]
    pub max_wait: Option<At<String>>,
    #[serde(default)]
    pub max: Option<At<u64>>,
    #[serde(default)]
    pub lease: Option<At<String>>,
    #[serde(default)]
    pub cost: Option<At<f64>>,
    #[serde(default)]
    pub mode: Option<Mode>,
    #[serde(default)]
    pub on_error: Option<OnError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Match {
    pub path: Option<At<String>>,
    pub methods: Vec<At<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scope {
    Client,
    Address,
    Network,
    Credential,
    User,
    ClientRoute,
    Route,
    Site,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Algorithm {
    TokenBucket,
    LeakyBucket,
    SlidingWindow,
    Concurrency,
}

/// One network, or a file of them, one a line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Networks {
    #[serde(skip)]
    pub network: Option<String>,
    pub file: At<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reputation {
    #[serde(default)]
    pub file: Option<At<String>>,
    #[serde(default)]
    pub value: Option<ListValue>,
    #[serde(default)]
    pub maxmind: Option<At<String>>,
    #[serde(default)]
    pub hosting_asns: Vec<u32>,
}

/// A model: a file, or a remote one.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Model {
    pub file: Option<At<String>>,
    pub kserve: Option<At<Kserve>>,
    pub fresh_for: Option<At<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kserve {
    pub url: At<String>,
    pub model: At<String>,
    #[serde(default)]
    pub deadline: Option<At<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ListValue {
    Good,
    Hosting,
    Hostile,
}

/// A value that can be written short, as a single text, or long, as a map.
///
/// Written by hand because serde's `untagged` forgets the positions of what it tries.
#[derive(Debug)]
pub(super) struct Short<T>(pub T);

/// A text with no position of its own: the position is that of what encloses it.
fn here(text: &str) -> At<String> {
    At::new(text.to_owned(), Location::UNKNOWN, Location::UNKNOWN)
}

impl From<&str> for Listen {
    fn from(text: &str) -> Self {
        Self { address: here(text), tls: None, http2: None, proxy_protocol: None }
    }
}

impl From<&str> for Upstream {
    fn from(text: &str) -> Self {
        Self {
            url: here(text),
            connect_timeout: None,
            read_timeout: None,
            write_timeout: None,
            idle_timeout: None,
            max_idle: None,
            tls_verify: None,
            http2: None,
        }
    }
}

impl From<&str> for Gateway {
    fn from(text: &str) -> Self {
        Self {
            listen: Some(here(text)),
            grpc: None,
            resp: None,
            tls: None,
            ratelimit: Vec::new(),
            access_logs: Vec::new(),
        }
    }
}

impl From<&str> for Otlp {
    fn from(text: &str) -> Self {
        Self { endpoint: Some(here(text)), ..Self::default() }
    }
}

impl From<&str> for Sentry {
    fn from(text: &str) -> Self {
        Self { dsn: Some(here(text)), ..Self::default() }
    }
}

impl From<&str> for Tier {
    fn from(text: &str) -> Self {
        Self { limit: here(text), burst: None }
    }
}

impl From<&str> for Model {
    fn from(text: &str) -> Self {
        Self { file: Some(here(text)), ..Self::default() }
    }
}

impl From<&str> for Networks {
    fn from(text: &str) -> Self {
        Self { network: Some(text.to_owned()), file: here("") }
    }
}

impl<'de, T> Deserialize<'de> for Short<T>
where
    T: Deserialize<'de> + for<'a> From<&'a str>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + for<'a> From<&'a str>> Visitor<'de> for Either<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a map")
            }
            fn visit_str<E>(self, text: &str) -> Result<T, E> {
                Ok(T::from(text))
            }
            fn visit_u64<E>(self, number: u64) -> Result<T, E> {
                Ok(T::from(&number.to_string()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Either(PhantomData)).map(Short)
    }
}

/// One value, or a list of them.
#[derive(Debug)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<At<Short<T>>>),
}

impl<'de, T> Deserialize<'de> for OneOrMany<T>
where
    T: Deserialize<'de> + for<'a> From<&'a str>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + for<'a> From<&'a str>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a map, or a list of them")
            }
            fn visit_str<E>(self, text: &str) -> Result<OneOrMany<T>, E> {
                Ok(OneOrMany::One(T::from(text)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMany<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(OneOrMany::One)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<OneOrMany<T>, A::Error> {
                let mut many = Vec::new();
                while let Some(item) = seq.next_element()? {
                    many.push(item);
                }
                Ok(OneOrMany::Many(many))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}
