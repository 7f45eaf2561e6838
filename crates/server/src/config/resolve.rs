//! From what is written to what runs: defaults, ranges, and values that must fit each other.

use super::adaptive::adaptive;
use super::error::{ConfigError, Source};
use super::identity::identity;
use super::models::{Models, models, written};
use super::ratelimit::{Imported, import};
use super::raw::{self, At, Raw};
use super::rules::rules;
use super::telemetry::telemetry;
use super::wire::{admin, gateway, listens, upstream};
use super::{Admin, Dsn, Gateway, Listen, Log, OtlpProtocol, Resolved, addresses, values};
use serde_saphyr::Location;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidegate_behavior::address::AddressMap;
use tidegate_engine::Policy;
use tidegate_engine::policy::{Listing, Mode, OnError, Override};
use tidegate_limiter::{KeyHasher, Quota};

/// What was written for the values that need a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    pub(crate) listen: Vec<Listen>,
    pub(crate) admin: Option<Admin>,
    pub(crate) gateway: Option<Gateway>,
    pub(crate) capacity: usize,
    /// Model and challenger as they were written.
    pub(crate) models: [String; 3],
    pub(crate) secret: Option<[u64; 2]>,
    pub(crate) timeouts: [Duration; 3],
    pub(crate) max_connections: usize,
    pub(crate) otlp: Option<(http::Uri, OtlpProtocol)>,
    pub(crate) sentry: Option<(Dsn, String, u32)>,
}

/// Reads files that a configuration names, relative to its own folder, and remembers which.
pub(super) struct Files {
    base: PathBuf,
    read: Vec<PathBuf>,
}

impl Files {
    fn new(config: &Path) -> Self {
        let base = config.parent().unwrap_or(Path::new("")).to_owned();
        Self { base, read: vec![config.to_owned()] }
    }

    /// Where a file of this name is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// Has a folder watched for files that come and go.
    pub(super) fn watch(&mut self, folder: PathBuf) {
        self.read.push(folder);
    }

    pub(super) fn read_bytes(
        &mut self,
        source: &Source<'_>,
        file: &At<String>,
    ) -> Result<(PathBuf, Vec<u8>), ConfigError> {
        let path = self.path(&file.value);
        let bytes = std::fs::read(&path).map_err(|e| {
            source.error(
                file.referenced,
                format!("{} can't be read: {e}", path.display()),
                "name a readable file, by its full path or relative to the configuration file",
            )
        })?;
        self.read.push(path.clone());
        Ok((path, bytes))
    }

    pub(super) fn read_text(
        &mut self,
        source: &Source<'_>,
        file: &At<String>,
    ) -> Result<(PathBuf, String), ConfigError> {
        let (path, bytes) = self.read_bytes(source, file)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            source.error(
                file.referenced,
                format!("{} is not text", path.display()),
                "name a file in UTF-8",
            )
        })?;
        Ok((path, text))
    }
}

/// The place of a value, or of what encloses it when it was written short.
pub(super) fn place(inner: Location, outer: Location) -> Location {
    if inner.line() > 0 { inner } else { outer }
}

