//! Events: the facts of a run, past tense, as the journal stores them. State is their fold; nothing else is stored.
//!
//! The journal keeps an event as kind, version and JSON body. A body is read back only by its own kind and version: an
//! unknown kind, field or newer version is an error, never a guess.

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::config::resolve::ToolAuthority;
use crate::digest::Digest;
use crate::effect::{Effect, EffectClass, EffectRequest, UndoEntry};
use crate::file_events::{CallUndone, ChangesUndone, PathsMarked};
use crate::hardening::Hardening;
use crate::metadata::Metadata;
use crate::model::{ModelFailure, ModelReply};
use crate::name::{CallNumber, Name, RunId};
use crate::outcome::{Metering, Said, ToolOutcome};
use crate::session::{Earlier, ForkedFrom, SessionPlace};
use crate::stop::StopReason;
use crate::tool::ToolDescriptor;
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
        #[allow(clippy::large_enum_variant, reason = "an event is made once and moved a few times: a box costs more")]
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
    /// A person is asked.
    ApprovalRequested,
    /// A person answered.
    ApprovalDecided,
    /// A person allowed a tool more in the middle of the run.
    GrantWidened,
    /// A call is about to start.
    ToolStarted,
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

/// See [`Event::RunStarted`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunStarted {
    /// The agent's name.
    pub agent: Name,
    /// The digest of the agent file, where there is one.
    pub agent_file: Option<Digest>,
    /// The instructions, in full: a resume does not read the file again.
    pub instructions: String,
    /// The input.
    pub input: String,
    /// The models to ask, the first that works.
    pub models: Vec<ModelChoice>,
    /// The tools, with digests and authority.
    pub tools: Vec<LockedTool>,
    /// What the run may use.
    pub budget: Budget,
    /// How much survives a power loss.
    pub durability: Durability,
    /// How much is given up for a smaller surface.
    pub strictness: Strictness,
    /// What becomes of a call of which nobody knows whether it had its effect.
    pub doubt: DoubtPolicy,
    /// How much of each call is kept.
    pub record: Record,
    /// What confined the host's own process.
    pub hardening: Hardening,
    /// The session that it continues, and where in it.
    pub session: Option<SessionPlace>,
    /// What it is given of the conversation before it.
    pub earlier: Earlier,
    /// What the operator noted about it.
    pub meta: Metadata,
    /// The run that its first events were copied from.
    pub forked_from: Option<ForkedFrom>,
}

/// A model and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelChoice {
    /// As the operator wrote it: `openai:gpt-5`.
    pub name: String,
    /// The server, where it is not the provider's own.
    pub base_url: Option<String>,
    /// How calls are asked for.
    pub tool_mode: ToolMode,
}

/// How a model is asked for tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolMode {
    /// By the provider's own tool calls.
    Native,
    /// By one JSON Schema that covers all tools and the answer, for models without native calls.
    Json,
    /// The same, but right after the person has spoken only a call is accepted: small models answer out of thin air.
    JsonCallFirst,
}

/// How much of the journal survives what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Synced before anything depends on it: survives power loss.
    Strict,
    /// The same, by syncs that the runs of one process share: each waits up to 5 ms for the others.
    Group,
    /// Written, not synced: survives a killed process, and may lose its tail at power loss.
    Relaxed,
}

/// How much of each call is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// What it did, and what it was told before each write that cannot be undone.
    Effects,
    /// All that it was told, too: the call can be replayed without touching anything.
    Full,
}

/// How much is given up for a smaller surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strictness {
    /// Imports that are not granted refuse at use; memory of a slot may stay resident, cleared, between calls.
    Standard,
    /// Imports that are not granted are refused at load; time is coarse; nothing stays resident and stacks are zeroed.
    Strict,
}

/// What becomes of a call of which nobody knows whether it had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtPolicy {
    /// The run is suspended until a person says.
    Ask,
    /// The model is told what may have happened, and the run goes on.
    TellModel,
    /// The run ends.
    Fail,
    /// The tool's component is asked to find out; a person, where it cannot.
    Reconcile,
}

/// One tool of a run, pinned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedTool {
    /// What the model sees.
    pub descriptor: ToolDescriptor,
    /// The digest of the component that offers it. Its bytes are in the journal under this digest.
    pub component: Digest,
    /// What the tool may do.
    pub authority: ToolAuthority,
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

/// What a person is asked to approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ApprovalSubject {
    /// The call as a whole, before it starts.
    Call,
    /// One effect of the call.
    Effect {
        /// Its number within the call; 0 for a look, which has none.
        number: u32,
        /// What it would do.
        request: EffectRequest,
    },
}

/// See [`Event::ApprovalRequested`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequested {
    /// The call.
    pub call: CallNumber,
    /// What of it.
    pub subject: ApprovalSubject,
    /// Binds the answer to exactly this request.
    pub digest: Digest,
}

/// See [`Event::ApprovalDecided`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalDecided {
    /// The call.
    pub call: CallNumber,
    /// What of it.
    pub subject: ApprovalSubject,
    /// The digest of the request that is answered.
    pub digest: Digest,
    /// The answer.
    pub answer: Approval,
    /// Who gave it.
    pub by: AnsweredBy,
}

