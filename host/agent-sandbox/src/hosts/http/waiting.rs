//! Bodies of requests that are begun while a call is replayed. Nobody waits for room then: what was written is written again at
//! once, so between the guest and whoever collects a body there is room for as many pieces as a call can write. Here the bytes
//! that wait are counted, over all such bodies of a call; and once the call goes on by itself, its guest waits for room again.
//! Called by `drafts` where a body is begun, and by `types` where its stream is taken.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use agent_core::outcome::Fault;
use agent_core::units::Bytes as ByteCount;
use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::Notify;
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::hosts::http::BODY_CHUNKS_WAITING;
use crate::hosts::http::held::{Memory, Share};
use crate::stop::Stop;

/// What a piece takes beside its bytes: so many empty ones are not for nothing.
const PIECE_COST: u64 = 64;

/// Whether a call is still told what it was told before. Shared by all that asks.
#[derive(Debug, Clone)]
pub(crate) struct Replaying(Arc<AtomicBool>);

impl Replaying {
    /// How a call begins.
    pub(crate) fn begin(replaying: bool) -> Self {
        Self(Arc::new(AtomicBool::new(replaying)))
    }

    /// From here on the host answers.
    pub(crate) fn end(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether it is.
    pub(super) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The pieces of one body that wait to be collected.
pub(super) struct Pieces {
    waiting: Mutex<Waiting>,
    taken: Notify,
    replaying: Replaying,
}

struct Waiting {
    share: Share,
    pieces: usize,
}

impl Pieces {
    /// None yet; all bodies of a call share its memory.
    pub(super) fn new(memory: &Memory, replaying: Replaying) -> Arc<Self> {
        let waiting = Mutex::new(Waiting { share: memory.share(), pieces: 0 });
        Arc::new(Self { waiting, taken: Notify::new(), replaying })
    }

    /// The same body; what is taken of it waits no more.
    pub(super) fn collected_from(self: &Arc<Self>, body: WasiBody) -> WasiBody {
        Collected { body, pieces: Arc::clone(self) }.boxed_unsync()
    }

    /// The same stream; what is written to it waits.
    pub(super) fn written_to(self: Arc<Self>, stream: DynOutputStream) -> DynOutputStream {
        Box::new(Written { stream, pieces: self })
    }

    /// Whether the guest must wait, as it must where nothing is replayed.
    fn is_full(&self) -> bool {
        !self.replaying.is_on() && self.waiting().pieces > BODY_CHUNKS_WAITING
    }

    fn put(&self, bytes: usize) -> Result<(), Stop> {
        let mut waiting = self.waiting();
        waiting.pieces += 1;
        if waiting.share.grow(PIECE_COST + bytes as u64) {
            return Ok(());
        }
        let most = ByteCount(waiting.share.most());
        let message = format!("more than {most} of bodies that the tool writes again wait to be sent");
        Err(Stop::fault(Fault::CopyLimit, message))
    }

    fn take(&self, bytes: usize) {
        let mut waiting = self.waiting();
        waiting.pieces = waiting.pieces.saturating_sub(1);
        waiting.share.shrink(PIECE_COST + bytes as u64);
        drop(waiting);
        self.taken.notify_waiters();
    }

    fn let_go(&self) {
        let mut waiting = self.waiting();
        *waiting = Waiting { share: waiting.share.sibling(), pieces: 0 };
        drop(waiting);
        self.taken.notify_waiters();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a body at which it is collected.
struct Collected {
    body: WasiBody,
    pieces: Arc<Pieces>,
}

impl Body for Collected {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(piece) = frame.data_ref()
        {
            self.pieces.take(piece.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Collected {
    fn drop(&mut self) {
        self.pieces.let_go();
    }
}

/// The end of a body at which it is written.
struct Written {
    stream: DynOutputStream,
    pieces: Arc<Pieces>,
}

#[async_trait]
impl OutputStream for Written {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.pieces.is_full() {
            return Err(StreamError::trap("write not permitted: there is no room for another piece"));
        }
        let length = bytes.len();
        self.pieces.put(length)?;
        let written = self.stream.write(bytes);
        if written.is_err() {
            self.pieces.take(length);
        }
        written
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.stream.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let permit = self.stream.check_write()?;
        Ok(if self.pieces.is_full() { 0 } else { permit })
    }
}

#[async_trait]
impl Pollable for Written {
    async fn ready(&mut self) {
        loop {
            // Before the look, so that what is taken meanwhile is heard of.
            let taken = self.pieces.taken.notified();
            if !self.pieces.is_full() {
                break;
            }
            taken.await;
        }
        self.stream.ready().await;
    }
}