/// Resolves the whole file.
pub(super) fn resolve(source: &Source<'_>, raw: &Raw) -> Result<Resolved, ConfigError> {
    let mut files = Files::new(source.path);
    let listen = listens(source, &mut files, raw)?;
    let upstream = raw.upstream.as_ref().map(|at| upstream(source, at)).transpose()?;
    match (&raw.listen, &raw.upstream) {
        (Some(at), None) => {
            return Err(source.error(
                at.referenced,
                "the proxy listens but has no upstream",
                "add upstream: http://host:port, or take listen away to serve only the API",
            ));
        }
        (None, Some(at)) => {
            return Err(source.error(
                at.referenced,
                "the proxy has an upstream but listens nowhere",
                "add listen: 127.0.0.1:8080, or take upstream away to serve only the API",
            ));
        }
        _ => {}
    }
    let admin = admin(source, &mut files, raw.admin.as_ref())?;
    let (identity, sources, trusted, ipv6_prefix) = identity(source, &mut files, &raw.identity)?;
    let mut policy = Policy {
        mode: mode(raw.mode),
        adaptive: adaptive(source, &raw.adaptive)?,
        rules: rules(source, &raw.rules)?,
        ..Policy::new()
    };
    policy.identity.sources = sources;
    policy.identity.trusted = trusted;
    policy.identity.ipv6_prefix = ipv6_prefix;
    let list = &mut policy.addresses;
    addresses::insert(source, &mut files, &raw.allow, Listing::Allow, list)?;
    addresses::insert(source, &mut files, &raw.deny, Listing::Deny, list)?;
    let known = match raw.known_crawlers {
        Some(false) => AddressMap::default(),
        Some(true) | None => std::mem::take(&mut policy.reputation),
    };
    policy.reputation = addresses::reputation(source, &mut files, &raw.reputation, known)?;
    for (name, written) in &raw.overrides {
        let quota = match written.value.as_str() {
            "unlimited" => None,
            _ => Some(quota(source, written, None, written.referenced)?),
        };
        // An address is spelt one way only, however it was written.
        let name = name
            .parse()
            .map_or_else(|_| name.clone(), |addr| policy.identity.client_prefix(addr).to_string());
        policy.overrides.insert(name, Override { quota });
    }
    let capacity = whole(source, raw.capacity.as_ref(), 1_000_000, 1000..=100_000_000, |n| {
        (
            format!("a capacity of {n} clients is out of range"),
            "write a number from 1000 to 100000000; a client takes about a kilobyte",
        )
    })?;
    let connections = raw.max_connections.as_ref();
    let max_connections = whole(source, connections, 10_000, 1..=1_000_000, |n| {
        (
            format!("{n} connections at once are out of range"),
            "write a number from 1 to 1000000; each takes two file descriptors of the process",
        )
    })?;
    let Models { model, origin, advisor, challenger } = models(source, &mut files, raw)?;
    let secret = secret(source, &mut files, raw)?;
    let header_timeout = time(source, raw.timeouts.header.as_ref(), Duration::from_secs(30))?;
    let idle_timeout = time(source, raw.timeouts.idle.as_ref(), Duration::from_secs(60))?;
    let drain = time(source, raw.timeouts.drain.as_ref(), Duration::from_secs(30))?;
    let gateway =
        gateway(source, &mut files, raw.gateway.as_ref(), !raw.identity.trusted_hops.is_empty())?;
    let asked = raw.gateway.as_ref().map(|at| &at.value.0);
    let Imported { domains, lines: imported } =
        import(source, &mut files, asked.map_or(&[][..], |gateway| gateway.ratelimit.as_slice()))?;
    policy.domains = domains;
    let telemetry = telemetry(source, &raw.telemetry, |name| std::env::var(name).ok())?;
    let startup = Startup {
        listen: listen.clone(),
        admin: Some(admin.clone()),
        gateway: gateway.clone(),
        capacity,
        models: [
            written(raw.model.as_ref()),
            written(raw.challenger.as_ref()),
            raw.onnxruntime.as_ref().map_or_else(String::new, |at| at.value.clone()),
        ],
        secret,
        timeouts: [header_timeout, idle_timeout, drain],
        max_connections,
        otlp: telemetry.otlp.as_ref().map(|otlp| (otlp.endpoint.clone(), otlp.protocol)),
        sentry: telemetry
            .sentry
            .as_ref()
            .map(|it| (it.dsn.clone(), it.environment.clone(), it.sample.to_bits())),
    };
    Ok(Resolved {
        policy,
        identity,
        on_error: on_error(raw.on_error),
        log: log(source, &raw.log)?,
        telemetry,
        upstream,
        listen,
        admin,
        gateway,
        imported,
        header_timeout,
        idle_timeout,
        max_connections,
        drain,
        capacity,
        model,
        origin,
        advisor,
        challenger,
        secret: secret.map_or_else(random_secret, Ok).map_err(|e| {
            source.error(
                Location::UNKNOWN,
                format!("the system gives no random numbers: {e}"),
                "set secret_file to a file with at least 16 bytes",
            )
        })?,
        startup,
        files: files.read,
    })
}

pub(super) fn mode(written: Option<raw::Mode>) -> Mode {
    match written {
        Some(raw::Mode::Shadow) => Mode::Shadow,
        Some(raw::Mode::Enforce) | None => Mode::Enforce,
    }
}

pub(super) fn on_error(written: Option<raw::OnError>) -> OnError {
    match written {
        Some(raw::OnError::Closed) => OnError::Closed,
        Some(raw::OnError::Open) | None => OnError::Open,
    }
}

fn log(source: &Source<'_>, raw: &raw::Log) -> Result<Log, ConfigError> {
    let sample = share(source, raw.sample.as_ref(), 1.0, "allowed request")?;
    Ok(Log { decisions: raw.decisions.unwrap_or(false), sample })
}

/// A share of something, from 0 to 1, or the default.
pub(super) fn share(
    source: &Source<'_>,
    written: Option<&At<f64>>,
    default: f64,
    of: &str,
) -> Result<f64, ConfigError> {
    match written {
        Some(at) if !(0.0..=1.0).contains(&at.value) => Err(source.error(
            at.referenced,
            format!("a share of {} is out of range", at.value),
            format!("write a number from 0 to 1, such as 0.01 for one {of} in a hundred"),
        )),
        written => Ok(written.map_or(default, |at| at.value)),
    }
}

