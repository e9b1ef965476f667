//! What would let a request through that met a bound: the limits to raise, or the roots to add. The last line of its refusal.

use agent_core::effect::Refusal;
use agent_core::limits::Limit;
use wasmtime_wasi_http::Error;

use crate::hosts::http::exchange::{Failure, Reached};

/// For a request whose answer failed. Only for refusals: what a server does wrong, no line here can cure.
pub(super) fn for_failure(failure: &Failure) -> Option<String> {
    let raised: &[Limit] = match (failure.refusal?, &failure.error) {
        (Refusal::NetTls, Error::TlsCertificateError) => {
            let cure =
                "where you trust its issuer, add it to this system's roots, or name a file of roots in `SSL_CERT_FILE`";
            return Some(cure.to_owned());
        }
        (Refusal::NetTimeout, Error::ConnectionTimeout) => &[Limit::HttpConnect],
        (Refusal::NetTimeout, Error::HttpResponseTimeout) => &[Limit::HttpFirstByte, Limit::HttpTotal],
        (Refusal::NetTimeout, Error::ConnectionReadTimeout) => &[Limit::HttpIdle],
        (Refusal::NetLimit, Error::HttpResponseBodySize(_)) => &[Limit::HttpResponseBytes],
        (Refusal::NetLimit, Error::HttpResponseHeaderSectionSize(_)) => {
            &[Limit::HttpHeaderFields, Limit::HttpHeaderBytes]
        }
        (Refusal::NetLimit, Error::HttpResponseContentCoding(Some(_))) => &[Limit::HttpRatio],
        (Refusal::NetLimit, Error::ConnectionLimitReached) if failure.reached == Reached::Nothing => {
            &[Limit::HttpHosts]
        }
        (Refusal::NetLimit, Error::ConnectionLimitReached) => &[Limit::HttpResponseBytes],
        _ => return None,
    };
    Some(raise(raised))
}

/// For a request that is refused before anything is decided, by what its guest sees.
pub(super) fn for_request(error: &Error) -> Option<String> {
    let raised: &[Limit] = match error {
        Error::HttpRequestBodySize(_) => &[Limit::HttpRequestBytes],
        Error::HttpRequestHeaderSectionSize(_) => &[Limit::HttpHeaderFields, Limit::HttpHeaderBytes],
        Error::ConnectionLimitReached => &[Limit::HttpRequests],
        _ => return None,
    };
    Some(raise(raised))
}

fn raise(limits: &[Limit]) -> String {
    let lines: Vec<String> = limits.iter().map(|limit| format!("{limit} = …")).collect();
    format!("add `limits = {{ {} }}` to a grant of this tool", lines.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_names_the_limit_that_raises_it() {
        let late = Failure::timeout(Reached::Perhaps, "late");
        let cure = "add `limits = { http_first_byte = …, http_total = … }` to a grant of this tool";
        assert_eq!(for_failure(&late).as_deref(), Some(cure));
        assert_eq!(for_failure(&Failure::given_up("gone")), None);
        let cure = "add `limits = { http_requests = … }` to a grant of this tool";
        assert_eq!(for_request(&Error::ConnectionLimitReached).as_deref(), Some(cure));
        assert_eq!(for_request(&Error::HttpRequestDenied), None);
    }
}
