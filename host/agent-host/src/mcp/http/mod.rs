//! Tools over HTTP: a listener, bounded connections, and behind [`door`] the protocol's own service. A connection that sends its
//! request slowly, or does not read its answer, is closed; what it asked for is brought to its end all the same.

mod body;
pub mod door;
pub mod impatient;
mod refusal;
mod sessions;
pub mod token;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use self::door::Door;
use self::impatient::Impatient;

/// Connections at once. Each takes some kilobytes and a descriptor; a thousand that are slow leave room for those that are not.
const CONNECTIONS_MAX: usize = 2_048;
/// How long the head of a request may take, and a connection may rest between two.
const HEAD_WAIT: Duration = Duration::from_secs(5);
/// Bytes of a request's head, and of what of a message is held at once.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Fields of a request's head.
const HEAD_FIELDS_MAX: usize = 100;
/// How long an answer may stand still because nobody reads it.
const WRITE_WAIT: Duration = Duration::from_secs(30);
/// The pause after a connection could not be taken, for want of descriptors above all: no busy loop, and it goes on by itself.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What is said to a connection that is one too many.
const TURNED_AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
content-type: application/json\r\ncontent-length: 22\r\n\r\n{\"error\":\"overloaded\"}";

/// A socket that was opened before the walls went up.
pub struct Listening {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Listening {
    /// Opens it.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on `{address}`"))?;
        listener.set_nonblocking(true).context("cannot use the listener")?;
        let address = listener.local_addr().context("cannot use the listener")?;
        Ok(Self { listener, address })
    }

    /// Takes connections until `stop`.
    ///
    /// # Errors
    /// Where the socket cannot be used at all.
    pub async fn serve(self, door: Arc<Door>, stop: CancellationToken) -> anyhow::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener).context("cannot use the listener")?;
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => drop(tokio::spawn(connection(stream, place, Arc::clone(&door), stop.clone()))),
                    // Nobody waits for it to be read.
                    Err(_) => drop(stream.try_write(TURNED_AWAY)),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, place: OwnedSemaphorePermit, door: Arc<Door>, stop: CancellationToken) {
    // Small messages that somebody waits for.
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, std::convert::Infallible>(door.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_FIELDS_MAX)
        .serve_connection(TokioIo::new(Impatient::new(stream, WRITE_WAIT)), answer);
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke off");
        },
        () = stop.cancelled() => {}
    }
    drop(place);
}