/// A whole number in a range, or the default; `wrong` says message and remedy.
fn whole(
    source: &Source<'_>,
    written: Option<&At<u64>>,
    default: usize,
    range: RangeInclusive<usize>,
    wrong: impl Fn(u64) -> (String, &'static str),
) -> Result<usize, ConfigError> {
    let Some(at) = written else { return Ok(default) };
    usize::try_from(at.value).ok().filter(|n| range.contains(n)).ok_or_else(|| {
        let (message, remedy) = wrong(at.value);
        source.error(at.referenced, message, remedy)
    })
}

/// A duration above zero, or the default.
pub(super) fn time(
    source: &Source<'_>,
    written: Option<&At<String>>,
    default: Duration,
) -> Result<Duration, ConfigError> {
    let Some(at) = written else { return Ok(default) };
    match values::duration(&at.value) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err(source.error(at.referenced, "a time of zero", "write 500ms, 5s, 2m or 1h")),
        Err(e) => Err(source.error(at.referenced, e, "write it like 500ms, 5s, 2m or 1h")),
    }
}

/// A rate with its burst, which is the whole rate when not written.
pub(super) fn quota(
    source: &Source<'_>,
    limit: &At<String>,
    burst: Option<&At<u64>>,
    outer: Location,
) -> Result<Quota, ConfigError> {
    let at = place(limit.referenced, outer);
    let (cells, period) = values::rate(&limit.value).map_err(|e| {
        source.error(
            at,
            e,
            "write a whole number of at least 1 and a unit, like 10/min, 5/s, 1000/h or 2/day",
        )
    })?;
    let burst = match burst {
        None => cells,
        Some(at) => u32::try_from(at.value).ok().filter(|n| *n > 0).ok_or_else(|| {
            source.error(
                at.referenced,
                format!("a burst of {} is out of range", at.value),
                format!("write a number of at least 1, or leave it out for {cells}"),
            )
        })?,
    };
    Quota::new(cells, period, burst)
        .map_err(|e| source.error(at, e.to_string(), "write it like 10/min"))
}

/// A cost in cells, as thousandths.
pub(super) fn milli(
    source: &Source<'_>,
    written: Option<&At<f64>>,
    default: u32,
) -> Result<u32, ConfigError> {
    let Some(at) = written else { return Ok(default) };
    if (0.0..=1000.0).contains(&at.value) {
        Ok((at.value * 1000.0).round() as u32)
    } else {
        Err(source.error(
            at.referenced,
            format!("a cost of {} is out of range", at.value),
            "write a number from 0 to 1000, such as 1 or 0.1",
        ))
    }
}

/// A secret from the environment or a file, of at least 16 bytes.
pub(super) fn secret_text(
    source: &Source<'_>,
    files: &mut Files,
    env: Option<&At<String>>,
    file: Option<&At<String>>,
) -> Result<Option<String>, ConfigError> {
    let (at, text) = match (env, file) {
        (None, None) => return Ok(None),
        (Some(at), Some(_)) => {
            return Err(source.error(
                at.referenced,
                "a secret both from the environment and from a file",
                "keep one of the two",
            ));
        }
        (Some(at), None) => {
            let text = std::env::var(&at.value).map_err(|_| {
                source.error(
                    at.referenced,
                    format!("the environment variable `{}` is not set", at.value),
                    "set it before the start, or name a file instead",
                )
            })?;
            (at.referenced, text)
        }
        (None, Some(at)) => (at.referenced, files.read_text(source, at)?.1),
    };
    let text = text.trim();
    if text.len() < 16 {
        return Err(source.error(
            at,
            "the secret is shorter than 16 bytes",
            "take a random one, for instance from: openssl rand -hex 32",
        ));
    }
    Ok(Some(text.to_owned()))
}

fn secret(
    source: &Source<'_>,
    files: &mut Files,
    raw: &Raw,
) -> Result<Option<[u64; 2]>, ConfigError> {
    let text = secret_text(source, files, raw.secret_env.as_ref(), raw.secret_file.as_ref())?;
    let hasher = KeyHasher::new(0, 0);
    Ok(text.map(|text| [hasher.key(0, text.as_bytes()).0, hasher.key(1, text.as_bytes()).0]))
}

fn random_secret() -> Result<[u64; 2], getrandom::Error> {
    Ok([getrandom::u64()?, getrandom::u64()?])
}
