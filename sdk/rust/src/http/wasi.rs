//! Sending by `wasi:http`. The request's body is finished before the answer is awaited: a host that reads the whole body
//! first would otherwise wait for us while we wait for it.

use std::future::poll_fn;
use std::io::{self, Read};
use std::rc::Rc;
use std::task::Poll;

use wasip2::http::outgoing_handler;
use wasip2::http::types::FutureIncomingResponse;
use wasip2::http::types::Scheme as WasiScheme;
use wasip2::http::types::{ErrorCode, Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest};
use wasip2::io::streams::{InputStream, StreamError};

use super::{Body, Error, Request, Response, Scheme, Url, waiting};

/// Most bytes that one `blocking-write-and-flush` takes, by its definition.
const WRITE_BYTES_MAX: usize = 4096;

pub(super) fn send(request: &Request, url: &Url) -> Result<Response, Error> {
    let pending = sent(request, url)?;
    pending.subscribe().block();
    let answer = answered(&pending, url);
    answer.unwrap_or_else(|| unreachable!("the pollable was ready, and the answer is taken once"))
}

/// The same for who waits for several at once.
pub(super) async fn send_async(request: &Request, url: &Url) -> Result<Response, Error> {
    let pending = sent(request, url)?;
    // Declared after what it is about, so that it is dropped before it, also where nobody waits any more.
    let pollable = Rc::new(pending.subscribe());
    poll_fn(|context| match answered(&pending, url) {
        Some(answer) => Poll::Ready(answer),
        None => {
            waiting::until(&pollable, context.waker());
            Poll::Pending
        }
    })
    .await
}

fn sent(request: &Request, url: &Url) -> Result<FutureIncomingResponse, Error> {
    let outgoing = outgoing(request, url)?;
    let body = outgoing.body().map_err(|()| Error::Malformed("the request has no body to write to".to_owned()))?;
    let pending = outgoing_handler::handle(outgoing, None).map_err(|code| error(&code, url))?;
    write(body, &request.body, url)?;
    Ok(pending)
}

/// The answer, once it has come. It is taken once.
fn answered(pending: &FutureIncomingResponse, url: &Url) -> Option<Result<Response, Error>> {
    match pending.get()? {
        Ok(Ok(answer)) => Some(response(answer, url)),
        Ok(Err(code)) => Some(Err(error(&code, url))),
        Err(()) => unreachable!("the answer is taken once"),
    }
}

fn outgoing(request: &Request, url: &Url) -> Result<OutgoingRequest, Error> {
    let fields: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let fields = Fields::from_list(&fields).map_err(|error| Error::Malformed(error.to_string()))?;
    let outgoing = OutgoingRequest::new(fields);
    let scheme = match url.scheme {
        Scheme::Http => WasiScheme::Http,
        Scheme::Https => WasiScheme::Https,
    };
    let malformed = |what: &str| Error::Malformed(format!("the host does not take {what}"));
    outgoing.set_method(&method(&request.method)).map_err(|()| malformed("the method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| malformed("the scheme"))?;
    outgoing.set_authority(Some(&url.authority)).map_err(|()| malformed("the host's name"))?;
    outgoing.set_path_with_query(Some(&url.path_and_query)).map_err(|()| malformed("the path"))?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "PATCH" => Method::Patch,
        "OPTIONS" => Method::Options,
        other => Method::Other(other.to_owned()),
    }
}

fn write(body: OutgoingBody, bytes: &[u8], url: &Url) -> Result<(), Error> {
    let broken = |reason: String| Error::Failed { origin: url.origin(), reason };
    {
        let stream = body.write().map_err(|()| broken("the request's body cannot be written".to_owned()))?;
        for chunk in bytes.chunks(WRITE_BYTES_MAX) {
            stream.blocking_write_and_flush(chunk).map_err(|error| broken(stream_error(&error)))?;
        }
    }
    OutgoingBody::finish(body, None).map_err(|code| error(&code, url))
}

fn response(answer: IncomingResponse, url: &Url) -> Result<Response, Error> {
    let status = answer.status();
    let fields = answer.headers().entries();
    let headers =
        fields.into_iter().map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect();
    let broken = || Error::Failed { origin: url.origin(), reason: "its body cannot be read".to_owned() };
    let body = answer.consume().map_err(|()| broken())?;
    let stream = body.stream().map_err(|()| broken())?;
    Ok(Response { status, headers, body: Body::new(IncomingReader { stream, _body: body, _answer: answer }) })
}

fn error(code: &ErrorCode, url: &Url) -> Error {
    let origin = url.origin();
    let reason = match code {
        ErrorCode::HttpRequestDenied => return Error::Refused { origin },
        ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => "its name is not known".to_owned(),
        ErrorCode::DestinationIpProhibited => "its address is not public, and the host does not go there".to_owned(),
        ErrorCode::ConnectionRefused => "it refused the connection".to_owned(),
        ErrorCode::ConnectionTimeout | ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => {
            "it took too long".to_owned()
        }
        ErrorCode::TlsCertificateError => "its certificate is not valid".to_owned(),
        ErrorCode::TlsProtocolError => "it speaks no TLS that the host accepts".to_owned(),
        ErrorCode::HttpRequestBodySize(_) => "the request's body is larger than the host allows".to_owned(),
        ErrorCode::HttpRequestHeaderSectionSize(_) => "the request's header is larger than the host allows".to_owned(),
        ErrorCode::HttpResponseBodySize(_) => "its answer is larger than the host allows".to_owned(),
        ErrorCode::HttpResponseHeaderSectionSize(_) => "its answer's header is larger than the host allows".to_owned(),
        ErrorCode::HttpResponseContentCoding(_) => {
            "its answer is compressed in a way, or by a factor, that the host does not accept".to_owned()
        }
        ErrorCode::HttpResponseIncomplete => "its answer ended in the middle".to_owned(),
        ErrorCode::ConnectionTerminated => "it ended the connection".to_owned(),
        ErrorCode::ConnectionLimitReached => "the call has used up its requests, or holds too many answers".to_owned(),
        ErrorCode::HttpUpgradeFailed | ErrorCode::HttpProtocolError => "its answer is not plain HTTP/1.1".to_owned(),
        ErrorCode::InternalError(Some(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    Error::Failed { origin, reason }
}

fn stream_error(error: &StreamError) -> String {
    match error {
        StreamError::Closed => "the stream was closed".to_owned(),
        StreamError::LastOperationFailed(error) => error.to_debug_string(),
    }
}

/// The body of an answer. The order of the fields matters: a stream must be dropped before its body.
struct IncomingReader {
    stream: InputStream,
    _body: IncomingBody,
    _answer: IncomingResponse,
}

impl Read for IncomingReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.stream.blocking_read(buffer.len() as u64) {
            Ok(bytes) => {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                // An empty read is no end here, but `Read` would take it for one.
                if bytes.is_empty() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(bytes.len()) }
            }
            Err(StreamError::Closed) => Ok(0),
            Err(error) => Err(io::Error::other(stream_error(&error))),
        }
    }
}
