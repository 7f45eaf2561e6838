//! The way to the upstream: pooled connections, and what a failure means.

use crate::body::RequestBody;
use crate::config;
use crate::slow::PROBES;
use crate::tls::{TlsError, client_config};
use http::StatusCode;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// A pool of connections to the upstream.
pub(crate) struct Upstream {
    pub config: config::Upstream,
    pub client: Client<HttpsConnector<HttpConnector>, RequestBody>,
}

impl Upstream {
    /// Opens no connection yet.
    pub(crate) fn new(config: config::Upstream) -> Result<Self, TlsError> {
        let client = pool(&config)?;
        Ok(Self { config, client })
    }
}

/// A pool of connections to one server, none of them open yet.
pub(crate) fn pool<B>(
    config: &config::Upstream,
) -> Result<Client<HttpsConnector<HttpConnector>, B>, TlsError>
where
    B: http_body::Body + Send,
    B::Data: Send,
{
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(config.connect_timeout));
    http.set_nodelay(true);
    http.set_keepalive(Some(PROBES.after));
    http.set_keepalive_interval(Some(PROBES.every));
    http.set_keepalive_retries(Some(PROBES.most));
    http.enforce_http(false);
    let tls = if config.scheme == http::uri::Scheme::HTTPS {
        client_config(config.tls_verify)?
    } else {
        // Never used for a scheme of `http`: no need to read the system's certificates.
        client_config(false)?
    };
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    let connector = if config.http2 {
        builder.enable_http2().wrap_connector(http)
    } else {
        builder.enable_http1().wrap_connector(http)
    };
    Ok(Client::builder(TokioExecutor::new())
        .pool_idle_timeout(config.idle_timeout)
        .pool_max_idle_per_host(config.max_idle)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .http2_only(config.http2)
        .build(connector))
}

/// The status for a request that the upstream did not answer, and the word for the metrics.
pub(crate) fn failure(error: &Error) -> (StatusCode, &'static str) {
    if timed_out(error) {
        (StatusCode::GATEWAY_TIMEOUT, "timeout")
    } else if error.is_connect() {
        (StatusCode::BAD_GATEWAY, "connect")
    } else {
        (StatusCode::BAD_GATEWAY, "broken")
    }
}

fn timed_out(error: &Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(e) = cause {
        let io = e.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut) {
            return true;
        }
        cause = e.source();
    }
    false
}
