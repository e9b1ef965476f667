//! Events by which somebody is asked and answers: approvals, what is allowed beyond the grants, and what became of a call in doubt.
//! Bodies of `event::Event`.

use serde::{Deserialize, Serialize};

use crate::config::resolve::ToolAuthority;
use crate::digest::Digest;
use crate::effect::{Effect, EffectRequest};
use crate::name::CallNumber;
use crate::outcome::Metering;
use crate::units::UnixMillis;

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

/// See [`crate::event::Event::ApprovalRequested`].
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

/// See [`crate::event::Event::ApprovalDecided`].
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
    /// At the client whose call it is about.
    Client,
}

/// See [`crate::event::Event::GrantWidened`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantWidened {
    /// The wire name of the tool.
    pub tool: String,
    /// What the tool holds from now on.
    pub authority: ToolAuthority,
}

/// See [`crate::event::Event::EffectPermitted`]. It is for this effect of this attempt, whose start says component and authority: so
/// it needs neither a digest that binds it nor a time at which it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectPermitted {
    /// The call.
    pub call: CallNumber,
    /// The attempt that asked, and goes on.
    pub attempt: u32,
    /// The effect's number within the call.
    pub number: u32,
    /// What it is.
    pub request: EffectRequest,
    /// Who allowed it.
    pub by: AnsweredBy,
}

/// See [`crate::event::Event::ToolInDoubt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolInDoubt {
    /// The call.
    pub call: CallNumber,
    /// What may or may not have happened.
    pub request: EffectRequest,
    /// What is known.
    pub reason: String,
    /// What the call goes by where somebody says that it is to be made again.
    pub retry: RetryFrom,
    /// What the attempt used; `None` where it ended with its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metering: Option<Metering>,
    /// What the attempt did, as far as its host lived to tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
}

/// What a call in doubt goes by where it is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryFrom {
    /// What it was told: it does the same again, sends only what has no answer, with the same keys, and goes on.
    Record,
    /// Nothing: it begins anew, because it would not come to the same point by its record.
    Start,
}

/// See [`crate::event::Event::DoubtResolved`].
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
