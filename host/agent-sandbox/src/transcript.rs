//! The host-call transcript: every answer the host gave a guest during one call, in order, in the guest's granularity. What
//! a replay feeds back. Kept in bounded memory; made durable with the first keyed or opaque intent.

/// The answers of one call.
#[derive(Debug, Default)]
pub struct Transcript {}

/// The answers so far, encoded for the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TranscriptSnapshot {}
