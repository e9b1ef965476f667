//! Events: the facts of a run, past tense, as the journal stores them. State is their fold; a
//! stored fold (`state::checkpoint`) is only ever an optimisation.
//!
//! The journal keeps an event as kind, version and JSON body. A body is read back only by its own kind and version: an
//! unknown kind, field or newer version is an error, never a guess.
//!
//! The bodies of what a turn records are here. Those of a run as a whole are in `run_events`, those of questions and answers in
//! `answer_events`, those of files in `file_events`, those of calls that no model asks for in `client_events`.

use serde::{Deserialize, Serialize};

use crate::answer_events::{
    ApprovalDecided, ApprovalRequested, DoubtResolved, EffectPermitted, GrantWidened, ToolInDoubt,
};
use crate::client_events::ToolProposed;
use crate::digest::Digest;
use crate::effect::{Effect, EffectClass, EffectRequest, UndoEntry};
use crate::file_events::{CallUndone, ChangesUndone, PathsMarked};
use crate::model::{ModelFailure, ModelReply};
use crate::name::{CallNumber, RunId};
use crate::outcome::{Metering, Said, ToolOutcome};
use crate::run_events::{HeadSigned, RunAdopted, RunEnded, RunRebased, RunResumed, RunStarted};
use crate::units::{Fuel, UnixMillis};

/// The version in which this program writes every kind.
pub const VERSION: u32 = 1;

/// An event with its place in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The run.
    pub run: RunId,
    /// Its number in the run, from 1, without gaps.
    pub seq: u64,
    /// The lease under which it was written: never decreases.
    pub epoch: u64,
    /// When it was written. Never used for order.
    pub at: UnixMillis,
    /// The fact.
    pub event: Event,
}

macro_rules! events {
    ($($(#[$doc:meta])* $kind:ident),* $(,)?) => {
        /// A fact of a run.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$doc])* $kind($kind)),*
        }

        impl Event {
            /// The stable name of the kind, as stored and shown.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$kind(_) => stringify!($kind)),* }
            }

            /// The body as stored.
            ///
            /// # Errors
            /// Where serde cannot write it, which no event of this program brings about.
            pub fn to_body(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$kind(body) => serde_json::to_string(body)),* }
            }

            /// Reads a stored event.
            ///
            /// # Errors
            /// Where the kind is unknown, the version is newer than this program, or the body is not of its kind.
            pub fn from_stored(kind: &str, version: u32, body: &str) -> Result<Self, EventError> {
                if version > VERSION {
                    return Err(EventError::Newer { kind: kind.to_owned(), version });
                }
                let read = match kind {
                    $(stringify!($kind) => serde_json::from_str(body).map(Self::$kind),)*
                    _ => return Err(EventError::UnknownKind(kind.to_owned())),
                };
                read.map_err(|source| EventError::Body { kind: kind.to_owned(), source })
            }
        }

        $(impl From<$kind> for Event {
            fn from(body: $kind) -> Self {
                Self::$kind(body)
            }
        })*
    };
}

events! {
    /// The run began, with everything pinned that a resume uses.
    RunStarted,
    /// A request to the model is about to leave.
    ModelRequested,
    /// A complete reply came, and with it the calls that it proposes.
    ModelReplied,
    /// There was no reply.
    ModelFailed,
    /// A client asks for a call.
    ToolProposed,
    /// A person is asked.
    ApprovalRequested,
    /// A person answered.
    ApprovalDecided,
    /// A person allowed a tool more in the middle of the run.
    GrantWidened,
    /// A person allowed one effect that nothing grants, this once.
    EffectPermitted,
    /// A call is about to start.
    ToolStarted,
    /// A call may use more fuel from now on than it had said.
    FuelTaken,
    /// A write is about to happen.
    EffectIntended,
    /// An announced keyed or opaque write has its result.
    EffectDone,
    /// Paths that a call changes are being changed, or were left in a state.
    PathsMarked,
    /// What an interrupted attempt had changed was restored.
    CallUndone,
    /// An attempt ended without an outcome, and nothing of it is left to settle: the call goes on later.
    ToolSuspended,
    /// A call has its outcome.
    ToolFinished,
    /// A call may or may not have had its effect.
    ToolInDoubt,
    /// It was said what became of a call in doubt.
    DoubtResolved,
    /// A person had changes of files undone.
    ChangesUndone,
    /// A host took the run up again.
    RunResumed,
    /// The operator moved what the run is locked to.
    RunRebased,
    /// The operator vouched for what was recorded elsewhere.
    RunAdopted,
    /// Everything before was signed.
    HeadSigned,
    /// The run stopped.
    RunEnded,
}

