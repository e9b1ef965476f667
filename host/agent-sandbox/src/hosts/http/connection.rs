//! One connection for one request: to an address that was checked, over TLS where the scheme says so. Nothing keeps it: a
//! connection that was opened for one request never serves another tool, secret or call. No proxy is asked for or obeyed.

use std::time::Duration;

use futures::future::select_ok;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use url::{Host, Url};
use wasmtime_wasi_http::Error;

use crate::hosts::http::address::{self, Checked};
use crate::hosts::http::exchange::Failure;
use crate::hosts::http::resolver::Resolver;
use crate::hosts::http::tls;

/// Addresses of one name that are tried.
const DIALS_MAX: usize = 6;

/// How long an address has before the next one is tried beside it: what RFC 8305 recommends.
const DIAL_STAGGER: Duration = Duration::from_millis(250);

/// What bytes go over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to where the URL leads. Not a byte of a request has left when this fails.
pub(super) async fn open(url: &Url, resolver: &Resolver) -> Result<Box<dyn Stream>, Failure> {
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(Failure::nothing(None, Error::HttpRequestUriInvalid, "the URL names no host".to_owned()));
    };
    let addresses = addresses(&host, resolver).await?;
    let tcp = dial(&addresses, port).await?;
    // Requests are one write each: waiting for more to send only delays them.
    let _ = tcp.set_nodelay(true);
    if url.scheme() == "https" { Ok(Box::new(tls::handshake(tcp, &host).await?)) } else { Ok(Box::new(tcp)) }
}

async fn addresses(host: &Host<&str>, resolver: &Resolver) -> Result<Vec<Checked>, Failure> {
    let found = match host {
        Host::Domain(name) => address::resolve(name, resolver).await,
        Host::Ipv4(literal) => Checked::granted((*literal).into()).map(|address| vec![address]),
        Host::Ipv6(literal) => Checked::granted((*literal).into()).map(|address| vec![address]),
    };
    found.map_err(|unresolved| Failure::unresolved(&unresolved))
}

/// Tries the addresses in the resolver's order, each a moment after the one before; the first that answers is it.
async fn dial(addresses: &[Checked], port: u16) -> Result<TcpStream, Failure> {
    let attempts = addresses.iter().take(DIALS_MAX).zip(0_u32..).map(|(address, place)| {
        Box::pin(async move {
            tokio::time::sleep(DIAL_STAGGER * place).await;
            TcpStream::connect(address.socket(port)).await
        })
    });
    match select_ok(attempts).await {
        Ok((tcp, _)) => Ok(tcp),
        Err(error) => {
            let text = format!("no connection: {}", error.kind());
            Err(Failure::nothing(None, Error::ConnectionRefused, text))
        }
    }
}
