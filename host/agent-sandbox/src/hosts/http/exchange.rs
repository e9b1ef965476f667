//! One request and its whole answer, bounded in size and time. No redirects, no retries, no proxy, no cookies, no decoding, no
//! shared connections: nothing happens here that was not decided.

use std::error::Error as StdError;
use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use agent_core::effect::Refusal;
use bytes::Bytes;
use http::{HeaderMap, Method};
use reqwest::Client;
use reqwest::redirect::Policy;
use url::Url;
use wasmtime_wasi_http::{Error, RequestOptions};

use crate::hosts::http::address::{PublicResolver, Unresolved};
use crate::hosts::http::held::Share;
use crate::hosts::http::{FIELD_BYTES_MAX, bounded};
use crate::transcript::{Encode, put_blob};

/// Time to connect, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Time until the answer begins, counted from the beginning.
const FIRST_BYTE_MAX: Duration = Duration::from_secs(15);

/// Time between two pieces of an answer.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// Time for the whole. A call's own deadline may be shorter, never longer.
pub(super) const TOTAL_MAX: Duration = Duration::from_secs(30);

/// Most header fields of an answer.
const FIELDS_MAX: usize = 100;

/// A request as it is sent.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) options: RequestOptions,
    pub(super) answer_bytes_max: u64,
    pub(super) share: Share,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What the body holds of the call's memory.
    pub(super) share: Share,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Failure {
    /// How far it came.
    pub(super) reached: Reached,
    /// The name of the refusal, where the failure has one.
    pub(super) refusal: Option<Refusal>,
    /// What the guest sees.
    pub(super) error: Error,
    /// What people read. Never holds the URL or anything of the message.
    pub(super) text: String,
}

/// How far a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// Not a byte of it left.
    Nothing,
    /// It may have arrived.
    Perhaps,
    /// It arrived and was answered with this status.
    Answered(u16),
}

/// One client for all calls: it holds no connections and no state, only TLS roots that are slow to load.
static CLIENT: LazyLock<Result<Client, String>> = LazyLock::new(|| {
    Client::builder()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(0)
        .dns_resolver(Arc::new(PublicResolver))
        .connect_timeout(CONNECT_MAX)
        .build()
        .map_err(|error| error.to_string())
});

/// Sends a request and reads the whole answer.
pub(super) async fn exchange(request: Request) -> Result<Answer, Failure> {
    let client = CLIENT.as_ref().map_err(|text| {
        Failure::nothing(None, Error::ConfigurationError, format!("the HTTP client could not be set up: {text}"))
    })?;
    let first_byte = bounded(request.options.first_byte_timeout, FIRST_BYTE_MAX);
    let idle = bounded(request.options.between_bytes_timeout, IDLE_MAX);
    let sent = client.request(request.method, request.url).headers(request.headers).body(request.body).send();
    let response = match tokio::time::timeout(first_byte, sent).await {
        Ok(response) => response.map_err(|error| from_send_error(&error))?,
        Err(_) => {
            return Err(Failure::timeout(Reached::Perhaps, "the answer did not begin in time"));
        }
    };
    let status = response.status().as_u16();
    check_head(status, response.headers())?;
    read_answer(response, idle, (request.share, request.answer_bytes_max)).await
}

async fn read_answer(
    mut response: reqwest::Response,
    idle: Duration,
    (mut share, most): (Share, u64),
) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let reached = Reached::Answered(status);
    let headers = std::mem::take(response.headers_mut());
    let mut body = Vec::new();
    loop {
        match tokio::time::timeout(idle, response.chunk()).await {
            Err(_) => {
                return Err(Failure::timeout(reached, "the answer stopped in the middle"));
            }
            Ok(Err(_)) => {
                let text = "the connection ended in the middle of the answer".to_owned();
                return Err(Failure { reached, refusal: None, error: Error::HttpResponseIncomplete, text });
            }
            Ok(Ok(None)) => {
                return Ok(Answer { status, headers, body: body.into(), share });
            }
            Ok(Ok(Some(chunk))) if (body.len() + chunk.len()) as u64 > most => {
                let text = format!("the answer is longer than {}", agent_core::units::Bytes(most));
                let error = Error::HttpResponseBodySize(Some(most));
                return Err(Failure { reached, refusal: Some(Refusal::NetLimit), error, text });
            }
            Ok(Ok(Some(chunk))) if !share.grow(chunk.len() as u64) => {
                let text = "the call holds too many answers that it has not read".to_owned();
                let error = Error::ConnectionLimitReached;
                return Err(Failure { reached, refusal: Some(Refusal::NetLimit), error, text });
            }
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
        }
    }
}

