//! One request and its whole answer, bounded in size and time. No redirects, no retries, no proxy, no cookies, no shared
//! connections, no HTTP/2: nothing happens here that was not decided.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agent_core::effect::Refusal;
use bytes::Bytes;
use futures::future::{Either, select};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use url::{Position, Url};
use wasmtime_wasi_http::{Error, RequestOptions};

use crate::hosts::http::address::Unresolved;
use crate::hosts::http::bounds::{Bounds, Timing};
use crate::hosts::http::decoding::{self, Coding};
use crate::hosts::http::held::{self, Share};
use crate::hosts::http::resolver::Resolver;
use crate::hosts::http::{answer_head, connection};

/// What the parser keeps besides the header fields: the status line and the signs between fields.
const HEAD_SLACK_BYTES: usize = 8 << 10;

/// Interim answers (`100 Continue`, `103 Early Hints`) before the answer. Honest servers send one or two.
const INTERIM_MAX: usize = 8;

/// A request as it is sent.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) options: RequestOptions,
    pub(super) bounds: Bounds,
    pub(super) share: Share,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Decompressed.
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

/// Sends a request and reads the whole answer.
pub(super) async fn exchange(request: Request, resolver: &Resolver) -> Result<Answer, Failure> {
    let timing = request.bounds.timing.for_guest(&request.options);
    let late = || Failure::timeout(Reached::Nothing, "no connection in time");
    let stream = within(timing.connect, connection::open(&request.url, resolver), late).await??;
    let handshake = http1::Builder::new()
        .max_headers(request.bounds.fields)
        .max_buf_size(request.bounds.field_bytes.saturating_add(HEAD_SLACK_BYTES))
        .handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|error| lost(&error))?;
    // Both in this task: when it is given up, the connection is gone too.
    match select(pin!(converse(sender, request, timing)), pin!(connection)).await {
        Either::Left((answered, _)) => answered,
        Either::Right((_, conversation)) => conversation.await,
    }
}

async fn converse(
    mut sender: http1::SendRequest<Full<Bytes>>,
    request: Request,
    timing: Timing,
) -> Result<Answer, Failure> {
    let (bounds, share) = (request.bounds, request.share);
    let mut outgoing = http::Request::new(Full::new(request.body));
    *outgoing.method_mut() = request.method.clone();
    *outgoing.uri_mut() = origin_form(&request.url)?;
    *outgoing.headers_mut() = headers(request.headers, &request.url)?;
    let flooded = count_interim(&mut outgoing);
    let late = || Failure::timeout(Reached::Perhaps, "the answer did not begin in time");
    let answered = tokio::select! {
        // First: a server that has sent its storm may also have hung up by now.
        biased;
        () = flooded.cancelled() => {
            let text = "the server sends interim answers without end".to_owned();
            let (reached, refusal) = (Reached::Perhaps, Some(Refusal::NetDenied));
            return Err(Failure { reached, refusal, error: Error::HttpProtocolError, text });
        }
        answered = within(timing.first_byte, sender.send_request(outgoing), late) => answered?,
    };
    let response = answered.map_err(|error| lost(&error))?;
    answer_head::check(&request.method, response.status(), response.headers(), &bounds)?;
    read_answer(response, timing.idle, (share, bounds)).await
}

/// What goes into the request line: path and query. Everything before was decided about and is where the connection leads.
fn origin_form(url: &Url) -> Result<Uri, Failure> {
    url[Position::BeforePath..Position::AfterQuery].parse().map_err(|_| {
        Failure::nothing(None, Error::HttpRequestUriInvalid, "the URL cannot be written into a request".to_owned())
    })
}

/// The guest's fields and those of the connection, which no guest sets.
fn headers(mut headers: HeaderMap, url: &Url) -> Result<HeaderMap, Failure> {
    let host = HeaderValue::try_from(&url[Position::BeforeHost..Position::AfterPort]).map_err(|_| {
        Failure::nothing(None, Error::HttpRequestUriInvalid, "the host cannot be written into a request".to_owned())
    })?;
    headers.insert(header::HOST, host);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    decoding::offer(&mut headers);
    Ok(headers)
}

/// Cancelled once there were too many interim answers.
fn count_interim(request: &mut http::Request<Full<Bytes>>) -> CancellationToken {
    let (flooded, seen) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let too_many = flooded.clone();
    hyper::ext::on_informational(request, move |_| {
        if seen.fetch_add(1, Ordering::Relaxed) >= INTERIM_MAX {
            too_many.cancel();
        }
    });
    flooded
}