/// Why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The kind is not one of this program's.
    #[error("unknown event kind `{0}`: the journal was written by a newer agent-host, or is damaged")]
    UnknownKind(String),
    /// The version is newer than this program.
    #[error(
        "event `{kind}` has version {version}, this agent-host reads up to {VERSION}: use the newer one that wrote it"
    )]
    Newer {
        /// The kind.
        kind: String,
        /// The stored version.
        version: u32,
    },
    /// The body does not fit its kind.
    #[error("the body of a stored `{kind}` cannot be read")]
    Body {
        /// The kind.
        kind: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// See [`Event::ModelRequested`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRequested {
    /// The turn, from 1.
    pub turn: u32,
    /// The attempt within the turn, from 1.
    pub attempt: u32,
    /// The model that is asked: an index into [`RunStarted::models`].
    pub model: usize,
}

/// See [`Event::ModelReplied`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelReplied {
    /// The turn.
    pub turn: u32,
    /// The reply.
    pub reply: ModelReply,
}

/// See [`Event::ModelFailed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFailed {
    /// The turn.
    pub turn: u32,
    /// Why.
    pub failure: ModelFailure,
}

/// See [`Event::ToolStarted`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolStarted {
    /// The call.
    pub call: CallNumber,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The component that is called.
    pub component: Digest,
    /// The fuel that it gets: what its grant says, or less where the run has less left. All other limits are its grant's,
    /// which the digest of its authority covers; to spell them out again would be most of what a turn takes on the disk.
    pub fuel: Fuel,
    /// The digest of the whole authority under which it runs.
    pub authority: Digest,
    /// Seeds the guest's random numbers: 64 hexadecimal digits.
    pub seed: String,
    /// What the guest's clock says at the start.
    pub clock_start: UnixMillis,
    /// Version and settings of the engine, which a replay needs to be the same.
    pub engine: String,
    /// The attempt that this one does again, up to where its transcript ends, and then continues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<u32>,
    /// Which start of the machine it is, as in [`RunResumed::boot`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<u32>,
}

/// See [`Event::FuelTaken`]. Written without a sync of its own, before the fuel is used: a killed host does not lose it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FuelTaken {
    /// The call.
    pub call: CallNumber,
    /// The attempt.
    pub attempt: u32,
    /// What it uses at most before it says more.
    pub fuel: Fuel,
}

/// See [`Event::EffectIntended`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectIntended {
    /// The call.
    pub call: CallNumber,
    /// The attempt.
    pub attempt: u32,
    /// The effect's number within the call.
    pub number: u32,
    /// What is about to happen.
    pub request: EffectRequest,
    /// Its class.
    pub class: EffectClass,
    /// For an owned write: what to restore.
    pub undo: Vec<UndoEntry>,
    /// For a keyed write: the key.
    pub idempotency_key: Option<String>,
    /// For a keyed or opaque write: the digest of the next part of the host-call transcript, kept in the journal. The parts of
    /// a call's intents, joined, are the transcript up to the last of them.
    pub transcript: Option<Digest>,
}

/// See [`Event::EffectDone`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectDone {
    /// The call.
    pub call: CallNumber,
    /// The attempt.
    pub attempt: u32,
    /// The effect, with its result.
    pub effect: Effect,
    /// The digest of the whole answer, or of why there is none, kept in the journal; `None` for a change of files.
    pub answer: Option<Digest>,
}