fn check_head(status: u16, headers: &HeaderMap) -> Result<(), Failure> {
    let reached = Reached::Answered(status);
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() > FIELDS_MAX || bytes > FIELD_BYTES_MAX {
        let error = Error::HttpResponseHeaderSectionSize(u32::try_from(bytes).ok());
        let text = "the answer's header is too large".to_owned();
        return Err(Failure { reached, refusal: Some(Refusal::NetLimit), error, text });
    }
    if status < 200 {
        let text = "the server wants to switch protocols".to_owned();
        return Err(Failure { reached, refusal: Some(Refusal::NetDenied), error: Error::HttpUpgradeFailed, text });
    }
    Ok(())
}

fn from_send_error(error: &reqwest::Error) -> Failure {
    if !error.is_connect() {
        let text = "the connection ended before the answer".to_owned();
        let reached = if error.is_builder() { Reached::Nothing } else { Reached::Perhaps };
        return Failure { reached, refusal: None, error: Error::ConnectionTerminated, text };
    }
    match cause(error) {
        Some(Cause::Name(Unresolved::Forbidden)) => {
            let text = Unresolved::Forbidden.to_string();
            Failure::nothing(Some(Refusal::NetDenied), Error::DestinationIpProhibited, text)
        }
        Some(Cause::Name(Unresolved::NotFound)) => {
            let error = Error::DnsError { rcode: None, info_code: None };
            Failure::nothing(None, error, Unresolved::NotFound.to_string())
        }
        Some(Cause::Tls) => {
            let text = "the server's certificate or its TLS is not accepted".to_owned();
            Failure::nothing(Some(Refusal::NetTls), Error::TlsCertificateError, text)
        }
        None if error.is_timeout() => Failure::timeout(Reached::Nothing, "no connection in time"),
        None => Failure::nothing(None, Error::ConnectionRefused, "no connection".to_owned()),
    }
}

enum Cause {
    Name(Unresolved),
    Tls,
}

/// Looks for what we know in a chain of errors. rustls reports through the standard library's `InvalidData`.
fn cause(error: &reqwest::Error) -> Option<Cause> {
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(inner) = next {
        if let Some(unresolved) = inner.downcast_ref::<Unresolved>() {
            return Some(Cause::Name(unresolved.clone()));
        }
        let kind = inner.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::InvalidData) {
            return Some(Cause::Tls);
        }
        next = inner.source();
    }
    None
}

impl Failure {
    fn nothing(refusal: Option<Refusal>, error: Error, text: String) -> Self {
        Self { reached: Reached::Nothing, refusal, error, text }
    }

    pub(super) fn given_up(text: &str) -> Self {
        Self { reached: Reached::Perhaps, refusal: None, error: Error::ConnectionTerminated, text: text.to_owned() }
    }

    pub(super) fn timeout(reached: Reached, text: &str) -> Self {
        let error = match reached {
            Reached::Nothing => Error::ConnectionTimeout,
            Reached::Perhaps => Error::HttpResponseTimeout,
            Reached::Answered(_) => Error::ConnectionReadTimeout,
        };
        Self { reached, refusal: Some(Refusal::NetTimeout), error, text: text.to_owned() }
    }
}

impl Encode for Answer {
    /// Status, fields, body: all that a replay needs to give the answer again.
    fn encode(&self, out: &mut Vec<u8>) {
        self.status.encode(out);
        let fields = self.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        fields.collect::<Vec<(String, Vec<u8>)>>().encode(out);
        put_blob(&self.body, out);
    }
}
