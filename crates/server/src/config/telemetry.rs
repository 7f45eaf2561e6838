//! Who watches: a collector of traces, and Sentry.

use super::error::{ConfigError, Source};
use super::raw::{self, At, Short};
use super::resolve::{place, share};
use super::{Dsn, Otlp, OtlpProtocol, Sentry, Telemetry};
use std::time::Duration;

/// The share of traces that begin here and are taken when nothing is written.
const SAMPLE: f64 = 0.01;
/// How long a collector may take, as OpenTelemetry has it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The port of OTLP over HTTP; that of gRPC is 4317.
const HTTP_PORT: u16 = 4318;
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];

/// Resolves what is written, with variables of the environment for what is not.
pub(super) fn telemetry(
    source: &Source<'_>,
    raw: &raw::Telemetry,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Telemetry, ConfigError> {
    let env = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    let off = env("OTEL_SDK_DISABLED").is_some_and(|off| off.eq_ignore_ascii_case("true"));
    let otlp = raw.otlp.as_ref().map(|at| otlp(source, at, &env)).transpose()?;
    Ok(Telemetry {
        otlp: otlp.filter(|_| !off),
        sentry: raw.sentry.as_ref().map(|at| sentry(source, at, &env)).transpose()?,
    })
}

fn otlp(
    source: &Source<'_>,
    at: &At<Short<raw::Otlp>>,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Otlp, ConfigError> {
    let Short(raw) = &at.value;
    let first = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| env(name).map(|value| (name, value)))
    };
    let (named_by, url, url_at) = match (&raw.endpoint, first(ENDPOINTS)) {
        (Some(url), _) => {
            ("the collector", url.value.clone(), place(url.referenced, at.referenced))
        }
        (None, Some((name, url))) => (name, url, at.referenced),
        (None, None) => {
            return Err(source.error(
                at.referenced,
                "traces, and no collector that they go to",
                "write endpoint: http://127.0.0.1:4317, or set OTEL_EXPORTER_OTLP_ENDPOINT",
            ));
        }
    };
    let wrong = |why: &str| {
        source.error(
            url_at,
            format!("{named_by} `{url}` {why}"),
            "write scheme, host and port, like http://127.0.0.1:4317 (gRPC) or http://127.0.0.1:4318 (HTTP)",
        )
    };
    let uri: http::Uri = url.trim().parse().map_err(|_| wrong("is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(wrong("has no scheme http or https"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("holds a user name"));
    }
    let bare = uri.path() == "/" && uri.query().is_none();
    let protocol = match (raw.protocol, first(PROTOCOLS)) {
        (Some(raw::OtlpProtocol::Grpc), _) => OtlpProtocol::Grpc,
        (Some(raw::OtlpProtocol::Http), _) => OtlpProtocol::Http,
        (None, Some((name, told))) => match told.trim() {
            "grpc" => OtlpProtocol::Grpc,
            "http/protobuf" => OtlpProtocol::Http,
            other => {
                return Err(source.error(
                    at.referenced,
                    format!("{name} `{other}` is not spoken here"),
                    "set it to grpc or http/protobuf, or write protocol: grpc or http",
                ));
            }
        },
        // By the port, or a path, which gRPC has none of.
        (None, None) if bare && uri.port_u16() != Some(HTTP_PORT) => OtlpProtocol::Grpc,
        (None, None) => OtlpProtocol::Http,
    };
    let endpoint = match protocol {
        OtlpProtocol::Grpc if !bare => return Err(wrong("has a path, and gRPC has none")),
        OtlpProtocol::Grpc => uri,
        // A variable for traces alone names the whole URL (OpenTelemetry, OTLP exporter configuration).
        OtlpProtocol::Http if !bare && named_by != ENDPOINTS[1] => uri,
        OtlpProtocol::Http if named_by == ENDPOINTS[0] => uri,
        OtlpProtocol::Http => {
            let base = uri.to_string();
            let whole = format!("{}/v1/traces", base.trim_end_matches('/'));
            whole.parse().map_err(|_| wrong("is not a URL"))?
        }
    };
    let timeout = match first(TIMEOUTS) {
        None => TIMEOUT,
        Some((name, told)) => match told.trim().parse() {
            Ok(millis) if millis > 0 => Duration::from_millis(millis),
            _ => {
                return Err(source.error(
                    at.referenced,
                    format!("{name} `{told}` is not a time"),
                    "set it to a number of milliseconds, like 10000",
                ));
            }
        },
    };
    let sample = share(source, raw.sample.as_ref(), SAMPLE, "trace")?;
    Ok(Otlp { endpoint, protocol, timeout, sample })
}

fn sentry(
    source: &Source<'_>,
    at: &At<Short<raw::Sentry>>,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<Sentry, ConfigError> {
    let Short(raw) = &at.value;
    let (dsn_at, text) = match (&raw.dsn, &raw.dsn_env) {
        (Some(dsn), Some(_)) => {
            return Err(source.error_about_secret(
                place(dsn.referenced, at.referenced),
                "a DSN both from the file and from the environment",
                "keep dsn or dsn_env",
            ));
        }
        (Some(dsn), None) => (place(dsn.referenced, at.referenced), dsn.value.clone()),
        (None, Some(named)) => (named.referenced, from_env(source, named, env)?),
        (None, None) => match env("SENTRY_DSN") {
            Some(dsn) => (at.referenced, dsn),
            None => {
                return Err(source.error(
                    at.referenced,
                    "errors are to be told, and there is no DSN",
                    "set SENTRY_DSN, or write dsn_env: NAME",
                ));
            }
        },
    };
    let dsn = text.trim().parse().map_err(|_| {
        source.error_about_secret(
            dsn_at,
            "the DSN is none",
            "take it from the project's settings; it is like https://key@host/1",
        )
    })?;
    let sample = share(source, raw.sample.as_ref(), 1.0, "error")?;
    let environment = raw.environment.clone().or_else(|| env("SENTRY_ENVIRONMENT"));
    let environment = environment.unwrap_or_else(|| "production".to_owned());
    #[allow(clippy::cast_possible_truncation)]
    Ok(Sentry { dsn: Dsn(dsn), environment, sample: sample as f32 })
}

fn from_env(
    source: &Source<'_>,
    named: &At<String>,
    env: &impl Fn(&str) -> Option<String>,
) -> Result<String, ConfigError> {
    env(&named.value).ok_or_else(|| {
        source.error(
            named.referenced,
            format!("the environment variable `{}` is not set", named.value),
            "set it before the start",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn read(text: &str, env: &[(&str, &str)]) -> Result<Telemetry, ConfigError> {
        let source = Source { path: Path::new("x.yaml"), text };
        let raw: raw::Telemetry = source.parse("")?;
        let value =
            |name: &str| env.iter().find(|(set, _)| *set == name).map(|(_, to)| (*to).to_owned());
        telemetry(&source, &raw, value)
    }

    #[test]
    fn a_collector_is_spoken_to_by_what_is_written_then_by_the_environment_then_by_its_port() {
        use OtlpProtocol::{Grpc, Http};
        let endpoint = ENDPOINTS[1];
        for (text, env, protocol, url) in [
            ("otlp: http://c:4317", &[][..], Grpc, "http://c:4317/"),
            ("otlp: https://c", &[], Grpc, "https://c/"),
            ("otlp: http://c:4318", &[], Http, "http://c:4318/v1/traces"),
            ("otlp: http://c/otlp/v1/traces", &[], Http, "http://c/otlp/v1/traces"),
            ("otlp: {endpoint: http://c:9, protocol: http}", &[], Http, "http://c:9/v1/traces"),
            ("otlp: http://c:4318", &[(PROTOCOLS[1], "grpc")], Grpc, "http://c:4318/"),
            ("otlp: {}", &[(endpoint, "http://c:4318")], Http, "http://c:4318/v1/traces"),
            ("otlp: {}", &[(endpoint, "http://c/a/")], Http, "http://c/a/v1/traces"),
            (
                "otlp: {}",
                &[(ENDPOINTS[0], "http://c/b"), (endpoint, "http://d")],
                Http,
                "http://c/b",
            ),
            ("otlp: http://c:4317", &[(endpoint, "http://d:4318")], Grpc, "http://c:4317/"),
        ] {
            let otlp = read(text, env).unwrap().otlp.unwrap();
            assert_eq!((otlp.protocol, otlp.endpoint.to_string()), (protocol, url.to_owned()));
            assert_eq!((otlp.sample, otlp.timeout), (SAMPLE, TIMEOUT));
        }
    }

    #[test]
    fn the_environment_alone_turns_nothing_on_and_can_turn_it_off() {
        let set = [(ENDPOINTS[1], "http://c:4317"), ("SENTRY_DSN", "http://k@c/1")];
        assert_eq!(read("{}", &set).unwrap(), Telemetry::default());
        let off = [("OTEL_SDK_DISABLED", "true")];
        assert_eq!(read("otlp: http://c:4317", &off).unwrap().otlp, None);
    }

    #[test]
    fn a_dsn_comes_from_three_places_and_is_never_shown() {
        let env = [("SENTRY_DSN", "http://k@s/1"), ("MINE", "http://k@m:8000/2")];
        for (text, server) in [
            ("sentry: {}", "http://s:80"),
            ("sentry: {dsn_env: MINE}", "http://m:8000"),
            ("sentry: https://k@f/3", "https://f:443"),
            ("sentry: {dsn: https://k@f/3, environment: test, sample: 0.5}", "https://f:443"),
        ] {
            let sentry = read(text, &env).unwrap().sentry.unwrap();
            assert_eq!(sentry.dsn.server(), server);
            assert!(!format!("{sentry:?}").contains("k@"));
        }
        let error = read("sentry: {dsn: 'https://hush@'}", &[]).unwrap_err();
        let line = error.to_string();
        let shown = format!("{line} {:?}", miette::Report::new(error));
        assert!(shown.contains("x.yaml:1") && !shown.contains("hush"), "{shown}");
    }
}