/// See [`Event::ToolSuspended`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolSuspended {
    /// The call.
    pub call: CallNumber,
    /// The attempt that ended.
    pub attempt: u32,
    /// What for.
    pub reason: Suspension,
    /// What it used.
    pub metering: Metering,
    /// What it did. Changes of files among it are undone.
    pub effects: Vec<Effect>,
}

/// What an attempt was ended for that has no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspension {
    /// It waits for a person's approval of one of its effects, and the person does not answer at once.
    Approval,
    /// A keyed write of it has no answer: the next one sends it again, with the same key.
    Unanswered,
    /// The run was stopped.
    Cancelled,
}

/// See [`Event::ToolFinished`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolFinished {
    /// The call.
    pub call: CallNumber,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// What it used.
    pub metering: Metering,
    /// What it did.
    pub effects: Vec<Effect>,
    /// What it said beside its result, for people.
    pub said: Said,
    /// Hidden characters in its outcome. The model is given it without those that only a machine reads.
    pub hidden: u64,
    /// The digest of the whole host-call transcript, kept in the journal, where the run keeps that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<Digest>,
}

impl ToolFinished {
    /// A call got its outcome without being made.
    #[must_use]
    pub fn settled(call: CallNumber, outcome: ToolOutcome) -> Self {
        Self {
            call,
            hidden: outcome.hidden(),
            outcome,
            metering: Metering::nothing(),
            effects: Vec::new(),
            said: Said::default(),
            transcript: None,
        }
    }
}

/// The kinds of events by which a person answers what a run waits for: they too say nothing about how it stands.
pub const KINDS_OF_ANSWERS: [&str; 2] = ["ApprovalDecided", "DoubtResolved"];

/// The kinds of events that say something about the record and nothing about the run: how a run stands, the last event of
/// another kind says.
pub const KINDS_ABOUT_THE_RECORD: [&str; 2] = ["RunAdopted", "HeadSigned"];

impl Event {
    /// Whether the event may come though the run has stopped: it takes the run up again, or says what became of something.
    #[must_use]
    pub fn may_follow_the_end(&self) -> bool {
        match self {
            Self::RunResumed(_)
            | Self::ApprovalDecided(_)
            | Self::DoubtResolved(_)
            | Self::RunRebased(_)
            | Self::RunAdopted(_)
            | Self::HeadSigned(_)
            | Self::PathsMarked(_)
            | Self::ChangesUndone(_) => true,
            Self::RunStarted(_)
            | Self::ModelRequested(_)
            | Self::ModelReplied(_)
            | Self::ModelFailed(_)
            | Self::ToolProposed(_)
            | Self::ApprovalRequested(_)
            | Self::GrantWidened(_)
            | Self::EffectPermitted(_)
            | Self::ToolStarted(_)
            | Self::FuelTaken(_)
            | Self::EffectIntended(_)
            | Self::EffectDone(_)
            | Self::CallUndone(_)
            | Self::ToolSuspended(_)
            | Self::ToolFinished(_)
            | Self::ToolInDoubt(_)
            | Self::RunEnded(_) => false,
        }
    }

    /// Whether the event carries authority: such an event counts only with this host's own mark on it.
    #[must_use]
    pub fn carries_authority(&self) -> bool {
        match self {
            Self::RunStarted(_)
            | Self::ApprovalDecided(_)
            | Self::GrantWidened(_)
            | Self::EffectPermitted(_)
            | Self::DoubtResolved(_)
            | Self::ChangesUndone(_)
            | Self::RunResumed(_)
            | Self::RunRebased(_)
            | Self::RunAdopted(_) => true,
            Self::ModelRequested(_)
            | Self::ModelReplied(_)
            | Self::ModelFailed(_)
            | Self::ToolProposed(_)
            | Self::ApprovalRequested(_)
            | Self::ToolStarted(_)
            | Self::FuelTaken(_)
            | Self::EffectIntended(_)
            | Self::EffectDone(_)
            | Self::PathsMarked(_)
            | Self::CallUndone(_)
            | Self::ToolSuspended(_)
            | Self::ToolFinished(_)
            | Self::ToolInDoubt(_)
            | Self::HeadSigned(_)
            | Self::RunEnded(_) => false,
        }
    }
}
