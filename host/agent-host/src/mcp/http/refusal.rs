//! Why a request is not let in, and how it is told: a status, a name that programs know, and words. Said by [`super::door`].

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::json;

/// An answer to a request.
pub(super) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Why a request is not let in.
pub(super) struct Refusal {
    status: StatusCode,
    name: &'static str,
    message: &'static str,
}

impl Refusal {
    /// With this status, and this name.
    pub(super) fn new(status: StatusCode, name: &'static str, message: &'static str) -> Self {
        Self { status, name, message }
    }

    /// There is no room now.
    pub(super) fn overloaded(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
    }

    /// It will never be let in, being so large.
    pub(super) fn too_large(message: &'static str) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    /// Another one has its name, and no answer yet.
    pub(super) fn repeated() -> Self {
        Self::new(StatusCode::CONFLICT, "bad_request", "a request with this id has no answer yet")
    }

    /// What is answered.
    pub(super) fn answer(&self) -> Answer {
        let mut answer = say(self.status, &json!({ "error": self.name, "message": self.message }));
        if self.status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // What was sent beside the head is not read, so that nothing more comes over this connection.
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        answer
    }
}

/// An answer in JSON.
pub(super) fn say(status: StatusCode, told: &serde_json::Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(told.to_string())).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
