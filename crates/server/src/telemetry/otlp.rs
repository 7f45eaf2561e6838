//! The way to an OTLP collector: gRPC or protobuf over HTTP, by the client and the TLS that the proxy has.

use crate::config::{self, OtlpProtocol};
use crate::tls::{TlsError, client_config};
use crate::upstream::pool;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig,
};
use std::fmt;
use std::time::Duration;
use tonic::transport::Endpoint;

/// Longest answer that is read.
const MOST_BYTES: usize = 1 << 20;

/// Why spans can't be sent anywhere.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// TLS to the collector can't be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The exporter refuses what the environment tells it.
    #[error("spans can't be exported: {0}; check the OTEL_EXPORTER_OTLP_* variables")]
    Exporter(#[from] ExporterBuildError),
}

/// What sends spans to the collector; no connection is open yet. Header fields come from the environment
/// (`OTEL_EXPORTER_OTLP_HEADERS`), which the exporter reads itself.
pub(super) fn exporter(config: &config::Otlp) -> Result<SpanExporter, OtlpError> {
    let exporter = SpanExporter::builder();
    Ok(match config.protocol {
        OtlpProtocol::Grpc => {
            let endpoint = Endpoint::from(config.endpoint.clone()).timeout(config.timeout);
            let channel = endpoint.connect_with_connector_lazy(connector(config)?);
            exporter.with_tonic().with_channel(channel).with_timeout(config.timeout).build()?
        }
        OtlpProtocol::Http => exporter
            .with_http()
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(config.endpoint.to_string())
            .with_timeout(config.timeout)
            .with_http_client(Poster::new(config)?)
            .build()?,
    })
}

fn connector(config: &config::Otlp) -> Result<HttpsConnector<HttpConnector>, TlsError> {
    let mut http = HttpConnector::new();
    http.set_connect_timeout(Some(config.timeout));
    http.enforce_http(false);
    let tls = client_config(config.endpoint.scheme() == Some(&http::uri::Scheme::HTTPS))?;
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
    Ok(builder.enable_http2().wrap_connector(http))
}

/// The proxy's own client, as the exporter wants it.
struct Poster {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl Poster {
    fn new(config: &config::Otlp) -> Result<Self, TlsError> {
        let http = http::uri::Scheme::HTTP;
        let scheme = config.endpoint.scheme().cloned().unwrap_or(http);
        // The pool goes by the scheme; the address stands in each request.
        let place = http::uri::Authority::from_static("localhost");
        Ok(Self { client: pool(&config::Upstream::new(scheme, place))?, timeout: config.timeout })
    }
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Poster")
    }
}

#[tonic::async_trait]
impl HttpClient for Poster {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = async {
            let (head, body) = self.client.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(body, MOST_BYTES).collect().await?;
            Ok::<_, HttpError>(Response::from_parts(head, body.to_bytes()))
        };
        tokio::time::timeout(self.timeout, answer).await?
    }
}
