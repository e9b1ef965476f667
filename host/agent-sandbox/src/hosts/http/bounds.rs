//! What requests may cost, from the limits of their call: the one place where the sender reads limits, so that none of them is
//! enforced in one path and forgotten in another. A guest's own timeouts shorten these, never lengthen them.

use std::time::Duration;

use agent_core::limits::Limits;
use agent_core::units::Bytes;
use wasmtime_wasi_http::RequestOptions;

use crate::defence::{self, Defence};
use crate::effects::TEXT_BYTES_MAX;
use crate::hosts::http::{BODY_CHUNK_BYTES_MAX, BODY_CHUNKS_WAITING};

/// The shortest timeout that a guest gets, whatever it asks for: with less, nothing could ever arrive.
const TIMEOUT_LEAST: Duration = Duration::from_millis(1);

/// What the library's map of fields takes for one beside its name and value.
pub(super) const FIELD_COST: usize = 256;

/// Longest method: longer than any that a grant can name, so that what is refused is recorded as it was asked for.
const METHOD_BYTES_MAX: usize = 64;

/// The bounds of a call's requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Requests of the call.
    pub(super) requests: u64,
    /// Of which this many are under way at once.
    pub(super) concurrent: usize,
    /// Names that are looked up.
    pub(super) hosts: usize,
    /// Bytes of a request's body.
    pub(super) request_bytes: Bytes,
    /// Bytes of an answer's body, decoded.
    pub(super) response_bytes: Bytes,
    /// How many times larger decoding may make it.
    pub(super) ratio: u64,
    /// Header fields of a message.
    pub(super) fields: usize,
    /// Their bytes.
    pub(super) field_bytes: usize,
    /// Bytes of a method that the guest spells out.
    pub(super) method_bytes: usize,
    /// Bytes of a host and port.
    pub(super) authority_bytes: usize,
    /// How long each step may take.
    pub(super) timing: Timing,
    /// The call's own deadline.
    pub(super) deadline: Duration,
}

/// How long each step of a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    /// Until the connection stands: name, socket and TLS.
    pub(super) connect: Duration,
    /// From then until the answer begins.
    pub(super) first_byte: Duration,
    /// Between two pieces of the answer.
    pub(super) idle: Duration,
    /// For all of it.
    pub(super) total: Duration,
}

impl Bounds {
    /// The bounds under these limits.
    pub(crate) fn of(limits: &Limits) -> Self {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let bounds = Self {
            requests: limits.http_requests,
            concurrent: count(limits.http_concurrent),
            hosts: count(limits.http_hosts),
            request_bytes: limits.http_request_bytes,
            response_bytes: limits.http_response_bytes,
            ratio: limits.http_ratio,
            fields: count(limits.http_header_fields),
            field_bytes: count(limits.http_header_bytes.0),
            method_bytes: METHOD_BYTES_MAX,
            authority_bytes: TEXT_BYTES_MAX,
            timing: Timing {
                connect: limits.http_connect.to_duration(),
                first_byte: limits.http_first_byte.to_duration(),
                idle: limits.http_idle.to_duration(),
                total: limits.http_total.to_duration(),
            },
            deadline: limits.deadline.to_duration(),
        };
        bounds.without(Defence::NetLimit, Self::wide).without(Defence::NetTimeout, Self::patient)
    }

    /// What a guest may put into a map of header fields. wasmtime counts its own bookkeeping of each field too, so a little more
    /// fits in than can be sent; what is too large is refused with a record when it is sent.
    pub(crate) fn fields_memory_bytes(&self) -> usize {
        self.field_bytes.saturating_add(self.fields.saturating_mul(FIELD_COST)).saturating_mul(2)
    }

    /// What a guest may put into all messages of a call: as much as it may send, and one message more.
    pub(super) fn drafts_bytes(&self) -> u64 {
        let fields = self.field_bytes.saturating_add(self.fields.saturating_mul(FIELD_COST));
        // Its authority, and its path.
        let message = fields.saturating_add(2 * TEXT_BYTES_MAX) as u64;
        self.requests.saturating_add(1).saturating_mul(message)
    }

    /// What bodies may hold that are written along a record and wait to be collected: as much as they may once they are, and
    /// of each message that is not sent the pieces that fit where nothing is replayed.
    pub(super) fn waiting_bytes(&self) -> u64 {
        let collected = self.request_bytes.0.saturating_mul(self.concurrent as u64);
        let unsent =
            self.requests.saturating_add(1).saturating_mul(((BODY_CHUNKS_WAITING + 1) * BODY_CHUNK_BYTES_MAX) as u64);
        collected.saturating_add(unsent)
    }

    fn without(self, defence: Defence, undefended: fn(Self) -> Self) -> Self {
        if defence::is_off(defence) { undefended(self) } else { self }
    }

    /// As if there were no limits on sizes and counts: what a test switches off, as far as memory goes.
    fn wide(self) -> Self {
        const ENOUGH: usize = 1 << 30;
        let bytes = Bytes(ENOUGH as u64);
        let (requests, ratio) = (u64::MAX, u64::MAX);
        let (concurrent, hosts, fields, field_bytes) = (1_000, ENOUGH, 20_000, 16 << 20);
        let (method_bytes, authority_bytes) = (ENOUGH, ENOUGH);
        Self {
            requests,
            concurrent,
            hosts,
            request_bytes: bytes,
            response_bytes: bytes,
            ratio,
            fields,
            field_bytes,
            method_bytes,
            authority_bytes,
            ..self
        }
    }

    /// As if there were no limits on time.
    fn patient(self) -> Self {
        const LONG: Duration = Duration::from_secs(3600);
        let timing = Timing { connect: LONG, first_byte: LONG, idle: LONG, total: LONG };
        Self { timing, ..self }
    }
}

impl Timing {
    /// The same, shortened by what a guest asked for.
    pub(super) fn for_guest(self, options: &RequestOptions) -> Self {
        let bounded = |wanted: Option<Duration>, most: Duration| {
            wanted.map_or(most, |wanted| wanted.clamp(TIMEOUT_LEAST, most.max(TIMEOUT_LEAST)))
        };
        Self {
            connect: bounded(options.connect_timeout, self.connect),
            first_byte: bounded(options.first_byte_timeout, self.first_byte),
            idle: bounded(options.between_bytes_timeout, self.idle),
            total: self.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_guests_are_bounded() {
        let ours = Bounds::of(&Limits::STANDARD).timing;
        let all = |wanted: Option<Duration>| {
            let options =
                RequestOptions { connect_timeout: wanted, first_byte_timeout: wanted, between_bytes_timeout: wanted };
            ours.for_guest(&options)
        };
        assert_eq!(all(None), ours);
        assert_eq!(all(Some(Duration::MAX)), ours);
        let least = TIMEOUT_LEAST;
        assert_eq!(all(Some(Duration::ZERO)), Timing { connect: least, first_byte: least, idle: least, ..ours });
    }
}
