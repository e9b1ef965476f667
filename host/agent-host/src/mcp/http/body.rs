//! The body of a request, read within its bounds of size, values and time, before anything makes values of it. For [`super::door`].

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::refusal::Refusal;
use crate::mcp::bounds::{self, MESSAGE_BYTES_MAX, Room, Taken};

/// How long the body of a request may take.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// A body within its bounds of size, values and time, and the room that it takes.
pub(super) async fn whole(body: Incoming, room: &Room) -> Result<(Bytes, Taken), Refusal> {
    // Not read at all where it says so itself.
    if body.size_hint().lower() > MESSAGE_BYTES_MAX as u64 {
        return Err(Refusal::too_large("a message has at most 1 MiB"));
    }
    let read = tokio::time::timeout(BODY_WAIT, read(body, room)).await;
    let slow = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "net_timeout", "the body took too long");
    let (body, taken) = read.map_err(slow)??;
    if bounds::has_few_values(&body) {
        Ok((body, taken))
    } else {
        Err(Refusal::too_large("a message has at most 20000 values"))
    }
}

/// Each piece is copied: what comes byte by byte would otherwise take much more room than its bytes.
async fn read(mut body: Incoming, room: &Room) -> Result<(Bytes, Taken), Refusal> {
    let (mut whole, mut taken) = (BytesMut::new(), Taken::default());
    while let Some(frame) = body.frame().await {
        let broke = |_| Refusal::new(StatusCode::BAD_REQUEST, "bad_request", "the body broke off");
        let Ok(piece) = frame.map_err(broke)?.into_data() else { continue };
        let bytes = whole.len() + piece.len();
        if bytes > MESSAGE_BYTES_MAX {
            return Err(Refusal::too_large("a message has at most 1 MiB"));
        }
        let full = || Refusal::overloaded("as much is asked as fits; try again in a moment");
        taken = room.enlarge(taken, bytes).ok_or_else(full)?;
        whole.extend_from_slice(&piece);
    }
    Ok((whole.freeze(), taken))
}
