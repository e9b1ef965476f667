//! The tests' own name server, in a build made for that: no test asks the real one, and each counts what was asked. A build
//! without the feature `switchable-defences` has no such way.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Where the tests' name server listens. It is sent a name and closes after its answer: addresses with spaces between them.
const SERVER: &str = "AGENT_HOST_TEST_RESOLVER";

/// What stands in for public addresses, after they were checked: `9.9.9.9:443=127.0.0.1:4433`, with commas between them.
const STAND_INS: &str = "AGENT_HOST_TEST_STAND_INS";

/// Longest answer.
const ANSWER_BYTES_MAX: u64 = 4096;

/// The addresses of a name; `None` where the test has no name server.
pub(super) async fn look_up(name: &str) -> Option<Vec<IpAddr>> {
    let server = std::env::var(SERVER).ok()?;
    Some(ask(&server, name).await.unwrap_or_default())
}

async fn ask(server: &str, name: &str) -> std::io::Result<Vec<IpAddr>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(format!("{name}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
    Ok(answer.split_whitespace().filter_map(|address| address.parse().ok()).collect())
}

/// What is connected to in place of an address.
pub(super) fn stand_in(address: SocketAddr) -> SocketAddr {
    let pairs = std::env::var(STAND_INS).unwrap_or_default();
    let other =
        pairs.split(',').filter_map(|pair| pair.split_once('=')).find(|(public, _)| public.parse() == Ok(address));
    other.and_then(|(_, stand_in)| stand_in.parse().ok()).unwrap_or(address)
}