/// A person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Approval {
    /// Yes, this once.
    Approved {
        /// Not later than this.
        expires: UnixMillis,
    },
    /// No.
    Denied {
        /// Why, where the person said so. The model is told.
        reason: Option<String>,
    },
}

/// Who answered, as far as a host can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnsweredBy {
    /// The number of the user on this machine.
    pub user: u32,
    /// Where.
    pub place: AnswerPlace,
}

/// Where an answer was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerPlace {
    /// At the terminal of the run.
    Run,
    /// By a command of its own, such as `agent-host approve`.
    Command,
}

/// See [`Event::GrantWidened`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantWidened {
    /// The wire name of the tool.
    pub tool: String,
    /// What the tool holds from now on.
    pub authority: ToolAuthority,
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

/// See [`Event::ToolInDoubt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolInDoubt {
    /// The call.
    pub call: CallNumber,
    /// What may or may not have happened.
    pub request: EffectRequest,
    /// What is known.
    pub reason: String,
}

/// See [`Event::DoubtResolved`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoubtResolved {
    /// The call.
    pub call: CallNumber,
    /// What is said.
    pub resolution: Resolution,
    /// Who says it.
    pub by: ResolvedBy,
}

/// Who said what became of a call in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ResolvedBy {
    /// A person.
    Person(AnsweredBy),
    /// The run's own policy.
    Policy,
    /// The tool's component, which was asked to find out.
    Component {
        /// What that used.
        metering: Metering,
        /// What it looked at.
        effects: Vec<Effect>,
    },
}

/// What became of a call in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Resolution {
    /// It happened: this is what the model is told.
    Happened(String),
    /// It did not happen: the model is told so.
    DidNotHappen,
    /// Do it again, knowing that it may happen twice.
    Retry,
    /// Nobody says: the model is told what may have happened.
    LeftOpen,
    /// Neither policy nor component knows: a person must say.
    Unknown,
}

/// See [`Event::RunResumed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunResumed {
    /// The budget from now on.
    pub budget: Budget,
    /// What confines the host's own process from now on: it may be another machine.
    pub hardening: Hardening,
}

/// See [`Event::RunRebased`]. From here on these count, each in the place of what the run began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRebased {
    /// The agent's name.
    pub agent: Name,
    /// The digest of the agent file, where there is one.
    pub agent_file: Option<Digest>,
    /// The instructions, in full.
    pub instructions: String,
    /// The models to ask, the first that works.
    pub models: Vec<ModelChoice>,
    /// The tools, with digests and authority. What a person had allowed in the middle of the run is not among it.
    pub tools: Vec<LockedTool>,
}

/// See [`Event::RunAdopted`]. The events before it carried another host's marks, or none; from here on they carry this one's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunAdopted {
    /// The digest of the file that they came in.
    pub file: Digest,
}

/// See [`Event::HeadSigned`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSigned {
    /// The public key (Ed25519): 64 hexadecimal digits.
    pub key: String,
    /// The signature over the run's name and the number and hash of the event before: 128 hexadecimal digits.
    pub signature: String,
}

/// See [`Event::RunEnded`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEnded {
    /// Why.
    pub stop: StopReason,
    /// The answer, where there is one.
    pub answer: Option<String>,
    /// What happened, for a person, where the reason alone does not say.
    pub detail: Option<String>,
}

/// The kinds of events by which a person answers what a run waits for: they too say nothing about how it stands.
pub const KINDS_OF_ANSWERS: [&str; 2] = ["ApprovalDecided", "DoubtResolved"];

impl Resolution {
    /// Whether the call has its outcome by it.
    #[must_use]
    pub fn settles(&self) -> bool {
        match self {
            Self::Happened(_) | Self::DidNotHappen | Self::LeftOpen => true,
            Self::Retry | Self::Unknown => false,
        }
    }
}

/// The kinds of events that say something about the record and nothing about the run: how a run stands, the last event of
/// another kind says.
pub const KINDS_ABOUT_THE_RECORD: [&str; 2] = ["RunAdopted", "HeadSigned"];

impl Event {
    /// Whether the event may come though the run has stopped: it takes the run up again, or says what became of something.
    #[must_use]
    pub fn may_follow_the_end(&self) -> bool {
        matches!(
            self,
            Self::RunResumed(_)
                | Self::ApprovalDecided(_)
                | Self::DoubtResolved(_)
                | Self::RunRebased(_)
                | Self::RunAdopted(_)
                | Self::HeadSigned(_)
                | Self::PathsMarked(_)
                | Self::ChangesUndone(_)
        )
    }

    /// Whether the event carries authority: such an event counts only with this host's own mark on it.
    #[must_use]
    pub fn carries_authority(&self) -> bool {
        matches!(
            self,
            Self::RunStarted(_)
                | Self::ApprovalDecided(_)
                | Self::GrantWidened(_)
                | Self::DoubtResolved(_)
                | Self::ChangesUndone(_)
                | Self::RunResumed(_)
                | Self::RunRebased(_)
                | Self::RunAdopted(_)
        )
    }
}
