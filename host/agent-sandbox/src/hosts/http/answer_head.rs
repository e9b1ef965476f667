//! The head of an answer, before its body is read: what is too large, wants another protocol, or is wrapped in more than one
//! coding of the connection is not read on.

use agent_core::effect::Refusal;
use http::{HeaderMap, Method, StatusCode, header};
use wasmtime_wasi_http::Error;

use crate::hosts::http::bounds::Bounds;
use crate::hosts::http::exchange::{Failure, Reached};

/// Refuses a head that is beyond its bounds. Of what was asked by `HEAD`, the length is that of a body which does not come.
pub(super) fn check(asked: &Method, status: StatusCode, headers: &HeaderMap, bounds: &Bounds) -> Result<(), Failure> {
    let reached = Reached::Answered(status.as_u16());
    let refuse =
        |refusal, error, text: &str| Err(Failure { reached, refusal: Some(refusal), error, text: text.to_owned() });
    let bytes = field_bytes(headers);
    if headers.len() > bounds.fields || bytes > bounds.field_bytes {
        let error = Error::HttpResponseHeaderSectionSize(u32::try_from(bytes).ok());
        return refuse(Refusal::NetLimit, error, "the answer's header is too large");
    }
    if status.is_informational() {
        return refuse(Refusal::NetDenied, Error::HttpUpgradeFailed, "the server wants to switch protocols");
    }
    if is_wrapped(headers) {
        let error = Error::HttpResponseTransferCoding(None);
        return refuse(Refusal::NetDenied, error, "the answer is wrapped in a transfer coding beside `chunked`");
    }
    match announced(headers) {
        Some(length) if length > bounds.response_bytes.0 && asked != Method::HEAD => {
            Err(Failure::too_long(reached, bounds))
        }
        Some(_) | None => Ok(()),
    }
}

/// Bytes of all names and values.
pub(super) fn field_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// What the connection would have to undo besides chunks. Nobody sends it, and two programs seldom agree about it.
fn is_wrapped(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = codings.next().is_none_or(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    !chunked || codings.next().is_some()
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}
