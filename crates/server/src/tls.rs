//! TLS on both sides: certificates of the listeners and of gateways, and the check of the upstream's.

use crate::config::TlsFiles;
use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate chain can't be read.
    #[error("{0}: no certificate chain in PEM: {1}")]
    Certificate(PathBuf, String),
    /// The private key can't be read.
    #[error("{0}: no private key in PEM: {1}")]
    Key(PathBuf, String),
    /// The authority that signs the certificates of clients can't be used.
    #[error("{0}: no certificates of an authority in PEM: {1}")]
    Authority(PathBuf, String),
    /// The two don't fit each other, or the library refuses them.
    #[error("certificate and key can't be used: {0}")]
    Refused(#[from] rustls::Error),
    /// The certificates that the system trusts can't be read.
    #[error("the certificates that the system trusts can't be read: {0}; install ca-certificates")]
    Roots(std::io::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Protocols that a listener offers (ALPN, RFC 7301), the preferred one first.
pub(crate) type Protocols = &'static [&'static [u8]];
pub(crate) const HTTP_1: Protocols = &[b"http/1.1"];
pub(crate) const HTTP_2: Protocols = &[b"h2"];
pub(crate) const HTTP_1_AND_2: Protocols = &[b"h2", b"http/1.1"];

/// A listener's side of TLS. A reload puts the renewed files in force for the connections that come
/// after it; those that are open go on.
pub(crate) struct ServerTls {
    pub files: TlsFiles,
    protocols: Protocols,
    config: ArcSwap<ServerConfig>,
}

impl ServerTls {
    /// # Errors
    /// When the files can't be read or don't fit each other.
    pub(crate) fn new(files: TlsFiles, protocols: Protocols) -> Result<Arc<Self>, TlsError> {
        let config = ArcSwap::new(server_config(&files, protocols)?);
        Ok(Arc::new(Self { files, protocols, config }))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.config.load_full().into()
    }

    /// What the files hold now.
    ///
    /// # Errors
    /// When they can't be read or don't fit each other.
    pub(crate) fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        server_config(&self.files, self.protocols)
    }

    pub(crate) fn put_in_force(&self, config: Arc<ServerConfig>) {
        self.config.store(config);
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let certificates: Vec<_> = certificates.map_err(|e| e.to_string())?;
    if certificates.is_empty() { Err("the file holds none".to_owned()) } else { Ok(certificates) }
}

/// What a listener needs to speak TLS 1.2 and 1.3; with an authority for clients, each of them has to
/// show a certificate that it signed.
///
/// # Errors
/// When the files can't be read or don't fit each other.
pub(crate) fn server_config(
    files: &TlsFiles,
    protocols: Protocols,
) -> Result<Arc<ServerConfig>, TlsError> {
    let chain =
        certificates(&files.cert).map_err(|e| TlsError::Certificate(files.cert.clone(), e))?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| TlsError::Key(files.key.clone(), e.to_string()))?;
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let wrong = |e: String| TlsError::Authority(file.clone(), e);
            let mut roots = RootCertStore::empty();
            for authority in certificates(file).map_err(wrong)? {
                roots.add(authority).map_err(|e| wrong(e.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
            builder.with_client_cert_verifier(verifier.build().map_err(|e| wrong(e.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(Arc::new(config))
}

/// What the proxy needs to speak TLS to the upstream.
///
/// # Errors
/// When the system's trusted certificates can't be read.
pub(crate) fn client_config(verify: bool) -> Result<ClientConfig, TlsError> {
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    if verify {
        use hyper_rustls::ConfigBuilderExt as _;
        Ok(builder.with_native_roots().map_err(TlsError::Roots)?.with_no_client_auth())
    } else {
        let unchecked = Arc::new(Unchecked(provider()));
        Ok(builder.dangerous().with_custom_certificate_verifier(unchecked).with_no_client_auth())
    }
}

/// Accepts any certificate: the operator said `tls_verify: false`. Signatures are still checked.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
