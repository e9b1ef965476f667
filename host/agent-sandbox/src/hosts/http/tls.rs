//! TLS 1.2 and 1.3 with certificates checked against the roots of this system, for every request. No guest, manifest or grant
//! can weaken it. Sessions are not resumed: a ticket given to one tool would tell the server that another one is the same host.

use std::io;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;
use wasmtime_wasi_http::Error;

use crate::defence::{self, Defence};
use crate::hosts::http::exchange::Failure;

/// One for the process: it holds no connections and no sessions, only roots that are slow to load.
static CONFIG: OnceCell<Result<Arc<ClientConfig>, String>> = OnceCell::const_new();

/// Shakes hands with the server of this name or address.
pub(super) async fn handshake(tcp: TcpStream, host: &Host<&str>) -> Result<TlsStream<TcpStream>, Failure> {
    let config = CONFIG.get_or_init(load).await.as_ref().map_err(|text| {
        Failure::nothing(None, Error::ConfigurationError, format!("TLS could not be set up: {text}"))
    })?;
    let name = server_name(host)?;
    TlsConnector::from(config.clone()).connect(name, tcp).await.map_err(|error| failure(&error))
}

/// Reads the roots on a thread that may wait for files.
async fn load() -> Result<Arc<ClientConfig>, String> {
    let loaded = tokio::task::spawn_blocking(config).await.map_err(|error| error.to_string())?;
    loaded.map(Arc::new).map_err(|error| error.to_string())
}

fn config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier(&provider)?);
    let mut config = builder.with_no_client_auth();
    // HTTP/2 lets a server make a client work for nothing (floods of CONTINUATION, SETTINGS, resets); one request a connection
    // has no use for it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The one that asks this system. Called dangerous by rustls, since another could be passed.
fn verifier(provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    if defence::is_off(Defence::NetTls) {
        return Ok(undefended::verifier(provider));
    }
    Ok(Arc::new(Verifier::new(provider.clone())?))
}

fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, Failure> {
    match host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned()).map_err(|_| {
            Failure::nothing(
                None,
                Error::HttpRequestUriInvalid,
                "the host's name cannot be in a certificate".to_owned(),
            )
        }),
        Host::Ipv4(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress((*address).into())),
    }
}

/// Whatever ends a handshake is a failure of TLS, also a server that hangs up.
fn failure(error: &io::Error) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (error, text) = inner.map_or((Error::TlsProtocolError, "the server ended the TLS handshake"), explain);
    Failure::tls(error, text)
}

/// What went wrong, in words that hold nothing of the server's own.
fn explain(error: &rustls::Error) -> (Error, &'static str) {
    match error {
        rustls::Error::InvalidCertificate(certificate) => {
            (Error::TlsCertificateError, explain_certificate(certificate))
        }
        rustls::Error::NoCertificatesPresented => (Error::TlsCertificateError, "the server shows no certificate"),
        rustls::Error::PeerIncompatible(_) => {
            (Error::TlsProtocolError, "the server speaks no TLS that is safe: 1.2 or 1.3")
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            (Error::TlsProtocolError, "the server speaks no TLS that is safe: 1.2 or 1.3")
        }
        rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            (Error::TlsProtocolError, "the server speaks no HTTP/1.1")
        }
        rustls::Error::InvalidMessage(_) => (Error::TlsProtocolError, "the server does not speak TLS on this port"),
        _ => (Error::TlsProtocolError, "the TLS handshake failed"),
    }
}

fn explain_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the server's certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name"
        }
        CertificateError::UnknownIssuer => "the server's certificate is from an issuer that this system does not trust",
        CertificateError::Revoked => "the server's certificate was revoked",
        _ => "the server's certificate is not accepted: it may be signed by itself, or malformed",
    }
}

/// Accepts every certificate, in a test build that asks for it: to see that the tests would notice.
#[cfg(feature = "switchable-defences")]
mod undefended {
    use std::sync::Arc;

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    pub(super) fn verifier(provider: &Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
        Arc::new(Anything(provider.clone()))
    }

    #[derive(Debug)]
    struct Anything(Arc<CryptoProvider>);

    impl ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

#[cfg(not(feature = "switchable-defences"))]
mod undefended {
    use std::sync::Arc;

    use rustls::client::danger::ServerCertVerifier;
    use rustls::crypto::CryptoProvider;

    pub(super) fn verifier(_: &Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
        unreachable!("a build without the feature switches no defence off")
    }
}
