//! Stands between genai and the network for one request. genai knows every provider's JSON, but reads replies into memory
//! without a bound and puts headers and bodies into its errors; it offers no hook between a request and its sending. So it
//! is pointed at a one-shot loopback address with a password of one use in place of the key; what arrives there is sent on
//! by `wire`, with the real address and key. genai so never holds the key, and never sees a reply that is not small JSON.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use agent_core::model::{ModelFailure, ModelFailureKind};
use agent_core::units::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::failure::failure;
use super::unreadable;
use super::wire::{Wire, WireRequest};

/// Largest request. Contexts of a million tokens and some pictures fit.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Largest head of a request: genai sends a handful of short headers.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Most strangers that may knock during one request before we give up.
const STRANGERS_MAX: usize = 64;

/// Longest wait for a whole request over loopback, so that a stranger who says nothing does not hold up ours.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(10);

/// Headers that belong to one hop, or that `wire` sets itself.
const OWN_HEADERS: [&str; 6] =
    ["host", "connection", "content-length", "transfer-encoding", "accept-encoding", "user-agent"];

/// A loopback address that serves one request.
pub(super) struct Relay {
    listener: TcpListener,
    password: String,
}

/// Where a relayed request really goes.
pub(super) struct Destination<'a> {
    pub(super) wire: &'a Wire,
    pub(super) base: &'a reqwest::Url,
    pub(super) key: &'a str,
}

/// A request as it arrived.
struct Arrived {
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Relay {
    pub(super) async fn open() -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        Ok(Self { listener: TcpListener::bind(("127.0.0.1", 0)).await?, password: hex::encode(random) })
    }

    /// What genai is given in place of the provider's base URL.
    pub(super) fn base_url(&self) -> io::Result<String> {
        Ok(format!("http://{}/{}/", self.listener.local_addr()?, self.password))
    }

    /// What genai is given in place of the key.
    pub(super) fn password(&self) -> &str {
        &self.password
    }

    /// Sends the request on and hands the reply back. Ends only with a failure: the caller stops waiting when genai is done.
    pub(super) async fn serve(&self, destination: &Destination<'_>) -> Result<Infallible, ModelFailure> {
        let (mut stream, arrived) = self.accept().await?;
        let request = self.readdress(arrived, destination)?;
        let body = unreadable::with_readable_arguments(destination.wire.exchange(request).await?);
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.map_err(broken)?;
        stream.write_all(&body).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        std::future::pending().await
    }

    /// The first connection that knows the password; others are hung up on.
    async fn accept(&self) -> Result<(TcpStream, Arrived), ModelFailure> {
        let prefix = format!("/{}/", self.password);
        for _ in 0..STRANGERS_MAX {
            let (mut stream, _) = self.listener.accept().await.map_err(broken)?;
            match tokio::time::timeout(HANDOVER_TIMEOUT, read_request(&mut stream, &prefix)).await {
                Ok(Ok(arrived)) => return Ok((stream, arrived)),
                Ok(Err(Unread::TooLarge)) => {
                    let limit = Bytes(REQUEST_BYTES_MAX as u64);
                    return Err(failure(ModelFailureKind::BadRequest, &format!("the request is larger than {limit}")));
                }
                Ok(Err(Unread::Stranger)) | Err(_) => {}
            }
        }
        Err(broken(io::Error::other("too many strangers on its port")))
    }

    /// The request as the provider gets it: the real base address, the real key.
    fn readdress(&self, arrived: Arrived, destination: &Destination<'_>) -> Result<WireRequest, ModelFailure> {
        let bad = |what: &str| failure(ModelFailureKind::BadRequest, &format!("the request cannot be sent: {what}"));
        let mut headers = HeaderMap::new();
        for (name, value) in arrived.headers.iter().filter(|(name, _)| !OWN_HEADERS.contains(&name.as_str())) {
            let is_secret = value.contains(&self.password);
            let value = value.replace(&self.password, destination.key);
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("a header has no valid name"))?;
            let mut value =
                HeaderValue::from_str(&value).map_err(|_| bad("the key has characters that a header cannot carry"))?;
            value.set_sensitive(is_secret);
            headers.insert(name, value);
        }
        let url = joined(destination.base, &arrived.path).ok_or_else(|| bad("its address is not valid"))?;
        Ok(WireRequest { url, headers, body: arrived.body })
    }
}