async fn read_answer(
    response: http::Response<Incoming>,
    idle: Duration,
    (mut share, bounds): (Share, Bounds),
) -> Result<Answer, Failure> {
    let (mut head, mut incoming) = response.into_parts();
    let status = head.status.as_u16();
    let reached = Reached::Answered(status);
    let late = || Failure::timeout(reached, "the answer stopped in the middle");
    let mut body = Vec::new();
    while let Some(frame) = within(idle, incoming.frame(), late).await? {
        let frame = frame.map_err(|_| {
            let text = "the connection ended in the middle of the answer".to_owned();
            Failure { reached, refusal: None, error: Error::HttpResponseIncomplete, text }
        })?;
        // Trailers are nothing that a guest could rely on: most of what stands between drops them.
        let Ok(chunk) = frame.into_data() else { continue };
        if (body.len() + chunk.len()) as u64 > bounds.response_bytes.0 {
            return Err(Failure::too_long(reached, &bounds));
        }
        if !share.grow(chunk.len() as u64) {
            return Err(Failure::too_much_held(reached));
        }
        held::append(&mut body, &chunk, bounds.response_bytes.0);
    }
    let mut body = Bytes::from(body);
    if let Some(coding) =
        Coding::of(&head.headers).map_err(|refused| refused.failure(reached))?.filter(|_| !body.is_empty())
    {
        let mut decoded = share.sibling();
        let plain = decoding::decode(coding, &body, (&bounds, &mut decoded)).await;
        body = plain.map_err(|cause| cause.failure(coding, reached, &bounds))?;
        share = decoded;
        decoding::forget(&mut head.headers);
    }
    Ok(Answer { status, headers: head.headers, body, share })
}

/// Waits for a step, no longer than it may take.
async fn within<T>(
    most: Duration,
    step: impl Future<Output = T>,
    late: impl FnOnce() -> Failure,
) -> Result<T, Failure> {
    tokio::time::timeout(most, step).await.map_err(|_| late())
}

/// The connection did not bring an answer.
fn lost(error: &hyper::Error) -> Failure {
    let reached = Reached::Perhaps;
    if error.is_parse_too_large() {
        let text = "the answer's header is too large".to_owned();
        let error = Error::HttpResponseHeaderSectionSize(None);
        return Failure { reached, refusal: Some(Refusal::NetLimit), error, text };
    }
    let (error, text) = if error.is_parse() {
        (Error::HttpProtocolError, "the server's answer is not HTTP/1.1")
    } else {
        (Error::ConnectionTerminated, "the connection ended before the answer")
    };
    Failure { reached, refusal: None, error, text: text.to_owned() }
}

impl Failure {
    pub(super) fn nothing(refusal: Option<Refusal>, error: Error, text: String) -> Self {
        Self { reached: Reached::Nothing, refusal, error, text }
    }

    /// Before anything was sent, a bound was met.
    pub(super) fn limit(text: String) -> Self {
        Self::nothing(Some(Refusal::NetLimit), Error::ConnectionLimitReached, text)
    }

    pub(super) fn tls(error: Error, text: &str) -> Self {
        Self::nothing(Some(Refusal::NetTls), error, text.to_owned())
    }

    pub(super) fn unresolved(unresolved: &Unresolved) -> Self {
        let (refusal, error) = match unresolved {
            Unresolved::Forbidden => (Some(Refusal::NetDenied), Error::DestinationIpProhibited),
            Unresolved::NotFound => (None, Error::DnsError { rcode: None, info_code: None }),
        };
        Self::nothing(refusal, error, unresolved.to_string())
    }

    pub(super) fn too_long(reached: Reached, bounds: &Bounds) -> Self {
        let text = format!("the answer is longer than {}", bounds.response_bytes);
        let error = Error::HttpResponseBodySize(Some(bounds.response_bytes.0));
        Self { reached, refusal: Some(Refusal::NetLimit), error, text }
    }

    pub(super) fn too_much_held(reached: Reached) -> Self {
        let text = "the call holds too many answers that it has not read".to_owned();
        Self { reached, refusal: Some(Refusal::NetLimit), error: Error::ConnectionLimitReached, text }
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
