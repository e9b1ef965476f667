//! Bodies of answers that a guest has not read, and of requests that are not sent yet, hold the host's memory: how much, over
//! all requests of a call.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use wasmtime_wasi_http::Error;

/// Bytes of answers in memory, and their bound.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    held: Arc<AtomicU64>,
    most: u64,
}

/// A part of the memory; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: Memory,
    bytes: u64,
}

/// A whole body that holds its share until the guest has taken it or let it go.
pub(super) struct HeldBody {
    body: Full<Bytes>,
    share: Share,
}

impl Memory {
    /// Room for `most` bytes.
    pub(super) fn new(most: u64) -> Self {
        Self { held: Arc::default(), most }
    }

    /// An empty share.
    pub(super) fn share(&self) -> Share {
        Share { memory: self.clone(), bytes: 0 }
    }
}

impl Share {
    /// Takes what this share holds into a new one.
    pub(super) fn split(&mut self) -> Self {
        Self { memory: self.memory.clone(), bytes: std::mem::take(&mut self.bytes) }
    }

    /// An empty share of the same memory.
    pub(super) fn sibling(&self) -> Self {
        self.memory.share()
    }

    /// What this share holds.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes the share larger, or says that there is no room.
    pub(super) fn grow(&mut self, bytes: u64) -> bool {
        let held = self.memory.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        held.saturating_add(bytes) <= self.memory.most
    }

    /// Gives a part of it back.
    pub(super) fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.memory.held.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }

    /// How many bytes all shares may hold together.
    pub(super) fn most(&self) -> u64 {
        self.memory.most
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Appends a piece to bytes that may become `most` in the end, and keeps their memory below that too: a vector left to itself
/// would double past it.
pub(super) fn append(bytes: &mut Vec<u8>, piece: &[u8], most: u64) {
    let needed = bytes.len() + piece.len();
    if needed > bytes.capacity() {
        let doubled = bytes.capacity().saturating_mul(2).min(usize::try_from(most).unwrap_or(usize::MAX));
        bytes.reserve_exact(doubled.max(needed) - bytes.len());
    }
    bytes.extend_from_slice(piece);
}

impl HeldBody {
    /// The body `bytes`, for which `share` was taken.
    pub(super) fn new(bytes: Bytes, share: Share) -> Self {
        Self { body: Full::new(bytes), share }
    }
}

impl Body for HeldBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx).map_err(|never| match never {})
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Also what keeps the share alive as long as the body.
        SizeHint::with_exact(self.body.size_hint().exact().unwrap_or(self.share.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_memory_is_taken_than_there_may_be_bytes() {
        let (mut bytes, most) = (Vec::new(), 100_000);
        while bytes.len() < 100_000 {
            append(&mut bytes, &[7; 1_000], most);
            assert!(bytes.capacity() <= 100_000, "{}", bytes.capacity());
        }
    }

    #[test]
    fn shares_are_given_back() {
        let memory = Memory::new(10);
        let (mut first, mut second) = (memory.share(), memory.share());
        assert!(first.grow(6) && second.grow(4));
        assert!(!second.grow(1));
        drop(second);
        assert!(first.grow(4));
    }
}
