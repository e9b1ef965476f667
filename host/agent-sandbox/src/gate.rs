//! The EffectGate: the one object that every effect of a guest passes. The driver implements it, the capability hosts call
//! it, in this order: decide, intend (for a write), act, done.
//!
//! Requests and answers are plain data, so that a guest can later live in a process of its own.

use agent_core::effect::{Effect, EffectClass, EffectRequest, Ruling, UndoEntry};
use agent_core::open_file::OpenFile;
use agent_core::outcome::LogRecord;
use agent_core::path_state::PathMark;
use agent_core::units::Fuel;
use async_trait::async_trait;

use crate::transcript::TranscriptSnapshot;

/// Decides about effects, announces them, records them.
#[async_trait]
pub trait EffectGate: Send + Sync {
    /// Decides about an effect by its number within the call; 0 for a look, which has none. May wait for a person; the call's
    /// deadline stands still meanwhile. Does not return where the gate ends the call instead.
    async fn decide(&self, number: u32, request: &EffectRequest) -> Ruling;

    /// As [`EffectGate::decide`], about what an attempt before has done within this machine and this one does again along its
    /// record, such as a change of a store. Where the record ends, and for all that is sent again, it is `decide`. A gate whose
    /// answers do not depend on that needs none of it.
    async fn decide_again(&self, number: u32, request: &EffectRequest) -> Ruling {
        self.decide(number, request).await
    }

    /// What is recorded of an effect of an attempt before that this one is only told of: nothing happens, and the guest learns what it
    /// was told then whatever this says. So nobody is asked. A gate that asks nobody needs none of it.
    async fn decide_told(&self, number: u32, request: &EffectRequest) -> Ruling {
        self.decide_again(number, request).await
    }

    /// Records that the call may use up to so much fuel from now on: said before it does, once it needs more than the first advance
    /// ([`agent_core::budget::FUEL_ADVANCE`]), and counts where this process is killed. Must not wait. Without a sync: who
    /// comes after a power loss counts the whole limit.
    ///
    /// # Errors
    /// Where it could not be recorded: the call ends.
    fn take_fuel(&self, fuel: Fuel) -> Result<(), GateClosed> {
        let _ = fuel;
        Ok(())
    }

    /// Makes durable what is needed to undo an owned write. Returns before the change is made.
    ///
    /// # Errors
    /// Where it could not be recorded: the change must not happen and the call ends.
    async fn intend_change(&self, intent: ChangeIntent) -> Result<(), GateClosed>;

    /// Records what is known of paths that [`EffectGate::intend_change`] announced: that one is being changed again, or in
    /// which state it was left. Without a sync: what a power loss takes of it leaves an undo with less to go by. Must not
    /// wait, since files are closed where nothing can. A gate that never undoes needs none of it.
    ///
    /// # Errors
    /// Where it could not be recorded: the call ends.
    fn mark_changes(&self, marks: Vec<PathMark>) -> Result<(), GateClosed> {
        let _ = marks;
        Ok(())
    }

    /// Keeps how an announced file stands that is open for changes, in place of what was kept of it before: said before and
    /// after each change, and read by an undo where this process was killed in between. Must not wait, and be as cheap as the
    /// change. A gate whose undo needs this process needs none of it.
    ///
    /// # Errors
    /// Where it could not be kept: the call ends.
    fn follow(&self, file: &OpenFile) -> Result<(), GateClosed> {
        let _ = file;
        Ok(())
    }

    /// Makes durable that a keyed or opaque write is about to be sent, and with it what is new of the transcript. Returns
    /// before the first byte leaves; for a keyed write, with the key to send.
    ///
    /// # Errors
    /// Where it could not be recorded: nothing must be sent and the call ends.
    async fn intend_send(&self, intent: SendIntent) -> Result<Option<IdempotencyKey>, GateClosed>;

    /// Records what came of a write that `intend_send` announced. Returns before the guest sees the answer.
    ///
    /// # Errors
    /// Where it could not be recorded: the guest must not see the answer and the call ends.
    async fn done(&self, effect: &Effect) -> Result<(), GateClosed>;

    /// Keeps the whole answer to a keyed or opaque write, or why there is none, encoded; called right before [`EffectGate::done`] of that effect.
    /// A call that is resumed in its middle is given this answer instead of sending again. A gate that never resumes so
    /// needs none of it.
    ///
    /// # Errors
    /// Where it could not be recorded: the guest must not see the answer and the call ends.
    async fn keep_answer(&self, number: u32, answer: &[u8]) -> Result<(), GateClosed> {
        let _ = (number, answer);
        Ok(())
    }

    /// Tells the person who waits how far the call is.
    fn progress(&self, progress: Progress);

    /// Hears what the tool logs, as it does so, without secrets. It is in the call's report, too.
    fn logged(&self, record: &LogRecord) {
        let _ = record;
    }
}

/// An owned write, before it happens.
#[derive(Debug, Clone)]
pub struct ChangeIntent {
    /// The effect's number within the call.
    pub number: u32,
    /// What is about to be done.
    pub request: EffectRequest,
    /// What to restore, in the order in which it was taken.
    pub undo: Vec<Undo>,
}

/// What to restore, with the content that it names.
#[derive(Debug, Clone)]
pub struct Undo {
    /// What was at the path.
    pub entry: UndoEntry,
    /// The bytes, where the entry is [`agent_core::effect::Before::Content`].
    pub content: Option<Vec<u8>>,
}

/// A keyed or opaque write, before it is sent.
#[derive(Debug, Clone)]
pub struct SendIntent {
    /// The effect's number within the call.
    pub number: u32,
    /// What is about to be sent.
    pub request: EffectRequest,
    /// Keyed or opaque.
    pub class: EffectClass,
    /// Every answer that the guest has had since the call's last such intent, or since where it began to go on.
    pub transcript: TranscriptSnapshot,
}

/// The value of an idempotency header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

/// A guest's word about how far it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// A short text. Not yet neutralised for a terminal.
    pub message: String,
    /// Between 0 and 1, where known.
    pub fraction: Option<f64>,
}

/// The gate cannot record any more: the call must end, and so must the run.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the effect could not be recorded: {0}")]
pub struct GateClosed(pub String);
