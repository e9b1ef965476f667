//! Certificates that are good, or wrong in one way, and the one authority that the host under test trusts.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde::Deserialize;

/// What a peer shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// For its address, by the trusted authority.
    Good,
    /// The same, and it expired long ago.
    Expired,
    /// The same, and it begins in the next century.
    Early,
    /// For another name.
    OtherName,
    /// For another address.
    OtherAddress,
    /// Its address written as if it were a name.
    AddressAsName,
    /// By itself.
    SelfSigned,
    /// By an authority that nobody trusts.
    UnknownRoot,
    /// None: it answers in TLS 1.1.
    OldTls,
    /// None: it takes the beginning of the handshake and says nothing.
    Mute,
    /// None: it hangs up in the middle of the handshake.
    HangUp,
    /// A good one, and it speaks HTTP/2 only.
    Http2Only,
}

/// What certificates are signed by.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// The authority that the host under test is told to trust.
fn trusted() -> &'static Authority {
    static TRUSTED: OnceLock<Authority> = OnceLock::new();
    TRUSTED.get_or_init(|| Authority::new("the suite's authority"))
}

/// A file with the trusted authority's certificate, for `SSL_CERT_FILE`. It lives as long as the process.
///
/// # Panics
/// Where it cannot be written.
#[must_use]
pub fn trusted_file() -> &'static Path {
    static FILE: OnceLock<tempfile::NamedTempFile> = OnceLock::new();
    let written = || {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), &trusted().pem).expect("a certificate");
        file
    };
    FILE.get_or_init(written).path()
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }
}

impl Certificate {
    /// Shakes hands, or fails to in the way of this certificate.
    pub(super) fn secure(self, mut tcp: TcpStream) -> io::Result<impl Read + Write> {
        match self {
            Self::OldTls => {
                read_hello(&mut tcp)?;
                tcp.write_all(&old_server_hello())?;
                std::thread::sleep(Duration::from_secs(5));
                return Err(io::ErrorKind::Unsupported.into());
            }
            Self::Mute => {
                std::thread::sleep(super::PATIENCE);
                return Err(io::ErrorKind::TimedOut.into());
            }
            Self::HangUp => {
                read_hello(&mut tcp)?;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Self::Good
            | Self::Expired
            | Self::Early
            | Self::OtherName
            | Self::OtherAddress
            | Self::AddressAsName
            | Self::SelfSigned
            | Self::UnknownRoot
            | Self::Http2Only => {}
        }
        let config = self.config(tcp.local_addr()?.ip());
        let connection = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, tcp))
    }

    fn config(self, own: IpAddr) -> ServerConfig {
        let key = KeyPair::generate().expect("a key");
        let params = self.params(own);
        let certificate = match self {
            Self::SelfSigned => params.self_signed(&key),
            Self::UnknownRoot => params.signed_by(&key, &Authority::new("a stranger").issuer),
            _ => params.signed_by(&key, &trusted().issuer),
        };
        let chain = vec![certificate.expect("a certificate").der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("versions of TLS").with_no_client_auth();
        let mut config = builder.with_single_cert(chain, key).expect("a certificate with its key");
        if self == Self::Http2Only {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        config
    }

    fn params(self, own: IpAddr) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, own.to_string());
        let name = |name: &str| SanType::DnsName(name.to_owned().try_into().expect("a name"));
        params.subject_alt_names = vec![match self {
            Self::OtherName => name("other.example"),
            Self::AddressAsName => name(&own.to_string()),
            Self::OtherAddress => SanType::IpAddress(IpAddr::from([127, 9, 9, 9])),
            _ => SanType::IpAddress(own),
        }];
        match self {
            Self::Expired => {
                (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
            }
            Self::Early => {
                (params.not_before, params.not_after) = (date_time_ymd(2101, 1, 1), date_time_ymd(2102, 1, 1));
            }
            _ => {}
        }
        params
    }
}

fn read_hello(tcp: &mut TcpStream) -> io::Result<()> {
    let mut header = [0; 5];
    tcp.read_exact(&mut header)?;
    let length = u64::from(u16::from_be_bytes([header[3], header[4]]));
    io::copy(&mut tcp.take(length), &mut io::sink())?;
    Ok(())
}

/// The answer of a server that knows TLS 1.1 at most: its version, random bytes, no session, one old cipher suite, no
/// compression.
fn old_server_hello() -> Vec<u8> {
    let version = [3, 2];
    let body = [&version[..], &[7; 32], &[0], &[0, 0x2f], &[0]].concat();
    let handshake = [&[2, 0, 0, body.len() as u8][..], &body].concat();
    [&[22][..], &version, &[0, handshake.len() as u8], &handshake].concat()
}