/// `path` (and its query) under `base`, whose own query stays.
fn joined(base: &reqwest::Url, path: &str) -> Option<reqwest::Url> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    let queries: Vec<&str> = [base.query(), query].into_iter().flatten().collect();
    url.set_query((!queries.is_empty()).then(|| queries.join("&")).as_deref());
    Some(url)
}

/// Why no request was read.
enum Unread {
    /// Not ours: no password, or no HTTP as our client writes it.
    Stranger,
    /// Ours, and more than a request may be.
    TooLarge,
}

/// Reads one HTTP/1.1 request whose path starts with `prefix`. Its sender is our own client: a length, never chunks.
async fn read_request(stream: &mut TcpStream, prefix: &str) -> Result<Arrived, Unread> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(Unread::Stranger);
        }
        read_more(stream, &mut bytes).await?;
    };
    let head = std::str::from_utf8(&bytes[..head_end]).map_err(|_| Unread::Stranger)?;
    let mut lines = head.split("\r\n");
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or(Unread::Stranger)?;
    let path = target.strip_prefix(prefix).ok_or(Unread::Stranger)?.to_owned();
    let headers: Vec<(String, String)> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let length: usize = length.ok_or(Unread::Stranger)?;
    if length > REQUEST_BYTES_MAX {
        return Err(Unread::TooLarge);
    }
    let mut body = bytes.split_off(head_end + 4);
    body.reserve_exact(length.saturating_sub(body.len()));
    while body.len() < length {
        read_more(stream, &mut body).await?;
    }
    Ok(Arrived { path, headers, body })
}

async fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Result<(), Unread> {
    match stream.read_buf(bytes).await {
        Ok(1..) => Ok(()),
        Ok(0) | Err(_) => Err(Unread::Stranger),
    }
}

fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn broken(error: io::Error) -> ModelFailure {
    failure(ModelFailureKind::Network, &format!("the loopback relay broke: {error}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use super::*;
    use crate::model::canned_server::{Answer, CannedServer};

    #[tokio::test]
    async fn strangers_get_nothing() {
        let server = CannedServer::start(vec![Answer::json(200, "{}")]);
        let base = server.origin().parse().unwrap();
        let wire = Wire::new(&base, None, HANDOVER_TIMEOUT).unwrap();
        let relay = Relay::open().await.unwrap();
        let address = relay.listener.local_addr().unwrap();
        let ask = async |path: String| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let key = relay.password();
            let request = format!("POST {path} HTTP/1.1\r\nx-api-key: {key}\r\ncontent-length: 2\r\n\r\n{{}}");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            // Hanging up may be an error or an end. A whole answer is not followed by one: the relay waits.
            while !answer.ends_with(b"{}") && stream.read_buf(&mut answer).await.is_ok_and(|count| count > 0) {}
            answer
        };
        let destination = Destination { wire: &wire, base: &base, key: "sk-1" };
        let asked = async {
            assert_eq!(ask("/v1/chat".to_owned()).await, b"");
            assert_eq!(ask(format!("/{}", relay.password())).await, b"");
            assert_eq!(server.received().len(), 0);
            ask(format!("/{}/v1/chat", relay.password())).await
        };
        let answer = tokio::select! {
            Err(failure) = relay.serve(&destination) => panic!("{failure}"),
            answer = asked => answer,
        };
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert!(server.received()[0].starts_with("POST /v1/chat HTTP/1.1\r\nx-api-key: sk-1\r\n"));
    }

    #[test]
    fn paths_join_below_the_base() {
        let cases = [
            ("https://api.example.com/v1", "chat/completions", "https://api.example.com/v1/chat/completions"),
            (
                "https://api.example.com/v1/",
                "models/x:generate?alt=sse",
                "https://api.example.com/v1/models/x:generate?alt=sse",
            ),
            ("http://localhost:11434", "api/chat", "http://localhost:11434/api/chat"),
            ("https://h/o?api-version=3", "chat", "https://h/o/chat?api-version=3"),
        ];
        for (base, path, expected) in cases {
            assert_eq!(joined(&base.parse().unwrap(), path).unwrap().as_str(), expected);
        }
    }
}
