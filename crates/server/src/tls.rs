//! TLS on both sides: certificates of the listeners, and the check of the upstream's.

use crate::config::TlsFiles;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use std::path::PathBuf;
use std::sync::Arc;

/// Why TLS can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate chain can't be read.
    #[error("{0}: no certificate chain in PEM: {1}")]
    Certificate(PathBuf, String),
    /// The private key can't be read.
    #[error("{0}: no private key in PEM: {1}")]
    Key(PathBuf, String),
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

/// What a listener needs to speak TLS 1.2 and 1.3, with HTTP/2 offered when `http2`.
///
/// # Errors
/// When the files can't be read or don't fit each other.
pub(crate) fn server_config(files: &TlsFiles, http2: bool) -> Result<Arc<ServerConfig>, TlsError> {
    let cert_error =
        |e: &dyn std::fmt::Display| TlsError::Certificate(files.cert.clone(), e.to_string());
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.cert)
        .map_err(|e| cert_error(&e))?
        .collect::<Result<_, _>>()
        .map_err(|e| cert_error(&e))?;
    if chain.is_empty() {
        return Err(cert_error(&"the file holds none"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|e| TlsError::Key(files.key.clone(), e.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    if http2 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
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
