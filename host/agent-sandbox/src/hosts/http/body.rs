//! The body of a request, collected whole before anything is decided: what is approved and recorded is what is sent.

use agent_core::effect::Refusal;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::hosts::http::bounds::Bounds;
use crate::hosts::http::held::Share;

/// A collected body, or why it is not sent.
pub(super) enum Body {
    Complete(Bytes),
    /// More than one request may send.
    TooLarge,
    /// More than all requests of the call may hold that wait for their turn.
    TooMuchHeld,
    /// Fields after the body, which the client would drop silently.
    WithTrailers,
}

/// Collects a body of at most `most` bytes. A body that the guest drops unfinished is an error.
pub(super) async fn collect(mut body: WasiBody, most: u64, share: &mut Share) -> Result<Body, Error> {
    collect_from(&mut body, most, share).await
}

/// As [`collect`], but takes the whole of it, whatever is kept: in a replay the guest goes on writing as it did then.
pub(super) async fn collect_to_end(mut body: WasiBody, most: u64, share: &mut Share) -> Result<Body, Error> {
    let collected = collect_from(&mut body, most, share).await?;
    match collected {
        Body::Complete(_) => {}
        Body::TooLarge | Body::TooMuchHeld | Body::WithTrailers => {
            while let Some(frame) = body.frame().await {
                frame?;
            }
        }
    }
    Ok(collected)
}

async fn collect_from(body: &mut WasiBody, most: u64, share: &mut Share) -> Result<Body, Error> {
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame?.into_data() else { return Ok(Body::WithTrailers) };
        if (collected.len() + piece.len()) as u64 > most {
            return Ok(Body::TooLarge);
        }
        if !share.grow(piece.len() as u64) {
            return Ok(Body::TooMuchHeld);
        }
        collected.extend_from_slice(&piece);
    }
    Ok(Body::Complete(collected.freeze()))
}

impl Body {
    /// Why a body is refused: the name, the rule, and what the guest sees.
    pub(super) fn refusal(&self, bounds: &Bounds) -> (Refusal, String, Error) {
        let most = bounds.request_bytes;
        match self {
            Self::Complete(_) | Self::TooLarge => {
                let error = Error::HttpRequestBodySize(Some(most.0));
                (Refusal::NetLimit, format!("the body of a request may have {most}"), error)
            }
            Self::TooMuchHeld => {
                let rule = format!("the bodies of {} requests of {most} may wait at once", bounds.concurrent);
                (Refusal::NetLimit, rule, Error::HttpRequestBodySize(None))
            }
            Self::WithTrailers => {
                let rule = "a request is sent without trailers".to_owned();
                (Refusal::NetDenied, rule, Error::HttpRequestTrailerSectionSize(Some(0)))
            }
        }
    }
}
